package sealer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// A take is a call on its way to cores.
type take struct {
	m     *Machine
	job   Job
	about reserve.Progress // what other processes are told of it whatever it does
	told  map[NoteKind]bool
	waits string       // what other processes were told that it waits for
	id    string       // of its turn in the lock directory
	dir   *reserve.Dir // nil: none can be used
}

// note tells each kind of thing once.
func (t *take) note(n Note) {
	if t.told[n.Kind] {
		return
	}
	if t.told == nil {
		t.told = map[NoteKind]bool{}
	}
	t.told[n.Kind] = true
	n.Job = t.job.Name
	t.m.note(n)
}

// pollEvery is how often a call that waits looks what other processes hold. What this machine's calls give
// back wakes it.
const pollEvery = time.Second / 4

// take tries to get a hold when it is the call's turn, again and again if the job waits. What would never
// be had, as never says, if it is not nil, is refused at once, no matter who waits before.
func (m *Machine) take(ctx context.Context, job Job, about reserve.Progress, never func() error, try func(*take) (*Hold, error)) (*Hold, error) {
	select {
	case <-m.line.end:
		return nil, ErrClosed
	default:
	}
	t := &take{m: m, job: job, about: about}
	s := m.line.join(job.Name)
	defer s.leave()
	if never != nil {
		if err := never(); err != nil {
			return nil, err
		}
	}
	if !job.Wait {
		m.line.change(func() { s.turned = true })
		ahead, err := s.firstOrBehind(ctx)
		if err == nil && len(ahead) == 0 {
			ahead, err = t.waiting(ctx)
		}
		if err != nil {
			return nil, err
		}
		if len(ahead) > 0 {
			return nil, &BusyError{Ahead: ahead}
		}
		return m.attempt(t, try)
	}
	if err := s.turn(ctx); err != nil {
		return nil, err
	}
	turn, err := t.queue(ctx)
	if err != nil {
		t.leaveTurn(nil)
		return nil, err
	}
	defer t.leaveTurn(turn)
	m.line.change(func() { s.turned = true })
	ahead, err := s.firstOrBehind(ctx)
	if err == nil && len(ahead) > 0 {
		t.tellWaiting(ctx, turn, &BusyError{Ahead: ahead})
		err = s.first(ctx)
	}
	if err != nil {
		return nil, err
	}
	if turn != nil {
		err := turn.Wait(ctx, func(ahead []reserve.Holder) {
			m.line.change(func() { s.waits = true })
			t.tellWaiting(ctx, turn, &BusyError{Ahead: ahead})
		})
		if err != nil {
			return nil, err
		}
	}
	tick := time.NewTicker(m.pollEvery)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		freed := m.whenFreed()
		h, err := m.attempt(t, try)
		if busy := (*BusyError)(nil); !errors.As(err, &busy) || inVain(busy) {
			return h, err
		}
		m.line.change(func() { s.waits = true })
		t.tellWaiting(ctx, turn, err)
		select {
		case <-freed:
		case <-tick.C:
		case <-m.line.end:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// attempt tries to get a hold now. A job that others race for the same cores, or memory,
// looks again what is left.
func (m *Machine) attempt(t *take, try func(*take) (*Hold, error)) (h *Hold, err error) {
	const coreRaces, memoryRaces = 100, 3 // that are lost one after another
	for cores, memory := 0, 0; cores < coreRaces && memory < memoryRaces; {
		h, err = try(t)
		held, room := (*reserve.HeldError)(nil), (*reserve.RoomError)(nil)
		switch {
		case err == nil:
			return h, nil
		case errors.As(err, &held):
			cores++
		case errors.As(err, &room):
			memory++
		default:
			return nil, err
		}
	}
	return nil, lost(err)
}

// lost is a *BusyError for who lost every race.
func lost(err error) *BusyError {
	e := &BusyError{Limits: []placement.Limit{{Kind: placement.LimitMemory, Text: err.Error()}}}
	if held := (*reserve.HeldError)(nil); errors.As(err, &held) {
		e.Limits[0].Kind, e.Held = placement.LimitCores, held.Holders
	}
	return e
}

// whenFreed is closed when a call of this machine has ended.
func (m *Machine) whenFreed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freed == nil {
		m.freed = make(chan struct{})
	}
	return m.freed
}

// locks is the lock directory, nil if this user cannot take locks there and need not.
func (t *take) locks() (*reserve.Dir, error) {
	if t.dir != nil || t.m.options.Policy == PolicyNone {
		return t.dir, nil
	}
	dir, err := reserve.Open(t.m.dir, "/")
	if err != nil {
		return nil, err
	}
	dir.Patience, dir.Program = t.m.patience(t.job.Name), t.m.options.Program
	t.dir = dir
	return dir, nil
}

// waiting are those of other machines that wait.
func (t *take) waiting(ctx context.Context) ([]reserve.Holder, error) {
	dir, err := t.locks()
	if err == nil && dir != nil {
		var waiting []reserve.Holder
		if waiting, err = dir.Waiting(ctx); err == nil {
			// Those of this machine that came before are none: this call is the first.
			t.m.mu.Lock()
			defer t.m.mu.Unlock()
			return slices.DeleteFunc(waiting, func(h reserve.Holder) bool { return t.m.turns[h.ID] }), nil
		}
	}
	if err != nil && !t.m.mayIgnore(err) {
		return nil, err
	}
	return nil, nil
}

// queue takes a turn in the lock directory, nil if there is none to be had.
func (t *take) queue(ctx context.Context) (*reserve.Turn, error) {
	dir, err := t.locks()
	if err == nil && dir != nil {
		var turn *reserve.Turn
		t.id = rand.Text()
		t.m.mu.Lock()
		t.m.turns[t.id] = true // before there is one: nobody is to take it for another machine's
		t.m.mu.Unlock()
		if turn, err = dir.Queue(ctx, t.job.Name, t.id); err == nil {
			return turn, nil
		}
	}
	if err != nil && !t.m.mayIgnore(err) {
		return nil, err
	}
	return nil, nil
}

func (t *take) leaveTurn(turn *reserve.Turn) {
	if turn != nil {
		turn.Leave()
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	delete(t.m.turns, t.id)
}

// setup is that of the options, with what kernels take here if nothing else chooses one.
func (m *Machine) setup(p porep.SealProof, sectors int) *setup {
	s := m.options.setup(p, sectors)
	if m.options.Profile == nil && s.config.Kernel == "" {
		s.config.Cycles = m.cycles(sectors)
	}
	return s
}

// sectors takes cores and memory for sectors.
func (t *take) sectors(ctx context.Context, p porep.SealProof, sectors int) (*Hold, error) {
	s := t.m.setup(p, sectors)
	spent, budgetErr := t.m.budget(s, sectors)
	if budgetErr != nil {
		return nil, budgetErr
	}
	var v *View
	if s.policy != PolicyNone {
		var err error
		if v, err = t.m.look(ctx, t); err != nil {
			return nil, err
		}
	}
	if v == nil { // anywhere
		c := s.anywhere(sectors)
		if machine, err := topology.Read(); err == nil {
			c.MemoryNodes = machine.KeepTo(s.memory)
		}
		h := &Hold{config: c, bytes: bytesOf(&c)}
		h.config.Sectors = nil
		if s.config.Budget > 0 && h.bytes > s.config.Budget && spent != nil {
			return nil, spent
		}
		files, why := t.m.takeFiles(ctx, c)
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), files.Close())
		}
		t.useFiles(h, files, why)
		t.have(h)
		return h, nil
	}
	plan, files, why, err := t.plan(ctx, v, s, sectors)
	if over := (*placement.BudgetError)(nil); errors.As(err, &over) && spent != nil {
		return nil, spent
	}
	if none := (*NoRoomError)(nil); errors.As(err, &none) && spent != nil && slices.ContainsFunc(none.Limits, isBudget) {
		return nil, &BusyError{Sectors: none.Sectors, Limits: none.Limits, Held: spent.Held}
	}
	if err != nil {
		return nil, err
	}
	h := &Hold{memory: map[topology.MemoryPool]uint64{}}
	q := reserve.Request{Job: t.job.Name, Memory: h.memory}
	for _, j := range plan.Jobs {
		q.Cores = append(q.Cores, j.Cores...)
		for _, share := range j.Memory {
			h.memory[share.Pool] += share.Bytes
			h.bytes += share.Bytes
		}
	}
	setPlaces(&s.config, v.Machine, plan)
	if len(s.inFiles) > 0 { // the budget counts those, too
		h.bytes = plan.Memory
	}
	if err := mayBind(v.Machine, plan); err != nil {
		t.note(Note{Kind: NoteNotBound, Err: err})
	}
	h.config = s.config
	if err := t.reserve(ctx, h, q); err != nil {
		return nil, errors.Join(err, files.Close())
	}
	t.useFiles(h, files, why)
	return h, nil
}

