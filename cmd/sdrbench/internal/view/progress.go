package view

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/topology"
)

const (
	tick      = time.Second / 4  // how often a job is asked where it stands, and a view drawn
	lineEvery = 5 * time.Second  // how often a line is written where there is no terminal
	rateOver  = 10 * time.Second // what a rate is the mean of
)

// A Sample is where a job stands at a moment.
type Sample struct {
	Stage       string
	Detail      string // "layer 2/11"
	Done, Total uint64
	Unit        string           // of Done and Total: "labels", "bytes"
	Labels      *engine.Snapshot // while labels are made; else nil
}

// String is a sample in a line, without rates.
func (s Sample) String() string { return (&reading{Sample: s}).text() }

// A Progress shows people where a job stands.
type Progress struct {
	Read     func() Sample // called by one goroutine
	Lines    io.Writer     // gets a line now and then, unless there is a terminal
	Terminal *os.File      // has a view drawn on it, if not nil
	NoColor  bool
	Clock    func() float64 // a core's, in Hz, asked for when a rate is shown first; nil if cycles are not told

	// Hashing are CPUs on whose cores, and on their siblings, nothing of this is to run;
	// Machine is theirs, nil if there are none.
	Machine *topology.Machine
	Hashing []topology.CPU
}

// Show shows it until stop is called. What is over before the first tick shows nothing.
func (p Progress) Show() (stop func()) {
	g := &gauge{watch: engine.Watch{Over: rateOver}}
	if p.Clock != nil {
		g.clock = sync.OnceValue(p.Clock)
	}
	// A thread that is bound ends with its goroutine, if nobody sets it free before.
	keepOff := func() {
		if len(p.Hashing) > 0 {
			_, _ = topology.KeepOff(p.Machine, p.Hashing...) // where all cores hash, drawing has no other core
		}
	}
	draw := func(done <-chan struct{}) { writeLines(p.Lines, g, p.Read, done) }
	if p.Terminal != nil {
		draw = func(done <-chan struct{}) { drawLive(p.Terminal, keepOff, newLive(g, p.Read, p.NoColor), done) }
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
func writeLines(w io.Writer, g *gauge, read func() Sample, done <-chan struct{}) {
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
func (l *liner) tick(at time.Duration, s Sample) string {
	r := l.add(at, s)
	if at-l.shown < lineEvery {
		return ""
	}
	l.shown = at
	return r.text() + "\n"
}

// A gauge turns samples into readings.
type gauge struct {
	clock  func() float64 // of a core, in Hz; nil if cycles are not told
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
	Sample
	rate   float64 // units a second; labels, while labels are made
	left   time.Duration
	labels engine.Rates
	hz     float64
}

// add takes the sample of a moment, counted from the job's start.
func (g *gauge) add(at time.Duration, s Sample) reading {
	if s.Stage+s.Unit != g.stage || len(g.recent) > 0 && s.Done < g.recent[len(g.recent)-1].done {
		g.recent, g.stage = nil, s.Stage+s.Unit
	}
	g.recent = append(g.recent, moment{at, s.Done})
	for len(g.recent) > 2 && at-g.recent[1].at >= rateOver {
		g.recent = g.recent[1:]
	}
	r := reading{Sample: s}
	if first := g.recent[0]; at > first.at {
		r.rate = float64(s.Done-first.done) / (at - first.at).Seconds()
	}
	if r.rate > 0 {
		r.left = time.Duration(float64(s.Total-min(s.Done, s.Total)) / r.rate * float64(time.Second))
	}
	if s.Labels != nil {
		r.labels = g.watch.Add(*s.Labels)
		r.rate = r.labels.Labels
		if g.clock != nil && r.rate > 0 {
			r.hz = g.clock()
		}
		if s.Unit == "labels" {
			r.left = r.labels.Left
		}
	}
	return r
}

// text is "labels: layer 1/2   37.2 %  5.90 M labels/s  290 cycles a label  eta 20s".
func (r *reading) text() string {
	var parts []string
	if r.Detail != "" {
		parts = append(parts, r.Detail)
	}
	parts = append(parts, r.percent(), r.perSecond(), r.cycles(), r.waited(), r.eta())
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return r.Stage
	}
	return r.Stage + ": " + strings.Join(parts, "  ")
}

func (r *reading) percent() string {
	if r.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%5.1f %%", 100*float64(r.Done)/float64(r.Total))
}

func (r *reading) perSecond() string {
	switch {
	case r.rate <= 0:
		return ""
	case r.Sample.Labels != nil:
		return PerSecond(r.rate, "labels")
	}
	return PerSecond(r.rate, r.Unit)
}

func (r *reading) cycles() string {
	if n := r.labels.Cycles(r.hz); n > 0 {
		return Thousands(uint64(n+0.5)) + " cycles a label"
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
	if r.rate <= 0 || r.Total == 0 {
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

// PerSecond is a rate for people: "5.90 M labels/s", "1.20 GB/s".
func PerSecond(rate float64, unit string) string {
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
