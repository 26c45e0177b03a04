package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/tune"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sealer"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

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

// refused says why no profile is to be written to path.
func (t *tuning) refused(path string) error {
	if path == "" || t.force || len(t.busy) == 0 {
		return nil
	}
	return &busyError{t.busy}
}

// writeProfile writes what was found.
func (t *tuning) writeProfile(r *view.Tune, write func([]byte) error) error {
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
	if t.memory > 0 {
		s.Base = t.config(tune.Trial{})
	}
	most := 0 // CPUs in a core complex
	for _, c := range m.Complexes() {
		most = max(most, c.CPUs.Len())
	}
	if most > 4 {
		s.Producers = append(s.Producers, 4)
	}
	var err error
	if s.Sharing, err = t.sharing(); err != nil {
		return s, err
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
		tr := s.Usual(tune.Kernel{Name: k.Name}, shape)
		each := uint64(t.proof.SectorSize())
		if t.memory > 0 {
			c := t.config(tr)
			feed, _ := c.Feed()
			each += feed.Scratch
		}
		if known && uint64(shape.Sectors) > disk/each {
			return false
		}
		_, err := t.plan(tr)
		return err == nil
	}
	cores := t.view.FreeCores()
	fits := false
	if t.memory > 0 {
		t.addNote("with --memory %s: the profile is for jobs that have about as much; how steadily %s takes and gives what budget mode asks of it, longer than %v at a time, is not measured",
			topology.SizeText(t.memory), t.dir, t.windowOf().Round(time.Millisecond))
	}
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

// sharing is how many hashers one producer may feed here, and how many then fit.
func (t *tuning) sharing() (all []tune.Sharing, err error) {
	q := placement.Request{SectorSize: porep.NodeSize, Producers: 1}
	numbers := t.perProducer
	if len(numbers) == 0 {
		numbers = q.Sharing(t.view.Machine)
	}
	var reserved placement.Reserved
	for _, h := range t.view.Held {
		reserved.Cores = append(reserved.Cores, h.Cores...)
	}
	for _, q.HashersPerProducer = range numbers {
		room, err := placement.Room(t.view.Machine, reserved, q)
		if err != nil {
			return nil, usageError{fmt.Errorf("--hashers-per-producer: %w", err)}
		}
		all = append(all, tune.Sharing{HashersPerProducer: q.HashersPerProducer, Hashers: room})
	}
	if len(t.perProducer) == 0 { // all cores of a complex hash, and their producer has none of its own
		q.HashersPerProducer++
		if room, err := placement.Room(t.view.Machine, reserved, q); err == nil {
			all = append(all, tune.Sharing{HashersPerProducer: q.HashersPerProducer, Hashers: room})
		}
	}
	if len(all) == 1 && len(t.perProducer) == 0 {
		t.addNote("a producer for several hashers is left out: no core complex has two cores")
	}
	return all, nil
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

// config is what the engine is told of a trial in budget mode.
func (t *tuning) config(tr tune.Trial) engine.Config {
	return engine.Config{Proof: t.proof, Kernel: tr.Kernel, Hashers: tr.Hashers, Sectors: make([]engine.Sector, tr.Sectors), MemoryMode: engine.Budget, Budget: t.memory, MemoryWay: t.way}
}

// trialSettings are a trial's.
func (t *tuning) trialSettings(tr tune.Trial) sealer.Settings {
	s := sealer.Settings{
		Budget: t.memory, MemoryWay: t.way,
		Kernel: tr.Kernel, Hashers: tr.Hashers, Staging: tr.Staging, Producers: tr.Producers, HashersPerProducer: tr.HashersPerProducer, Stride: tr.Stride, Lookahead: tr.Lookahead,
		SMT: tr.SMT, Policy: sealer.PolicySpread,
	}
	if t.memory > 0 {
		s.MemoryMode = engine.Budget
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
	if t.memory > 0 {
		if err := t.config(tr).CheckSettings(tr.Sectors); err != nil {
			return nil, err
		}
	}
	return t.view.Plan(t.proof, tr.Sectors, t.trialSettings(tr))
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
	s := t.trialSettings(tr)
	m, err := t.cores.MeasureWith(ctx, t.proof, t.made[:tr.Sectors], s, window)
	var refused *hugepages.AllocError
	var limit *hugepages.LimitError
	var wrong *engine.LabelError
	var config *engine.ConfigError
	switch {
	case err != nil && ctx.Err() != nil && !errors.As(err, &wrong):
		return r, context.Cause(ctx)
	case errors.As(err, &refused), errors.As(err, &limit), t.memory > 0 && errors.As(err, &config):
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
