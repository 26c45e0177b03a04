// Package hugepages gives out large memory regions outside the Go heap: on the
// largest pages that can be had, on the NUMA node that is asked for, within the
// limits that the machine sets. Nothing is locked (mlock) and nothing is global.
//
// Limits show as errors of Alloc, before a page is touched: the resource limits
// of the process, the memory and hugetlb cgroups, the free memory of the machine
// and of the NUMA node, the free huge pages.
//
// A region prefers its NUMA node from the start. Populate binds it there and
// takes the pages, in parallel, by threads on that node, and Verify asks the kernel where
// they are. For pages of the kernel's pool, which are a fault (SIGBUS) if there is none
// when they are first touched, Alloc does all that. Pages that somebody has put into files on a
// hugetlbfs are used where they are: see Options.Files.
package hugepages

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Purpose says what memory is for; Accounting counts by it.
type Purpose string

// The purposes of an engine. Others are as good.
const (
	Layers  Purpose = "layers"
	Parents Purpose = "parents"
	Rings   Purpose = "rings"
	Buffers Purpose = "buffers"
)

// Pages is a kind of page.
type Pages uint8

// The kinds, from the largest to the smallest.
const (
	Huge1G      Pages = iota + 1 // 1 GiB pages of hugetlbfs, from the kernel's pool
	Huge2M                       // 2 MiB pages of hugetlbfs, from the kernel's pool
	Transparent                  // small pages, which the kernel makes huge where it can
	Small                        // pages of the size that the processor's tables have: 4 KiB on x86-64
)

// Size is the size of one page in bytes. For Transparent it is that of a huge
// page; where the kernel found none, small ones stand in.
func (p Pages) Size() uint64 {
	switch p {
	case Huge1G:
		return 1 << 30
	case Huge2M, Transparent:
		return 2 << 20
	}
	return uint64(linux.PageSize)
}

// A Binding is the NUMA node that a region is to be on; the zero Binding is any.
type Binding struct {
	number int
	bound  bool
}

// OnNUMANode binds to the NUMA node that the kernel gives this number.
func OnNUMANode(number int) Binding { return Binding{number, true} }

// Number is the kernel's number of the node; false means any node.
func (b Binding) Number() (int, bool) { return b.number, b.bound }

// Options say what Alloc is to get. Only Size must be given.
type Options struct {
	// Size in bytes, at least 1.
	Size uint64
	// Purpose is what Pool counts the region under. Default: none, "".
	Purpose Purpose
	// Binding is the NUMA node that the memory is to be on. Alloc refuses what has no
	// room there. Default: any.
	Binding Binding
	// Among are the NUMA nodes that memory may be on at all: if they have no room, it is an error, however
	// much others have. Where the system does not let memory be bound, Locality says so. They
	// cannot say where files' pages are, and Raise then needs Binding. Default: all.
	Among []int
	// Pages are the kinds of page to try, the best first; the first that can be
	// had is taken for the whole region. Default: Huge1G, Huge2M, Transparent,
	// Small, without those that would waste more than an eighth of Size.
	Pages []Pages
	// HugeTLBFS is a directory on a mounted hugetlbfs. Pages of that mount's size
	// then come from a file there that has no name any more, and are tried first.
	// Default: none, no mount is needed.
	HugeTLBFS string
	// Files are files on a hugetlbfs, which the caller has taken with TakeFiles. The region is
	// whole ones of them, those on its NUMA node first, and if they suffice takes nothing from
	// the machine; its bytes are what the files had. If they do not, Pages are tried, and
	// Backing says why. Default: none.
	Files *Files
	// Raise lets Alloc enlarge the kernel's pool of huge pages, on its NUMA node or on
	// all nodes, by what is missing, where the process may. Just as much is given
	// back, by Free at the latest. Default: the pool is used as it is.
	Raise bool
	// Strict makes it an error of Populate and Verify that a page is not, or not
	// known to be, on its NUMA node, and an error of Alloc that memory cannot be bound to
	// it. Default: Locality tells.
	Strict bool
	// Sample is how many pages, spread evenly, Verify asks the kernel about.
	// Default: every page.
	Sample int
	// Pool counts the region until it is freed, and may set a budget. Default: not
	// counted.
	Pool *Accounting

	// What follows is for tests.

	// cpus are the Linux CPU numbers that Populate's threads are bound to.
	// Default: those of Binding that this process may run on, or, for any node,
	// wherever the scheduler puts the threads.
	cpus []int
	// threads is how many threads Populate uses. Default: one for each of the
	// CPUs, or, for any node, for each that the process may use; at most 8.
	threads int
	// In a checked region, unreadable pages lie either side of the region's pages,
	// every byte is poisonByte at first instead of zero, and Free checks whether those
	// between the end of the region and that of its last page still are, then leaves
	// the addresses unreadable instead of to others. In a program that the race
	// detector watches, the memory is of the Go heap, the only one that the
	// detector sees, on Small pages; Free counts as a write of every byte.
	checked bool
}

