package sealer

import (
	"cmp"
	"context"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// Most is how many sectors of a seal proof, limit at most, there is room for in a job that begins now.
// Without a limit, 0, it is how many it can label at the same time, none after the others. It is 0 if
// that cannot be told: where no cores are chosen, and where there is no room until other jobs end.
func (m *Machine) Most(ctx context.Context, p porep.SealProof, limit int) int {
	if p.Check() != nil || m.options.Policy == PolicyNone {
		return 0
	}
	v, err := m.look(ctx, &take{m: m, told: map[NoteKind]bool{NoteNotChosen: true}}) // the job says so, too
	if v == nil || err != nil {
		return 0
	}
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
