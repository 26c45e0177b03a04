package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
)

// A surface is a made-up machine: how fast each value of each setting is.
type surface map[string]map[string]float64

func (s surface) Rate(t Trial) float64 {
	rate := 1e6 * float64(t.Hashers) * s["kernel"][t.Kernel]
	for _, x := range settings[2:] { // what is behind kernel and hashers
		if factor, ok := s[x.Name][x.text(t)]; ok {
			rate *= factor
		}
	}
	return rate
}

// testSpace is a machine with all there is to choose.
func testSpace() Space {
	return Space{
		Kernels: []Kernel{
			{"wide/4", 4, Shape{1, 4}, []Shape{{2, 8}, {1, 4}}},
			{"fast/1", 1, Shape{1, 1}, []Shape{{4, 4}, {2, 2}}},
			{"slow/1", 1, Shape{1, 1}, []Shape{{4, 4}, {2, 2}}},
		},
		Producers: []int{1, 2, 4},
		Sharing:   []Sharing{{1, 4}, {2, 3}, {4, 3}},
		Strides:   []int{32, 128, 512},
		Ahead:     []int{256, 1024, 4096, 8192},
		SMT:       []placement.SMTUse{placement.ProduceOnSiblings, placement.IdleSiblings},
		Pages:     []hugepages.Pages{profile.PagesAny, hugepages.Huge2M, hugepages.Small},
		Policies:  []placement.Policy{placement.Spread, placement.Pack},
	}
}

// flat is a surface on which only kernels differ. Rates are those of all lanes.
func flat() surface {
	return surface{"kernel": {"wide/4": 3, "fast/1": 1, "slow/1": 0.6}}
}

// hilly has one best value for each setting, and the further from it the slower.
func hilly(r *rand.Rand, space *Space) surface {
	s := flat()
	ladder := func(name string, values []string) {
		peak, factor := r.IntN(len(values)), 1.0
		s[name] = map[string]float64{values[peak]: 1}
		for i := peak + 1; i < len(values); i++ {
			factor *= 0.7 + 0.25*r.Float64()
			s[name][values[i]] = factor
		}
		factor = 1
		for i := peak - 1; i >= 0; i-- {
			factor *= 0.7 + 0.25*r.Float64()
			s[name][values[i]] = factor
		}
	}
	texts := func(all []int) (t []string) {
		for _, n := range all {
			t = append(t, fmt.Sprint(n))
		}
		return t
	}
	ladder("staging", []string{"inline", "producers", "hybrid"})
	ladder("producers", texts(space.Producers))
	if r.IntN(2) == 0 { // else a producer for each hasher is as good as any
		ladder("hashers per producer", []string{"1", "2", "4"})
		s["producers"] = map[string]float64{"2": 0.9, "4": 0.8} // two peaks are for no search of this kind
	}
	ladder("stride", texts(space.Strides))
	ladder("lookahead", texts(space.Ahead[1:]))
	s["lookahead"]["256"] = 0.3
	ladder("smt", []string{"produce", "idle"})
	ladder("pages", []string{"any", "2MiB", "small"})
	ladder("policy", []string{"spread", "pack"})
	return s
}

// aSearch searches on a surface by a clock that only measuring advances.
func aSearch(space Space, s surface, noise func() float64) (*Search, *time.Duration) {
	clock := new(time.Duration)
	found := &Search{
		Space: space, Window: time.Second, Budget: time.Hour,
		Now:  func() time.Duration { return *clock },
		Say:  func(string, Trial, Figure) {},
		Note: func(string, ...any) {},
	}
	found.Measure = func(_ context.Context, t Trial, window time.Duration) (Measured, error) {
		*clock += window + 100*time.Millisecond*time.Duration(found.size(t))
		rate := s.Rate(t) * noise()
		if used := float64(t.Sectors) / float64(t.Hashers*space.Lanes(t.Kernel)); used < 1 {
			rate *= used
		}
		return Measured{rate, 3e9 * float64(t.Hashers) / rate, 0.005}, nil
	}
	return found, clock
}

func exact() float64 { return 1 }

