package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/forward"
	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// A job is a Resolved at work.
type job struct {
	*Resolved
	source    ParentSource     // of parents, where a hasher has no copy
	parents   []*sharedParents // by hasher; those on one NUMA node share one
	counters  []*hasherCounters
	feeders   []*feeder       // by hasher; nil for one that has producers to itself
	populated atomic.Int64    // hashers whose memory is taken
	index     *onelayer.Index // nil but in OneLayer mode
	uses      *forward.Index  // nil but in Budget mode
	from      uint64          // the node below which nothing is labelled, in any layer
	results   []sectorResult  // by sector; each hasher writes those of its own
}

func newJob(r *Resolved) (*job, error) {
	j := &job{Resolved: r, source: r.c.Parents}
	if j.source == nil {
		g, err := graph.New(r.c.Proof)
		if err != nil {
			return nil, fmt.Errorf("engine: computing parents: %w", err)
		}
		j.source = g
	}
	byNode := map[int]*sharedParents{}
	for _, from := range r.from {
		if byNode[from.sharers] == nil {
			source := from.source
			if source == nil {
				source = j.source
			}
			byNode[from.sharers] = newSharedParents(source, r)
		}
		j.parents = append(j.parents, byNode[from.sharers])
	}
	j.feeders = newFeeders(&r.c)
	j.results = make([]sectorResult, len(r.c.Sectors))
	j.counters = make([]*hasherCounters, r.c.Hashers)
	for h := range j.counters {
		j.counters[h] = &hasherCounters{cpu: NoCPU, began: time.Now()}
		stints := make([]stint, len(j.split[h]))
		for i, b := range j.split[h] {
			stints[i] = stint{sectors: b.sectors, first: r.last, last: r.last}
			for _, s := range b.sectors {
				stints[i].first = min(stints[i].first, r.c.Sectors[s].First)
			}
		}
		j.counters[h].setStints(r.shape.nodes, stints)
		if len(r.c.Places) > 0 {
			j.counters[h].cpu = int(r.c.Places[h].Hasher)
		}
	}
	return j, nil
}

// runHasher labels one hasher's batches, one after another, in the same memory.
func (j *job) runHasher(ctx context.Context, h int, r *regions) error {
	// The kernel clears pages as they are first touched; the hasher need not wait
	// for that, unless each page must be known to be where it should.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	populating, stop := context.WithCancel(ctx)
	failed := func(err error) { end(failure.Inner(fmt.Errorf("engine: taking memory for hasher %d: %w", h, err))) }
	var wg sync.WaitGroup
	failure.Go(&wg, failed, func() {
		if j.hooks.Memory != nil {
			j.hooks.Memory(h)
		}
		for _, region := range r.all() {
			if err := region.Populate(populating); err != nil && populating.Err() == nil {
				failed(err)
				return
			}
		}
		if _, err := r.layers.Verify(populating); err != nil && populating.Err() == nil {
			failed(err)
		} else if err == nil {
			r.there.Store(true)
			r.gate.Wake()
		}
		if j.populated.Add(1) == int64(j.c.Hashers) && j.c.MemoryTaken != nil {
			j.c.MemoryTaken()
		}
	})
	defer wg.Wait()
	defer stop()
	for n := range j.split[h] {
		err := j.runBatch(ctx, h, n, r)
		if err != nil {
			j.removeLayers(ctx, j.split[h][n+1:])
			return err
		}
	}
	stop()
	wg.Wait()
	return context.Cause(ctx)
}

// runBatch labels batch n of a hasher. Its sectors' failures are in j.results; the error is one
// that ends the job.
func (j *job) runBatch(ctx context.Context, h, n int, r *regions) error {
	p := j.newPipeline(h, j.split[h][n], r)
	stint := p.counters.stints[n]
	p.counters.at.Store(stint.start)
	defer p.close()
	opening, unwait := context.WithCancel(ctx)
	defer unwait()
	p.unwait = unwait
	unit := lcm(j.shape.chunk(p.kernel), uint64(j.shape.stride))
	p.eachLane(func(i int, l *lane) {
		// Opened even if ctx is done: what an earlier job left, and nothing proves, must go.
		if err := l.open(opening, j.c.Sectors[l.sector], j.Resolved, unit, loaderOf(p, i)); err != nil && ctx.Err() == nil {
			l.fail(err)
		}
	})
	first := j.last + 1 // of the lanes that are made
	for _, l := range p.lanes {
		if l.failure() == nil {
			first = min(first, l.first)
		}
	}
	if p.err == nil {
		p.err = context.Cause(ctx)
	}
	if p.err == nil {
		if begin, layers := p.agree(first), j.last-first+1; layers > 0 {
			// The stint is of all its sectors: layers of only those that failed are not made.
			p.start = stint.start + uint64(first-stint.first)*p.counters.perLayer + begin
			p.counters.at.Store(p.start)
			p.resumed = begin > 0
			p.layOut(first, layers, begin)
			p.run(ctx)
		}
	}
	ended := p.err
	p.eachLane(func(_ int, l *lane) {
		if ended == nil && l.failure() == nil {
			if err := j.finish(ctx, l); err != nil {
				l.fail(err)
			}
		}
		result := &j.results[l.sector]
		result.err = failure.Returned(ctx, l.failure())
		result.digests = l.digests
		result.done = result.err == nil && ended == nil
		if j.c.Done != nil && (result.done || result.err != nil) {
			j.c.Done(l.sector, j.sectorError(l.sector))
		}
	})
	if p.err == nil {
		p.counters.at.Store(stint.end) // what a sector that failed leaves undone will not be done
	}
	return p.err
}

