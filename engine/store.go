package engine

import (
	"fmt"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// A store is where a batch's labels lie in memory. Positions are those of
// ring.Flow.
//
// The hasher writes labels at ever higher positions and publishes how far it is;
// below that, anybody may read, as long as the hasher has not come so far that the
// place is written again: that is not before the writers have written it to its
// file, and what of it will be far parents is spilled (see pipeline.ready).
type store struct {
	shape
	kernel *sha256.Kernel
	first  int // layer number of layer index 0

	// TwoLayers: layer index i is in layers[i%2].
	layers [2][]byte
	// OneLayer: the layer before, until it is handed over; the newest labels of this
	// one, node modulo inMemory; and base parents from further back.
	key    []byte
	newest []byte
	far    *farParents

	handovers int // OneLayer: layers whose key is handed over to the next, from layer index 0 on

}

// newStore cuts a store out of mem, which has nodesInMemory nodes.
func newStore(s shape, k *sha256.Kernel, first int, mem []byte) *store {
	st := &store{shape: s, kernel: k, first: first}
	cut := func(nodes uint64) (part []byte) {
		n := nodes * uint64(k.Stride())
		part, mem = mem[:n:n], mem[n:]
		return part
	}
	if s.window == 0 {
		st.layers = [2][]byte{cut(s.nodes), cut(s.nodes)}
		return st
	}
	st.key, st.newest = cut(s.nodes), cut(s.inMemory)
	st.far = &farParents{}
	for i := range st.far.windows {
		st.far.windows[i].labels = cut(uint64(s.farLabels(k.Stride())))
		st.far.windows[i].list = make([]uint32, 0, s.room)
		st.far.windows[i].starts = make([]int, 0, s.window/uint64(s.run))
	}
	return st
}

// position is that of a node.
func (s *store) position(index int, node uint64) uint64 { return uint64(index)*s.nodes + node }

// out is where the labels of a run go.
func (s *store) out(index int, node uint64, n int) []byte {
	stride := uint64(s.kernel.Stride())
	if s.window == 0 {
		return s.layers[index%2][node*stride:][:uint64(n)*stride]
	}
	return s.newest[node%s.inMemory*stride:][:uint64(n)*stride]
}

// before is the memory of the layer before layer index 0, or of key.
func (s *store) before(index int) []byte {
	if s.window == 0 {
		return s.layers[(index+1)%2]
	}
	return s.key
}

// locate sets rows to where the parents of the run's nodes lie.
func (s *store) locate(rows sha256.Rows, index int, node uint64, parents []uint32) error {
	layer := sha256.Layer{Number: uint32(s.first + index)}
	if s.window == 0 {
		layer.Labels = s.layers[index%2]
		if layer.Number > 1 {
			layer.Key = s.before(index)
		}
		return rows.Locate(s.kernel, &layer, parents)
	}
	used := porep.BaseDegree
	if layer.Number > 1 {
		used = porep.Degree
	}
	var far, aside *farWindow
	var entry, asideEntry int // the next in their lists
	if node >= s.inMemory {
		far = s.far.of(s.position(index, node) / s.window)
		entry = far.entryOf(node%s.window, s.run)
	}
	if s.isClosing(index, node) {
		if w := s.far.of(uint64(index+1) * windows); !w.tooMany {
			aside, asideEntry = w, w.entryOf(node-s.closing(), s.run)
		}
	}
	stride := uint64(s.kernel.Stride())
	for row := range len(parents) / porep.Degree {
		child := node + uint64(row)
		below := uint64(0) // expander parents below that are put aside
		if aside != nil {
			below = s.asideBelow(child)
		}
		for slot, p := range parents[row*porep.Degree:][:used] {
			if uint64(p) >= s.nodes {
				return fmt.Errorf("engine: locating parents of node %d: parent %d in a layer of %d nodes", child, p, s.nodes)
			}
			switch {
			case slot >= porep.BaseDegree && uint64(p) < below:
				label, ok := aside.label(asideEntry, p, s.window)
				if !ok {
					return fmt.Errorf("engine: locating parents of node %d: parent %d is not where it was put aside", child, p)
				}
				rows.Set(s.kernel, row, slot, aside.labels[uint64(label)*stride:])
				asideEntry++
			case slot >= porep.BaseDegree:
				rows.Set(s.kernel, row, slot, s.key[uint64(p)*stride:])
			case !s.isFar(child, p):
				rows.Set(s.kernel, row, slot, s.newest[uint64(p)%s.inMemory*stride:])
			default:
				label, ok := far.label(entry, p, s.window)
				if !ok {
					return fmt.Errorf("engine: locating parents of node %d: parent %d is not where its window has it", child, p)
				}
				rows.Set(s.kernel, row, slot, far.labels[uint64(label)*stride:])
				entry++
			}
		}
	}
	return nil
}

// isFar says whether a base parent's place will have been written again when its
// child is labelled.
func (s *shape) isFar(child uint64, parent uint32) bool {
	return s.window > 0 && uint64(parent)+s.inMemory <= child
}
