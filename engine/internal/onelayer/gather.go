package onelayer

import (
	"context"
	"fmt"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// gather is the goroutine that keeps the far parents of the segment that comes next ready,
// through all layers.
func (s *Store) gather(ctx context.Context) error {
	defer s.KeepOff()()
	var order *readOrder
	parents := s.listParents()
	begin := s.Begin / s.Segment
	for n := begin; n < uint64(s.Layers)*Segments; n++ {
		index, from := int(n/Segments), n%Segments*s.Segment
		end := from + s.Segment
		g := s.of(n)
		// What is in the gathering now is of the last segment but one.
		if n >= begin+2 && !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= (n-1)*s.Segment }) {
			return nil
		}
		if from == 0 && index > 0 {
			if err := s.handOver(g, n, index, parents); err != nil {
				return err
			}
			if s.Flow.Stopped() {
				return nil
			}
			continue
		}
		if end <= s.InMemory {
			s.haveNone(g, n)
			continue
		}
		if !s.Flow.Wait(&s.Flow.Back, func() bool { return s.done.Load() > n-kept }) {
			return nil
		}
		fromLayers := !s.unspill(ctx, g, n)
		if err := s.list(g, from, parents); err != nil {
			return err
		}
		if s.Flow.Stopped() {
			return nil // not all of it is listed
		}
		g.listed.Store(n + 1)
		s.Flow.Back.Wake()
		if fromLayers {
			last := s.position(index, end-s.InMemory)
			if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Written.Load() >= last }) {
				return nil
			}
			if order == nil {
				order = newReadOrder(s.Shape)
			}
			if err := s.readFar(g, index, end-s.InMemory, order); err != nil {
				return err
			}
		}
		g.read.Store(n + 1)
		s.Flow.Back.Wake()
	}
	return nil
}

// haveNone notes that a segment has no far parents.
func (s *Store) haveNone(g *gathering, n uint64) {
	g.listed.Store(n + 1)
	g.read.Store(n + 1)
	s.Flow.Back.Wake()
}

// list works out where the far parents of a segment lie.
func (s *Store) list(g *gathering, from uint64, parents []uint32) error {
	g.list, g.starts = g.list[:0], g.starts[:0]
	var next [Segments]int
	if g.extent != nil {
		next = g.extent.starts
	}
	stride := uint64(s.Stride)
	err := s.eachFar(s.BaseParents, parents, from, s.Flow.Stopped, func(child uint64, p uint32) error {
		g.startSpans(child+1-from, stride)
		if len(g.list) == s.room {
			return fmt.Errorf("engine: listing far parents: more than %d from node %d on", s.room, from)
		}
		at := p
		if g.extent != nil {
			of := uint64(p) / s.Segment
			at = uint32(next[of])
			next[of]++
		}
		g.list = append(g.list, at)
		return nil
	})
	if err != nil || s.Flow.Stopped() {
		return err
	}
	g.startSpans(s.Segment, stride)
	if g.extent == nil {
		return nil
	}
	for of, n := range g.extent.n {
		if got := next[of] - g.extent.starts[of]; got != n {
			return fmt.Errorf("engine: listing far parents: nodes from %d on have %d in segment %d, and had %d when asked before", from, got, of, n)
		}
	}
	return nil
}

// A readOrder sorts a segment's far parents by the part of the file that they are
// in.
type readOrder struct {
	part    uint64   // nodes in a part
	entries []uint32 // indices into gathering.list
	ends    []int    // by part: where its entries end
}

func newReadOrder(s *Shape) *readOrder {
	return &readOrder{part: s.Part, entries: make([]uint32, 0, s.room), ends: make([]int, roundup.Div(s.Nodes, s.Part))}
}

func (o *readOrder) sort(nodes []uint32) {
	part := uint32(o.part)
	clear(o.ends)
	for _, p := range nodes {
		o.ends[p/part]++
	}
	at := 0
	for i, n := range o.ends {
		o.ends[i] = at
		at += n
	}
	o.entries = o.entries[:len(nodes)]
	for i, p := range nodes {
		o.entries[o.ends[p/part]] = uint32(i)
		o.ends[p/part]++
	}
}

// of is the entries of a part of the file.
func (o *readOrder) of(i int) []uint32 {
	if i == 0 {
		return o.entries[:o.ends[0]]
	}
	return o.entries[o.ends[i-1]:o.ends[i]]
}

// readFar reads the labels of a segment's far parents from the layer's files, where all
// are among those of the nodes before end: 13 times over in a layer, but each lane has
// only its own file to lose.
func (s *Store) readFar(g *gathering, index int, end uint64, order *readOrder) error {
	order.sort(g.list)
	return s.Files.Each(len(order.ends), func(part int, buffer []byte) error {
		entries := order.of(part)
		if len(entries) == 0 {
			return nil
		}
		first := uint64(part) * s.Part
		n := min(s.Part, end-first) // what follows may be on its way to the file now
		labels := buffer[:n*porep.NodeSize]
		for lane := range s.Lanes {
			if !s.Files.Read(lane, s.First+index, labels, first) {
				continue
			}
			for _, e := range entries {
				at := (uint64(g.list[e]) - first) * porep.NodeSize
				if err := s.Kernel.Pack(g.labels[int(e)*s.pitch:][:s.pitch], labels[at:][:porep.NodeSize], lane); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
