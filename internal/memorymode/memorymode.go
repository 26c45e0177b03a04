// Package memorymode says how a layer is cut when a sector has one layer in memory: the
// same to who plans the memory and to who uses it.
package memorymode

// In one-layer mode a layer is cut into Windows. The labels of the newest WindowsKept are
// in memory. What base parents lie further back is read from a file for one window at
// a time, while the hasher is at the one before: they are no more labels than
// WindowsFar have nodes, and a few.
const (
	Windows     = 32
	WindowsKept = 4
	WindowsFar  = 2
)

// InMemory is how many nodes' labels of a layer of so many are in memory then, and of the
// layer before: in nodes or in bytes.
func InMemory(layer uint64) uint64 { return layer + layer/Windows*(WindowsKept+WindowsFar) }
