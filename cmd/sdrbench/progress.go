package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

const (
	tick      = time.Second / 4  // how often a job is asked where it stands, and a view drawn
	lineEvery = 5 * time.Second  // how often a line is written where there is no terminal
	rateOver  = 10 * time.Second // what a rate is the mean of
)

// A sample is where a job stands at a moment.
type sample struct {
	stage       string
	detail      string // "layer 2/11"
	done, total uint64
	unit        string           // of done and total: "labels", "bytes"
	labels      *engine.Snapshot // while labels are made; else nil
}

func sealSample(p *seal.Progress, proof porep.SealProof) sample {
	s := sample{stage: p.Stage().String(), unit: "bytes"}
	s.done, s.total = p.Units()
	if p.Stage() == seal.StageLabels {
		labels := p.Labelling().Snapshot()
		s.unit, s.labels = "labels", &labels
		s.done, s.total = labels.Done, labels.Total
		s.detail = fmt.Sprintf("layer %d/%d", p.Layer(), proof.Layers())
	}
	return s
}

// windowSample is where a measurement of so long stands: it began with the first
// label.
func windowSample(p *engine.Progress, window time.Duration) func() sample {
	var began time.Time
	return func() sample {
		labels := p.Snapshot()
		if labels.Done == 0 {
			return sample{stage: "window", detail: "making ready"} // which no rate is to count
		}
		if began.IsZero() {
			began = labels.At
		}
		done := min(window, labels.At.Sub(began))
		return sample{stage: "window", detail: "layer 2", done: uint64(done), total: uint64(window), unit: "time", labels: &labels}
	}
}

// A parentWatch keeps the last event of a parent cache's hook.
type parentWatch struct {
	last atomic.Pointer[parentcache.Event]
}

func (w *parentWatch) event(e parentcache.Event) { w.last.Store(&e) }

func (w *parentWatch) sample() sample {
	e := w.last.Load()
	if e == nil {
		return sample{stage: "parents"}
	}
	s := sample{stage: "parents", detail: e.Step.String(), done: e.Done, total: e.Total, unit: "nodes"}
	if e.Step == parentcache.StepWait {
		s.detail = "another process generates " + visible(e.Path) + ", waiting"
	}
	return s
}

// showProgress shows on standard error where a job stands, until stop is called.
// What is over before the first tick shows nothing.
func (a *app) showProgress(read func() sample) (stop func()) {
	return a.show(&gauge{}, read, nil, nil)
}

// showLabels is showProgress for a job that labels, never on a core that hashes.
func (a *app) showLabels(c *engine.Config, read func() sample) (stop func()) {
	var hashing []topology.CPU
	for _, p := range c.Places {
		hashing = append(hashing, p.Hasher)
	}
	return a.show(&gauge{hz: coreclock.Measure()}, read, c.Machine, hashing)
}

