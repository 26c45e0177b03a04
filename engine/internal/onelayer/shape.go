package onelayer

import (
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// Segments is how many a layer has.
const Segments = memorymode.Segments

const (
	kept      = memorymode.SegmentsKept
	listNodes = 2048    // whose parents are asked for at a time
	farChunk  = 4 << 10 // far parents that lie together in the index, and are spilled at a time
)

// A Shape is the sizes that follow from a layer's, in nodes unless it says else.
type Shape struct {
	Nodes   uint64 // in a layer
	Segment uint64
	// InMemory is how many of the newest labels are in memory, of this layer and the one
	// before: a label is written over the one so many nodes earlier.
	InMemory uint64
	Stride   int    // whose parents are located together; it divides a segment
	Part     uint64 // that are read back together, of one lane; it divides a segment

	room int // how many far base parents of a segment can be listed
}

// ShapeOf is that of a layer of so many nodes. A span, and a part, have so many nodes at
// most.
func ShapeOf(nodes uint64, stride int, part uint64) *Shape {
	s := &Shape{Nodes: nodes, Segment: nodes / Segments, Stride: 1}
	s.InMemory = kept * s.Segment
	s.Part = min(part, s.Segment)
	s.room = int(min(5*s.Segment, s.Segment+4096))
	for s.Stride*2 <= stride && uint64(s.Stride*2) <= s.Segment {
		s.Stride *= 2
	}
	return s
}

// farLabels is for how many labels of a segment's far parents, and what is in between,
// there is memory.
func (s *Shape) farLabels(pitch int) int {
	between := (Segments - kept) * (spillAlign(pitch) - 1)
	return max(s.room, int(min(5*s.Segment+uint64(between), s.Segment+4096)))
}

// LabelNodes is for how many nodes' labels a Store has memory, of a kernel with a certain
// pitch.
func (s *Shape) LabelNodes(pitch int) uint64 {
	return memorymode.InMemory(s.Nodes) + memorymode.SegmentsFar*(uint64(s.farLabels(pitch))-s.Segment)
}

// BufferBytes is the memory from which far parents are written.
func (s *Shape) BufferBytes(pitch int) uint64 {
	return uint64(roundup.To(min(farChunk, s.room), spillAlign(pitch)) * pitch)
}

// ListBytes is the memory in which a Store lists far parents and, should they be read from
// the layers' files, sorts them.
func (s *Shape) ListBytes() (n uint64) {
	const lists, entry = 3, 4 // two segments', and the order that they are read in
	n += lists*entry*uint64(s.room) + (listNodes*porep.Degree+farChunk)*entry
	n += 2 * s.Segment / uint64(s.Stride) * uint64(unsafe.Sizeof(gathering{}.starts[0]))
	n += uint64(unsafe.Sizeof([Segments][Segments][]uint32{})) + Segments*uint64(s.room)/farChunk*entry // checksums
	return n
}

// IndexBytes is the memory of an Index, and in which it is made.
func (s *Shape) IndexBytes() uint64 {
	const offset, checksum = 8, 4
	sections := uint64(Segments * Segments)
	chunks := sections + Segments*uint64(s.room)/farChunk
	return sections*uint64(unsafe.Sizeof(section{})) + 2*chunks*(offset+checksum) + // what append grows to
		indexers*(Segments*farChunk*indexEntry+listNodes*porep.Degree*indexEntry)
}

// Wakes is after how many nodes, at a node, the hasher wakes those who wait for labels, if
// writers want so many at a time.
func (s *Shape) Wakes(chunk, node uint64) uint64 {
	if node >= s.handedOver(0) {
		return min(chunk, max(1, s.Segment/64)) // parts of the layer before are handed over in between
	}
	return chunk
}

// position is that of a node: see ring.Flow.
func (s *Shape) position(index int, node uint64) uint64 { return uint64(index)*s.Nodes + node }

// isFar reports whether a base parent's label will have been written over when its
// child is labelled.
func (s *Shape) isFar(child uint64, parent uint32) bool { return uint64(parent)+s.InMemory <= child }

// eachFar calls visit for each far parent of a segment of children from a node on, in
// order of child, then slot, until it is stopped. Parents is scratch memory.
func (s *Shape) eachFar(base Source, parents []uint32, from uint64, stopped func() bool, visit func(child uint64, parent uint32) error) error {
	return eachRow(base, parents, from, from+s.Segment, stopped, func(child uint64, row []uint32) error {
		for _, p := range row[:porep.BaseDegree] {
			if s.isFar(child, p) {
				if err := visit(child, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// eachRow calls visit with the parents of nodes from to end−1, one after another, until
// it is stopped. Parents is scratch memory.
func eachRow(get Source, parents []uint32, from, end uint64, stopped func() bool, visit func(child uint64, row []uint32) error) error {
	for node := from; node < end; {
		if stopped() {
			return nil // of a large sector it takes seconds
		}
		n := min(uint64(len(parents)/porep.Degree), end-node)
		rows := parents[:n*porep.Degree]
		if err := get(rows, node); err != nil {
			return err
		}
		for ; n > 0; n-- {
			if err := visit(node, rows[:porep.Degree]); err != nil {
				return err
			}
			node, rows = node+1, rows[porep.Degree:]
		}
	}
	return nil
}

// listParents is scratch memory for eachRow.
func (s *Shape) listParents() []uint32 { return make([]uint32, min(s.Segment, listNodes)*porep.Degree) }

// spillAlign is of how many labels a section has a multiple.
func spillAlign(pitch int) int { return max(1, linux.DirectAlign/pitch) }
