package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/tune"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/sealer"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

type tuneFlags struct {
	proof   porep.SealProof
	dir     string
	time    time.Duration
	sectors []int // none: as many as fit
	profile string
	lockDir string
	json    bool
	dryRun  bool
	force   bool

	removeLeftovers bool
}

func (a *app) tune() *cobra.Command {
	f := tuneFlags{proof: porep.StackedDrg512MiBV1_1, time: 5 * time.Minute}
	cmd := &cobra.Command{
		Use:   "tune",
		Short: "Find the best settings for this machine, and use them from now on",
		Long: `Tune measures which settings label fastest on this machine: kernels, lanes, hashing
cores, ways of staging, producers, strides, lookaheads, SMT siblings, kinds of page
and placement, whatever the machine has of them. First each kernel with the defaults,
then the better ones with each way of staging, then what one change makes better.
What is close is measured again and medians decide; what no change gains half
a percent stays as it is by default.

Each measurement labels a part of layer 2 with the memory, the graph, the parents and
the writing to files of a whole sector, two layers of it in memory, and a sample
of the labels is checked.

It prints the best for latency (one sector) and for throughput (labels a second of
all sectors together), and for each what it loses with one thing changed. It writes
them to a profile, and every command that labels uses that from then on, wherever
neither a flag nor the environment says something else. A profile is for one kind of
hardware. --profile none writes none.

On a busy machine other settings may look best. So tune begins nothing if jobs hold
cores, or if others keep more than a quarter of a CPU busy, of all CPUs that tune may
use together, in the half second before. If they do so on average while it measures,
it prints what it found, writes no profile, and fails. --force measures and writes
all the same; without a profile to write, and with --dry-run, it only says so.

Tune takes --time, 5 minutes by default, whatever there is to measure; with more of it
more is measured. It holds all cores that are free. If it is interrupted, a profile
that is there stays.`,
		Example: `  sdrbench tune
  sdrbench tune --dry-run
  sdrbench tune --proof StackedDrg32GiBV1_1 --dir /mnt/nvme --time 30m --sectors 2,16,32`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runTune(ctx, f) }),
	}
	flags := cmd.Flags()
	proofFlag(cmd, &f.proof, "whose sectors are measured (default StackedDrg512MiBV1_1)")
	flags.StringVar(&f.dir, "dir", "", "`DIR` for the layer files (default: the temporary directory)")
	flagVar(cmd, &f.time, "time", "TIME", "how long it may take, like 30m (default 5m)", parseWhile)
	flagVar(cmd, &f.sectors, "sectors", "LIST", "numbers of sectors to find the best throughput of, like 2,16, or max (default max: as many as memory and disk allow)", parseSectorCounts)
	profileFlag(cmd, &f.profile, "`FILE` to write, or none")
	a.lockDirFlag(cmd, &f.lockDir)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.force, "force", false, "write the profile although the machine is busy")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be measured, and measure nothing")
	flags.BoolVar(&f.removeLeftovers, "remove-leftovers", false, leftoversUsage)
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

