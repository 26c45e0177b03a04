//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// A started command is on its way.
type started struct {
	stdout, stderr bytes.Buffer // not to be read before it has ended
	ended          chan error   // yields Wait's error then
}

// startUntil runs the command, and waits until a file matches pattern. False means that
// it ended before.
func startUntil(t *testing.T, cmd *exec.Cmd, pattern string) (s *started, there bool) {
	t.Helper()
	s = &started{ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &s.stdout, &s.stderr
	if cmd.Env == nil {
		cmd.Env = append(os.Environ(), "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks")) // not the machine's
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- cmd.Wait() }()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if names, err := filepath.Glob(pattern); err != nil {
			t.Fatal(err)
		} else if len(names) > 0 {
			return s, true
		}
		select {
		case <-poll.C:
		case err := <-s.ended:
			s.ended <- err
			return s, false
		}
	}
}

// interrupted runs the command, sends it a signal as soon as a file matches
// pattern, and checks that it says so and fails.
func interrupted(t *testing.T, sig os.Signal, pattern string, cmd *exec.Cmd) {
	t.Helper()
	s, there := startUntil(t, cmd, pattern)
	if !there {
		t.Fatalf("it ended before %s was there: %v: %s", pattern, <-s.ended, &s.stderr)
	}
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if got := cmd.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("exit code %d, want 1: %s", got, &s.stderr)
	}
	if got, want := s.stderr.String(), "sdrbench: canceled\n"; got != want {
		t.Errorf("standard error %q, want %q", got, want)
	}
	if s.stdout.Len() > 0 {
		t.Errorf("standard output %q, want none", &s.stdout)
	}
}

// A pipe that yields nothing more does not keep addpiece from being canceled.
func TestInterruptAddPiece(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		dir := t.TempDir()
		staged := filepath.Join(dir, "staged")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sdrbench", "addpiece", "--proof", "StackedDrg2KiBV1_1", "--piece", "-", "--piece-size", "2032", "--staged", staged)
		cmd.Stdin = r
		interrupted(t, sig, staged, cmd)
		r.Close()
		wantFiles(t, dir)
	}
}

// The generic kernel takes seconds for these layers: the signal comes first.
func TestInterruptPC1(t *testing.T) {
	dir := t.TempDir()
	cacheDir, sealed, output := filepath.Join(dir, "cache"), filepath.Join(dir, "sealed"), filepath.Join(dir, "p1.json")
	if err := os.Mkdir(cacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sealed, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	// Tree-d has its name when labels have begun.
	interrupted(t, syscall.SIGINT, filepath.Join(cacheDir, "sc-02-data-tree-d.dat"),
		exec.Command("sdrbench", "pc1", "--proof", "StackedDrg8MiBV1_1", "--cache-dir", cacheDir, "--staged", "/dev/zero", "--sealed", sealed,
			"--miner", "1000", "--sector", "1", "--ticket", benchTicket.String(), "--kernel", "generic/1", "--output", output))
	wantFiles(t, dir, "cache", "sealed")
	// Tree-d reaches the disk while labels are made. If it had, it is there: complete, and
	// checked when it is used. What was labelled stays, too, if it is noted.
	names, err := namesIn(cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !slices.Contains([]string{"sc-02-data-tree-d.dat", manifest.Name, "." + layers.Name(1) + ".tmp", layers.Name(1), "." + layers.Name(2) + ".tmp"}, name) {
			t.Errorf("left %q", names)
		}
	}
	if _, err := manifest.Read(t.Context(), cacheDir); err != nil && len(names) > 1 {
		t.Errorf("left %q: %v", names, err)
	}
}

func TestInterruptBench(t *testing.T) {
	dir := t.TempDir()
	interrupted(t, syscall.SIGTERM, filepath.Join(dir, "sdrbench-*", "*", "cache", ".sc-02-data-layer-*"),
		exec.Command("sdrbench", "bench", "--proof", "StackedDrg8MiBV1_1", "--kernel", "generic/1", "--dir", dir))
	wantFiles(t, dir)
}

// A reader that goes away does not leave a bench's files behind.
func TestBrokenPipe(t *testing.T) {
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command("sdrbench", "bench", "--proof", "StackedDrg2KiBV1_1", "--dir", dir, "--policy", "none")
	cmd.Stdout, cmd.Stderr = w, w
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("%v, want exit code 1", cmd.ProcessState)
	}
	wantFiles(t, dir)
}

