package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/topology"
)

// Result is what a job reports.
type Result struct {
	// Kernel is the name of the kernel that labelled the first sector.
	Kernel string
	// Layers has an entry for each layer of each sector, in the order of sectors,
	// then layers.
	Layers []LayerStats
	// Memory is what was had for each hasher.
	Memory []MemoryStats
	// Sectors is what became of each of Config.Sectors, if there were no errors in those.
	Sectors []SectorResult
}

// SectorResult is what became of a sector.
//
// Invariant: Err is nil if, and only if, all its layers from First on are under their
// names, on the disk, and read back as they were made. There is no other word on it.
type SectorResult struct {
	Err error // a *SectorError, or what ended the whole job before the sector was done
	// Digests are those of the layers from First on, if Config.Digests asked for them.
	Digests []LayerDigest
}

// LayerStats is how one layer of one sector went. Sectors of one batch have the
// same, since they are labelled together.
type LayerStats struct {
	Sector int // index into Config.Sectors
	Layer  int // from 1
	Nodes  uint64
	Hasher int
	Kernel string
	Lanes  int // sectors that went together
	// Hashing is the time from the layer's first label to its last.
	Hashing time.Duration
	// Waited is how much of Hashing the hasher waited.
	Waited Waits
	// Pause is the time between the last label of the layer before and the first
	// of this one.
	Pause time.Duration
}

// MemoryStats is the memory of one hasher's layers.
type MemoryStats struct {
	Hasher    int
	Bytes     uint64
	Pages     hugepages.Pages
	Backing   hugepages.Backing // what pages these are, counted when the job ended
	Placement hugepages.Placement
}

// A SectorError says why a sector was not labelled. Its layers that are there are
// complete.
type SectorError struct {
	Sector   int // index into Config.Sectors
	CacheDir string
	Err      error
}

func (e *SectorError) Error() string {
	return fmt.Sprintf("engine: labelling sector in %s: %v", e.CacheDir, e.Err)
}

// Unwrap returns the cause.
func (e *SectorError) Unwrap() error { return e.Err }

