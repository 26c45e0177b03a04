// Package tune searches for the settings that label fastest, by measurements that its caller
// makes, in the time that there is.
package tune

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
)

// The errors of a measurement that the search goes on after.
var (
	ErrTimeUp  = errors.New("tuning: the time is up")
	ErrCannot  = errors.New("cannot be had")
	ErrNothing = errors.New("tuning: the time is too short for a single measurement of a kernel: more is needed (--time)")
)

// A Search finds the best trials in the time that it has.
type Search struct {
	Space   Space
	Window  time.Duration
	Budget  time.Duration
	Measure func(ctx context.Context, t Trial, window time.Duration) (Measured, error)
	Now     func() time.Duration // since the search began
	Say     func(stage string, t Trial, f Figure)
	Note    func(format string, args ...any)

	Readings map[Trial][]Measured
	figures  map[Trial]Figure
	refused  map[Trial]bool
	extra    map[int]time.Duration // by lanes in memory: what a measurement takes besides its window
	Short    bool                  // something was left out for want of time
}

// A goal is what a trial is best for.
type goal struct {
	Name   string
	admits func(Trial) bool
	starts func(s *Search) []Trial
	until  time.Duration // since the search began
}

// A Finding is the best for a goal.
type Finding struct {
	Trial
	Figure
	Worth []Worth
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

// Run searches; it ends in time with what there is. The error is ctx's, one of
// Measure, or ErrNothing.
func (s *Search) Run(ctx context.Context) (latency, throughput Finding, err error) {
	s.Readings, s.figures = map[Trial][]Measured{}, map[Trial]Figure{}
	s.refused, s.extra = map[Trial]bool{}, map[int]time.Duration{}
	// Every kernel on one core: what it takes for a node. Small ones first, which
	// both goals can do with if there is hardly any time.
	kernels := slices.DeleteFunc(slices.Clone(s.Space.Kernels), func(k Kernel) bool { return k.One.Hashers == 0 })
	slices.SortStableFunc(kernels, func(a, b Kernel) int { return cmp.Compare(a.Lanes, b.Lanes) })
	each := func(kernels []Kernel) error {
		for _, k := range kernels {
			if _, err := s.try(ctx, "kernels", s.Space.Usual(k, k.One), s.Budget); err != nil {
				return err
			}
		}
		return nil
	}
	wide := slices.IndexFunc(kernels, func(k Kernel) bool { return k.Lanes > mostForOne })
	if wide < 0 {
		wide = len(kernels)
	}
	if err := each(kernels[:wide]); err != nil {
		return latency, throughput, err
	}
	latency, err = s.reach(ctx, goal{
		Name:   "latency",
		admits: func(t Trial) bool { return t.Sectors == 1 },
		starts: func(s *Search) (all []Trial) {
			for _, k := range kernels[:wide] {
				all = append(all, s.Space.Usual(k, Shape{1, 1}))
			}
			return all
		},
		until: s.Budget * 2 / 5,
	})
	if err == nil {
		err = each(kernels[wide:])
	}
	if err != nil {
		return latency, throughput, err
	}
	throughput, err = s.reach(ctx, goal{
		Name:   "throughput",
		admits: func(t Trial) bool { return len(s.Space.Counts) == 0 || slices.Contains(s.Space.Counts, t.Sectors) },
		starts: func(s *Search) (all []Trial) {
			for _, k := range s.Space.Kernels {
				for _, shape := range k.Shapes {
					all = append(all, s.Space.Usual(k, shape))
				}
			}
			return all
		},
		until: s.Budget,
	})
	return latency, throughput, err
}

// reach searches for one goal: the kernels; the better ones with each way of
// staging, of which half is measured again, and so on; then what one change makes
// better, as long as there is such a change.
func (s *Search) reach(ctx context.Context, g goal) (f Finding, err error) {
	until := g.until - time.Duration(settleShare*float64(max(0, g.until-s.Now())))
	try := func(t Trial) error {
		_, err := s.try(ctx, g.Name, t, until)
		return err
	}
	starts := s.promising(g.starts(s))
	for _, t := range starts {
		if len(s.Readings[t]) > 0 {
			continue
		}
		if err := try(t); err != nil {
			return f, err
		}
	}
	contenders := s.staged(s.leading(starts))
	for round := 0; len(contenders) > 0; round++ {
		for _, t := range contenders {
			if round == 0 && len(s.Readings[t]) > 0 {
				continue
			}
			if err := try(t); err != nil {
				return f, err
			}
		}
		contenders = s.measured(contenders)
		contenders = slices.DeleteFunc(contenders[:len(contenders)/2], func(t Trial) bool {
			return s.figure(t).Rate < stillClose*s.figure(contenders[0]).Rate
		})
	}
	for range 8 { // it ends by itself, unless noise leads it in a circle
		best, ok := s.best(g)
		if !ok {
			return f, ErrNothing
		}
		for _, x := range settings {
			others := s.changed(x, best)
			if x.Name == "kernel" {
				others = s.promising(append(others, best))
			}
			for _, t := range others {
				if len(s.Readings[t]) > 0 {
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
		if !s.Short || until == g.until {
			break
		}
		until = g.until // what settling left
	}
	f.Trial, _ = s.best(g)
	f.Figure = s.figure(f.Trial)
	f.Worth = s.worths(f.Trial)
	return f, nil
}

// promising leaves out the trials that, by what their kernels take on one core,
// would not come to half of the best.
func (s *Search) promising(all []Trial) (left []Trial) {
	expected := func(t Trial) float64 {
		for _, k := range s.Space.Kernels {
			if f := s.figure(s.Space.Usual(k, k.One)); k.Name == t.Kernel && f.Samples > 0 {
				perSector := f.Rate / float64(k.One.Sectors)
				batches := math.Ceil(math.Ceil(float64(t.Sectors)/float64(t.Hashers)) / float64(k.Lanes))
				return perSector * float64(t.Sectors) / batches
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
	all = slices.DeleteFunc(all, func(t Trial) bool { return expected(t) < most/2 })
	slices.SortStableFunc(all, func(a, b Trial) int { return cmp.Compare(expected(b), expected(a)) })
	return all
}

// leading are the best trials of the two best kernels, if they are close enough for
// settings to decide between them.
func (s *Search) leading(all []Trial) (best []Trial) {
	for _, t := range s.measured(all) {
		known := slices.ContainsFunc(best, func(b Trial) bool { return b.Kernel == t.Kernel })
		if !known && len(best) < 2 && (len(best) == 0 || s.figure(t).Rate >= stillClose*s.figure(best[0]).Rate) {
			best = append(best, t)
		}
	}
	return best
}

// staged are trials with each way of staging and number of producers.
func (s *Search) staged(all []Trial) (more []Trial) {
	for _, t := range all {
		for _, staging := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			for _, n := range s.Space.Producers {
				more = append(more, t.with(func(t *Trial) { t.Staging, t.Producers, t.HashersPerProducer = staging, n, 1 }))
			}
		}
	}
	return more
}

// changed are trials with one thing changed, those that make sense.
func (s *Search) changed(x setting, t Trial) []Trial {
	return slices.DeleteFunc(x.others(&s.Space, t), func(other Trial) bool {
		return other == t || other.Lookahead < other.Stride
	})
}

// settle measures again what is close to the best, so that medians decide.
func (s *Search) settle(ctx context.Context, g goal) error {
	for range samplesWanted * 4 {
		best, ok := s.best(g)
		if !ok {
			return nil
		}
		least := s.figure(best).Rate * (1 - closeBy)
		var next Trial
		found := false
		for _, t := range s.admitted(g) {
			f := s.figure(t)
			if (t == best || f.Rate >= least) && f.Samples < samplesWanted && (!found || f.Samples < s.figure(next).Samples) {
				next, found = t, true
			}
		}
		if !found {
			return nil
		}
		if ok, err := s.try(ctx, g.Name, next, g.until); err != nil || !ok {
			return err
		}
	}
	return nil
}

// admitted are the trials measured that a goal admits, the fastest first.
func (s *Search) admitted(g goal) (all []Trial) {
	for t := range s.Readings {
		if g.admits(t) {
			all = append(all, t)
		}
	}
	return s.measured(all)
}

// measured are those of the trials that were measured, the fastest first. What is
// equally fast is in a fixed order.
func (s *Search) measured(all []Trial) []Trial {
	all = slices.DeleteFunc(slices.Clone(all), func(t Trial) bool { return len(s.Readings[t]) == 0 })
	slices.SortFunc(all, func(a, b Trial) int {
		if order := cmp.Compare(s.figure(b).Rate, s.figure(a).Rate); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(s.Space.oddness(a), s.Space.oddness(b)), cmp.Compare(a.String(), b.String()))
	})
	return all
}

// best is the fastest that a goal admits, or, of those that are as fast but for
// noise, the one nearest to the engine's defaults.
func (s *Search) best(g goal) (best Trial, ok bool) {
	all := s.admitted(g)
	if len(all) == 0 {
		return best, false
	}
	best = all[0]
	for _, t := range all[1:] {
		if s.tied(t, all[0]) && s.Space.oddness(t) < s.Space.oddness(best) {
			best = t
		}
	}
	return best, true
}

func (s *Search) tied(a, b Trial) bool {
	fa, fb := s.figure(a), s.figure(b)
	noise := min(max(leastGain, (fa.Spread+fb.Spread)/4), mostNoise)
	return math.Abs(fa.Rate-fb.Rate) <= noise*max(fa.Rate, fb.Rate)
}

func (s *Search) figure(t Trial) Figure { return s.figures[t] }

// try measures a trial once, if there is time for it. False means that there is no
// new figure.
func (s *Search) try(ctx context.Context, stage string, t Trial, until time.Duration) (bool, error) {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, ErrTimeUp) {
		return false, err
	}
	if s.refused[t] {
		return false, nil
	}
	began := s.Now()
	if began+s.cost(t) > until || ctx.Err() != nil {
		s.Short = true
		return false, nil
	}
	r, err := s.Measure(ctx, t, s.Window)
	switch {
	case errors.Is(err, ErrTimeUp):
		s.Short = true
		return false, nil
	case errors.Is(err, ErrCannot):
		s.refused[t] = true
		if t.Pages != profile.PagesAny {
			s.Space.Pages = slices.DeleteFunc(s.Space.Pages, func(k hugepages.Pages) bool { return k == t.Pages })
		}
		s.Note("%v: %v", t, err)
		return false, nil
	case err != nil:
		return false, err
	}
	s.extra[s.size(t)] = max(0, s.Now()-began-s.Window)
	s.Readings[t] = append(s.Readings[t], r)
	s.figures[t] = figureOf(s.Readings[t])
	s.Say(stage, t, s.figure(t))
	return true, nil
}

// size is the memory of a trial, in lanes: what it takes to begin a measurement
// goes by it.
func (s *Search) size(t Trial) int { return t.Hashers * s.Space.Lanes(t.Kernel) }

// cost is about what a measurement takes.
func (s *Search) cost(t Trial) time.Duration {
	size := s.size(t)
	if d, ok := s.extra[size]; ok {
		return s.Window + d
	}
	var most time.Duration
	for other, d := range s.extra {
		most = max(most, d*time.Duration(size)/time.Duration(other))
	}
	return s.Window + most
}
