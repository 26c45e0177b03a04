//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/seal"
)

// smallSector is a golden sector of 2 KiB, staged, and the fields that a sectors file has
// for it.
func smallSector(t *testing.T) (g golden.Sector, fields map[string]any) {
	t.Helper()
	for _, g = range golden.Sectors() {
		if g.Name == "visible-2KiB-1.1-3" {
			break
		}
	}
	dir := t.TempDir()
	staged, sealed, cache := filepath.Join(dir, "staged"), filepath.Join(dir, "sealed"), filepath.Join(dir, "cache")
	if err := errors.Join(os.Mkdir(cache, 0o777), os.WriteFile(sealed, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	var pieces, existing []string
	for _, p := range g.Pieces {
		mustRun(t, golden.Stream(p.Stream, p.UnpaddedSize), "addpiece", "--proof", g.RegisteredProof, "--staged", staged,
			"--existing", strings.Join(existing, ","), "--piece-size", fmt.Sprint(p.UnpaddedSize), "--piece", "-")
		existing = append(existing, fmt.Sprint(p.UnpaddedSize))
		pieces = append(pieces, fmt.Sprintf("%s:%d", p.CommP, p.UnpaddedSize))
	}
	return g, map[string]any{"proof": g.RegisteredProof, "cache-dir": cache, "staged": staged, "sealed": sealed,
		"prover-id": g.ProverID, "sector": g.SectorID, "ticket": g.Ticket, "piece": pieces}
}

func jsonLines(t *testing.T, all ...map[string]any) string {
	t.Helper()
	var b strings.Builder
	for _, fields := range all {
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", text)
	}
	return b.String()
}

// endedLine is a line that is printed as a sector ends.
type endedLine struct {
	Index  *int            `json:"index"`
	Error  string          `json:"error"`
	Kind   seal.Kind       `json:"kind"`
	Phase1 json.RawMessage `json:"phase1"`
	Layers []string        `json:"layers"`
}

func endedLines(t *testing.T, text string) map[int]endedLine {
	t.Helper()
	all := map[int]endedLine{}
	for line := range strings.Lines(text) {
		var l endedLine
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil || l.Index == nil {
			t.Fatalf("%v: %s", err, line)
		}
		if _, twice := all[*l.Index]; twice {
			t.Errorf("sector %d has two lines", *l.Index)
		}
		all[*l.Index] = l
	}
	return all
}

// Sectors of a file are sealed together, each as the reference does; one that fails leaves
// the others alone.
func TestPC1Sectors(t *testing.T) {
	var all []map[string]any
	var g golden.Sector
	for range 4 {
		var fields map[string]any
		g, fields = smallSector(t)
		all = append(all, fields)
	}
	all[0]["sector"] = fmt.Sprint(g.SectorID) // a text will do
	all[1]["staged"] = "/dev/zero"            // not what its pieces say
	output := filepath.Join(t.TempDir(), "p1.json")
	all[2]["output"] = output
	r := sdrbench(t, strings.NewReader(jsonLines(t, all...)), "pc1", "--sectors", "-")
	if r.exit != exitFailed || !strings.HasSuffix(r.stderr, "sdrbench: 1 of 4 sectors failed\n") {
		t.Errorf("exit code %d: %s", r.exit, r.stderr)
	}
	ended := endedLines(t, r.stdout)
	for i, fields := range all {
		l, ok := ended[i]
		if i == 1 {
			if !strings.Contains(l.Error, "checking pieces") || l.Phase1 != nil {
				t.Errorf("sector 1: %+v", l)
			}
			wantFiles(t, fields["cache-dir"].(string))
			continue
		}
		want := strings.ReplaceAll(g.P1Output, "$CACHE", fields["cache-dir"].(string))
		if !ok || l.Error != "" || string(l.Phase1) != want {
			t.Errorf("sector %d: %+v, want %s", i, l, want)
		}
		wantLayers(t, fields["cache-dir"].(string), g, "sc-02-data-tree-d.dat", manifest.Name)
		wantDigest(t, fields["sealed"].(string), g.SealedSHA256)
		if i == 2 {
			if text, err := os.ReadFile(output); err != nil || string(text) != want {
				t.Errorf("%s, %v, want %s", text, err, want)
			}
		}
	}
	wantFiles(t, filepath.Dir(output), "p1.json")
}

func TestSDRSectors(t *testing.T) {
	g := golden.Sectors()[0]
	var all []map[string]any
	for range 3 {
		all = append(all, map[string]any{"proof": g.RegisteredProof, "cache-dir": t.TempDir(), "replica-id": g.ReplicaID})
	}
	file := filepath.Join(t.TempDir(), "sectors")
	if err := os.WriteFile(file, []byte(strings.TrimSuffix(jsonLines(t, all...), "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	ended := endedLines(t, mustRun(t, nil, "sdr", "--sectors", file, "--wait"))
	for i, fields := range all {
		if l := ended[i]; l.Error != "" || len(l.Layers) != 2 || filepath.Dir(l.Layers[1]) != fields["cache-dir"] {
			t.Errorf("sector %d: %+v", i, l)
		}
		wantLayers(t, fields["cache-dir"].(string), g, manifest.Name)
	}
}

// All that is wrong with a sectors file is told at once, by line, before any work.
func TestBadSectors(t *testing.T) {
	_, good := smallSector(t)
	line := func(change func(map[string]any)) string {
		_, fields := smallSector(t)
		change(fields)
		return strings.TrimSuffix(jsonLines(t, fields), "\n")
	}
	one := strings.TrimSuffix(jsonLines(t, good), "\n")
	link := filepath.Join(t.TempDir(), "to")
	if err := os.Symlink(filepath.Dir(good["cache-dir"].(string)), link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"empty":         {nil, []string{"line 1: there is no sector"}},
		"an empty line": {[]string{one, "", one}, []string{"line 2: it is empty", "line 3: cache dir", "of line 1 are one file"}},
		"a blank line":  {[]string{one, " \t"}, []string{"line 2: it is empty"}},
		"unknown field": {[]string{one, line(func(f map[string]any) { f["colour"] = "red" })}, []string{`line 2: unknown field "colour"`}},
		"another case":  {[]string{strings.Replace(one, `"proof"`, `"Proof"`, 1)}, []string{`line 1: unknown field "Proof"`, "line 1: proof is missing"}},
		"twice":         {[]string{strings.Replace(one, `{`, `{"staged":"x",`, 1)}, []string{"line 1: staged is there twice"}},
		"both":          {[]string{line(func(f map[string]any) { f["miner"] = 1000 })}, []string{"line 1: miner and prover-id: only one"}},
		"both pieces":   {[]string{line(func(f map[string]any) { f["pieces"] = "x" })}, []string{"line 1: piece and pieces: only one"}},
		"one directory": {[]string{one, line(func(f map[string]any) { f["cache-dir"] = good["cache-dir"] })}, []string{"line 2: cache dir", "of line 1 are one file"}},
		"one by a link": {[]string{one, line(func(f map[string]any) {
			f["cache-dir"], f["sealed"] = link+"/cache/.", link+"/../"+filepath.Base(filepath.Dir(link))+"/to/sealed"
		}) + "\r"}, []string{"line 2: cache dir", "line 2: sealed", "of line 1 are one file"}},
		"one sealed":     {[]string{one, line(func(f map[string]any) { f["sealed"] = good["sealed"] })}, []string{"line 2: sealed", "of line 1 are one file"}},
		"one output":     {[]string{line(func(f map[string]any) { f["output"] = "o" }), line(func(f map[string]any) { f["output"] = "o" })}, []string{"line 2: output", "of line 1 are one file"}},
		"output staged":  {[]string{line(func(f map[string]any) { f["output"] = f["staged"] })}, []string{"line 1: output", "staged"}},
		"proofs":         {[]string{one, line(func(f map[string]any) { f["proof"] = "StackedDrg2KiBV1" })}, []string{"line 2: proof: StackedDrg2KiBV1, line 1 has StackedDrg2KiBV1_1"}},
		"a megabyte":     {[]string{one, `{"staged":"` + strings.Repeat("x", 1<<20) + `"}`, "x"}, []string{"line 2: 1048590 bytes, want at most 524288", "line 3: "}},
		"not UTF-8":      {[]string{one, "{\"staged\":\"\xff\"}"}, []string{"line 2: it is not UTF-8"}},
		"half a rune":    {[]string{`{"staged":"\ud800"}`}, []string{"line 1: staged: ", "holds what is no character"}},
		"no JSON":        {[]string{one[:len(one)/2], "[]", "7", one + one}, []string{"line 1: ", "line 2: it is not an object", "line 3: it is not an object", "line 4: there is something behind"}},
		"types":          {[]string{line(func(f map[string]any) { f["staged"], f["piece"], f["ticket"] = true, "x", nil })}, []string{"line 1: staged: want a text", "line 1: piece: want a list", "line 1: ticket: want a text"}},
		"values":         {[]string{line(func(f map[string]any) { f["sector"], f["ticket"], f["piece"] = -1, "00", []string{"x"} })}, []string{`sector: "-1" is not a number`, "2 hex digits", "is not COMM_P:UNPADDED"}},
		"paths":          {[]string{line(func(f map[string]any) { f["staged"], f["sealed"], f["cache-dir"] = "none", "none either", "/none" })}, []string{"line 1: seal: checking staged", "line 1: seal: checking sealed", "line 1: seal: checking cache dir"}},
		"an empty value": {[]string{line(func(f map[string]any) { f["staged"] = "" })}, []string{`line 1: staged: "" is no text`}},
		"too many":       {[]string{strings.Repeat("{}\n", 5000)}, []string{"and 28573 more"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Join(c.lines, "\n")
			if text != "" {
				text += "\n"
			}
			r := sdrbench(t, strings.NewReader(text), "pc1", "--sectors", "-")
			if r.exit != exitFailed || r.stdout != "" || !strings.Contains(r.stderr, "reading sectors -: ") {
				t.Errorf("exit code %d: %s%.2000s", r.exit, r.stdout, r.stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("no %q in %.2000s", want, r.stderr)
				}
			}
		})
	}
	wantFiles(t, good["cache-dir"].(string))
	for _, c := range []struct{ args, want string }{
		{"pc1 --sectors x --miner 1000", "--miner is a field of each line with --sectors"},
		{"sdr --sectors x --proof StackedDrg2KiBV1", "--proof is a field of each line with --sectors"},
		{"pc1 --sectors", "flag needs an argument"},
		{"sdr --wait --replica-id " + strings.Repeat("01", 32), "required flag(s)"},
		{"sdr --wait", "want --replica-id, or what it is made of"},
	} {
		if r := sdrbench(t, nil, strings.Fields(c.args)...); r.exit != exitUsage || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit code %d: %s", c.args, r.exit, r.stderr)
		}
	}
	if r := sdrbench(t, bytes.NewReader(nil), "sdr", "--sectors", filepath.Join(t.TempDir(), "none")); r.exit != exitFailed || !strings.Contains(r.stderr, "no such file") {
		t.Errorf("exit code %d: %s", r.exit, r.stderr)
	}
}
