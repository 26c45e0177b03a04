package engine

import (
	"math"
	"time"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// TimeKernels is, for each kernel that runs here, the time in nanoseconds that it
// takes for a node with all its lanes, on this core: what it takes with all parents in
// the cache, and a share for memory. It is for Config.Cycles, where no profile has better. Which kernel is the best depends on
// how often a processor can start its SHA instructions, which no list of its
// features tells. It takes some milliseconds.
func TimeKernels() map[string]float64 {
	const nodes, passes = 64, 5
	parents := make([]uint32, nodes*porep.Degree)
	for node := 1; node < nodes; node++ {
		row := parents[node*porep.Degree:][:porep.Degree]
		for slot := range row {
			row[slot] = uint32(node * (slot + 1) / (porep.Degree + 1)) // of nodes before, or any
		}
		row[0] = uint32(node - 1)
	}
	times := map[string]float64{}
	for _, k := range sha256.Kernels() {
		if !k.Usable() {
			continue
		}
		l := sha256.Layer{
			ReplicaIDs: make([][32]byte, k.Lanes),
			Number:     2,
			Labels:     alignedBuffer(nodes * k.Stride()),
			Key:        alignedBuffer(nodes * k.Stride()),
		}
		rows := sha256.NewRows(nodes)
		run := sha256.Run{ReplicaIDs: l.ReplicaIDs, Layer: l.Number, First: 1, Out: l.Labels[k.Stride():], Rows: rows.Slice(1, nodes)}
		if rows.Locate(k, &l, parents) != nil {
			continue // cannot be: everything is in place
		}
		var best time.Duration
		for range passes {
			began := time.Now()
			if k.LabelRun(&run) != nil {
				break
			}
			// The shortest: a pass that was interrupted only seems slow.
			if took := time.Since(began); best == 0 || took < best {
				best = took
			}
		}
		if best > 0 {
			times[k.Name] = float64(best) / (nodes - 1)
		}
	}
	fastest := math.Inf(1)
	for _, took := range times {
		fastest = min(fastest, took)
	}
	for name := range times {
		times[name] += memoryShare * fastest
	}
	return times
}

// memoryShare is what getting at a node's parents takes, as a share of what the fastest
// kernel takes for a node: on Zen 3, some 1,000 cycles of 2,500. It is much the same for
// a few lanes as for many, which share the pages that the parents lie in.
const memoryShare = 0.4

// alignedBuffer is memory that every kernel takes: none wants more than a page's alignment.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+linux.DirectAlign)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (linux.DirectAlign - 1)
	return b[skip:][:n:n]
}