// anywhere reports whether memory may be on any NUMA node.
func (o *Options) anywhere() bool {
	_, bound := o.Binding.Number()
	return !bound && len(o.Among) == 0
}

// poisonByte is what fresh bytes are in checked mode.
const poisonByte = 0xDB

// A Region is memory that the collector does not see: no Go pointer may be
// stored in it. It is zero at first, unless it lies in files. Populate and Verify may run while others
// use the bytes; Free comes after all of them.
type Region struct {
	o       Options
	system  system
	pages   Pages
	refused []Refusal // kinds of page that were tried before
	noFiles error     // why it is not in o.Files, if there are any
	bound   error     // why the region is not bound to its node, if that is so

	span     []byte // all addresses that are the region's
	room     []byte // of these, its pages
	bytes    []byte // of these, what was asked for
	counted  uint64 // bytes, by o.Pool
	promised uint64 // bytes that o.Pool expects to be touched yet
	raised   *raise // what the kernel's pool was enlarged by
	files    []*openFile

	locality atomic.Pointer[Locality]

	mu    sync.Mutex // Populate, Verify and Free come one after another
	freed bool
	steps []bool // which of them Populate has done
}

// ErrFreed says that a region was used after Free.
var ErrFreed = errors.New("the region is freed")

// Bytes is the region's memory, aligned to Pages().Size(). It is nil after Free.
func (r *Region) Bytes() []byte { return r.bytes }

// Pages is the kind of page that Alloc got. Of Transparent ones Backing says how many the
// kernel made.
func (r *Region) Pages() Pages { return r.pages }

// NotInFiles is why the region is not made of Options.Files although there are some.
func (r *Region) NotInFiles() error { return r.noFiles }

func (r *Region) huge() bool { return r.pages == Huge1G || r.pages == Huge2M }

// page is how large a page may be at least: a transparent one may turn out small.
func (r *Region) page() uint64 {
	if r.huge() {
		return r.pages.Size()
	}
	return Small.Size()
}

// An overrunError says that somebody wrote behind the end of a region, which only
// checked mode notices.
type overrunError struct {
	Size uint64 // of the region
	At   uint64 // the first byte that was written to
}

func (e *overrunError) Error() string {
	return fmt.Sprintf("hugepages: freeing %d bytes: byte %d, behind the end, was written to", e.Size, e.At)
}

// Free gives everything back. A second call does nothing. The error is what the kernel
// said; the region is freed all the same.
func (r *Region) Free() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.freed {
		return nil
	}
	r.freed = true
	var overrun error
	if r.o.checked {
		raceWrite(r.bytes)
		for i, b := range r.room[r.o.Size:] {
			if b != poisonByte {
				overrun = &overrunError{r.o.Size, r.o.Size + uint64(i)}
				break
			}
		}
	}
	err := r.release(r.o.checked)
	if err != nil {
		err = fmt.Errorf("hugepages: freeing %d bytes: %w", r.o.Size, err)
	}
	return errors.Join(overrun, err)
}
