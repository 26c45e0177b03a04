package engine

import (
	"context"
	"fmt"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// slotOf is the ring's slot of a span.
func (s *store) slotOf(span uint64) int { return int(span % uint64(s.slots)) }

// produce is a producer: it stages span after span until there are no more.
func (p *pipeline) produce(ctx context.Context, i int) error {
	defer p.job.bind(p.job.producerCPUs(p.hasher), i, fmt.Sprintf("sdr-produce-%d", p.hasher))()
	w := newWorkbench(p.store)
	for {
		span := p.ring.Claim()
		index, node := p.at(span)
		if index >= p.layers || !p.ring.Free(span) {
			return nil
		}
		if err := p.produceSpan(ctx, w, span, index, node); err != nil {
			return err
		}
	}
}

// A workbench is where a producer works out a span.
type workbench struct {
	parents []uint32
	list    []int32
}

func newWorkbench(s *store) *workbench {
	return &workbench{make([]uint32, s.stride*porep.Degree), make([]int32, s.stride*porep.Degree)}
}

// at is the layer index and the node at which a span begins.
func (p *pipeline) at(span uint64) (index int, node uint64) {
	s := p.store
	inJob, inLayer := span+p.begin/uint64(s.stride), s.spansInLayer()
	return int(inJob / inLayer), inJob % inLayer * uint64(s.stride)
}

// produceSpan works out, stages and publishes a span whose slot is free.
func (p *pipeline) produceSpan(ctx context.Context, w *workbench, span uint64, index int, node uint64) error {
	s := p.store
	if p.job.hooks.Stage != nil {
		p.job.hooks.Stage(p.hasher, span)
	}
	n := int(min(uint64(s.stride), s.nodes-node))
	rows := w.parents[:n*porep.Degree]
	if err := p.job.parents[p.hasher].get(rows, node, s.first+index == 1 || s.fwd != nil); err != nil {
		return err
	}
	// A caller that cancels may doubt the parents that it gave.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := p.stage(w.list, span, index, node, rows); err != nil {
		return err
	}
	p.ring.Publish(span)
	return nil
}

// stage works out where the parents of a span lie and, as far as they are labelled,
// gets them closer to the hasher, unless that would be too late.
func (p *pipeline) stage(list []int32, span uint64, index int, node uint64, parents []uint32) error {
	s := p.store
	n := len(parents) / porep.Degree
	slot := s.slotOf(span)
	rows := p.rows.Slice(slot*s.stride, slot*s.stride+n)
	if s.one != nil && !p.flow.Wait(&p.flow.Back, func() bool { return s.one.Listed(index, node) }) {
		return nil
	}
	if s.fwd != nil && !p.flow.Wait(&p.flow.Back, func() bool { return s.fwd.Located(index, node) }) {
		return nil
	}
	if err := s.locate(rows, index, node, parents); err != nil {
		return err
	}
	if p.job.c.Staging != Inline && !p.isLate(span) {
		p.bringClose(list, rows, slot, index, node, parents)
	}
	if slot == 0 {
		// The hasher prefetches past the last slot's rows: the first ones follow.
		behind := p.rows.Slice(s.slots*s.stride, p.rows.Len())
		behind.Copy(rows)
	}
	return nil
}

// isLate reports whether the hasher has hardly anything left. Then it is better off with a
// span as it is, now, than with one whose labels are close by: without parents it cannot
// go on at all. In a ring of fewer than 8 slots, no span is late.
func (p *pipeline) isLate(span uint64) bool {
	return span < p.ring.Released()+uint64(p.store.slots)/8
}

// bringClose gets the labels of a span's parents, those that are there, into the
// shared cache, all at once so that the misses overlap, and with Producers copies
// them into the slot: the hasher then reads from memory that is small enough for its
// TLB, whereas layers are not. List has room for all of a span's parents.
func (p *pipeline) bringClose(list []int32, rows sha256.Rows, slot, index int, node uint64, parents []uint32) {
	s := p.store
	// What is there now: looked at once, since it only grows.
	labelled := max(p.flow.Labelled.Load(), s.position(index, 0)) - s.position(index, 0)
	before := s.first+index > 1 && p.flow.Before.Load() >= int64(index)
	far := s.one != nil && s.one.FarThere(s.position(index, node))
	if s.fwd != nil { // whose expander parents lie in the order in which they are read
		far = s.fwd.There(s.position(index, node))
	}
	n := 0
	for at := 0; at < len(parents); at += porep.Degree {
		child := node + uint64(at/porep.Degree)
		for i, parent := range parents[at:][:porep.BaseDegree] {
			there := uint64(parent) < labelled
			if s.isFar(child, parent) {
				there = far
			}
			// Written in any case: half of these branches would be mispredicted.
			list[n] = int32(at + i)
			if there {
				n++
			}
		}
		if before {
			for i := porep.BaseDegree; i < porep.Degree; i++ {
				list[n] = int32(at + i)
				n++
			}
		}
	}
	list = list[:n]
	if p.job.c.Staging == Hybrid {
		rows.Prefetch(p.kernel, list)
	} else {
		size := s.stride * porep.Degree * p.kernel.Pitch()
		rows.Stage(p.kernel, list, p.staged[slot*size:][:size])
	}
}
