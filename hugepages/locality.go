package hugepages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
)

// A Locality says on which NUMA nodes a region's pages are.
type Locality struct {
	Binding    Binding // where they should be
	Among      []int   // which they should not leave; nil for all
	Pages      uint64  // in the region; small pages for Transparent, which may be either
	Checked    uint64  // pages that the kernel was asked about: Pages, or the sample
	Local      uint64  // checked and on that node; for any, on one of Among, or all that are known
	Wrong      uint64  // checked and on another
	Unknown    uint64  // not there yet, or the kernel would not say: Err
	ByNUMANode map[int]uint64
	Err        error // why pages are unknown or not bound; nil if they are only not there yet
}

func (p Locality) String() string {
	where := "any NUMA node"
	if n, ok := p.Binding.Number(); ok {
		where = nodesText([]int{n})
	} else if len(p.Among) > 0 {
		where = nodesText(p.Among)
	}
	s := fmt.Sprintf("%d of %d pages checked: %d on %s, %d elsewhere, %d unknown", p.Checked, p.Pages, p.Local, where, p.Wrong, p.Unknown)
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	return s
}

// place says which nodes pages are to come from, until Populate comes and where it cannot have them as
// it should: rather from another node than not at all, but from none that is not among
// those allowed.
func (r *Region) place() error {
	node, bound := r.o.Binding.Number()
	switch {
	case len(r.o.Among) > 0:
		if err := linux.SetPolicy(r.room, linux.PolicyBind, r.o.Among...); err != nil {
			return &BindError{slices.Clone(r.o.Among), err}
		}
		if bound {
			_ = linux.SetHome(r.room, node) // or the nearest to the thread that populates, which is on that node
		}
	case bound:
		if err := linux.SetPolicy(r.room, linux.PolicyPrefer, node); err != nil {
			return &BindError{[]int{node}, err}
		}
	}
	return nil
}

// Locality is what Verify found last, which Populate calls; until then nothing
// is known.
func (r *Region) Locality() Locality {
	if p := r.locality.Load(); p != nil {
		return *p
	}
	pages := roundup.To(r.o.Size, r.page()) / r.page()
	return Locality{Binding: r.o.Binding, Among: r.o.Among, Pages: pages, Err: r.bound}
}

// hugeBytes is how much of the region is on huge pages by now; of Transparent
// ones that is the kernel's choice. The caller has r.mu.
func (r *Region) hugeBytes() (uint64, error) {
	switch {
	case r.freed:
		return 0, fmt.Errorf("hugepages: measuring %d bytes: %w", r.o.Size, ErrFreed)
	case r.huge():
		return uint64(len(r.room)), nil
	}
	n, err := linux.HugeBytes(r.room)
	if err != nil { // an older kernel: it walks all of the process's memory
		first := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(r.room))))
		n, err = r.system.hugeBytes(first, first+uint64(len(r.room)))
	}
	if err != nil {
		return 0, fmt.Errorf("hugepages: measuring %d bytes: %w", r.o.Size, err)
	}
	return n, nil
}

// A Backing says what pages a region has: what is, not what was asked for.
type Backing struct {
	Pages Pages  // the kind that Alloc got, as Region.Pages
	Bytes uint64 // of the region, whole pages
	Huge  uint64 // of these, on huge pages
	// NoHuge is why none of them are transparent huge pages although those were tried.
	NoHuge error
	// Files are those of Options.Files that the region is made of.
	Files []FileInfo
	// NoFiles is what Region.NotInFiles says.
	NoFiles error
	Err     error // why Huge is not known
}

// Backing counts what pages the region has by now. After Populate they are all there.
func (r *Region) Backing() Backing {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := Backing{Pages: r.pages, Bytes: roundup.To(r.o.Size, r.page())}
	b.Huge, b.Err = r.hugeBytes()
	for _, refused := range r.refused {
		if refused.Pages == Transparent {
			b.NoHuge = refused.Err
		}
	}
	b.NoFiles = r.noFiles
	for _, f := range r.files {
		b.Files = append(b.Files, f.FileInfo)
	}
	return b
}

