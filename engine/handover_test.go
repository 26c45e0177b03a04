package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// lopsided is a graph whose expander parents are all among so many nodes, the first part
// of the key that is handed over: more than can be put aside.
type lopsided uint64

func (l lopsided) Parents(dst []uint32, first uint64) error {
	for i := range dst {
		child := first + uint64(i/porep.Degree)
		dst[i] = uint32(max(child, 1) - 1)
		if i%porep.Degree >= porep.BaseDegree {
			dst[i] = uint32(child * uint64(i%porep.Degree) % uint64(l))
		}
	}
	return nil
}

// TestAsides: what is put aside when a layer's key is handed over has room, in all graphs
// but the two whose parents are not even, and is about as much as there is room for: less
// would have the hasher wait.
func TestAsides(t *testing.T) {
	proofs := []porep.SealProof{porep.StackedDrg2KiBV1, porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1, porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1, porep.StackedDrg512MiBV1_1}
	if longTests {
		proofs = append(proofs, porep.StackedDrg32GiBV1, porep.StackedDrg32GiBV1_1)
	}
	for _, proof := range proofs {
		g, err := graph.New(proof)
		if err != nil {
			t.Fatal(err)
		}
		aside, room, err := engine.Asides(engine.Config{Proof: proof, MemoryMode: engine.OneLayer}, g)
		uneven := proof == porep.StackedDrg32GiBV1 // and 64 GiB
		if err != nil || (aside > room) != uneven {
			t.Errorf("%v: %d are put aside, %v; there is room for %d", proof, aside, err, room)
		}
		if window := int(proof.SectorSize().Nodes() / engine.Windows); proof.SectorSize() > 1<<20 && aside < window*8/10 {
			t.Errorf("%v: %d are put aside, of windows of %d nodes", proof, aside, window)
		}
	}
}

// TestHandOver: the layers are right if the hasher is so slow where a layer ends that
// each part of the key is handed over as soon as may be, if producers are so far ahead
// that they wait for what is put aside, and if that is too much. Producers that are stopped
// for some milliseconds a run see to the first.
func TestHandOver(t *testing.T) {
	const count = 3
	proof := porep.StackedDrg8MiBV1_1
	if testing.Short() {
		proof = porep.StackedDrg2KiBV1_1
	}
	nodes := int(proof.SectorSize().Nodes())
	window := nodes / engine.Windows
	g, err := graph.New(proof)
	if err != nil {
		t.Fatal(err)
	}
	type way struct {
		lanes, stride, lookahead int
		staging                  engine.Staging
		slow                     int // runs at the end
	}
	for _, tt := range []struct {
		source engine.ParentSource
		ways   []way
	}{
		{g, []way{
			{1, min(256, window), min(512, window), engine.Inline, 16},
			{4, min(256, window), min(512, window), engine.Producers, 16},
			{1, min(64, window), window, engine.Hybrid, 0},
		}},
		{lopsided(window), []way{{1, min(64, window), min(128, window), engine.Producers, 64}}},
	} {
		label := func(c engine.Config) (all []string) {
			c.Proof, c.Parents, c.Sectors, c.Hashers, c.Producers = proof, tt.source, sectors(t, 1), 1, 1
			engine.SetLayers(&c, count)
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for layer := 1; layer <= count; layer++ {
				all = append(all, fileDigest(t, layers.Path(c.Sectors[0].CacheDir, layer)))
			}
			return all
		}
		want := label(engine.Config{})
		for _, w := range tt.ways {
			k := kernels.Best(w.lanes)
			if k == nil {
				continue
			}
			c := engine.Config{Kernel: k.Name, MemoryMode: engine.OneLayer, Staging: w.staging, Stride: w.stride, Lookahead: w.lookahead}
			engine.SetHook(&c, func(_ int, run uint64) {
				if runs := uint64(nodes / w.stride); run%runs+uint64(w.slow) >= runs {
					time.Sleep(2 * time.Millisecond)
				}
			})
			if diff := cmp.Diff(want, label(c)); diff != "" {
				t.Errorf("%T, %+v: other layers:\n%s", tt.source, w, diff)
			}
		}
	}
}
