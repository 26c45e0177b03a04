package hugepages

import "fmt"

// A Placement says on which NUMA nodes a region's pages are.
type Placement struct {
	Node    Node   // where they should be
	Pages   uint64 // in the region; small pages for Transparent, which may be either
	Checked uint64 // pages that the kernel was asked about: Pages, or the sample
	Local   uint64 // checked and on Node; for any node, all that are known
	Wrong   uint64 // checked and on another
	Unknown uint64 // not there yet, or the kernel would not say: Err
	ByNode  map[int]uint64
	Err     error // why pages are unknown or not bound; nil if they are only not there yet
}

// LocalShare is the part of the checked pages that are on Node, from 0 to 1.
func (p Placement) LocalShare() float64 {
	if p.Checked == 0 {
		return 0
	}
	return float64(p.Local) / float64(p.Checked)
}

// Sampled says whether not every page was checked.
func (p Placement) Sampled() bool { return p.Checked < p.Pages }

func (p Placement) String() string {
	where := "any NUMA node"
	if n, ok := p.Node.Number(); ok {
		where = fmt.Sprintf("NUMA node %d", n)
	}
	s := fmt.Sprintf("%d of %d pages checked: %d on %s, %d elsewhere, %d unknown", p.Checked, p.Pages, p.Local, where, p.Wrong, p.Unknown)
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	return s
}
