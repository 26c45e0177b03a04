package sealer

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// suspectJob is who holds cores that computed wrong, for people.
const suspectJob = "nobody: it failed its self-test"

// takeSound takes cores and memory for sectors, and tests the cores. One that computes wrong is left
// out from then on, and others are taken instead, if there are any.
func (m *Machine) takeSound(ctx context.Context, job Job, about reserve.Progress, p porep.SealProof, sectors int) (*Hold, error) {
	for {
		h, err := m.take(ctx, job, about, func() error { return m.never(p, sectors) }, func(t *take) (*Hold, error) { return t.sectors(ctx, p, sectors) })
		if err != nil {
			return nil, errors.Join(err, m.suspected(err))
		}
		wrong := m.testCores(ctx, h.config, sectors)
		if wrong == nil {
			return h, nil
		}
		err = errors.Join(wrong, h.Release())
		if ctx.Err() != nil || !m.leaveOut(job, wrong) {
			return nil, err
		}
	}
}

// leaveOut leaves out the cores that an error of TestCores names; false means that it names none
// that was not.
func (m *Machine) leaveOut(job Job, wrong error) (found bool) {
	for _, err := range words.Errors(wrong) {
		core := (*engine.CoreError)(nil)
		if !errors.As(err, &core) {
			continue
		}
		m.mu.Lock()
		_, known := m.suspects[core.CPU]
		m.suspects[core.CPU] = core
		m.mu.Unlock()
		if !known {
			found = true
			m.note(Note{Kind: NoteCoreLeftOut, Job: job.Name, Err: core})
		}
	}
	return found
}

// leftOut are holders of the cores that are left out. The machine's lock is held.
func (m *Machine) leftOut(machine *topology.Machine) (held []reserve.Holder) {
	for _, cpu := range slices.Sorted(maps.Keys(m.suspects)) {
		if core, ok := machine.CoreNumber(cpu); ok {
			held = append(held, reserve.Holder{Job: suspectJob, PID: os.Getpid(), Cores: []topology.CPU{core}})
		}
	}
	return held
}

// suspected are the cores that are left out, if a job found no room.
func (m *Machine) suspected(err error) error {
	if !errors.As(err, new(*BusyError)) && !errors.As(err, new(*NoRoomError)) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, cpu := range slices.Sorted(maps.Keys(m.suspects)) {
		errs = append(errs, m.suspects[cpu])
	}
	return errors.Join(errs...)
}

// inVain reports whether a job would wait for nothing but cores that are left out.
func inVain(busy *BusyError) bool {
	isSuspect := func(h reserve.Holder) bool { return h.Job == suspectJob && h.PID == os.Getpid() }
	return len(busy.Held) > 0 && !slices.ContainsFunc(busy.Held, func(h reserve.Holder) bool { return !isSuspect(h) })
}
