package seal

import (
	"sync"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// A spot is where a goroutine of a pass works: on any CPU, or on those of one NUMA node, in
// memory of that.
type spot struct {
	machine *topology.Machine // nil: anywhere
	node    topology.NUMAIndex
}

// largePiece is from what size on it pays to read what the machine is.
const largePiece = 64 << 20

// thisMachine is the machine, or nil where that is not known.
var thisMachine = sync.OnceValue(func() *topology.Machine {
	m, err := topology.Read()
	if err != nil {
		return nil
	}
	return m
})

// spotsFor are those of so many goroutines that do a piece.
func spotsFor(n int, size porep.UnpaddedSize) []spot {
	if n == 1 || size < largePiece {
		return make([]spot, n)
	}
	return spotsOn(thisMachine(), n)
}

// spotsOn spreads goroutines over a machine's NUMA nodes, as many on each as it has CPUs for its
// share. Where there is one node, they are anywhere.
func spotsOn(m *topology.Machine, n int) []spot {
	spots := make([]spot, n)
	if m == nil {
		return spots
	}
	var cpus []int // of each NUMA node
	with := 0
	for _, node := range m.NUMANodes() {
		here := node.CPUs.Intersect(m.Allowed()).Len()
		cpus = append(cpus, here)
		with += min(here, 1)
	}
	if with < 2 {
		return spots
	}
	taken := make([]int, len(cpus))
	for i := range spots {
		best := -1
		for j := range cpus {
			// The node with the smallest part of its CPUs taken.
			if cpus[j] > 0 && (best < 0 || (taken[j]+1)*cpus[best] < (taken[best]+1)*cpus[j]) {
				best = j
			}
		}
		taken[best]++
		spots[i] = spot{m, topology.NUMAIndex(best)}
	}
	return spots
}

// enter has the calling goroutine work there, and returns memory of that place. What cannot be
// done, since CPUs have gone meanwhile, is done without.
func (s spot) enter(size int) (memory []byte, leave func()) {
	if s.machine == nil {
		return make([]byte, size), func() {}
	}
	pinned, err := topology.PinNode(s.machine, s.node)
	if err != nil {
		return make([]byte, size), func() {}
	}
	memory, err = linux.Map(size)
	if err != nil {
		return make([]byte, size), func() { _ = pinned.Release() }
	}
	for at := 0; at < size; at += linux.PageSize { // a page is where it is touched first
		memory[at] = 0
	}
	return memory, func() {
		_ = linux.Unmap(memory)
		_ = pinned.Release() // a thread that stays bound ends with its goroutine
	}
}
