package memorymode_test

import (
	"testing"

	"github.com/sdr-engine/sdr/internal/memorymode"
)

func TestModes(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		mode         memorymode.Mode
		name         string
		layer, bytes uint64
	}{
		{memorymode.TwoLayers, "two-layers", 32 * gib, 64 * gib},
		{memorymode.OneLayer, "one-layer", 32 * gib, 38 * gib},
		{memorymode.OneLayer, "one-layer", 64 * gib, 76 * gib},
	} {
		if name, got := tt.mode.String(), tt.mode.InMemory(tt.layer); name != tt.name || got != tt.bytes {
			t.Errorf("%s with a layer of %d: %d, want %s, %d", name, tt.layer, got, tt.name, tt.bytes)
		}
		if names := memorymode.Names(); names[tt.mode] != tt.name {
			t.Errorf("names are %q", names)
		}
	}
	for mode, want := range map[memorymode.Mode]string{-1: "MemoryMode(-1)", 2: "MemoryMode(2)"} {
		if got := mode.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
