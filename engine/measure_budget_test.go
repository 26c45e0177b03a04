package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// aBudget is a job in Budget mode with less memory than a layer.
func aBudget(t *testing.T, bytes uint64, way engine.MemoryWay) engine.Config {
	return engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Hashers: 1, MemoryMode: engine.Budget, Budget: bytes, MemoryWay: way}
}

// TestMeasureBudget: with less memory than a layer a part is measured and recomputed as well, to the
// layer's end, and reads and writes for each label what a whole job would; nothing is left.
func TestMeasureBudget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kernel string
		way    engine.MemoryWay
	}{{"", engine.Forward}, {"", engine.Passes}} {
		c := aBudget(t, 6<<20, tt.way)
		r, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if mode := r.Config().MemoryMode; mode != engine.Budget {
			t.Fatalf("%v mode", mode)
		}
		m, err := r.Measure(t.Context(), time.Hour)
		if err != nil {
			t.Fatalf("%+v: %v", tt, err)
		}
		feed, _ := r.Feed()
		half := c.Proof.SectorSize().Nodes() / 2
		for _, h := range m.Hashers {
			if h.Nodes != half {
				t.Errorf("%+v: %d nodes, want %d", tt, h.Nodes, half)
			}
			// The second half of a layer reads more of itself than the first.
			if h.Read < feed.Read*0.7 || h.Read > feed.Read*2 {
				t.Errorf("%+v: %.0f bytes read for a label, want some %.0f", tt, h.Read, feed.Read)
			}
			// What was made last need not be written yet: a ring's labels, a quarter of all.
			if w := feed.Written + porep.NodeSize; h.Written < w/2 || h.Written > w*1.5 {
				t.Errorf("%+v: %.0f bytes written for a label, want some %.0f", tt, h.Written, w)
			}
		}
		for _, s := range c.Sectors {
			if left := fileNames(t, s.CacheDir); len(left) > 0 {
				t.Errorf("%+v: left %v", tt, left)
			}
		}
	}
}

// TestMeasureBudgetCuts: however layers are cut, every label that is looked at is right.
func TestMeasureBudgetCuts(t *testing.T) {
	t.Parallel()
	r, _ := testkit.Seeded(t)
	kernels := slices.DeleteFunc(someKernels(), func(k string) bool { return isWide(k) && !testkit.Long() })
	for i := range testkit.Rounds(4, 24) {
		ring := uint64(1) << (10 + r.IntN(8))
		hooks := engine.Hooks{Cut: memorymode.Cut{Ring: ring, Segment: 128 * (1 + r.Uint64N(ring/3/128)), Block: 4096 << r.IntN(5) * (i % 2)}}
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1+i%3), Hashers: 1 + min(i%2, i%3)}
		c.Kernel = kernels[i%len(kernels)]
		m, err := hooks.Measure(t.Context(), c, time.Duration(1+r.IntN(100))*time.Millisecond)
		if err != nil || m.Hashers[0].Nodes == 0 || m.Hashers[0].Read == 0 {
			t.Fatalf("%q, %d sectors, %+v: %+v, %v", c.Kernel, len(c.Sectors), hooks.Cut, m.Hashers, err)
		}
	}
}

// TestMeasureBudgetWrong: a label that is made wrong is found.
func TestMeasureBudgetWrong(t *testing.T) {
	t.Parallel()
	hooks := engine.Hooks{Labels: func(_, _ int, _ uint64, labels []byte) {
		for i := range labels {
			labels[i] ^= 1
		}
	}}
	var wrong *engine.LabelError
	if _, err := hooks.Measure(t.Context(), aBudget(t, 6<<20, engine.Forward), 20*time.Millisecond); !errors.As(err, &wrong) {
		t.Errorf("labels that are changed as they are made: %v", err)
	}
}

// waysOps are what each way does with files that a segment's parents come from.
var waysOps = map[engine.MemoryWay]func(*durable.Op) bool{engine.Forward: isScratch, engine.Passes: isLayerRead}

// someOps is fewer than there are of them, by either way, up to the middle of what is measured.
const someOps = 100

// TestMeasureBudgetFaults: a file that fails ends the measurement, and no label is wrong; files are gone,
// whatever happens.
func TestMeasureBudgetFaults(t *testing.T) {
	t.Parallel()
	r, _ := testkit.Seeded(t)
	for way, in := range waysOps {
		c := aBudget(t, 6<<20, way)
		failed := 0
		for _, fault := range errorfs.Faults[:testkit.Rounds(1, len(errorfs.Faults))] {
			for range testkit.Rounds(1, 4) {
				i := &partOnly{Injector: errorfs.Injector{At: r.IntN(someOps), Fault: fault, Again: true}, in: in}
				_, err := engine.Measure(i.With(t.Context()), c, time.Hour)
				if wrong := (*engine.LabelError)(nil); errors.As(err, &wrong) {
					t.Errorf("%v, %s: %v", way, i.Struck(), err)
				}
				if err != nil {
					failed++
				}
				if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
					t.Errorf("%v, %s: left %v", way, i.Struck(), left)
				}
			}
		}
		if failed == 0 {
			t.Errorf("%v: no measurement failed", way)
		}
	}
}

// TestMeasureBudgetCancelled: when the context ends, before the first label or after, the measurement does.
func TestMeasureBudgetCancelled(t *testing.T) {
	t.Parallel()
	for way, in := range waysOps {
		c := aBudget(t, 6<<20, way)
		stop := errors.New("enough")
		for _, at := range []int64{0, someOps} {
			ctx, cancel := context.WithCancelCause(t.Context())
			i := &cancelling{at: at, in: in, cancel: func() { cancel(stop) }}
			if _, err := engine.Measure(durable.WithInjector(ctx, i), c, time.Hour); !errors.Is(err, stop) {
				t.Errorf("%v, at operation %d: %v", way, at, err)
			}
			cancel(nil)
			if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
				t.Errorf("%v, at operation %d: left %v", way, at, left)
			}
		}
	}
}

// cancelling calls cancel before one of some operations.
type cancelling struct {
	at     int64
	in     func(*durable.Op) bool
	n      atomic.Int64
	cancel func()
}

func (i *cancelling) Before(op *durable.Op) error {
	if i.in(op) && i.n.Add(1) == i.at+1 {
		i.cancel()
	}
	return nil
}

func (i *cancelling) After(*durable.Op) error { return nil }
