package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/topology"
)

// Jobs of other processes wait for a core that one has: in the order in which they came, and
// who is ended leaves the queue.
func TestWait(t *testing.T) {
	m, err := topology.Read()
	if err != nil {
		t.Skip(err)
	}
	locks := filepath.Join(t.TempDir(), "locks")
	core := fmt.Sprint(m.Allowed().Slice()[0])
	sdr := func(cacheDir string, args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "sdrbench", append([]string{"sdr", "--cache-dir", cacheDir, "--lock-dir", locks, "--policy", core}, args...)...)
	}
	// The generic kernel takes seconds.
	dir := t.TempDir()
	first := sdr(dir, "--proof", "StackedDrg8MiBV1_1", "--replica-id", benchTicket.String(), "--kernel", "generic/1")
	s, there := startUntil(t, first, filepath.Join(dir, ".sc-02-data-layer-*"))
	if !there {
		t.Fatalf("it ended: %v: %s", <-s.ended, &s.stderr)
	}
	freeze(t, first.Process, locks) // however long the others take, it has its core
	g := golden.Sectors()[0]
	args := []string{"--proof", g.RegisteredProof, "--replica-id", g.ReplicaID}

	// Who does not wait is told who has the core.
	held := fmt.Sprintf(`held: process %d, "sdr"`, first.Process.Pid)
	out, _ := sdr(t.TempDir(), args...).CombinedOutput()
	if !bytes.Contains(out, []byte("no room")) || !bytes.Contains(out, []byte(held)) {
		t.Errorf("%s, want %q", out, held)
	}
	type waiter struct {
		cmd    *exec.Cmd
		dir    string
		stderr io.Reader
	}
	var waiters []waiter
	for i := range 3 {
		w := waiter{dir: t.TempDir()}
		w.cmd = sdr(w.dir, append(args, "--wait")...)
		pipe, err := w.cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(pipe)
		line, err := r.ReadString('\n') // it has its turn by then
		want := held
		if i > 0 {
			want = fmt.Sprintf(`waiting before: process %d, "sdr"`, waiters[0].cmd.Process.Pid)
		}
		if err != nil || !strings.HasPrefix(line, "sdrbench: waiting: ") || !strings.Contains(line, want) {
			t.Fatalf("%v: %q, want %q", err, line, want)
		}
		w.stderr = r
		waiters = append(waiters, w)
	}
	if turns, err := filepath.Glob(filepath.Join(locks, "turn-*")); err != nil || len(turns) != 3 {
		t.Errorf("%v, %v", turns, err)
	}
	ended := func(w waiter, want string) {
		t.Helper()
		text, _ := io.ReadAll(w.stderr)
		_ = w.cmd.Wait()
		if exit := w.cmd.ProcessState.ExitCode(); (exit == exitDone) != (want == "") || !strings.HasSuffix(string(text), want) {
			t.Errorf("exit code %d: %s, want %q", exit, text, want)
		}
	}
	// The second is ended while it waits, the first of all with its work.
	if err := waiters[1].cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended(waiters[1], "sdrbench: canceled\n")
	wantFiles(t, waiters[1].dir)
	if err := errors.Join(first.Process.Signal(syscall.SIGTERM), first.Process.Signal(syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	ended(waiters[0], "")
	ended(waiters[2], "")
	for _, i := range []int{0, 2} {
		wantLayers(t, waiters[i].dir, g, manifest.Name)
	}
	if turns, err := filepath.Glob(filepath.Join(locks, "turn-*")); err != nil || len(turns) != 0 {
		t.Errorf("left: %v, %v", turns, err)
	}
}

// freeze stops a process, but not where it has the guard, which would stop everybody.
func freeze(t *testing.T, p *os.Process, locks string) {
	t.Helper()
	testkit.WaitFor(t, func() bool {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, func() bool {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
			return !slices.ContainsFunc(threads, func(path string) bool {
				text, _ := os.ReadFile(path)
				_, state, _ := bytes.Cut(text, []byte(") "))
				return !bytes.HasPrefix(state, []byte("T"))
			})
		})
		guard, err := os.Open(filepath.Join(locks, "guard.lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer guard.Close()
		err = linux.TryLockShared(guard)
		if errors.Is(err, linux.ErrLocked) {
			return p.Signal(syscall.SIGCONT) != nil
		}
		if err != nil {
			t.Error(err)
		}
		return true
	})
}
