// Package tune searches for the settings that label fastest, by measurements that its caller
// makes, in the time that there is.
package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
)

// A Trial is one way to set the engine, all of it that tune looks at.
type Trial struct {
	Kernel           string
	Sectors, Hashers int
	Staging          engine.Staging
	Producers        int // for each hasher
	// HashersPerProducer is how many hashers one producer feeds; with more than one, Producers is 1.
	HashersPerProducer int
	Stride, Lookahead  int
	SMT                placement.SMTUse
	Pages              hugepages.Pages
	Policy             placement.Policy
}

// A Measured is what one measurement of a trial came to.
type Measured struct {
	Rate   float64 // labels a second, of all sectors
	Cycles float64 // core cycles of the hashing cores, a label
	Spread float64 // of the rate within the measurement, a share of it
}

// A Figure is what all measurements of a trial came to.
type Figure struct {
	Measured     // medians; spread is between measurements, if there are several
	Samples  int // measurements
}

// A Shape is how many hashers and sectors a kernel can have.
type Shape struct{ Hashers, Sectors int }

// A Kernel is a kernel that the machine can run.
type Kernel struct {
	Name  string
	Lanes int
	// One is a single hasher with all lanes: by it kernels compare. Zero where
	// there is no memory for it.
	One Shape
	// Shapes are those for throughput, the one that looks best first.
	Shapes []Shape
}

// A Sharing is how many hashers one producer may feed, and how many hashers there are room for if each
// producer has a core.
type Sharing struct{ HashersPerProducer, Hashers int }

// A Space is what there is to choose from.
type Space struct {
	Kernels   []Kernel // best first
	Producers []int    // ascending, as the others
	Sharing   []Sharing
	Strides   []int
	Ahead     []int
	SMT       []placement.SMTUse // the default first, as those below
	Pages     []hugepages.Pages
	Policies  []placement.Policy
	// Counts are the numbers of sectors that throughput is asked for. None: any.
	Counts []int
	// Base is what all trials have of a configuration: the engine's other defaults follow from it.
	Base engine.Config
}

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

// A setting is something that a trial has a choice in.
type setting struct {
	Name string
	text func(Trial) string
	// others are the trials that differ in it alone.
	others func(*Space, Trial) []Trial
}

// settings are in the order of what they are likely to be worth.
var settings = []setting{
	{"kernel", func(t Trial) string { return fmt.Sprintf("%s, %s", t.Kernel, words.Count(t.Sectors, "sector")) }, otherKernels},
	{"hashers", func(t Trial) string { return fmt.Sprintf("%d, %s", t.Hashers, words.Count(t.Sectors, "sector")) }, otherShapes},
	{"staging", func(t Trial) string { return t.Staging.String() }, func(_ *Space, t Trial) (all []Trial) {
		for _, s := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			all = append(all, t.with(func(t *Trial) { t.Staging = s }))
		}
		return all
	}},
	{"producers", func(t Trial) string { return fmt.Sprint(t.Producers) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Producers, t.Producers) {
			all = append(all, t.with(func(t *Trial) { t.Producers, t.HashersPerProducer = n, 1 }))
		}
		return all
	}},
	{"hashers per producer", func(t Trial) string { return fmt.Sprint(t.HashersPerProducer) }, otherSharing},
	{"smt", func(t Trial) string { return t.SMT.String() }, func(s *Space, t Trial) (all []Trial) {
		for _, use := range s.SMT {
			all = append(all, t.with(func(t *Trial) { t.SMT = use }))
		}
		return all
	}},
	{"pages", func(t Trial) string { return profile.PagesName(t.Pages) }, func(s *Space, t Trial) (all []Trial) {
		for _, kind := range s.Pages {
			all = append(all, t.with(func(t *Trial) { t.Pages = kind }))
		}
		return all
	}},
	{"policy", func(t Trial) string { return t.Policy.String() }, func(s *Space, t Trial) (all []Trial) {
		if t.Hashers == 1 {
			return nil // it has the first core either way
		}
		for _, p := range s.Policies {
			all = append(all, t.with(func(t *Trial) { t.Policy = p }))
		}
		return all
	}},
	{"lookahead", func(t Trial) string { return fmt.Sprint(t.Lookahead) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Ahead, t.Lookahead) {
			all = append(all, t.with(func(t *Trial) { t.Lookahead = n }))
		}
		return all
	}},
	{"stride", func(t Trial) string { return fmt.Sprint(t.Stride) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Strides, t.Stride) {
			all = append(all, t.with(func(t *Trial) { t.Stride = n }))
		}
		return all
	}},
}

