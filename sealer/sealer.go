// Package sealer is a machine that seals, opened once: it chooses cores for each call, takes
// them and the call's memory from the whole machine, binds threads to them, seals, and
// gives everything back.
//
// Any number of calls may be made at the same time, each on cores of its own. If there is
// no room for a call, it fails with a *BusyError, or, if Job.Wait says so, waits its turn. Calls
// of one Machine are served exactly in the order in which they were made. Across processes,
// and Machines, a call that waits has a numbered turn in the lock directory that all of them
// share, and the lowest number is served first: the order is that in which calls got the
// directory's guard. A call that does not wait takes what is free only if nobody waits. Where
// there is no lock directory that this user can write to, the order is that of one Machine
// alone. Whose turn it is looks again when a call of its own process ends, and four times a
// second for those of others.
//
// Nothing here reads flags, the environment or a terminal, or writes to one: see Options.Notes.
package sealer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A Machine seals. Its methods may be called from many goroutines.
type Machine struct {
	options Options
	dir     string                    // of locks
	cycles  func() map[string]float64 // of kernels, where no profile has them
	line    line
	close   func()
	parents parentStore

	mu    sync.Mutex
	holds map[*Hold]struct{}
	turns map[string]bool // in the lock directory, by ID, of those that wait
	freed chan struct{}   // closed, and made anew, when a hold is released
}

