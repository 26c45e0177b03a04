package forward

import (
	"math/bits"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

const (
	writers   = 2    // goroutines that write blocks
	readers   = 3    // and that read them
	spare     = 16   // blocks that writers may have in hand
	usesNodes = 512  // whose uses are asked for at a time
	listNodes = 2048 // whose base parents are
	number    = 4    // bytes of an entry beside its labels
	farEntry  = 8    // bytes of an entry of the index

	largestPart     = 8192
	largestFarBlock = 64 << 10

	// What a pass reads at a time is short enough for a core's cache, and no more often in a layer than
	// lists have places that are written to in turn.
	usualRead = 32768
	mostReads = 8192
)

// A Shape is the sizes that follow from a Cut, in nodes unless it says else.
type Shape struct {
	memorymode.Cut
	Nodes    uint64 // in a layer
	Segments int    // of a layer
	Stride   int    // whose parents are located together; it divides a segment and the ring
	Group    uint64 // whose far base parents are sent together; it divides the ring
	Part     uint64 // whose expander parents are sent together, and that are checked together when they are read back; it divides a group
	Read     uint64 // that are read at a time; a power of two, of parts
	Images   int    // of 8 uses each, that a label has at most
	far      uint64 // far base parents of a segment, at most
	farBlock int    // bytes of a block of the index
}

// ShapeOf is that of a layer of so many nodes, whose labels have so many uses at most.
func ShapeOf(nodes uint64, c memorymode.Cut, stride, usesOfLabel int) *Shape {
	s := &Shape{Cut: c, Nodes: nodes, Segments: c.Segments(nodes), Stride: stride, Images: usesOfLabel / porep.ExpDegree}
	s.Group = max(1, c.Ring/8)
	// No segment begins and ends without the hasher's telling those who wait for it that it has begun.
	s.Part = min(largestPart, s.Group)
	for s.Part > c.Segment {
		s.Part /= 2
	}
	s.Read = s.Part
	if s.Passes() {
		s.Read = max(s.Part, min(nodes, max(usualRead, nodes/mostReads), c.Ring/4))
	}
	// So many are expected; they are more by a seventh in no segment, or by some thousands in a short one.
	far := memorymode.FarFrom(nodes, c.Ring) * c.Segment / 8
	s.farBlock = linux.DirectAlign
	for s.farBlock < largestFarBlock && 2*uint64(s.groups()*s.farBlock) <= c.Ring*porep.NodeSize/8 {
		s.farBlock *= 2
	}
	s.far = min(porep.BaseDegree*c.Segment, far+far/7+4096)
	return s
}

// Passes reports whether parents come from the layers' files, and not by way of a scratch file.
func (s *Shape) Passes() bool { return s.Block == 0 }

// slots is how many expander parents a segment has.
func (s *Shape) slots() uint64 { return porep.ExpDegree * s.Segment }

// LabelNodes is for how many nodes' labels a Store has memory.
func (s *Shape) LabelNodes() uint64 { return s.Ring + 2*(s.slots()+s.far) }

// entries is how many a block has.
func (s *Shape) entries(pitch int) int { return max(1, s.Block/(pitch+number)) }

// block is the size of one, with what is left to a multiple of what direct writes want.
func (s *Shape) block(pitch int) int {
	return roundup.To(s.entries(pitch)*(pitch+number), linux.DirectAlign)
}

// Fits reports whether a block has room for labels of a pitch, and blocks, and what a segment gathers, have
// numbers of 32 bits.
func (s *Shape) Fits(pitch int) bool {
	if s.slots()+s.far > 1<<32 || s.far*uint64(s.Segments) > 1<<wantBits {
		return false
	}
	return s.Passes() || s.Block >= pitch+number && s.Nodes/uint64(s.entries(pitch)) < 1<<27
}

// opened is how many blocks can be open, or in hand, at a time.
func (s *Shape) opened() int { return 2*s.Segments + spare }

// BufferBytes is the memory in which blocks are open, written and read, or of a list.
func (s *Shape) BufferBytes(pitch int) uint64 {
	if s.Passes() {
		return s.listBytes()
	}
	joining := roundup.To(int(s.Part)*pitch, linux.DirectAlign)
	return uint64((s.opened()+readers)*s.block(pitch) + joining)
}

// blocks is how many a scratch file has, all of whose blocks are full.
func (s *Shape) blocks(pitch int) int {
	live := porep.ExpDegree * s.Nodes
	live += live - live/uint64(s.Images) // labels that all the uses are of are made before they are used
	live += s.far * uint64(s.Segments)
	return int(live/uint64(s.entries(pitch))) + spare + 1
}

// ScratchBytes is the size of a Store's scratch file.
func (s *Shape) ScratchBytes(pitch int) int64 {
	if s.Passes() {
		return 0
	}
	return int64(s.blocks(pitch)) * int64(s.block(pitch))
}

// TableBytes is the memory that says what is where in a scratch file, and in which it is worked
// out, or in which a list is.
func (s *Shape) TableBytes(pitch int) uint64 {
	const link, sum, use = 4, 4, 8
	if s.Passes() {
		return listNodes*porep.Degree*4 + 2*4*s.spans()
	}
	return uint64(s.blocks(pitch))*(link+sum) + 2*uint64(s.Segments)*uint64(unsafe.Sizeof(parcel{})) +
		uint64(usesNodes*s.Images)*porep.ExpDegree*use + uint64(s.farBlock)
}

// groups is how many a layer has.
func (s *Shape) groups() int { return int(s.Nodes / s.Group) }

// farBlocks is how many blocks the index's file has, of so many segments.
func (s *Shape) farBlocks(segments int) int {
	return int(roundup.Div(s.far*uint64(segments)*farEntry, uint64(s.farBlock))) + s.groups()
}

// IndexBytes is the memory of an Index, and in which it is made.
func (s *Shape) IndexBytes() uint64 {
	const link, sum, start = 4, 4, 4
	if s.Passes() {
		return 0
	}
	return uint64(s.farBlocks(s.Segments))*(link+sum) + s.Nodes/uint64(s.Stride)*start +
		uint64(s.groups())*(uint64(s.farBlock)+uint64(unsafe.Sizeof(parcel{}))) + listNodes*porep.Degree*4
}

// IndexFileBytes is the size of the index's file.
func (s *Shape) IndexFileBytes() int64 { return s.IndexFileBytesFrom(0) }

// Traffic is how many bytes are read, and written to scratch files, for each label of a lane, in a
// layer that is neither the first nor the last.
func (s *Shape) Traffic(pitch int) (read, written float64) {
	if !s.Passes() {
		parents := porep.ExpDegree + float64(memorymode.FarFrom(s.Nodes, s.Ring))/8
		entry := float64(s.block(pitch)) / float64(s.entries(pitch)) * porep.NodeSize / float64(pitch)
		return parents * entry, parents * entry
	}
	nodes := 0.0
	for n := range s.Segments {
		nodes += float64(s.Nodes + s.farEnd(n))
	}
	return nodes / float64(s.Nodes) * porep.NodeSize, 0
}

// position is that of a node: see ring.Flow.
func (s *Shape) position(index int, node uint64) uint64 { return uint64(index)*s.Nodes + node }

// segmentOf is the number of the segment that a position is in, counted through all layers.
func (s *Shape) segmentOf(position uint64) int {
	return int(position/s.Nodes)*s.Segments + int(position%s.Nodes/s.Segment)
}

// start is the position of a segment, counted through all layers.
func (s *Shape) start(n int) uint64 {
	return s.position(n/s.Segments, uint64(n%s.Segments)*s.Segment)
}

// nodesOf is how many nodes a segment has.
func (s *Shape) nodesOf(n int) uint64 {
	return min(s.Segment, s.Nodes-uint64(n%s.Segments)*s.Segment)
}

// wanted is the position below which all labels must have been sent for a segment to have all it
// wants: expander parents are of the layer before, far base parents as far back as the ring is
// long.
func (s *Shape) wanted(n int) uint64 {
	return s.position(n/s.Segments, s.farEnd(n))
}

// farEnd is the node before which a segment's far base parents lie.
func (s *Shape) farEnd(n int) uint64 {
	end := uint64(n%s.Segments)*s.Segment + s.nodesOf(n)
	return end - min(end, s.Ring)
}

// isFar reports whether a base parent's label will have been written over when its child is
// labelled.
func (s *Shape) isFar(child uint64, parent uint32) bool { return uint64(parent)+s.Ring <= child }

// A divider divides numbers by one.
type divider struct{ by, reciprocal uint64 }

func newDivider(by uint64) divider {
	q, r := bits.Div64(1, 0, by) // which is 2 or more
	if r > 0 {
		q++
	}
	return divider{by, q}
}

func (d divider) div(x uint64) uint64 {
	q, _ := bits.Mul64(x, d.reciprocal)
	if q*d.by > x { // hardly ever: the reciprocal is rounded up
		q--
	}
	return q
}
