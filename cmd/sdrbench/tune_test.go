//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/testkit"
	kernels "github.com/sdr-engine/sdr/sha256"
)

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
		{exitFailed, "is not a directory", []string{"--dir", os.Args[0]}},
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

// TestTuneMemory: tune with a budget tries what does with it, and says what the profile is then for; what is too little for
// anything is refused, with the smallest.
func TestTuneMemory(t *testing.T) {
	tune := []string{"tune", "--dry-run", "--proof", "StackedDrg8MiBV1_1", "--dir", t.TempDir(), "--lock-dir", filepath.Join(t.TempDir(), "locks"), "--profile", "none"}
	var p view.TunePlan
	if err := json.Unmarshal([]byte(mustRun(t, nil, append(tune, "--memory", "6MiB", "--json")...)), &p); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.HasPrefix(n, "with --memory 6 MiB: ") }) {
		t.Errorf("notes: %q", p.Notes)
	}
	shapes := 0
	for name, all := range p.Choices.Kernels {
		shapes += len(all)
		if k, err := kernels.ByName(name); err == nil && k.Lanes >= 16 && len(all) > 0 {
			t.Errorf("%s in 6 MiB: %v", name, all)
		}
	}
	if shapes == 0 {
		t.Errorf("nothing is tried: %+v", p)
	}
	if r := sdrbench(t, nil, append(tune, "--memory", "64KiB")...); r.exit == 0 || !strings.Contains(r.stderr, "budget") {
		t.Errorf("64 KiB: exit code %d: %s", r.exit, r.stderr)
	}
}

// withProfile runs the command as a process that has a configuration directory of
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

// Tune writes a profile to the user's configuration directory, and bench goes by it.
func TestTuneThenBench(t *testing.T) {
	testkit.NeedsLong(t, "tuning takes seconds")
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
	var report view.Tune
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

	configOf := func(args ...string) (c view.BenchConfig) {
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
		"stride = "+fmt.Sprint(l.Stride), "stride = 96", "sum = ", "# ").Replace(string(text)) // the sum is of what tune found
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