// parseSectorCounts reads "max", which is none, or "2,16".
func parseSectorCounts(text string) (all []int, err error) {
	if text == "max" {
		return nil, nil
	}
	const most = 1 << 10
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is not a number of sectors, from 1 to %d, or max", part, most)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// A tuning is tune at work.
type tuning struct {
	*app
	tuneFlags
	sealing  *sealer.Machine
	view     *sealer.View // what there is, and what others hold
	cores    *sealer.Hold // all that are free
	made     []engine.Sector
	notes    []string
	unlocked sync.Once // that there are no locks is told
	busy     []string  // why what is measured here says little
	hz       float64
}

func (t *tuning) addNote(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (a *app) runTune(ctx context.Context, f tuneFlags) (err error) {
	began := time.Now()
	var errs []error
	if size := f.proof.SectorSize(); size.Nodes() < engine.MinMeasured {
		errs = append(errs, usageError{fmt.Errorf("--proof: sectors of %v are too small to measure a part of", size)})
	}
	if f.dir == "" {
		f.dir = os.TempDir()
	}
	if _, _, err := roomIn(f.dir); err != nil {
		errs = append(errs, err)
	}
	path, named := a.profilePath(f.profile)
	if path == "" && !named {
		errs = append(errs, errors.New("tuning: there is no configuration directory of the user: name a file, or none, with --profile"))
	}
	t := &tuning{app: a, tuneFlags: f}
	o := sealer.Options{Notes: t.withoutLocks, Program: "sdrbench tune"}
	if f.lockDir != reserve.DefaultDir {
		o.LockDir = f.lockDir
	}
	if t.sealing, err = sealer.Open(ctx, o); err == nil {
		t.view, err = t.sealing.Look(ctx)
	}
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := a.clearLeftovers(f.dir, f.removeLeftovers && !f.dryRun); err != nil {
		return err
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	space, err := t.space()
	if err != nil {
		return err
	}
	s := &tune.Search{Space: space, Window: t.windowOf(), Budget: f.time, Note: t.addNote}
	r := &tuneReport{Schema: 1, Machine: profile.MachineOf(t.view.Machine), Proof: f.proof.String(), Window: s.Window.Seconds(), Profile: path}
	r.Fingerprint = r.Machine.Fingerprint()
	if f.dryRun {
		r.Notes = append([]string{}, t.notes...)
		return a.printTunePlan(r, &s.Space, f)
	}
	write := func([]byte) error { return nil }
	if err := t.refused(path); err != nil {
		return err
	}
	if path != "" {
		if !named {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return fmt.Errorf("writing the profile: %w", err)
			}
		}
		out, err := a.openOutput(ctx, path, 64<<10) // far more than a profile has
		if err != nil {
			return err
		}
		defer out.close()
		write = out.write
	}
	for _, note := range t.notes {
		a.note("%s", note)
	}
	held, err := t.sealing.HoldFree(ctx, t.view, sealer.Job{Name: "tune"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	t.cores = held
	dir, remove, err := makeWorkDir(f.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if t.made, err = madeUpSectors(dir, space.MostSectors()); err != nil {
		return err
	}

	t.hz = coreclock.Measure()
	s.Measure = t.measure
	s.Now = func() time.Duration { return time.Since(began) }
	s.Say = func(stage string, tr tune.Trial, f tune.Figure) {
		fmt.Fprintf(a.err, "tune: %3.0f %%  %s: %s cycles a label, %s: %v\n", min(100, 100*s.Now().Seconds()/s.Budget.Seconds()),
			stage, view.Thousands(uint64(f.Cycles+0.5)), view.PerSecond(f.Rate, "labels"), tr)
	}
	before, known := topology.ReadCPUUse("/proc", t.view.Machine.Allowed())
	timed, cancel := context.WithDeadlineCause(ctx, began.Add(f.time), tune.ErrTimeUp)
	defer cancel()
	latency, throughput, err := s.Run(timed)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	if known {
		t.addOthers(before, "while it measured")
	}
	r.set(s, latency, throughput)
	r.Seconds, r.Notes = time.Since(began).Seconds(), append([]string{}, t.notes...)
	refused := t.refused(path)
	if refused != nil {
		r.Profile = ""
	} else if err := t.writeProfile(r, write); err != nil {
		return err
	}
	if f.json {
		err = a.printJSON(r)
	} else {
		err = a.printText("%s", r.text())
	}
	return errors.Join(err, refused)
}

// refused says why no profile is to be written to path.
func (t *tuning) refused(path string) error {
	if path == "" || t.force || len(t.busy) == 0 {
		return nil
	}
	return &busyError{t.busy}
}

// writeProfile writes what was found.
func (t *tuning) writeProfile(r *tuneReport, write func([]byte) error) error {
	p := &profile.Profile{
		Schema: profile.Schema, Fingerprint: r.Fingerprint, Made: time.Now().UTC().Truncate(time.Second), Version: version(),
		Proof: r.Proof, Machine: r.Machine, Latency: r.Latency.Settings, Throughput: r.Throughput.Settings, Cycles: r.Cycles,
	}
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	// What would not be read again is not written.
	if _, problems := profile.Parse(text.String(), r.Machine); len(problems) > 0 {
		return &profile.Error{Path: r.Profile, Problems: problems}
	}
	return write(text.Bytes())
}

// addOthers notes if others were busy since then.
func (t *tuning) addOthers(before topology.CPUUse, when string) {
	cpus := t.view.Machine.Allowed()
	now, ok := topology.ReadCPUUse("/proc", cpus)
	if !ok {
		return
	}
	if others := now.OthersSince(before, cpus.Len()); others > mostOthers {
		text := fmt.Sprintf("others kept %.1f of %s busy %s", others, words.Count(cpus.Len(), "CPU"), when)
		t.busy = append(t.busy, text)
		t.addNote("%s: other settings may be best when they do not", text)
	}
}

// look notes what makes the figures worse, and what this machine has no choice in.
func (t *tuning) look(ctx context.Context) error {
	for _, h := range t.view.Held {
		text := fmt.Sprintf("%s held by %s", view.Numbers("core", topology.NewCPUSet(h.Cores...)), h.Who())
		t.busy = append(t.busy, text)
		t.addNote("left out: %s", text)
	}
	if before, ok := topology.ReadCPUUse("/proc", t.view.Machine.Allowed()); ok {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second / 2):
		}
		t.addOthers(before, "before it began")
	}
	if t.view.Machine.Allowed().Len() < t.view.Machine.CPUs().Len() {
		t.addNote("of CPUs %v only %v may be used: the rest is left out", t.view.Machine.CPUs(), t.view.Machine.Allowed())
	}
	return nil
}

// space is what there is to choose from here.
func (t *tuning) space() (tune.Space, error) {
	m := t.view.Machine
	s := tune.Space{
		Producers: []int{1, 2},
		Strides:   []int{32, 128, 512},
		Ahead:     []int{256, 4096, 8192, 32768},
		SMT:       []placement.SMTUse{placement.ProduceOnSiblings},
		Pages:     []hugepages.Pages{profile.PagesAny},
		Policies:  []placement.Policy{placement.Spread},
		Counts:    t.sectors,
	}
	most := 0 // CPUs in a core complex
	for _, c := range m.Complexes() {
		most = max(most, c.CPUs.Len())
	}
	if most > 4 {
		s.Producers = append(s.Producers, 4)
	}
	if slices.ContainsFunc(m.Cores(), func(c topology.Core) bool { return len(c.CPUs) > 1 }) {
		s.SMT = append(s.SMT, placement.IdleSiblings)
	} else {
		t.addNote("SMT is left out: no core has a second CPU")
	}
	if len(m.Complexes()) > 1 {
		s.Policies = append(s.Policies, placement.Pack)
	} else {
		t.addNote("placement is left out: one core complex leaves no choice")
	}
	free := map[uint64]bool{}
	for _, node := range m.NUMANodes() {
		for _, pool := range node.HugePages {
			free[pool.Size] = free[pool.Size] || pool.Free > 0
		}
	}
	for _, kind := range profile.OrSmaller(hugepages.Huge1G) {
		huge := kind == hugepages.Huge1G || kind == hugepages.Huge2M
		if huge && !free[kind.Size()] {
			t.addNote("pages of %s are left out: none is free in the kernel's pool", profile.PagesName(kind))
			continue
		}
		if kind == hugepages.Transparent && len(s.Pages) == 1 {
			continue // what any has without pools
		}
		s.Pages = append(s.Pages, kind)
	}
	disk, known, err := roomIn(t.dir)
	if err != nil {
		return s, err
	}
	room := func(k *kernels.Kernel, shape tune.Shape) bool {
		if known && uint64(shape.Sectors) > disk/uint64(t.proof.SectorSize()) {
			return false
		}
		_, err := t.plan(s.Usual(tune.Kernel{Name: k.Name}, shape))
		return err == nil
	}
	cores := t.view.FreeCores()
	fits := false
	for _, k := range kernels.Kernels() {
		if !k.Usable() {
			_, err := kernels.ByName(k.Name)
			t.addNote("%s is left out: %v", k.Name, err)
			continue
		}
		tk := tune.Kernel{Name: k.Name, Lanes: k.Lanes}
		if one := (tune.Shape{Hashers: 1, Sectors: k.Lanes}); room(k, one) {
			tk.One = one
		}
		tk.Shapes = tune.ShapesOf(k.Lanes, cores, s.Counts, func(shape tune.Shape) bool { return room(k, shape) })
		if len(tk.Shapes) == 0 {
			t.addNote("%s is left out where sectors go together: no room for them", k.Name)
		}
		fits = fits || len(tk.Shapes) > 0 && tk.One.Hashers > 0
		s.Kernels = append(s.Kernels, tk)
	}
	if !fits {
		_, err := t.plan(s.Usual(tune.Kernel{Name: kernels.Best(1).Name}, tune.Shape{Hashers: 1, Sectors: 1}))
		if err == nil {
			err = fmt.Errorf("no room for %s of %v in memory and %s (%s free)", sectorsText(s.Counts), t.proof.SectorSize(), t.dir, topology.SizeText(disk))
		}
		return s, fmt.Errorf("tuning: %w", err)
	}
	return s, nil
}

// sectorsText names numbers of sectors: "2 or 16 sectors".
func sectorsText(counts []int) string {
	if len(counts) == 0 {
		return "a sector"
	}
	texts := make([]string, len(counts))
	for i, n := range counts {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, " or ") + " " + view.Verb(counts[len(counts)-1], "sector", "sectors")
}

// windowOf is how long to measure: a search takes one to two hundred measurements, and
// each needs time to begin; and half of a layer must be enough.
func (t *tuning) windowOf() time.Duration {
	const nodesPerSecond = 2e6 // no core labels more
	layer := time.Duration(float64(t.proof.SectorSize().Nodes()) / 2 / nodesPerSecond * float64(time.Second))
	return min(max(t.time/200, 20*time.Millisecond), layer, 5*time.Second)
}

// trialSettings are a trial's.
func trialSettings(tr tune.Trial) sealer.Settings {
	s := sealer.Settings{
		Kernel: tr.Kernel, Hashers: tr.Hashers, Staging: tr.Staging, Producers: tr.Producers, Stride: tr.Stride, Lookahead: tr.Lookahead,
		SMT: tr.SMT, Policy: sealer.PolicySpread,
	}
	if tr.Policy == placement.Pack {
		s.Policy = sealer.PolicyPack
	}
	if tr.Pages != profile.PagesAny {
		s.Pages = []hugepages.Pages{tr.Pages}
	}
	return s
}

// plan is where a trial's hashers run.
func (t *tuning) plan(tr tune.Trial) (*placement.Plan, error) {
	return t.view.Plan(t.proof, tr.Sectors, trialSettings(tr))
}

// withoutLocks tells why tune goes on without locks, once.
func (t *tuning) withoutLocks(n sealer.Note) {
	if n.Kind == sealer.NoteGuard {
		t.note("%v", n)
		return
	}
	t.unlocked.Do(func() { t.note("cores are not reserved: %v%s", n.Err, forAll(n.Err)) })
}

// measure measures a trial once.
func (t *tuning) measure(ctx context.Context, tr tune.Trial, window time.Duration) (r tune.Measured, err error) {
	if _, err := t.plan(tr); err != nil {
		return r, fmt.Errorf("%w: %w", tune.ErrCannot, err)
	}
	s := trialSettings(tr)
	m, err := t.cores.MeasureWith(ctx, t.proof, t.made[:tr.Sectors], s, window)
	var refused *hugepages.AllocError
	var limit *hugepages.LimitError
	var wrong *engine.LabelError
	switch {
	case err != nil && ctx.Err() != nil && !errors.As(err, &wrong):
		return r, context.Cause(ctx)
	case errors.As(err, &refused), errors.As(err, &limit):
		return r, fmt.Errorf("%w: %w", tune.ErrCannot, err)
	case err != nil:
		return r, fmt.Errorf("measuring %v: %w", tr, err)
	}
	for _, had := range m.Memory {
		if tr.Pages != profile.PagesAny && (had.Pages != s.Pages[0] || had.Pages == hugepages.Transparent && had.Backing.Err == nil && had.Backing.Huge == 0) {
			return r, fmt.Errorf("%w: got %v instead", tune.ErrCannot, had.Backing)
		}
	}
	before := t.hz
	t.hz = coreclock.Measure()
	return tune.ReadingOf(m, tr.Sectors, (before+t.hz)/2)
}

// A tuneReport is what tune prints. Its JSON is a contract with scripts: whatever
// changes the meaning of a field changes Schema.
type tuneReport struct {
	Schema       int                `json:"schema"`
	Machine      profile.Machine    `json:"machine"`
	Fingerprint  string             `json:"fingerprint"`
	Proof        string             `json:"proof"`
	Seconds      float64            `json:"seconds"`
	Window       float64            `json:"window_seconds"` // of each measurement
	Measurements int                `json:"measurements"`
	Complete     bool               `json:"complete"` // nothing was left out for want of time
	Notes        []string           `json:"notes"`
	Cycles       map[string]float64 `json:"cycles"` // a node with all lanes, on one core, by kernel
	Latency      tuneFinding        `json:"latency"`
	Throughput   tuneFinding        `json:"throughput"`
	Profile      string             `json:"profile"` // the file; "" for none
}

// A tuneFinding is the best for one purpose, and what it loses with one thing changed.
type tuneFinding struct {
	profile.Settings
	Samples int         `json:"samples"`
	Worth   []tuneWorth `json:"worth"`
}

type tuneWorth struct {
	Setting string  `json:"setting"`
	Value   string  `json:"value"`
	Cycles  float64 `json:"cycles_per_label"`
	Rate    float64 `json:"labels_per_second"`
	Spread  float64 `json:"spread"`
	Samples int     `json:"samples"`
	Lost    float64 `json:"lost"` // a share of the best's rate
}

func (r *tuneReport) set(s *tune.Search, latency, throughput tune.Finding) {
	r.Latency, r.Throughput = newTuneFinding(latency), newTuneFinding(throughput)
	r.Cycles, r.Complete = s.CyclesByKernel(), !s.Short
	for _, all := range s.Readings {
		r.Measurements += len(all)
	}
}

func newTuneFinding(f tune.Finding) tuneFinding {
	all := tuneFinding{settingsOf(f.Trial, f.Figure), f.Samples, []tuneWorth{}}
	for _, w := range f.Worth {
		all.Worth = append(all.Worth, tuneWorth{w.Setting, w.Value, w.Cycles, w.Rate, w.Spread, w.Samples, w.Lost})
	}
	return all
}

func settingsOf(t tune.Trial, f tune.Figure) profile.Settings {
	return profile.Settings{
		Kernel: t.Kernel, Sectors: t.Sectors, Hashers: t.Hashers,
		Staging: t.Staging.String(), Producers: t.Producers, Stride: t.Stride, Lookahead: t.Lookahead,
		SMT: t.SMT.String(), Pages: profile.PagesName(t.Pages), Policy: t.Policy.String(),
		Cycles: f.Cycles, Rate: f.Rate, Spread: f.Spread,
	}
}

// header is what the report and the plan begin with.
func (r *tuneReport) header(b *strings.Builder) {
	fmt.Fprintf(b, "%-12s%s, %s, %s\n", "machine", r.Machine.Model, strings.Join(r.Machine.Complexes, "; "), r.Machine.Memory)
	for i, note := range r.Notes {
		name := ""
		if i == 0 {
			name = "notes"
		}
		fmt.Fprintf(b, "%-12s%s\n", name, note)
	}
}

// text is the report for people.
func (r *tuneReport) text() string {
	var b strings.Builder
	r.header(&b)
	fmt.Fprintf(&b, "%-12s%s for %v each, in %v, sectors of %s", "measured", words.Count(r.Measurements, "time"),
		time.Duration(r.Window*float64(time.Second)).Round(time.Millisecond), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second), r.Proof)
	if !r.Complete {
		b.WriteString("; the time was too short for all that there is (--time)")
	}
	b.WriteString("\n\nkernels, on one core\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, name := range slices.Sorted(maps.Keys(r.Cycles)) {
		if k, err := kernels.ByName(name); err == nil {
			fmt.Fprintf(w, "  %s\t%s cycles a node\t%s a label\t\n", name, view.Thousands(uint64(r.Cycles[name]+0.5)), view.Thousands(uint64(r.Cycles[name]/float64(k.Lanes)+0.5)))
		}
	}
	w.Flush()
	r.Latency.text(&b, "best for latency")
	r.Throughput.text(&b, "best for throughput")
	if r.Profile != "" {
		fmt.Fprintf(&b, "\n%-12s%s, used from now on (--profile none goes without)\n", "profile", r.Profile)
	}
	return b.String()
}

func (f *tuneFinding) text(b *strings.Builder, heading string) {
	fmt.Fprintf(b, "\n%s: %s on %s\n", heading, words.Count(f.Sectors, "sector"), words.Count(f.Hashers, "core"))
	fmt.Fprintf(b, "  %s cycles a label, %s, spread %.1f %% of %s\n", view.Thousands(uint64(f.Cycles+0.5)), view.PerSecond(f.Rate, "labels"), 100*f.Spread, words.Count(f.Samples, "measurement"))
	fmt.Fprintf(b, "  kernel %s, staging %s, producers %d, stride %d, lookahead %d, siblings %s, pages %s, policy %s\n",
		f.Kernel, f.Staging, f.Producers, f.Stride, f.Lookahead, f.SMT, f.Pages, f.Policy)
	if len(f.Worth) == 0 {
		return
	}
	b.WriteString("  with one thing changed\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, x := range f.Worth {
		change := fmt.Sprintf("%5.1f %% lost", 100*x.Lost)
		if x.Lost < 0 {
			change = fmt.Sprintf("%5.1f %% won, which is in the noise", -100*x.Lost)
		}
		fmt.Fprintf(w, "    %s\t%s\t%7s cycles a label\t%s\n", x.Setting, x.Value, view.Thousands(uint64(x.Cycles+0.5)), change)
	}
	w.Flush()
}

// printTunePlan prints what tune would do.
func (a *app) printTunePlan(r *tuneReport, s *tune.Space, f tuneFlags) error {
	type choices struct {
		Kernels   map[string][]tuneShapeJSON `json:"kernels"`
		Staging   []string                   `json:"staging"`
		Producers []int                      `json:"producers"`
		Strides   []int                      `json:"strides"`
		Lookahead []int                      `json:"lookaheads"`
		SMT       []string                   `json:"smt"`
		Pages     []string                   `json:"pages"`
		Policies  []string                   `json:"policies"`
	}
	c := choices{
		Kernels: map[string][]tuneShapeJSON{}, Staging: []string{engine.Inline.String(), engine.Producers.String(), engine.Hybrid.String()},
		Producers: s.Producers, Strides: s.Strides, Lookahead: s.Ahead,
	}
	for _, use := range s.SMT {
		c.SMT = append(c.SMT, use.String())
	}
	for _, kind := range s.Pages {
		c.Pages = append(c.Pages, profile.PagesName(kind))
	}
	for _, p := range s.Policies {
		c.Policies = append(c.Policies, p.String())
	}
	for _, k := range s.Kernels {
		c.Kernels[k.Name] = []tuneShapeJSON{}
		for _, shape := range k.Shapes {
			c.Kernels[k.Name] = append(c.Kernels[k.Name], tuneShapeJSON{shape.Hashers, shape.Sectors})
		}
	}
	if f.json {
		return a.printJSON(struct {
			Schema  int             `json:"schema"`
			Machine profile.Machine `json:"machine"`
			Print   string          `json:"fingerprint"`
			Proof   string          `json:"proof"`
			Time    float64         `json:"seconds"`
			Window  float64         `json:"window_seconds"`
			Notes   []string        `json:"notes"`
			Choices choices         `json:"choices"`
			Profile string          `json:"profile"`
		}{r.Schema, r.Machine, r.Fingerprint, r.Proof, f.time.Seconds(), r.Window, r.Notes, c, r.Profile})
	}
	var b strings.Builder
	r.header(&b)
	line := func(name string, values any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ", "))
	}
	fmt.Fprintf(&b, "%-12s%v at most, %v for each measurement, sectors of %s\n", "time", f.time, time.Duration(r.Window*float64(time.Second)).Round(time.Millisecond), r.Proof)
	for _, k := range s.Kernels {
		var shapes []string
		for _, shape := range k.Shapes {
			shapes = append(shapes, fmt.Sprintf("%s on %s", words.Count(shape.Sectors, "sector"), words.Count(shape.Hashers, "core")))
		}
		fmt.Fprintf(&b, "%-12s%s\n", k.Name, strings.Join(shapes, ", "))
	}
	line("staging", c.Staging)
	line("producers", c.Producers)
	line("stride", c.Strides)
	line("lookahead", c.Lookahead)
	line("siblings", c.SMT)
	line("pages", c.Pages)
	line("policy", c.Policies)
	if r.Profile != "" {
		fmt.Fprintf(&b, "%-12s%s\n", "profile", r.Profile)
	}
	return a.printText("%s", b.String())
}

type tuneShapeJSON struct {
	Hashers int `json:"hashers"`
	Sectors int `json:"sectors"`
}
