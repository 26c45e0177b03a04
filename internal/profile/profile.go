// Package profile is what tune found best on one kind of hardware: a TOML file that people
// read and change, its checks, and what machine it is for.
package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// Schema is the only one that this program knows. Whatever changes the
// meaning of a key, or what a fingerprint is made of, changes it.
const Schema = 1

// A Profile is what tune measured on a machine and found best, in a TOML file.
type Profile struct {
	Schema int `toml:"schema"`
	// Sum is that of the file's text, without itself: a bit that flips on the disk is found. Who
	// changes a profile removes it.
	Sum string `toml:"sum"`
	// Fingerprint is Machine's: the settings are for such hardware alone.
	Fingerprint string    `toml:"fingerprint"`
	Made        time.Time `toml:"made"`
	Version     string    `toml:"version"` // of the program that made it
	Proof       string    `toml:"proof"`   // whose sectors were measured
	Machine     Machine   `toml:"machine"`
	Latency     Settings  `toml:"latency"`    // for one sector
	Throughput  Settings  `toml:"throughput"` // for several
	// Cycles are, by kernel, the core cycles for a node with all lanes.
	Cycles map[string]float64 `toml:"cycles"`

	// Path is the file that it was read from, to people.
	Path string `toml:"-"`
}

// None stands for no file where the path of a profile is asked for.
const None = "none"

// DefaultPath is where a profile is if nobody says otherwise: in the user's configuration
// directory. It is "" where a user has none.
func DefaultPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "sdrbench", "profile.toml")
}

// Machine is the hardware, and nothing that changes while it runs: no free
// memory, no pool of huge pages, no core that somebody holds.
type Machine struct {
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

// Settings are the best for one purpose, and what was measured with them.
type Settings struct {
	Kernel    string `toml:"kernel" json:"kernel"`
	Sectors   int    `toml:"sectors" json:"sectors"`
	Hashers   int    `toml:"hashers" json:"hashers"`
	Staging   string `toml:"staging" json:"staging"`
	Producers int    `toml:"producers" json:"producers"`
	// HashersPerProducer is 1 where a profile does not have it.
	HashersPerProducer int `toml:"hashers_per_producer" json:"hashers_per_producer"`

	Stride    int    `toml:"stride" json:"stride"`
	Lookahead int    `toml:"lookahead" json:"lookahead"`
	SMT       string `toml:"smt" json:"smt"`
	Pages     string `toml:"pages" json:"pages"`
	Policy    string `toml:"policy" json:"policy"`

	Cycles float64 `toml:"cycles_per_label" json:"cycles_per_label"`
	Rate   float64 `toml:"labels_per_second" json:"labels_per_second"` // all sectors
	Spread float64 `toml:"spread" json:"spread"`                       // a share of the rate
}

// MachineOf is the hardware of a machine.
func MachineOf(m *topology.Machine) Machine {
	p := Machine{
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
			kind := fmt.Sprintf("of %s", words.Count(len(cores[i].CPUs), "CPU"))
			if cores[i].Kind != topology.UnknownKind {
				kind = fmt.Sprintf("(%v) %s", cores[i].Kind, kind)
			}
			kinds = append(kinds, kind)
		}
		text := strings.Join(grouped(kinds, func(n int, kind string) string { return fmt.Sprintf("%s %s", words.Count(n, "core"), kind) }), " + ")
		if c.CacheSize > 0 {
			text += fmt.Sprintf(", %s of L%d", topology.SizeText(c.CacheSize), c.CacheLevel)
		}
		complexes = append(complexes, fmt.Sprintf("%s, package %d, NUMA node %d", text, c.Package, m.NUMANodes()[c.NUMANode].ID))
	}
	p.Complexes = append(p.Complexes, grouped(complexes, func(n int, text string) string { return fmt.Sprintf("%d × %s", n, text) })...)
	p.Memory = topology.SizeText(builtIn(m.Memory()))
	return p
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

// Print is the same for machines that the same settings are for.
func (p *Machine) Fingerprint() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // texts and numbers: it cannot fail
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16])
}

