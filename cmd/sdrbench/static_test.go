package main

import (
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
	closed := exec.Command("sh", "-c", `exec "$0" topo >&-`, program)
	if out, err := closed.CombinedOutput(); err == nil || !strings.Contains(string(out), "standard output is closed") {
		t.Errorf("with standard output closed: %v: %s", err, out)
	}
	check := exec.Command(program, "processor", "tree_d", "--check")
	check.Env = append(os.Environ(), "VENUS_WORKER_NUMA_PREFERRED=0")
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "memory comes from NUMA node 0 first") {
		t.Errorf("preferring a NUMA node: %v: %s", err, out)
	}
}
