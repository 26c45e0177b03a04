package engine

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A batch is sectors that a hasher labels in lock-step.
type batch struct {
	kernel  *sha256.Kernel
	sectors []int // indices into Config.Sectors; fewer than the kernel's lanes leave lanes empty
}

// typicalCycles are a node's, all lanes together, as measured on AMD Zen 3 and 5 (of
// avx512/8: on Intel Emerald Rapids) and, for the ones without such a machine,
// estimated from their instructions. They matter only against each other.
var typicalCycles = map[string]float64{
	"sha-ni/1":  2_600,
	"sha-ni/2":  2 * 1_400,
	"sha-ni/4":  4 * 1_450,
	"sha-ni/8":  8 * 1_390,
	"sha-ni/16": 16 * 1_360,
	"avx512/8":  8 * 1_250,
	"avx512/16": 16 * 600,
	"avx512/32": 32 * 460,
	"avx2/8":    8 * 1_800,
	"armv8/1":   2_600,
	"armv8/2":   2 * 1_500,
	"generic/1": 20_000,
}

// CyclesByKernel are a node's, all lanes together, by kernel: for every kernel that there is, whichever
// this machine can run, as measured on AMD Zen 3 and 5 and on Intel Emerald Rapids, or estimated.
func CyclesByKernel() map[string]float64 { return maps.Clone(typicalCycles) }

// ParentsCycles are what parents cost for each node, whichever kernel hashes: they count where
// no core is left for their producers.
const ParentsCycles = 450

// StagingCycles are what a producer takes besides, for each node of each of its hashers with so many lanes: where
// the labels of its parents lie, and getting them close. On Intel Emerald Rapids at 2.6 to 2.9 GHz, 2026-11-30, the
// threads that produced took 1,130 cycles of the CPU a node for one lane, and 2,100 for four, parents included:
// bench --hashers 1 --window 8s, the same with --sectors 4.
func StagingCycles(lanes int) float64 { return 350 + 330*float64(lanes) }

// maxCycles keeps their sum, over all sectors, a number.
const maxCycles = 1e100

func (c *Config) cycles(k *sha256.Kernel) float64 {
	if n, ok := c.Cycles[k.Name]; ok && n > 0 && n < maxCycles {
		return n
	}
	return typicalOf(k)
}

func typicalOf(k *sha256.Kernel) float64 {
	if n, ok := typicalCycles[k.Name]; ok {
		return n
	}
	return 20_000 * float64(k.Lanes)
}

// split shares the sectors out: to hashers evenly, and on each to the kernels
// that take the fewest cycles for so many, batch after batch.
func (c *Config) split() [][]batch {
	hashers := make([][]batch, max(0, min(c.Hashers, len(c.Sectors))))
	next := 0
	for h := range hashers {
		n := len(c.Sectors) / c.Hashers
		if h < len(c.Sectors)%c.Hashers {
			n++
		}
		for _, k := range c.kernelsFor(n) {
			lanes := min(k.Lanes, n)
			b := batch{kernel: k}
			for range lanes {
				b.sectors = append(b.sectors, next)
				next++
			}
			hashers[h] = append(hashers[h], b)
			n -= lanes
		}
	}
	return hashers
}

// A Split is what a plan needs to know of who labels what, before there are places and
// cache dirs.
type Split struct {
	// Lanes is how many lanes, empty ones too, a hasher has in memory at a time, at most.
	Lanes int
	// Cycles is, for the hasher that has most to do, the core cycles for a node of each
	// of its batches: by it, kernels and numbers of hashers compare.
	Cycles float64
}

// Split shares so many sectors out to so many hashers. It resolves nothing: of c, only the
// kernel and Cycles count.
func (c Config) Split(hashers, sectors int) (s Split) {
	c.Hashers, c.Sectors = hashers, make([]Sector, max(0, sectors))
	for _, batches := range c.split() {
		var cycles float64
		for _, b := range batches {
			s.Lanes = max(s.Lanes, b.kernel.Lanes)
			cycles += c.cycles(b.kernel)
		}
		s.Cycles = max(s.Cycles, cycles)
	}
	return s
}

// noise is by how much cycles that were measured may be less than those of the typical
// choice, as a share, without that being a reason to choose otherwise: so much and more do
// measurements of the same kernel differ on a machine with something else to do.
const noise = 1. / 16

// fitsLanes reports whether a kernel may label so many sectors without being asked for: one
// sector takes the memory of its own lane alone, and several that of fewer empty lanes than
// there are sectors. Without those, 15 sectors would take twice as long as 16.
func fitsLanes(k *sha256.Kernel, sectors int) bool { return k.Lanes < 2*sectors }

// kernelsFor is which kernels, one a batch, label n sectors in the fewest cycles: the
// typical choice, unless what was measured says clearly that another is better.
func (c *Config) kernelsFor(n int) []*sha256.Kernel {
	var candidates []*sha256.Kernel
	if c.Kernel != "" {
		k, err := sha256.ByName(c.Kernel)
		if err != nil {
			return nil // Validate says so
		}
		return slices.Repeat([]*sha256.Kernel{k}, roundup.Div(n, k.Lanes))
	}
	for _, k := range sha256.Kernels() {
		if k.Usable() && fitsLanes(k, n) {
			candidates = append(candidates, k)
		}
	}
	typical := fewest(candidates, n, typicalOf)
	if len(c.Cycles) == 0 {
		return typical
	}
	best := fewest(candidates, n, c.cycles)
	if total(best, c.cycles) < (1-noise)*total(typical, c.cycles) {
		return best
	}
	return typical
}

// fewest is which of the candidates, one a batch, label n sectors in the fewest cycles.
func fewest(candidates []*sha256.Kernel, n int, cycles func(*sha256.Kernel) float64) (chosen []*sha256.Kernel) {
	type choice struct {
		cycles float64
		kernel *sha256.Kernel
	}
	best := make([]choice, n+1) // by how many sectors are left
	for left := 1; left <= n; left++ {
		best[left].cycles = math.Inf(1)
		for _, k := range candidates {
			if !fitsLanes(k, left) {
				continue
			}
			if total := cycles(k) + best[max(0, left-k.Lanes)].cycles; total < best[left].cycles {
				best[left] = choice{total, k}
			}
		}
	}
	for left := n; left > 0; left -= min(left, best[left].kernel.Lanes) {
		chosen = append(chosen, best[left].kernel)
	}
	return chosen
}

func total(batches []*sha256.Kernel, cycles func(*sha256.Kernel) float64) (sum float64) {
	for _, k := range batches {
		sum += cycles(k)
	}
	return sum
}

// sizeText is topology.SizeText, with the bytes where those are rounded.
func sizeText(n uint64) string {
	unit := uint64(1) << (10 * min(4, (bits.Len64(n)-1)/10))
	if n%unit == 0 {
		return topology.SizeText(n)
	}
	return fmt.Sprintf("%s (%d bytes)", topology.SizeText(n), n)
}
