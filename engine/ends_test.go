package engine_test

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/layers"
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

// TestCancelLater: layers of other sectors go also where the job ends before their batch.
func TestCancelLater(t *testing.T) {
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 1}
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for i, s := range c.Sectors {
		if got := fileNames(t, s.CacheDir); len(got) > 0 {
			t.Errorf("sector %d: left %q", i, got)
		}
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

// A gatherersParents is a graph that tells the gatherer's questions from producers'.
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

// TestCancelGatherer: listing a window's parents, which takes seconds in a large
// sector, ends with the job.
func TestCancelGatherer(t *testing.T) {
	c := oneSector(t.TempDir())
	c.Proof = porep.StackedDrg8MiBV1_1
	c.MemoryMode = engine.OneLayer
	g, err := graph.New(c.Proof)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	c.Parents = gatherersParents{g, func() {
		asked++
		cancel()
		time.Sleep(50 * time.Millisecond) // by when the job has noticed
	}}
	if _, err := engine.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if asked >= 8 {
		t.Errorf("two whole windows were listed, in %d parts", asked)
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
