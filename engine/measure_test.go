package engine_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// TestMeasure: every kernel and mode has a part of a layer measured and recomputed,
// and leaves nothing.
func TestMeasure(t *testing.T) {
	t.Parallel()
	for _, kernel := range someKernels() {
		if isWide(kernel) && !testkit.Long() {
			continue // filling all lanes' memory takes seconds
		}
		for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
			c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 3), Kernel: kernel, MemoryMode: mode, Hashers: 2}
			m, err := engine.Measure(t.Context(), c, 50*time.Millisecond)
			if err != nil {
				t.Fatalf("%q, %v: %v", kernel, mode, err)
			}
			for h, got := range m.Hashers {
				if got.Kernel == "" || got.Nodes == 0 || got.Took <= 0 || got.Lanes < 1 || got.Batches < 1 {
					t.Errorf("%q, %v: hasher %d: %+v", kernel, mode, h, got)
				}
			}
			for _, s := range c.Sectors {
				if left := fileNames(t, s.CacheDir); len(left) > 0 {
					t.Errorf("%q, %v: left %v", kernel, mode, left)
				}
			}
		}
	}
}

// TestMeasureIsNotRechecked: what a measurement labels has parents that are no labels, and no
// files: nobody looks at its labels meanwhile, as is done where a layer takes long.
func TestMeasureIsNotRechecked(t *testing.T) {
	t.Parallel()
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		hooks := engine.Hooks{Look: func(written uint64) bool { t.Errorf("%v: looked at %d nodes", mode, written); return true }}
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), MemoryMode: mode}
		if _, err := hooks.Measure(t.Context(), c, 20*time.Millisecond); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

// TestMeasureLarge: layers that take long to label are measured like small ones.
func TestMeasureLarge(t *testing.T) {
	testkit.NeedsLong(t, "layers of 512 MiB in memory")
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		c := engine.Config{Proof: porep.StackedDrg512MiBV1_1, Sectors: sectors(t, 1), MemoryMode: mode}
		if _, err := engine.Measure(t.Context(), c, 200*time.Millisecond); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

// TestMeasureWhole: a part that goes to the layer's end is measured as well. There is a
// pause before the next only where that has to be read.
func TestMeasureWhole(t *testing.T) {
	t.Parallel()
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), MemoryMode: mode}
		m, err := engine.Measure(t.Context(), c, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if want := c.Proof.SectorSize().Nodes() / 2; m.Hashers[0].Nodes != want {
			t.Errorf("%v: %d nodes, want %d", mode, m.Hashers[0].Nodes, want)
		}
		if got := m.Hashers[0].Pause > 0; got != (mode == engine.OneLayer) {
			t.Errorf("%v: a pause of %v", mode, m.Hashers[0].Pause)
		}
		if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
			t.Errorf("%v: left %v", mode, left)
		}
	}
}

func TestMeasureBadInput(t *testing.T) {
	good := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1)}
	small, none := good, good
	small.Proof = porep.StackedDrg2KiBV1_1
	none.Sectors = nil
	for _, tt := range []struct {
		c      engine.Config
		window time.Duration
	}{{good, 0}, {good, -1}, {small, time.Second}, {none, time.Second}} {
		var bad *engine.ConfigError
		if _, err := engine.Measure(t.Context(), tt.c, tt.window); !errors.As(err, &bad) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestMeasureStrides: a part begins with a span of the producers, however long those
// are.
func TestMeasureStrides(t *testing.T) {
	t.Parallel()
	for _, stride := range []int{1, 96, 1000, 1 << 16} {
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Stride: stride, Staging: engine.Producers}
		if _, err := engine.Measure(t.Context(), c, 20*time.Millisecond); err != nil {
			t.Errorf("stride %d: %v", stride, err)
		}
	}
}

// TestMeasureBusy: a hasher that has no time for a single span while it is looked at, since
// others have its core, has made no slice yet, and none of which the rate is 0; a window
// is not over before anything is labelled.
func TestMeasureBusy(t *testing.T) {
	var nodes []uint64
	for n := range uint64(6) {
		for range 40 {
			nodes = append(nodes, 1000*n)
		}
	}
	m := engine.SampleAt(nodes, 100*time.Microsecond)
	if m.Nodes == 0 {
		t.Errorf("%+v", m)
	}
	m = engine.SampleAt(append(nodes, 6000), 20*time.Millisecond)
	if len(m.Slices) > 0 && slices.Min(m.Slices) <= 0 {
		t.Errorf("rates %v", m.Slices)
	}
	if len(m.Slices) > 6 || m.Nodes == 0 {
		t.Errorf("%d nodes, %d slices", m.Nodes, len(m.Slices))
	}
}
