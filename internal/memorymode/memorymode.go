// Package memorymode says how much of a sector's layers is in memory while it is
// labelled: the same to who plans the memory and to who uses it.
package memorymode

import (
	"fmt"
	"slices"
)

// A Mode is what of each sector is held in memory.
type Mode int

// The modes. N is the sector's size.
const (
	// TwoLayers: the layer being made and the one before, 2 N.
	TwoLayers Mode = iota
	// OneLayer: the layer before, and windows of the one being made, 1.2 N.
	OneLayer
)

var names = []string{"two-layers", "one-layer"}

// Names are the modes' names, by their number.
func Names() []string { return slices.Clone(names) }

func (m Mode) String() string {
	if m < 0 || int(m) >= len(names) {
		return fmt.Sprintf("MemoryMode(%d)", int(m))
	}
	return names[m]
}

// In OneLayer mode a layer is cut into Windows. The labels of the newest WindowsKept are
// in memory. What base parents lie further back is read from a file for one window at
// a time, while the hasher is at the one before: they are no more labels than
// WindowsFar have nodes, and a few.
const (
	Windows     = 32
	WindowsKept = 4
	WindowsFar  = 2
)

// Overhead is what a job of so many sectors, whose layers have so many bytes, takes
// besides them, at most, in bytes: tables, rings and buffers, and in OneLayer mode, where
// producers are farther ahead, three lists with 4 bytes for each node of a window.
func (m Mode) Overhead(layer uint64, sectors int) uint64 {
	const other, ahead, lists, entry, node = 256 << 20, 12 << 20, 3, 4, 32
	if m == OneLayer {
		return other + ahead*uint64(sectors) + layer/node/Windows*lists*entry
	}
	return other
}

// InMemory is how much is in memory where a layer is so large, in nodes or in bytes, but
// for those few.
func (m Mode) InMemory(layer uint64) uint64 {
	if m == OneLayer {
		return layer + layer/Windows*(WindowsKept+WindowsFar)
	}
	return 2 * layer
}
