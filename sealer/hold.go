package sealer

import (
	"context"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// A Hold is the cores and the memory of a job, until Release. What is done with it is done
// one after another.
type Hold struct {
	m      *Machine
	job    Job
	about  reserve.Progress // what others are told of it whatever it does
	config engine.Config    // without sectors
	view   *View            // of HoldFree

	reservation *reserve.Reservation // nil if there is none in the lock directory
	memory      map[topology.MemoryPool]uint64
	own         *reserve.Holder // what it has, if there is no reservation
	bytes       uint64
	files       *hugepages.Files // for layers, nil if there are none
	release     func() error
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
		o.Engine.Layers, o.Engine.Keep = h.job.Layers, h.job.Keep
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
	o.WorkDirs = h.m.options.WorkDirs
	return h.run(ctx, h.config, o.Progress, false, func(c engine.Config) error {
		c.Drain = h.job.Drain
		o.Engine = c
		return run()
	})
}

// run runs a job with a configuration, and notes how it went.
func (h *Hold) run(ctx context.Context, c engine.Config, p *seal.Progress, measures bool, job func(engine.Config) error) error {
	if !h.m.options.KeepGOMAXPROCS {
		defer raiseProcs(c.Threads())()
	}
	if h.reservation != nil || h.own != nil {
		c.MemoryTaken = func() { h.touched(ctx) }
	}
	c.Paused = func(err error) {
		kind := NotePaused
		if err == nil {
			kind = NoteWentOn
		}
		h.m.note(Note{Kind: kind, Job: h.job.Name, Err: err})
	}
	c.SlowDisk = func(err *engine.SlowDiskError) { h.m.note(Note{Kind: NoteSlowDisk, Job: h.job.Name, Err: err}) }
	c.Unnoted = func(_ int, err error) {
		kind := NoteUnnoted
		if err == nil {
			kind = NoteNoted
		}
		h.m.note(Note{Kind: kind, Job: h.job.Name, Err: err})
	}
	defer h.tell(&c, p, measures)()
	err := job(c)
	labelling := p.Labelling()
	for kind, err := range map[NoteKind]error{NoteSlowed: labelling.Slowed(), NoteRanAnywhere: labelling.Unbound()} {
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
	err = h.run(ctx, c, p, true, func(c engine.Config) (err error) {
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
	progress := new(seal.Progress)
	c.Sectors, c.Progress = sectors, progress.Labelling()
	if !h.m.options.KeepGOMAXPROCS {
		defer raiseProcs(c.Threads())()
	}
	h.about = reserve.Progress{Proof: p.String(), Sectors: len(sectors), Layers: p.Layers()}
	defer h.tell(&c, progress, true)()
	r, err = engine.Measure(ctx, c, window)
	if unbound := c.Progress.Unbound(); err == nil && unbound != nil {
		err = unbound // what is measured anywhere says nothing of these cores
	}
	return r, err
}
