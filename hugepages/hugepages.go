// Package hugepages gives out large memory regions outside the Go heap: on the
// largest pages that can be had, on the NUMA node that is asked for, within the
// limits that the machine sets. Nothing is locked (mlock) and nothing is global.
//
// Limits show as errors of Alloc, before a page is touched: the resource limits
// of the process, the memory and hugetlb cgroups, the free memory of the machine
// and of the NUMA node, the free huge pages. Pages of hugetlbfs are reserved by
// Alloc, so that touching them cannot fail.
//
// A region prefers its NUMA node from the start. Populate binds it there and
// takes the pages; Verify asks the kernel where they are.
package hugepages

import (
	"context"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Purpose says what memory is for; Accounting counts by it.
type Purpose string

// The purposes of an engine. Others are as good.
const (
	Layers  Purpose = "layers"
	Parents Purpose = "parents"
	Rings   Purpose = "rings"
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

// A Node is the NUMA node that a region is to be on; the zero Node is any.
type Node struct {
	number int
	bound  bool
}

// OnNode is the NUMA node that the kernel gives this number.
func OnNode(number int) Node { return Node{number, true} }

// Number is the kernel's number of the node; false means any node.
func (n Node) Number() (int, bool) { return n.number, n.bound }

// Options say what Alloc is to get. Only Size must be given.
type Options struct {
	// Size in bytes, at least 1.
	Size uint64
	// Purpose is what Pool counts the region under. Default: none, "".
	Purpose Purpose
	// Node is the NUMA node that the memory is to be on. Default: any.
	Node Node
	// Pages are the kinds of page to try, the best first; the first that can be
	// had is taken for the whole region. Default: Huge1G, Huge2M, Transparent,
	// Small, without those that would waste more than an eighth of Size.
	Pages []Pages
	// HugeTLBFS is a folder on a mounted hugetlbfs. Pages of that mount's size
	// then come from a file there that has no name any more, and are tried first.
	// Default: none, no mount is needed.
	HugeTLBFS string
	// Raise lets Alloc enlarge the kernel's pool of huge pages, on Node or on
	// all nodes, by what is missing, where the process may. Just as much is given
	// back, by Free at the latest. Default: the pool is used as it is.
	Raise bool
	// Strict makes it an error of Populate and Verify that a page is not, or not
	// known to be, on Node, and an error of Alloc that memory cannot be bound to
	// it. Default: Placement tells.
	Strict bool
	// CPUs are the Linux CPU numbers that Populate's threads are bound to.
	// Default: those of Node that this process may run on, or, for any node,
	// wherever the scheduler puts the threads.
	CPUs []int
	// Threads is how many threads Populate uses. Default: one for each of the
	// CPUs, at most 8; for any node, 1.
	Threads int
	// Sample is how many pages, spread evenly, Verify asks the kernel about.
	// Default: every page.
	Sample int
	// Pool counts the region until it is freed, and may set a budget. Default: not
	// counted.
	Pool *Accounting
	// Checked is for tests. Unreadable pages lie either side of the region, its
	// bytes are PoisonByte instead of zero, Free looks whether the bytes between the
	// end and the last page's end still are, and leaves the addresses
	// unreadable for ever (until then the bytes also stand for a part of the address
	// space). In a program that the race detector watches, the memory is from
	// the Go heap, the only one that the detector sees.
	Checked bool
}

// PoisonByte is what fresh bytes are in checked mode.
const PoisonByte = 0xDB

// A Region is memory that the collector does not see: no Go pointer may be
// stored in it. It is zero at first. Populate and Verify may run while others
// use the bytes; Free comes after all of them.
type Region struct {
	o      Options
	pages  Pages
	mapped []byte
	bytes  []byte
	why    []Refusal
}

// Alloc returns a region. Its pages are taken from the machine as they are
// touched, or by Populate. The error is an *OptionError if o makes no sense, a
// *HugeTLBFSError if the folder o.HugeTLBFS does not serve, ctx's cause, or an
// *AllocError.
func Alloc(ctx context.Context, o Options) (*Region, error) {
	const maxInt = int(^uint(0) >> 1)
	slack := Transparent.Size()
	if o.Size == 0 || o.Size > uint64(maxInt)-slack {
		return nil, &OptionError{"Size", o.Size, "at least 1 and less than the address space"}
	}
	mapped, err := linux.Map(int(o.Size + slack))
	if err != nil {
		return nil, &AllocError{o.Size, o.Purpose, []Refusal{{Transparent, err}}}
	}
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))) & int(slack-1)
	r := &Region{o: o, pages: Transparent, mapped: mapped, bytes: mapped[skip:][:o.Size:o.Size]}
	_ = linux.AdviseHuge(r.bytes)
	return r, nil
}

// Bytes is the region's memory, aligned to Pages().Size(). It is valid until Free.
func (r *Region) Bytes() []byte { return r.bytes }

// Pages is the kind of page that was had.
func (r *Region) Pages() Pages { return r.pages }

// Refused says which better kinds of page were tried, and why they could not be had.
func (r *Region) Refused() []Refusal { return r.why }

// populateStep is taken from the machine between two looks at whether to go on.
const populateStep = 32 << 20

// Populate takes all pages from the machine, roughly from the first to the last,
// until ctx is done, so that whoever uses the region does not wait for them.
// Others may use it meanwhile. If the region has a NUMA node, Verify follows.
//
// The error is ctx's cause; a *LimitError if the machine ran short of memory
// since Alloc; a *PopulateError; or one of Verify's. After any of them, the
// region is as good as without Populate.
func (r *Region) Populate(ctx context.Context) error {
	for mem := r.bytes; len(mem) > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(len(mem), populateStep)
		if linux.Populate(mem[:n]) != nil {
			return nil
		}
		mem = mem[n:]
	}
	return nil
}

// Verify asks the kernel on which NUMA nodes the pages are: all, or as many as
// Options.Sample says. In strict mode the error is a *PlacementError if any that
// was asked about is elsewhere, or not there yet.
func (r *Region) Verify(ctx context.Context) (Placement, error) {
	return Placement{}, nil
}

// Placement is what Verify found last.
func (r *Region) Placement() Placement { return Placement{} }

// Free gives everything back. A second call does nothing.
func (r *Region) Free() error {
	if r.mapped == nil {
		return nil
	}
	mapped := r.mapped
	r.mapped, r.bytes = nil, nil
	return linux.Unmap(mapped)
}
