package sealer

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// How many sectors fit is what plans say.
func TestMost(t *testing.T) {
	o := Options{LockDir: filepath.Join(t.TempDir(), "locks"), Settings: Settings{Kernel: "generic/1", Hashers: 1}}
	one := openNoted(t, o)
	most := func(m noted, p porep.SealProof, limit, want int) {
		t.Helper()
		if n, err := m.Most(t.Context(), p, limit); n != want || err != nil {
			t.Errorf("limit %d: %d, %v, want %d", limit, n, err, want)
		}
	}
	most(one, proof, 0, 1) // it has one lane
	most(one, proof, 7, 7) // one after another
	o.Budget = one.forOneAndAHalf(t)
	o.Hashers = 0
	m := openNoted(t, o)
	most(m, porep.StackedDrg8MiBV1_1, 0, 1) // memory for one and a half
	// While there is no room it waits for what this process gives back, without looking now and then.
	m.lookEvery = time.Hour
	all := allCores(t, m.Machine)
	var waiting sync.WaitGroup
	for _, limit := range []int{0, 7} {
		waiting.Go(func() {
			if n, err := m.Most(t.Context(), proof, limit); n < 1 || err != nil {
				t.Errorf("limit %d: %d, %v", limit, n, err)
			}
		})
	}
	testkit.WaitFor(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.freed != nil
	})
	errEnough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if n, err := m.Most(ctx, proof, 1); n != 0 || !errors.Is(err, errEnough) {
		t.Errorf("%d, %v, want %v", n, err, errEnough)
	}
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	most(m, proof, 1, 1)
	none := (*placement.BudgetError)(nil)
	if n, err := m.Most(t.Context(), porep.StackedDrg64GiBV1_1, 3); n != 0 || !errors.As(err, &none) {
		t.Errorf("%d, %v, want a BudgetError", n, err)
	}

	o.Policy = PolicyNone
	most(openNoted(t, o), proof, 7, 0)
	all = allCores(t, m.Machine)
	defer all.Release()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Most(t.Context(), proof, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed machine: %v", err)
	}
}

// Sectors that can never have their memory are refused at once, though others hold cores or wait for some, whether
// cores are chosen or not.
func TestNeverFits(t *testing.T) {
	const small, large = porep.StackedDrg8MiBV1_1, porep.StackedDrg64GiBV1_1
	dir := t.TempDir()
	for _, policy := range []Policy{PolicyAuto, PolicyNone} {
		for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer, engine.Budget} {
			o := Options{LockDir: filepath.Join(dir, "locks"), Settings: Settings{Policy: policy, Kernel: "generic/1", Hashers: 1}}
			o.Budget = openNoted(t, o).forOneAndAHalf(t)
			if o.MemoryMode = mode; mode == engine.Budget {
				o.Budget = 300 << 20 // more than a small one takes, less than the least of a large one
			}
			m := openNoted(t, o)
			m.pollEvery, m.lookEvery = time.Hour, time.Hour
			first, err := m.Hold(t.Context(), small, 1, Job{Name: "first"})
			if err != nil {
				t.Fatalf("%v, %v: %v", policy, mode, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var waiting sync.WaitGroup
			if policy != PolicyNone || mode != engine.Budget { // else there is room for both
				waiting.Go(func() {
					if h, err := m.Hold(ctx, small, 1, Job{Name: "waits", Wait: true}); err == nil {
						_ = h.Release()
					}
				})
				<-m.waiting
			}
			for _, wait := range []bool{true, false} {
				if h, err := m.Hold(t.Context(), large, 1, Job{Name: "large", Wait: wait}); err == nil || errors.Is(err, seal.ErrBusy) {
					t.Errorf("%v, %v, wait %t: %v, %v", policy, mode, wait, h, err)
				}
			}
			if n, err := m.Most(t.Context(), large, 2); n != 0 || err == nil || errors.Is(err, seal.ErrBusy) {
				t.Errorf("%v, %v: %d, %v", policy, mode, n, err)
			}
			cancel()
			waiting.Wait()
			if err := first.Release(); err != nil {
				t.Error(err)
			}
		}
		// The machine has not so much.
		m := openNoted(t, Options{LockDir: filepath.Join(dir, "locks"), Settings: Settings{Policy: policy}})
		v, err := m.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := m.HoldFree(t.Context(), v, Job{Name: "all"})
		if err != nil {
			t.Fatal(err)
		}
		none := (*NoRoomError)(nil)
		if h, err := m.Hold(t.Context(), large, engine.MaxSectors, Job{Wait: true}); !errors.As(err, &none) || !errors.Is(err, failure.ErrNoMemory) {
			t.Errorf("%v: %v, %v, want a NoRoomError", policy, h, err)
		}
		if err := all.Release(); err != nil {
			t.Error(err)
		}
	}
}

// Who waits for what this process holds is woken when it is given back, and looks not only now and then.
func TestWoken(t *testing.T) {
	m := openNoted(t, Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	m.pollEvery = time.Hour
	all := allCores(t, m.Machine)
	got := make(chan error)
	go func() {
		h, err := m.Hold(t.Context(), proof, 1, Job{Name: "waits", Wait: true})
		if err == nil {
			err = h.Release()
		}
		got <- err
	}()
	<-m.waiting
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
