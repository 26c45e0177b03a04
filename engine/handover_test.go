package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// lopsided is a graph whose expander parents are all among so many nodes, the first part
// of the layer before that is handed over: more than can be put aside.
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

// TestHandOver: the layers are right if the hasher is so slow where a layer ends that
// each part of the layer before is handed over as soon as may be, if producers are so far ahead
// that they wait for what is put aside, and if that is too much. Producers that are stopped
// for some milliseconds a span see to the first.
func TestHandOver(t *testing.T) {
	t.Parallel()
	const count = 3 // two layers' keys are handed over in a row
	proof := porep.StackedDrg2KiBV1_1
	if testkit.Long() {
		proof = porep.StackedDrg8MiBV1_1
	}
	nodes := int(proof.SectorSize().Nodes())
	segment := nodes / engine.Segments
	g, err := graph.New(proof)
	if err != nil {
		t.Fatal(err)
	}
	type way struct {
		lanes, stride, lookahead int
		staging                  engine.Staging
		slow                     int // spans at the end
	}
	ways := []way{
		{2, min(256, segment), min(512, segment), engine.Producers, 16},
		{1, min(64, segment), segment, engine.Hybrid, 0},
	}
	if testkit.Long() {
		ways = append(ways, way{1, min(256, segment), min(512, segment), engine.Inline, 16}, way{4, min(256, segment), min(512, segment), engine.Producers, 16})
	}
	for _, tt := range []struct {
		source engine.ParentSource
		ways   []way
	}{
		{g, ways},
		{lopsided(segment), []way{{1, min(64, segment), min(128, segment), engine.Producers, 64}}},
	} {
		label := func(c engine.Config, hooks engine.Hooks) (all []string) {
			// No sample at the end, which is of the proof's own parents.
			c.Proof, c.Parents, c.Sectors, c.Hashers, c.Producers, c.VerifySample = proof, tt.source, sectors(t, 1), 1, 1, -1
			hooks.Layers = count
			if _, err := hooks.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for layer := 1; layer <= count; layer++ {
				all = append(all, testkit.Digest(t, layers.Path(c.Sectors[0].CacheDir, layer)))
			}
			return all
		}
		want := label(engine.Config{}, engine.Hooks{})
		for _, w := range tt.ways {
			k := kernels.Best(w.lanes)
			if k == nil {
				continue
			}
			c := engine.Config{Kernel: k.Name, MemoryMode: engine.OneLayer, Staging: w.staging, Stride: w.stride, Lookahead: w.lookahead}
			hooks := engine.Hooks{Stage: func(_ int, span uint64) {
				if spans := uint64(nodes / w.stride); span%spans+uint64(w.slow) >= spans {
					time.Sleep(2 * time.Millisecond)
				}
			}}
			if diff := cmp.Diff(want, label(c, hooks)); diff != "" {
				t.Errorf("%T, %+v: other layers:\n%s", tt.source, w, diff)
			}
		}
	}
}
