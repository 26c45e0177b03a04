package profile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sdr-engine/sdr/topology"
)

const dumpOfServer = "../../topology/testdata/epyc-2s-24ccx-smt.txt"

// aProfile is a good one, for a made-up machine.
func aProfile(t *testing.T) (*Profile, Machine) {
	t.Helper()
	m, err := topology.ReadDump(dumpOfServer)
	if err != nil {
		t.Fatal(err)
	}
	here := MachineOf(m)
	return &Profile{
		Schema: 1, Fingerprint: here.Fingerprint(), Made: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Version: "v1", Proof: "StackedDrg512MiBV1_1", Machine: here,
		Latency:    Settings{"generic/1", 1, 1, "hybrid", 2, 1, 64, 2048, "idle", "2MiB", "pack", 2600, 1.4e6, 0.01},
		Throughput: Settings{"generic/1", 12, 6, "producers", 1, 3, 256, 8192, "produce", "any", "spread", 1400, 8e6, 0.02},
		Cycles:     map[string]float64{"generic/1": 19000},
	}, here
}

func profileText(t *testing.T, p *Profile) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProfileRoundTrip(t *testing.T) {
	p, here := aProfile(t)
	text := profileText(t, p)
	again, problems := Parse(text, here)
	if len(problems) > 0 {
		t.Fatalf("%q in\n%s", problems, text)
	}
	if diff := cmp.Diff(p, again, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

// TestFlippedBits: a profile with a bit flipped is not used, whichever it is; one that somebody has changed
// is, without the sum.
func TestFlippedBits(t *testing.T) {
	p, here := aProfile(t)
	good := profileText(t, p)
	r := rand.New(rand.NewPCG(17, 100))
	for range 400 {
		wrong := []byte(good)
		bit := r.IntN(8 * len(wrong))
		wrong[bit/8] ^= 1 << (bit % 8)
		if _, problems := Parse(string(wrong), here); len(problems) == 0 {
			t.Errorf("bit %d of byte %d, %q, flipped: nobody finds it", bit%8, bit/8, good[bit/8])
		}
	}
	changed := strings.Replace(good, "stride = 64", "stride = 32", 1)
	if _, problems := Parse(changed, here); len(problems) != 1 || !strings.Contains(problems[0], "sum") {
		t.Errorf("changed: %q", problems)
	}
	before, after, _ := strings.Cut(changed, "sum = ")
	_, after, _ = strings.Cut(after, "\n")
	if got, problems := Parse(before+after, here); len(problems) > 0 || got.Latency.Stride != 32 {
		t.Errorf("changed, without its sum: %q", problems)
	}
}

// FuzzParse: whatever is read, there is no panic, and what is accepted is what would be written again.
func FuzzParse(f *testing.F) {
	m, err := topology.ReadDump(dumpOfServer)
	if err != nil {
		f.Fatal(err)
	}
	here := MachineOf(m)
	p := &Profile{
		Schema: 1, Fingerprint: here.Fingerprint(), Proof: "StackedDrg512MiBV1_1", Machine: here,
		Latency:    Settings{"generic/1", 1, 1, "hybrid", 2, 1, 64, 2048, "idle", "2MiB", "pack", 2600, 1.4e6, 0.01},
		Throughput: Settings{"generic/1", 12, 6, "producers", 1, 3, 256, 8192, "produce", "any", "spread", 1400, 8e6, 0.02},
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Fuzz(func(t *testing.T, text string) {
		p, problems := Parse(text, here)
		if len(problems) > 0 {
			if len((&Error{"p", problems}).Error()) > 10_000 {
				t.Errorf("%d problems", len(problems))
			}
			return
		}
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		again, problems := Parse(b.String(), here)
		if diff := cmp.Diff(p, again, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); len(problems) > 0 || diff != "" {
			t.Errorf("%q is written as %q: %q\n%s", text, b.String(), problems, diff)
		}
	})
}

// TestOlderProfile: one that was made before producers could have several hashers says that they have one.
func TestOlderProfile(t *testing.T) {
	p, here := aProfile(t)
	text := profileText(t, p)
	for _, key := range []string{"hashers_per_producer = 1\n", "hashers_per_producer = 3\n"} {
		text = strings.Replace(text, key, "", 1)
	}
	before, after, _ := strings.Cut(text, "sum = ")
	_, after, _ = strings.Cut(after, "\n")
	text = before + after
	old, problems := Parse(text, here)
	if len(problems) > 0 || old.Latency.HashersPerProducer != 1 || old.Throughput.HashersPerProducer != 1 {
		t.Errorf("%q, %+v", problems, old)
	}
}

func TestBadProfiles(t *testing.T) {
	p, here := aProfile(t)
	good := profileText(t, p)
	for _, c := range []struct {
		name     string
		old, new string
		want     []string // each in a problem of its own, in this order
	}{
		{"no TOML", "[latency]", "[latency", []string{"expected"}},
		{"empty", good, "", []string{"it has no schema, want 1"}},
		{"newer", "schema = 1", "schema = 2", []string{"its schema is 2, want 1"}},
		{"schema of another type", "schema = 1", `schema = "1"`, []string{"its schema is 1, want 1"}},
		{"newer, and with other keys", "schema = 1", "schema = 2\nmore = 1", []string{"its schema is 2, want 1"}},
		{"unknown key", "[latency]", "[latency]\nspeed = 3", []string{"unknown key latency.speed"}},
		{"key in another case", "stride = 64", "Stride = 64", []string{"unknown key latency.Stride"}},
		{"key twice, in two cases", "stride = 64", "stride = 64\nSTRIDE = 65", []string{"unknown key latency.STRIDE"}},
		{"key twice", "stride = 64", "stride = 64\nstride = 64", []string{"already been defined"}},
		{"table in another case", "[latency]", "[Latency]", func() (all []string) {
			for _, key := range []string{"", ".kernel", ".sectors", ".hashers", ".staging", ".producers", ".hashers_per_producer", ".stride", ".lookahead", ".smt", ".pages", ".policy", ".cycles_per_label", ".labels_per_second", ".spread"} {
				all = append(all, "unknown key Latency"+key)
			}
			return all
		}()},
		{"schema twice, in two cases", "schema = 1", "schema = 1\nSchema = 2", []string{"unknown key Schema"}},
		{"schema in another case", "schema = 1", "Schema = 1", []string{"it has no schema, want 1"}},
		{"kernel twice, in two cases", "[cycles]", "[cycles]\n\"GENERIC/1\" = 1.0", []string{"cycles: sha256: choosing kernel: \"GENERIC/1\""}},
		{"deep key", "[cycles]", "[cycles]\n" + strings.Repeat("a.", maxNesting) + "a = 1", []string{"dots, brackets and braces, a profile has at most 512"}},
		{"deep array", "stride = 64", "stride = " + strings.Repeat("[", maxNesting), []string{"dots, brackets and braces"}},
		{"deep table", "stride = 64", "stride = " + strings.Repeat("{a=", maxNesting), []string{"dots, brackets and braces"}},
		{"unknown table", "[cycles]", "[x]\ny = 1\n[cycles]", []string{"unknown key x", "unknown key x.y"}},
		{"fingerprint alone", here.Fingerprint(), "abc", []string{`its fingerprint is "abc", this machine's "` + here.Fingerprint()}},
		{"other hardware", p.Fingerprint, "abc\"\n#", []string{"fingerprint"}},
		{"type", "stride = 64", `stride = "64"`, []string{"incompatible types"}},
		{"no latency", good[strings.Index(good, "[latency]"):strings.Index(good, "[throughput]")], "", []string{"latency is missing"}},
		{"unknown kernel", `kernel = "generic/1"` + "\nsectors = 1\n", `kernel = "sse2/3"` + "\nsectors = 1\n", []string{`latency.kernel: sha256: choosing kernel: "sse2/3" is not one of`}},
		{"no kernel", `kernel = "generic/1"` + "\nsectors = 12", "sectors = 12", []string{`throughput.kernel: sha256: choosing kernel: "" is not`}},
		{"kernel of cycles", `"generic/1" = `, `"sse2/3" = `, []string{`cycles: sha256: choosing kernel: "sse2/3"`}},
		{"cycles", "= 19000.0", "= nan", []string{"cycles: NaN of generic/1 is not between"}},
		{"staging", `"hybrid"`, `"slow"`, []string{`latency.staging: "slow" is not`}},
		{"producers", "producers = 2", "producers = 2000", []string{"latency.producers: 2000 is not between 1 and"}},
		{"no hashers for a producer", "hashers_per_producer = 3", "hashers_per_producer = 0", []string{"throughput.hashers_per_producer: 0, want"}},
		{"fewer hashers than none for a producer", "hashers_per_producer = 3", "hashers_per_producer = -3", []string{"throughput.hashers_per_producer: -3 is not between 1 and"}},
		{"several of each", "hashers_per_producer = 1", "hashers_per_producer = 2", []string{"latency.hashers_per_producer: 2, but 2 producers for each hasher"}},
		{"stride", "stride = 64", "stride = 0", []string{"latency.stride: 0, want"}},
		{"negative stride", "stride = 64", "stride = -1", []string{"latency.stride: -1 is not between 1"}},
		{"lookahead", "lookahead = 2048", "lookahead = 63", []string{"latency.lookahead: 63 is not between 64"}},
		{"smt", `"idle"`, `"hash"`, []string{`latency.smt: "hash" is not`}},
		{"pages", `"2MiB"`, `"3MiB"`, []string{`latency.pages: "3MiB" is not`}},
		{"policy", `"pack"`, `"0-3"`, []string{`latency.policy: "0-3" is not`}},
		{"sectors", "sectors = 1\n", "sectors = 2\n", []string{"latency.sectors: 2 is not between 1 and 1"}},
		{"hashers", "hashers = 6", "hashers = 13", []string{"throughput.hashers: 13 is not between 1 and 12"}},
		{"figures", "cycles_per_label = 2600.0", "cycles_per_label = inf", []string{"latency.cycles_per_label: +Inf"}},
		{"all at once", "producers = 2\nhashers_per_producer = 1\nstride = 64\nlookahead = 2048\nsmt = \"idle\"", "producers = 0\nstride = 70000\nlookahead = 5000000\nsmt = \"\"\nz = 1",
			[]string{"unknown key latency.z", "latency.producers: 0", "latency.stride: 70000", "latency.smt: \"\""}},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Errorf("%s: nothing is changed", c.name)
		}
		_, problems := Parse(text, here)
		if len(problems) != len(c.want) {
			t.Errorf("%s: problems %q, want %q", c.name, problems, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(problems[i], want) {
				t.Errorf("%s: problems %q, want %q", c.name, problems, c.want)
			}
		}
	}
	if _, problems := Parse(good, here); len(problems) > 0 {
		t.Errorf("the good one: %q", problems)
	}
	other := here
	other.Model, other.CPUs = "Another CPU", 7
	_, problems := Parse(good, other)
	if want := `it is for other hardware: model "AMD EPYC 9654 96-Core Processor", here "Another CPU", CPUs "384", here "7"`; !slices.Equal(problems, []string{want}) {
		t.Errorf("other hardware: %q, want %q", problems, want)
	}
}

// Whatever is in a profile, an error is no longer than somebody reads.
func TestProfileErrorIsShort(t *testing.T) {
	_, here := aProfile(t)
	text := "schema = 1\nfingerprint = \"" + strings.Repeat("ü", 5000) + "\"\n"
	for i := range 1000 {
		text += fmt.Sprintf("k%d = 1\n", i)
	}
	_, problems := Parse(text, here)
	const most = 10_000
	if got := (&Error{"p", problems}).Error(); len(problems) < 1000 || len(got) > most || !strings.Contains(got, fmt.Sprintf("and %d more", len(problems)-20)) {
		t.Errorf("%d problems, %d bytes: %.200s", len(problems), len(got), got)
	}
}

// Hardware makes another fingerprint; what happens on it does not.
func TestFingerprint(t *testing.T) {
	text, err := os.ReadFile(dumpOfServer)
	if err != nil {
		t.Fatal(err)
	}
	of := func(changes ...string) string {
		t.Helper()
		changed := strings.NewReplacer(changes...).Replace(string(text))
		if len(changes) > 0 && changed == string(text) {
			t.Fatalf("%q changes nothing", changes)
		}
		path := filepath.Join(t.TempDir(), "dump.txt")
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := topology.ReadDump(path)
		if err != nil {
			t.Fatal(err)
		}
		p := MachineOf(m)
		return p.Fingerprint()
	}
	same := of()
	if len(same) != 32 {
		t.Errorf("fingerprint %q", same)
	}
	for name, changes := range map[string][]string{
		"memory use":              {"MemFree:        734003200 kB", "MemFree:        1234 kB"},
		"a newer kernel's memory": {"MemTotal:       805306368 kB", "MemTotal:       804000000 kB"},
		"pools of huge pages":     {"nr_hugepages = 512", "nr_hugepages = 3", "nr_hugepages = 64", "nr_hugepages = 0"},
		"allowed CPUs":            {"Cpus_allowed_list:\t0-383", "Cpus_allowed_list:\t0-7"},
	} {
		if got := of(changes...); got != same {
			t.Errorf("%s makes another fingerprint", name)
		}
	}
	for name, changes := range map[string][]string{
		"model":    {"EPYC 9654", "EPYC 9655"},
		"features": {" sha_ni", ""},
		"memory":   {"MemTotal:       805306368 kB", "MemTotal:       402653184 kB"},
		"cache":    {"size = 32768K", "size = 16384K"},
	} {
		if got := of(changes...); got == same {
			t.Errorf("another %s makes the same fingerprint", name)
		}
	}
	for _, dump := range []string{"arm64-altra", "hybrid", "container-cut-ccx", "nothing"} {
		m, err := topology.ReadDump("../../topology/testdata/" + dump + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if p := MachineOf(m); p.Fingerprint() == same || p.Cores != len(m.Cores()) {
			t.Errorf("%s: %+v", dump, p)
		}
	}
	here, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	a, b := MachineOf(here), MachineOf(here)
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("a machine has two fingerprints")
	}
}

func TestBuiltIn(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for shown, want := range map[uint64]uint64{
		0: 0, 5: 5, 251*gib + 500*mib: 256 * gib, 252*gib + 100*mib: 256 * gib, 62 * gib: 64 * gib, 64 * gib: 64 * gib,
		93 * gib: 96 * gib, 376 * gib: 384 * gib, 1007 * gib: 1024 * gib, 1900 * mib: 1920 * mib, 1<<64 - 1: 0,
	} {
		if got := builtIn(shown); got != want && shown != 1<<64-1 {
			t.Errorf("%d: %d, want %d", shown, got, want)
		}
	}
}
