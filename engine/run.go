package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/ring"
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

// Run labels c.Sectors, all layers of each. Each layer file appears when the layer
// is complete and on the disk. Layers from a sector's First on that are there are
// removed first: their length says nothing about whose they are.
//
// A sector that fails, because its disk is full for example, leaves those beside
// it alone: the error, a *SectorError for each, comes at the end. What fails
// otherwise, or ctx when it is done, ends the job within a second, as soon as the
// disk has taken what it was given last. Whatever the error, layer files that are
// there are complete and of this job, or of the one that has the cache dir, and memory,
// threads and locks are free. Only if c is refused, by Validate, everything is left as
// it was.
//
// Hashers never leave their threads: a program with more than one should have
// GOMAXPROCS at some more than the machine's CPUs, or its other goroutines wait.
func Run(ctx context.Context, c Config) (result Result, err error) {
	if c, err = c.prepared(); err != nil {
		return Result{}, err
	}
	j := newJob(&c)
	var total uint64
	for _, s := range c.Sectors {
		total += uint64(c.last()-s.First+1) * c.Proof.SectorSize().Nodes()
	}
	c.Progress.slowed.Store(nil)
	c.Progress.unbound.Store(nil)
	c.Progress.total.Store(total)
	c.Progress.hashers.Store(&j.counters)

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
	defer j.startIndex(ctx)()
	var wg sync.WaitGroup
	for h := range c.Hashers {
		wg.Go(func() {
			if err := j.runHasher(ctx, h, regions[h]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return j.result(regions, context.Cause(ctx))
}

// prepared is c with its defaults and a source of parents, if it is valid.
func (c Config) prepared() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = c.WithDefaults()
	if c.Parents == nil {
		g, err := graph.New(c.Proof)
		if err != nil {
			return c, fmt.Errorf("engine: computing parents: %w", err)
		}
		c.Parents = g
	}
	return c, nil
}

// A job is a Config at work.
type job struct {
	Config
	split     [][]batch        // by hasher
	parents   []*sharedParents // by hasher; those on one NUMA node share one
	counters  []*hasherCounters
	populated atomic.Int64   // hashers whose memory is taken
	index     *farIndex      // nil but in OneLayer mode
	results   []sectorResult // by sector; each hasher writes those of its own
}

// newJob readies a Config, prepared, for work.
func newJob(c *Config) *job {
	j := &job{Config: *c, split: c.split()}
	byNode := map[int]*sharedParents{}
	for h := range c.Hashers {
		key, source := c.parentsOf(h)
		if byNode[key] == nil {
			byNode[key] = newSharedParents(source, c)
		}
		j.parents = append(j.parents, byNode[key])
	}
	j.results = make([]sectorResult, len(c.Sectors))
	j.counters = make([]*hasherCounters, c.Hashers)
	for h := range j.counters {
		j.counters[h] = &hasherCounters{cpu: NoCPU, began: time.Now()}
		spans := make([]span, len(j.split[h]))
		for i, b := range j.split[h] {
			spans[i] = span{sectors: b.sectors, first: c.last(), last: c.last()}
			for _, s := range b.sectors {
				spans[i].first = min(spans[i].first, c.Sectors[s].First)
			}
		}
		j.counters[h].setSpans(c.Proof.SectorSize().Nodes(), spans)
		if len(c.Places) > 0 {
			j.counters[h].cpu = int(c.Places[h].Hasher)
		}
	}
	return j
}

// parentsOf is where hasher h has its parents from, and a number that is the same for
// those that share them: its memory's NUMA node.
func (c *Config) parentsOf(h int) (key int, source ParentSource) {
	if h < len(c.Places) {
		if n, ok := c.Places[h].Memory.Number(); ok {
			if copied, ok := c.NodeParents[n]; ok {
				return n, copied
			}
			return n, c.Parents
		}
	}
	return -1, c.Parents
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
			one.Err = j.sectorError(i)
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

// sectorError is a sector's own error, or nil.
func (j *job) sectorError(i int) error {
	if err := j.results[i].err; err != nil {
		return &SectorError{i, j.Sectors[i].CacheDir, err}
	}
	return nil
}

func statsOf(regions []*regions) (all []MemoryStats) {
	for h, r := range regions {
		all = append(all, MemoryStats{h, uint64(len(r.layers.Bytes())), r.layers.Pages(), r.layers.Backing(), r.layers.Placement()})
	}
	return all
}

// regions are one hasher's memory outside the Go heap.
type regions struct {
	layers  *hugepages.Region
	ring    *hugepages.Region // nil unless labels are staged in it
	buffers *hugepages.Region // nil if none go through it

	there atomic.Bool // all of it was taken from the machine and verified
	gate  ring.Gate   // for who waits for that
}

// all are those that there are, in the order in which they are first used.
func (r *regions) all() []*hugepages.Region {
	return slices.DeleteFunc([]*hugepages.Region{r.ring, r.buffers, r.layers}, func(r *hugepages.Region) bool { return r == nil })
}

// free frees all memory of all hashers.
func free(all []*regions) (err error) {
	for _, r := range all {
		for _, region := range r.all() {
			err = errors.Join(err, region.Free())
		}
	}
	return err
}

// bufferPages keeps the kernel's pool of huge pages for layers.
var bufferPages = []hugepages.Pages{hugepages.Transparent, hugepages.Small}

// takeMemory allocates every hasher's memory, so that too little of it shows
// before any work. With an error, none is kept.
func (j *job) takeMemory(ctx context.Context) (all []*regions, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, free(all))
			all = nil
		}
	}()
	for h, need := range j.Requirements() {
		alloc := func(size uint64, purpose hugepages.Purpose, pages []hugepages.Pages) (*hugepages.Region, error) {
			r, err := hugepages.Alloc(ctx, j.regionOptions(h, size, purpose, pages))
			if err != nil {
				return nil, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
			}
			return r, nil
		}
		r := &regions{}
		all = append(all, r)
		if r.layers, err = alloc(need.Layers, hugepages.Layers, j.Pages); err != nil {
			return all, err
		}
		if need.Rings > 0 {
			if r.ring, err = alloc(need.Rings, hugepages.Rings, j.Pages); err != nil {
				return all, err
			}
		}
		if need.Buffers > 0 {
			// A write from scattered small pages is many pieces to a disk's driver: on a
			// virtual machine, 6 % of both cores instead of 1 %.
			if r.buffers, err = alloc(need.Buffers, hugepages.Buffers, bufferPages); err != nil {
				return all, err
			}
		}
	}
	return all, nil
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
		if j.memoryHook != nil {
			j.memoryHook(h)
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
		if j.populated.Add(1) == int64(j.Hashers) && j.MemoryTaken != nil {
			j.MemoryTaken()
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

// removeLayers removes what an earlier job left of sectors that will not have their
// turn: it would look as if it were this job's.
func (j *job) removeLayers(ctx context.Context, batches []batch) {
	for _, b := range batches {
		for _, i := range b.sectors {
			s := j.Sectors[i]
			if err := layers.Remove(ctx, s.CacheDir, s.First, j.last()); err != nil {
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
	p, err := topology.Pin(j.Machine, cpus[i%len(cpus)])
	if err == nil {
		return p.Release, nil
	}
	why := fmt.Errorf("engine: binding to a CPU: %w", err)
	j.Progress.unbound.CompareAndSwap(nil, &why)
	return func() error { return nil }, nil
}

// keepOff keeps the calling goroutine off the cores that hash, until release, if there
// are others.
func (j *job) keepOff() (release func()) {
	var hashing []topology.CPU
	for _, p := range j.Places {
		hashing = append(hashing, p.Hasher)
	}
	if len(hashing) > 0 {
		if p, err := topology.KeepOff(j.Machine, hashing...); err == nil {
			return func() { _ = p.Release() } // if it fails, the thread ends with its goroutine
		}
	}
	return func() {}
}

func (j *job) producerCPUs(h int) []topology.CPU {
	if len(j.Places) == 0 {
		return nil
	}
	return j.Places[h].Producers
}

func (j *job) hasherCPU(h int) []topology.CPU {
	if len(j.Places) == 0 {
		return nil
	}
	return []topology.CPU{j.Places[h].Hasher}
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
