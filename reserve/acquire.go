package reserve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/topology"
)

// A Reservation holds cores and memory until Release, or until the process ends. It
// must be kept until then. Its methods may be called from many goroutines.
type Reservation struct {
	dir      string
	patience Patience

	mu     sync.Mutex
	holder Holder
	room   int        // of its record, in bytes
	files  []*os.File // locked, of the holder's cores; none after Release
}

// Acquire takes all that q asks for or nothing. It waits for nobody but, for a
// moment and until ctx is done, for the guard. The error is a *HeldError if
// another job has one of the cores, a *RoomError or several joined if the memory
// does not fit, a *GuardError if somebody holds the guard for longer than d.Patience has,
// a *RequestError or a *DirError.
func (d *Dir) Acquire(ctx context.Context, q Request) (*Reservation, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	f, err := d.Patience.enter(ctx, d.path, true)
	if err != nil {
		return nil, err
	}
	defer f.leave()

	start, _ := startOf("self")
	r := &Reservation{dir: d.path, patience: d.Patience, holder: Holder{
		Program: d.Program, Job: q.Job, PID: os.Getpid(), Start: start, ID: rand.Text(), Since: time.Now().UTC().Truncate(time.Second),
		Cores: slices.Sorted(slices.Values(q.Cores)), Memory: []Memory{},
	}}
	for _, pool := range topology.SortedPools(q.Memory) {
		r.holder.Memory = append(r.holder.Memory, Memory{pool.NUMANode, pool.PageSize, q.Memory[pool], 0})
	}
	if p := q.Progress; p != (Progress{}) {
		p.clean()
		r.holder.Progress = &p
	}
	r.room = roomFor(&r.holder)
	if err := r.take(f, d.root, q.Memory); err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

// take locks the cores in ascending order, sees whether the memory fits, and
// writes down who holds them.
func (r *Reservation) take(f *directory, root string, memory map[topology.MemoryPool]uint64) error {
	var others []heldCore
	for _, core := range r.holder.Cores {
		file, err := f.openLock(coreFile(core), true)
		if err != nil {
			return err
		}
		err = linux.TryLock(file)
		if err == nil {
			r.files = append(r.files, file)
			continue
		}
		if errors.Is(err, linux.ErrLocked) {
			others = append(others, heldCore{core, readHolder(file, core)})
			err = nil
		}
		file.Close()
		if err != nil {
			return f.failed("locking "+coreFile(core), err)
		}
	}
	if len(others) > 0 {
		return &HeldError{byJob(others)}
	}
	if len(memory) > 0 {
		peers, err := f.holders(r.holder.Cores)
		if err != nil {
			return err
		}
		if err := checkRoom(root, memory, peers); err != nil {
			return err
		}
	}
	for _, file := range r.files {
		if err := writeHolder(file, &r.holder, r.room, false); err != nil {
			return f.failed("writing", err)
		}
	}
	return nil
}

// Touched tells the other jobs that so many bytes of what was planned for a pool
// have been touched, in all: they show as not free, so they are promised no more.
// Call it after memory was touched, and before memory that will be touched again is
// given back, so that others never see too much room. It waits for the guard,
// until ctx is done.
func (r *Reservation) Touched(ctx context.Context, pool topology.MemoryPool, bytes uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.holder.Memory, func(m Memory) bool { return m.pool() == pool })
	switch {
	case len(r.files) == 0:
		return &RequestError{"memory touched after the release"}
	case i < 0:
		return &RequestError{fmt.Sprintf("memory touched on NUMA node %d, in pages of %d bytes: none was planned", pool.NUMANode, pool.PageSize)}
	}
	f, err := r.patience.enter(ctx, r.dir, true)
	if err != nil {
		return err
	}
	defer f.leave()
	r.holder.Memory[i].Touched = bytes
	if err := writeHolder(r.files[0], &r.holder, r.room, false); err != nil {
		return f.failed("writing", err)
	}
	return nil
}

// Release gives everything back. A second call does nothing.
func (r *Reservation) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The lowest core goes last: its file counts for the job's memory.
	for _, file := range slices.Backward(r.files) {
		_ = linux.Unlock(file) // closing it does the same, if perhaps later
		file.Close()
	}
	r.files = nil
}
