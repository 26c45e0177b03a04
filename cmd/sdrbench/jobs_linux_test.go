package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// listJobs runs jobs in this process.
func listJobs(t *testing.T, locks string, args ...string) (stdout string) {
	t.Helper()
	var out, stderr bytes.Buffer
	a := &app{out: &out, err: &stderr, settings: settings{lockDir: locks}}
	if exit := a.run(t.Context(), append([]string{"jobs"}, args...)); exit != exitDone || stderr.Len() > 0 {
		t.Fatalf("jobs %q: exit code %d: %s", args, exit, &stderr)
	}
	return out.String()
}

func jsonJobs(t *testing.T, locks string) (lines []jobLine) {
	t.Helper()
	for text := range strings.Lines(listJobs(t, locks, "--json")) {
		var l jobLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestJobsOfProcesses: a job of another process is seen at work, and one that waits for its core; who is
// killed is seen no more.
func TestJobsOfProcesses(t *testing.T) {
	m, err := topology.Read()
	if err != nil {
		t.Skip(err)
	}
	locks, dir, metrics := filepath.Join(t.TempDir(), "locks"), t.TempDir(), filepath.Join(t.TempDir(), "sdr.prom")
	sealed := filepath.Join(t.TempDir(), "sealed")
	if err := os.WriteFile(sealed, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	// The generic kernel takes seconds.
	shared := []string{"--proof", "StackedDrg8MiBV1_1", "--kernel", "generic/1", "--lock-dir", locks, "--policy", fmt.Sprint(m.Allowed().Slice()[0])}
	first := exec.CommandContext(t.Context(), "sdrbench", append([]string{"pc1", "--cache-dir", dir, "--staged", "/dev/zero", "--sealed", sealed,
		"--miner", "1000", "--sector", "17", "--ticket", benchTicket.String()}, shared...)...)
	s, there := startUntil(t, first, filepath.Join(locks, "core-*"))
	if !there {
		t.Fatalf("it ended: %v: %s", <-s.ended, &s.stderr)
	}
	second := exec.CommandContext(t.Context(), "sdrbench", append([]string{"sdr", "--wait", "--cache-dir", t.TempDir(), "--replica-id", benchTicket.String()}, shared...)...)
	s2, there := startUntil(t, second, filepath.Join(locks, "turn-*"))
	if !there {
		t.Fatalf("it ended: %v: %s", <-s2.ended, &s2.stderr)
	}

	var lines []jobLine
	for {
		lines = jsonJobs(t, locks)
		if len(lines) == 2 && lines[0].LabelsPerSecond > 0 && lines[1].WaitsFor != "" {
			break
		}
		select {
		case err := <-s.ended:
			t.Fatalf("it ended, and was never seen at work: %v: %s; %+v", err, &s.stderr, lines)
		case <-time.After(5 * time.Millisecond): // under a guard that is never free jobs write nothing
		}
	}
	l := lines[0]
	if l.State != "holds" || l.Job != "sector 17 of f01000" || l.Program != "sdrbench pc1" || l.PID != first.Process.Pid || len(l.Cores) != 1 || l.Memory == 0 ||
		l.Proof != "StackedDrg8MiBV1_1" || l.Sectors != 1 || l.Stage != "labels" || l.Layer < 1 || l.Layer > 2 || l.Layers != 2 ||
		l.Done == 0 || l.Done > l.Total || l.Total != 2<<18 || l.SecondsLeft <= 0 || l.Waited == nil || l.Since.IsZero() || l.Said.Before(l.Since) {
		t.Errorf("%+v", l)
	}
	l = lines[1]
	held := fmt.Sprintf(`held: process %d, "sector 17 of f01000"`, first.Process.Pid)
	if l.State != "waits" || l.Job != "sdr" || l.Program != "sdrbench sdr" || l.PID != second.Process.Pid || l.Turn == 0 || !strings.Contains(l.WaitsFor, held) {
		t.Errorf("%+v, want %q", l, held)
	}
	if text := listJobs(t, locks); !regexp.MustCompile(`(?s)^1 job holds cores, 1 waits\n.*sector 17 of f01000 .* labels .* [12]/2 .*\n1  sdr .*held: process`).MatchString(text) {
		t.Errorf("%s", text)
	}
	for range 2 { // the second time there is a file already
		if text := listJobs(t, locks, "--metrics-file", metrics); text != "" {
			t.Errorf("printed %q", text)
		}
	}
	text, err := os.ReadFile(metrics)
	if err != nil || !regexp.MustCompile(`(?m)^sdr_job_labels_per_second\{name="sector 17 of f01000",program="sdrbench pc1",pid="\d+",cores="\d+"} [1-9]`).Match(text) ||
		!bytes.Contains(text, []byte("\nsdr_job_waiting_start_timestamp_seconds{name=\"sdr\"")) {
		t.Errorf("%v: %s", err, text)
	}
	wantFiles(t, filepath.Dir(metrics), "sdr.prom")

	for i, c := range []struct {
		cmd *exec.Cmd
		s   *started
	}{{second, s2}, {first, s}} {
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-c.s.ended
		lines := jsonJobs(t, locks)
		for _, l := range lines {
			if l.PID == c.cmd.Process.Pid {
				t.Errorf("killed, and listed: %+v", l)
			}
		}
		if len(lines) != 1-i {
			t.Errorf("%+v", lines)
		}
	}
	if text := listJobs(t, locks); text != "0 jobs hold cores, 0 wait\n" {
		t.Errorf("%s", text)
	}
}

// TestHostileRecords: what others write into their records is shown, and harmless.
func TestHostileRecords(t *testing.T) {
	hostile := strings.TrimSuffix(nasty, "\xff") // which JSON does not hold
	locks := filepath.Join(t.TempDir(), "locks")
	d, err := reserve.Open(locks, "/")
	if err != nil {
		t.Fatal(err)
	}
	d.Program = hostile
	r, err := d.Acquire(t.Context(), reserve.Request{Cores: []topology.CPU{0}, Job: hostile + "\nsecond line"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	turn, err := d.Queue(t.Context(), hostile, hostile)
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Leave()
	if err := turn.Tell(t.Context(), reserve.Progress{At: time.Now(), WaitsFor: hostile}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(locks, "core-0.lock")
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	record = bytes.TrimSuffix(bytes.TrimSpace(record), []byte("}"))
	for _, progress := range []string{
		`{"at":"2026-01-02T03:04:05Z","layer":-1,"layers":-1,"stage":"\u001b[31m\u009b","proof":"\n\n","sectors":1,"done":18446744073709551615,"total":1}`,
		`{"at":"2026-01-02T03:04:05Z","layer":9223372036854775807,"stage":"labels","labels_per_second":1e308,"seconds_left":1e308,"waited":{"disk":-1e308,"parents":1e308}}`,
		`{"at":"9999-12-31T23:59:59Z","labels_per_second":1e999}`,
		`{"labels_per_second":"NaN"}`,
		`{"labels_per_second":NaN}`, // no JSON, so the record says nothing
		`[[[[`,
	} {
		if err := os.WriteFile(path, fmt.Appendf(nil, `%s,"progress":%s}`, record, progress), 0o666); err != nil {
			t.Fatal(err)
		}
		metrics := filepath.Join(t.TempDir(), "m.prom")
		text := listJobs(t, locks)
		if lines := strings.Count(text, "\n"); lines != 6 {
			t.Errorf("%s: %d lines: %q", progress, lines, text)
		}
		all := text + listJobs(t, locks, "--json") + listJobs(t, locks, "--metrics-file", metrics)
		written, err := os.ReadFile(metrics)
		if err != nil {
			t.Error(err)
		}
		wantHarmless(t, progress, all+string(written))
		if len(jsonJobs(t, locks)) != 2 || !strings.Contains(all, `x\x1b[31m`) {
			t.Errorf("%s: %s", progress, all)
		}
	}
}

// TestJobsOfOthers: another user sees the jobs of root, and is told what he may not look at.
func TestJobsOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	program, err := exec.LookPath("sdrbench")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program) // it lies where only root may go
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(sharedDir(t), "sdrbench")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	locks := sharedDir(t)
	d, err := reserve.Open(locks, "/")
	if err != nil {
		t.Fatal(err)
	}
	for core, job := range []string{"seen", "secret"} {
		r, err := d.Acquire(t.Context(), reserve.Request{Cores: []topology.CPU{topology.CPU(core)}, Job: job})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
	}
	if err := os.Chmod(filepath.Join(locks, "core-1.lock"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		exit int
		want []string
	}{
		{0o755, exitDone, []string{"1 job holds cores", "\nseen ", "not seen: ", "core-1.lock: ", "permission denied"}},
		{0o700, exitFailed, []string{"sdrbench: reserve: using lock directory " + locks, "permission denied"}},
	} {
		if err := os.Chmod(locks, c.mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, "jobs", "--lock-dir", locks)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if exit := cmd.ProcessState.ExitCode(); exit != c.exit || !strings.Contains(string(out), want) || strings.Contains(string(out), "secret") {
				t.Errorf("%v: exit code %d: %s, want %q", c.mode, exit, out, want)
			}
		}
	}
}

// TestWatchJobs: where there is no terminal, there is a table every two seconds, and a signal ends
// that well.
func TestWatchJobs(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			locks := filepath.Join(t.TempDir(), "locks")
			cmd := exec.CommandContext(t.Context(), "sdrbench", "jobs", "--watch", "--lock-dir", locks)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			pipe, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out := bufio.NewReader(pipe)
			line := func(want string) {
				t.Helper()
				if got, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("%v: %q, want %q", err, got, want)
				}
			}
			line("no jobs: there is no lock directory " + locks)
			d, err := reserve.Open(locks, "/")
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Acquire(t.Context(), reserve.Request{Cores: []topology.CPU{0}, Job: "new"})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Release()
			line("1 job holds cores, 0 wait\n")
			line("job ")
			line("new ")
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(out)
			if err := cmd.Wait(); err != nil || len(rest)+stderr.Len() > 0 {
				t.Errorf("%v: %s%s", err, rest, &stderr)
			}
		})
	}
}

// TestWatchTerminal: on a terminal one table is drawn anew, and stays at the end.
func TestWatchTerminal(t *testing.T) {
	typed := false
	output := onTerminal(t, "stty -g; sdrbench jobs --watch; echo exit $?; stty -g", func(output string) string {
		if typed || !strings.Contains(output, "no lock directory") {
			return ""
		}
		typed = true
		return "\x03"
	})
	// The system echoes Ctrl-C as ^C, before the last drawing, which covers it, or behind.
	var p pane
	p.write(t, output)
	if text := p.text(); !regexp.MustCompile(`(?s)^([^\n]*)\nno jobs: there is no lock directory [^\n]*\n(?:\^C)?exit 0\n([^\n]*)\n?$`).MatchString(text) {
		t.Errorf("the terminal shows\n%s\nof %q", text, output)
	}
	if found := keyboard.FindString(output); found != "" || p.hidden {
		t.Errorf("hidden cursor %v, asked %q", p.hidden, found)
	}
}