// plan is View.plan, with files taken for layers if there are enough; why says why not.
func (t *take) plan(ctx context.Context, v *View, s *setup, sectors int) (plan *placement.Plan, files *hugepages.Files, why, err error) {
	before := *s
	plan, err = v.plan(s, sectors)
	if err != nil {
		return nil, nil, nil, err
	}
	c := s.config
	c.Sectors = make([]engine.Sector, sectors)
	setPlaces(&c, v.Machine, plan)
	files, why = t.m.takeFiles(ctx, c)
	switch {
	case ctx.Err() != nil:
		return nil, nil, nil, errors.Join(context.Cause(ctx), files.Close())
	case why == nil || len(s.inFiles) == 0:
		return plan, files, why, nil
	}
	// Others were faster, or the files' sizes do not go with the hashers'.
	*s = before
	none := (*hugepages.FilesError)(nil)
	plan, err = (&View{Machine: v.Machine, Held: v.Held, filesInUse: errors.As(why, &none) && none.InUse()}).plan(s, sectors)
	return plan, nil, why, err
}

// takeFiles takes files for all layers of a job, nil if there are none to take.
func (m *Machine) takeFiles(ctx context.Context, c engine.Config) (*hugepages.Files, error) {
	if len(m.options.HugeFiles) == 0 {
		return nil, nil
	}
	var regions []hugepages.Options
	for h, need := range c.Requirements() {
		o := hugepages.Options{Size: need.Layers, Strict: c.StrictNUMA}
		if len(c.Places) > 0 {
			o.Binding = c.Places[h].Memory
		}
		regions = append(regions, o)
	}
	return hugepages.TakeFiles(ctx, m.options.HugeFiles, regions...)
}

