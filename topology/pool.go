package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A MemoryPool is memory that is given out together: what a NUMA node has of
// ordinary memory, which is in no pool of huge pages, or its huge pages of one size.
type MemoryPool struct {
	NUMANode NUMANodeID
	PageSize uint64 // bytes of a huge page, or 0 for ordinary memory
}

// SortedPools are the keys of a map, by NUMA node, and on each by the size of pages.
func SortedPools[V any](of map[MemoryPool]V) []MemoryPool {
	return slices.SortedFunc(maps.Keys(of), func(a, b MemoryPool) int {
		return cmp.Or(cmp.Compare(a.NUMANode, b.NUMANode), cmp.Compare(a.PageSize, b.PageSize))
	})
}

// FreeMemory is how many bytes each pool could give when the machine was read, of the
// nodes chosen whose memory this process may use.
func (m *Machine) FreeMemory(which MemoryNodes) map[MemoryPool]uint64 {
	free := map[MemoryPool]uint64{}
	for i := range m.nodes {
		node := &m.nodes[i]
		if !m.chosen(which, node) {
			continue
		}
		free[MemoryPool{NUMANode: node.ID}] = node.MemoryAvailable
		for _, p := range node.HugePages {
			if p.Size > 0 && p.Free <= ^uint64(0)/p.Size {
				free[MemoryPool{node.ID, p.Size}] = p.Free * p.Size
			}
		}
	}
	return free
}

// Unused is the machine as if nobody used any of its memory, which is more than there will ever be.
func (m *Machine) Unused() *Machine {
	u := *m
	u.nodes = slices.Clone(m.nodes)
	for i := range u.nodes {
		node := &u.nodes[i]
		ordinary := node.MemoryTotal
		node.HugePages = slices.Clone(node.HugePages)
		for j := range node.HugePages {
			p := &node.HugePages[j]
			p.Free = max(p.Free, p.Total)
			ordinary -= min(ordinary, p.Free*p.Size)
		}
		node.MemoryFree, node.MemoryAvailable = max(node.MemoryFree, ordinary), max(node.MemoryAvailable, ordinary)
	}
	return &u
}

// CoreNumber names a core by the lowest of its CPUs that are online, given any of
// them.
func (m *Machine) CoreNumber(cpu CPU) (CPU, bool) {
	i, ok := m.coreOf[cpu]
	if !ok {
		return 0, false
	}
	return m.cores[i].CPUs[0], true
}

// SizeText writes a number of bytes for people, in binary units and rounded:
// "64.25 GiB".
func SizeText(bytes uint64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if u := uint64(1) << (40 - 10*i); bytes >= u {
			text := strings.TrimRight(fmt.Sprintf("%.2f", float64(bytes)/float64(u)), "0")
			return strings.TrimSuffix(text, ".") + " " + unit
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}
