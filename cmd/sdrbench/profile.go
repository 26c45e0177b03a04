package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// profileSchema is the only one that this program knows. Whatever changes the
// meaning of a key, or what a fingerprint is made of, changes it.
const profileSchema = 1

// A profile is what tune measured on a machine and found best, in a TOML file.
type profile struct {
	Schema int `toml:"schema"`
	// Fingerprint is Machine's: the settings are for such hardware alone.
	Fingerprint string          `toml:"fingerprint"`
	Made        time.Time       `toml:"made"`
	Version     string          `toml:"version"` // of the program that made it
	Proof       string          `toml:"proof"`   // whose sectors were measured
	Machine     profileMachine  `toml:"machine"`
	Latency     profileSettings `toml:"latency"`    // for one sector
	Throughput  profileSettings `toml:"throughput"` // for several
	// Cycles are, by kernel, the core cycles for a node with all lanes.
	Cycles map[string]float64 `toml:"cycles"`

	path string
}

// profileMachine is the hardware, and nothing that changes while it runs: no free
// memory, no pool of huge pages, no core that somebody holds.
type profileMachine struct {
	Model     string   `toml:"model" json:"model"`
	Arch      string   `toml:"arch" json:"arch"`
	Features  []string `toml:"features" json:"features"` // those that kernels need
	Packages  int      `toml:"packages" json:"packages"`
	NUMANodes int      `toml:"numa_nodes" json:"numa_nodes"`
	Complexes []string `toml:"core_complexes" json:"core_complexes"` // like ones together
	Cores     int      `toml:"cores" json:"cores"`
	CPUs      int      `toml:"cpus" json:"cpus"`
	Memory    string   `toml:"memory" json:"memory"` // rounded up to what is built in
}

// profileSettings are the best for one purpose, and what was measured with them.
type profileSettings struct {
	Kernel    string `toml:"kernel" json:"kernel"`
	Sectors   int    `toml:"sectors" json:"sectors"`
	Hashers   int    `toml:"hashers" json:"hashers"`
	Staging   string `toml:"staging" json:"staging"`
	Producers int    `toml:"producers" json:"producers"`
	Stride    int    `toml:"stride" json:"stride"`
	Lookahead int    `toml:"lookahead" json:"lookahead"`
	SMT       string `toml:"smt" json:"smt"`
	Pages     string `toml:"pages" json:"pages"`
	Policy    string `toml:"policy" json:"policy"`

	Cycles float64 `toml:"cycles_per_label" json:"cycles_per_label"`
	Rate   float64 `toml:"labels_per_second" json:"labels_per_second"` // all sectors
	Spread float64 `toml:"spread" json:"spread"`                       // a share of the rate
}

// machineOf is the hardware of a machine.
func machineOf(m *topology.Machine) profileMachine {
	p := profileMachine{
		Model: m.Model(), Arch: runtime.GOARCH, Features: append([]string{}, m.Features()...),
		Packages: len(m.Packages()), NUMANodes: len(m.NUMANodes()), Complexes: []string{},
		Cores: len(m.Cores()), CPUs: m.CPUs().Len(),
	}
	if p.Model == "" && m.Live() {
		p.Model = strings.TrimSpace(cpuid.CPU.BrandName)
	}
	cores := m.Cores()
	var complexes []string
	for _, c := range m.Complexes() {
		var kinds []string
		for _, i := range c.Cores {
			kind := fmt.Sprintf("of %s", count(len(cores[i].CPUs), "CPU"))
			if cores[i].Kind != topology.UnknownKind {
				kind = fmt.Sprintf("(%v) %s", cores[i].Kind, kind)
			}
			kinds = append(kinds, kind)
		}
		text := strings.Join(grouped(kinds, func(n int, kind string) string { return fmt.Sprintf("%s %s", count(n, "core"), kind) }), " + ")
		if c.CacheSize > 0 {
			text += fmt.Sprintf(", %s of L%d", topology.SizeText(c.CacheSize), c.CacheLevel)
		}
		complexes = append(complexes, fmt.Sprintf("%s, package %d, NUMA node %d", text, c.Package, m.NUMANodes()[c.NUMANode].ID))
	}
	p.Complexes = append(p.Complexes, grouped(complexes, func(n int, text string) string { return fmt.Sprintf("%d × %s", n, text) })...)
	p.Memory = topology.SizeText(builtIn(memoryOf(m)))
	return p
}

