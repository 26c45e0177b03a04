//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
)

// A surface is a made-up machine: how fast each value of each setting is.
type surface map[string]map[string]float64

func (s surface) rate(t trial) float64 {
	rate := 1e6 * float64(t.hashers) * s["kernel"][t.kernel]
	for _, x := range tuneSettings[2:] { // what is behind kernel and hashers
		if factor, ok := s[x.name][x.text(t)]; ok {
			rate *= factor
		}
	}
	return rate
}

// testSpace is a machine with all there is to choose.
func testSpace() tuneSpace {
	return tuneSpace{
		kernels: []tuneKernel{
			{"wide/4", 4, tuneShape{1, 4}, []tuneShape{{2, 8}, {1, 4}}},
			{"fast/1", 1, tuneShape{1, 1}, []tuneShape{{4, 4}, {2, 2}}},
			{"slow/1", 1, tuneShape{1, 1}, []tuneShape{{4, 4}, {2, 2}}},
		},
		producers: []int{1, 2, 4},
		strides:   []int{32, 128, 512},
		ahead:     []int{256, 1024, 4096, 8192},
		smt:       []placement.SMTUse{placement.ProduceOnSiblings, placement.IdleSiblings},
		pages:     []profile.PageKind{profile.PagesAny, profile.Pages2M, profile.PagesSmall},
		policies:  []placement.Policy{placement.Spread, placement.Pack},
	}
}

// flat is a surface on which only kernels differ. Rates are those of all lanes.
func flat() surface {
	return surface{"kernel": {"wide/4": 3, "fast/1": 1, "slow/1": 0.6}}
}

// hilly has one best value for each setting, and the further from it the slower.
func hilly(r *rand.Rand, space *tuneSpace) surface {
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
	ladder("producers", texts(space.producers))
	ladder("stride", texts(space.strides))
	ladder("lookahead", texts(space.ahead[1:]))
	s["lookahead"]["256"] = 0.3
	ladder("smt", []string{"produce", "idle"})
	ladder("pages", []string{"any", "2MiB", "small"})
	ladder("policy", []string{"spread", "pack"})
	return s
}

