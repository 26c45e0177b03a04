package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/sdr-engine/sdr/topology"
)

// nasty has what a terminal obeys: escape sequences, one of C1, what turns the direction of
// text, what is no UTF-8.
const nasty = "x\x1b[31m\x1b]0;title\a\x7f\u009b2J\u202e\u2066\r\b\xff"

// wantHarmless checks that a terminal has nothing to obey in a text.
func wantHarmless(t *testing.T, what, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && r != '\t' && !strconv.IsPrint(r) || r == unicode.ReplacementChar {
			t.Errorf("%s: %q at %d in %q", what, r, i, text)
			return
		}
	}
}

// What comes from outside is shown, and harmless, wherever it is shown.
func TestOutputIsText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.ReplaceAll(nasty, "/", ""))
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Skipf("this file system has no such names: %v", err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text, err := os.ReadFile(dumpOfServer)
	if err != nil {
		t.Fatal(err)
	}
	m, err := topology.ReadDump(dumpOfServer)
	if err != nil {
		t.Fatal(err)
	}
	// A model's name cannot hold a carriage return in a dump, and ends with no space.
	dump := write("dump.txt", strings.ReplaceAll(string(text), m.Model(), nasty+" CPU"))
	file := write("file", "text")
	profile := write("profile.toml", "schema = 1\n\"\\u001b[31m\" = 1\n")
	cacheFile := write("v28-sdr-parent-\x1b[31m.cache", "")
	const shown = `x\x1b[31m`
	for _, c := range []struct {
		args []string
		exit int
	}{
		{[]string{"topo", "--root", dump}, exitDone},
		{[]string{"topo", "--root", dump, "--json"}, exitDone},
		{[]string{"plan", "--root", dump, "--sectors", "1", "--proof", "StackedDrg2KiBV1_1"}, exitDone},
		{[]string{"plan", "--root", dump, "--sectors", "1", "--proof", "StackedDrg2KiBV1_1", "--json"}, exitDone},
		{[]string{"topo", "--root", file}, exitFailed},
		{[]string{"topo", "--root", filepath.Join(dir, "missing")}, exitFailed},
		{[]string{"commp", "--piece", filepath.Join(dir, "missing")}, exitFailed},
		{[]string{"commp", nasty}, exitUsage},
		{[]string{nasty}, exitUsage},
		{[]string{"commp", "--" + nasty}, exitUsage},
		{[]string{"bench", "--proof", nasty}, exitUsage},
		{[]string{"bench", "--dir", file}, exitFailed},
		{[]string{"bench", "--proof", "StackedDrg2KiBV1_1", "--dir", dir, "--lock-dir", file}, exitFailed},
		{[]string{"bench", "--profile", profile}, exitFailed},
		{[]string{"pc1", "--proof", "StackedDrg2KiBV1_1", "--cache-dir", dir, "--staged", "/dev/zero", "--sealed", filepath.Join(dir, "missing"),
			"--miner", "1000", "--sector", "1", "--ticket", benchTicket.String()}, exitFailed},
		{[]string{"parents", "verify", cacheFile}, exitFailed},
		{[]string{"parents", "build", "--proof", "StackedDrg2KiBV1_1", "--dir", dir}, exitDone},
	} {
		var stdout, stderr bytes.Buffer // in this process: each of its own would take seconds in all
		a := &app{out: &stdout, err: &stderr, settings: settings{profile: noProfile, lockDir: filepath.Join(t.TempDir(), "locks")}}
		if exit := a.run(t.Context(), c.args); exit != c.exit {
			t.Errorf("%q: exit code %d, want %d: %s", c.args, exit, c.exit, &stderr)
		}
		wantHarmless(t, "standard output of "+c.args[0], stdout.String())
		wantHarmless(t, "standard error of "+c.args[0], stderr.String())
		if all := stdout.String() + stderr.String(); !strings.Contains(all, shown) && !strings.Contains(all, `x\u001b[31m`) {
			t.Errorf("%q: neither stream shows %s: %q", c.args, shown, all)
		}
	}
}
