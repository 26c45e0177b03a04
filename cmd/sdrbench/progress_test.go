package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

func TestProgressLines(t *testing.T) {
	l := liner{gauge: &gauge{}}
	var out strings.Builder
	for at := tick; at <= 15*time.Second; at += tick {
		s := sample{stage: "tree-d", done: uint64(at.Seconds() * 1e9), total: 8e9, unit: "bytes"}
		if labelling := at - 7*time.Second; labelling >= 0 {
			s = sample{stage: "labels", detail: "layer 1/2", done: uint64(labelling.Seconds() * 2e6), total: 32e6, unit: "labels"}
		}
		out.WriteString(l.tick(at, s))
	}
	want := `tree-d:  62.5 %  1.00 GB/s  eta 3s
labels: layer 1/2   18.8 %  2.00 M labels/s  eta 13s
labels: layer 1/2   50.0 %  2.00 M labels/s  eta 8s
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func textOf(s sample) string { return (&reading{sample: s}).text() }

func TestSamples(t *testing.T) {
	if got, want := textOf(sealSample(new(seal.Progress), porep.StackedDrg32GiBV1)), "checks"; got != want {
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
		if got := textOf(w.sample()); got != test.want {
			t.Errorf("%v: %q, want %q", test.event.Step, got, test.want)
		}
	}
}

func TestWindowSample(t *testing.T) {
	if got, want := textOf(windowSample(new(engine.Progress), time.Minute)()), "window: making ready"; got != want {
		t.Errorf("before the first label %q, want %q", got, want)
	}
}
