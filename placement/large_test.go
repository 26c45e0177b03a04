package placement_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// large is a machine of as many CPUs as the kernel is ever built for: so many nodes, cores in a
// complex, and CPUs of a core.
func large(nodes, cores, threads int) *spec {
	s := &spec{}
	for i := range nodes {
		n := specNode{ID: i, FreeKiB: (256 << 30) / uint64(nodes)}
		for j := range nodes {
			n.Distances = append(n.Distances, 10+10*min(1, max(i-j, j-i)))
		}
		s.Nodes = append(s.Nodes, n)
	}
	all := topology.MaxCPUs / threads
	for first := 0; first < all; first += cores {
		c := specComplex{Node: first * nodes / all}
		for core := first; core < first+cores; core++ {
			var cpus []topology.CPU
			for thread := range threads {
				cpus = append(cpus, topology.CPU(core+thread*all))
			}
			c.Cores = append(c.Cores, specCore{CPUs: cpus})
		}
		s.Complexes = append(s.Complexes, c)
	}
	return s
}

// BenchmarkLarge reads machines of 8,192 CPUs, and plans for them, from the choice of how many fit to where each goes.
func BenchmarkLarge(b *testing.B) {
	for name, s := range map[string]*spec{
		"one-node":          large(1, 8, 1),
		"eight-nodes-smt":   large(8, 8, 2),
		"own-complexes":     large(8, 1, 1),
		"own-complexes-smt": large(64, 1, 2),
	} {
		path := filepath.Join(b.TempDir(), "machine")
		if err := os.WriteFile(path, []byte(s.dump()), 0o666); err != nil {
			b.Fatal(err)
		}
		m, err := topology.ReadDump(path)
		if err != nil || m.CPUs().Len() != topology.MaxCPUs {
			b.Fatalf("%s: %v", name, err)
		}
		b.Run(name+"/read", func(b *testing.B) {
			for b.Loop() {
				if _, err := topology.ReadDump(path); err != nil {
					b.Fatal(err)
				}
			}
		})
		q := placement.Request{SectorSize: 32 * gib, Producers: 1, FewerProducers: true}
		b.Run(name+"/room", func(b *testing.B) {
			for b.Loop() {
				if n, err := placement.Room(m, placement.Reserved{}, q); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(name+"/plan", func(b *testing.B) {
			for b.Loop() {
				if p, err := placement.New(m, placement.Reserved{}, q); err != nil || !p.Fits() {
					b.Fatal(err)
				}
			}
		})
	}
}
