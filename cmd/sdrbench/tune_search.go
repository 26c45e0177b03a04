package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
)

// A trial is one way to set the engine, all of it that tune looks at.
type trial struct {
	kernel            string
	sectors, hashers  int
	staging           engine.Staging
	producers         int // for each hasher
	stride, lookahead int
	smt               placement.SMTUse
	pages             profile.PageKind
	policy            placement.Policy
}

// A measured is what one measurement of a trial came to.
type measured struct {
	rate   float64 // labels a second, of all sectors
	cycles float64 // core cycles of the hashing cores, a label
	spread float64 // of the rate within the measurement, a share of it
}

// A figure is what all measurements of a trial came to.
type figure struct {
	measured     // medians; spread is between measurements, if there are several
	samples  int // measurements
}

// A tuneShape is how many hashers and sectors a kernel can have.
type tuneShape struct{ hashers, sectors int }

// A tuneKernel is a kernel that the machine can run.
type tuneKernel struct {
	name  string
	lanes int
	// one is a single hasher with all lanes: by it kernels compare. Zero where
	// there is no memory for it.
	one tuneShape
	// shapes are those for throughput, the one that looks best first.
	shapes []tuneShape
}

// A tuneSpace is what there is to choose from.
type tuneSpace struct {
	kernels   []tuneKernel // best first
	producers []int        // ascending, as the others
	strides   []int
	ahead     []int
	smt       []placement.SMTUse // the default first, as those below
	pages     []profile.PageKind
	policies  []placement.Policy
	// counts are the numbers of sectors that throughput is asked for. None: any.
	counts []int
}

// The errors of a measurement that the search goes on after.
var (
	errTimeUp  = errors.New("tuning: the time is up")
	errCannot  = errors.New("cannot be had")
	errNothing = errors.New("tuning: the time is too short for a single measurement of a kernel: more is needed (--time)")
)

// A search finds the best trials in the time that it has.
type search struct {
	space   tuneSpace
	window  time.Duration
	budget  time.Duration
	measure func(ctx context.Context, t trial, window time.Duration) (measured, error)
	now     func() time.Duration // since the search began
	say     func(stage string, t trial, f figure)
	note    func(format string, args ...any)

	readings map[trial][]measured
	figures  map[trial]figure
	refused  map[trial]bool
	extra    map[int]time.Duration // by lanes in memory: what a measurement takes besides its window
	short    bool                  // something was left out for want of time
}

// A setting is something that a trial has a choice in.
type setting struct {
	name string
	text func(trial) string
	// others are the trials that differ in it alone.
	others func(*tuneSpace, trial) []trial
}

// tuneSettings are in the order of what they are likely to be worth.
var tuneSettings = []setting{
	{"kernel", func(t trial) string { return fmt.Sprintf("%s, %s", t.kernel, count(t.sectors, "sector")) }, otherKernels},
	{"hashers", func(t trial) string { return fmt.Sprintf("%d, %s", t.hashers, count(t.sectors, "sector")) }, otherShapes},
	{"staging", func(t trial) string { return t.staging.String() }, func(_ *tuneSpace, t trial) (all []trial) {
		for _, s := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			all = append(all, t.with(func(t *trial) { t.staging = s }))
		}
		return all
	}},
	{"producers", func(t trial) string { return fmt.Sprint(t.producers) }, func(s *tuneSpace, t trial) (all []trial) {
		for _, n := range beside(s.producers, t.producers) {
			all = append(all, t.with(func(t *trial) { t.producers = n }))
		}
		return all
	}},
	{"smt", func(t trial) string { return t.smt.String() }, func(s *tuneSpace, t trial) (all []trial) {
		for _, use := range s.smt {
			all = append(all, t.with(func(t *trial) { t.smt = use }))
		}
		return all
	}},
	{"pages", func(t trial) string { return string(t.pages) }, func(s *tuneSpace, t trial) (all []trial) {
		for _, kind := range s.pages {
			all = append(all, t.with(func(t *trial) { t.pages = kind }))
		}
		return all
	}},
	{"policy", func(t trial) string { return t.policy.String() }, func(s *tuneSpace, t trial) (all []trial) {
		if t.hashers == 1 {
			return nil // it has the first core either way
		}
		for _, p := range s.policies {
			all = append(all, t.with(func(t *trial) { t.policy = p }))
		}
		return all
	}},
	{"lookahead", func(t trial) string { return fmt.Sprint(t.lookahead) }, func(s *tuneSpace, t trial) (all []trial) {
		for _, n := range beside(s.ahead, t.lookahead) {
			all = append(all, t.with(func(t *trial) { t.lookahead = n }))
		}
		return all
	}},
	{"stride", func(t trial) string { return fmt.Sprint(t.stride) }, func(s *tuneSpace, t trial) (all []trial) {
		for _, n := range beside(s.strides, t.stride) {
			all = append(all, t.with(func(t *trial) { t.stride = n }))
		}
		return all
	}},
}

