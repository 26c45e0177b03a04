package engine

import (
	"github.com/sdr-engine/sdr/engine/internal/forward"
	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// Labels on their way to files.
const (
	writers       = 2       // goroutines a hasher
	chunkBytes    = 4 << 20 // written at a time, for a kernel of one lane
	laneChunkSize = 1 << 20 // the same for each of several lanes
)

// A shape is the sizes that follow from a Config, in nodes unless it says else.
type shape struct {
	nodes  uint64 // in a layer
	stride int    // nodes that are staged and hashed at a time; in OneLayer mode it divides a segment
	slots  int    // spans in a ring

	// inMemory is how many of the newest labels are in memory, of this layer and
	// the one before: a label is written over the one so many nodes earlier.
	inMemory uint64
	oneLayer *onelayer.Shape // OneLayer; nil otherwise
	forward  *forward.Shape  // Budget; nil otherwise
}

// shapeOf is that of a Config with defaults written out; of Budget, if f is how layers are cut.
func shapeOf(c *Config, f *forward.Shape) shape {
	s := shape{nodes: c.Proof.SectorSize().Nodes(), forward: f}
	lookahead := c.Lookahead
	if f != nil {
		s.stride, s.inMemory = f.Stride, f.Ring
		lookahead = int(min(uint64(lookahead), f.Ring/2))
	} else if c.MemoryMode == OneLayer {
		s.oneLayer = onelayer.ShapeOf(s.nodes, c.Stride, readNodes)
		s.stride, s.inMemory = s.oneLayer.Stride, s.oneLayer.InMemory
		lookahead = int(min(uint64(lookahead), s.oneLayer.Segment))
	} else {
		s.inMemory = 2 * s.nodes
		s.stride = max(1, int(min(uint64(c.Stride), s.nodes)))
	}
	// In a small sector there is not so much to be ahead of.
	s.slots = max(2, roundup.Div(int(min(uint64(lookahead), s.nodes)), s.stride))
	return s
}

// nodesInMemory is the memory for layers of a kernel with a certain pitch, in nodes.
func (s *shape) nodesInMemory(pitch int) uint64 {
	switch {
	case s.forward != nil:
		return s.forward.LabelNodes()
	case s.oneLayer == nil:
		return TwoLayers.InMemory(s.nodes)
	}
	return s.oneLayer.LabelNodes(pitch)
}

// chunk is how many nodes are written at a time.
func (s *shape) chunk(k *sha256.Kernel) uint64 {
	size := uint64(laneChunkSize)
	if k.Lanes == 1 {
		size = chunkBytes
	}
	n := min(s.nodes, size/porep.NodeSize)
	if s.oneLayer != nil {
		n = min(n, s.oneLayer.Segment) // so that all of a segment can be read before the next is due
	}
	if s.forward != nil {
		n = max(min(n, s.forward.Group), s.hashed())
	}
	return n
}

// hashed is how many nodes of a layer are hashed together in the manifest: what is written at a time
// is a multiple of it.
func (s *shape) hashed() uint64 {
	return max(1, uint64(manifest.BlockBytes(porep.SectorSize(s.nodes*porep.NodeSize)))/porep.NodeSize)
}

// block is how many bytes of a lane's layer are checked together when they are read back.
// What is written, and what is read back, is a multiple of it.
func (s *shape) block() int {
	n := min(s.nodes, readNodes)
	if s.oneLayer != nil {
		n = s.oneLayer.Part
	}
	if s.forward != nil {
		n = s.forward.Part
	}
	return int(n * porep.NodeSize)
}

// wakes is after how many nodes, at a node, the hasher tells the others.
func (s *shape) wakes(chunk, node uint64) uint64 {
	if s.oneLayer != nil {
		return s.oneLayer.Wakes(chunk, node)
	}
	if s.forward != nil {
		return min(chunk, s.forward.Part)
	}
	return chunk
}

// spansInLayer is how many spans a layer has; the last may be shorter.
func (s *shape) spansInLayer() uint64 { return roundup.Div(s.nodes, uint64(s.stride)) }
