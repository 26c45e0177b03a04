package onelayer_test

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// parents are a graph's.
type parents interface {
	Parents(dst []uint32, first uint64) error
}

const part = 1 << 15 // nodes

// surroundings are what a job has of the graph for package onelayer, with spans of so many
// nodes.
func (g spillGraph) surroundings(stride int) onelayer.Surroundings {
	return onelayer.Surroundings{
		Shape:       onelayer.ShapeOf(g.proof.SectorSize().Nodes(), stride, part),
		BaseParents: g.source.Parents,
		Parents:     g.source.Parents,
		KeepOff:     func() func() { return func() {} },
	}
}

// crowded is a graph in which most nodes of an 8 MiB sector have a base parent among its
// first 8192, so many that no two segments of a real graph of that size have more in
// common.
type crowded struct{}

func (crowded) Parents(dst []uint32, first uint64) error {
	clear(dst)
	for i := range uint64(len(dst) / porep.Degree) {
		child := first + i
		row := dst[i*porep.Degree:][:porep.BaseDegree]
		for slot := range row {
			row[slot] = uint32(max(child, 1) - 1)
		}
		if child%8 != 0 {
			row[2] = uint32(min(child, child*7919%8192))
		}
	}
	return nil
}

type spillGraph struct {
	name   string
	proof  porep.SealProof
	source parents
}

func spillGraphs(t *testing.T) (all []spillGraph) {
	t.Helper()
	for _, proof := range []porep.SealProof{porep.StackedDrg2KiBV1, porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1_1} {
		g, err := graph.New(proof)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, spillGraph{proof.String(), proof, g})
	}
	return append(all, spillGraph{"crowded", porep.StackedDrg8MiBV1_1, crowded{}})
}

// farParents are, by segment of children, the base parents more than segments kept
// behind, in order of child, then slot.
func farParents(t *testing.T, of spillGraph) (all [onelayer.Segments][]uint32) {
	t.Helper()
	nodes := of.proof.SectorSize().Nodes()
	segment := nodes / onelayer.Segments
	parents := make([]uint32, porep.Degree)
	for child := range nodes {
		if err := of.source.Parents(parents, child); err != nil {
			t.Fatal(err)
		}
		for _, p := range parents[:porep.BaseDegree] {
			if uint64(p)+onelayer.Kept*segment <= child {
				all[child/segment] = append(all[child/segment], p)
			}
		}
	}
	return all
}

// TestFarSections: the index has every far parent, those of two segments together, in
// their children's order.
func TestFarSections(t *testing.T) {
	for _, g := range spillGraphs(t) {
		var want [onelayer.Segments][onelayer.Segments][]uint32
		segment := g.proof.SectorSize().Nodes() / onelayer.Segments
		for child, parents := range farParents(t, g) {
			for _, p := range parents {
				of := uint64(p) / segment
				want[child][of] = append(want[child][of], p)
			}
		}
		dir := t.TempDir()
		got, err := onelayer.FarSections(t.Context(), g.surroundings(128), dir)
		if err != nil {
			t.Fatal(err)
		}
		for child := range want {
			for of := range want[child] {
				if a, b := want[child][of], got[child][of]; !slices.Equal(a, b) {
					t.Errorf("%s: children in segment %d have %d far parents in segment %d that are not the %d wanted", g.name, child, len(b), of, len(a))
				}
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", g.name, left, err)
		}
	}
}

// TestSpillRoundTrip: every far parent's label, those where sections begin and end
// too, comes back where its segment lists it, whole, for kernels of any pitch.
func TestSpillRoundTrip(t *testing.T) {
	for _, g := range spillGraphs(t) {
		want := farParents(t, g)
		done := map[int]bool{}
		for _, k := range kernels.Kernels() {
			large := g.proof.SectorSize() > 1<<20
			if !k.Usable() || done[k.Pitch()] || k.Lanes > 8 && large && !testkit.Long() || k.Lanes > 2 && large && testing.Short() {
				continue
			}
			done[k.Pitch()] = true
			segments := 0
			err := onelayer.SpillRoundTrip(t.Context(), g.surroundings(128), k, t.TempDir(), func(node uint64, label []byte) {
				for at := 0; at < len(label); at += 8 {
					binary.LittleEndian.PutUint64(label[at:], node*4096+uint64(at))
				}
			}, func(child int, labels []byte, pitch int) {
				segments++
				if n := len(labels) / pitch; n != len(want[child]) {
					t.Errorf("%s, %s: segment %d has %d labels, want %d", g.name, k.Name, child, n, len(want[child]))
					return
				}
				for i, p := range want[child] {
					for at := 0; at < pitch; at += 8 {
						if got := binary.LittleEndian.Uint64(labels[i*pitch+at:]); got != uint64(p)*4096+uint64(at) {
							t.Fatalf("%s, %s: segment %d, far parent %d: at %d of node %d's label is %d of %d's", g.name, k.Name, child, i, at, p, got%4096, got/4096)
						}
					}
				}
			})
			if err != nil || segments != onelayer.Segments-onelayer.Kept {
				t.Errorf("%s, %s: %d segments, %v", g.name, k.Name, segments, err)
			}
		}
	}
}
