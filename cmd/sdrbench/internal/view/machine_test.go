package view

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/topology"
)

// dumpOf is the dump of a machine that topology's tests have.
func dumpOf(name string) string {
	return filepath.Join("..", "..", "..", "..", "topology", "testdata", name+".txt")
}

// TestMachine draws machines of all shapes. With -update it rewrites what is expected.
func TestMachine(t *testing.T) {
	held := func(cpu topology.CPU) (string, bool) {
		if cpu == 3 || cpu == 200 {
			return "process 4242, job s-t01000-7", true
		}
		return "process 1", cpu == 9
	}
	for _, c := range []struct {
		machine string
		held    Holder
		columns int
	}{
		{"epyc-2s-24ccx-smt", held, 100},
		{"container-cut-ccx", held, 100},
		{"xeon-2s-snc2", nil, 100},
		{"hybrid", held, 60},
		{"odd-nodes", nil, 100},
		{"arm64-altra", nil, 1},
		{"nothing", held, 100},
		{"vm-no-cache", nil, 100},
		{"hybrid-low-power", nil, 100},
		{"accelerated", nil, 100},
	} {
		m, err := topology.ReadDump(dumpOf(c.machine))
		if err != nil {
			t.Fatal(err)
		}
		p := Machine{Machine: m, Held: c.held, Columns: c.columns}
		got := p.Text()
		golden := filepath.Join("testdata", "machine", c.machine+".txt")
		if testkit.Update() {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.machine, diff)
		}
		for line := range strings.Lines(got) {
			if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
				t.Errorf("%s: a line with blanks at its end: %q", c.machine, line)
			}
		}

		// Colors are added to the same text.
		p = Machine{Machine: m, Held: c.held, Columns: c.columns, Color: true}
		colored := p.Text()
		if plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored, ""); plain != got || colored == got {
			t.Errorf("%s: without its colors it is\n%s\nwant\n%s", c.machine, plain, got)
		}
	}
}

// Colors are all that a terminal obeys in topo's picture.
func TestTopoColorsAlone(t *testing.T) {
	text, err := os.ReadFile(dumpOf("epyc-2s-24ccx-smt"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := topology.ReadDump(dumpOf("epyc-2s-24ccx-smt"))
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "dump.txt")
	if err := os.WriteFile(dump, bytes.ReplaceAll(text, []byte(m.Model()), []byte(nasty+" CPU")), 0o666); err != nil {
		t.Fatal(err)
	}
	if m, err = topology.ReadDump(dump); err != nil {
		t.Fatal(err)
	}
	p := Machine{Machine: m, Color: true, Columns: 100, Held: func(topology.CPU) (string, bool) { return nasty, true }}
	wantHarmless(t, "topo", stripColors(p.Text()))
}

// stripColors takes away what lipgloss sets and what it resets.
func stripColors(text string) string {
	for _, style := range []string{"\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[m", "\x1b[0m"} {
		text = strings.ReplaceAll(text, style, "")
	}
	return text
}
