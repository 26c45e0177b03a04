package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// Two libraries import net and os/user (pflag and terminfo), which link libc where there is a C
// compiler, unless told not to: a build as we say gives a static binary.
func TestBuildIsStatic(t *testing.T) {
	built := 0
	for _, name := range []string{"../../README.md", "../../Makefile"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "go build ") && strings.Contains(line, "./cmd/sdrbench") {
				built++
				if !strings.Contains(line, "CGO_ENABLED=0 go build") {
					t.Errorf("%s: %q links libc: want CGO_ENABLED=0", name, line)
				}
			}
		}
	}
	if built < 2 {
		t.Errorf("%d commands that build, want README's and Makefile's", built)
	}
}

// What make builds tells a standard output that is closed from /dev/null open for reading, too, as
// Python's DEVNULL is, and can prefer a NUMA node, which programs with cgo cannot.
func TestBuiltByMake(t *testing.T) {
	testkit.NeedsLong(t, "building the program")
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("where it begins is only known on Linux, on amd64 and arm64")
	}
	program := filepath.Join(t.TempDir(), "sdrbench")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-E=sdr_start", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	open := exec.Command(program, "topo")
	open.Stdout = null
	if err := open.Run(); err != nil {
		t.Errorf("with /dev/null: %v", err)
	}
	// Standard output that is closed is found out before the work.
	dir := t.TempDir()
	sealed, cache, staged, piece := filepath.Join(dir, "sealed"), filepath.Join(dir, "cache"), filepath.Join(dir, "staged"), filepath.Join(dir, "piece")
	if err := errors.Join(os.WriteFile(sealed, nil, 0o666), os.Mkdir(cache, 0o777), os.WriteFile(piece, make([]byte, 127), 0o666)); err != nil {
		t.Fatal(err)
	}
	pc1 := "pc1 --proof StackedDrg2KiBV1_1 --cache-dir " + cache + " --staged /dev/zero --sealed " + sealed + " --miner 1000 --sector 1 --ticket " + strings.Repeat("01", 32)
	for _, args := range []string{
		pc1, pc1 + " --output -", pc1 + " --output /dev/stdout", pc1 + " <&-", "topo", "plan", "commp --piece " + piece,
		"sdr --sectors " + piece, "tune --dry-run", "tune --profile none", "tune --json", "verify --json",
		"addpiece --proof StackedDrg2KiBV1_1 --piece " + piece + " --piece-size 127 --staged " + staged,
	} {
		closed := exec.Command("sh", "-c", `exec "$0" `+args+` >&-`, program)
		if out, err := closed.CombinedOutput(); closed.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(out), "standard output is closed, and the result would be lost") {
			t.Errorf("%s with standard output closed: %v: %s", args, err, out)
		}
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) > 0 {
		t.Errorf("pc1 has left %v, %v", entries, err)
	}
	if _, err := os.Stat(staged); err == nil {
		t.Error("addpiece has made a staged file")
	}
	check := exec.Command(program, "processor", "tree_d", "--check")
	check.Env = append(os.Environ(), "VENUS_WORKER_NUMA_PREFERRED=0")
	// What a machine with one NUMA node does about it is another thing than what one with several does.
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok    VENUS_WORKER_NUMA_PREFERRED=0: ") {
		t.Errorf("preferring a NUMA node: %v: %s", err, out)
	}
}
