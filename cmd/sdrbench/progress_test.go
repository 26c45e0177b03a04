package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

func TestProgressLines(t *testing.T) {
	m := &meter{every: lineEvery, render: sample.text}
	var out strings.Builder
	for at := tick; at <= 15*time.Second; at += tick {
		s := sample{stage: "tree-d", done: uint64(at.Seconds() * 1e9), total: 8e9, unit: "bytes"}
		if labelling := at - 7*time.Second; labelling >= 0 {
			s = sample{"labels", "layer 1/2", uint64(labelling.Seconds() * 2e6), 32e6, "labels"}
		}
		out.WriteString(m.tick(at, s))
	}
	out.WriteString(m.end())
	want := `tree-d:  62.5 %  1.00 GB/s  eta 3s
labels: layer 1/2   18.8 %  2.00 M labels/s  eta 13s
labels: layer 1/2   50.0 %  2.00 M labels/s  eta 8s
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestProgressBar(t *testing.T) {
	columns := 60
	m := newBar(true, func() int { return columns })
	draw := func(at time.Duration, s sample) string {
		t.Helper()
		text, ok := strings.CutPrefix(m.tick(at, s), "\r\x1b[K")
		if !ok || len([]rune(text)) >= columns {
			t.Errorf("%q does not replace the line or is too long for %d columns", text, columns)
		}
		return text
	}
	if got := m.end(); got != "" {
		t.Errorf("a job shorter than a tick writes %q", got)
	}
	if got, want := draw(1*time.Second, sample{"labels", "layer 2/11", 50, 100, "labels"}), strings.Repeat("█", 15)+strings.Repeat("░", 15)+"  labels: layer 2/11   50.0 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := draw(2*time.Second, sample{stage: "checks", unit: "bytes"}), "checks"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	columns = 12
	if got, want := draw(3*time.Second, sample{"labels", "layer 2/11", 50, 100, "labels"}), "labels: lay"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := m.end(), "\r\x1b[K"; got != want {
		t.Errorf("at the end %q, want %q", got, want)
	}
}

func TestSamples(t *testing.T) {
	if got, want := sealSample(new(seal.Progress), porep.StackedDrg32GiBV1).text(0), "checks"; got != want {
		t.Errorf("before the first stage %q, want %q", got, want)
	}
	w := new(parentWatch)
	for _, test := range []struct {
		event parentcache.Event
		want  string
	}{
		{parentcache.Event{Step: parentcache.StepGenerate, Done: 1, Total: 4}, "parents: generate   25.0 %"},
		{parentcache.Event{Step: parentcache.StepWait, Path: "f"}, "parents: another process generates f, waiting"},
		{parentcache.Event{Step: parentcache.StepReject, Path: "f", Err: errors.New("wrong")}, "parents: reject"},
	} {
		w.event(test.event)
		if got := w.sample().text(0); got != test.want {
			t.Errorf("%v: %q, want %q", test.event.Step, got, test.want)
		}
	}
}
