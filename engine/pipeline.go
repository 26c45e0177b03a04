package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/forward"
	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// A pipeline is a batch at work. Its goroutines:
//
//	producers  know the parents and where they lie; a span of nodes goes to
//	           the hasher by way of a ring: produce.go; one may have several
//	           hashers: feeder.go
//	hasher     the only one that writes labels: hash.go
//	writers    write them to the files: write.go
//	and one    that recomputes some of them meanwhile: recheck.go
//
// and in OneLayer mode those of package onelayer, in Budget mode those of package forward. The
// hasher waits for the others only if they are behind, and then says for what.
type pipeline struct {
	job      *job
	hasher   int
	kernel   *sha256.Kernel
	lanes    []*lane
	counters *hasherCounters
	feeder   *feeder // nil: it has producers to itself
	regions  *regions
	ring     *ring.Ring
	rows     sha256.Rows // of all slots, and once more those of the first nodes, behind the last
	staged   []byte      // labels of all slots' parents
	files    *reading
	buffers  [writers][]byte // of writers: see cutBuffers

	store  *store
	layers int    // how many there are to label
	begin  uint64 // the position of the first node to label
	// resumed says that the labels of those before are in the files.
	resumed bool
	unnoted bool   // there are no checkpoints, and nothing is recomputed
	start   uint64 // what the hasher has behind it then, in nodes

	flow ring.Flow
	// committed is how many layers' files were given their names, in those lanes that are alive.
	committed atomic.Int64
	hashed    chan struct{} // closed when the hasher has ended
	unwait    func()        // ends waiting for room in lanes' files
	mu        sync.Mutex
	err       error // why all of it ended
}

// newPipeline readies a batch; its lanes have no files yet.
func (j *job) newPipeline(h int, b batch, r *regions) *pipeline {
	p := &pipeline{
		job: j, hasher: h, kernel: b.kernel, counters: j.counters[h], feeder: j.feeders[h], regions: r,
		ring:   ring.New(j.shape.slots),
		rows:   sha256.NewRows(j.shape.slots*j.shape.stride + sha256.Ahead),
		hashed: make(chan struct{}),
		unwait: func() {}, unnoted: j.c.Bare,
	}
	if p.feeder != nil {
		p.ring.WakeAlso(&p.feeder.gate)
		p.flow.Back.WakeAlso(&p.feeder.gate)
	}
	p.flow.Before.Store(-1)
	p.counters.kernel.Store(&b.kernel.Name)
	for _, i := range b.sectors {
		p.lanes = append(p.lanes, &lane{sector: i})
	}
	if r.ring != nil {
		p.staged = r.ring.Bytes()
	}
	return p
}

// layOut readies memory for layers from a certain one on, of which the nodes before
// position begin are labelled.
func (p *pipeline) layOut(first, layers int, begin uint64) {
	j := p.job
	p.layers, p.begin = layers, begin
	p.flow.Labelled.Store(begin)
	p.flow.Written.Store(begin)
	buffers := cutBuffers(p.kernel, &j.shape, p.regions.buffers)
	p.buffers = buffers.write
	p.files = &reading{
		lanes: p.lanes, kernel: p.kernel, way: j.c.way(), buffers: buffers.read, flow: &p.flow, keepOff: j.keepOff,
		dirOf: func(l *lane) string { return j.c.Sectors[l.sector].dir() },
	}
	p.store = &store{shape: j.shape, kernel: p.kernel, first: first}
	if j.shape.forward != nil {
		p.store.fwd = forward.New(j.forwarding(), j.uses, forward.Batch{
			Kernel: p.kernel, First: first, Layers: layers, Begin: begin,
			Flow: &p.flow, Files: p.files, Way: j.c.way(),
			Labels: p.regions.layers.Bytes(), Buffer: buffers.forward,
		})
		return
	}
	if j.shape.oneLayer == nil {
		p.store.cutLayers(p.regions.layers.Bytes())
		return
	}
	p.store.one = onelayer.New(j.surroundings(), j.index, onelayer.Batch{
		Kernel: p.kernel, Lanes: len(p.lanes), First: first, Layers: layers, Begin: begin,
		Flow: &p.flow, Files: p.files, Way: j.c.way(),
		Labels: p.regions.layers.Bytes(), Buffer: buffers.spill,
		Slowed: func(err error) { j.c.Progress.slowed.CompareAndSwap(nil, &err) },
	})
}

func (p *pipeline) close() {
	if p.store != nil && p.store.one != nil {
		p.store.one.Close()
	}
	if p.store != nil && p.store.fwd != nil {
		p.store.fwd.Close()
	}
	for _, l := range p.lanes {
		l.close()
	}
}