// aSearch searches on a surface by a clock that only measuring advances.
func aSearch(space tuneSpace, s surface, noise func() float64) (*search, *time.Duration) {
	clock := new(time.Duration)
	found := &search{
		space: space, window: time.Second, budget: time.Hour,
		now:  func() time.Duration { return *clock },
		say:  func(string, trial, figure) {},
		note: func(string, ...any) {},
	}
	found.measure = func(_ context.Context, t trial, window time.Duration) (measured, error) {
		*clock += window + 100*time.Millisecond*time.Duration(found.size(t))
		rate := s.rate(t) * noise()
		if used := float64(t.sectors) / float64(t.hashers*space.lanes(t.kernel)); used < 1 {
			rate *= used
		}
		return measured{rate, 3e9 * float64(t.hashers) / rate, 0.005}, nil
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
			latency, throughput, err := search.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if search.short {
				t.Errorf("seed %d: an hour is too short", seed)
			}
			// The kernels that the best has; a single hasher has no policy.
			for goal, want := range map[string]struct {
				finding
				kernel string
				shape  tuneShape
				most   float64
			}{
				"latency":    {latency, "fast/1", tuneShape{1, 1}, 1e6},
				"throughput": {throughput, "wide/4", tuneShape{2, 8}, 2 * 3e6},
			} {
				got := want.finding
				rate := s.rate(got.trial)
				if goal == "latency" {
					rate /= s["policy"]["spread"]
				}
				if got.kernel != want.kernel || got.hashers != want.shape.hashers || got.sectors != want.shape.sectors || rate < 0.97*want.most {
					t.Errorf("seed %d, %s, %s: %v comes to %.3g, the best to %.3g", seed, name, goal, got.trial, rate, want.most)
				}
				if got.samples < samplesWanted {
					t.Errorf("seed %d, %s, %s: decided by %d measurements", seed, name, goal, got.samples)
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
		latency, throughput, err := search.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []finding{latency, throughput} {
			if n := search.space.oddness(f.trial); n != 0 {
				t.Errorf("seed %d: %d settings differ from the defaults for nothing: %v", seed, n, f.trial)
			}
		}
	}
}

// What each setting is worth is what the machine loses with it.
func TestSearchWorth(t *testing.T) {
	space := testSpace()
	s := hilly(rand.New(rand.NewPCG(3, 3)), &space)
	search, _ := aSearch(space, s, exact)
	_, best, err := search.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, w := range best.worth {
		seen[w.setting] = true
		if factor, ok := s[w.setting][w.value]; ok && w.setting != "kernel" {
			here := ""
			for _, x := range tuneSettings {
				if x.name == w.setting {
					here = x.text(best.trial)
				}
			}
			if want := 1 - factor/s[w.setting][here]; math.Abs(w.lost-want) > 1e-9 {
				t.Errorf("%s %s instead of %s: lost %.4f, want %.4f", w.setting, w.value, here, w.lost, want)
			}
		}
	}
	for _, x := range tuneSettings {
		if !seen[x.name] {
			t.Errorf("what %s is worth is missing: %+v", x.name, best.worth)
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
		search.budget = budget
		latency, throughput, err := search.run(t.Context())
		if *clock > budget {
			t.Errorf("%v took %v", budget, *clock)
		}
		if budget < search.window {
			if !errors.Is(err, errNothing) {
				t.Errorf("%v: %v, want %v", budget, err, errNothing)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", budget, err)
		}
		if latency.rate <= 0 || throughput.rate < latency.rate || search.short != (budget < time.Hour) {
			t.Errorf("%v: %v labels/s and %v, short %v", budget, latency.rate, throughput.rate, search.short)
		}
		if n := len(search.readings); n < before {
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
	measure, n := search.measure, 0
	search.measure = func(ctx context.Context, tr trial, w time.Duration) (measured, error) {
		if n++; n == 6 {
			cancel(errTimeUp)
			return measured{}, context.Cause(ctx)
		}
		return measure(ctx, tr, w)
	}
	latency, throughput, err := search.run(ctx)
	if err != nil || latency.kernel != "fast/1" || throughput.rate <= 0 || !search.short || n != 6 {
		t.Errorf("%v, %v, %v after %d measurements, short %v", latency, throughput, err, n, search.short)
	}
}

func TestSearchIsInterrupted(t *testing.T) {
	for _, at := range []int{1, 5, 20} {
		search, _ := aSearch(testSpace(), flat(), exact)
		ctx, cancel := context.WithCancel(t.Context())
		measure, n := search.measure, 0
		search.measure = func(ctx context.Context, tr trial, w time.Duration) (measured, error) {
			if n++; n == at {
				cancel()
			}
			return measure(ctx, tr, w)
		}
		if _, _, err := search.run(ctx); !errors.Is(err, context.Canceled) || n != at {
			t.Errorf("interrupted at measurement %d: %v after %d", at, err, n)
		}
	}
	broken := errors.New("a wrong label")
	search, _ := aSearch(testSpace(), flat(), exact)
	search.measure = func(context.Context, trial, time.Duration) (measured, error) { return measured{}, broken }
	if _, _, err := search.run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// What cannot be had is said once and left out.
func TestSearchGoesOnWithoutWhatCannotBeHad(t *testing.T) {
	search, _ := aSearch(testSpace(), flat(), exact)
	measure := search.measure
	search.measure = func(ctx context.Context, tr trial, w time.Duration) (measured, error) {
		if tr.pages == profile.Pages2M {
			return measured{}, fmt.Errorf("%w: no pages", errCannot)
		}
		return measure(ctx, tr, w)
	}
	var notes []string
	search.note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if _, _, err := search.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "2MiB pages") {
		t.Errorf("notes %q", notes)
	}
}

func TestShapesOf(t *testing.T) {
	inMemory := func(sectors int) func(tuneShape) bool {
		return func(s tuneShape) bool { return s.sectors <= sectors }
	}
	for _, c := range []struct {
		lanes, cores int
		counts       []int
		memory       int
		want         []tuneShape
	}{
		{1, 8, nil, 100, []tuneShape{{8, 8}, {4, 4}}},
		{16, 8, nil, 100, []tuneShape{{6, 96}, {3, 48}}},
		{16, 8, nil, 15, nil},
		{2, 1, nil, 100, []tuneShape{{1, 2}}},
		{2, 8, []int{1, 6, 200}, 100, []tuneShape{{1, 1}, {3, 6}, {1, 6}}},
	} {
		if got := shapesOf(c.lanes, c.cores, c.counts, inMemory(c.memory)); !slices.Equal(got, c.want) {
			t.Errorf("%d lanes, %d cores, %v sectors, memory for %d: %v, want %v", c.lanes, c.cores, c.counts, c.memory, got, c.want)
		}
	}
}

func TestReadingOf(t *testing.T) {
	m := engine.Measurement{Hashers: []engine.HasherMeasurement{
		{Batches: 2, Lanes: 2, Nodes: 1000, Took: time.Millisecond, Slices: []float64{9e5, 1e6, 1e6, 1.1e6}},
		{Batches: 1, Lanes: 2, Nodes: 900, Took: time.Millisecond},
	}}
	r, err := readingOf(m, 6, 3e9)
	if err != nil {
		t.Fatal(err)
	}
	// The first takes 2 µs for a node of all its sectors, and 6 sectors have as many labels.
	if math.Abs(r.rate-3e6) > 1 || math.Abs(r.cycles-6e9/3.8e6) > 1e-6 || r.spread < 0 || r.spread > 0.2 {
		t.Errorf("%+v", r)
	}
	m.Hashers[1].Nodes = 0
	if _, err := readingOf(m, 6, 3e9); !errors.Is(err, errTimeUp) {
		t.Errorf("a hasher without a label: %v", err)
	}
}

func TestParseSectorCounts(t *testing.T) {
	for text, want := range map[string][]int{"max": nil, "4": {4}, "16,2,16": {2, 16}} {
		if got, err := parseSectorCounts(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1,", "a", "1025", "1,max"} {
		if got, err := parseSectorCounts(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestTuneBadFlags(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "x")
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{exitUsage, "--time", []string{"--time", "0s"}},
		{exitUsage, "too small", []string{"--proof", "StackedDrg2KiBV1"}},
		{exitUsage, "number of sectors", []string{"--sectors", "0"}},
		{exitFailed, "no such file", []string{"--dir", missing}},
		{exitFailed, "is not a folder", []string{"--dir", os.Args[0]}},
		{exitUsage, "--profile: \"\" is no path", []string{"--profile", ""}},
		{exitFailed, "no such file", []string{"--profile", missing, "--force"}},
		{exitFailed, "room", []string{"--proof", "StackedDrg64GiBV1", "--sectors", "1000"}},
	} {
		r := sdrbench(t, nil, append([]string{"tune"}, c.args...)...)
		if r.exit != c.exit || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("%q: exit code %d, %s, want %q", c.args, r.exit, r.stderr, c.want)
		}
	}
}

// withProfile runs the command as a process that has a configuration folder of
// its own, and no SDR_PROFILE.
func withProfile(t *testing.T, config string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sdrbench", args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "SDR_PROFILE=", "XDG_CONFIG_HOME="+config, "HOME="+config, "AppData="+config,
		"SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks"))
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Tune writes a profile to the user's configuration folder, and bench goes by it.
func TestTuneThenBench(t *testing.T) {
	config, dir := t.TempDir(), t.TempDir()
	r := withProfile(t, config, "tune", "--dry-run", "--json", "--proof", "StackedDrg8MiBV1_1")
	var plan struct {
		Choices struct {
			Kernels map[string][]any `json:"kernels"`
		} `json:"choices"`
		Profile string `json:"profile"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &plan); err != nil || len(plan.Choices.Kernels) == 0 || plan.Profile == "" {
		t.Fatalf("%v: exit code %d: %s%s", err, r.exit, r.stdout, r.stderr)
	}
	wantFiles(t, config)

	if r = withProfile(t, config, "tune", "--force", "--json", "--proof", "StackedDrg8MiBV1_1", "--time", "3s", "--dir", dir); r.exit != exitDone {
		t.Fatalf("exit code %d: %s", r.exit, r.stderr)
	}
	wantFiles(t, dir)
	d := json.NewDecoder(strings.NewReader(r.stdout))
	d.DisallowUnknownFields()
	var report tuneReport
	if err := d.Decode(&report); err != nil {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	if report.Profile != plan.Profile || report.Measurements < 2 || report.Latency.Sectors != 1 || len(report.Cycles) == 0 || report.Throughput.Rate <= 0 {
		t.Errorf("incomplete: %s", r.stdout)
	}
	text, err := os.ReadFile(report.Profile)
	if err != nil {
		t.Fatal(err)
	}

	configOf := func(args ...string) (c benchConfig) {
		t.Helper()
		args = append([]string{"bench", "--json", "--dir", dir, "--proof", "StackedDrg8MiBV1_1"}, args...)
		r := withProfile(t, config, args...)
		var b benchReport
		if err := json.Unmarshal([]byte(r.stdout), &b); err != nil {
			t.Fatalf("%v: exit code %d: %s", err, r.exit, r.stderr)
		}
		return b.Config
	}
	c, l := configOf(), report.Latency
	if c.Profile != report.Profile || !slices.Equal(c.Kernels, []string{l.Kernel}) || c.Staging != l.Staging || c.Producers != l.Producers || c.Stride != l.Stride || c.Lookahead != l.Lookahead {
		t.Errorf("bench has %+v, the profile %+v", c, l)
	}
	// What nobody has by default.
	edited := strings.NewReplacer("lookahead = "+fmt.Sprint(l.Lookahead), "lookahead = 2048", `staging = "`+l.Staging+`"`, `staging = "hybrid"`,
		"stride = "+fmt.Sprint(l.Stride), "stride = 96").Replace(string(text))
	if err := os.WriteFile(report.Profile, []byte(edited), 0o666); err != nil {
		t.Fatal(err)
	}
	if c := configOf("--layers", "1"); c.Staging != "hybrid" || c.Lookahead != 2048 || c.Stride != 96 {
		t.Errorf("bench has %+v, the profile hybrid, 2048 and 96", c)
	}
	ahead := map[string]int{"producers": 8192, "inline": 32768}
	if c := configOf("--layers", "1", "--profile", "none"); c.Staging == "hybrid" || c.Lookahead != ahead[c.Staging] || c.Stride != 128 || c.Profile != "" {
		t.Errorf("bench without a profile has %+v", c)
	}
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o777); err != nil {
		t.Fatal(err)
	}
	if r := withProfile(t, config, "sdr", "--proof", "StackedDrg2KiBV1_1", "--replica-id", strings.Repeat("07", 32), "--cache-dir", filepath.Join(dir, "cache")); r.exit != exitDone {
		t.Errorf("sdr: exit code %d: %s", r.exit, r.stderr)
	}

	// Whatever labels refuses a bad one before it begins.
	if err := os.WriteFile(report.Profile, []byte(strings.Replace(edited, "schema = 1", "schema = 7", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, args := range [][]string{
		{"bench", "--dir", empty, "--proof", "StackedDrg8MiBV1_1"},
		{"sdr", "--proof", "StackedDrg2KiBV1_1", "--replica-id", strings.Repeat("07", 32), "--cache-dir", empty},
		{"pc1", "--proof", "StackedDrg2KiBV1_1", "--cache-dir", empty, "--staged", "/dev/zero", "--sealed", "none", "--miner", "1", "--sector", "1", "--ticket", strings.Repeat("07", 32)},
	} {
		r := withProfile(t, config, args...)
		if r.exit != exitFailed || !strings.Contains(r.stderr, report.Profile) || !strings.Contains(r.stderr, "schema is 7, want 1") || !strings.Contains(r.stderr, "--profile none") {
			t.Errorf("%q: exit code %d: %s", args, r.exit, r.stderr)
		}
	}
	wantFiles(t, empty)
}

// Interrupted, tune leaves the profile that is there, and no files.
func TestTuneInterrupted(t *testing.T) {
	dir, profile := t.TempDir(), filepath.Join(t.TempDir(), "profile.toml")
	const old = "what was there"
	if err := os.WriteFile(profile, []byte(old), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sdrbench", "tune", "--force", "--proof", "StackedDrg8MiBV1_1", "--dir", dir, "--profile", profile, "--lock-dir", filepath.Join(t.TempDir(), "locks"))
	s, there := startUntil(t, cmd, filepath.Join(dir, "sdrbench-*", "*", ".sc-02-data-layer-*"))
	if !there {
		t.Fatalf("it ended before it measured: %v: %s", <-s.ended, &s.stderr)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasSuffix(s.stderr.String(), "sdrbench: canceled\n") || s.stdout.Len() > 0 {
		t.Errorf("exit code %d: %s%s", cmd.ProcessState.ExitCode(), s.stdout.String(), s.stderr.String())
	}
	wantFiles(t, dir)
	wantFiles(t, filepath.Dir(profile), "profile.toml")
	if text, err := os.ReadFile(profile); err != nil || string(text) != old {
		t.Errorf("the profile is now %q, %v", text, err)
	}
}
