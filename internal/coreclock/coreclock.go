// Package coreclock measures the clock of the core that the caller runs on, so
// that a time can be told in cycles.
package coreclock

import (
	"cmp"
	"slices"
	"time"
)

// A link is one addition and one exclusive or, each waiting for the one before:
// two cycles on every core we know of. Both are between registers. So there is
// no immediate that the core could fold away while it renames registers, no
// multiplication or rotation whose latency differs from core to core, and
// nothing for the arm64 compiler to fuse, as it fuses a rotation with an
// exclusive or into one instruction of one or two cycles.
const cyclesPerLink = 2

const (
	links   = 1 << 17 // in a window: about 70 µs at 4 GHz, too short for most interruptions
	windows = 256
)

// Measure returns the clock in Hz, 0 where the system's clock is too coarse to
// tell. It takes about 20 ms on a
// core that is free. It is the fastest of many short windows, since a
// window that was interrupted, or that the core still sped up in, only seems
// slower. Under an emulator it is the speed of the emulation.
func Measure() float64 {
	x := uint64(time.Now().UnixNano()) // nothing that the compiler knows
	a, b := x|1, x>>1|1
	var best time.Duration
	for range windows {
		start := time.Now()
		x = chain(x, a, b, links)
		if d := time.Since(start); d > 0 && (d < best || best == 0) {
			best = d
		}
	}
	if best == 0 {
		return 0
	}
	return links * cyclesPerLink / best.Seconds()
}

// A Sample is how many cycles something takes, as many windows say: their median
// and quartiles, and the median of the clock meanwhile. All are 0 where the
// system's clock is too coarse to tell.
type Sample struct {
	Median, Low, High float64 // cycles
	Hz                float64
}

// Cycles returns how long f takes. It calls f in so many windows, each right after one
// of the chain, 33 µs at 4 GHz, whose clock is taken for both: so the clock may change
// on the way. f should take 20 µs or more, and much less than a scheduler's slice,
// some milliseconds: what else runs on the core in between then spoils few windows,
// which a median does not see.
func Cycles(windows int, f func()) Sample {
	const links = 1 << 16
	x := uint64(time.Now().UnixNano())
	a, b := x|1, x>>1|1
	var cycles, clocks []float64
	for range windows {
		start := time.Now()
		x = chain(x, a, b, links)
		middle := time.Now()
		f()
		end := time.Now()
		if d := middle.Sub(start).Seconds(); d > 0 {
			clock := links * cyclesPerLink / d
			clocks = append(clocks, clock)
			cycles = append(cycles, end.Sub(middle).Seconds()*clock)
		}
	}
	if len(cycles) == 0 {
		return Sample{}
	}
	slices.Sort(cycles)
	slices.Sort(clocks)
	n := len(cycles)
	return Sample{Median: cycles[n/2], Low: cycles[n/4], High: cycles[n-1-n/4], Hz: clocks[n/2]}
}

// Middle returns the sample whose median is the median of theirs. What disturbs a core
// for longer than a few windows, such as another program on the same core's units,
// spoils one of several samples that were taken at other times. Of no sample, it is
// the zero Sample.
func Middle(samples []Sample) Sample {
	if len(samples) == 0 {
		return Sample{}
	}
	sorted := slices.SortedFunc(slices.Values(samples), func(a, b Sample) int { return cmp.Compare(a.Median, b.Median) })
	return sorted[len(sorted)/2]
}

// chain does n links, n a multiple of 32; the loop's own instructions run beside
// them. Not inlined, it is called even though nobody wants its last value.
//
//go:noinline
func chain(x, a, b uint64, n int) uint64 {
	for ; n > 0; n -= 32 {
		x = link8(x, a, b)
		x = link8(x, a, b)
		x = link8(x, a, b)
		x = link8(x, a, b)
	}
	return x
}

func link8(x, a, b uint64) uint64 {
	x = (x + a) ^ b
	x = (x + a) ^ b
	x = (x + a) ^ b
	x = (x + a) ^ b
	x = (x + a) ^ b
	x = (x + a) ^ b
	x = (x + a) ^ b
	return (x + a) ^ b
}
