package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/sha256"
)

// A batchRun is a batch at work. Its goroutines:
//
//	producers  know the parents and where they lie; a run of nodes goes to
//	           the hasher by way of a ring
//	hasher     the only one that writes labels
//	writers    write them to the files
//	spiller    in OneLayer mode, writes far parents to a scratch file
//	gatherer   in OneLayer mode, reads them back, and the key
//
// The hasher waits for the others only if they are behind, and then says for what.
type batchRun struct {
	c        *Config
	job      *job
	hasher   int
	kernel   *sha256.Kernel
	lanes    []*lane
	layers   int // how many there are to label
	parents  ParentSource
	store    *store
	regions  *regions
	ring     *ring.Ring
	rows     sha256.Rows // of all slots, and once more those of the first nodes, behind the last
	staged   []byte      // labels of all slots' parents
	counters *hasherCounters
	spilling spilling // OneLayer

	start   uint64                  // what the hasher has behind it when the batch begins, in nodes
	from    uint64                  // the node at which layer index 0 begins: 0, but for Measure
	ends    func(nodes uint64) bool // Measure: whether to stop after so many nodes; nil otherwise
	written line                    // positions below are in their files, in all lanes
	ctx     context.Context         // when it is done, no more runs are staged
	made    ring.Gate
	back    ring.Gate
	stopped atomic.Bool
	mu      sync.Mutex
	err     error // why all of it ended
}

// newBatchRun readies a batch; its lanes have no files yet.
func (j *job) newBatchRun(h int, b batch, r *regions) *batchRun {
	s := shapeOf(j.Proof, &j.Config)
	run := &batchRun{
		c: &j.Config, regions: r, job: j, hasher: h, kernel: b.kernel, parents: j.Config.Parents,
		counters: j.counters[h],
		ring:     ring.New(s.slots),
		rows:     sha256.NewRows(s.slots*s.run + sha256.Ahead),
	}
	run.counters.kernel.Store(&b.kernel.Name)
	for _, i := range b.sectors {
		run.lanes = append(run.lanes, &lane{sector: i})
	}
	if r.ring != nil {
		run.staged = r.ring.Bytes()
	}
	return run
}

func (b *batchRun) close() {
	if b.spilling.file != nil {
		b.spilling.file.Abort()
	}
	for _, l := range b.lanes {
		l.close()
	}
}

// runBatch labels batch n of a hasher. Its sectors' failures are in j.results; the error is one
// that ends the job.
func (j *job) runBatch(ctx context.Context, h, n int, r *regions) error {
	b := j.split[h][n]
	run := j.newBatchRun(h, b, r)
	span := run.counters.spans[n]
	run.counters.at.Store(span.start)
	defer run.close()
	first := j.last() + 1 // of the lanes that are made
	for _, l := range run.lanes {
		s := j.Sectors[l.sector]
		// Opened even if ctx is done: what an earlier job left must go.
		if err := l.open(ctx, s, &j.Config); err != nil && ctx.Err() == nil {
			l.fail(err)
		} else {
			first = min(first, s.First)
		}
	}
	if ctx.Err() != nil {
		run.err = context.Cause(ctx)
	} else if run.layers = j.last() - first + 1; run.layers > 0 {
		// The span is of all its sectors: layers of only those that failed are not made.
		run.start = span.start + uint64(first-span.first)*run.counters.perLayer
		run.counters.at.Store(run.start)
		run.store = newStore(shapeOf(j.Proof, &j.Config), b.kernel, first, r.layers.Bytes())
		run.store.handovers = run.layers - 1
		run.run(ctx)
	}
	for _, l := range run.lanes {
		if run.err == nil && l.failure() == nil {
			if err := l.files.Recheck(ctx); err != nil {
				l.fail(err)
			}
		}
		result := &j.results[l.sector]
		result.err = l.failure()
		result.digests = l.digests
		result.done = result.err == nil && run.err == nil
		if j.Done != nil && (result.done || result.err != nil) {
			j.Done(l.sector, j.sectorError(l.sector))
		}
	}
	if run.err == nil {
		run.counters.at.Store(span.end) // what a sector that failed leaves undone will not be done
	}
	return run.err
}

// run has all goroutines at work until the batch is done or stopped.
func (b *batchRun) run(ctx context.Context) {
	b.ctx = ctx
	var wg sync.WaitGroup
	defer wg.Wait()
	finished := make(chan struct{})
	wg.Go(func() {
		select {
		case <-ctx.Done():
			b.fail(context.Cause(ctx))
		case <-finished:
		}
	})
	var others sync.WaitGroup
	for i := range b.c.Producers {
		others.Go(func() {
			if err := b.produce(i); err != nil {
				b.fail(err)
			}
		})
	}
	b.startWriting(&others)
	if b.store.window > 0 {
		others.Go(func() {
			if err := b.gather(); err != nil {
				b.fail(err)
			}
		})
		others.Go(b.spill)
	}
	others.Go(func() {
		if err := b.hash(); err != nil {
			b.fail(err)
		}
	})
	others.Wait()
	close(finished)
}

// fail ends the batch, and with it the job.
func (b *batchRun) fail(err error) {
	b.mu.Lock()
	if b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.stop()
}

// stop makes every goroutine end. Who is cut short (in stage, list, spill, unspill,
// readFar, handOver) returns as if it were done, and what it leaves half done is
// published like anything else. That is safe: stopped was set before, so a writer that
// learns of labels made of it finds that set too, writes none of them, and no file gets
// its name. Rows always lead to labels, stale ones or zeros, and memory is there until
// all have ended.
func (b *batchRun) stop() {
	b.stopped.Store(true)
	b.ring.Close()
	b.made.Wake()
	b.back.Wake()
	b.regions.gate.Wake()
	if b.job.index != nil {
		b.job.index.gate.Wake()
	}
}

