package engine_test

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// causes is a cause that cannot be compared.
type causes []string

func (c causes) Error() string { return strings.Join(c, ", ") }

// TestEnds: what ends a job as a whole is told once, and is no sector's failure.
func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(causes{"a", "b"})
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Hashers: 1}
	_, err := engine.Run(ctx, c)
	if !errors.As(err, new(causes)) || errors.As(err, new(*engine.SectorError)) || strings.Count(err.Error(), "a, b") != 1 {
		t.Errorf("error %v", err)
	}
}

// TestCancelEarly: layers of other sectors go also where the job ends before their
// batch, or before any.
func TestCancelEarly(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*engine.Config, *engine.Hooks, context.CancelFunc)
		is   func(error) bool
	}{
		"in the first batch": {
			func(_ *engine.Config, h *engine.Hooks, cancel context.CancelFunc) {
				h.Stage = func(int, uint64) { cancel() }
			},
			func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"while memory is taken": {
			func(_ *engine.Config, _ *engine.Hooks, cancel context.CancelFunc) { cancel() },
			func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"no memory for the second hasher": {
			func(c *engine.Config, _ *engine.Hooks, _ context.CancelFunc) {
				c.Hashers, c.Staging = 2, engine.Inline
				c.Memory = &hugepages.Accounting{Budget: c.Requirements()[0].Layers}
			},
			func(err error) bool { return errors.As(err, new(*hugepages.AllocError)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 1, Memory: new(hugepages.Accounting)}
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			beginAt(t, &c.Sectors[1], 2)
			c.Resume = engine.Restart // else what is proved stays
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var hooks engine.Hooks
			tt.edit(&c, &hooks, cancel)
			if _, err := hooks.Run(ctx, c); !tt.is(err) || errors.As(err, new(*engine.SectorError)) {
				t.Errorf("error %v", err)
			}
			for i, s := range c.Sectors {
				var want []string
				if i == 1 {
					want = []string{"sc-02-data-layer-1.dat"}
				}
				if diff := cmp.Diff(want, fileNames(t, s.CacheDir)); diff != "" {
					t.Errorf("sector %d:\n%s", i, diff)
				}
			}
			if usage := c.Memory.Total(); usage.Current != 0 {
				t.Errorf("memory is left: %+v", usage)
			}
		})
	}
}

// TestMemoryFailsBusy: what a job without memory removes is not what another is making.
func TestMemoryFailsBusy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	c := oneSector(t.TempDir())
	second := c
	second.Memory = &hugepages.Accounting{Budget: 1}
	hooks := engine.Hooks{Stage: func(_ int, span uint64) {
		if span > 0 {
			return
		}
		_, err := engine.Run(t.Context(), second)
		var failed *engine.SectorError
		if !errors.As(err, &failed) || !errors.Is(failed, engine.ErrBusy) || !errors.As(err, new(*hugepages.AllocError)) {
			t.Errorf("second job: %v", err)
		}
	}}
	if _, err := hooks.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	if got := fileNames(t, c.Sectors[0].CacheDir); len(got) != 2 {
		t.Errorf("files %q, want two layers", got)
	}
}

// TestCyclesInfinite: a profile may say anything.
func TestCyclesInfinite(t *testing.T) {
	c := oneSector(t.TempDir())
	c.Kernel = "generic/1"
	c.Cycles = map[string]float64{"generic/1": math.Inf(1)}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// A gatherersParents is a graph that tells the gatherer's questions, and the index's, from
// producers'.
type gatherersParents struct {
	*graph.Graph
	asked func()
}

func (p gatherersParents) BaseParents(dst []uint32, first uint64) error {
	if len(dst) == 2048*porep.Degree {
		p.asked()
	}
	return p.Graph.BaseParents(dst, first)
}

// TestCancelGatherer: a job that is cancelled while a segment's parents are listed ends. How
// soon the list does is package onelayer's TestStopListing.
func TestCancelGatherer(t *testing.T) {
	for _, part := range []int64{1, 28*4 + 1} { // the first of the index, which asks for 28 segments, and of the gatherer
		c := oneSector(t.TempDir())
		c.Proof = porep.StackedDrg8MiBV1_1
		c.MemoryMode = engine.OneLayer
		g, err := graph.New(c.Proof)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var asked atomic.Int64
		c.Parents = gatherersParents{g, func() {
			if asked.Add(1) == part {
				cancel()
			}
		}}
		if _, err := engine.Run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if got := fileNames(t, c.Sectors[0].CacheDir); len(got) > 0 {
			t.Errorf("left %q", got)
		}
	}
}

// TestCancelSample: looking at a sample, which on a slow disk takes seconds, ends with
// the job: not even a first label that is wrong is seen any more.
func TestCancelSample(t *testing.T) {
	c := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	path := layers.Path(c.Sectors[0].CacheDir, 1)
	if err := os.WriteFile(path, make([]byte, 2048), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for _, want := range []bool{true, false} {
		err := engine.VerifySampleUntil(ctx, c.Proof, c.Sectors[0], 1, 64, 0)
		if errors.As(err, new(*engine.LabelError)) != want || errors.As(err, new(causes)) == want {
			t.Errorf("a label is wrong, to be seen: %v: error %v", want, err)
		}
		cancel(causes{"a"})
	}
}