func (t trial) with(change func(*trial)) trial {
	change(&t)
	return t
}

// beside are the values next to one on a ladder.
func beside(ladder []int, value int) (all []int) {
	at, found := slices.BinarySearch(ladder, value)
	if at > 0 {
		all = append(all, ladder[at-1])
	}
	if found {
		at++
	}
	if at < len(ladder) {
		all = append(all, ladder[at])
	}
	return all
}

func otherKernels(s *tuneSpace, t trial) (all []trial) {
	for _, k := range s.kernels {
		shapes := k.shapes
		if t.sectors == 1 && t.hashers == 1 {
			if shapes = []tuneShape{{1, 1}}; k.one.hashers == 0 || k.lanes > mostForOne {
				continue
			}
		}
		for _, shape := range shapes {
			other := t.with(func(t *trial) { t.kernel = k.name; t.set(shape) })
			if k.name != t.kernel && (len(s.counts) == 0 || shape.sectors == t.sectors) {
				all = append(all, other)
				break // the shape that looks best
			}
		}
	}
	return all
}

func otherShapes(s *tuneSpace, t trial) (all []trial) {
	for _, k := range s.kernels {
		if k.name != t.kernel || t.sectors == 1 && t.hashers == 1 {
			continue
		}
		for _, shape := range k.shapes {
			all = append(all, t.with(func(t *trial) { t.set(shape) }))
		}
	}
	return all
}

func (t *trial) set(s tuneShape) { t.hashers, t.sectors = s.hashers, s.sectors }

func (s *tuneSpace) lanes(kernel string) int {
	for _, k := range s.kernels {
		if k.name == kernel {
			return k.lanes
		}
	}
	return 1
}

// usual is a kernel with the engine's defaults.
func (s *tuneSpace) usual(k tuneKernel, shape tuneShape) trial {
	d := (&engine.Config{Kernel: k.name, Sectors: make([]engine.Sector, 1)}).WithDefaults()
	t := trial{kernel: k.name, staging: d.Staging, producers: d.Producers, stride: d.Stride, lookahead: d.Lookahead, pages: profile.PagesAny}
	t.set(shape)
	return t
}

// oddness is how many settings are not the engine's defaults.
func (s *tuneSpace) oddness(t trial) (n int) {
	d := s.usual(tuneKernel{name: t.kernel}, tuneShape{t.hashers, t.sectors})
	for _, x := range tuneSettings {
		if x.text(t) != x.text(d) {
			n++
		}
	}
	return n
}

// A goal is what a trial is best for.
type goal struct {
	name   string
	admits func(trial) bool
	starts func(s *search) []trial
	until  time.Duration // since the search began
}

// A finding is the best for a goal.
type finding struct {
	trial
	figure
	worth []worth
}

// A worth is the best with one thing changed.
type worth struct {
	setting, value string
	figure
	lost float64 // a share of the best's rate; negative: it won so much, in the noise
}

