// Package reserve takes cores and memory from the whole machine, not just from
// this process: processes that know nothing of each other never hash on the same
// core and never plan for the same memory.
//
// Those that share a machine share a lock directory, /run/sdrbench or a mount of it
// in their containers. A core has a lock file there, named after the lowest of
// its CPUs that are online, core-12.lock; take that CPU offline, or bring a lower
// one back, only while no job runs. Who holds the file's flock holds the core; the
// kernel gives it back when the process ends, however it ends. The file says who
// that is, in JSON, for people and for other jobs. What a file says is believed
// only while its lock is held, so nothing has to be cleaned up.
//
// All of a job's cores are taken, or none. This, and looking at who holds what, is
// done under one lock more, guard.lock, which is held for moments: two jobs never
// count the same room, and nobody mistakes an observer for a holder. Who does not get it
// within a second is told who has it, and gives up after a while: see Patience.
//
// Jobs that wait for cores, or memory, have turns there, which they take under the guard and
// which are served in that order: see Turn. Nothing keeps a job without a turn from
// taking what is free: those that play fair look at Waiting first.
//
// A job may say where it stands, in the same file: see Reservation.Tell and Patience.Look. Nothing but
// what people see depends on that.
//
// # Memory
//
// A job says how many bytes it will take from each pool: from a NUMA node's
// ordinary memory, or from its huge pages of one size. There is room in a pool for
//
//	free − Σ over the other jobs that live: max(0, planned − touched)
//
// bytes. Free is topology.Machine.FreeMemory at that moment; what is planned and
// not yet touched is still part of it. A job tells with Touched how much it has
// touched, after it has, or what will be left before it gives some back: in
// between memory counts twice, never not at all.
// It is told and not read from /proc/PID/numa_maps because that takes a walk over
// all of a job's pages, stops its page faults meanwhile, and shows other users
// nothing. It is written into the file of the job's lowest core, which counts.
package reserve

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/topology"
)

// DefaultDir is where the machine's jobs meet unless told otherwise.
const DefaultDir = "/run/sdrbench"

// Request is what a job wants.
type Request struct {
	// Cores are the cores' numbers, at least one: see
	// topology.Machine.CoreNumber. In any order, none of them twice.
	Cores []topology.CPU
	// Memory is how many bytes the job will touch in each pool. Default: none.
	Memory map[topology.MemoryPool]uint64
	// Job says what for, to people: "sector 17 of f01000".
	Job string
	// Progress is where it stands, as far as it can say so. Default: it says nothing.
	Progress Progress
}

// A Holder is a job that holds cores, as its lock files say.
type Holder struct {
	// Program is what runs it, for people: see Dir. It is "" if the record does not say.
	Program string `json:"program,omitempty"`
	Job     string `json:"job"`
	// PID is the process, in the process namespace of its own, and Start when it
	// started, in the kernel's clock ticks since boot. Both are 0 for a process that
	// locked a core's file without writing into it, with flock(1) for example.
	PID   int    `json:"pid"`
	Start uint64 `json:"process_start"`
	// ID tells the jobs of a process apart.
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	// Cores are the numbers of the cores it holds, ascending.
	Cores  []topology.CPU `json:"cores"`
	Memory []Memory       `json:"memory"`
	// Progress is where it stands; nil if the record does not say.
	Progress *Progress `json:"progress,omitempty"`
	// Turn is the number of its turn, if it waits for cores and memory, else 0.
	Turn uint64 `json:"-"`
	// Locker is who has the lock without having written into the file, as the kernel
	// says; zero if somebody has, or if the kernel does not say.
	Locker Process `json:"-"`
}

// Memory is what a job plans to take from a pool, and what it has taken, in bytes.
type Memory struct {
	Node     topology.NUMANodeID `json:"numa_node"`
	PageSize uint64              `json:"page_size"` // of huge pages, 0 for ordinary memory
	Planned  uint64              `json:"planned"`
	Touched  uint64              `json:"touched"`
}

func (m *Memory) pool() topology.MemoryPool {
	return topology.MemoryPool{NUMANode: m.Node, PageSize: m.PageSize}
}

// Who names the holder on one line: `process 4711, "sector 17"`.
func (h *Holder) Who() string {
	switch {
	case h.Locker.PID != 0:
		return fmt.Sprintf("a process that does not say who it is (%v)", h.Locker)
	case h.PID == 0:
		return "a process that does not say who it is"
	}
	return fmt.Sprintf("process %d, %q", h.PID, h.Job)
}

