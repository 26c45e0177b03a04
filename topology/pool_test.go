package topology

import (
	"path/filepath"
	"testing"
)

// A machine that nobody uses has at least what is free, and no more than all; the one it is made of stays.
func TestUnused(t *testing.T) {
	dumps, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(dumps) == 0 {
		t.Fatal(dumps, err)
	}
	for _, dump := range dumps {
		m, err := ReadDump(dump)
		if err != nil {
			continue // one that is to be refused
		}
		before, after := m.FreeMemory(MemoryNodes{}), m.Unused().FreeMemory(MemoryNodes{})
		huge := map[NUMANodeID]uint64{}
		for pool, bytes := range after {
			if bytes < before[pool] {
				t.Errorf("%s: %+v has %d bytes, want the %d that are free, or more", dump, pool, bytes, before[pool])
			}
			if pool.PageSize > 0 {
				huge[pool.NUMANode] += bytes
			}
		}
		for _, n := range m.NUMANodes() {
			pool := MemoryPool{NUMANode: n.ID}
			if all := after[pool] + huge[n.ID]; all > max(n.MemoryTotal, before[pool]+huge[n.ID]) {
				t.Errorf("%s: node %d has %d bytes, want its %d at most", dump, n.ID, all, n.MemoryTotal)
			}
		}
		for pool, bytes := range m.FreeMemory(MemoryNodes{}) {
			if bytes != before[pool] {
				t.Errorf("%s: %+v had %d bytes, and has %d", dump, pool, before[pool], bytes)
			}
		}
	}
}
