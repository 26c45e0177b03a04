// Package portlimits measures the instructions that SHA-256 kernels are made of,
// and derives from them what a kernel cannot go below on this core.
//
// A kernel is bound by how long a chain of instructions takes that wait for each
// other, and by how many instructions the core's units start in a cycle. Loops in
// assembly measure both. Limit says which of them bound which kernel, and how.
package portlimits

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/internal/coreclock"
)

// A loop is a function in assembly that repeats instructions of one kind.
type loop struct {
	name  string
	each  int               // how many there are in a turn
	needs []cpuid.FeatureID // the list that stands above the function
	run   func(turns uint64)
}

// A Figure is what a loop said: core cycles for each of its instructions. Cycles is
// the median of many windows, Low and High are their quartiles.
type Figure struct {
	Name              string
	Cycles, Low, High float64
	// Unknown is why there is no figure, empty where there is one.
	Unknown string
}

// Figures are what the loops of this architecture said, in their order.
type Figures []Figure

// What no core does, but an emulator: start independent additions one after the
// other, or take so many cycles for an instruction.
const (
	emulatedAddition = 0.8
	emulatedLatency  = 25
)

// Measure runs all loops on the core that the caller runs on, to which its thread
// should be bound: one after the other, rounds times, each in so many windows; 100
// windows take about 10 ms. A figure is the middle one of the rounds. What this CPU
// lacks instructions for is Unknown, with the reason, and so is everything where an
// emulator, not a core, runs the loops.
func Measure(rounds, windows int) Figures {
	all := loops()
	turns := make([]uint64, len(all))
	samples := make([][]coreclock.Sample, len(all))
	for range rounds {
		for i, l := range all {
			if len(l.missing()) > 0 {
				continue
			}
			if turns[i] == 0 {
				turns[i] = l.turns()
			}
			samples[i] = append(samples[i], coreclock.Cycles(windows, func() { l.run(turns[i]) }))
		}
	}
	var figures Figures
	for i, l := range all {
		figures = append(figures, l.figure(turns[i], coreclock.Middle(samples[i])))
	}
	return figures.doubted()
}

// doubted takes the figures away if an emulator made them.
func (f Figures) doubted() Figures {
	why := ""
	for _, figure := range f {
		switch {
		case figure.Name == additions && figure.Cycles > emulatedAddition:
			why = fmt.Sprintf("under an emulator: independent additions take %.2f cycles each", figure.Cycles)
		case strings.HasSuffix(figure.Name, latency) && figure.Cycles > emulatedLatency:
			why = fmt.Sprintf("under an emulator: %s is %.0f cycles", figure.Name, figure.Cycles)
		}
	}
	for i := range f {
		if why != "" && f[i].Unknown == "" {
			f[i] = Figure{Name: f[i].Name, Unknown: why}
		}
	}
	return f
}

func (l loop) missing() (features []string) {
	for _, feature := range l.needs {
		if !cpuid.CPU.Supports(feature) {
			features = append(features, feature.String())
		}
	}
	return features
}

// figure is what a sample says of the loop's instructions.
func (l loop) figure(turns uint64, s coreclock.Sample) Figure {
	if missing := l.missing(); len(missing) > 0 {
		return Figure{Name: l.name, Unknown: "this CPU lacks " + strings.Join(missing, ", ")}
	}
	if s.Median <= 0 {
		return Figure{Name: l.name, Unknown: "the system's clock is too coarse"}
	}
	n := float64(turns) * float64(l.each)
	return Figure{Name: l.name, Cycles: s.Median / n, Low: s.Low / n, High: s.High / n}
}

// turns is how many turns take a window: about as long as coreclock's, so that what
// reading the time takes is the same part of both.
func (l loop) turns() uint64 {
	const enough, least = 30 * time.Microsecond, 3
	for turns := uint64(256); ; turns *= 2 {
		took := make([]time.Duration, least)
		for i := range took {
			start := time.Now()
			l.run(turns)
			took[i] = time.Since(start)
		}
		if slices.Min(took) >= enough || turns >= 1<<20 {
			return turns
		}
	}
}

func (f Figures) find(name string) Figure {
	for _, figure := range f {
		if figure.Name == name {
			return figure
		}
	}
	return Figure{Name: name, Unknown: "no loop measures it"}
}