// Run labels the sectors, all layers of each. Each layer file appears when the layer
// is complete and on the disk. Layers from a sector's First on that are there are
// removed first: their length says nothing about whose they are.
//
// A sector that fails, because its disk is full for example, leaves those beside
// it alone: the error, a *SectorError for each, comes at the end. What fails
// otherwise, or ctx when it is done, ends the job within a second, as soon as the
// disk has taken what it was given last. Whatever the error, layer files that are
// there are complete and of this job, or of the one that has the cache dir, and memory,
// threads and locks are free.
//
// Hashers never leave their threads: a program with more than one should have
// GOMAXPROCS at some more than the machine's CPUs, or its other goroutines wait.
func (r *Resolved) Run(ctx context.Context) (result Result, err error) {
	j, err := newJob(r)
	if err != nil {
		return Result{}, err
	}
	var total uint64
	for _, s := range r.c.Sectors {
		total += uint64(r.c.last()-s.First+1) * r.shape.nodes
	}
	r.c.Progress.slowed.Store(nil)
	r.c.Progress.unbound.Store(nil)
	r.c.Progress.total.Store(total)
	r.c.Progress.hashers.Store(&j.counters)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	regions, err := j.takeMemory(ctx)
	if err != nil {
		for _, batches := range j.split {
			j.removeLayers(ctx, batches)
		}
		return j.result(nil, err)
	}
	defer func() { err = errors.Join(err, free(regions)) }()
	j.startIndex(ctx)
	defer j.index.Close()
	var wg sync.WaitGroup
	for h := range r.c.Hashers {
		wg.Go(func() {
			if err := j.runHasher(ctx, h, regions[h]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return j.result(regions, context.Cause(ctx))
}

// A job is a Resolved at work.
type job struct {
	*Resolved
	source    ParentSource     // of parents, where a hasher has no copy
	parents   []*sharedParents // by hasher; those on one NUMA node share one
	counters  []*hasherCounters
	populated atomic.Int64    // hashers whose memory is taken
	index     *onelayer.Index // nil but in OneLayer mode
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
		if byNode[from.key] == nil {
			source := from.source
			if source == nil {
				source = j.source
			}
			byNode[from.key] = newSharedParents(source, r)
		}
		j.parents = append(j.parents, byNode[from.key])
	}
	j.results = make([]sectorResult, len(r.c.Sectors))
	j.counters = make([]*hasherCounters, r.c.Hashers)
	for h := range j.counters {
		j.counters[h] = &hasherCounters{cpu: NoCPU, began: time.Now()}
		spans := make([]span, len(j.split[h]))
		for i, b := range j.split[h] {
			spans[i] = span{sectors: b.sectors, first: r.c.last(), last: r.c.last()}
			for _, s := range b.sectors {
				spans[i].first = min(spans[i].first, r.c.Sectors[s].First)
			}
		}
		j.counters[h].setSpans(r.shape.nodes, spans)
		if len(r.c.Places) > 0 {
			j.counters[h].cpu = int(r.c.Places[h].Hasher)
		}
	}
	return j, nil
}

type sectorResult struct {
	stats   []LayerStats
	digests []LayerDigest
	done    bool
	err     error // the sector's own
}

// result is what became of the job, which ended with an error if it is not nil, and of
// each sector: here, and nowhere else, that is decided. The error is that of single sectors
// and, if it left any undone, of the job.
func (j *job) result(regions []*regions, ended error) (Result, error) {
	r := Result{Kernel: j.split[0][0].kernel.Name, Memory: statsOf(regions)}
	if ended == nil {
		ended = errors.New("not all sectors were labelled") // cannot be
	}
	undone := regions == nil // without memory nothing began
	if !undone {
		ended = fmt.Errorf("engine: labelling: %w", ended)
	}
	var errs []error
	for i, s := range j.results {
		r.Layers = append(r.Layers, s.stats...)
		one := SectorResult{Digests: s.digests}
		switch {
		case s.err != nil:
			one.Err = &SectorError{i, j.c.Sectors[i].CacheDir, s.err}
			errs = append(errs, one.Err)
		case !s.done:
			one.Err, undone = ended, true
		}
		r.Sectors = append(r.Sectors, one)
	}
	if undone {
		errs = append(errs, ended)
	}
	return r, errors.Join(errs...)
}

// runHasher labels one hasher's batches, one after another, in the same memory.
func (j *job) runHasher(ctx context.Context, h int, r *regions) error {
	// The kernel clears pages as they are first touched; the hasher need not wait
	// for that, unless each page must be known to be where it should.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	populating, stop := context.WithCancel(ctx)
	failed := func(err error) { end(fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)) }
	var wg sync.WaitGroup
	wg.Go(func() {
		if j.c.memoryHook != nil {
			j.c.memoryHook(h)
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
	span := p.counters.spans[n]
	p.counters.at.Store(span.start)
	defer p.close()
	first := j.c.last() + 1 // of the lanes that are made
	for _, l := range p.lanes {
		s := j.c.Sectors[l.sector]
		// Opened even if ctx is done: what an earlier job left must go.
		if err := l.open(ctx, s, j.Resolved); err != nil && ctx.Err() == nil {
			l.fail(err)
		} else {
			first = min(first, s.First)
		}
	}
	if ctx.Err() != nil {
		p.err = context.Cause(ctx)
	} else if layers := j.c.last() - first + 1; layers > 0 {
		// The span is of all its sectors: layers of only those that failed are not made.
		p.start = span.start + uint64(first-span.first)*p.counters.perLayer
		p.counters.at.Store(p.start)
		p.layOut(first, layers, 0)
		p.run(ctx)
	}
	for _, l := range p.lanes {
		if p.err == nil && l.failure() == nil {
			if err := l.files.Recheck(ctx); err != nil {
				l.fail(err)
			}
		}
		result := &j.results[l.sector]
		result.err = l.failure()
		result.digests = l.digests
		result.done = result.err == nil && p.err == nil
	}
	if p.err == nil {
		p.counters.at.Store(span.end) // what a sector that failed leaves undone will not be done
	}
	return p.err
}

// startIndex starts the work on onelayer's index, if there is to be one.
func (j *job) startIndex(ctx context.Context) {
	if j.shape.oneLayer == nil {
		return
	}
	var dirs []string
	for _, s := range j.c.Sectors {
		dirs = append(dirs, s.CacheDir)
	}
	j.index = onelayer.StartIndex(ctx, j.surroundings(), dirs)
}

// surroundings are what package onelayer has from the job.
func (j *job) surroundings() onelayer.Surroundings {
	return onelayer.Surroundings{
		Shape:       j.shape.oneLayer,
		BaseParents: func(dst []uint32, first uint64) error { return baseParents(j.source, dst, first) },
		Parents:     j.source.Parents,
		KeepOff:     j.keepOff,
		Fails:       j.c.spillHook,
	}
}

// removeLayers removes what an earlier job left of sectors that will not have their
// turn: it would look as if it were this job's.
func (j *job) removeLayers(ctx context.Context, batches []batch) {
	for _, b := range batches {
		for _, i := range b.sectors {
			s := j.c.Sectors[i]
			if err := layers.Remove(ctx, s.CacheDir, s.First, j.c.last()); err != nil {
				j.results[i].err = err
			}
		}
	}
}

// place binds the calling goroutine to one of the CPUs, until release. Without
// CPUs it does nothing. Where the system does not let it, Progress says so: labels are as
// right anywhere.
func (j *job) place(cpus []topology.CPU, i int) (release func() error, err error) {
	if len(cpus) == 0 {
		return func() error { return nil }, nil
	}
	p, err := topology.Pin(j.c.Machine, cpus[i%len(cpus)])
	if err == nil {
		return p.Release, nil
	}
	why := fmt.Errorf("engine: binding to a CPU: %w", err)
	j.c.Progress.unbound.CompareAndSwap(nil, &why)
	return func() error { return nil }, nil
}

// keepOff keeps the calling goroutine off the cores that hash, until release, if there
// are others.
func (j *job) keepOff() (release func()) {
	var hashing []topology.CPU
	for _, p := range j.c.Places {
		hashing = append(hashing, p.Hasher)
	}
	if len(hashing) > 0 {
		if p, err := topology.KeepOff(j.c.Machine, hashing...); err == nil {
			return func() { _ = p.Release() } // if it fails, the thread ends with its goroutine
		}
	}
	return func() {}
}

func (j *job) producerCPUs(h int) []topology.CPU {
	if len(j.c.Places) == 0 {
		return nil
	}
	return j.c.Places[h].Producers
}

func (j *job) hasherCPU(h int) []topology.CPU {
	if len(j.c.Places) == 0 {
		return nil
	}
	return []topology.CPU{j.c.Places[h].Hasher}
}

// replicaIDs are a batch's, one for each of the kernel's lanes; empty lanes have
// zeros.
func replicaIDs(lanes []*lane, n int) [][32]byte {
	ids := make([][32]byte, n)
	for i, l := range lanes {
		ids[i] = l.id
	}
	return ids
}

// labelsOf is how many nodes of a layer count as labels: those of lanes that make
// the layer.
func labelsOf(lanes []*lane, layer int) (n uint64) {
	for _, l := range lanes {
		if l.writer(layer) != nil {
			n++
		}
	}
	return n
}