func (b *batchRun) allDead() bool {
	for _, l := range b.lanes {
		if !l.dead.Load() {
			return false
		}
	}
	return true
}

// wait parks at a gate until done; false means that the batch was stopped.
func (b *batchRun) wait(g *ring.Gate, done func() bool) bool {
	g.Wait(16, func() bool { return done() || b.stopped.Load() })
	return !b.stopped.Load()
}

// hash is the hasher.
func (b *batchRun) hash() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	release, err := b.job.place(b.job.hasherCPU(b.hasher), 0)
	if err != nil {
		return err
	}
	defer release()
	if err := b.kernel.SelfTest(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}

	if b.c.StrictNUMA && !b.waitFor(WaitMemory, &b.regions.gate, b.regions.there.Load) {
		return nil // why is in b.err
	}
	s, c := b.store, b.counters
	r := sha256.Run{ReplicaIDs: replicaIDs(b.lanes, b.kernel.Lanes)}
	chunk := s.chunk(b.kernel)
	var run uint64
	var ended time.Time
	for index := range b.layers {
		layer := s.first + index
		r.Layer = uint32(layer)
		if err := b.enter(index); err != nil {
			return err
		}
		lanes := labelsOf(b.lanes, layer)
		before := c.ended()
		start := time.Now()
		stats := LayerStats{Layer: layer, Nodes: s.nodes, Hasher: b.hasher, Kernel: b.kernel.Name, Lanes: int(lanes)}
		if !ended.IsZero() {
			stats.Pause = start.Sub(ended)
		}
		node := uint64(0)
		if index == 0 {
			node = b.from
		}
		for ; node < s.nodes; run++ {
			n := int(min(uint64(s.run), s.nodes-node))
			if !b.ready(run, index, node, n) {
				return nil // why is in b.err, or all lanes are dead
			}
			began := time.Now()
			at := s.run * s.slotOf(run)
			rows := n
			if b.ring.IsReady(run+1) && n == s.run {
				rows += min(sha256.Ahead, s.run)
			}
			r.First = node
			r.Out = s.out(index, node, n)
			r.Rows = b.rows.Slice(at, at+rows)
			if err := b.kernel.LabelRun(&r); err != nil {
				return err
			}
			b.ring.Release(run)
			node += uint64(n)
			pos := s.position(index, node)
			s.done.Store(pos)
			c.labels.Store(c.labels.Load() + uint64(n)*lanes)
			c.nodes.Store(c.nodes.Load() + uint64(n))
			c.at.Store(b.start + pos - b.from)
			c.busy.Store(c.busy.Load() + uint64(time.Since(began)))
			if wakes := s.wakes(chunk, node-1); pos/wakes != (pos-uint64(n))/wakes {
				b.made.Wake()
			}
			if b.ends != nil && b.ends(node-b.from) {
				b.stop()
				return nil
			}
		}
		ended = time.Now()
		stats.Hashing = ended.Sub(start)
		for i, w := range c.ended() {
			stats.Waited[i] = w - before[i]
		}
		b.note(stats)
	}
	return nil
}

// note keeps a layer's figures for each of its sectors.
func (b *batchRun) note(stats LayerStats) {
	for _, l := range b.lanes {
		if l.writer(stats.Layer) != nil {
			stats.Sector = l.sector
			b.job.results[l.sector].stats = append(b.job.results[l.sector].stats, stats)
		}
	}
}

// ready waits until a run is staged and its labels have a place. It counts the time.
func (b *batchRun) ready(run uint64, index int, node uint64, n int) bool {
	if b.stopped.Load() {
		return false
	}
	s := b.store
	if !b.ring.IsReady(run) {
		began := b.counters.startWaiting(WaitParents)
		ok := b.ring.Ready(run)
		b.counters.stopWaiting(WaitParents, began)
		if !ok {
			return false
		}
	}
	// The labels that lie there now must be in their files.
	if end := s.position(index, node) + uint64(n); end > s.inMemory {
		if !b.waitFor(WaitDisk, &b.back, func() bool { return b.written.Load() >= end-s.inMemory }) {
			return false
		}
	}
	if s.window > 0 && node%s.window == 0 {
		window := s.position(index, node) / s.window
		// So must be those far parents that lie in the window's place.
		return b.waitFor(WaitDisk, &b.back, func() bool { return s.far.ready(window) && b.spilling.done.Load()+kept > window })
	}
	return true
}

// waitFor is wait for the hasher. It counts the time, if it is not done already.
func (b *batchRun) waitFor(what Wait, g *ring.Gate, done func() bool) bool {
	if done() {
		return true
	}
	began := b.counters.startWaiting(what)
	defer b.counters.stopWaiting(what, began)
	return b.wait(g, done)
}

// enter readies the layer before for layer index index.
func (b *batchRun) enter(index int) error {
	s := b.store
	began := b.counters.startWaiting(WaitDisk)
	defer b.counters.stopWaiting(WaitDisk, began)
	if index > 0 && s.window > 0 {
		if b.wait(&b.back, func() bool { return s.keyOf.Load() >= int64(index) }) {
			b.forget(index - 1)
		}
		return nil
	}
	joining := false
	for _, l := range b.lanes {
		if b.ends != nil {
			break // what is in memory stands for the layer before
		}
		joining = joining || l.first > 1 && l.first == s.first+index
	}
	if joining {
		if err := b.loadFiles(index); err != nil {
			return err
		}
	}
	s.keyOf.Store(int64(index))
	return nil
}
