package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// crowded is a graph in which most nodes of an 8 MiB sector have a base parent among its
// first 8192, so many that no two windows of a real graph of that size have more in
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
	source engine.ParentSource
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

// farParents are, by window of children, the base parents more than windows kept
// behind, in order of child, then slot.
func farParents(t *testing.T, of spillGraph) (all [engine.Windows][]uint32) {
	t.Helper()
	nodes := of.proof.SectorSize().Nodes()
	window := nodes / engine.Windows
	parents := make([]uint32, porep.Degree)
	for child := range nodes {
		if err := of.source.Parents(parents, child); err != nil {
			t.Fatal(err)
		}
		for _, p := range parents[:porep.BaseDegree] {
			if uint64(p)+engine.WindowsKept*window <= child {
				all[child/window] = append(all[child/window], p)
			}
		}
	}
	return all
}

// TestFarSections: the index has every far parent, those of two windows together, in
// their children's order.
func TestFarSections(t *testing.T) {
	for _, g := range spillGraphs(t) {
		var want [engine.Windows][engine.Windows][]uint32
		window := g.proof.SectorSize().Nodes() / engine.Windows
		for child, parents := range farParents(t, g) {
			for _, p := range parents {
				of := uint64(p) / window
				want[child][of] = append(want[child][of], p)
			}
		}
		c := engine.Config{Proof: g.proof, Parents: g.source, Sectors: sectors(t, 1), MemoryMode: engine.OneLayer}
		got, err := engine.FarSections(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for child := range want {
			for of := range want[child] {
				if a, b := want[child][of], got[child][of]; !slices.Equal(a, b) {
					t.Errorf("%s: children in window %d have %d far parents in window %d that are not the %d wanted", g.name, child, len(b), of, len(a))
				}
			}
		}
		if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
			t.Errorf("%s: left %q", g.name, left)
		}
	}
}

// TestSpillRoundTrip: every far parent's label, those where sections begin and end
// too, comes back where its window lists it, whole, for kernels of any stride.
func TestSpillRoundTrip(t *testing.T) {
	for _, g := range spillGraphs(t) {
		want := farParents(t, g)
		done := map[int]bool{}
		for _, k := range kernels.Kernels() {
			if !k.Usable() || done[k.Stride()] {
				continue
			}
			done[k.Stride()] = true
			c := engine.Config{Proof: g.proof, Parents: g.source, Sectors: sectors(t, 1), MemoryMode: engine.OneLayer, Kernel: k.Name, Hashers: 1}
			windows := 0
			err := engine.SpillRoundTrip(t.Context(), c, func(node uint64, label []byte) {
				for at := 0; at < len(label); at += 8 {
					binary.LittleEndian.PutUint64(label[at:], node*4096+uint64(at))
				}
			}, func(child int, labels []byte, stride int) {
				windows++
				if n := len(labels) / stride; n != len(want[child]) {
					t.Errorf("%s, %s: window %d has %d labels, want %d", g.name, k.Name, child, n, len(want[child]))
					return
				}
				for i, p := range want[child] {
					for at := 0; at < stride; at += 8 {
						if got := binary.LittleEndian.Uint64(labels[i*stride+at:]); got != uint64(p)*4096+uint64(at) {
							t.Fatalf("%s, %s: window %d, far parent %d: at %d of node %d's label is %d of %d's", g.name, k.Name, child, i, at, p, got%4096, got/4096)
						}
					}
				}
			})
			if err != nil || windows != engine.Windows-engine.WindowsKept {
				t.Errorf("%s, %s: %d windows, %v", g.name, k.Name, windows, err)
			}
		}
	}
}

var errSpill = errors.New("no space today")

// TestSpillFails: whatever fails of the file for far parents, and whenever, the layers
// are the same. As long as nothing does, and however slow it is, it is used for every
// window that has far parents, and no more once it has failed.
func TestSpillFails(t *testing.T) {
	const count, far = 4, engine.Windows - engine.WindowsKept
	want := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 1}
	engine.SetLayers(&want, count)
	if _, err := engine.Run(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	tested := []*kernels.Kernel{kernels.Best(1)}
	for _, lanes := range []int{4, 2} {
		if k := kernels.Best(lanes); k != nil {
			tested = append(tested, k)
			break
		}
	}
	for _, k := range tested {
		kernel, batches := k.Name, (3+k.Lanes-1)/k.Lanes
		for _, tt := range []struct {
			operation string
			from      uint64 // the window
			reads     int    // that are tried, in a batch; -1: it depends
		}{
			{"none", 0, count * far},
			{"slow", 0, count * far},
			{"index", 0, 0},
			{"open", 0, 0},
			{"write", 0, 0},
			{"write", 5, -1},
			{"write", 31, -1},
			{"write", engine.Windows + 2, -1},
			{"read", 4, 1},
			{"read", 9, 6},
			{"read", engine.Windows + engine.WindowsKept, far + 1},
		} {
			c := want
			c.Sectors, c.Kernel, c.MemoryMode = sectors(t, 3), kernel, engine.OneLayer
			var mu sync.Mutex
			var reads []uint64
			engine.SetSpillHook(&c, func(operation string, window uint64) error {
				mu.Lock()
				defer mu.Unlock()
				if operation == "read" {
					reads = append(reads, window)
				}
				if tt.operation == "slow" && operation == "write" && window%7 == 2 {
					time.Sleep(200 * time.Microsecond)
				}
				if operation == tt.operation && window >= tt.from {
					return fmt.Errorf("window %d: %w", window, errSpill)
				}
				return nil
			})
			c.Progress = new(engine.Progress)
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatalf("%s, %+v: %v", kernel, tt, err)
			}
			fails := tt.operation != "none" && tt.operation != "slow"
			if slowed := c.Progress.Slowed(); errors.Is(slowed, errSpill) != fails || (slowed != nil) != fails {
				t.Errorf("%s, %+v: what is said to have slowed it: %v", kernel, tt, slowed)
			}
			for i, s := range c.Sectors {
				for layer := 1; layer <= count; layer++ {
					a, b := fileDigest(t, layers.Path(want.Sectors[i].CacheDir, layer)), fileDigest(t, layers.Path(s.CacheDir, layer))
					if a != b {
						t.Errorf("%s, %+v: layer %d of sector %d differs", kernel, tt, layer, i)
					}
				}
				if left := fileNames(t, s.CacheDir); len(left) != count {
					t.Errorf("%s, %+v: left %q", kernel, tt, left)
				}
			}
			if tt.reads >= 0 && len(reads) != batches*tt.reads {
				t.Errorf("%s, %+v: windows %v were read, want %d of %d batches each", kernel, tt, reads, tt.reads, batches)
			}
			if tt.operation == "write" && slices.ContainsFunc(reads, func(n uint64) bool { return n >= tt.from+engine.WindowsKept }) {
				t.Errorf("%s, %+v: windows %v were read", kernel, tt, reads)
			}
		}
	}
}
