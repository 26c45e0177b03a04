package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"charm.land/bubbles/v2/progress"
	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

const (
	tick      = time.Second / 4  // how often a job is asked where it stands, and a bar drawn
	lineEvery = 5 * time.Second  // how often a line is written where there is no terminal
	rateOver  = 10 * time.Second // what a rate is the mean of
)

// A sample is where a job stands at a moment.
type sample struct {
	stage       string
	detail      string // "layer 2/11"
	done, total uint64
	unit        string // of done and total: "labels", "bytes"
}

func sealSample(p *seal.Progress, proof porep.SealProof) sample {
	s := sample{stage: p.Stage().String(), unit: "bytes"}
	s.done, s.total = p.Units()
	if p.Stage() == seal.StageLabels {
		s.unit = "labels"
		s.detail = fmt.Sprintf("layer %d/%d", p.Layer(), proof.Layers())
	}
	return s
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
		s.detail = "another process generates " + e.Path + ", waiting"
	}
	return s
}

// showProgress shows on standard error where a job stands, until stop is called.
// What is over before the first tick shows nothing.
func (a *app) showProgress(read func() sample) (stop func()) {
	m := &meter{every: lineEvery, render: sample.text}
	if f, ok := a.err.(*os.File); ok && !a.settings.plainTerminal && term.IsTerminal(int(f.Fd())) {
		m = newBar(a.settings.noColor, func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 {
				return 80
			}
			return width
		})
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		start := time.Now()
		for {
			select {
			case <-ticker.C:
				io.WriteString(a.err, m.tick(time.Since(start), read()))
			case <-done:
				io.WriteString(a.err, m.end())
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// A meter turns samples, one a tick, into what is to be written.
type meter struct {
	every  time.Duration
	render func(s sample, rate float64) string
	clear  string // takes what was written last off the terminal

	shown  time.Duration // when something was written last
	stage  string
	recent []moment // of the stage, for the rate
}

type moment struct {
	at   time.Duration
	done uint64
}

// newBar is a meter for a terminal of so many columns.
func newBar(noColor bool, columns func() int) *meter {
	bar := progress.New(progress.WithFillCharacters('█', '░'), progress.WithoutPercentage())
	bar.FullColor, bar.EmptyColor = lipgloss.Cyan, lipgloss.BrightBlack
	if noColor {
		bar.FullColor, bar.EmptyColor = lipgloss.NoColor{}, lipgloss.NoColor{}
	}
	return &meter{every: tick, clear: "\r\x1b[K", render: func(s sample, rate float64) string {
		text := []rune(s.text(rate))
		width := columns() - 1
		room := width - len(text) - 2
		if s.total == 0 || room < 8 {
			return string(text[:max(0, min(len(text), width))])
		}
		bar.SetWidth(min(room, 40))
		return bar.ViewAs(float64(s.done)/float64(s.total)) + "  " + string(text)
	}}
}

// tick takes the sample of a moment, counted from the job's start, and returns
// what to write.
func (m *meter) tick(at time.Duration, s sample) string {
	if s.stage+s.unit != m.stage || len(m.recent) > 0 && s.done < m.recent[len(m.recent)-1].done {
		m.recent, m.stage = nil, s.stage+s.unit
	}
	m.recent = append(m.recent, moment{at, s.done})
	for len(m.recent) > 2 && at-m.recent[1].at >= rateOver {
		m.recent = m.recent[1:]
	}
	if at-m.shown < m.every {
		return ""
	}
	m.shown = at
	var rate float64
	if first := m.recent[0]; at > first.at {
		rate = float64(s.done-first.done) / (at - first.at).Seconds()
	}
	if m.clear == "" {
		return m.render(s, rate) + "\n"
	}
	return m.clear + m.render(s, rate)
}

// end returns what is to be written when the job is over.
func (m *meter) end() string {
	if m.shown == 0 {
		return ""
	}
	return m.clear
}

// text is "labels: layer 1/2   37.2 %  5.90 M labels/s  eta 20s".
func (s sample) text(rate float64) string {
	var parts []string
	if s.detail != "" {
		parts = append(parts, s.detail)
	}
	if s.total > 0 {
		parts = append(parts, fmt.Sprintf("%5.1f %%", 100*float64(s.done)/float64(s.total)))
	}
	if rate > 0 {
		parts = append(parts, perSecond(rate, s.unit))
		left := time.Duration(float64(s.total-min(s.done, s.total)) / rate * float64(time.Second))
		parts = append(parts, "eta "+left.Round(time.Second).String())
	}
	if len(parts) == 0 {
		return s.stage
	}
	return s.stage + ": " + strings.Join(parts, "  ")
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
