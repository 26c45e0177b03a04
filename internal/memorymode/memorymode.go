// Package memorymode says how a layer is cut when a sector has one layer in memory, or less: the
// same to who plans the memory and to who uses it.
package memorymode

// In one-layer mode a layer is cut into Segments. The labels of the newest SegmentsKept are
// in memory. What base parents lie further back is read from a file for one segment at
// a time, while the hasher is at the one before: they are no more labels than
// SegmentsFar have nodes, and a few.
const (
	Segments     = 32
	SegmentsKept = 4
	SegmentsFar  = 2
)

// InMemory is how many nodes' labels of a layer of so many are in memory then, and of the
// layer before: in nodes or in bytes.
func InMemory(layer uint64) uint64 { return layer + layer/Segments*(SegmentsKept+SegmentsFar) }