// finish sees to it that a sector whose layers are labelled is as it should be, and in its cache dir.
func (j *job) finish(ctx context.Context, l *lane) error {
	if err := l.recheck(ctx, j.c.Sectors[l.sector], j.Resolved); err != nil {
		return err
	}
	first, _ := j.c.Keep.Kept(j.last)
	if err := l.record.complete(ctx, first, (j.c.DropManifest || j.c.Bare) && l.files.Cache() == nil); err != nil {
		return err
	}
	if err := j.deliver(ctx, l); err != nil {
		return err
	}
	return j.verifyEnd(ctx, l)
}

// deliver brings a sector from its work dir to its cache dir, if it has one. Until all of it is there,
// on the disk, nothing goes from the work dir.
func (j *job) deliver(ctx context.Context, l *lane) error {
	cache := l.files.Cache()
	if cache == nil {
		return nil
	}
	if j.c.Ready != nil {
		if err := j.c.Ready(l.sector); err != nil {
			return err
		}
	}
	others := map[int]layers.Source{}
	for _, p := range l.proved {
		others[p.layer] = p.Source
	}
	first, last := j.c.Keep.Kept(j.last)
	err := l.files.Deliver(ctx, first, last, others)
	switch {
	case err != nil:
	case j.c.DropManifest:
		err = cache.Remove(manifest.Name)
	default:
		err = l.record.m.Write(ctx, cache)
	}
	if err != nil {
		return fmt.Errorf("bringing layers from the work dir, where they stay, to the cache dir: %w", err)
	}
	return l.files.Clear(1, j.last, manifest.Name)
}

// agree is the node of layer first that all lanes go on from which begin there: what some have
// more of is made once more, in the same time. It takes what is there off the job's total.
func (p *pipeline) agree(first int) (begin uint64) {
	j := p.job
	begin = j.shape.nodes
	if first > j.last {
		begin = 0
	}
	for _, l := range p.lanes {
		if !l.dead.Load() && l.first == first {
			begin = min(begin, l.begin)
		}
	}
	for _, l := range p.lanes {
		if l.dead.Load() {
			continue
		}
		there := uint64(l.first-j.c.Sectors[l.sector].First) * j.shape.nodes
		if l.first == first && first <= j.last {
			l.files.Layer(first).Resume(int64(begin) * porep.NodeSize)
			there += begin
		}
		j.c.Progress.total.Add(-there)
	}
	return begin
}

// lcm is the least common multiple.
func lcm(a, b uint64) uint64 {
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// startIndex starts the work on onelayer's index, or forward's, if there is to be one. Without
// the latter nothing goes.
func (j *job) startIndex(ctx context.Context) (err error) {
	var dirs []string
	for _, s := range j.c.Sectors {
		dirs = append(dirs, s.dir())
	}
	switch {
	case j.shape.forward != nil:
		j.uses, err = forward.StartIndex(ctx, j.forwarding(), dirs, j.c.way())
	case j.shape.oneLayer != nil:
		j.index = onelayer.StartIndex(ctx, j.surroundings(), dirs)
	}
	return err
}

// closeIndex ends it.
func (j *job) closeIndex() {
	j.index.Close()
	j.uses.Close()
}

// forwarding is what package forward has from the job.
func (j *job) forwarding() forward.Surroundings {
	s := forward.Surroundings{
		Shape:       j.shape.forward,
		Parents:     j.source.Parents,
		BaseParents: func(dst []uint32, first uint64) error { return baseParents(j.source, dst, first) },
		KeepOff:     j.keepOff,
		From:        j.from,
	}
	if known, ok := j.source.(usesSource); ok {
		s.Uses = known.Uses
	}
	return s
}

// surroundings are what package onelayer has from the job.
func (j *job) surroundings() onelayer.Surroundings {
	return onelayer.Surroundings{
		Shape:       j.shape.oneLayer,
		BaseParents: func(dst []uint32, first uint64) error { return baseParents(j.source, dst, first) },
		Parents:     j.source.Parents,
		KeepOff:     j.keepOff,
		Fails:       j.hooks.Spill,
	}
}

// removeLayers removes what an earlier job left of sectors that will not have their
// turn: it would look as if it were this job's.
func (j *job) removeLayers(ctx context.Context, batches []batch) {
	for _, b := range batches {
		for _, i := range b.sectors {
			s := j.c.Sectors[i]
			if m, _, err := left(&j.c, &s); m != nil || err != nil {
				continue // it goes on another time, or was refused
			}
			if err := layers.Remove(ctx, s.CacheDir, s.WorkDir, s.First, j.last); err != nil {
				j.results[i].err = failure.Returned(ctx, err)
			}
		}
	}
}
