package placement_test

import (
	"testing"

	"github.com/sdr-engine/sdr/placement"
)

func TestMemoryModes(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		mode         placement.MemoryMode
		name         string
		layer, bytes uint64
	}{
		{placement.TwoLayers, "two-layers", 32 * gib, 64 * gib},
		{placement.OneLayer, "one-layer", 32 * gib, 38 * gib},
		{placement.OneLayer, "one-layer", 64 * gib, 76 * gib},
	} {
		if name, got := tt.mode.String(), tt.mode.InMemory(tt.layer); name != tt.name || got != tt.bytes {
			t.Errorf("%s with a layer of %d: %d, want %s, %d", name, tt.layer, got, tt.name, tt.bytes)
		}
		if mode, err := placement.ParseMemoryMode(tt.name); mode != tt.mode || err != nil {
			t.Errorf("%s is parsed as %v, %v", tt.name, mode, err)
		}
	}
	for mode, want := range map[placement.MemoryMode]string{-1: "MemoryMode(-1)", 3: "MemoryMode(3)"} {
		if got := mode.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