// useFiles gives a hold the files for its layers, or says why there are none.
func (t *take) useFiles(h *Hold, files *hugepages.Files, why error) {
	h.files, h.config.HugeFiles = files, files
	switch {
	case why != nil:
		if none := (*hugepages.FilesError)(nil); errors.As(why, &none) {
			why = none
		}
		t.note(Note{Kind: NoteNotInFiles, Err: why})
	case files != nil:
		t.note(Note{Kind: NoteInFiles, Files: files.Infos()})
	}
}

func isBudget(l placement.Limit) bool { return l.Kind == placement.LimitBudget }

// budget takes what other calls have from a job's budget. Spent is what they have, to say
// so; nil if there are none.
func (m *Machine) budget(s *setup, sectors int) (spent *BusyError, err error) {
	c := &s.config
	if c.Budget == 0 {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var bytes uint64
	spent = &BusyError{Sectors: sectors}
	for h := range m.holds {
		bytes += h.bytes
		spent.Held = append(spent.Held, reserve.Holder{Job: h.job.Name, PID: os.Getpid()})
	}
	if bytes == 0 {
		return nil, nil
	}
	spent.Limits = []placement.Limit{{Kind: placement.LimitBudget, Text: fmt.Sprintf("memory budget: %s, of which calls at work have %s",
		topology.SizeText(c.Budget), topology.SizeText(bytes))}}
	if bytes >= c.Budget {
		return spent, spent
	}
	c.Budget -= bytes
	return spent, nil
}

// reserve takes what q asks for from the machine.
func (t *take) reserve(ctx context.Context, h *Hold, q reserve.Request) error {
	dir, err := t.locks()
	if err == nil && dir != nil {
		q.Progress = t.about
		q.Progress.At = time.Now().UTC()
		h.reservation, err = dir.Acquire(ctx, q)
		if err == nil {
			t.have(h)
			return nil
		}
		return err
	}
	if err != nil && !t.m.mayIgnore(err) {
		return err
	}
	// Those that others hold were seen, and the plan keeps off them.
	t.note(Note{Kind: NoteNotReserved, Err: err, Cores: q.Cores})
	h.own = &reserve.Holder{Job: q.Job, PID: os.Getpid(), Cores: q.Cores}
	for pool, bytes := range q.Memory {
		h.own.Memory = append(h.own.Memory, reserve.Memory{Node: pool.NUMANode, PageSize: pool.PageSize, Planned: bytes})
	}
	t.have(h)
	return nil
}

// have makes a hold the machine's, until it is released.
func (t *take) have(h *Hold) {
	m := t.m
	h.m, h.job, h.about = m, t.job, t.about
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[h] = struct{}{}
	h.release = sync.OnceValue(func() error {
		err := h.files.Close() // first: who sees that cores are free looks at files, too
		if h.reservation != nil {
			h.reservation.Release()
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.holds, h)
		if m.freed != nil {
			close(m.freed)
			m.freed = nil
		}
		return err
	})
}
