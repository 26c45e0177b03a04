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
func (b *batchRun) produce(i int) error {
	release, err := b.job.place(b.job.producerCPUs(b.hasher), i)
	if err != nil {
		return err
	}
	defer release()
	s := b.store
	inLayer := s.runsInLayer()
	parents := make([]uint32, s.run*porep.Degree)
	list := make([]int32, 0, s.run*porep.Degree)
	for {
		run := b.ring.Claim()
		inJob := run + b.from/uint64(s.run)
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
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		if err := b.stage(&list, run, index, node, rows); err != nil {
			return err
		}
		b.ring.Publish(run)
	}
}

// stage works out where the parents of a run lie and, as far as they are labelled,
// gets them closer to the hasher.
func (b *batchRun) stage(list *[]int32, run uint64, index int, node uint64, parents []uint32) error {
	s := b.store
	n := len(parents) / porep.Degree
	slot := s.slotOf(run)
	rows := b.rows.Slice(slot*s.run, slot*s.run+n)
	if s.window > 0 {
		window := s.position(index, node) / s.window
		if !b.wait(&b.back, func() bool { return s.far.of(window).listed.Load() == window+1 }) {
			return nil
		}
	}
	if err := s.locate(rows, index, node, parents); err != nil {
		return err
	}
	if b.c.Staging != Inline {
		*list = b.bringClose(*list, rows, slot, index, node, parents)
	}
	if slot == 0 {
		// The hasher prefetches past the last slot's rows: the first ones follow.
		behind := b.rows.Slice(s.slots*s.run, b.rows.Len())
		behind.Copy(rows)
	}
	return nil
}

// bringClose gets the labels of a run's parents, those that are there, into the
// shared cache, all at once so that the misses overlap, and with Producers copies
// them into the slot: the hasher then reads from memory that is small enough for its
// TLB, whereas layers are not. List is scratch memory.
func (b *batchRun) bringClose(list []int32, rows sha256.Rows, slot, index int, node uint64, parents []uint32) []int32 {
	s := b.store
	list = list[:0]
	// What is there now: looked at once, since it only grows.
	done := s.done.Load()
	key := s.keyOf.Load() >= int64(index)
	far := s.window > 0 && s.far.ready(s.position(index, node)/s.window)
	for row := range len(parents) / porep.Degree {
		child := node + uint64(row)
		base := parents[row*porep.Degree:][:porep.BaseDegree]
		for i, p := range base {
			there := s.position(index, uint64(p)) < done
			if s.isFar(child, p) {
				there = far
			}
			if there {
				list = append(list, int32(row*porep.Degree+i))
			}
		}
		for i := porep.BaseDegree; key && s.first+index > 1 && i < porep.Degree; i++ {
			list = append(list, int32(row*porep.Degree+i))
		}
	}
	rows.Prefetch(b.kernel, list)
	if b.c.Staging == Producers {
		size := s.run * porep.Degree * b.kernel.Stride()
		rows.Stage(b.kernel, list, b.staged[slot*size:][:size])
	}
	return list
}

// sharedParents are the parents of runs that some hasher's producer worked out and
// those of others, a little behind, can use. All hashers go through the same graph.
// Whoever finds his run missing works it out, in its place if he is the first to
// come so far; nobody ever waits for somebody who is behind.
type sharedParents struct {
	source ParentSource
	places []sharedRun // none if there is only one hasher
}

// A sharedRun is one place.
type sharedRun struct {
	mu      sync.Mutex
	first   uint64
	full    bool // all parents, not only base parents
	parents []uint32
	_       [64]byte
}

func newSharedParents(source ParentSource, c *Config) *sharedParents {
	p := &sharedParents{source: source}
	if c.Hashers > 1 {
		s := shapeOf(c.Proof, c)
		p.places = make([]sharedRun, 2*s.slots)
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
	n := uint64(len(dst) / porep.Degree)
	place := &p.places[first/max(1, n)%uint64(len(p.places))]
	place.mu.Lock()
	if place.first == first && len(place.parents) == len(dst) && (place.full || onlyBase) {
		copy(dst, place.parents)
		place.mu.Unlock()
		return nil
	}
	defer place.mu.Unlock()
	if err := p.compute(dst, first, onlyBase); err != nil {
		return err
	}
	place.first, place.full = first, !onlyBase
	place.parents = append(place.parents[:0], dst...)
	return nil
}

func (p *sharedParents) compute(dst []uint32, first uint64, onlyBase bool) error {
	if onlyBase {
		return baseParents(p.source, dst, first)
	}
	return p.source.Parents(dst, first)
}
