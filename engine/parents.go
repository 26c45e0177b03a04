package engine

import (
	"sync"
	"unsafe"

	"github.com/sdr-engine/sdr/porep"
)

// sharedParents are the parents of spans that some hasher's producer worked out and
// those of others, a little behind, can use: all hashers go through the same graph.
// A producer that finds its span missing works it out. One that finds that somebody is at it
// works out one of the next meanwhile: nobody waits, and two that go side by side
// share the work. (Where they waited for each other, at a lock for each span, waking
// threads cost more than the parents.)
type sharedParents struct {
	source  ParentSource
	stride  uint64 // nodes in a span
	nodes   uint64
	entries []sharedSpan // none if there is only one hasher, or the source only reads
}

// A sharedSpan is one entry: that of every span whose number, modulo how many there
// are, is its index.
type sharedSpan struct {
	mu      sync.Mutex
	first   uint64
	full    bool // all parents, not only base parents
	parents []uint32
	_       [64]byte
}

const (
	// sharedAhead is how many of the next spans a producer looks at for something
	// to do.
	sharedAhead = 8
	// sharedNodes are kept, 59 MB of parents: a second or more of labels. A hasher whose
	// core or memory is slower for a while falls so far behind and still finds them.
	sharedNodes = 1 << 20
)

func sharedEntries(s shape) int {
	if s.forward != nil { // memory is what is short, and base parents, which is all it wants, are soon drawn again
		return 2*s.slots + sharedAhead
	}
	return max(2*s.slots, min(sharedNodes, int(s.nodes))/s.stride) + sharedAhead
}

// shares reports whether hashers hand on parents from a source: those that are computed. To
// read them from memory costs as much as the copy that would save it. A source that is
// not there yet will be the graph.
func (c *Config) shares(source ParentSource) bool {
	_, computed := source.(BaseSource)
	return c.Hashers > 1 && (computed || source == nil)
}

func newSharedParents(source ParentSource, r *Resolved) *sharedParents {
	p := &sharedParents{source: source}
	if r.c.shares(source) {
		s := r.shape
		p.stride, p.nodes = uint64(s.stride), s.nodes
		p.entries = make([]sharedSpan, sharedEntries(s))
		for i := range p.entries {
			p.entries[i].first = ^uint64(0)
		}
	}
	return p
}

// get works out the parents of a span, or only its base parents.
func (p *sharedParents) get(dst []uint32, first uint64, onlyBase bool) error {
	if len(p.entries) == 0 {
		return p.compute(dst, first, onlyBase)
	}
	for {
		if got, err := p.try(dst, first, onlyBase); got || err != nil {
			return err
		}
		helped := false
		for ahead := uint64(1); ahead <= sharedAhead && !helped; ahead++ {
			next := first + ahead*p.stride
			if next >= p.nodes {
				break
			}
			var err error
			if helped, err = p.prepare(next, int(min(p.stride, p.nodes-next)), onlyBase); err != nil {
				return err
			}
		}
		if !helped {
			return p.compute(dst, first, onlyBase)
		}
	}
}

func (p *sharedParents) entry(first uint64) *sharedSpan {
	return &p.entries[first/p.stride%uint64(len(p.entries))]
}

// has reports whether the entry has a span's parents, n nodes'.
func (r *sharedSpan) has(first uint64, n int, onlyBase bool) bool {
	return r.first == first && len(r.parents) == n*porep.Degree && (r.full || onlyBase)
}

// try gets a span's parents unless somebody is at them now.
func (p *sharedParents) try(dst []uint32, first uint64, onlyBase bool) (got bool, err error) {
	r, n := p.entry(first), len(dst)/porep.Degree
	if !r.mu.TryLock() {
		return false, nil
	}
	defer r.mu.Unlock()
	if !r.has(first, n, onlyBase) {
		if err := p.fill(r, first, n, onlyBase); err != nil {
			return false, err
		}
	}
	copy(dst, r.parents)
	return true, nil
}

// prepare works out a span for those that come to it, unless it is there, or somebody is
// at it.
func (p *sharedParents) prepare(first uint64, n int, onlyBase bool) (did bool, err error) {
	r := p.entry(first)
	if !r.mu.TryLock() {
		return false, nil
	}
	defer r.mu.Unlock()
	if r.has(first, n, onlyBase) {
		return false, nil
	}
	return true, p.fill(r, first, n, onlyBase)
}

func (p *sharedParents) fill(r *sharedSpan, first uint64, n int, onlyBase bool) error {
	if cap(r.parents) < n*porep.Degree {
		r.parents = make([]uint32, n*porep.Degree)
	}
	r.parents = r.parents[:n*porep.Degree]
	r.first = ^uint64(0) // nothing, should it fail
	if err := p.compute(r.parents, first, onlyBase); err != nil {
		return err
	}
	r.first, r.full = first, !onlyBase
	return nil
}

func (p *sharedParents) compute(dst []uint32, first uint64, onlyBase bool) error {
	if onlyBase {
		return baseParents(p.source, dst, first)
	}
	return p.source.Parents(dst, first)
}

func baseParents(source ParentSource, dst []uint32, first uint64) error {
	if b, ok := source.(BaseSource); ok {
		return b.BaseParents(dst, first)
	}
	return source.Parents(dst, first)
}

// sharedBytes is the memory of the parents that hashers share.
func sharedBytes(s shape) uint64 {
	const parent = 4
	entries := uint64(sharedEntries(s))
	return entries*uint64(unsafe.Sizeof(sharedSpan{})) + min(entries*uint64(s.stride), s.nodes)*porep.Degree*parent
}
