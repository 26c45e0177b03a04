//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// A key's replica id can be made of what it consists of, on the command line and in a file.
func TestSDRKeepLast(t *testing.T) {
	g, _ := smallSector(t)
	of := map[string]any{"sector": g.SectorID, "ticket": g.Ticket, "comm-d": g.CommD, "prover-id": g.ProverID}
	var flags []string
	for name, value := range of {
		flags = append(flags, "--"+name, fmt.Sprint(value))
	}
	right := func(dir, printed string) {
		t.Helper()
		for i, layer := range g.Layers {
			path := filepath.Join(dir, fmt.Sprintf("sc-02-data-layer-%d.dat", i+1))
			if got := testkit.Digest(t, path); got != layer.SHA256 || !strings.Contains(printed, path) {
				t.Errorf("%s is %s, want %s; printed %q", path, got, layer.SHA256, printed)
			}
		}
	}
	dir := t.TempDir()
	sdr := []string{"sdr", "--proof", g.RegisteredProof, "--keep", "last", "--cache-dir", dir}
	right(dir, mustRun(t, nil, append(sdr, flags...)...))

	dir = t.TempDir()
	of["proof"], of["cache-dir"] = g.RegisteredProof, dir
	file := filepath.Join(t.TempDir(), "sectors")
	if err := os.WriteFile(file, []byte(jsonLines(t, of)), 0o666); err != nil {
		t.Fatal(err)
	}
	right(dir, mustRun(t, nil, "sdr", "--keep", "last", "--sectors", file))

	for _, bad := range []struct {
		args []string
		want string
	}{
		{sdr, "want --replica-id, or what it is made of"},
		{append(sdr, "--miner", "1000", "--ticket", g.Ticket, "--comm-d", g.CommD), "made of --sector, too"},
		{append(sdr, "--sector", "1", "--ticket", g.Ticket, "--comm-d", g.CommD), "made of --miner or --prover-id, too"},
		{append(append(sdr, flags...), "--replica-id", g.ReplicaID), "none of the others can be"},
		{append(append(sdr, flags...), "--keep", "first"), `"first" is not one of`},
	} {
		if r := sdrbench(t, nil, bad.args...); r.exit != exitUsage || !strings.Contains(r.stderr, bad.want) {
			t.Errorf("%q: exit code %d, %s, want %q", bad.args, r.exit, r.stderr, bad.want)
		}
	}
	of["replica-id"] = g.ReplicaID
	if err := os.WriteFile(file, []byte(jsonLines(t, of)), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := sdrbench(t, nil, "sdr", "--sectors", file); r.exit == exitDone || !strings.Contains(r.stderr, "replica-id and sector: only one of them") {
		t.Errorf("both: exit code %d, %s", r.exit, r.stderr)
	}
}
