package sealer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// A View is what a machine was, and what jobs held, at a moment.
type View struct {
	Machine *topology.Machine
	Held    []reserve.Holder

	files      []hugepages.FileInfo // that could be taken
	filesInUse bool                 // by others, some of them
}

// Plan is where sectors would go with these settings. The error is a *BusyError or a
// *NoRoomError if there is no room, and placement's for wrong settings.
func (v *View) Plan(p porep.SealProof, sectors int, s Settings) (*placement.Plan, error) {
	return v.plan(s.setup(p), sectors)
}

// FreeCores is how many cores nobody holds.
func (v *View) FreeCores() int {
	return v.free(&setup{})
}

// A BusyError says why a job cannot begin now: it can when others have ended.
type BusyError struct {
	Sectors int               // 0 if others come first, or cores were to be had for no number of sectors
	Limits  []placement.Limit // what is short; none if others come first
	Held    []reserve.Holder  // who has it
	Ahead   []reserve.Holder  // who has waited for longer
}

// Is reports whether target is the kind seal.ErrBusy.
func (e *BusyError) Is(target error) bool { return target == seal.ErrBusy }

func (e *BusyError) Error() string {
	s := noRoom(e.Sectors, e.Limits)
	for _, h := range e.Held {
		s += "; held: " + h.Who()
	}
	for _, h := range e.Ahead {
		s += "; waiting before: " + h.Who()
	}
	return s
}

// A NoRoomError says why a job cannot run on this machine, whichever other jobs end.
type NoRoomError struct {
	Sectors int
	Limits  []placement.Limit // what is short
}

// Is reports whether target is the kind seal.ErrNoMemory, if memory is short, or else
// seal.ErrBadInput: this machine has no such cores.
func (e *NoRoomError) Is(target error) bool {
	if slices.ContainsFunc(e.Limits, ofMemory) {
		return target == failure.ErrNoMemory
	}
	return target == failure.ErrBadInput
}

func (e *NoRoomError) Error() string { return noRoom(e.Sectors, e.Limits) }

func ofMemory(l placement.Limit) bool {
	return l.Kind == placement.LimitMemory || l.Kind == placement.LimitHugePages
}

func noRoom(sectors int, limits []placement.Limit) string {
	texts := []string{"sealer: no room yet"}
	if sectors > 0 {
		texts[0] = fmt.Sprintf("sealer: placing %s: no room", words.Count(sectors, "sector"))
	}
	for _, l := range limits {
		texts = append(texts, l.Text)
	}
	return strings.Join(texts, "; ")
}

// plan is the plan that takes the least time for all sectors, as far as the setup
// leaves it open how many cores hash; with layers in files, if those suffice for all.
func (v *View) plan(s *setup, sectors int) (*placement.Plan, error) {
	if len(v.files) > 0 {
		with := *s
		with.inFiles = map[topology.NUMANodeID]uint64{}
		for _, f := range v.files {
			with.inFiles[v.nodeOf(f)] += f.Size
		}
		plan, err := v.planIn(&with, sectors)
		if err == nil {
			*s = with
			return plan, nil
		}
		// What else is short would be so without files, too.
		if !slices.ContainsFunc(limitsOf(err), func(l placement.Limit) bool { return l.Kind == placement.LimitHugePages }) {
			return nil, err
		}
	}
	return v.planIn(s, sectors)
}

// nodeOf is the NUMA node that a file counts for: where nobody says, the first.
func (v *View) nodeOf(f hugepages.FileInfo) topology.NUMANodeID {
	if n, ok := f.NUMANode.Number(); ok {
		return topology.NUMANodeID(n)
	}
	return v.Machine.NUMANodes()[0].ID
}

// limitsOf is what is short, as an error of plan says.
func limitsOf(err error) []placement.Limit {
	busy, none := (*BusyError)(nil), (*NoRoomError)(nil)
	switch {
	case errors.As(err, &busy):
		return busy.Limits
	case errors.As(err, &none):
		return none.Limits
	}
	return nil
}

func (v *View) planIn(s *setup, sectors int) (*placement.Plan, error) {
	plan, err := v.planShape(s, sectors)
	if err != nil && s.forgetShape() {
		plan, err = v.planShape(s, sectors)
	}
	return plan, err
}

func (v *View) planShape(s *setup, sectors int) (*placement.Plan, error) {
	c := &s.config
	reserved := reservedBy(v.Held)
	cores := v.free(s)
	counts := []int{c.Hashers}
	if c.Hashers == 0 {
		counts = nil
		for n := 1; n <= max(1, min(sectors, cores)); n++ {
			counts = append(counts, n)
		}
	}
	var best, short *placement.Plan
	var bestCycles float64
	for _, n := range counts {
		split := c.Split(n, sectors)
		q := placement.Request{
			SectorSize: uint64(c.Proof.SectorSize()),
			Lanes:      split.Lanes,
			Policy:     s.policy.placement(),
			Only:       s.cpus,
			Mode:       c.MemoryMode,
			Budget:     c.Budget,
			Producers:  max(1, c.Producers),

			HashersPerProducer: c.HashersPerProducer,

			SMT:     s.smt,
			InFiles: s.inFiles,

			FewerProducers: true,
			MemoryNodes:    s.memory,
		}
		q.Sectors = n * q.Lanes
		if q.Mode == engine.Budget {
			var total uint64
			q.SectorBudget, total = sectorBudget(c, n, sectors, q.Lanes)
			if total > c.Budget && n > 1 {
				continue // fewer hashers take less
			}
			q.Budget = 0
		}
		cycles := split.Cycles
		plan, err := placement.New(v.Machine, reserved, q)
		if wrong := (*placement.RequestError)(nil); s.tunedSharing && errors.As(err, &wrong) {
			// The profile's, which was made when more CPUs could be used.
			c.HashersPerProducer, s.tunedSharing = 1, false
			return v.planShape(s, sectors)
		}
		if err != nil {
			return nil, err
		}
		without := slices.ContainsFunc(plan.Jobs, func(j placement.Job) bool { return len(j.Producers) == 0 })
		if without && n >= cores {
			cycles += engine.ParentsCycles / float64(n)
		}
		if !plan.Fits() {
			short = plan
			continue
		}
		if best == nil || cycles < bestCycles {
			best, bestCycles = plan, cycles
		}
	}
	if best == nil {
		return nil, v.short(s, short, sectors)
	}
	return best, nil
}

