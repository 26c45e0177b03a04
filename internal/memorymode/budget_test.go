package memorymode_test

import (
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/memorymode"
)

// takes is a measure of the kind that jobs have.
func takes(nodes, perNode uint64) func(memorymode.Cut) uint64 {
	return func(c memorymode.Cut) uint64 {
		return perNode*(c.Ring+2*9*c.Segment) + 2*uint64(c.Segments(nodes)*c.Block) + nodes/64
	}
}

// TestSearch: a Cut is one that fits, whose segments fit the ring and are whole spans; what fits into
// some memory fits into more.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := uint64(1) << rapid.IntRange(6, 31).Draw(t, "nodes")
		span := uint64(1) << rapid.IntRange(0, min(7, bits.Len64(nodes/256))).Draw(t, "span")
		perNode := uint64(32) << rapid.IntRange(0, 5).Draw(t, "lanes")
		written := max(1, min(nodes/32, 1<<15))
		memory := rapid.Uint64Range(1, 3*nodes*perNode).Draw(t, "memory")
		size := takes(nodes, perNode)
		by, passes := memorymode.Search, rapid.Bool().Draw(t, "passes")
		if passes {
			by = memorymode.SearchPasses
		}
		search := func(memory uint64) (memorymode.Cut, bool) {
			return by(nodes, span, written, perNode, memory, func(c memorymode.Cut) bool { return size(c) <= memory })
		}
		c, ok := search(memory)
		if !ok {
			return
		}
		if size(c) > memory || bits.OnesCount64(c.Ring) != 1 || c.Ring > nodes/2 || c.Segment == 0 || c.Segment%span != 0 ||
			3*c.Segment > c.Ring || 2*written > c.Ring && c.Ring < nodes/2 || (c.Block == 0) != passes || bits.OnesCount(uint(c.Block)) > 1 ||
			passes && c.Segments(nodes) > 1024 {
			t.Fatalf("of %d bytes for %d nodes: %+v, which takes %d", memory, nodes, c, size(c))
		}
		if more, ok := search(memory + memory/2); !ok {
			t.Fatalf("%+v fits into %d bytes, but nothing into half as much again, %+v", c, memory, more)
		}
	})
}

// TestQuarter: a quarter of a sector has some hundred segments, whatever the sector.
func TestQuarter(t *testing.T) {
	for _, nodes := range []uint64{1 << 24, 1 << 30, 1 << 31} {
		size, memory := takes(nodes, 32), nodes*32/4
		c, ok := memorymode.Search(nodes, 128, 1<<15, 32, memory, func(c memorymode.Cut) bool { return size(c) <= memory })
		if n := c.Segments(nodes); !ok || n < 80 || n > 180 || size(c) < memory*9/10 {
			t.Errorf("%d nodes: %+v, %d segments, takes %d of %d bytes", nodes, c, n, size(c), memory)
		}
	}
}