func (t Trial) with(change func(*Trial)) Trial {
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

func otherKernels(s *Space, t Trial) (all []Trial) {
	for _, k := range s.Kernels {
		shapes := k.Shapes
		if t.Sectors == 1 && t.Hashers == 1 {
			if shapes = []Shape{{1, 1}}; k.One.Hashers == 0 || k.Lanes > mostForOne {
				continue
			}
		}
		for _, shape := range shapes {
			other := t.with(func(t *Trial) { t.Kernel = k.Name; t.set(shape) })
			if k.Name != t.Kernel && (len(s.Counts) == 0 || shape.Sectors == t.Sectors) {
				all = append(all, other)
				break // the shape that looks best
			}
		}
	}
	return all
}

func otherShapes(s *Space, t Trial) (all []Trial) {
	for _, k := range s.Kernels {
		if k.Name != t.Kernel || t.Sectors == 1 && t.Hashers == 1 {
			continue
		}
		for _, shape := range k.Shapes {
			all = append(all, t.with(func(t *Trial) { t.set(shape) }))
		}
	}
	return all
}

// otherSharing are trials with other numbers of hashers for each producer: on as many cores, and on
// those that leave the producers theirs, for as many sectors if those are asked for.
func otherSharing(s *Space, t Trial) (all []Trial) {
	if t.Hashers == 1 {
		return nil
	}
	most := 0
	for _, k := range s.Kernels {
		if k.Name == t.Kernel {
			for _, shape := range k.Shapes {
				most = max(most, shape.Hashers)
			}
		}
	}
	for _, share := range s.Sharing {
		other := t.with(func(t *Trial) { t.Producers, t.HashersPerProducer = 1, share.HashersPerProducer })
		all = append(all, other)
		if h := share.Hashers; share.HashersPerProducer > 1 && h > 1 && h <= most && h != t.Hashers {
			all = append(all, other.with(func(t *Trial) {
				t.Hashers = h
				if len(s.Counts) == 0 {
					t.Sectors = h * s.Lanes(t.Kernel)
				}
			}))
		}
	}
	return all
}

func (t *Trial) set(s Shape) { t.Hashers, t.Sectors = s.Hashers, s.Sectors }

func (s *Space) Lanes(kernel string) int {
	for _, k := range s.Kernels {
		if k.Name == kernel {
			return k.Lanes
		}
	}
	return 1
}

// Usual is a kernel with the engine's defaults.
func (s *Space) Usual(k Kernel, shape Shape) Trial {
	c := s.Base
	c.Kernel, c.Sectors = k.Name, make([]engine.Sector, 1)
	d := c.WithDefaults()
	t := Trial{Kernel: k.Name, Staging: d.Staging, Producers: d.Producers, HashersPerProducer: d.HashersPerProducer, Stride: d.Stride, Lookahead: d.Lookahead, Pages: profile.PagesAny}
	t.set(shape)
	return t
}

// oddness is how many settings are not the engine's defaults.
func (s *Space) oddness(t Trial) (n int) {
	d := s.Usual(Kernel{Name: t.Kernel}, Shape{t.Hashers, t.Sectors})
	for _, x := range settings {
		if x.text(t) != x.text(d) {
			n++
		}
	}
	return n
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

// A Worth is the best with one thing changed.
type Worth struct {
	Setting, Value string
	Figure
	Lost float64 // a share of the best's rate; negative: it won so much, in the noise
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

// figureOf sums up at least one reading.
func figureOf(all []Measured) Figure {
	var rates, cycles []float64
	for _, r := range all {
		rates, cycles = append(rates, r.Rate), append(cycles, r.Cycles)
	}
	f := Figure{Measured{median(rates), median(cycles), all[0].Spread}, len(all)}
	if len(rates) > 1 {
		f.Spread = (slices.Max(rates) - slices.Min(rates)) / f.Rate
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

// worths are what each setting is worth around the best, of what was measured.
func (s *Search) worths(best Trial) (all []Worth) {
	top := s.figure(best)
	for _, x := range settings {
		for _, t := range s.changed(x, best) {
			if f := s.figure(t); f.Samples > 0 {
				all = append(all, Worth{x.Name, x.text(t), f, 1 - f.Rate/top.Rate})
			}
		}
	}
	return all
}

// CyclesByKernel are those for a node with all lanes, on one core that hashes.
func (s *Search) CyclesByKernel() map[string]float64 {
	all := map[string]float64{}
	for _, k := range s.Space.Kernels {
		if f := s.figure(s.Space.Usual(k, k.One)); f.Samples > 0 && k.One.Hashers > 0 {
			all[k.Name] = f.Cycles * float64(k.Lanes)
		}
	}
	return all
}

func (t Trial) String() string {
	producers := words.Count(t.Producers, "producer")
	if t.HashersPerProducer > 1 {
		producers = fmt.Sprintf("a producer for %d hashers", t.HashersPerProducer)
	}
	return fmt.Sprintf("%s, %s on %s, %v, %s, spans of %d nodes, %d ahead, siblings %s, %s pages, %v", t.Kernel,
		words.Count(t.Sectors, "sector"), words.Count(t.Hashers, "hasher"), t.Staging, producers, t.Stride, t.Lookahead, t.SMT.String(), profile.PagesName(t.Pages), t.Policy)
}

// ShapesOf are how many hashers and sectors a kernel of so many lanes is tried with
// on so many cores: as many as have room, for every number of sectors that is
// asked for; and half as many, which leaves a core for each one's producers.
func ShapesOf(lanes, cores int, counts []int, room func(Shape) bool) (all []Shape) {
	add := func(sectors func(hashers int) int, most int) {
		for h := most; h >= 1; h-- {
			if room(Shape{h, sectors(h)}) {
				all = append(all, Shape{h, sectors(h)})
				if half := h / 2; half >= 1 {
					all = append(all, Shape{half, sectors(half)})
				}
				return
			}
		}
	}
	if len(counts) == 0 {
		add(func(h int) int { return h * lanes }, min(cores, engine.MaxSectors/lanes))
	}
	for _, n := range counts {
		add(func(int) int { return n }, min(cores, (n+lanes-1)/lanes))
	}
	return all
}

// MostSectors is the largest number of sectors that a trial has.
func (s *Space) MostSectors() (most int) {
	for _, k := range s.Kernels {
		for _, shape := range append([]Shape{k.One}, k.Shapes...) {
			most = max(most, shape.Sectors)
		}
	}
	return most
}

// ReadingOf works out the rate of all sectors: the hasher with most to do decides.
func ReadingOf(m engine.Measurement, sectors int, hz float64) (r Measured, err error) {
	var slowest, low, high float64 // seconds a node, all batches; low and high are of slow and fast parts
	var together float64           // labels a second of all hashers at that time
	for _, h := range m.Hashers {
		if h.Nodes == 0 {
			return r, ErrTimeUp
		}
		rate := float64(h.Nodes) / h.Took.Seconds()
		slow, fast := rate, rate
		if n := len(h.Slices); n >= 4 {
			sorted := slices.Sorted(slices.Values(h.Slices))
			rate, slow, fast = median(sorted), sorted[n/4], sorted[n-1-n/4]
		}
		batches := float64(h.Batches)
		slowest, low, high = max(slowest, batches/rate), max(low, batches/slow), max(high, batches/fast)
		together += rate * float64(h.Lanes)
	}
	r.Rate = float64(sectors) / slowest
	r.Cycles = hz * float64(len(m.Hashers)) / together
	r.Spread = slowest/high - slowest/low
	return r, nil
}