// memoryOf is a machine's memory. The sum of its nodes', which is all that a dump has,
// is smaller for a while when the kernel moves memory around.
func memoryOf(m *topology.Machine) (sum uint64) {
	for _, node := range m.NUMANodes() {
		sum += node.MemoryTotal
	}
	if text, err := os.ReadFile("/proc/meminfo"); m.Live() && err == nil {
		var kib uint64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return sum
}

// grouped counts equal neighbours.
func grouped(texts []string, show func(n int, text string) string) (all []string) {
	for len(texts) > 0 {
		n := slices.IndexFunc(texts, func(t string) bool { return t != texts[0] })
		if n < 0 {
			n = len(texts)
		}
		all = append(all, show(n, texts[0]))
		texts = texts[n:]
	}
	return all
}

// builtIn is how much memory a machine has that shows so much: the kernel and the
// firmware keep some, more or less with each version. Modules are sold in eighths of
// powers of two.
func builtIn(shown uint64) uint64 {
	if shown < 8 {
		return shown
	}
	step := uint64(1) << (bits.Len64(shown-1) - 4)
	return (shown + step - 1) / step * step
}

// fingerprint is the same for machines that the same settings are for.
func (p *profileMachine) fingerprint() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // texts and numbers: it cannot fail
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16])
}

// differences says how another machine differs from this one.
func (p *profileMachine) differences(here *profileMachine) (all []string) {
	for _, d := range []struct{ name, there, here string }{
		{"model", p.Model, here.Model},
		{"architecture", p.Arch, here.Arch},
		{"features", strings.Join(p.Features, " "), strings.Join(here.Features, " ")},
		{"packages", fmt.Sprint(p.Packages), fmt.Sprint(here.Packages)},
		{"NUMA nodes", fmt.Sprint(p.NUMANodes), fmt.Sprint(here.NUMANodes)},
		{"core complexes", strings.Join(p.Complexes, "; "), strings.Join(here.Complexes, "; ")},
		{"cores", fmt.Sprint(p.Cores), fmt.Sprint(here.Cores)},
		{"CPUs", fmt.Sprint(p.CPUs), fmt.Sprint(here.CPUs)},
		{"memory", p.Memory, here.Memory},
	} {
		if d.there != d.here {
			all = append(all, fmt.Sprintf("%s %q, here %q", d.name, d.there, d.here))
		}
	}
	return all
}

// A profileError says all that is wrong with a profile.
type profileError struct {
	path     string
	problems []string
}

func (e *profileError) Error() string {
	const most, longest = 20, 400 // of a text that is no profile at all, enough
	shown := slices.Clone(e.problems[:min(len(e.problems), most)])
	for i, p := range shown {
		if len(p) > longest {
			shown[i] = strings.ToValidUTF8(p[:longest], "") + "…"
		}
	}
	if more := len(e.problems) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("reading profile %s: %s ('--profile none' goes on without one, 'sdrbench tune' makes a new one)", e.path, strings.Join(shown, "; "))
}

// noProfile is the path of no file.
const noProfile = "none"

// profilePath is where the profile is, and whether somebody named it. "" is nowhere.
func (a *app) profilePath(flag string) (path string, named bool) {
	if path = cmp.Or(flag, a.settings.profile); path == noProfile {
		return "", true
	}
	if path != "" {
		return path, true
	}
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "sdrbench", "profile.toml"), false
	}
	return "", false
}

// loadProfile reads the profile that is to be used, if there is one.
func (a *app) loadProfile(ctx context.Context, flag string) (*profile, error) {
	path, named := a.profilePath(flag)
	if path == "" {
		return nil, nil
	}
	failed := func(err error) error { return &profileError{path, []string{err.Error()}} }
	f, err := openUntil(ctx, path)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil, nil
	case err != nil && !named: // in a home directory that is not ours, say
		a.note("no profile is used: %v", err)
		return nil, nil
	case err != nil:
		return nil, failed(err)
	}
	text, err := readSmall(ctx, f)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, failed(err)
	}
	m, err := topology.Read()
	if err != nil {
		return nil, failed(err)
	}
	p, problems := parseProfile(text, machineOf(m))
	if len(problems) > 0 {
		return nil, &profileError{path, problems}
	}
	p.path = path
	return p, nil
}

// A profile of a large machine has 3 KiB. The parser takes minutes for some tens of
// kilobytes that nest deeply: its time grows with the cube of the depth. So what nests,
// dots, brackets and braces, is counted before it begins, in strings as well: a profile
// of a large machine has some hundred.
const (
	maxProfile = 1 << 15 // bytes
	maxNesting = 512
)

// readSmall reads, and closes, a file that is a profile only if it is small.
func readSmall(ctx context.Context, f *os.File) (string, error) {
	r := cancelable(ctx, f)
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err == nil && len(text) > maxProfile {
		err = fmt.Errorf("it has more than the %d bytes that a profile may have", maxProfile)
	}
	return string(text), err
}

