package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// wrongFrom is a core that flips a bit of each label from a layer on; another goroutine looks at
// labels once that layer is written, and before the next is made.
func wrongFrom(layer int, nodes uint64) engine.Hooks {
	looked := make(chan struct{})
	var once sync.Once
	seen := false // by the one goroutine that looks
	return engine.Hooks{
		Look: func(written uint64) {
			switch {
			case seen:
				once.Do(func() { close(looked) })
				time.Sleep(time.Millisecond) // whoever looks without a pause would keep others from a core
			case written >= uint64(layer)*nodes:
				seen = true
			}
		},
		Labels: func(_, made int, first uint64, labels []byte) {
			if made > layer && first == 0 {
				<-looked
			}
			if made == layer {
				for at := 0; at < len(labels); at += porep.NodeSize {
					labels[at] ^= 4
				}
			}
		},
	}
}

// TestWrongCore: a core that computes wrong is found while labels are made, and named, in both
// memory modes. No layer after the one that was being made then gets its name.
func TestWrongCore(t *testing.T) {
	const nodes = 64
	for mode := engine.TwoLayers; mode <= engine.OneLayer; mode++ {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			hooks := wrongFrom(1, nodes)
			hooks.Layers = 3
			c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Kernel: "generic/1", Stride: 1, MemoryMode: mode, Sectors: []engine.Sector{{CacheDir: t.TempDir()}}}
			_, err := hooks.Run(t.Context(), c)
			wrong := (*engine.WrongLabelError)(nil)
			if !errors.As(err, &wrong) || !errors.Is(err, failure.ErrHardwareSuspect) {
				t.Fatalf("%v, want a *WrongLabelError", err)
			}
			if wrong.Layer != 1 || wrong.Node >= nodes || wrong.CPU != engine.NoCPU || wrong.Kernel != "generic/1" {
				t.Errorf("%+v", wrong)
			}
			if wrong.Found[0]^4 != wrong.Want[0] || [31]byte(wrong.Found[1:]) != [31]byte(wrong.Want[1:]) {
				t.Errorf("%x was found, %x expected", wrong.Found, wrong.Want)
			}
		})
	}
}

// TestWrongAtTheEnd: what nobody looked at is found by the sample at the sector's end.
func TestWrongAtTheEnd(t *testing.T) {
	flip := func(_, layer int, first uint64, labels []byte) {
		if layer == 2 {
			labels[0] ^= 1
		}
	}
	run := func(samples int) error {
		hooks := engine.Hooks{Labels: flip}
		_, err := hooks.Run(t.Context(), engine.Config{Proof: porep.StackedDrg2KiBV1_1, Stride: 1, VerifySample: samples, Sectors: []engine.Sector{{CacheDir: t.TempDir()}}})
		return err
	}
	wrong := (*engine.LabelError)(nil)
	if err := run(0); !errors.As(err, &wrong) || wrong.Layer != 2 {
		t.Errorf("%v, want a *LabelError", err)
	}
	if err := run(-1); err != nil {
		t.Errorf("without a sample: %v", err)
	}
}
