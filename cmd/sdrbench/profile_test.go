package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

const dumpOfServer = "../../topology/testdata/epyc-2s-24ccx-smt.txt"

// aProfile is a good one, for whatever machine.
func aProfile() *profile.Profile {
	return &profile.Profile{
		Latency: profile.Settings{Kernel: "generic/1", Sectors: 1, Hashers: 1, Staging: "hybrid", Producers: 2, HashersPerProducer: 1, Stride: 64, Lookahead: 2048,
			SMT: "idle", Pages: "2MiB", Policy: "pack", Cycles: 2600, Rate: 1.4e6, Spread: 0.01},
		Throughput: profile.Settings{Kernel: "generic/1", Sectors: 12, Hashers: 6, Staging: "producers", Producers: 1, HashersPerProducer: 3, Stride: 256, Lookahead: 8192,
			SMT: "produce", Pages: "any", Policy: "spread", Cycles: 1400, Rate: 8e6, Spread: 0.02},
		Cycles: map[string]float64{"generic/1": 19000},
	}
}

// written is a profile as it is read on this machine.
func written(t *testing.T, p *profile.Profile) *sealer.Profile {
	t.Helper()
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	p.Schema, p.Machine = profile.Schema, profile.MachineOf(m)
	p.Fingerprint = p.Machine.Fingerprint()
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	read, err := sealer.ParseProfile(&text, "profile.toml")
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// Flags come before the environment, that before the profile, and that before the
// engine's defaults.
func TestProfilePrecedence(t *testing.T) {
	p := aProfile()
	type want struct {
		kernel                       string
		hashers                      int
		staging                      engine.Staging
		producers, stride, lookahead int
	}
	for _, c := range []struct {
		name    string
		profile *profile.Profile
		args    string
		env     map[string]string
		sectors int
		want    want
		policy  sealer.Policy
		pages   []hugepages.Pages
	}{
		{name: "defaults", sectors: 1, want: want{"", 0, engine.AutoStaging, 0, 0, 0}},
		{name: "one sector", profile: p, sectors: 1, want: want{"generic/1", 1, engine.Hybrid, 2, 64, 2048},
			pages: []hugepages.Pages{hugepages.Huge2M, hugepages.Transparent, hugepages.Small}},
		{name: "as many as measured", profile: p, sectors: 12, want: want{"generic/1", 6, engine.Producers, 1, 256, 8192}},
		{name: "another number", profile: p, sectors: 13, want: want{"", 0, engine.Producers, 1, 256, 8192}},
		{name: "environment", profile: p, sectors: 12, env: map[string]string{"SDR_KERNEL": "auto", "FIL_PROOFS_MULTICORE_SDR_PRODUCERS": "3",
			"FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE": "32", "FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD": "512"}, want: want{"", 0, engine.Producers, 3, 32, 512}},
		{name: "flags", profile: p, sectors: 12, env: map[string]string{"SDR_KERNEL": "nonsense", "FIL_PROOFS_MULTICORE_SDR_PRODUCERS": "3"},
			args: "--kernel auto --producers 5 --staging inline --stride 16 --lookahead 160 --policy pack", want: want{"", 0, engine.Inline, 5, 16, 160}, policy: sealer.PolicyPack},
		{name: "hashers", profile: p, sectors: 12, args: "--hashers 2", want: want{"", 2, engine.Producers, 1, 256, 8192}},
		{name: "a lookahead below the profile's stride", profile: p, sectors: 12, args: "--lookahead 100", want: want{"generic/1", 6, engine.Producers, 1, 100, 100}},
		{name: "a stride above the profile's lookahead", profile: p, sectors: 12, args: "--stride 10000", want: want{"generic/1", 6, engine.Producers, 1, 10000, 10000}},
		{name: "one-layer mode has a segment", profile: p, sectors: 12, args: "--memory-mode one-layer", want: want{"generic/1", 6, engine.Producers, 1, 256, 0}},
		{name: "a directory of pages", profile: p, sectors: 1, args: "--hugetlbfs /x", want: want{"generic/1", 1, engine.Hybrid, 2, 64, 2048}},
		{name: "default policy, given", profile: p, sectors: 1, args: "--policy spread --hugetlbfs /x", want: want{"generic/1", 1, engine.Hybrid, 2, 64, 2048}, policy: sealer.PolicySpread},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &app{settings: readSettings(environ(c.env))}
			f := &engineFlags{}
			if c.profile != nil {
				f.tuned = written(t, c.profile)
			}
			cmd := &cobra.Command{}
			f.add(a, cmd)
			if err := cmd.ParseFlags(strings.Fields(c.args)); err != nil {
				t.Fatal(err)
			}
			o, err := f.options(a)
			if err != nil {
				t.Fatal(err)
			}
			got := o.Config(porep.StackedDrg8MiBV1_1, c.sectors)
			if err := f.validate(got, c.sectors); err != nil {
				t.Fatal(err)
			}
			if have := (want{got.Kernel, got.Hashers, got.Staging, got.Producers, got.Stride, got.Lookahead}); have != c.want {
				t.Errorf("%+v, want %+v", have, c.want)
			}
			// Policy and siblings are sealer's to fill in, wherever these leave them open.
			if o.Policy != c.policy || o.SMT != placement.ProduceOnSiblings || !slices.Equal(got.Pages, c.pages) {
				t.Errorf("policy %v, siblings %v, pages %v", o.Policy, o.SMT, got.Pages)
			}
			if (c.profile != nil) != (got.Cycles["generic/1"] == 19000) {
				t.Errorf("cycles %v", got.Cycles)
			}
			// Nothing that a profile adds is refused.
			got.Sectors = nil
			for i := range c.sectors {
				dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
				if err := os.Mkdir(dir, 0o777); err != nil {
					t.Fatal(err)
				}
				got.Sectors = append(got.Sectors, engine.Sector{CacheDir: dir})
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProfilePath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.toml")
	for _, c := range []struct {
		flag, env, want string
		named           bool
	}{
		{"", file, file, true},
		{"x.toml", file, "x.toml", true},
		{"none", file, "", true},
		{"x.toml", "none", "x.toml", true},
		{"", "none", "", true},
	} {
		a := &app{settings: settings{profile: c.env}}
		if got, named := a.profilePath(c.flag); got != c.want || named != c.named {
			t.Errorf("--profile %q, SDR_PROFILE %q: %q, %v", c.flag, c.env, got, named)
		}
	}
	t.Setenv("HOME", file)
	t.Setenv("XDG_CONFIG_HOME", "")
	a := &app{}
	if p, err := a.loadProfile(t.Context(), ""); p != nil || err != nil {
		t.Errorf("no default profile: %v, %v", p, err)
	}
	// A home that is another's, or no directory, is no reason to refuse.
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var notes bytes.Buffer
	a.err = &notes
	if p, err := a.loadProfile(t.Context(), ""); p != nil || err != nil || !strings.Contains(notes.String(), file) {
		t.Errorf("HOME is a file: %v, %v, %q", p, err, &notes)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := a.loadProfile(t.Context(), file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a profile that is named and missing: %v", err)
	}
	if _, err := a.loadProfile(t.Context(), "/dev/zero"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an endless profile: %v", err)
	}
}
