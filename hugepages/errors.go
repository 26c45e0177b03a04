package hugepages

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sdr-engine/sdr/internal/failure"
)

func (p Pages) String() string {
	switch p {
	case Huge1G:
		return "1 GiB pages"
	case Huge2M:
		return "2 MiB pages"
	case Transparent:
		return "transparent huge pages"
	case Small:
		return "small pages"
	}
	return fmt.Sprintf("Pages(%d)", uint8(p))
}

// An OptionError says what is wrong with Options.
type OptionError struct {
	Field string
	Value any
	Want  string
}

// Is reports whether target is the kind ErrBadInput.
func (e *OptionError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *OptionError) Error() string {
	return fmt.Sprintf("hugepages: allocating: %s %v, want %s", e.Field, e.Value, e.Want)
}

// A Refusal says why pages of one kind could not be had. Err is a *LimitError, a
// *BindError, or what the kernel said.
type Refusal struct {
	Pages Pages
	Err   error
}

// An AllocError says that a region could not be had on any kind of page.
type AllocError struct {
	Size     uint64
	Purpose  Purpose
	Refusals []Refusal // one for each kind that was tried
	NoFiles  error     // why Options.Files did not do, a *FilesError for example; nil if there are none
}

// Is reports whether target is the kind ErrNoMemory.
func (e *AllocError) Is(target error) bool { return target == failure.ErrNoMemory }

func (e *AllocError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "hugepages: allocating %d bytes", e.Size)
	if e.Purpose != "" {
		fmt.Fprintf(&b, " for %s", e.Purpose)
	}
	for i, r := range e.Refusals {
		fmt.Fprintf(&b, "%c %v: %v", ":;"[min(i, 1)], r.Pages, r.Err)
	}
	if e.NoFiles != nil {
		fmt.Fprintf(&b, "; files: %v", e.NoFiles)
	}
	return b.String()
}

// Unwrap returns the refusals' errors, and NoFiles.
func (e *AllocError) Unwrap() []error {
	errs := make([]error, len(e.Refusals))
	for i, r := range e.Refusals {
		errs[i] = r.Err
	}
	if e.NoFiles != nil {
		errs = append(errs, e.NoFiles)
	}
	return errs
}

// A Limit names what bounds memory.
type Limit string

// The limits that Alloc looks at.
const (
	LimitBudget       Limit = "budget"              // Accounting.Budget
	LimitAddressSpace Limit = "RLIMIT_AS"           // of the process
	LimitData         Limit = "RLIMIT_DATA"         // of the process
	LimitMemory       Limit = "available memory"    // of the machine
	LimitNode         Limit = "memory of NUMA node" // what a NUMA node has left
	LimitMemoryCgroup Limit = "memory cgroup"       // of one of the process's cgroups
	LimitHugeCgroup   Limit = "hugetlb cgroup"      // of one of the process's cgroups
	LimitHugePages    Limit = "free huge pages"     // of the machine or of a NUMA node
)

// A LimitError says that a region does not fit below a limit. Nothing was touched.
type LimitError struct {
	Limit Limit
	Where string // the file that says so, if there is one
	Want  uint64 // bytes
	Max   uint64 // bytes: the limit, or what is left where there is no other
	Used  uint64 // bytes of Max that are taken
}

// Is reports whether target is the kind ErrNoMemory.
func (e *LimitError) Is(target error) bool { return target == failure.ErrNoMemory }

func (e *LimitError) Error() string {
	where := ""
	if e.Where != "" {
		where = " (" + e.Where + ")"
	}
	left := e.Max - min(e.Used, e.Max)
	if left == e.Max {
		return fmt.Sprintf("%s%s: %d bytes wanted, %d left", e.Limit, where, e.Want, left)
	}
	return fmt.Sprintf("%s%s: %d bytes wanted, %d of %d left", e.Limit, where, e.Want, left, e.Max)
}

// A HugeTLBFSError says that a directory is no source of huge pages.
type HugeTLBFSError struct {
	Path string
	Err  error
}

// Is reports whether target is the kind ErrBadInput.
func (e *HugeTLBFSError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *HugeTLBFSError) Error() string {
	return fmt.Sprintf("hugepages: allocating from the hugetlbfs directory %s: %v", e.Path, e.Err)
}

func (e *HugeTLBFSError) Unwrap() error { return e.Err }

// A BindError says that memory could not be bound to a NUMA node, or kept to some of them.
type BindError struct {
	NUMANodes []int
	Err       error
}

func (e *BindError) Error() string {
	return fmt.Sprintf("binding to %s: %v", nodesText(e.NUMANodes), e.Err)
}

// nodesText names NUMA nodes.
func nodesText(nodes []int) string {
	if len(nodes) == 1 {
		return fmt.Sprintf("NUMA node %d", nodes[0])
	}
	return "NUMA nodes " + listText(nodes)
}

// listText writes numbers as parseList reads them.
func listText(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ",")
}

func (e *BindError) Unwrap() error { return e.Err }

// A PopulateError says that pages could not be taken from the machine.
type PopulateError struct {
	Offset uint64 // of the first byte that may be without a page
	Size   uint64 // of the region
	Err    error
}

func (e *PopulateError) Error() string {
	return fmt.Sprintf("hugepages: populating %d bytes, at byte %d: %v", e.Size, e.Offset, e.Err)
}

func (e *PopulateError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrNoMemory, or, where the kernel has found a page
// broken, ErrHardwareSuspect.
func (e *PopulateError) Is(target error) bool {
	if errors.Is(failure.OfSystem(e.Err), failure.ErrHardwareSuspect) {
		return target == failure.ErrHardwareSuspect
	}
	return target == failure.ErrNoMemory
}

// A LocalityError says that pages are not where strict mode wants them.
type LocalityError struct {
	Locality Locality
}

// Is reports whether target is the kind ErrNoMemory.
func (e *LocalityError) Is(target error) bool { return target == failure.ErrNoMemory }

func (e *LocalityError) Error() string {
	return fmt.Sprintf("hugepages: verifying locality: %v", e.Locality)
}