// differences says how another machine differs from this one.
func (p *Machine) differences(here *Machine) (all []string) {
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

// An Error says all that is wrong with a profile.
type Error struct {
	Path     string
	Problems []string
}

// Is reports whether target is the kind ErrBadInput.
func (e *Error) Is(target error) bool { return target == failure.ErrBadInput }

func (e *Error) Error() string {
	const most, longest = 20, 400 // of a text that is no profile at all, enough
	shown := slices.Clone(e.Problems[:min(len(e.Problems), most)])
	for i, p := range shown {
		if len(p) > longest {
			shown[i] = strings.ToValidUTF8(p[:longest], "") + "…"
		}
	}
	if more := len(e.Problems) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("reading profile %s: %s", e.Path, strings.Join(shown, "; "))
}

// MaxBytes bounds a profile: one of a large machine has 3 KiB. The parser takes minutes for some tens of
// kilobytes that nest deeply: its time grows with the cube of the depth. So what nests,
// dots, brackets and braces, is counted before it begins, in strings as well: a profile
// of a large machine has some hundred.
const (
	MaxBytes   = 1 << 15 // bytes
	maxNesting = 512
)

// Parse reads a profile for the machine here, and says all that is wrong
// with it.
func Parse(text string, here Machine) (p *Profile, problems []string) {
	if n := strings.Count(text, ".") + strings.Count(text, "[") + strings.Count(text, "{"); n > maxNesting {
		return nil, []string{fmt.Sprintf("it has %d dots, brackets and braces, a profile has at most %d", n, maxNesting)}
	}
	var all map[string]any
	meta, err := toml.Decode(text, &all)
	if err != nil {
		return nil, []string{err.Error()}
	}
	if schema := all["schema"]; schema != int64(Schema) {
		if schema == nil {
			return nil, []string{fmt.Sprintf("it has no schema, want %d", Schema)}
		}
		return nil, []string{fmt.Sprintf("its schema is %v, want %d", schema, Schema)}
	}
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	// The library takes a key in another case for ours, and of two that differ in nothing
	// else one by chance: only what is spelt as we spell it is known.
	known := map[string]bool{}
	keysOf(known, reflect.TypeFor[Profile](), "")
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
	p = &Profile{}
	if _, err := toml.Decode(text, p); err != nil {
		return nil, append(problems, err.Error())
	}
	if p.Fingerprint != here.Fingerprint() {
		if differences := p.Machine.differences(&here); len(differences) > 0 {
			fail("it is for other hardware: %s", strings.Join(differences, ", "))
		} else {
			fail("its fingerprint is %q, this machine's %q", p.Fingerprint, here.Fingerprint())
		}
	}
	for _, s := range []struct {
		name string
		*Settings
		least, most int // sectors
	}{
		{"latency", &p.Latency, 1, 1},
		{"throughput", &p.Throughput, 1, engine.MaxSectors},
	} {
		if !meta.IsDefined(s.name) {
			fail("%s is missing", s.name)
			continue
		}
		if !meta.IsDefined(s.name, "hashers_per_producer") {
			s.HashersPerProducer = 1
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
	if p.Sum != "" && len(problems) == 0 && sumOf(strings.Replace(text, p.Sum, "", 1)) != p.Sum {
		fail("its sum is not that of what it says: it was damaged, or changed by hand: remove the line with the sum if you have changed it")
	}
	p.Sum = "" // of the text, not of what it says
	return p, problems
}

// keysOf adds the keys that a type's fields have, "table.key" those of tables.
func keysOf(known map[string]bool, t reflect.Type, table string) {
	for f := range t.Fields() {
		if name := f.Tag.Get("toml"); name != "-" {
			known[table+name] = true
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
				keysOf(known, f.Type, name+".")
			}
		}
	}
}

// check says what is wrong with settings, each problem with its key first.
func (s *Settings) check() (problems []string) {
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if _, err := kernels.ByName(s.Kernel); err != nil {
		fail("kernel: %v", err)
	}
	c := engine.Config{Proof: porep.StackedDrg512MiBV1_1, Producers: s.Producers, HashersPerProducer: s.HashersPerProducer, Stride: s.Stride, Lookahead: s.Lookahead}
	var err error
	if c.Staging, err = engine.ParseStaging(s.Staging); err != nil {
		fail("staging: %q is not inline, producers or hybrid", s.Staging)
	}
	// The engine knows what it takes, but 0 is a default to it.
	bounds := c.CheckSettings(1)
	for _, key := range []struct {
		name  string
		value int
	}{{"producers", s.Producers}, {"hashers_per_producer", s.HashersPerProducer}, {"stride", s.Stride}, {"lookahead", s.Lookahead}} {
		if key.value == 0 {
			fail("%s: 0, want 1 or more", key.name)
		}
		for _, e := range words.Errors(bounds) {
			if bad := (*engine.ConfigError)(nil); errors.As(e, &bad) && bad.Part == strings.ReplaceAll(key.name, "_", " ") {
				fail("%s: %s", key.name, bad.Reason)
			}
		}
	}
	if s.Hashers < 1 || s.Hashers > min(max(1, s.Sectors), topology.MaxCPUs) {
		fail("hashers: %d is not between 1 and %d", s.Hashers, min(max(1, s.Sectors), topology.MaxCPUs))
	}
	if _, err := placement.ParseSMTUse(s.SMT); err != nil {
		fail("smt: %v", err)
	}
	if _, err := ParsePages(s.Pages); err != nil {
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

// PagesAny stands for the kinds of page that the engine tries by default.
const PagesAny hugepages.Pages = 0

// pagesNames are what a profile calls the kinds of page, from the largest to the smallest.
var pagesNames = [...]string{
	PagesAny: "any", hugepages.Huge1G: "1GiB", hugepages.Huge2M: "2MiB", hugepages.Transparent: "transparent", hugepages.Small: "small",
}

// PagesName is what a profile calls a kind of page.
func PagesName(p hugepages.Pages) string { return pagesNames[p] }

// ParsePages reads a kind of page by its name; "any" is PagesAny.
func ParsePages(text string) (hugepages.Pages, error) {
	if i := slices.Index(pagesNames[:], text); i >= 0 {
		return hugepages.Pages(i), nil
	}
	return PagesAny, fmt.Errorf("%q is not any, 1GiB, 2MiB, transparent or small", text)
}

// OrSmaller are the pages of a kind and, should there be none left, what comes
// closest; nil for PagesAny.
func OrSmaller(p hugepages.Pages) (all []hugepages.Pages) {
	for ; p != PagesAny && p <= hugepages.Small; p++ {
		all = append(all, p)
	}
	return all
}

// Write puts the profile into a file's form.
func (p *Profile) Write(w io.Writer) error {
	const placeholder = "the sum"
	var b bytes.Buffer
	b.WriteString("# What 'sdrbench tune' found best on this machine. Flags and the environment come first.\n")
	b.WriteString("# Who changes something removes the sum.\n\n")
	summed := *p
	summed.Sum = placeholder
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(&summed); err != nil {
		return err
	}
	before, after, _ := strings.Cut(b.String(), fmt.Sprintf("sum = %q\n", placeholder))
	_, err := fmt.Fprintf(w, "%ssum = %q\n%s", before, sumOf(before+"sum = \"\"\n"+after), after)
	return err
}

// sumOf is a profile's sum, of its text without it.
func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%x", sum[:16])
}
