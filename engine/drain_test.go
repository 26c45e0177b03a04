package engine_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// TestDrain: a job that is drained finishes the layer that it is at, on each hasher, and begins
// no other; the next one goes on after it. One that is at its last layer is done.
func TestDrain(t *testing.T) {
	const count = 3
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for at := range count + 1 {
			c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 2, MemoryMode: mode, Progress: new(engine.Progress), Stride: 1, Lookahead: 1}
			nodes := c.Proof.SectorSize().Nodes()
			drain := make(chan struct{})
			hooks := engine.Hooks{Layers: count}
			if at == 0 {
				close(drain)
			} else {
				var once sync.Once
				hooks.Labels = func(hasher, layer int, _ uint64, _ []byte) {
					if hasher == 1 && layer == at {
						once.Do(func() { close(drain) })
					}
				}
			}
			c.Drain = drain
			_, err := hooks.Run(t.Context(), c)
			made, _ := c.Progress.Labels()
			if !errors.Is(err, engine.ErrDrained) && at < count || made%nodes != 0 {
				t.Fatalf("%v, layer %d: error %v, %d labels", mode, at, err, made)
			}
			whole := uint64(0)
			for i, s := range c.Sectors {
				m, err := manifest.Read(t.Context(), s.CacheDir)
				if err != nil {
					continue // it was not begun
				}
				whole += uint64(len(m.Layers))
				if len(m.Parts) > 0 || at == 0 || i == 2 && len(m.Layers) != at {
					t.Errorf("%v, layer %d: sector %d has %d layers, %d parts", mode, at, i, len(m.Layers), len(m.Parts))
				}
			}
			if made != whole*nodes {
				t.Errorf("%v, layer %d: %d labels were made, and %d layers are there", mode, at, made, whole)
			}
			c.Drain, c.Progress, hooks.Labels = nil, new(engine.Progress), nil
			if _, err := hooks.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if again, _ := c.Progress.Labels(); made+again != 3*count*nodes {
				t.Errorf("%v, layer %d: %d and then %d labels were made, want %d", mode, at, made, again, 3*count*nodes)
			}
			want := c
			want.Sectors = sectors(t, 3)
			if _, err := hooks.Run(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(digestsOf(t, want, count), digestsOf(t, c, count)); diff != "" {
				t.Errorf("%v, layer %d: %s", mode, at, diff)
			}
		}
	}
}
