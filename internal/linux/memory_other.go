//go:build !linux

package linux

import (
	"errors"
	"os"
	"unsafe"
)

// Map returns size bytes of zeroed memory, page-aligned: on the Go heap, for want of better.
func Map(size int) ([]byte, error) {
	b := make([]byte, size+PageSize)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (PageSize - 1)
	return b[skip:][:size:size], nil
}

// MapHidden is Map: nothing can be hidden.
func MapHidden(size int) ([]byte, error) { return Map(size) }

// MapHuge is not supported.
func MapHuge(int, uint64) ([]byte, error) { return nil, errors.ErrUnsupported }

// MapFile is not supported.
func MapFile(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// MapPart is not supported.
func MapPart(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// MapFileAt is not supported.
func MapFileAt(*os.File, []byte) error { return errors.ErrUnsupported }

// Unmap does nothing: the collector takes the memory back.
func Unmap([]byte) error { return nil }

// Move is not supported.
func Move(mem, to []byte) error { return errors.ErrUnsupported }

// Hide does nothing: the memory stays readable.
func Hide([]byte) error { return nil }

// Show does nothing: nothing was hidden.
func Show([]byte) error { return nil }

// Retire does nothing: the collector takes the memory back.
func Retire([]byte) error { return nil }

// AdviseHuge is not supported.
func AdviseHuge([]byte) error { return errors.ErrUnsupported }

// AdviseSmall is not supported.
func AdviseSmall([]byte) error { return errors.ErrUnsupported }

// PopulateRead is not supported.
func PopulateRead([]byte) error { return errors.ErrUnsupported }

// Populate is not supported.
func Populate([]byte) error { return errors.ErrUnsupported }

// The policies have no meaning.
const (
	PolicyDefault = iota
	PolicyPrefer
	PolicyBind
)

// SetPolicy is not supported.
func SetPolicy(mem []byte, policy int, nodes ...int) error { return errors.ErrUnsupported }

// SetHome is not supported.
func SetHome([]byte, int) error { return errors.ErrUnsupported }

// NUMANodeUnknown stands for the NUMA node of a page that is not there yet.
const NUMANodeUnknown = -1

// PageNUMANodes is not supported.
func PageNUMANodes([]uintptr, []int32) error { return errors.ErrUnsupported }

// HugeBytes is not supported.
func HugeBytes([]byte) (uint64, error) { return 0, errors.ErrUnsupported }

// Unlimited is a limit that is none.
const Unlimited = ^uint64(0)

// MemoryLimits is not supported.
func MemoryLimits() (addressSpace, data uint64, err error) { return 0, 0, errors.ErrUnsupported }

// ErrNotHugeTLBFS says that a directory is on another kind of file system.
var ErrNotHugeTLBFS = errors.New("not on a hugetlbfs")

// HugeTLBFSPage is not supported.
func HugeTLBFSPage(string) (uint64, error) { return 0, errors.ErrUnsupported }

// HugeTLBFSPageOf is not supported.
func HugeTLBFSPageOf(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }
