//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

func TestCPUUse(t *testing.T) {
	proc := t.TempDir()
	if err := os.Mkdir(filepath.Join(proc, "self"), 0o777); err != nil {
		t.Fatal(err)
	}
	at := func(stat, self string) (topology.CPUUse, bool) {
		t.Helper()
		for name, text := range map[string]string{"stat": stat, "self/stat": self} {
			if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return topology.ReadCPUUse(proc, topology.NewCPUSet(0, 2))
	}
	self := "7 (a ) b) R 1 1 1 0 -1 4194304 98 0 0 0 %d %d 0 0 20 0 1 0 1246440 3133440"
	before, ok := at("cpu 9 9 9 9 9 9 9 9 9 9\ncpu0 100 10 20 500 5 6 7 8 0 0\ncpu1 9 9 9 9 9 9 9 9 9 9\ncpu2 1 1 1 1 1 1 1 1 0 0\nintr 1 2 3 4 5 6 7 8 9 0\n", fmt.Sprintf(self, 30, 3))
	if want := (topology.CPUUse{All: 664, Work: 142, Own: 33}); !ok || before != want {
		t.Errorf("%+v, %v, want %+v", before, ok, want)
	}
	// 100 ticks of each: 110 of work, 40 of which are ours, and 30 of interrupts.
	now, ok := at("cpu0 130 20 30 520 5 26 7 18 0 0\ncpu2 31 11 1 41 1 11 1 11 0 0\n", fmt.Sprintf(self, 60, 13))
	if got, want := now.OthersSince(before, 2), 2*(110.0-40)/200; !ok || math.Abs(got-want) > 1e-9 {
		t.Errorf("others kept %v CPUs busy, %v, want %v", got, ok, want)
	}
	if got := before.OthersSince(now, 2); got != 0 {
		t.Errorf("no time passed, but others kept %v CPUs busy", got)
	}
	for _, c := range [][2]string{
		{"", fmt.Sprintf(self, 1, 1)},
		{"cpu1 1 1 1 1 1 1 1 1 0 0\n", fmt.Sprintf(self, 1, 1)},
		{"cpu0 1 1 1 1 1 1\n", fmt.Sprintf(self, 1, 1)},
		{"cpu0 1 1 1 x 1 1 1 1 0 0\n", fmt.Sprintf(self, 1, 1)},
		{"cpu0 1 1 1 1 1 1 1 1 0 0\n", ""},
		{"cpu0 1 1 1 1 1 1 1 1 0 0\n", "7 (a) R 1 1"},
	} {
		if u, ok := at(c[0], c[1]); ok {
			t.Errorf("%q: %+v, want nothing known", c, u)
		}
	}
	if _, ok := topology.ReadCPUUse(filepath.Join(proc, "missing"), topology.NewCPUSet(0)); ok {
		t.Error("without a proc directory something is known")
	}
}

// Only a profile that would be written is refused, and all reasons are told.
func TestRefusedProfile(t *testing.T) {
	for _, c := range []struct {
		path    string
		force   bool
		busy    []string
		refused bool
	}{
		{"profile.toml", false, []string{"one", "two"}, true},
		{"profile.toml", true, []string{"one"}, false},
		{"profile.toml", false, nil, false},
		{"", false, []string{"one"}, false}, // --profile none
	} {
		err := (&tuning{tuneFlags: tuneFlags{force: c.force}, busy: c.busy}).refused(c.path)
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "busy: one; two (--force") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// keepBusy has a process that never rests, until the test ends.
func keepBusy(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo; while :; do :; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadByte(); err != nil {
		t.Fatal(err)
	}
}

// On a busy machine tune writes no profile, unless told to.
func TestTuneOnABusyMachine(t *testing.T) {
	testkit.NeedsLong(t, "it keeps the machine busy for seconds")
	m, err := topology.Read()
	if _, ok := topology.ReadCPUUse("/proc", m.Allowed()); err != nil || !ok {
		t.Skipf("what CPUs do is not known here: %v", err)
	}
	keepBusy(t)
	config, dir := t.TempDir(), t.TempDir()
	args := []string{"tune", "--proof", "StackedDrg8MiBV1_1", "--time", "3s", "--dir", dir}
	r := withProfile(t, config, args...)
	if r.exit != exitFailed || r.stdout != "" || !strings.Contains(r.stderr, "no profile is written, the machine is busy: others kept ") || !strings.Contains(r.stderr, "--force") {
		t.Errorf("exit code %d: %s%s", r.exit, r.stdout, r.stderr)
	}
	wantFiles(t, config)
	wantFiles(t, dir)

	r = withProfile(t, config, append(args, "--dry-run")...)
	if r.exit != exitDone || !strings.Contains(r.stdout, "busy before it began") {
		t.Errorf("dry run: exit code %d: %s%s", r.exit, r.stdout, r.stderr)
	}
	wantFiles(t, config)

	r = withProfile(t, config, append(args, "--force", "--json")...)
	var report view.Tune
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || r.exit != exitDone {
		t.Fatalf("%v: exit code %d: %s", err, r.exit, r.stderr)
	}
	if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, "busy while it measured") {
		t.Errorf("notes %q", notes)
	}
	if _, err := os.Stat(report.Profile); err != nil {
		t.Error(err)
	}
}

// What keeps a machine busy only while tune measures is told at the end, with what was
// found.
func TestTuneOnAMachineThatBecomesBusy(t *testing.T) {
	testkit.NeedsLong(t, "it keeps the machine busy for seconds")
	m, err := topology.Read()
	if _, ok := topology.ReadCPUUse("/proc", m.Allowed()); err != nil || !ok {
		t.Skipf("what CPUs do is not known here: %v", err)
	}
	dir, profile := t.TempDir(), filepath.Join(t.TempDir(), "profile.toml")
	cmd := exec.CommandContext(t.Context(), "sdrbench", "tune", "--json", "--proof", "StackedDrg8MiBV1_1", "--time", "3s", "--dir", dir,
		"--profile", profile, "--lock-dir", filepath.Join(t.TempDir(), "locks"))
	s, there := startUntil(t, cmd, filepath.Join(dir, "*"))
	if !there {
		if strings.Contains(s.stderr.String(), "busy before it began") {
			t.Skip("this machine is busy with other things")
		}
		t.Fatalf("it ended before it measured: %s", &s.stderr)
	}
	for range 2 {
		keepBusy(t)
	}
	<-s.ended
	var report view.Tune
	if err := json.Unmarshal(s.stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, s.stderr.String())
	}
	if got := cmd.ProcessState.ExitCode(); got != exitFailed || report.Profile != "" || !strings.Contains(s.stderr.String(), "no profile is written, the machine is busy: others kept ") {
		t.Errorf("exit code %d, profile %q: %s", got, report.Profile, s.stderr.String())
	}
	wantFiles(t, filepath.Dir(profile))
	wantFiles(t, dir)
}

// Cores that a job holds make a machine busy, whatever the job does.
func TestTuneBesideAJob(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	m, err := topology.Read()
	if err != nil || len(m.Cores()) < 2 {
		t.Skipf("want two cores: %v", err)
	}
	locks, profile := filepath.Join(t.TempDir(), "locks"), filepath.Join(t.TempDir(), "profile.toml")
	d, err := reserve.Open(locks, "/")
	if err != nil {
		t.Fatal(err)
	}
	core := m.Cores()[0].CPUs[0]
	held, err := d.Acquire(t.Context(), reserve.Request{Cores: []topology.CPU{core}, Job: "sector 17"})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	r := sdrbench(t, nil, "tune", "--proof", "StackedDrg8MiBV1_1", "--lock-dir", locks, "--profile", profile)
	want := fmt.Sprintf(`the machine is busy: core %d held by process %d, "sector 17"`, core, os.Getpid())
	if r.exit != exitFailed || r.stdout != "" || !strings.Contains(r.stderr, want) {
		t.Errorf("exit code %d: %s%s, want %q", r.exit, r.stdout, r.stderr, want)
	}
	wantFiles(t, filepath.Dir(profile))
}