// A lock directory that somebody named is used, or it is an error.
func TestBadLockDirOfEnvironment(t *testing.T) {
	dir := t.TempDir()
	locks := filepath.Join(dir, "locks")
	if err := os.Mkdir(locks, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(locks, 0o777); err != nil { // whatever the umask
		t.Fatal(err)
	}
	cmd := exec.Command("sdrbench", "bench", "--proof", "StackedDrg2KiBV1_1", "--dir", dir)
	cmd.Env = append(os.Environ(), "SDR_LOCK_DIR="+locks)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != exitFailed || !bytes.Contains(out, []byte(locks+": it is world-writable")) {
		t.Errorf("exit code %d, want 1 and the directory's name: %s", got, out)
	}
}

// hearHangup has children begin as they do in a terminal: under nohup they would ignore
// SIGHUP, as the test does itself.
func hearHangup(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
}

// ends are the signals that end a job. A lost connection sends SIGHUP.
var ends = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// Whichever signal comes in the middle of a piece, staged is as it was. That addpiece is in
// the middle shows in that more of the piece has been read from a pipe than the pipe holds.
func TestEverySignalEndsAddPiece(t *testing.T) {
	hearHangup(t)
	const pipeHolds = 1 << 20 // at most, as long as nobody asks for more
	for _, sig := range ends {
		for _, before := range []string{"", "a piece that was there"} {
			dir := t.TempDir()
			staged, pipe := filepath.Join(dir, "staged"), filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"addpiece", "--proof", "StackedDrg8MiBV1_1", "--piece", pipe, "--piece-size", "4161536", "--staged", staged}
			if before != "" {
				first := filepath.Join(t.TempDir(), "first")
				if err := os.WriteFile(first, bytes.Repeat([]byte("first"), 127*8)[:127*4], 0o666); err != nil {
					t.Fatal(err)
				}
				mustRun(t, nil, "addpiece", "--proof", "StackedDrg8MiBV1_1", "--piece", first, "--piece-size", "508", "--staged", staged)
				args = append(args, "--existing", "508")
			}
			names, err := namesIn(dir)
			if err != nil {
				t.Fatal(err)
			}
			was, _ := os.ReadFile(staged)

			s := &started{ended: make(chan error, 1)}
			cmd := exec.Command("sdrbench", args...)
			cmd.Stdout, cmd.Stderr = &s.stdout, &s.stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err == nil {
				_, err = w.Write(make([]byte, 2*pipeHolds))
			}
			if err == nil {
				err = cmd.Process.Signal(sig)
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			w.Close()
			if got := cmd.ProcessState.ExitCode(); got != exitFailed || s.stderr.String() != "sdrbench: canceled\n" {
				t.Errorf("%v: %v, %q, want exit code 1 and that it is canceled", sig, cmd.ProcessState, &s.stderr)
			}
			wantFiles(t, dir, names...)
			if is, _ := os.ReadFile(staged); !bytes.Equal(is, was) {
				t.Errorf("%v: staged has %d bytes, before %d, or others", sig, len(is), len(was))
			}
		}
	}
}

// A pipe that nobody writes to is waited for, but not for ever.
func TestSignalWhileOpening(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"commp", "--piece", pipe, "--piece-size", "127"},
		{"addpiece", "--proof", "StackedDrg2KiBV1_1", "--piece", pipe, "--piece-size", "127", "--staged", filepath.Join(t.TempDir(), "staged")},
		{"bench", "--profile", pipe},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		a := &app{out: new(bytes.Buffer), err: new(bytes.Buffer), settings: readSettings(nil)}
		// Where it waits is not seen from outside: the signal comes before, or then.
		go cancel()
		if got := a.run(ctx, args); got != exitFailed {
			t.Errorf("%q: exit code %d, want 1: %s", args, got, a.err)
		}
		if got := a.err.(*bytes.Buffer).String(); got != "sdrbench: canceled\n" {
			t.Errorf("%q: %q, want that it is canceled", args, got)
		}
	}
	// A directory, or file, of which others are to be read does not wait at all.
	for _, command := range []string{"topo", "plan"} {
		args := []string{command, "--root", pipe}
		if command == "plan" {
			args = append(args, "--sectors", "1", "--proof", "StackedDrg2KiBV1_1")
		}
		if r := sdrbench(t, nil, args...); r.exit != exitFailed {
			t.Errorf("%q: exit code %d, want 1: %s", args, r.exit, r.stderr)
		}
	}
}

