package sealer

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestCoreLeftOut: a core that computes wrong is named and left out, and the hold is on another
// one; with none left, the job is refused, even if it would wait.
func TestCoreLeftOut(t *testing.T) {
	machine, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	var notes []Note
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks"), Notes: func(n Note) { notes = append(notes, n) }})
	if err != nil {
		t.Fatal(err)
	}
	bad := map[topology.CPU]bool{}
	badFirst := true
	m.testCores = func(_ context.Context, c engine.Config, _ int) error {
		cpu := c.Places[0].Hasher
		if badFirst {
			bad[cpu], badFirst = true, false
		}
		if bad[cpu] {
			return &engine.CoreError{CPU: cpu, What: "generic/1", Err: errors.New("wrong")}
		}
		return nil
	}
	cores := 0
	for _, core := range machine.Cores() {
		if machine.Allowed().Contains(core.CPUs[0]) {
			cores++
		}
	}
	h, err := m.Hold(t.Context(), porep.StackedDrg2KiBV1_1, 1, Job{})
	if cores > 1 {
		if err != nil {
			t.Fatal(err)
		}
		if bad[h.config.Places[0].Hasher] {
			t.Errorf("CPU %d is used again", h.config.Places[0].Hasher)
		}
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if len(notes) == 0 || notes[0].Kind != NoteCoreLeftOut {
		t.Errorf("notes: %v", notes)
	}
	for _, cpu := range machine.Allowed().Slice() {
		bad[cpu] = true
	}
	for _, wait := range []bool{false, true} {
		_, err := m.Hold(t.Context(), porep.StackedDrg2KiBV1_1, 1, Job{Wait: wait})
		if core := (*engine.CoreError)(nil); !errors.As(err, &core) || !errors.Is(err, failure.ErrHardwareSuspect) {
			t.Errorf("wait %v: %v, want a *CoreError", wait, err)
		}
	}
}

// TestSoundCores: those of this machine are.
func TestSoundCores(t *testing.T) {
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.Hold(t.Context(), porep.StackedDrg2KiBV1_1, 2, Job{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := h.config.TestCores(t.Context(), 2); err != nil {
		t.Error(err)
	}
}