func TestSearchFindsTheBest(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		space := testSpace()
		s := hilly(r, &space)
		for name, noise := range map[string]func() float64{"exact": exact, "noisy": func() float64 { return 0.99 + 0.02*r.Float64() }} {
			search, _ := aSearch(space, s, noise)
			latency, throughput, err := search.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if search.Short {
				t.Errorf("seed %d: an hour is too short", seed)
			}
			// The kernels that the best has; a single hasher has no policy, and shares no producer.
			for goal, want := range map[string]struct {
				Finding
				Kernel string
				shape  Shape
				most   float64
			}{
				"latency":    {latency, "fast/1", Shape{1, 1}, 1e6},
				"throughput": {throughput, "wide/4", Shape{2, 8}, 2 * 3e6},
			} {
				got := want.Finding
				rate := s.Rate(got.Trial)
				if goal == "latency" {
					rate /= s["policy"]["spread"]
					if alone, ok := s["hashers per producer"]["1"]; ok {
						rate /= alone
					}
				}
				if got.Kernel != want.Kernel || got.Hashers != want.shape.Hashers || got.Sectors != want.shape.Sectors || rate < 0.97*want.most {
					t.Errorf("seed %d, %s, %s: %v comes to %.3g, the best to %.3g", seed, name, goal, got.Trial, rate, want.most)
				}
				if got.Samples < samplesWanted {
					t.Errorf("seed %d, %s, %s: decided by %d measurements", seed, name, goal, got.Samples)
				}
			}
		}
	}
}

// Where a setting makes no difference, noise makes none either.
func TestSearchPrefersDefaults(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		search, _ := aSearch(testSpace(), flat(), func() float64 { return 0.998 + 0.004*r.Float64() })
		latency, throughput, err := search.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []Finding{latency, throughput} {
			if n := search.Space.oddness(f.Trial); n != 0 {
				t.Errorf("seed %d: %d settings differ from the defaults for nothing: %v", seed, n, f.Trial)
			}
		}
	}
}

// What each setting is worth is what the machine loses with it.
func TestSearchWorth(t *testing.T) {
	space := testSpace()
	s := hilly(rand.New(rand.NewPCG(3, 3)), &space)
	search, _ := aSearch(space, s, exact)
	_, best, err := search.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, w := range best.Worth {
		seen[w.Setting] = true
		if factor, ok := s[w.Setting][w.Value]; ok && w.Setting != "kernel" {
			here := ""
			for _, x := range settings {
				if x.Name == w.Setting {
					here = x.text(best.Trial)
				}
			}
			if want := 1 - factor/s[w.Setting][here]; math.Abs(w.Lost-want) > 1e-9 {
				t.Errorf("%s %s instead of %s: lost %.4f, want %.4f", w.Setting, w.Value, here, w.Lost, want)
			}
		}
	}
	for _, x := range settings {
		if !seen[x.Name] {
			t.Errorf("what %s is worth is missing: %+v", x.Name, best.Worth)
		}
	}
}

