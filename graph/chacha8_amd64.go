//go:build !purego

package graph

import "github.com/klauspost/cpuid/v2"

// The features stand above the assembly.
//
// AVX-512 was tried, with 16 nodes at a time: 30 cycles a node instead of 50, of
// several hundred that a node takes, which was not worth a second kernel.
var (
	needAVX2 = []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2}
	useAVX2  = cpuid.CPU.Supports(needAVX2...)
)

// vectorMin is the number of nodes from which on it is faster to fill all lanes.
const vectorMin = 3

// Kernel names the implementation of ChaCha8 that runs on this machine: "avx2"
// or "generic".
func Kernel() string {
	if useAVX2 {
		return "avx2"
	}
	return "generic"
}

// draw is drawGeneric, or the same by other means.
func (c *chacha8) draw(d *draws, first uint32, count int) {
	if useAVX2 && count >= vectorMin {
		drawAVX2(d, c, first)
		return
	}
	c.drawGeneric(d, first, count)
}

// drawAVX2 writes the draws of the nodes from first on to all lanes.
//
//go:noescape
func drawAVX2(d *draws, c *chacha8, first uint32)