const (
	samplesWanted = 3 // of trials that are close
	closeBy       = 0.02
	leastGain     = 0.005 // what is less is none
	mostForOne    = 2     // lanes of kernels that may be best for one sector
	stillClose    = 0.7   // of the best: staging may make up for it
	settleShare   = 0.25  // of a goal's time, for measuring again
	mostNoise     = 0.03  // no gain above this is taken for noise
)

// run searches; it ends in time with what there is. The error is ctx's, one of
// measure, or errNothing.
func (s *search) run(ctx context.Context) (latency, throughput finding, err error) {
	s.readings, s.figures = map[trial][]measured{}, map[trial]figure{}
	s.refused, s.extra = map[trial]bool{}, map[int]time.Duration{}
	// Every kernel on one core: what it takes for a node. Small ones first, which
	// both goals can do with if there is hardly any time.
	kernels := slices.DeleteFunc(slices.Clone(s.space.kernels), func(k tuneKernel) bool { return k.one.hashers == 0 })
	slices.SortStableFunc(kernels, func(a, b tuneKernel) int { return cmp.Compare(a.lanes, b.lanes) })
	each := func(kernels []tuneKernel) error {
		for _, k := range kernels {
			if _, err := s.try(ctx, "kernels", s.space.usual(k, k.one), s.budget); err != nil {
				return err
			}
		}
		return nil
	}
	wide := slices.IndexFunc(kernels, func(k tuneKernel) bool { return k.lanes > mostForOne })
	if wide < 0 {
		wide = len(kernels)
	}
	if err := each(kernels[:wide]); err != nil {
		return latency, throughput, err
	}
	latency, err = s.reach(ctx, goal{
		name:   "latency",
		admits: func(t trial) bool { return t.sectors == 1 },
		starts: func(s *search) (all []trial) {
			for _, k := range kernels[:wide] {
				all = append(all, s.space.usual(k, tuneShape{1, 1}))
			}
			return all
		},
		until: s.budget * 2 / 5,
	})
	if err == nil {
		err = each(kernels[wide:])
	}
	if err != nil {
		return latency, throughput, err
	}
	throughput, err = s.reach(ctx, goal{
		name:   "throughput",
		admits: func(t trial) bool { return len(s.space.counts) == 0 || slices.Contains(s.space.counts, t.sectors) },
		starts: func(s *search) (all []trial) {
			for _, k := range s.space.kernels {
				for _, shape := range k.shapes {
					all = append(all, s.space.usual(k, shape))
				}
			}
			return all
		},
		until: s.budget,
	})
	return latency, throughput, err
}

// reach searches for one goal: the kernels; the better ones with each way of
// staging, of which half is measured again, and so on; then what one change makes
// better, as long as there is such a change.
func (s *search) reach(ctx context.Context, g goal) (f finding, err error) {
	until := g.until - time.Duration(settleShare*float64(max(0, g.until-s.now())))
	try := func(t trial) error {
		_, err := s.try(ctx, g.name, t, until)
		return err
	}
	starts := s.promising(g.starts(s))
	for _, t := range starts {
		if len(s.readings[t]) > 0 {
			continue
		}
		if err := try(t); err != nil {
			return f, err
		}
	}
	contenders := s.staged(s.leading(starts))
	for round := 0; len(contenders) > 0; round++ {
		for _, t := range contenders {
			if round == 0 && len(s.readings[t]) > 0 {
				continue
			}
			if err := try(t); err != nil {
				return f, err
			}
		}
		contenders = s.measured(contenders)
		contenders = slices.DeleteFunc(contenders[:len(contenders)/2], func(t trial) bool {
			return s.figure(t).rate < stillClose*s.figure(contenders[0]).rate
		})
	}
	for range 8 { // it ends by itself, unless noise leads it in a circle
		best, ok := s.best(g)
		if !ok {
			return f, errNothing
		}
		for _, x := range tuneSettings {
			others := s.changed(x, best)
			if x.name == "kernel" {
				others = s.promising(append(others, best))
			}
			for _, t := range others {
				if len(s.readings[t]) > 0 {
					continue
				}
				if err := try(t); err != nil {
					return f, err
				}
			}
		}
		if err := s.settle(ctx, g); err != nil {
			return f, err
		}
		if again, _ := s.best(g); again != best {
			continue
		}
		if !s.short || until == g.until {
			break
		}
		until = g.until // what settling left
	}
	f.trial, _ = s.best(g)
	f.figure = s.figure(f.trial)
	f.worth = s.worths(f.trial)
	return f, nil
}