// parseProfile reads a profile for the machine here, and says all that is wrong
// with it.
func parseProfile(text string, here profileMachine) (p *profile, problems []string) {
	if n := strings.Count(text, ".") + strings.Count(text, "[") + strings.Count(text, "{"); n > maxNesting {
		return nil, []string{fmt.Sprintf("it has %d dots, brackets and braces, a profile has at most %d", n, maxNesting)}
	}
	var all map[string]any
	meta, err := toml.Decode(text, &all)
	if err != nil {
		return nil, []string{err.Error()}
	}
	if schema := all["schema"]; schema != int64(profileSchema) {
		if schema == nil {
			return nil, []string{fmt.Sprintf("it has no schema, want %d", profileSchema)}
		}
		return nil, []string{fmt.Sprintf("its schema is %v, want %d", schema, profileSchema)}
	}
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	// The library takes a key in another case for ours, and of two that differ in nothing
	// else one by chance: only what is spelt as we spell it is known.
	known := map[string]bool{}
	profileKeys(known, reflect.TypeFor[profile](), "")
	misspelt := false
	for _, key := range meta.Keys() {
		name := strings.Join(key, ".")
		if !known[name] && !(len(key) == 2 && key[0] == "cycles") {
			fail("unknown key %v", key)
			misspelt = misspelt || known[strings.ToLower(name)]
		}
	}
	if misspelt { // what it would decode to is not what is there
		return nil, problems
	}
	p = &profile{}
	if _, err := toml.Decode(text, p); err != nil {
		return nil, append(problems, err.Error())
	}
	if p.Fingerprint != here.fingerprint() {
		if differences := p.Machine.differences(&here); len(differences) > 0 {
			fail("it is for other hardware: %s", strings.Join(differences, ", "))
		} else {
			fail("its fingerprint is %q, this machine's %q", p.Fingerprint, here.fingerprint())
		}
	}
	for _, s := range []struct {
		name string
		*profileSettings
		least, most int // sectors
	}{
		{"latency", &p.Latency, 1, 1},
		{"throughput", &p.Throughput, 1, maxSectors},
	} {
		if !meta.IsDefined(s.name) {
			fail("%s is missing", s.name)
			continue
		}
		for _, problem := range s.check() {
			fail("%s.%s", s.name, problem)
		}
		if s.Sectors < s.least || s.Sectors > s.most {
			fail("%s.sectors: %d is not between %d and %d", s.name, s.Sectors, s.least, s.most)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Cycles)) {
		if _, err := kernels.ByName(name); err != nil {
			fail("cycles: %v", err)
		} else if n := p.Cycles[name]; !(n >= 1 && n <= 1e9) {
			fail("cycles: %v of %s is not between 1 and 1e9", n, name)
		}
	}
	return p, problems
}

// profileKeys adds the keys that a type's fields have, "table.key" those of tables.
func profileKeys(known map[string]bool, t reflect.Type, table string) {
	for f := range t.Fields() {
		if name := f.Tag.Get("toml"); name != "" {
			known[table+name] = true
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
				profileKeys(known, f.Type, name+".")
			}
		}
	}
}

// check says what is wrong with settings, each problem with its key first.
func (s *profileSettings) check() (problems []string) {
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if _, err := kernels.ByName(s.Kernel); err != nil {
		fail("kernel: %v", err)
	}
	c := engine.Config{Proof: porep.StackedDrg512MiBV1_1, Producers: s.Producers, Stride: s.Stride, Lookahead: s.Lookahead}
	var err error
	if c.Staging, err = engine.ParseStaging(s.Staging); err != nil {
		fail("staging: %q is not inline, producers or hybrid", s.Staging)
	}
	// The engine knows what it takes, but 0 is a default to it.
	bounds := c.Validate()
	for _, key := range []struct {
		name  string
		value int
	}{{"producers", s.Producers}, {"stride", s.Stride}, {"lookahead", s.Lookahead}} {
		if key.value == 0 {
			fail("%s: 0, want 1 or more", key.name)
		}
		for _, e := range flattened(bounds) {
			if bad := (*engine.ConfigError)(nil); errors.As(e, &bad) && bad.Part == key.name {
				fail("%s: %s", key.name, bad.Reason)
			}
		}
	}
	if s.Hashers < 1 || s.Hashers > min(max(1, s.Sectors), topology.MaxCPUs) {
		fail("hashers: %d is not between 1 and %d", s.Hashers, min(max(1, s.Sectors), topology.MaxCPUs))
	}
	if _, err := parseSMT(s.SMT); err != nil {
		fail("smt: %v", err)
	}
	if _, err := parsePageKind(s.Pages); err != nil {
		fail("pages: %v", err)
	}
	if s.Policy != placement.Spread.String() && s.Policy != placement.Pack.String() {
		fail("policy: %q is not spread or pack", s.Policy)
	}
	for _, key := range []struct {
		name        string
		value       float64
		least, most float64
	}{{"cycles_per_label", s.Cycles, 1, 1e9}, {"labels_per_second", s.Rate, 1e-3, 1e15}, {"spread", s.Spread, 0, math.MaxFloat64}} {
		if !(key.value >= key.least && key.value <= key.most) {
			fail("%s: %v is not between %v and %v", key.name, key.value, key.least, key.most)
		}
	}
	return problems
}

