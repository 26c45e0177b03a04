// Package hugepages gives out large memory regions outside the Go heap, on huge
// pages where they can be had.
package hugepages

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
)

// hugePage is the size, and alignment, of a transparent huge page on x86-64 and
// on arm64 with 4 KiB pages.
const hugePage = 2 << 20

// A Region is zeroed memory that the collector does not see: no Go pointer may
// be stored in it.
type Region struct {
	mapped []byte // with slack for the alignment
	bytes  []byte
}

// An AllocError says that a region could not be had.
type AllocError struct {
	Size uint64
	Err  error
}

func (e *AllocError) Error() string {
	return fmt.Sprintf("hugepages: allocating %d bytes: %v", e.Size, e.Err)
}

func (e *AllocError) Unwrap() error { return e.Err }

// Alloc returns a region of size bytes, at least one. The pages are taken from
// the machine as they are touched, or by Populate. The error is an *AllocError.
func Alloc(size uint64) (*Region, error) {
	const maxInt = int(^uint(0) >> 1)
	if size == 0 || size > uint64(maxInt)-hugePage {
		return nil, &AllocError{size, fmt.Errorf("not between 1 and %d", maxInt-hugePage)}
	}
	mapped, err := linux.Map(int(size) + hugePage)
	if err != nil {
		return nil, &AllocError{size, err}
	}
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))) & (hugePage - 1)
	r := &Region{mapped, mapped[skip:][:size:size]}
	// Without huge pages the region works, only slower.
	_ = linux.AdviseHuge(r.bytes)
	return r, nil
}

// Bytes is the region's memory, aligned to 2 MiB. It is valid until Free.
func (r *Region) Bytes() []byte { return r.bytes }

// populateStep is taken from the machine between two looks at whether to go on.
const populateStep = 32 << 20

// Populate takes all pages from the machine, from the first to the last, until
// ctx is done, so that whoever uses the region does not wait for them. Others may
// use it meanwhile. Where the system has no such call it does nothing.
func (r *Region) Populate(ctx context.Context) {
	for mem := r.bytes; len(mem) > 0 && ctx.Err() == nil; {
		n := min(len(mem), populateStep)
		if linux.Populate(mem[:n]) != nil {
			return // the pages come as they are touched
		}
		mem = mem[n:]
	}
}

// Free gives the memory back. A second call does nothing.
func (r *Region) Free() error {
	if r.mapped == nil {
		return nil
	}
	mapped := r.mapped
	r.mapped, r.bytes = nil, nil
	if err := linux.Unmap(mapped); err != nil {
		return fmt.Errorf("hugepages: freeing %d bytes: %w", len(mapped), err)
	}
	return nil
}