// Untouched is what jobs have planned for and not yet touched, in bytes: the
// part of the free memory that is theirs.
func Untouched(holders []Holder) map[topology.MemoryPool]uint64 {
	sum := map[topology.MemoryPool]uint64{}
	for _, h := range holders {
		for _, m := range h.Memory {
			left := m.Planned - min(m.Planned, m.Touched)
			sum[m.pool()] += min(left, ^uint64(0)-sum[m.pool()])
		}
	}
	return sum
}

// A HeldError says who holds the cores that were asked for. Each holder's Cores
// are those alone.
type HeldError struct {
	Holders []Holder
}

func (e *HeldError) Error() string {
	var parts []string
	for _, h := range e.Holders {
		what := "core "
		if len(h.Cores) > 1 {
			what = "cores "
		}
		parts = append(parts, what+topology.NewCPUSet(h.Cores...).String()+" by "+h.Who())
	}
	return "reserve: taking cores: held already: " + strings.Join(parts, "; ")
}

// A RoomError says that a pool has too little room, in bytes.
type RoomError struct {
	Pool topology.MemoryPool
	Want uint64
	Free uint64
	// Promised is what other jobs have planned for and not yet touched.
	Promised uint64
}

// Room is what could be had, in bytes.
func (e *RoomError) Room() uint64 { return e.Free - min(e.Free, e.Promised) }

func (e *RoomError) Error() string {
	kind := "memory"
	if e.Pool.PageSize > 0 {
		kind = fmt.Sprintf("huge pages of %d bytes", e.Pool.PageSize)
	}
	return fmt.Sprintf("reserve: taking memory: %s of NUMA node %d: want %d bytes, there is room for %d (%d free, %d promised to other jobs)",
		kind, e.Pool.NUMANode, e.Want, e.Room(), e.Free, e.Promised)
}

// A RequestError says what is wrong with a request.
type RequestError struct {
	Reason string
}

func (e *RequestError) Error() string { return "reserve: checking request: " + e.Reason }

func (q *Request) check() error {
	if len(q.Cores) == 0 {
		return &RequestError{"no cores"}
	}
	seen := map[topology.CPU]bool{}
	for _, c := range q.Cores {
		if c < 0 || c >= topology.MaxCPUs {
			return &RequestError{fmt.Sprintf("core %d is not between 0 and %d", c, topology.MaxCPUs-1)}
		}
		if seen[c] {
			return &RequestError{fmt.Sprintf("core %d is there twice", c)}
		}
		seen[c] = true
	}
	return nil
}

// checkRoom compares what is wanted with what is free now and not promised.
// Holders were looked at before: a job that touches its memory in between makes
// the room look smaller, never larger.
func checkRoom(root string, want map[topology.MemoryPool]uint64, holders []Holder) error {
	m, err := topology.ReadRoot(root)
	if err != nil {
		return fmt.Errorf("reserve: looking for room: %w", err)
	}
	free, promised := m.FreeMemory(topology.MemoryNodes{All: true}), Untouched(holders)
	var errs []error
	for _, pool := range topology.SortedPools(want) {
		e := &RoomError{pool, want[pool], free[pool], promised[pool]}
		if e.Want > e.Room() {
			errs = append(errs, e)
		}
	}
	return errors.Join(errs...)
}

// A Dir is a lock directory of a machine.
type Dir struct {
	// Patience is how those who take wait for the guard.
	Patience Patience
	// Program is what people see of this process: "sdrbench pc1". Default: nothing.
	Program string

	path, root string
}

// Open makes sure that path can be used as a lock directory, and makes it if only
// its last element is missing. Root is where free memory is read: "/" but in
// tests, a directory with sys and proc. The error is a *DirError.
func Open(path, root string) (*Dir, error) {
	f, err := openDirectory(path, true)
	if err != nil {
		return nil, err
	}
	defer f.close()
	guard, err := f.openLock(guardFile, true)
	if err != nil {
		return nil, err
	}
	guard.Close()
	if path, err = filepath.Abs(path); err != nil { // whatever becomes of the working directory
		return nil, fmt.Errorf("reserve: using lock directory: %w", err)
	}
	return &Dir{path: path, root: root}, nil
}

// Held lists the jobs that hold cores in the lock directory at path, by their lowest
// core. It may be a directory that only others may write into; if there is none,
// nothing is held. Held waits for the guard, until ctx is done or it has no patience left:
// then the error is a *GuardError.
func (p Patience) Held(ctx context.Context, path string) ([]Holder, error) {
	f, err := p.enter(ctx, path, false)
	if errors.Is(err, errNobody) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.leave()
	return f.holders(nil)
}

// Held is Patience.Held with the default patience.
func Held(ctx context.Context, path string) ([]Holder, error) { return Patience{}.Held(ctx, path) }

// Held is Patience.Held for this directory.
func (d *Dir) Held(ctx context.Context) ([]Holder, error) { return d.Patience.Held(ctx, d.path) }
