package view

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// wantText compares text with a file, or writes it.
func wantText(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "live", name)
	if testkit.Update() {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// jobOf is a job of so many hashers of 16 lanes, some seconds after it began: the
// second waits for the disk, the fourth for parents, the last is done.
func jobOf(hashers, seconds int) Sample {
	const nodes = 1 << 24
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := Sample{Stage: "labels", Detail: "layer 2/11", Unit: "labels"}
	s.Labels = &engine.Snapshot{At: began.Add(time.Duration(seconds) * time.Second)}
	for i := range hashers {
		h := engine.HasherProgress{CPU: 2 * i, Kernel: "avx512/16", Layer: 2, Nodes: uint64(300_000 * seconds)}
		h.Node = h.Nodes - h.Nodes/nodes*nodes
		h.Labels = 16 * h.Nodes
		h.Left.Later = 10*nodes - h.Node
		for lane := range 16 {
			h.Sectors = append(h.Sectors, 16*i+lane)
		}
		second := time.Duration(seconds) * time.Second
		switch {
		case i == 1:
			h.Waited[engine.WaitDisk], h.Waited[engine.WaitParents] = second/8, second/50
		case i == 3:
			h.Waited[engine.WaitParents] = second / 40
		case i > 0 && i == hashers-1:
			h.Layer, h.Node, h.Labels, h.Left = 11, nodes, 0, engine.Left{}
		}
		s.Done += h.Labels
		s.Total += 11 * 16 * nodes
		s.Labels.Hashers = append(s.Labels.Hashers, h)
	}
	s.Labels.Done, s.Labels.Total = s.Done, s.Total
	return s
}

// viewOf is what the view shows of a job's samples, one a second.
func viewOf(noColor bool, columns, rows int, samples ...Sample) string {
	at := 0
	l := newLive(&gauge{clock: func() float64 { return 3e9 }, watch: engine.Watch{Over: rateOver}}, func() Sample { return samples[at] }, noColor)
	var m tea.Model = l
	m, _ = m.Update(tea.WindowSizeMsg{Width: columns, Height: rows})
	for at = range samples {
		m, _ = m.Update(tickMsg(time.Unix(int64(at), 0)))
	}
	return m.View().Content
}

// TestLiveView: one hasher and many, on terminals of different widths.
func TestLiveView(t *testing.T) {
	for _, columns := range []int{40, 60, 80, 120, 200} {
		var out strings.Builder
		for _, hashers := range []int{1, 5, 30} {
			fmt.Fprintf(&out, "%s\n\n", viewOf(true, columns, 50, jobOf(hashers, 10), jobOf(hashers, 11), jobOf(hashers, 12)))
		}
		fmt.Fprintf(&out, "%s\n\n", viewOf(true, columns, 50, Sample{Stage: "tree-d", Unit: "bytes", Total: 8e9}, Sample{Stage: "tree-d", Done: 1e9, Unit: "bytes", Total: 8e9}))
		fmt.Fprintf(&out, "%s\n", viewOf(true, columns, 50, Sample{Stage: "checks", Unit: "bytes"}))
		wantText(t, fmt.Sprintf("%d.txt", columns), out.String())
	}
	wantText(t, "color.txt", viewOf(false, 100, 50, jobOf(5, 10), jobOf(5, 12))+"\n")
}

// Whatever the terminal, no line reaches its last column, and there are never more
// lines than rows, or than 12; and without color there is not an escape.
func TestLiveFits(t *testing.T) {
	jobs := [][]Sample{
		{jobOf(1, 10), jobOf(1, 12)}, {jobOf(40, 10), jobOf(40, 12)}, {jobOf(3, 0)}, {{Stage: "checks"}},
		{{Stage: "parents", Detail: "another process generates /a/rather/long/path/of/a/parent/cache, waiting"}},
	}
	for _, job := range jobs {
		for columns := 1; columns <= 200; columns++ {
			for _, rows := range []int{1, 2, 3, 5, 13, 50} {
				view := viewOf(true, columns, rows, job...)
				lines := strings.Split(view, "\n")
				if len(lines) > max(1, min(rows-1, maxLines)) {
					t.Errorf("%d lines on %d rows", len(lines), rows)
				}
				for _, line := range lines {
					if lipgloss.Width(line) > max(0, columns-1) {
						t.Errorf("on %d columns: %q", columns, line)
					}
				}
				if strings.Contains(view, "\x1b") {
					t.Errorf("an escape without color: %q", view)
				}
				if colored := viewOf(false, columns, rows, job...); columns%10 == 0 && stripped(colored) != view {
					t.Errorf("with color %q, without %q", colored, view)
				}
			}
		}
	}
}

// stripped takes colors away.
func stripped(text string) string {
	for {
		before, after, ok := strings.Cut(text, "\x1b[")
		if !ok {
			return text
		}
		_, after, _ = strings.Cut(after, "m")
		text = before + after
	}
}

// The view ends empty, and asks bubbletea to end.
func TestLiveEnd(t *testing.T) {
	l := newLive(&gauge{}, func() Sample { return jobOf(1, 1) }, true)
	if got := l.View().Content; got != "" {
		t.Errorf("before the first sample %q", got)
	}
	l.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	if msg, ok := l.Init()().(tickMsg); !ok {
		t.Errorf("it begins with %v, not a tick", msg)
	} else if _, next := l.Update(msg); next == nil {
		t.Error("no tick comes after the first")
	}
	if l.View().Content == "" {
		t.Error("nothing after a sample")
	}
	_, cmd := l.Update(endMsg{})
	if cmd == nil {
		t.Fatal("it does not quit")
	}
	if msg := cmd(); msg != (tea.QuitMsg{}) {
		t.Errorf("it ends with %v", msg)
	}
	if got := l.View().Content; got != "" {
		t.Errorf("at the end %q", got)
	}
}

// Plain lines tell cycles and waits, too.
func TestLabelLines(t *testing.T) {
	g := &gauge{clock: func() float64 { return 3e9 }, watch: engine.Watch{Over: rateOver}}
	g.add(0, jobOf(2, 10))
	r := g.add(time.Second, jobOf(2, 11))
	if got, want := r.text(), "labels: layer 2/11    1.8 %  9.60 M labels/s  625 cycles a label  waits for disk 6.2 %, parents 1.0 %  eta 9m8s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRanges(t *testing.T) {
	for want, numbers := range map[string][]int{"": nil, "0": {0}, "0-1": {0, 1}, "0-3,7,9-10": {0, 1, 2, 3, 7, 9, 10}} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}

// TestScreen: what bubbletea asks the terminal and does to its keyboard stays away;
// all else goes there, by one goroutine that has been told where to run.
func TestScreen(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bound := 0
	s := &screen{File: f, keepOff: func() { bound++ }}
	for _, text := range []string{"\x1b[?2026$p\x1b[?2027$p", "\x1b[?25l\x1b[>4;2m\x1b[=0;1u\x1b[?ua\x1b[36mb", "\x1b[>4m\x1b[K\x1b[?25h"} {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[?25la\x1b[36mb\x1b[K\x1b[?25h"; string(got) != want || bound != 1 {
		t.Errorf("got %q, want %q; bound %d times", got, want, bound)
	}
}