func (a *app) show(g *gauge, read func() sample, m *topology.Machine, hashing []topology.CPU) (stop func()) {
	g.watch.Over = rateOver
	// A thread that is bound ends with its goroutine, if nobody sets it free before.
	keepOff := func() {
		if len(hashing) > 0 {
			_, _ = topology.KeepOff(m, hashing...) // where all cores hash, drawing has no other place
		}
	}
	draw := func(done <-chan struct{}) { writeLines(a.err, g, read, done) }
	if f := a.terminal(); f != nil {
		draw = func(done <-chan struct{}) { drawLive(f, keepOff, newLive(g, read, a.settings.noColor), done) }
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		keepOff()
		draw(done)
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// writeLines writes a line now and then.
func writeLines(w io.Writer, g *gauge, read func() sample, done <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	start := time.Now()
	l := liner{gauge: g}
	for {
		select {
		case <-ticker.C:
			io.WriteString(w, l.tick(time.Since(start), read()))
		case <-done:
			return
		}
	}
}

// A liner turns samples, one a tick, into lines.
type liner struct {
	*gauge
	shown time.Duration // when a line was written last
}

// tick takes the sample of a moment, counted from the job's start, and returns
// what to write.
func (l *liner) tick(at time.Duration, s sample) string {
	r := l.add(at, s)
	if at-l.shown < lineEvery {
		return ""
	}
	l.shown = at
	return r.text() + "\n"
}

// A gauge turns samples into readings.
type gauge struct {
	hz     float64 // a core's clock; 0 if cycles are not told
	stage  string
	recent []moment // of the stage, for the rate
	watch  engine.Watch
}

type moment struct {
	at   time.Duration
	done uint64
}

// A reading is a sample and how fast that goes.
type reading struct {
	sample
	rate   float64 // units a second; labels, while labels are made
	left   time.Duration
	labels engine.Rates
	hz     float64
}

// add takes the sample of a moment, counted from the job's start.
func (g *gauge) add(at time.Duration, s sample) reading {
	if s.stage+s.unit != g.stage || len(g.recent) > 0 && s.done < g.recent[len(g.recent)-1].done {
		g.recent, g.stage = nil, s.stage+s.unit
	}
	g.recent = append(g.recent, moment{at, s.done})
	for len(g.recent) > 2 && at-g.recent[1].at >= rateOver {
		g.recent = g.recent[1:]
	}
	r := reading{sample: s, hz: g.hz}
	if first := g.recent[0]; at > first.at {
		r.rate = float64(s.done-first.done) / (at - first.at).Seconds()
	}
	if r.rate > 0 {
		r.left = time.Duration(float64(s.total-min(s.done, s.total)) / r.rate * float64(time.Second))
	}
	if s.labels != nil {
		r.labels = g.watch.Add(*s.labels)
		r.rate = r.labels.Labels
		if s.unit == "labels" {
			r.left = r.labels.Left
		}
	}
	return r
}

// text is "labels: layer 1/2   37.2 %  5.90 M labels/s  290 cycles a label  eta 20s".
func (r *reading) text() string {
	var parts []string
	if r.detail != "" {
		parts = append(parts, r.detail)
	}
	parts = append(parts, r.percent(), r.perSecond(), r.cycles(), r.waited(), r.eta())
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return r.stage
	}
	return r.stage + ": " + strings.Join(parts, "  ")
}

func (r *reading) percent() string {
	if r.total == 0 {
		return ""
	}
	return fmt.Sprintf("%5.1f %%", 100*float64(r.done)/float64(r.total))
}

func (r *reading) perSecond() string {
	switch {
	case r.rate <= 0:
		return ""
	case r.sample.labels != nil:
		return perSecond(r.rate, "labels")
	}
	return perSecond(r.rate, r.unit)
}

func (r *reading) cycles() string {
	if n := r.labels.Cycles(r.hz); n > 0 {
		return thousands(uint64(n+0.5)) + " cycles a label"
	}
	return ""
}

func (r *reading) waited() string {
	if text := waitedText(r.labels.Waited(), 0.01); text != "" {
		return "waits for " + text
	}
	return ""
}

func (r *reading) eta() string {
	if r.rate <= 0 || r.total == 0 {
		return ""
	}
	return "eta " + r.left.Round(time.Second).String()
}

// waitedText is "disk 12.0 %, parents 2.0 %": what makes up at least that part of the
// time, the most first.
func waitedText(waited [3]float64, least float64) string {
	order := []engine.Wait{engine.WaitParents, engine.WaitMemory, engine.WaitDisk}
	slices.SortStableFunc(order, func(a, b engine.Wait) int { return cmp.Compare(waited[b], waited[a]) })
	var parts []string
	for _, w := range order {
		if waited[w] >= least {
			parts = append(parts, fmt.Sprintf("%v %.1f %%", w, 100*waited[w]))
		}
	}
	return strings.Join(parts, ", ")
}

// perSecond is a rate for people: "5.90 M labels/s", "1.20 GB/s".
func perSecond(rate float64, unit string) string {
	if unit == "bytes" {
		if rate >= 1e9 {
			return fmt.Sprintf("%.2f GB/s", rate/1e9)
		}
		return fmt.Sprintf("%.1f MB/s", rate/1e6)
	}
	if rate >= 1e5 {
		return fmt.Sprintf("%.2f M %s/s", rate/1e6, unit)
	}
	return fmt.Sprintf("%.0f %s/s", rate, unit)
}