// sectorBudget is a lane's part of the memory of a hasher, of those that the sectors are shared out to,
// that has most, of what the budget lets lie there, and no more than is made use of; and what all
// hashers take.
func sectorBudget(c *engine.Config, hashers, sectors, lanes int) (bytes, total uint64) {
	const more = 1 << 20 // for producers, whose number is not known yet
	job := *c
	job.Hashers, job.Sectors, job.Places = hashers, make([]engine.Sector, sectors), nil
	var most uint64
	for _, need := range job.Requirements() {
		most, total = max(most, need.Total()), total+need.Total()
	}
	return roundup.Div(most+more, uint64(lanes)), total
}

// short tells what others will give back from what is not there at all. Memory counts as
// what they will: how much there will be when jobs end cannot be told.
func (v *View) short(s *setup, plan *placement.Plan, sectors int) error {
	none := &NoRoomError{sectors, plan.Limits}
	if len(v.Held) == 0 && !v.filesInUse {
		return none
	}
	_, err := (&View{Machine: v.Machine}).planShape(s, sectors)
	if errors.As(err, &none) && !slices.ContainsFunc(none.Limits, ofMemory) {
		return none
	}
	limits := plan.Limits
	if v.filesInUse && slices.ContainsFunc(limits, ofMemory) {
		limits = append(slices.Clip(limits), placement.Limit{Kind: placement.LimitHugePages, Text: "huge page files: other jobs use them, or too many of them"})
	}
	return &BusyError{Sectors: sectors, Limits: limits, Held: v.Held}
}

func reservedBy(held []reserve.Holder) placement.Reserved {
	r := placement.Reserved{Memory: reserve.Untouched(held)}
	for _, h := range held {
		r.Cores = append(r.Cores, h.Cores...)
	}
	return r
}

// free is how many cores a job can have.
func (v *View) free(s *setup) (cores int) {
	for _, core := range v.freeCores() {
		if slices.ContainsFunc(core.CPUs, func(cpu topology.CPU) bool {
			return v.Machine.Allowed().Contains(cpu) && (s.policy != PolicyList || s.cpus.Contains(cpu))
		}) {
			cores++
		}
	}
	return cores
}

func (v *View) freeCores() (free []topology.Core) {
	taken := map[topology.CPU]bool{}
	for _, h := range v.Held {
		for _, core := range h.Cores {
			taken[core] = true
		}
	}
	for _, core := range v.Machine.Cores() {
		if number, _ := v.Machine.CoreNumber(core.CPUs[0]); !taken[number] {
			free = append(free, core)
		}
	}
	return free
}

// setPlaces has hashers run where a plan says, with memory on none but the NUMA nodes that it is for.
func setPlaces(c *engine.Config, m *topology.Machine, plan *placement.Plan) {
	c.Machine, c.Hashers, c.Places, c.MemoryNodes = m, len(plan.Jobs), nil, m.KeepTo(plan.Request.MemoryNodes)
	for _, j := range plan.Jobs {
		place := engine.Place{Hasher: j.Hasher, Producers: j.Producers}
		if len(j.Memory) > 0 {
			place.Memory = hugepages.OnNUMANode(int(j.Memory[0].Pool.NUMANode))
		}
		c.Places = append(c.Places, place)
	}
}

// mayBind is why no thread can be bound to a plan's first CPU, if so.
func mayBind(m *topology.Machine, plan *placement.Plan) error {
	failed := make(chan error)
	go func() { // its thread ends with it if the mask cannot be restored
		p, err := topology.Pin(m, plan.Jobs[0].Hasher)
		if err == nil {
			err = p.Release()
		}
		failed <- err
	}()
	return <-failed
}

// look reads the machine, and what jobs hold.
func (m *Machine) look(ctx context.Context, t *take) (*View, error) {
	machine, err := topology.Read()
	if err != nil {
		if m.options.Policy == PolicyAuto {
			t.note(Note{Kind: NoteNotChosen, Err: err})
			return nil, nil
		}
		return nil, err
	}
	held, err := m.patience(t.job.Name).Held(ctx, m.dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported): // without locks nobody else holds anything
	case err != nil && m.mayIgnore(err):
		t.note(Note{Kind: NoteNotChosen, Err: err})
		return nil, nil
	case err != nil:
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for h := range m.holds {
		if h.own != nil {
			held = append(held, *h.own)
		}
	}
	held = append(held, m.leftOut(machine)...)
	v := &View{Machine: machine, Held: held}
	files, refused := hugepages.LookAtFiles(m.options.HugeFiles)
	v.files, v.filesInUse = files, slices.ContainsFunc(refused, func(r hugepages.FileRefusal) bool { return errors.Is(r.Err, hugepages.ErrFileInUse) })
	return v, nil
}
