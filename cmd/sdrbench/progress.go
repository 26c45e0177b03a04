package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

func sealSample(p *seal.Progress, proof porep.SealProof) view.Sample {
	s := view.Sample{Stage: p.Stage().String(), Unit: "bytes"}
	s.Done, s.Total = p.Units()
	if p.Stage() == seal.StageLabels {
		labels := p.Labelling().Snapshot()
		s.Unit, s.Labels = "labels", &labels
		s.Done, s.Total = labels.Done, labels.Total
		s.Detail = fmt.Sprintf("layer %d/%d", p.Layer(), proof.Layers())
	}
	if p.Labelling().Paused() != nil { // a note says why
		s.Detail = strings.TrimPrefix(s.Detail+", paused", ", ")
	}
	return s
}

// pieceSample is where a piece stands.
func pieceSample(p *seal.PieceProgress) view.Sample {
	s := view.Sample{Stage: p.Stage().String(), Unit: "bytes"}
	s.Done, s.Total = p.Units()
	return s
}

// windowSample is where a measurement of so long stands: it began with the first
// label.
func windowSample(p *engine.Progress, window time.Duration) func() view.Sample {
	var began time.Time
	return func() view.Sample {
		labels := p.Snapshot()
		if labels.Done == 0 {
			return view.Sample{Stage: "window", Detail: "making ready"} // which no rate is to count
		}
		if began.IsZero() {
			began = labels.At
		}
		done := min(window, labels.At.Sub(began))
		return view.Sample{Stage: "window", Detail: "layer 2", Done: uint64(done), Total: uint64(window), Unit: "time", Labels: &labels}
	}
}

// A parentWatch keeps the last event of a parent cache's hook.
type parentWatch struct {
	last atomic.Pointer[parentcache.Event]
}

func (w *parentWatch) event(e parentcache.Event) { w.last.Store(&e) }

func (w *parentWatch) sample() view.Sample {
	e := w.last.Load()
	if e == nil {
		return view.Sample{Stage: "parents"}
	}
	s := view.Sample{Stage: "parents", Detail: e.Step.String(), Done: e.Done, Total: e.Total, Unit: "nodes"}
	if e.Step == parentcache.StepWait {
		s.Detail = "another process generates " + view.Visible(e.Path) + ", waiting"
	}
	return s
}

// showProgress shows on standard error where a job stands, until stop is called.
// What is over before the first tick shows nothing.
func (a *app) showProgress(read func() view.Sample) (stop func()) {
	return a.progress(read).Show()
}

// showLabels is showProgress for a job that labels, never on a core that hashes.
func (a *app) showLabels(c *engine.Config, read func() view.Sample) (stop func()) {
	p := a.progress(read)
	p.Clock, p.Machine = coreclock.Measure, c.Machine
	for _, place := range c.Places {
		p.Hashing = append(p.Hashing, place.Hasher)
	}
	return p.Show()
}

func (a *app) progress(read func() view.Sample) view.Progress {
	p := view.Progress{Read: read, Lines: a.err, NoColor: a.settings.noColor}
	if !a.settings.plainTerminal {
		p.Terminal = view.Terminal(a.err)
	}
	return p
}
