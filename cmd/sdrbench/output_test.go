//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// zeroSector is the command that does phase 1 of a sector without deals in dir.
func zeroSector(t *testing.T, dir, proof string, flags ...string) (cmd *exec.Cmd, cacheDir string) {
	t.Helper()
	cacheDir, sealed := filepath.Join(dir, "cache"), filepath.Join(dir, "sealed")
	if err := errors.Join(os.Mkdir(cacheDir, 0o777), os.WriteFile(sealed, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), "sdrbench", append([]string{"pc1", "--proof", proof, "--cache-dir", cacheDir, "--staged", "/dev/zero", "--sealed", sealed,
		"--miner", "1000", "--sector", "1", "--ticket", benchTicket.String(), "--policy", "none"}, flags...)...), cacheDir
}

// While a job works the room for its result is taken, and what an earlier one left is
// gone: a run that fails leaves neither.
func TestOutputDuringWork(t *testing.T) {
	dir := t.TempDir()
	path, temp := filepath.Join(dir, "p1.json"), filepath.Join(dir, ".p1.json.tmp")
	if err := os.WriteFile(path, []byte("of an earlier run"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd, cacheDir := zeroSector(t, dir, "StackedDrg8MiBV1_1", "--kernel", "generic/1", "--output", path)
	s, there := startUntil(t, cmd, filepath.Join(cacheDir, ".sc-02-data-layer-*")) // which takes seconds
	if !there {
		t.Fatalf("it ended: %v: %s", <-s.ended, &s.stderr)
	}
	if info, err := os.Stat(temp); err != nil || info.Size() < 400 {
		t.Errorf("reserved are %v, %v, want some 500 bytes", info, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the output of an earlier run is there")
	}
	// Another job with the same output is refused at once.
	second, _ := zeroSector(t, t.TempDir(), "StackedDrg2KiBV1_1", "--output", path)
	if out, _ := second.CombinedOutput(); second.ProcessState.ExitCode() != exitFailed || !bytes.Contains(out, []byte("held by another job")) {
		t.Errorf("a second job: %v: %s", second.ProcessState, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if got := cmd.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("exit code %d, want 1: %s", got, &s.stderr)
	}
	wantFiles(t, dir, "cache", "sealed")
}

// The result that nobody reads any more is on standard error.
func TestResultIntoClosedPipe(t *testing.T) {
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd, _ := zeroSector(t, dir, "StackedDrg2KiBV1_1")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	_ = cmd.Run()
	result, said, _ := strings.Cut(stderr.String(), "\n")
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(result, `{"registered_proof":`) || !strings.HasSuffix(result, "]}") {
		t.Errorf("%v, want exit code 1 and the result: %s", cmd.ProcessState, &stderr)
	}
	if !strings.Contains(said, "broken pipe; the result is on standard error") {
		t.Errorf("it says %q", said)
	}
}

// A pipe as output is opened before the work; for a reader it is waited, and said so, until
// a signal comes.
func TestOutputPipe(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Skip(err)
	}
	cmd, cacheDir := zeroSector(t, dir, "StackedDrg2KiBV1_1", "--output", fifo)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || !strings.Contains(lines.Text(), fifo) || !strings.Contains(lines.Text(), "waiting for a reader") {
		t.Errorf("it says %q", lines.Text())
	}
	wantFiles(t, cacheDir)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "sdrbench: canceled" {
		t.Errorf("it says %q, want that it was canceled", lines.Text())
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exitFailed {
		t.Errorf("exit code %d, want 1", got)
	}
	wantFiles(t, cacheDir)
}

// A result whose name something else has taken meanwhile is on standard error.
func TestResultGoesToStandardError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p1.json")
	var stderr bytes.Buffer
	a := &app{out: new(bytes.Buffer), err: &stderr}
	out, err := a.openOutput(t.Context(), path, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	err = out.write([]byte("the result"))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "on standard error instead") {
		t.Errorf("error %v", err)
	}
	if got := stderr.String(); got != "the result\n" {
		t.Errorf("standard error %q", got)
	}
	wantFiles(t, filepath.Dir(path), "p1.json")
}

// A result may be shorter or longer than what was reserved.
func TestOutputSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result")
	for _, most := range []int64{0, 5, 10, 1000} {
		a := &app{out: new(bytes.Buffer), err: new(bytes.Buffer)}
		out, err := a.openOutput(t.Context(), path, most)
		if err == nil {
			err = errors.Join(out.begin(), out.write([]byte("the result")))
		}
		if got, readErr := os.ReadFile(path); err != nil || readErr != nil || string(got) != "the result" {
			t.Errorf("with %d bytes reserved: %q, %v, %v", most, got, err, readErr)
		}
		wantFiles(t, filepath.Dir(path), "result")
	}
}
