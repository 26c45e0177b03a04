package engine

import (
	"github.com/sdr-engine/sdr/engine/internal/forward"
	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/sha256"
)

// A store is where a batch's labels lie in memory. The hasher writes labels at ever higher
// positions and publishes how far it is: see ring.Flow. Below that, anybody may read, as long
// as the hasher has not come so far that they are written over: see pipeline.ready.
type store struct {
	shape
	kernel *sha256.Kernel
	first  int // the number of layer index 0

	layers [2][]byte       // TwoLayers: layer index i is in layers[i%2]
	one    *onelayer.Store // OneLayer; nil otherwise
	fwd    *forward.Store  // Budget; nil otherwise
}

// cutLayers cuts TwoLayers' memory out of mem.
func (s *store) cutLayers(mem []byte) {
	n := s.nodes * uint64(s.kernel.Pitch())
	s.layers = [2][]byte{mem[:n:n], mem[n : 2*n : 2*n]}
}

// position is that of a node.
func (s *store) position(index int, node uint64) uint64 { return uint64(index)*s.nodes + node }

// out is where the labels of a span go.
func (s *store) out(index int, node uint64, n int) []byte {
	if s.one != nil {
		return s.one.Out(node, n)
	}
	if s.fwd != nil {
		return s.fwd.Out(node, n)
	}
	pitch := uint64(s.kernel.Pitch())
	return s.layers[index%2][node*pitch:][:uint64(n)*pitch]
}

// before is the memory of the layer before layer index index.
func (s *store) before(index int) []byte {
	if s.one != nil {
		return s.one.Before()
	}
	return s.layers[(index+1)%2]
}

// locate sets rows to where the parents of the span's nodes lie.
func (s *store) locate(rows sha256.Rows, index int, node uint64, parents []uint32) error {
	if s.one != nil {
		return s.one.Locate(rows, index, node, parents)
	}
	if s.fwd != nil {
		return s.fwd.Locate(rows, index, node, parents)
	}
	layer := sha256.Layer{Number: uint32(s.first + index), Labels: s.layers[index%2]}
	if layer.Number > 1 {
		layer.Before = s.before(index)
	}
	return rows.Locate(s.kernel, &layer, parents)
}

// isFar reports whether a base parent's label will have been written over when its
// child is labelled. With two layers in memory, none's will.
func (s *shape) isFar(child uint64, parent uint32) bool { return uint64(parent)+s.inMemory <= child }