// Open checks the options and returns a machine. The error joins all that is wrong with
// them, each a *OptionError, or an error of reserve about the lock directory.
func Open(ctx context.Context, o Options) (*Machine, error) {
	m := &Machine{options: o, dir: cmp.Or(o.LockDir, reserve.DefaultDir), cycles: sync.OnceValue(engine.TimeKernels), holds: map[*Hold]struct{}{}, turns: map[string]bool{}, parents: parentStore{lock: make(chan struct{}, 1)}}
	m.line.end = make(chan struct{})
	m.close = sync.OnceFunc(func() { close(m.line.end) })
	var errs []error
	wrong := func(option string, err error) { errs = append(errs, &OptionError{option, err}) }
	if o.Kernel != "" {
		if _, err := sha256.ByName(o.Kernel); err != nil {
			wrong("Kernel", err)
		}
	}
	switch {
	case o.Policy < PolicyAuto || o.Policy > PolicyNone:
		wrong("Policy", fmt.Errorf("%v is none", o.Policy))
	case (o.Policy == PolicyList) != (o.CPUs.Len() > 0):
		wrong("CPUs", fmt.Errorf("%q with the policy %v, want CPUs with the policy list, and only then", o.CPUs.String(), o.Policy))
	case o.Policy == PolicyAuto || o.Policy == PolicyNone:
	default:
		if machine, err := topology.Read(); err == nil {
			q := placement.Request{SectorSize: porep.NodeSize, Policy: o.Policy.placement(), Only: o.CPUs}
			if _, err := placement.New(machine, placement.Reserved{}, q); err != nil {
				wrong("Policy", err)
			}
		}
	}
	if o.Policy != PolicyNone && o.needLocks() { // else a call says what it goes without
		if _, err := m.patience("").Held(ctx, m.dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			errs = append(errs, err)
		}
	}
	if o.HugeTLBFS != "" { // be a page free there or not
		r, err := hugepages.Alloc(ctx, hugepages.Options{Size: 1, HugeTLBFS: o.HugeTLBFS, Purpose: "a look at the folder"})
		if err == nil {
			err = r.Free()
		}
		if err != nil {
			wrong("HugeTLBFS", err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// Close refuses calls from now on, and ends those that wait. Calls at work go on.
func (m *Machine) Close() error {
	m.close()
	return nil
}

// needLocks reports whether a lock directory that cannot be used is an error: somebody named
// it, or cores.
func (o *Options) needLocks() bool { return o.Policy != PolicyAuto || o.LockDir != "" }

// mayIgnore reports whether a call can go on without reserving cores: nobody asked for it,
// and the lock directory is not for this user. A guard that somebody holds is another matter.
func (m *Machine) mayIgnore(err error) bool {
	held := (*reserve.GuardError)(nil)
	return !m.options.needLocks() && !errors.As(err, &held)
}

func (m *Machine) patience(job string) reserve.Patience {
	return reserve.Patience{Tell: func(e *reserve.GuardError) { m.note(Note{Kind: NoteGuard, Job: job, Err: e}) }}
}

func (m *Machine) note(n Note) {
	if m.options.Notes != nil {
		m.options.Notes(n)
	}
}

// A Job says how one call goes. The zero value is a good one.
type Job struct {
	// Name is what people, and other jobs, see of it: "sector 17 of f01000".
	// Default: what is done.
	Name string
	// Wait has it wait for cores and memory until they are free, or ctx is done.
	// Default: a *BusyError at once.
	Wait bool

	// Progress, if not nil, is kept up to date. It is for this call alone.
	Progress *seal.Progress
	// Begin is seal.Options.Begin, of PreCommit1.
	Begin func() error
	// Done, if not nil, is called for each sector that was begun when it is known what became
	// of it: see seal.Options.Done. From GenerateSDR, outcomes have no Output.
	Done func(sector int, o seal.Outcome)
	// Layers is how many layers GenerateSDR labels, from the first. Default: all.
	Layers int
}

func (j Job) named(name string) Job {
	if j.Name == "" {
		j.Name = name
	}
	return j
}

// PreCommit1 is phase 1 of sectors of one seal proof, which are labelled together: see
// seal.PreCommit1Together.
func (m *Machine) PreCommit1(ctx context.Context, sectors []seal.Sector, job Job) (outs []seal.Outcome, err error) {
	// What is wrong shows before anything is waited for.
	if err := check(sectors); err != nil {
		return nil, err
	}
	h, err := m.Hold(ctx, sectors[0].Proof, len(sectors), job.named("pc1"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	return h.PreCommit1(ctx, sectors)
}

func check(sectors []seal.Sector) error {
	if len(sectors) == 0 {
		return errors.New("sealer: checking sectors: none given")
	}
	var errs []error
	for i := range sectors {
		if p := sectors[i].Proof; p != sectors[0].Proof {
			errs = append(errs, fmt.Errorf("sealer: checking sectors: sector %d is of proof %v, sector 0 of %v: one job has one", i, p, sectors[0].Proof))
		}
		errs = append(errs, sectors[i].Check())
	}
	return errors.Join(append(errs, seal.CheckPaths(sectors))...)
}

// GenerateSDR labels sectors, nothing else: see seal.GenerateSDRTogether.
func (m *Machine) GenerateSDR(ctx context.Context, p porep.SealProof, sectors []engine.Sector, job Job) (r engine.Result, err error) {
	h, err := m.Hold(ctx, p, len(sectors), job.named("sdr"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	return h.GenerateSDR(ctx, sectors)
}

// Measure labels a part of layer 2 of sectors: see engine.Measure.
func (m *Machine) Measure(ctx context.Context, p porep.SealProof, sectors []engine.Sector, window time.Duration, job Job) (r engine.Measurement, err error) {
	h, err := m.Hold(ctx, p, len(sectors), job.named("measure"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	return h.Measure(ctx, sectors, window)
}

// A Hold is the cores and the memory of a job, until Release. What is done with it is done
// one after another.
type Hold struct {
	m      *Machine
	job    Job
	config engine.Config // without sectors
	view   *View         // of HoldFree

	reservation *reserve.Reservation // nil if there is none in the lock directory
	memory      map[topology.MemoryPool]uint64
	own         *reserve.Holder // what it has, if there is no reservation
	bytes       uint64
	release     func() error
}

// Hold chooses cores for so many sectors, and takes them and the job's memory from the
// machine. The error is a *BusyError, a *NoRoomError, ErrClosed, ctx's cause, or one of placement,
// reserve or parentcache.
func (m *Machine) Hold(ctx context.Context, p porep.SealProof, sectors int, job Job) (*Hold, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if sectors < 1 || sectors > engine.MaxSectors {
		return nil, fmt.Errorf("sealer: checking sectors: %d are not between 1 and %d", sectors, engine.MaxSectors)
	}
	if m.options.Hashers > sectors {
		return nil, &OptionError{"Hashers", fmt.Errorf("%d, but there is work for %d: %s", m.options.Hashers, sectors, count(sectors, "sector"))}
	}
	h, err := m.take(ctx, job, func(t *take) (*Hold, error) { return t.sectors(ctx, p, sectors) })
	if err != nil {
		return nil, err
	}
	done, err := m.parents.use(ctx, &m.options, &h.config)
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	give := h.release
	h.release = sync.OnceValue(func() error { return errors.Join(done(), give()) })
	return h, nil
}

// Look reads the machine, and what jobs hold on it.
func (m *Machine) Look(ctx context.Context) (*View, error) {
	v, err := m.look(ctx, &take{m: m})
	if v == nil && err == nil {
		machine, err := topology.Read()
		return &View{Machine: machine}, err
	}
	return v, err
}

// HoldFree takes all cores that were free in a view, to measure on them with MeasureWith.
func (m *Machine) HoldFree(ctx context.Context, v *View, job Job) (*Hold, error) {
	return m.take(ctx, job.named("measure"), func(t *take) (*Hold, error) {
		q := reserve.Request{Job: t.job.Name}
		for _, core := range v.freeCores() {
			if slices.ContainsFunc(core.CPUs, v.Machine.Allowed().Contains) {
				number, _ := v.Machine.CoreNumber(core.CPUs[0])
				q.Cores = append(q.Cores, number)
			}
		}
		if len(q.Cores) == 0 {
			return nil, &BusyError{Held: v.Held}
		}
		h := &Hold{view: v, config: engine.Config{Hashers: len(q.Cores)}}
		return h, t.reserve(ctx, h, q)
	})
}

// Release gives everything back. A second call does nothing.
func (h *Hold) Release() error { return h.release() }

// Config is what the engine is told, but for sectors.
func (h *Hold) Config() engine.Config { return h.config }

// PreCommit1 is Machine.PreCommit1 on the cores held.
func (h *Hold) PreCommit1(ctx context.Context, sectors []seal.Sector) (outs []seal.Outcome, err error) {
	o := seal.Options{Begin: h.job.Begin, Done: h.job.Done}
	err = h.seal(ctx, &o, func() (err error) {
		outs, err = seal.PreCommit1Together(ctx, sectors, o)
		return err
	})
	return outs, err
}

// GenerateSDR is Machine.GenerateSDR on the cores held.
func (h *Hold) GenerateSDR(ctx context.Context, sectors []engine.Sector) (r engine.Result, err error) {
	o := seal.Options{}
	told := make([]bool, len(sectors))
	var mu sync.Mutex
	tell := func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if !told[i] {
			told[i] = true
			h.job.Done(i, seal.Outcome{Err: err})
		}
	}
	err = h.seal(ctx, &o, func() (err error) {
		o.Engine.Layers = h.job.Layers
		if h.job.Done != nil {
			o.Engine.Done = tell
		}
		r, err = seal.GenerateSDRTogether(ctx, h.config.Proof, sectors, o)
		return err
	})
	if h.job.Done != nil {
		for i, s := range r.Sectors {
			tell(i, s.Err)
		}
	}
	return r, err
}

// seal runs a job of package seal, and notes how it went.
func (h *Hold) seal(ctx context.Context, o *seal.Options, run func() error) error {
	if o.Progress = h.job.Progress; o.Progress == nil {
		o.Progress = new(seal.Progress)
	}
	return h.run(ctx, h.config, o.Progress.Labelling(), func(c engine.Config) error {
		o.Engine = c
		return run()
	})
}

// run runs a job with a configuration, and notes how it went.
func (h *Hold) run(ctx context.Context, c engine.Config, p *engine.Progress, job func(engine.Config) error) error {
	if !h.m.options.KeepGOMAXPROCS {
		defer raiseProcs(max(1, c.Hashers))()
	}
	if h.reservation != nil || h.own != nil {
		c.MemoryTaken = func() { h.touched(ctx) }
	}
	err := job(c)
	for kind, err := range map[NoteKind]error{NoteSlowed: p.Slowed(), NoteRanAnywhere: p.Unbound()} {
		if err != nil {
			h.m.note(Note{Kind: kind, Job: h.job.Name, Err: err})
		}
	}
	return err
}

// touched tells other jobs that what this one has planned for is taken, and shows as not
// free.
func (h *Hold) touched(ctx context.Context) {
	for pool, bytes := range h.memory {
		if h.reservation != nil {
			_ = h.reservation.Touched(ctx, pool, bytes) // a hint for other jobs
		}
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.own != nil {
		own := *h.own
		own.Memory = nil
		h.own = &own
	}
}

// Measure is Machine.Measure on the cores held.
func (h *Hold) Measure(ctx context.Context, sectors []engine.Sector, window time.Duration) (r engine.Measurement, err error) {
	p := new(seal.Progress)
	if h.job.Progress != nil {
		p = h.job.Progress
	}
	c := h.config
	c.Sectors, c.Progress = sectors, p.Labelling()
	err = h.run(ctx, c, c.Progress, func(c engine.Config) (err error) {
		r, err = engine.Measure(ctx, c, window)
		return err
	})
	return r, err
}

// MeasureWith is Measure with other settings, of a Hold that HoldFree made: sectors go
// where View.Plan says. An error of Progress.Unbound is one, too.
func (h *Hold) MeasureWith(ctx context.Context, p porep.SealProof, sectors []engine.Sector, s Settings, window time.Duration) (r engine.Measurement, err error) {
	plan, err := h.view.Plan(p, len(sectors), s)
	if err != nil {
		return r, err
	}
	c := s.setup(p).config
	setPlaces(&c, h.view.Machine, plan)
	c.Sectors, c.Progress = sectors, new(engine.Progress)
	if !h.m.options.KeepGOMAXPROCS {
		defer raiseProcs(c.Hashers)()
	}
	r, err = engine.Measure(ctx, c, window)
	if unbound := c.Progress.Unbound(); err == nil && unbound != nil {
		err = unbound // what is measured anywhere says nothing of these cores
	}
	return r, err
}

// A take is a call on its way to cores.
type take struct {
	m    *Machine
	job  Job
	told map[NoteKind]bool
	id   string       // of its turn in the lock directory
	dir  *reserve.Dir // nil: none can be used
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

// pollEvery is how often a call that waits looks what other processes hold.
const pollEvery = time.Second / 4

// take tries to get a hold when it is the call's turn, again and again if the job waits.
func (m *Machine) take(ctx context.Context, job Job, try func(*take) (*Hold, error)) (*Hold, error) {
	select {
	case <-m.line.end:
		return nil, ErrClosed
	default:
	}
	t := &take{m: m, job: job}
	s := m.line.join(job.Name)
	defer s.leave()
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
		t.note(Note{Kind: NoteWaiting, Err: &BusyError{Ahead: ahead}})
		err = s.first(ctx)
	}
	if err != nil {
		return nil, err
	}
	if turn != nil {
		err := turn.Wait(ctx, func(ahead []reserve.Holder) {
			m.line.change(func() { s.waits = true })
			t.note(Note{Kind: NoteWaiting, Err: &BusyError{Ahead: ahead}})
		})
		if err != nil {
			return nil, err
		}
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		freed := m.whenFreed()
		h, err := m.attempt(t, try)
		if busy := (*BusyError)(nil); !errors.As(err, &busy) {
			return h, err
		}
		m.line.change(func() { s.waits = true })
		t.note(Note{Kind: NoteWaiting, Err: err})
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
	dir.Patience = t.m.patience(t.job.Name)
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

// sectors takes cores and memory for sectors.
func (t *take) sectors(ctx context.Context, p porep.SealProof, sectors int) (*Hold, error) {
	s := t.m.options.setup(p, sectors)
	if t.m.options.Profile == nil && s.config.Kernel == "" {
		s.config.Cycles = t.m.cycles()
	}
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
		c := &s.config
		c.Sectors = make([]engine.Sector, sectors)
		c.Hashers = min(c.WithDefaults().Hashers, max(c.Hashers, runtime.NumCPU())) // before GOMAXPROCS is raised
		h := &Hold{config: *c}
		for _, need := range c.Requirements() {
			h.bytes += need.Total()
		}
		h.config.Sectors = nil
		if s.config.Budget > 0 && h.bytes > s.config.Budget && spent != nil {
			return nil, spent
		}
		t.have(h)
		return h, nil
	}
	plan, err := v.plan(s, sectors)
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
	if err := mayBind(v.Machine, plan); err != nil {
		t.note(Note{Kind: NoteNotBound, Err: err})
	}
	h.config = s.config
	return h, t.reserve(ctx, h, q)
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
		h.own.Memory = append(h.own.Memory, reserve.Memory{Node: pool.Node, PageSize: pool.PageSize, Planned: bytes})
	}
	t.have(h)
	return nil
}

// have makes a hold the machine's, until it is released.
func (t *take) have(h *Hold) {
	m := t.m
	h.m, h.job = m, t.job
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[h] = struct{}{}
	h.release = sync.OnceValue(func() error {
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
		return nil
	})
}
