package engine

import (
	"context"
	"sync"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// slotOf is the ring's slot of a run.
func (s *store) slotOf(run uint64) int { return int(run % uint64(s.slots)) }

// produce is a producer: it stages run after run until there are no more.
func (b *pipeline) produce(ctx context.Context, i int) error {
	release, err := b.job.place(b.job.producerCPUs(b.hasher), i)
	if err != nil {
		return err
	}
	defer release()
	s := b.store
	inLayer := s.runsInLayer()
	parents := make([]uint32, s.run*porep.Degree)
	list := make([]int32, s.run*porep.Degree)
	for {
		run := b.ring.Claim()
		inJob := run + b.begin/uint64(s.run)
		index, node := int(inJob/inLayer), inJob%inLayer*uint64(s.run)
		if index >= b.layers || !b.ring.Free(run) {
			return nil
		}
		if b.c.hook != nil {
			b.c.hook(b.hasher, run)
		}
		n := int(min(uint64(s.run), s.nodes-node))
		rows := parents[:n*porep.Degree]
		if err := b.job.parents[b.hasher].get(rows, node, s.first+index == 1); err != nil {
			return err
		}
		// Whoever cancels may have reasons to doubt what he gave.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := b.stage(list, run, index, node, rows); err != nil {
			return err
		}
		b.ring.Publish(run)
	}
}

// stage works out where the parents of a run lie and, as far as they are labelled,
// gets them closer to the hasher, unless that would be too late.
func (b *pipeline) stage(list []int32, run uint64, index int, node uint64, parents []uint32) error {
	s := b.store
	n := len(parents) / porep.Degree
	slot := s.slotOf(run)
	rows := b.rows.Slice(slot*s.run, slot*s.run+n)
	if s.window > 0 {
		window := s.position(index, node) / s.window
		if s.isClosing(index, node) {
			window++ // in whose place parents are put aside; the one before was listed earlier
		}
		if !b.flow.Wait(&b.flow.Back, func() bool { return s.far.of(window).listed.Load() == window+1 }) {
			return nil
		}
	}
	if err := s.locate(rows, index, node, parents); err != nil {
		return err
	}
	if b.c.Staging != Inline && !b.isLate(run) {
		b.bringClose(list, rows, slot, index, node, parents)
	}
	if slot == 0 {
		// The hasher prefetches past the last slot's rows: the first ones follow.
		behind := b.rows.Slice(s.slots*s.run, b.rows.Len())
		behind.Copy(rows)
	}
	return nil
}

// isLate says whether the hasher has hardly anything left. Then it is better off with a
// run as it is, now, than with one whose labels are close by: without parents it cannot
// go on at all. In a ring of fewer than 8 slots, no run is late.
func (b *pipeline) isLate(run uint64) bool {
	return run < b.ring.Released()+uint64(b.store.slots)/8
}

// bringClose gets the labels of a run's parents, those that are there, into the
// shared cache, all at once so that the misses overlap, and with Producers copies
// them into the slot: the hasher then reads from memory that is small enough for its
// TLB, whereas layers are not. List has room for all of a run's parents.
func (b *pipeline) bringClose(list []int32, rows sha256.Rows, slot, index int, node uint64, parents []uint32) {
	s := b.store
	// What is there now: looked at once, since it only grows.
	labelled := max(b.flow.Labelled.Load(), s.position(index, 0)) - s.position(index, 0)
	key := s.first+index > 1 && b.flow.Key.Load() >= int64(index)
	far := s.window > 0 && s.far.ready(s.position(index, node)/s.window)
	n := 0
	for at := 0; at < len(parents); at += porep.Degree {
		child := node + uint64(at/porep.Degree)
		for i, p := range parents[at:][:porep.BaseDegree] {
			there := uint64(p) < labelled
			if s.isFar(child, p) {
				there = far
			}
			// Written in any case: half of these branches would be mispredicted.
			list[n] = int32(at + i)
			if there {
				n++
			}
		}
		if key {
			for i := porep.BaseDegree; i < porep.Degree; i++ {
				list[n] = int32(at + i)
				n++
			}
		}
	}
	list = list[:n]
	if b.c.Staging == Hybrid {
		rows.Prefetch(b.kernel, list)
	} else {
		size := s.run * porep.Degree * b.kernel.Stride()
		rows.Stage(b.kernel, list, b.staged[slot*size:][:size])
	}
}

// sharedParents are the parents of runs that some hasher's producer worked out and
// those of others, a little behind, can use: all hashers go through the same graph.
// Whoever finds his run missing works it out. Whoever finds that somebody is at it
// works out one of the next meanwhile: nobody waits, and two that go side by side
// share the work. (Where they waited for each other, at a lock for each run, waking
// threads cost more than the parents.)
type sharedParents struct {
	source ParentSource
	run    uint64 // nodes in a run
	nodes  uint64
	places []sharedRun // none if there is only one hasher, or the source only reads
}

// A sharedRun is one place: that of every run whose number, modulo how many there
// are, is its index.
type sharedRun struct {
	mu      sync.Mutex
	first   uint64
	full    bool // all parents, not only base parents
	parents []uint32
	_       [64]byte
}

const (
	// sharedAhead is how many of the next runs a producer looks at for something
	// to do.
	sharedAhead = 8
	// sharedNodes are kept, 59 MB of parents: a second or more of labels. A hasher whose
	// core or memory is slower for a while falls so far behind and still finds them.
	sharedNodes = 1 << 20
)

func sharedPlaces(s shape) int {
	return max(2*s.slots, min(sharedNodes, int(s.nodes))/s.run) + sharedAhead
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
		p.run, p.nodes = uint64(s.run), s.nodes
		p.places = make([]sharedRun, sharedPlaces(s))
		for i := range p.places {
			p.places[i].first = ^uint64(0)
		}
	}
	return p
}

// get works out the parents of a run, or only its base parents.
func (p *sharedParents) get(dst []uint32, first uint64, onlyBase bool) error {
	if len(p.places) == 0 {
		return p.compute(dst, first, onlyBase)
	}
	for {
		if got, err := p.try(dst, first, onlyBase); got || err != nil {
			return err
		}
		helped := false
		for ahead := uint64(1); ahead <= sharedAhead && !helped; ahead++ {
			next := first + ahead*p.run
			if next >= p.nodes {
				break
			}
			var err error
			if helped, err = p.prepare(next, int(min(p.run, p.nodes-next)), onlyBase); err != nil {
				return err
			}
		}
		if !helped {
			return p.compute(dst, first, onlyBase)
		}
	}
}

func (p *sharedParents) place(first uint64) *sharedRun {
	return &p.places[first/p.run%uint64(len(p.places))]
}

// has says whether the place has a run's parents, n nodes'.
func (r *sharedRun) has(first uint64, n int, onlyBase bool) bool {
	return r.first == first && len(r.parents) == n*porep.Degree && (r.full || onlyBase)
}

// try gets a run's parents unless somebody is at them now.
func (p *sharedParents) try(dst []uint32, first uint64, onlyBase bool) (got bool, err error) {
	r, n := p.place(first), len(dst)/porep.Degree
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

// prepare works out a run for whoever comes to it, unless it is there, or somebody is
// at it.
func (p *sharedParents) prepare(first uint64, n int, onlyBase bool) (did bool, err error) {
	r := p.place(first)
	if !r.mu.TryLock() {
		return false, nil
	}
	defer r.mu.Unlock()
	if r.has(first, n, onlyBase) {
		return false, nil
	}
	return true, p.fill(r, first, n, onlyBase)
}

func (p *sharedParents) fill(r *sharedRun, first uint64, n int, onlyBase bool) error {
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
