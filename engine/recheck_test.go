package engine_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// wrongFrom is a core that flips a bit of each label from a layer on; another goroutine looks at
// labels once that layer is written, and before the next is made.
func wrongFrom(layer int, nodes uint64) engine.Hooks {
	looked := make(chan struct{})
	var once sync.Once
	seen := false // by the one goroutine that looks
	return engine.Hooks{
		Look: func(written uint64) bool {
			if seen {
				once.Do(func() { close(looked) })
			} else {
				seen = written >= uint64(layer)*nodes // who finds it sooner ends the lane, and nothing more is written
			}
			time.Sleep(time.Millisecond) // looking without a pause would keep others from a core
			return seen
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

// TestSometimesWrong: a core that flips a bit of one label in eight is found by some of 400 looks. All
// but once in 10^23 times it is: (1 − 1/8)^400.
func TestSometimesWrong(t *testing.T) {
	const nodes, looks, one = 64, 400, 8
	enough, progress := make(chan struct{}), new(engine.Progress)
	var once sync.Once
	var seen uint64 // looks that were made
	hooks := engine.Hooks{
		Layers: 2,
		Look: func(written uint64) bool {
			if written < nodes { // see wrongFrom
				time.Sleep(time.Millisecond)
				return false
			}
			// One that is wrong is recomputed twice, and ends the job: nobody may look again.
			if found := progress.Rechecked().Labels > seen; found || seen == looks {
				once.Do(func() { close(enough) })
			}
			seen++
			return true
		},
		Labels: func(_, layer int, first uint64, labels []byte) {
			if layer == 2 && first == 0 {
				<-enough
			}
			for at := 0; layer == 1 && at < len(labels); at += porep.NodeSize {
				if (int(first)+at/porep.NodeSize)%one == 3 {
					labels[at] ^= 4
				}
			}
		},
	}
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Kernel: "generic/1", Stride: 1, VerifySample: -1, Progress: progress, Sectors: []engine.Sector{{CacheDir: t.TempDir()}}}
	r, err := hooks.Run(t.Context(), c)
	wrong := (*engine.WrongLabelError)(nil)
	if !errors.As(err, &wrong) || wrong.Layer != 1 || wrong.Node%one != 3 {
		t.Errorf("%v, want a *WrongLabelError of layer 1, with a node that is 3 more than a multiple of %d", err, one)
	}
	if n := r.Rechecked.Labels; n == 0 || n > looks+2 || r.Rechecked.CPU <= 0 {
		t.Errorf("%d labels were recomputed, in %v: want one for each of %d looks, and the wrong one twice", n, r.Rechecked.CPU, looks)
	}
}

// TestRecheckPause: looks take at most half a percent of one CPU's time, whatever one takes; where a disk is
// slow there are still 30 in a minute, and it has nine tenths of its time for others.
func TestRecheckPause(t *testing.T) {
	for _, cpu := range []time.Duration{0, 1, 20 * time.Microsecond, time.Millisecond, 20 * time.Millisecond, time.Hour} {
		for _, waited := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, time.Minute} {
			pause := engine.RecheckPause(cpu, cpu+waited)
			if cpu*1000 > (cpu+pause)*5 {
				t.Errorf("after %v, of which %v of a CPU, %v pass: more than half a percent", cpu+waited, cpu, pause)
			}
			if cpu <= time.Millisecond && pause > 2*time.Second {
				t.Errorf("after %v, of which %v of a CPU, %v pass: fewer than 30 looks in a minute", cpu+waited, cpu, pause)
			}
			if waited <= 100*time.Millisecond && (cpu+waited)*9 > pause {
				t.Errorf("after %v only %v pass", cpu+waited, pause)
			}
		}
	}
}

// TestBare: without guards the layers are the same; there is no manifest, not even an earlier one, and
// nothing is recomputed.
func TestBare(t *testing.T) {
	guarded := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), guarded); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		bare := guarded
		bare.Bare, bare.MemoryMode, bare.Resume = true, mode, engine.Restart
		bare.Sectors = []engine.Sector{{ReplicaID: guarded.Sectors[0].ReplicaID, CacheDir: t.TempDir()}}
		if err := os.WriteFile(manifest.Path(bare.Sectors[0].CacheDir), []byte("another job's"), 0o600); err != nil {
			t.Fatal(err)
		}
		hooks := engine.Hooks{Look: func(uint64) bool { t.Error("somebody looks at labels"); return true }}
		r, err := hooks.Run(t.Context(), bare)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(digests(t, guarded.Proof, guarded.Sectors), digests(t, bare.Proof, bare.Sectors)); diff != "" {
			t.Errorf("%v: other layers:\n%s", mode, diff)
		}
		if _, err := os.Stat(manifest.Path(bare.Sectors[0].CacheDir)); !errors.Is(err, os.ErrNotExist) || r.Rechecked != (engine.Rechecked{}) {
			t.Errorf("%v: manifest: %v; recomputed: %+v", mode, err, r.Rechecked)
		}
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