// run has all goroutines at work until the batch is done or stopped.
func (p *pipeline) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	finished := make(chan struct{})
	defer close(finished)
	wg.Go(func() {
		select {
		case <-ctx.Done():
			p.fail(context.Cause(ctx))
		case <-finished:
		}
	})
	p.files.first = p.store.first
	var err error
	if p.store.fwd != nil {
		err = p.store.fwd.Open(ctx)
	}
	if err == nil && (p.resumed || p.store.fwd != nil && p.store.first > 1) {
		err = p.restore(ctx)
	}
	if err != nil {
		p.fail(err)
	}
	if p.flow.Stopped() {
		return
	}
	var others, checkpoints sync.WaitGroup
	if p.feeder != nil {
		failure.Go(&others, p.fail, func() { p.feeder.feed(ctx, p) })
	} else {
		for i := range p.job.c.Producers {
			failure.Go(&others, p.fail, func() {
				if err := p.produce(ctx, i); err != nil {
					p.fail(err)
				}
			})
		}
	}
	w := p.startWriting(ctx, &others)
	ended := make(chan struct{})
	failure.Go(&checkpoints, p.fail, func() { p.keepCheckpoints(ctx, w, ended) })
	failure.Go(&others, p.fail, func() { rechecker{p}.run(ctx) })
	if p.store.one != nil {
		p.store.one.Start(ctx, &others, p.fail)
	}
	if p.store.fwd != nil {
		p.store.fwd.Start(&others, p.fail)
	}
	failure.Go(&others, p.fail, func() {
		defer close(p.hashed)
		if err := p.hash(); err != nil {
			p.fail(err)
		}
	})
	others.Wait()
	close(ended)
	checkpoints.Wait()
	if p.flow.Stopped() {
		p.checkpoint(ctx, w)
	}
}

// A loader puts labels of a lane that are read to prove them where they will be needed. What is nil is
// read once more, then.
type loader struct {
	before func(labels []byte, node uint64) error // of the layer before the batch's first one
	part   func(labels []byte, node uint64) error // of what there is of the first one
}

func loaderOf(p *pipeline, lane int) loader {
	shape, pitch := &p.job.shape, uint64(p.kernel.Pitch())
	to := func(memory []byte) func(labels []byte, node uint64) error {
		return func(labels []byte, node uint64) error {
			return p.kernel.Pack(memory[node*pitch:][:uint64(len(labels)/porep.NodeSize)*pitch], labels, lane)
		}
	}
	switch memory := p.regions.layers.Bytes(); {
	case shape.forward != nil: // where labels are sent on from is a file
		return loader{}
	case shape.oneLayer != nil: // of a part, far parents are spilled meanwhile
		return loader{before: to(onelayer.Before(memory, shape.nodes, p.kernel.Pitch()))}
	default:
		s := store{shape: *shape, kernel: p.kernel}
		s.cutLayers(memory)
		return loader{to(s.before(0)), to(s.layers[0])}
	}
}

// restore fills the memory with what an earlier job has labelled.
func (p *pipeline) restore(ctx context.Context) error {
	s := p.store
	if s.fwd != nil {
		return s.fwd.Restore(ctx)
	}
	if slices.ContainsFunc(p.lanes, func(l *lane) bool { return l.before != nil && l.first == s.first }) {
		if err := p.files.loadWhole(s.before(0), s.first-1, s.nodes); err != nil {
			return err
		}
	}
	p.flow.Before.Store(0)
	if s.one != nil {
		return s.one.Restore(ctx)
	}
	pitch, part := uint64(p.kernel.Pitch()), min(readNodes, p.begin)
	return p.files.Each(int(roundup.Div(p.begin, part)), func(i int, buffer []byte) error {
		first := uint64(i) * part
		n := min(part, p.begin-first)
		return p.files.Load(s.layers[0][first*pitch:][:n*pitch], s.first, first, buffer[:n*porep.NodeSize], false)
	})
}

// fail ends the batch, and with it the job.
func (p *pipeline) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.stop()
}

// stop makes every goroutine end. Who is cut short (in stage, in onelayer's list, spill,
// unspill, readFar and handOver) returns as if it were done, and what it leaves half done is
// published like anything else. That is safe: the flow was stopped before, so a writer that
// learns of labels made of it finds that too, writes none of them, and no file gets
// its name. Rows always lead to labels, stale ones or zeros, and memory is there until
// all have ended.
func (p *pipeline) stop() {
	p.flow.Stop()
	p.ring.Close()
	p.regions.gate.Wake()
	p.job.index.Wake()
	p.job.uses.Wake()
	p.unwait()
}

// lanesAtOnce is of how many lanes files are synced, read back and compared at a time: a disk
// takes several requests at once as soon as one, and each of them takes a buffer.
const lanesAtOnce = 4

// eachLane does something with the files of all lanes, a few at a time.
func (p *pipeline) eachLane(do func(i int, l *lane)) {
	if len(p.lanes) == 1 {
		do(0, p.lanes[0])
		return
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(lanesAtOnce, len(p.lanes)) {
		failure.Go(&wg, p.fail, func() {
			defer p.job.keepOff()()
			for i := next.Add(1) - 1; i < int64(len(p.lanes)); i = next.Add(1) - 1 {
				do(int(i), p.lanes[i])
			}
		})
	}
	wg.Wait()
}

func (p *pipeline) allDead() bool {
	for _, l := range p.lanes {
		if !l.dead.Load() {
			return false
		}
	}
	return true
}
