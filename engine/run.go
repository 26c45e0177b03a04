package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/failure"
)

// Result is what a job reports.
type Result struct {
	// Kernel is the name of the kernel that labelled the first sector.
	Kernel string
	// Layers has an entry for each layer of each sector, in the order of sectors,
	// then layers.
	Layers []LayerStats
	// Memory is what each hasher got.
	Memory []MemoryStats
	// MemoryWay is the way that Budget mode went.
	MemoryWay MemoryWay
	// Rechecked is what was recomputed while labels were made.
	Rechecked Rechecked
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
	// Read and Written are bytes, of all that went together, that went from and to files meanwhile, in
	// Budget mode.
	Read, Written uint64
	// Pause is the time between the last label of the layer before and the first
	// of this one.
	Pause time.Duration
}

// MemoryStats is the memory of one hasher's layers.
type MemoryStats struct {
	Hasher   int
	Bytes    uint64
	Pages    hugepages.Pages
	Backing  hugepages.Backing // what pages these are, counted when the job ended
	Locality hugepages.Locality
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
// removed first, unless a manifest proves them (see Config.Resume): their length says nothing
// about whose they are.
//
// A sector that fails, because its disk is full for example, leaves those beside
// it alone: the error, a *SectorError for each, comes at the end. What fails
// otherwise, or ctx when it is done, ends the job within a second, as soon as the
// disk has taken what it was given last. Whatever the error, layer files that are
// there are complete and of this job, or of the one that has the cache dir, and memory,
// threads and locks are free. What is labelled of a layer is then on the disk, under the
// temporary name that the manifest beside it counts, and another Run goes on from there.
//
// Hashers never leave their threads: a program should have GOMAXPROCS at Config.Threads more than the
// machine's CPUs, or its other goroutines wait, and hashers for them.
func (r *Resolved) Run(ctx context.Context) (result Result, err error) {
	caller := ctx
	defer func() { err = failure.Returned(caller, err) }()
	j, err := newJob(r)
	if err != nil {
		return Result{}, err
	}
	var total uint64
	for _, s := range r.c.Sectors {
		total += uint64(r.last-s.First+1) * r.shape.nodes
	}
	r.c.Progress.slowed.Store(nil)
	r.c.Progress.unbound.Store(nil)
	r.c.Progress.rechecked.Store(0)
	r.c.Progress.recheckTime.Store(0)
	r.c.Progress.total.Store(total)
	r.c.Progress.hashers.Store(&j.counters)

	ctx, cancel := context.WithCancelCause(r.c.Patient(ctx))
	defer cancel(nil)
	regions, err := j.takeMemory(ctx)
	defer func() { err = errors.Join(err, free(regions)) }()
	if err == nil {
		err = j.startIndex(ctx)
	}
	if err != nil {
		for _, batches := range j.split {
			j.removeLayers(ctx, batches)
		}
		return j.result(nil, failure.Returned(ctx, err))
	}
	defer j.closeIndex()
	var wg sync.WaitGroup
	var drained atomic.Bool
	for h := range r.c.Hashers {
		failure.Go(&wg, cancel, func() {
			switch err := j.runHasher(ctx, h, regions[h]); {
			case errors.Is(err, ErrDrained):
				drained.Store(true) // others may still be at a layer
			case err != nil:
				cancel(failure.Inner(err))
			}
		})
	}
	wg.Wait()
	ended := context.Cause(ctx)
	if ended == nil && drained.Load() {
		ended = ErrDrained
	}
	result, err = j.result(regions, failure.Returned(caller, ended))
	if err == nil && errors.As(ended, new(*failure.Fault)) { // of a caller's function that is told when all is done
		err = fmt.Errorf("engine: labelling: %w", ended)
	}
	return result, err
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
	r := Result{Kernel: j.split[0][0].kernel.Name, Memory: statsOf(regions), MemoryWay: j.c.MemoryWay, Rechecked: j.c.Progress.Rechecked()}
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
		return &SectorError{i, j.c.Sectors[i].CacheDir, err}
	}
	return nil
}