// The time is kept, whatever it is; what there is then is what counts.
func TestSearchKeepsTheBudget(t *testing.T) {
	space := testSpace()
	s := hilly(rand.New(rand.NewPCG(4, 4)), &space)
	var before int
	for _, budget := range []time.Duration{time.Millisecond, 2 * time.Second, 4 * time.Second, 10 * time.Second, 30 * time.Second, 100 * time.Second, time.Hour} {
		search, clock := aSearch(space, s, exact)
		search.Budget = budget
		latency, throughput, err := search.Run(t.Context())
		if *clock > budget {
			t.Errorf("%v took %v", budget, *clock)
		}
		if budget < search.Window {
			if !errors.Is(err, ErrNothing) {
				t.Errorf("%v: %v, want %v", budget, err, ErrNothing)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", budget, err)
		}
		if latency.Rate <= 0 || throughput.Rate < latency.Rate || search.Short != (budget < time.Hour) {
			t.Errorf("%v: %v labels/s and %v, short %v", budget, latency.Rate, throughput.Rate, search.Short)
		}
		if n := len(search.Readings); n < before {
			t.Errorf("%v: %d trials measured, %d in less time", budget, n, before)
		} else {
			before = n
		}
	}
}

// A measurement that the deadline ends counts for nothing, and what was measured
// before counts.
func TestSearchEndsAtTheDeadline(t *testing.T) {
	search, _ := aSearch(testSpace(), flat(), exact)
	ctx, cancel := context.WithCancelCause(t.Context())
	measure, n := search.Measure, 0
	search.Measure = func(ctx context.Context, tr Trial, w time.Duration) (Measured, error) {
		if n++; n == 6 {
			cancel(ErrTimeUp)
			return Measured{}, context.Cause(ctx)
		}
		return measure(ctx, tr, w)
	}
	latency, throughput, err := search.Run(ctx)
	if err != nil || latency.Kernel != "fast/1" || throughput.Rate <= 0 || !search.Short || n != 6 {
		t.Errorf("%v, %v, %v after %d measurements, short %v", latency, throughput, err, n, search.Short)
	}
}

func TestSearchIsInterrupted(t *testing.T) {
	for _, at := range []int{1, 5, 20} {
		search, _ := aSearch(testSpace(), flat(), exact)
		ctx, cancel := context.WithCancel(t.Context())
		measure, n := search.Measure, 0
		search.Measure = func(ctx context.Context, tr Trial, w time.Duration) (Measured, error) {
			if n++; n == at {
				cancel()
			}
			return measure(ctx, tr, w)
		}
		if _, _, err := search.Run(ctx); !errors.Is(err, context.Canceled) || n != at {
			t.Errorf("interrupted at measurement %d: %v after %d", at, err, n)
		}
	}
	broken := errors.New("a wrong label")
	search, _ := aSearch(testSpace(), flat(), exact)
	search.Measure = func(context.Context, Trial, time.Duration) (Measured, error) { return Measured{}, broken }
	if _, _, err := search.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// What cannot be had is said once and left out.
func TestSearchGoesOnWithoutWhatCannotBeHad(t *testing.T) {
	search, _ := aSearch(testSpace(), flat(), exact)
	measure := search.Measure
	search.Measure = func(ctx context.Context, tr Trial, w time.Duration) (Measured, error) {
		if tr.Pages == hugepages.Huge2M {
			return Measured{}, fmt.Errorf("%w: no pages", ErrCannot)
		}
		return measure(ctx, tr, w)
	}
	var notes []string
	search.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if _, _, err := search.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "2MiB pages") {
		t.Errorf("notes %q", notes)
	}
}

func TestShapesOf(t *testing.T) {
	inMemory := func(sectors int) func(Shape) bool {
		return func(s Shape) bool { return s.Sectors <= sectors }
	}
	for _, c := range []struct {
		Lanes, cores int
		Counts       []int
		memory       int
		want         []Shape
	}{
		{1, 8, nil, 100, []Shape{{8, 8}, {4, 4}}},
		{16, 8, nil, 100, []Shape{{6, 96}, {3, 48}}},
		{16, 8, nil, 15, nil},
		{2, 1, nil, 100, []Shape{{1, 2}}},
		{2, 8, []int{1, 6, 200}, 100, []Shape{{1, 1}, {3, 6}, {1, 6}}},
	} {
		if got := ShapesOf(c.Lanes, c.cores, c.Counts, inMemory(c.memory)); !slices.Equal(got, c.want) {
			t.Errorf("%d lanes, %d cores, %v sectors, memory for %d: %v, want %v", c.Lanes, c.cores, c.Counts, c.memory, got, c.want)
		}
	}
}

func TestReadingOf(t *testing.T) {
	m := engine.Measurement{Hashers: []engine.HasherMeasurement{
		{Batches: 2, Lanes: 2, Nodes: 1000, Took: time.Millisecond, Slices: []float64{9e5, 1e6, 1e6, 1.1e6}},
		{Batches: 1, Lanes: 2, Nodes: 900, Took: time.Millisecond},
	}}
	r, err := ReadingOf(m, 6, 3e9)
	if err != nil {
		t.Fatal(err)
	}
	// The first takes 2 µs for a node of all its sectors, and 6 sectors have as many labels.
	if math.Abs(r.Rate-3e6) > 1 || math.Abs(r.Cycles-6e9/3.8e6) > 1e-6 || r.Spread < 0 || r.Spread > 0.2 {
		t.Errorf("%+v", r)
	}
	m.Hashers[1].Nodes = 0
	if _, err := ReadingOf(m, 6, 3e9); !errors.Is(err, ErrTimeUp) {
		t.Errorf("a hasher without a label: %v", err)
	}
}

// TestUsual: trials begin with the engine's defaults in the memory mode that they are measured in.
func TestUsual(t *testing.T) {
	k := Kernel{Name: "generic/1", Lanes: 1}
	two := (&Space{}).Usual(k, Shape{Hashers: 1, Sectors: 1})
	budget := (&Space{Base: engine.Config{Proof: porep.StackedDrg512MiBV1_1, MemoryMode: engine.Budget, Budget: 128 << 20}}).Usual(k, Shape{Hashers: 1, Sectors: 1})
	if budget.Lookahead <= two.Lookahead || budget.Staging == engine.Producers {
		t.Errorf("with two layers in memory %v; with less %v", two, budget)
	}
}
