package sealer

import (
	"cmp"
	"context"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// lookEvery is how often Most looks what other processes hold. What this machine's calls give back
// wakes it.
const lookEvery = time.Second

// Most is how many sectors of a seal proof, limit at most, there is room for in a job that begins now.
// Without a limit, 0, it is how many it can label at the same time, none after the others. While others
// leave no room for any it waits. It is 0 if that cannot be told, where no cores are chosen. The
// error is ctx's cause, ErrClosed, or Hold's of one sector that cannot be had.
func (m *Machine) Most(ctx context.Context, p porep.SealProof, limit int) (int, error) {
	most, err := m.most(ctx, p, limit)
	return most, failure.Returned(ctx, err)
}

func (m *Machine) most(ctx context.Context, p porep.SealProof, limit int) (int, error) {
	if err := p.Check(); err != nil {
		return 0, err
	}
	if err := m.never(p, 1); err != nil || m.options.Policy == PolicyNone {
		return 0, err
	}
	tick := time.NewTicker(m.lookEvery)
	defer tick.Stop()
	for {
		freed := m.whenFreed()
		v, err := m.look(ctx, &take{m: m, told: map[NoteKind]bool{NoteNotChosen: true}}) // the job says so, too
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if v == nil || err != nil {
			return 0, err
		}
		if most := m.mostIn(ctx, v, p, limit); most > 0 {
			return most, nil
		}
		select {
		case <-freed:
		case <-tick.C:
		case <-m.line.end:
			return 0, ErrClosed
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// mostIn is Most by what a machine was at a moment.
func (m *Machine) mostIn(ctx context.Context, v *View, p porep.SealProof, limit int) int {
	fits := func(sectors int) bool {
		s := m.setup(p, sectors)
		if _, err := m.budget(s, sectors); err != nil {
			return false
		}
		plan, err := v.plan(s, sectors)
		return err == nil && (limit > 0 || len(plan.Jobs)*plan.Request.Lanes >= sectors)
	}
	if limit > 0 && fits(limit) {
		return limit
	}
	highest := cmp.Or(limit, engine.MaxSectors)
	most, none := 0, 1 // so many fit, so many do not; first few: plans for many take their time
	for none <= highest && ctx.Err() == nil && fits(none) {
		most, none = none, 2*none
	}
	none = min(none, highest+1)
	for most+1 < none && ctx.Err() == nil {
		if n := (most + none) / 2; fits(n) {
			most = n
		} else {
			none = n
		}
	}
	return most
}
