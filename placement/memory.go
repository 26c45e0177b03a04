package placement

import (
	"fmt"

	"github.com/sdr-engine/sdr/internal/memorymode"
)

// A MemoryMode is what of each sector's layers is in memory while it is labelled.
type MemoryMode int

// The memory modes. N is the sector's size.
const (
	TwoLayers MemoryMode = iota // the layer being made and the one before, 2 N
	OneLayer                    // the layer before, and segments of the one being made, 1.2 N
	Budget                      // what a number of bytes lets be: one of those, or segments of both
)

func (m MemoryMode) String() string {
	switch m {
	case TwoLayers:
		return "two-layers"
	case OneLayer:
		return "one-layer"
	case Budget:
		return "budget"
	}
	return fmt.Sprintf("MemoryMode(%d)", int(m))
}

// ParseMemoryMode reads a memory mode by its name. The error is a *RequestError.
func ParseMemoryMode(text string) (MemoryMode, error) {
	for _, m := range []MemoryMode{TwoLayers, OneLayer, Budget} {
		if text == m.String() {
			return m, nil
		}
	}
	return 0, &RequestError{"memory mode", fmt.Sprintf("%q", text), "two-layers, one-layer or budget"}
}

// InMemory is how much of a sector is in memory if its layers have the size layer, in nodes
// or in bytes. In OneLayer mode a job takes a few labels more.
func (m MemoryMode) InMemory(layer uint64) uint64 {
	if m == OneLayer {
		return memorymode.InMemory(layer)
	}
	return 2 * layer
}

// Overhead is the most that a job of so many sectors, with layers of so many bytes, takes
// besides their layers, in bytes: tables, rings and buffers, and in OneLayer mode, where
// producers are farther ahead, three lists with 4 bytes for each node of a segment.
func (m MemoryMode) Overhead(layer uint64, sectors int) uint64 {
	const other, ahead, lists, entry, node = 256 << 20, 12 << 20, 3, 4, 32
	if m == OneLayer {
		return other + ahead*uint64(sectors) + layer/node/memorymode.Segments*lists*entry
	}
	return other
}