// Under nohup a job goes on.
func TestIgnoredHangup(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `trap "" HUP; exec sdrbench commp --piece "$0" --piece-size 127`, pipe)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // it reads: it has asked for its signals
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGHUP)
	}
	if err == nil {
		_, err = w.Write(make([]byte, 127))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := cmd.Wait(); err != nil || stdout.Len() == 0 {
		t.Errorf("%v: %s%s", err, &stdout, &stderr)
	}
}

func init() {
	// What the command does when it is in the middle of something.
	programs["sdrbench-broken"] = func() {
		os.Exit(inProcess(func(ctx context.Context, a *app) int {
			switch os.Args[1] {
			case "panic":
				panic("broken")
			case "goroutine":
				go func() { panic("broken") }()
			case "runtime":
				runtime.GC()
				var m sync.Mutex
				m.Unlock()
			case "stubborn": // says when it was asked to end, and does not
				fmt.Fprintln(a.out, "ready")
				<-ctx.Done()
				fmt.Fprintln(a.out, "asked")
			}
			select {}
		}))
	}
}

// A crash looks like none of the command's own ends, exit code 2 least of all, and leaves no core.
func TestCrash(t *testing.T) {
	for _, how := range []string{"panic", "goroutine", "runtime"} {
		for _, level := range []string{"", "none", "single"} {
			dir := t.TempDir()
			cmd := exec.Command("sdrbench-broken", how)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOTRACEBACK="+level)
			out, _ := cmd.CombinedOutput()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() {
				t.Errorf("%s, GOTRACEBACK=%s: %v, want SIGABRT and no core", how, level, cmd.ProcessState)
			}
			if !bytes.Contains(out, []byte("goroutine ")) {
				t.Errorf("%s, GOTRACEBACK=%s: no stack is shown: %s", how, level, out)
			}
			wantFiles(t, dir)
		}
	}
}

// The second signal ends a process that does not listen to the first, also when it comes while
// the first is being dealt with.
func TestSecondSignal(t *testing.T) {
	hearHangup(t)
	rounds := testkit.Rounds(9, 50)
	for i := range rounds {
		sig := ends[i%len(ends)]
		cmd := exec.Command("sdrbench-broken", "stubborn")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		lines := bufio.NewScanner(out)
		for _, want := range []string{"ready", "asked"} {
			if err != nil || !lines.Scan() || lines.Text() != want {
				t.Fatalf("%v: %q, want %q: %v", sig, lines.Text(), want, err)
			}
			err = cmd.Process.Signal(sig)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if sig == syscall.SIGQUIT && status.ExitStatus() != exitQuit || sig != syscall.SIGQUIT && (!status.Signaled() || status.Signal() != sig) {
			t.Errorf("%v twice: %v", sig, cmd.ProcessState)
		}
	}
}
