package onelayer

import (
	"context"
	"fmt"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// gather is the goroutine that keeps the far parents of the window that comes next ready,
// through all layers.
func (s *Store) gather(ctx context.Context) error {
	defer s.KeepOff()()
	var order *readOrder
	parents := s.listParents()
	begin := s.Begin / s.Window
	for n := begin; n < uint64(s.Layers)*Windows; n++ {
		index, from := int(n/Windows), n%Windows*s.Window
		end := from + s.Window
		w := s.of(n)
		// What lies in its place is the last but one's.
		if n >= begin+2 && !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= (n-1)*s.Window }) {
			return nil
		}
		if from == 0 && index > 0 {
			if err := s.handOver(w, n, index, parents); err != nil {
				return err
			}
			if s.Flow.Stopped() {
				return nil
			}
			continue
		}
		if end <= s.InMemory {
			s.haveNone(w, n)
			continue
		}
		if !s.Flow.Wait(&s.Flow.Back, func() bool { return s.done.Load() > n-kept }) {
			return nil
		}
		fromLayers := !s.unspill(ctx, w, n)
		if err := s.list(w, from, parents); err != nil {
			return err
		}
		if s.Flow.Stopped() {
			return nil // not all of it is listed
		}
		w.listed.Store(n + 1)
		s.Flow.Back.Wake()
		if fromLayers {
			last := s.position(index, end-s.InMemory)
			if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Written.Load() >= last }) {
				return nil
			}
			if order == nil {
				order = newReadOrder(s.Shape)
			}
			if err := s.readFar(w, index, end-s.InMemory, order); err != nil {
				return err
			}
		}
		w.read.Store(n + 1)
		s.Flow.Back.Wake()
	}
	return nil
}

// haveNone notes that a window has no far parents.
func (s *Store) haveNone(w *window, n uint64) {
	w.listed.Store(n + 1)
	w.read.Store(n + 1)
	s.Flow.Back.Wake()
}

// list works out where the far parents of a window lie.
func (s *Store) list(w *window, from uint64, parents []uint32) error {
	w.list, w.starts = w.list[:0], w.starts[:0]
	var next [Windows]int
	if w.place != nil {
		next = w.place.starts
	}
	run := uint64(s.Run)
	err := s.eachFar(s.BaseParents, parents, from, s.Flow.Stopped, func(child uint64, p uint32) error {
		w.startRuns(child+1-from, run)
		if len(w.list) == s.room {
			return fmt.Errorf("engine: listing far parents: more than %d from node %d on", s.room, from)
		}
		at := p
		if w.place != nil {
			of := uint64(p) / s.Window
			at = uint32(next[of])
			next[of]++
		}
		w.list = append(w.list, at)
		return nil
	})
	if err != nil || s.Flow.Stopped() {
		return err
	}
	w.startRuns(s.Window, run)
	if w.place == nil {
		return nil
	}
	for of, n := range w.place.n {
		if got := next[of] - w.place.starts[of]; got != n {
			return fmt.Errorf("engine: listing far parents: nodes from %d on have %d in window %d, and had %d when asked before", from, got, of, n)
		}
	}
	return nil
}

// A readOrder sorts a window's far parents by the part of the file that they are
// in.
type readOrder struct {
	part    uint64   // nodes in a part
	entries []uint32 // indices into window.list
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

// readFar reads the labels of a window's far parents from the layer's files, where all
// are among those of the nodes before end: 13 times over in a layer, but each lane has
// only its own file to lose.
func (s *Store) readFar(w *window, index int, end uint64, order *readOrder) error {
	order.sort(w.list)
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
				at := (uint64(w.list[e]) - first) * porep.NodeSize
				if err := s.Kernel.Pack(w.labels[int(e)*s.stride:][:s.stride], labels[at:][:porep.NodeSize], lane); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