// hugeShare is the part of the region that is on huge pages, from 0 to 1.
func (b Backing) hugeShare() float64 {
	if b.Bytes == 0 {
		return 0
	}
	return float64(b.Huge) / float64(b.Bytes)
}

func (b Backing) String() string {
	switch {
	case len(b.Files) > 0:
		return fmt.Sprintf("%v, in %s", b.Pages, FilesText(b.Files))
	case b.NoFiles != nil:
		return fmt.Sprintf("%s; in no files: %v", b.pagesText(), b.NoFiles)
	}
	return b.pagesText()
}

func (b Backing) pagesText() string {
	percent := int(100 * b.hugeShare())
	switch {
	case b.Pages == Small && b.NoHuge != nil:
		return fmt.Sprintf("%v: no transparent huge pages: %v", Small, b.NoHuge)
	case b.Pages != Transparent:
		return b.Pages.String()
	case b.Err != nil:
		return fmt.Sprintf("%v, how many of it is not known: %v", Transparent, b.Err)
	case b.Huge == 0:
		return fmt.Sprintf("%v: the kernel made no transparent huge pages of them", Small)
	case percent == 0:
		return fmt.Sprintf("%v, less than 1 %% of it", Transparent)
	}
	return fmt.Sprintf("%v, %d %% of it", Transparent, percent)
}

// Verify asks the kernel on which NUMA nodes the pages are: all, or as many as
// Options.Sample says. In strict mode the error is a *LocalityError if any that
// was asked about is not, or not known to be, on the region's node.
func (r *Region) Verify(ctx context.Context) (Locality, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.freed {
		return Locality{}, fmt.Errorf("hugepages: verifying %d bytes: %w", r.o.Size, ErrFreed)
	}
	return r.verify(ctx)
}

// verifyBatch is how many pages the kernel is asked about at a time.
const verifyBatch = 4096

func (r *Region) verify(ctx context.Context) (Locality, error) {
	node, bound := r.o.Binding.Number()
	pages := uint64(len(r.room)) / r.page()
	p := Locality{Binding: r.o.Binding, Among: r.o.Among, Pages: pages, ByNUMANode: map[int]uint64{}, Err: r.bound}
	sample := pages
	if r.o.Sample > 0 {
		sample = min(pages, uint64(r.o.Sample))
	}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(r.room)))
	addresses := make([]uintptr, min(sample, verifyBatch))
	nodes := make([]int32, len(addresses))
	for p.Checked < sample {
		if ctx.Err() != nil {
			return p, fmt.Errorf("hugepages: verifying %d bytes: %w", r.o.Size, context.Cause(ctx))
		}
		n := min(uint64(len(addresses)), sample-p.Checked)
		for i := range n {
			addresses[i] = base + uintptr((p.Checked+i)*pages/sample*r.page())
		}
		if err := linux.PageNUMANodes(addresses[:n], nodes[:n]); err != nil {
			p.Err = errors.Join(r.bound, fmt.Errorf("asking where pages are: %w", err))
			p.Unknown += sample - p.Checked
			p.Checked = sample
			break
		}
		p.Checked += n
		for _, at := range nodes[:n] {
			switch {
			case at == linux.NUMANodeUnknown:
				p.Unknown++
				continue
			case bound && int(at) != node, !bound && len(r.o.Among) > 0 && !slices.Contains(r.o.Among, int(at)):
				p.Wrong++
			default:
				p.Local++
			}
			p.ByNUMANode[int(at)]++
		}
	}
	r.locality.Store(&p)
	if r.o.Strict && !r.o.anywhere() && p.Local < p.Checked {
		return p, &LocalityError{p}
	}
	return p, nil
}
