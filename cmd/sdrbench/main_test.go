package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	sha256kernels "github.com/sdr-engine/sdr/sha256"
)

// TestMain makes this test binary the command, too: under the name sdrbench, in
// a directory that it puts into PATH.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", raceOptions)
	if filepath.Base(os.Args[0]) != "sdrbench" {
		os.Setenv("SDR_PROFILE", noProfile) // not the user's
		if !testkit.Long() {
			os.Setenv("SDR_KERNEL", sha256kernels.Best(1).Name) // choosing one takes longer than a small sector
		}
		testscript.Main(ownLocks{m}, programs)
	}
	testscript.Main(m, programs)
}

// ownLocks are tests that hold cores of the machine among themselves: what else runs on it,
// other tests for example, has no part in them.
type ownLocks struct{ *testing.M }

func (m ownLocks) Run() int {
	dir, err := os.MkdirTemp("", "sdrbench-locks-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv("SDR_LOCK_DIR", dir)
	return m.M.Run()
}

// Under the race detector a process sleeps for a second at its end, unless told
// not to; the tests start hundreds. The race detector read its own before main.
const raceOptions = "atexit_sleep_ms=0"

var programs = map[string]func(){"sdrbench": main}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", raceOptions)
			e.Setenv("SDR_LOCK_DIR", filepath.Join(e.WorkDir, "locks")) // not the machine's
			if name, chosen := os.LookupEnv("SDR_KERNEL"); chosen {
				e.Setenv("SDR_KERNEL", name)
			}
			return nil
		},
		RequireUniqueNames: true,
		Condition: func(name string) (bool, error) {
			if name == "long" {
				return testkit.Long(), nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"stream": scriptStream,
			"digest": scriptDigest,
			"holds":  scriptHolds,
			"size":   scriptSize,
		},
	})
}

// exits CODE PROGRAM [ARGS]... is exec with an exact exit code.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS]...")
	}
	var exit *exec.ExitError
	got := 0
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
	// A failure is told in a line, wrong usage in two; neither is a stack trace.
	lines := strings.Count(ts.ReadFile("stderr"), "\n")
	if want := map[int]int{exitFailed: 1, exitUsage: 2, exitWrong: 1}[got]; lines != want {
		ts.Fatalf("exit code %d with %d lines on standard error, want %d", got, lines, want)
	}
}

// stream NAME SIZE FILE writes a golden stream.
func scriptStream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: stream NAME SIZE FILE")
	}
	size, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	data, err := io.ReadAll(golden.Stream(args[0], size))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o666))
}

// digest FILE HEX checks a file's SHA-256.
func scriptDigest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest FILE HEX")
	}
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(ts.ReadFile(args[0])))); got != args[1] {
		ts.Fatalf("%s has SHA-256 %s, want %s", args[0], got, args[1])
	}
}

// holds DIR [NAME]... checks that a directory holds these files, hidden ones
// included, and nothing else.
func scriptHolds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: holds DIR [NAME]...")
	}
	got, err := namesIn(ts.MkAbs(args[0]))
	ts.Check(err)
	if want := slices.Sorted(slices.Values(args[1:])); !slices.Equal(got, want) {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}

// size FILE BYTES checks a file's length.
func scriptSize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: size FILE BYTES")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if strconv.FormatInt(info.Size(), 10) != args[1] {
		ts.Fatalf("%s has %d bytes, want %s", args[0], info.Size(), args[1])
	}
}

func namesIn(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
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

// A result is what a run of the command left.
type result struct {
	exit           int
	stdout, stderr string
}

// sdrbench runs the command as a process of its own.
func sdrbench(t *testing.T, stdin io.Reader, args ...string) (r result) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sdrbench", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.Env = append(os.Environ(), "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks")) // not the machine's
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustRun is sdrbench for a run that must succeed; it returns standard output.
func mustRun(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	r := sdrbench(t, stdin, args...)
	if r.exit != exitDone {
		t.Fatalf("sdrbench %q: exit code %d, want 0: %s", args, r.exit, r.stderr)
	}
	return r.stdout
}

// Each command that does something explains itself with an example of itself,
// and with flags that exist.
func TestEveryCommandHasAnExample(t *testing.T) {
	root := new(app).root()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasSubCommands() {
			return
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()+" ") {
			t.Errorf("%s: no example of it in its help", cmd.CommandPath())
		}
		for word := range strings.FieldsSeq(cmd.Example) {
			if name, ok := strings.CutPrefix(word, "--"); ok && cmd.Flags().Lookup(name) == nil {
				t.Errorf("%s: an example has --%s, which is no flag", cmd.CommandPath(), name)
			}
		}
	}
	walk(root)
}