// promising leaves out the trials that, by what their kernels take on one core,
// would not come to half of the best.
func (s *search) promising(all []trial) (left []trial) {
	expected := func(t trial) float64 {
		for _, k := range s.space.kernels {
			if f := s.figure(s.space.usual(k, k.one)); k.name == t.kernel && f.samples > 0 {
				perSector := f.rate / float64(k.one.sectors)
				batches := math.Ceil(math.Ceil(float64(t.sectors)/float64(t.hashers)) / float64(k.lanes))
				return perSector * float64(t.sectors) / batches
			}
		}
		return math.NaN() // not known: worth a look
	}
	var most float64
	for _, t := range all {
		if e := expected(t); e > most {
			most = e
		}
	}
	all = slices.DeleteFunc(all, func(t trial) bool { return expected(t) < most/2 })
	slices.SortStableFunc(all, func(a, b trial) int { return cmp.Compare(expected(b), expected(a)) })
	return all
}

// leading are the best trials of the two best kernels, if they are close enough for
// settings to decide between them.
func (s *search) leading(all []trial) (best []trial) {
	for _, t := range s.measured(all) {
		known := slices.ContainsFunc(best, func(b trial) bool { return b.kernel == t.kernel })
		if !known && len(best) < 2 && (len(best) == 0 || s.figure(t).rate >= stillClose*s.figure(best[0]).rate) {
			best = append(best, t)
		}
	}
	return best
}

// staged are trials with each way of staging and number of producers.
func (s *search) staged(all []trial) (more []trial) {
	for _, t := range all {
		for _, staging := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			for _, n := range s.space.producers {
				more = append(more, t.with(func(t *trial) { t.staging, t.producers = staging, n }))
			}
		}
	}
	return more
}

// changed are trials with one thing changed, those that make sense.
func (s *search) changed(x setting, t trial) []trial {
	return slices.DeleteFunc(x.others(&s.space, t), func(other trial) bool {
		return other == t || other.lookahead < other.stride
	})
}

// settle measures again what is close to the best, so that medians decide.
func (s *search) settle(ctx context.Context, g goal) error {
	for range samplesWanted * 4 {
		best, ok := s.best(g)
		if !ok {
			return nil
		}
		least := s.figure(best).rate * (1 - closeBy)
		var next trial
		found := false
		for _, t := range s.admitted(g) {
			f := s.figure(t)
			if (t == best || f.rate >= least) && f.samples < samplesWanted && (!found || f.samples < s.figure(next).samples) {
				next, found = t, true
			}
		}
		if !found {
			return nil
		}
		if ok, err := s.try(ctx, g.name, next, g.until); err != nil || !ok {
			return err
		}
	}
	return nil
}

// admitted are the trials measured that a goal admits, the fastest first.
func (s *search) admitted(g goal) (all []trial) {
	for t := range s.readings {
		if g.admits(t) {
			all = append(all, t)
		}
	}
	return s.measured(all)
}

// measured are those of the trials that were measured, the fastest first. What is
// equally fast is in a fixed order.
func (s *search) measured(all []trial) []trial {
	all = slices.DeleteFunc(slices.Clone(all), func(t trial) bool { return len(s.readings[t]) == 0 })
	slices.SortFunc(all, func(a, b trial) int {
		if order := cmp.Compare(s.figure(b).rate, s.figure(a).rate); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(s.space.oddness(a), s.space.oddness(b)), cmp.Compare(a.String(), b.String()))
	})
	return all
}

