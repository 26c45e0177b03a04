//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
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

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := namesIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s holds %q, want %q", dir, got, want)
		}
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
	wantFiles(t, cacheDir, "sc-02-data-tree-d.dat") // which is complete, and checked when it is used
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

// A lock folder that somebody named is used, or it is an error.
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
		t.Errorf("exit code %d, want 1 and the folder's name: %s", got, out)
	}
}
