package forward

import (
	"testing"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

// TestFarRoom: no part of a graph has more far base parents than there is room for.
func TestFarRoom(t *testing.T) {
	for _, p := range []porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1, porep.StackedDrg512MiBV1_1, porep.StackedDrg32GiBV1_1, porep.StackedDrg64GiBV1_1} {
		g, err := graph.New(p)
		if err != nil {
			t.Fatal(err)
		}
		segment := min(8192, g.Nodes()/8)
		rows := make([]uint32, segment*porep.Degree)
		for ring := g.Nodes() / 2; ring >= max(8, g.Nodes()/1024); ring /= 4 {
			s := ShapeOf(g.Nodes(), memorymode.Cut{Ring: ring, Segment: segment, Block: 4096}, 1, g.UsesOfLabel())
			for _, first := range []uint64{ring, g.Nodes()/2 - segment, g.Nodes()/2 + 1, g.Nodes() - segment} {
				if err := g.BaseParents(rows, first); err != nil {
					t.Fatal(err)
				}
				far := uint64(0)
				for i := range segment {
					for _, p := range rows[i*porep.Degree:][:porep.BaseDegree] {
						if s.isFar(first+i, p) {
							far++
						}
					}
				}
				// What is for chance alone, of which a long segment has hardly any, is left out.
				room := s.far
				if segment == 8192 {
					room -= 4096 - segment/16
				}
				if far > room {
					t.Errorf("%v: %d nodes from %d on have %d far parents with %d in memory, room is for %d", p, segment, first, far, ring, room)
				}
			}
		}
	}
}

// TestFits: what a segment gathers has numbers of 32 bits.
func TestFits(t *testing.T) {
	for segment, want := range map[uint64]bool{1 << 28: true, 1<<29 - 128: false} {
		s := ShapeOf(1<<31, memorymode.Cut{Ring: 1 << 30, Segment: segment}, 128, porep.ExpDegree)
		if got := s.Fits(porep.NodeSize); got != want {
			t.Errorf("segments of %d nodes: %v, want %v: %d labels", segment, got, want, s.slots()+s.far)
		}
	}
}

// TestDivider: it is division.
func TestDivider(t *testing.T) {
	for _, by := range []uint64{2, 3, 7, 8, 1000, 1<<20 - 8, 1 << 20, 1<<33 + 5} {
		d := newDivider(by)
		for _, x := range []uint64{0, 1, by - 1, by, by + 1, 3*by - 1, 3 * by, 1<<34 - 1, 1<<40 - 1} {
			if got := d.div(x); got != x/by {
				t.Errorf("%d / %d = %d, want %d", x, by, got, x/by)
			}
		}
	}
}
