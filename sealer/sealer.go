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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/failure"
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
	dir     string                               // of locks
	cycles  func(sectors int) map[string]float64 // of kernels, where no profile has them; nil: not known yet
	line    line
	close   func()
	parents parentStore

	mu    sync.Mutex
	holds map[*Hold]struct{}
	turns map[string]bool // in the lock directory, by ID, of those that wait
	freed chan struct{}   // closed, and made anew, when a hold is released

	pollEvery, lookEvery time.Duration // as the constants say, but for tests

	suspects  map[topology.CPU]*engine.CoreError // that computed wrong, and are left out
	testCores func(context.Context, engine.Config, int) error
}

// Open checks the options and returns a machine. The error joins all that is wrong with
// them, each a *OptionError, or an error of reserve about the lock directory.
func Open(ctx context.Context, o Options) (*Machine, error) {
	m := &Machine{pollEvery: pollEvery, lookEvery: lookEvery, options: o, dir: cmp.Or(o.LockDir, reserve.DefaultDir), cycles: keptOnce(engine.TimeKernels), holds: map[*Hold]struct{}{}, suspects: map[topology.CPU]*engine.CoreError{}, testCores: func(ctx context.Context, c engine.Config, sectors int) error { return c.TestCores(ctx, sectors) }, turns: map[string]bool{}, parents: parentStore{lock: make(chan struct{}, 1)}}
	if path, err := os.Executable(); err == nil && o.Program == "" {
		m.options.Program = filepath.Base(path)
	}
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
	if o.HashersPerProducer > 1 {
		if machine, err := topology.Read(); err == nil {
			q := placement.Request{SectorSize: porep.NodeSize, HashersPerProducer: o.HashersPerProducer}
			if o.Policy == PolicyList {
				q.Policy, q.Only = placement.List, o.CPUs
			}
			// Without a plan, wherever the system puts threads, it would mean nothing either.
			if _, err := placement.Room(machine, placement.Reserved{}, q); err != nil {
				wrong("HashersPerProducer", err)
			}
		}
	}
	if o.Policy != PolicyNone && o.needLocks() { // else a call says what it goes without
		if _, err := m.patience("").Held(ctx, m.dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			errs = append(errs, err)
		}
	}
	if o.WorkDirs != "" {
		info, err := os.Stat(o.WorkDirs)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory", o.WorkDirs)
		}
		if err != nil {
			wrong("WorkDirs", err)
		}
	}
	if o.HugeTLBFS != "" { // be a page free there or not
		r, err := hugepages.Alloc(ctx, hugepages.Options{Size: 1, HugeTLBFS: o.HugeTLBFS, Purpose: "a look at the directory"})
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

// keptOnce is measure's first result that is not nil, kept from then on: a core that has too much
// else to do when the first call comes need not have when the next one does. What is known for many
// sectors serves fewer; more are measured anew, and have nothing of the few's if that fails: a kernel
// that was not timed would be compared in another unit.
func keptOnce(measure func(sectors int) map[string]float64) func(sectors int) map[string]float64 {
	var mu sync.Mutex
	var known map[string]float64
	var most int // sectors that known is for
	return func(sectors int) map[string]float64 {
		mu.Lock()
		defer mu.Unlock()
		if known != nil && sectors <= most {
			return known
		}
		times := measure(sectors)
		if times != nil {
			known, most = times, sectors
		}
		return times
	}
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
	// Default: JobName of PreCommit1's sectors; else what is done.
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
	// Drain, if not nil, has the call end, when it is closed, as soon as the layers that are being
	// made are done: see engine.Config.Drain.
	Drain <-chan struct{}
	// Layers is how many layers GenerateSDR labels, from the first. Default: all.
	Layers int
	// Keep is which layers GenerateSDR leaves. Default: all.
	Keep engine.Keep
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
	if err := seal.CheckSectors(sectors); err != nil {
		return nil, err
	}
	h, err := m.Hold(ctx, sectors[0].Proof, len(sectors), job.named(JobName(sectors)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	return h.PreCommit1(ctx, sectors)
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

// Hold chooses cores for so many sectors, and takes them and the job's memory from the
// machine. The error is a *BusyError, a *NoRoomError, ErrClosed, ctx's cause, or one of placement,
// engine, reserve or parentcache. Sectors whose memory is more than the budget, or than the machine has,
// are refused at once, no matter who waits before.
func (m *Machine) Hold(ctx context.Context, p porep.SealProof, sectors int, job Job) (*Hold, error) {
	h, err := m.hold(ctx, p, sectors, job)
	return h, failure.Returned(ctx, err)
}

func (m *Machine) hold(ctx context.Context, p porep.SealProof, sectors int, job Job) (*Hold, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if sectors < 1 || sectors > engine.MaxSectors {
		return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("sealer: checking sectors: %d are not between 1 and %d", sectors, engine.MaxSectors))
	}
	about := reserve.Progress{Proof: p.String(), Sectors: sectors, Layers: cmp.Or(job.Layers, p.Layers())}
	h, err := m.takeSound(ctx, job, about, p, sectors)
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
	h, err := m.take(ctx, job.named("measure"), reserve.Progress{}, nil, func(t *take) (*Hold, error) {
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
		v := &View{Machine: v.Machine, Held: v.Held} // no files are taken
		h := &Hold{view: v, config: engine.Config{Hashers: len(q.Cores)}}
		return h, t.reserve(ctx, h, q)
	})
	return h, failure.Returned(ctx, err)
}
