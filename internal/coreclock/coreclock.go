// Package coreclock measures the clock of the core that the caller runs on, so
// that a time can be told in cycles.
package coreclock

import "time"

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
