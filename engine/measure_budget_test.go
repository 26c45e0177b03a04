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
func aBudget(t *testing.T, n int, bytes uint64) engine.Config {
	return engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, n), Hashers: 1, MemoryMode: engine.Budget, Budget: bytes}
}

// TestMeasureBudget: with less memory than a layer a part is measured and recomputed as well, to the
// layer's end, and reads and writes for each label what a whole job would; nothing is left.
func TestMeasureBudget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kernel  string
		sectors int
		bytes   uint64
		hashers int
	}{{"", 1, 6 << 20, 1}, {"generic/1", 2, 12 << 20, 2}} {
		c := aBudget(t, tt.sectors, tt.bytes)
		c.Kernel, c.Hashers = tt.kernel, tt.hashers
		r, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if mode := r.Config().MemoryMode; mode != engine.Budget {
			t.Fatalf("%d bytes: %v mode", tt.bytes, mode)
		}
		m, err := r.Measure(t.Context(), time.Hour)
		if err != nil {
			t.Fatalf("%+v: %v", tt, err)
		}
		half := c.Proof.SectorSize().Nodes() / 2
		for _, h := range m.Hashers {
			if h.Nodes != half {
				t.Errorf("%+v: %d nodes, want %d", tt, h.Nodes, half)
			}
			// 8 parents of 36 bytes each way and less than one from further back; the layer's file; blocks
			// that are not full.
			label := float64(h.Nodes) * float64(h.Lanes)
			if n := h.Read / float64(h.Lanes); n < 8*32 || n > 500 {
				t.Errorf("%+v: %.0f bytes read for each of %.0f labels", tt, n, label)
			}
			if n := h.Written / float64(h.Lanes); n < 8*32+32 || n > 500 {
				t.Errorf("%+v: %.0f bytes written for each of %.0f labels", tt, n, label)
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
	for i := range testkit.Rounds(3, 20) {
		ring := uint64(1) << (10 + r.IntN(8))
		hooks := engine.Hooks{Cut: memorymode.Cut{Ring: ring, Segment: 128 * (1 + r.Uint64N(ring/3/128)), Block: 4096 << r.IntN(5)}}
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1+i%3), Hashers: 1}
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
	if _, err := hooks.Measure(t.Context(), aBudget(t, 1, 6<<20), time.Hour); !errors.As(err, &wrong) {
		t.Errorf("labels that are changed as they are made: %v", err)
	}
}

// TestMeasureBudgetFaults: a scratch file that fails ends the measurement, or all labels were right; files
// are gone, whatever happens.
func TestMeasureBudgetFaults(t *testing.T) {
	t.Parallel()
	r, _ := testkit.Seeded(t)
	c := aBudget(t, 1, 6<<20)
	counting := &scratchOnly{Injector: errorfs.Injector{}}
	if _, err := engine.Measure(counting.With(t.Context()), c, time.Hour); err != nil {
		t.Fatal(err)
	}
	n := counting.Operations()
	failed := 0
	for _, fault := range errorfs.Faults {
		for range testkit.Rounds(1, 8) {
			i := &scratchOnly{Injector: errorfs.Injector{At: r.IntN(n), Fault: fault, Again: true}}
			_, err := engine.Measure(i.With(t.Context()), c, time.Hour)
			if wrong := (*engine.LabelError)(nil); errors.As(err, &wrong) {
				t.Errorf("%s: %v", i.Struck(), err)
			}
			if err != nil {
				failed++
			}
			if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
				t.Errorf("%s: left %v", i.Struck(), left)
			}
		}
	}
	if failed == 0 {
		t.Errorf("no measurement failed of %d operations", n)
	}
}

// TestMeasureBudgetCancelled: when the context ends, before the first label or after, the measurement does.
func TestMeasureBudgetCancelled(t *testing.T) {
	t.Parallel()
	c := aBudget(t, 1, 6<<20)
	counting := &scratchOnly{Injector: errorfs.Injector{}}
	if _, err := engine.Measure(counting.With(t.Context()), c, time.Hour); err != nil {
		t.Fatal(err)
	}
	n := counting.Operations()
	stop := errors.New("enough")
	for _, at := range []int{0, 1, n / 8, n / 2} { // how many there are at the end differs
		ctx, cancel := context.WithCancelCause(t.Context())
		i := &cancelling{at: int64(at), cancel: func() { cancel(stop) }}
		if _, err := engine.Measure(durable.WithInjector(ctx, i), c, time.Hour); !errors.Is(err, stop) {
			t.Errorf("at operation %d of %d: %v", at, n, err)
		}
		if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
			t.Errorf("at operation %d: left %v", at, left)
		}
	}
}

// cancelling calls cancel before an operation on a scratch file.
type cancelling struct {
	at     int64
	n      atomic.Int64
	cancel func()
}

func (i *cancelling) Before(op *durable.Op) error {
	if isScratch(op) && i.n.Add(1) == i.at+1 {
		i.cancel()
	}
	return nil
}

func (i *cancelling) After(*durable.Op) error { return nil }