// flattened is the errors that were joined in one.
func flattened(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// smtText is what parseSMT reads.
func smtText(use placement.SMTUse) string {
	if use == placement.IdleSiblings {
		return "idle"
	}
	return "produce"
}

// A pageKind is what layers' memory is to be on, the best of it or one kind.
type pageKind string

const (
	pagesAny         pageKind = "any" // the engine's default
	pages1G          pageKind = "1GiB"
	pages2M          pageKind = "2MiB"
	pagesTransparent pageKind = "transparent"
	pagesSmall       pageKind = "small"
)

// pageKinds have the larger ones first.
var pageKinds = []struct {
	kind  pageKind
	pages hugepages.Pages
}{{pages1G, hugepages.Huge1G}, {pages2M, hugepages.Huge2M}, {pagesTransparent, hugepages.Transparent}, {pagesSmall, hugepages.Small}}

func parsePageKind(text string) (pageKind, error) {
	if text == string(pagesAny) {
		return pagesAny, nil
	}
	for _, k := range pageKinds {
		if text == string(k.kind) {
			return k.kind, nil
		}
	}
	return "", fmt.Errorf("%q is not any, 1GiB, 2MiB, transparent or small", text)
}

// orSmaller are the pages of a kind and, should there be none left, what comes
// closest; nil for any.
func (k pageKind) orSmaller() (all []hugepages.Pages) {
	for _, other := range pageKinds {
		if other.kind == k || len(all) > 0 {
			all = append(all, other.pages)
		}
	}
	return all
}

// write puts the profile into a file's form.
func (p *profile) write(w io.Writer) error {
	if _, err := io.WriteString(w, "# What 'sdrbench tune' found best on this machine. Flags and the environment come first.\n\n"); err != nil {
		return err
	}
	e := toml.NewEncoder(w)
	e.Indent = ""
	return e.Encode(p)
}

// applyProfile fills in what neither a flag nor the environment says.
//
// The kernel and the number of hashers are for as many sectors as were measured.
// For any other number they follow from what each kernel takes.
func (a *app) applyProfile(f *engineFlags, c *engine.Config, sectors int) {
	p := f.tuned
	if p == nil {
		if c.Kernel == "" {
			c.Cycles = engine.TimeKernels()
		}
		return
	}
	s := &p.Throughput
	if sectors == 1 {
		s = &p.Latency
	}
	open := func(flag, variable string) bool { return !f.changed(flag) && variable == "" }
	c.Cycles = maps.Clone(p.Cycles)
	if open("kernel", a.settings.kernel) && !f.changed("hashers") && sectors == s.Sectors {
		c.Kernel, c.Hashers, f.hashers = s.Kernel, s.Hashers, s.Hashers
		f.tunedShape = true
	}
	if !f.changed("staging") {
		c.Staging, _ = engine.ParseStaging(s.Staging) // check has read it, as the others below
	}
	if open("producers", a.settings.producers) {
		c.Producers, f.bindProducers = s.Producers, true
	}
	// Stride and lookahead belong together, and a profile's must not spoil what a
	// flag says of the other.
	openStride, openLookahead := open("stride", a.settings.stride), open("lookahead", a.settings.lookahead)
	if openStride {
		c.Stride = s.Stride
		if !openLookahead {
			c.Stride = max(1, min(c.Stride, c.Lookahead))
		}
	}
	if openLookahead && c.MemoryMode == engine.TwoLayers {
		c.Lookahead = max(s.Lookahead, c.Stride)
	}
	if f.hugeTLBFS == "" {
		c.Pages = pageKind(s.Pages).orSmaller()
	}
	f.smt, _ = parseSMT(s.SMT)
	if !f.changed("policy") {
		f.policy.policy, _, _ = placement.ParsePolicy(s.Policy)
	}
}

// forgetShape takes back the profile's kernel and number of hashers: there is no
// room for them now. False means that they were not the profile's.
func (f *engineFlags) forgetShape(c *engine.Config) bool {
	if !f.tunedShape {
		return false
	}
	f.tunedShape = false
	c.Kernel, c.Hashers, f.hashers = "", 0, 0
	return true
}
