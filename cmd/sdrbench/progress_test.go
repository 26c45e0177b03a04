package main

import (
	"errors"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

func TestSamples(t *testing.T) {
	if got, want := sealSample(new(seal.Progress), porep.StackedDrg32GiBV1).String(), "checks"; got != want {
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
		if got := w.sample().String(); got != test.want {
			t.Errorf("%v: %q, want %q", test.event.Step, got, test.want)
		}
	}
}

func TestWindowSample(t *testing.T) {
	if got, want := windowSample(new(engine.Progress), time.Minute)().String(), "window: making ready"; got != want {
		t.Errorf("before the first label %q, want %q", got, want)
	}
}
