package engine_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
)

// TestThreads: where hashers want what others read from files, there is room for all of these, of each hasher.
func TestThreads(t *testing.T) {
	for _, tt := range []struct {
		mode                           engine.MemoryMode
		hashers, producers, atLeast, n int
	}{
		{engine.TwoLayers, 0, 0, 1, 1},
		{engine.TwoLayers, 3, 2, 3, 3},
		{engine.OneLayer, 1, 1, 9, 16},
		{engine.Budget, 1, 0, 10, 16}, // 1 hashes, 1 produces, 6 send, write and gather, 2 write layers
		{engine.Budget, 2, 3, 24, 32},
	} {
		c := engine.Config{MemoryMode: tt.mode, Hashers: tt.hashers, Producers: tt.producers}
		if got := c.Threads(); got < tt.atLeast || got > tt.n {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
