//go:build unix

package sealer_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// A module outside of this one builds with nothing but what this one needs, seals a golden
// sector in 20 lines, and two at once.
func TestHost(t *testing.T) {
	testkit.NeedsLong(t, "it builds programs")
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	dir := t.TempDir() // go writes into go.mod and go.sum
	if err := os.CopyFS(dir, os.DirFS("testdata/host")); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666); err != nil {
		t.Fatal(err)
	}
	golang := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %q: %v\n%s", args, err, out)
		}
	}
	golang("mod", "edit", "-replace=github.com/sdr-engine/sdr="+root)
	golang("build", "-buildvcs=false", "-o", bin+string(filepath.Separator), "./one", "./two")

	const most = 20
	text, err := os.ReadFile("testdata/host/one/main.go")
	if err != nil {
		t.Fatal(err)
	}
	body, _, ok := strings.Cut(string(text[bytes.Index(text, []byte("func main() {\n")):]), "\n}\n")
	if lines := strings.Count(body, "\n") + 1; !ok || lines > most {
		t.Errorf("sealing a sector takes %d lines, want at most %d", lines, most)
	}

	var g golden.Sector
	for _, s := range golden.ZeroSectors() {
		if s.RegisteredProof == "StackedDrg2KiBV1_1" {
			g = s
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), append([]string{filepath.Join(dir, "locks")}, args...)...)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, &stderr)
		}
		return string(out)
	}
	for _, name := range []string{"cache", "a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sealed"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	out := run("one", g.ProverID, strconv.FormatUint(g.SectorID, 10), g.Ticket)
	if want := strings.ReplaceAll(g.P1Output, "$CACHE", "cache") + "\n"; out != want {
		t.Errorf("phase 1: %s, want %s", out, want)
	}
	run("two", g.ReplicaID, "a", "b")
	for _, cache := range []string{"cache", "a", "b"} {
		for i, layer := range g.Layers {
			text, err := os.ReadFile(filepath.Join(dir, cache, fmt.Sprintf("sc-02-data-layer-%d.dat", i+1)))
			if got := fmt.Sprintf("%x", sha256.Sum256(text)); err != nil || got != layer.SHA256 {
				t.Errorf("layer %d in %s: %v, SHA-256 %s, want %s", i+1, cache, err, got, layer.SHA256)
			}
		}
	}
}