// best is the fastest that a goal admits, or, of those that are as fast but for
// noise, the one nearest to the engine's defaults.
func (s *search) best(g goal) (best trial, ok bool) {
	all := s.admitted(g)
	if len(all) == 0 {
		return best, false
	}
	best = all[0]
	for _, t := range all[1:] {
		if s.tied(t, all[0]) && s.space.oddness(t) < s.space.oddness(best) {
			best = t
		}
	}
	return best, true
}

func (s *search) tied(a, b trial) bool {
	fa, fb := s.figure(a), s.figure(b)
	noise := min(max(leastGain, (fa.spread+fb.spread)/4), mostNoise)
	return math.Abs(fa.rate-fb.rate) <= noise*max(fa.rate, fb.rate)
}

func (s *search) figure(t trial) figure { return s.figures[t] }

// figureOf sums up at least one reading.
func figureOf(all []measured) figure {
	var rates, cycles []float64
	for _, r := range all {
		rates, cycles = append(rates, r.rate), append(cycles, r.cycles)
	}
	f := figure{measured{median(rates), median(cycles), all[0].spread}, len(all)}
	if len(rates) > 1 {
		f.spread = (slices.Max(rates) - slices.Min(rates)) / f.rate
	}
	return f
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// try measures a trial once, if there is time for it. False means that there is no
// new figure.
func (s *search) try(ctx context.Context, stage string, t trial, until time.Duration) (bool, error) {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errTimeUp) {
		return false, err
	}
	if s.refused[t] {
		return false, nil
	}
	began := s.now()
	if began+s.cost(t) > until || ctx.Err() != nil {
		s.short = true
		return false, nil
	}
	r, err := s.measure(ctx, t, s.window)
	switch {
	case errors.Is(err, errTimeUp):
		s.short = true
		return false, nil
	case errors.Is(err, errCannot):
		s.refused[t] = true
		if t.pages != profile.PagesAny {
			s.space.pages = slices.DeleteFunc(s.space.pages, func(k profile.PageKind) bool { return k == t.pages })
		}
		s.note("%v: %v", t, err)
		return false, nil
	case err != nil:
		return false, err
	}
	s.extra[s.size(t)] = max(0, s.now()-began-s.window)
	s.readings[t] = append(s.readings[t], r)
	s.figures[t] = figureOf(s.readings[t])
	s.say(stage, t, s.figure(t))
	return true, nil
}

// size is the memory of a trial, in lanes: what it takes to begin a measurement
// goes by it.
func (s *search) size(t trial) int { return t.hashers * s.space.lanes(t.kernel) }

// cost is about what a measurement takes.
func (s *search) cost(t trial) time.Duration {
	size := s.size(t)
	if d, ok := s.extra[size]; ok {
		return s.window + d
	}
	var most time.Duration
	for other, d := range s.extra {
		most = max(most, d*time.Duration(size)/time.Duration(other))
	}
	return s.window + most
}

// worths are what each setting is worth around the best, of what was measured.
func (s *search) worths(best trial) (all []worth) {
	top := s.figure(best)
	for _, x := range tuneSettings {
		for _, t := range s.changed(x, best) {
			if f := s.figure(t); f.samples > 0 {
				all = append(all, worth{x.name, x.text(t), f, 1 - f.rate/top.rate})
			}
		}
	}
	return all
}

// cyclesByKernel are those for a node with all lanes, on one core that hashes.
func (s *search) cyclesByKernel() map[string]float64 {
	all := map[string]float64{}
	for _, k := range s.space.kernels {
		if f := s.figure(s.space.usual(k, k.one)); f.samples > 0 && k.one.hashers > 0 {
			all[k.name] = f.cycles * float64(k.lanes)
		}
	}
	return all
}

func (t trial) String() string {
	return fmt.Sprintf("%s, %s on %s, %v, %s of %d nodes, %d ahead, siblings %s, %s pages, %v", t.kernel,
		count(t.sectors, "sector"), count(t.hashers, "hasher"), t.staging, count(t.producers, "producer"), t.stride, t.lookahead, t.smt.String(), t.pages, t.policy)
}
