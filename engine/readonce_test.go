package engine_test

import (
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// A readCounter counts the bytes that are read of each file.
type readCounter struct {
	mu    sync.Mutex
	bytes map[string]uint64 // by the file's name
}

func (r *readCounter) Before(*durable.Op) error { return nil }

func (r *readCounter) After(op *durable.Op) error {
	if op.Kind == durable.OpRead {
		r.mu.Lock()
		r.bytes[filepath.Base(op.Path)] += uint64(len(op.Buf))
		r.mu.Unlock()
	}
	return nil
}

// Where a whole layer lies in memory, a job that goes on reads what it goes on from once: to prove it,
// and to have the layer before where it is needed.
func TestGoesOnWithOneRead(t *testing.T) {
	const made, count = 2, 3
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		drain := make(chan struct{})
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 1), MemoryMode: mode, Drain: drain, VerifySample: -1}
		var once sync.Once
		hooks := engine.Hooks{Layers: count, Labels: func(_, layer int, _ uint64, _ []byte) {
			if layer == made {
				once.Do(func() { close(drain) })
			}
		}}
		if _, err := hooks.Run(t.Context(), c); !errors.Is(err, engine.ErrDrained) {
			t.Fatalf("%v: %v", mode, err)
		}
		counter := &readCounter{bytes: map[string]uint64{}}
		var before map[string]uint64 // the first labels; at the end, files that were just written are read again
		var first sync.Once
		c.Drain = nil
		hooks.Labels = func(int, int, uint64, []byte) {
			first.Do(func() {
				counter.mu.Lock()
				before = maps.Clone(counter.bytes)
				counter.mu.Unlock()
			})
		}
		if _, err := hooks.Run(durable.WithInjector(t.Context(), counter), c); err != nil {
			t.Fatal(err)
		}
		for layer := 1; layer <= made; layer++ {
			if read := before[layers.Name(layer)]; read != uint64(c.Proof.SectorSize()) {
				t.Errorf("%v: %d bytes were read of layer %d, want %d", mode, read, layer, c.Proof.SectorSize())
			}
		}
	}
}
