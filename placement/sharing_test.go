package placement_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// oneComplex is a machine of one core complex, of so many cores, each with so many CPUs.
func oneComplex(cores, threads int) *spec {
	s := &spec{Nodes: []specNode{{FreeKiB: 2000 << 20, Distances: []int{10}}}, Complexes: []specComplex{{}}}
	for i := range cores {
		core := specCore{}
		for n := range threads {
			core.CPUs = append(core.CPUs, topology.CPU(i+n*cores))
		}
		s.Complexes[0].Cores = append(s.Complexes[0].Cores, core)
	}
	return s
}

// TestHashersPerProducer: one producer's core for several hashers, in their complex and on their node.
func TestHashersPerProducer(t *testing.T) {
	for _, test := range []struct {
		name                       string
		machine                    *spec
		sectors, hashers           int // for each producer
		fewer                      bool
		max, producers, perComplex int
		want                       []string // hasher, producers, cores; not looked at where it is nil
	}{
		// 8 cores: 7 hash and one produces, where with a producer for each only 4 would.
		{"all but one", oneComplex(8, 1), placement.Max, 7, false, 7, 1, 1, []string{
			"1x 0 [7] complex 0 cores [0 7]: 64.25 on 0", "1x 1 [7] complex 0 cores [1]: 64.25 on 0", "1x 2 [7] complex 0 cores [2]: 64.25 on 0",
			"1x 3 [7] complex 0 cores [3]: 64.25 on 0", "1x 4 [7] complex 0 cores [4]: 64.25 on 0", "1x 5 [7] complex 0 cores [5]: 64.25 on 0", "1x 6 [7] complex 0 cores [6]: 64.25 on 0",
		}},
		// 6 hashers need two producers of 4: three each, not four and two.
		{"evenly", oneComplex(8, 1), placement.Max, 4, false, 6, 1, 2, []string{
			"1x 0 [7] complex 0 cores [0 7]: 64.25 on 0", "1x 1 [7] complex 0 cores [1]: 64.25 on 0", "1x 2 [7] complex 0 cores [2]: 64.25 on 0",
			"1x 3 [6] complex 0 cores [3 6]: 64.25 on 0", "1x 4 [6] complex 0 cores [4]: 64.25 on 0", "1x 5 [6] complex 0 cores [5]: 64.25 on 0",
		}},
		// Siblings idle: a producer on one would slow down one of the hashers that wait for each other's parents.
		{"siblings", oneComplex(4, 2), placement.Max, 3, false, 3, 1, 1, []string{
			"1x 0 [3] complex 0 cores [0 3]: 64.25 on 0", "1x 1 [3] complex 0 cores [1]: 64.25 on 0", "1x 2 [3] complex 0 cores [2]: 64.25 on 0",
		}},
		// Complexes of two cores: one hashes, whatever a producer could do besides.
		{"complexes of two", server(900, 900), placement.Max, 2, false, 4, 1, 4, nil},
		// All memory is local, and so is what each producer brings: two producers, although one would do for four.
		{"nodes in a complex", snc(300, 300), 4, 4, false, 6, 1, 2, []string{
			"1x 0 [3] complex 0 cores [0 3]: 64.25 on 0", "1x 4 [7] complex 0 cores [4 7]: 64.25 on 1",
			"1x 1 [3] complex 0 cores [1]: 64.25 on 0", "1x 5 [7] complex 0 cores [5]: 64.25 on 1",
		}},
		// 7 of 8 cores hash, which leaves one producer for both nodes: it is on that of the first.
		{"a producer for two nodes", snc(300, 300), 7, 8, false, 7, 1, 1, nil},
		// As many hashers as cores: their producer has none of its own if it need not.
		{"none left", oneComplex(8, 1), 8, 8, true, 8, 0, 0, nil},
		{"none left, and it must", oneComplex(8, 1), 8, 8, false, 7, 1, 1, nil},
		{"a core", oneComplex(1, 1), placement.Max, 1, true, 1, 1, 0, nil},
	} {
		m := test.machine.read(t, t.TempDir())
		p := newPlan(t, m, placement.Request{
			Sectors: test.sectors, SectorSize: 32 * gib, Producers: 1, HashersPerProducer: test.hashers, FewerProducers: test.fewer,
		})
		verify(t, m, placement.Reserved{}, p)
		producers := map[topology.CPU]bool{}
		for _, j := range p.Jobs {
			for _, cpu := range j.Producers {
				producers[cpu] = true
			}
		}
		if p.Max != test.max || p.Request.Producers != test.producers || len(producers) != test.perComplex {
			t.Errorf("%s: %d fit, %d CPUs produce, %d for each; want %d, %d and %d: %q", test.name, p.Max, len(producers), p.Request.Producers, test.max, test.perComplex, test.producers, lines(p))
		}
		if got := lines(p); test.want != nil && !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestSharingRefused: no number of hashers that nobody can mean.
func TestSharingRefused(t *testing.T) {
	m := server(300, 300).read(t, t.TempDir()) // complexes of two cores
	for _, test := range []struct {
		q    placement.Request
		want string
	}{
		{placement.Request{HashersPerProducer: -1}, "placement: checking request: the number of hashers for each producer is -1, want 1 or more"},
		{placement.Request{HashersPerProducer: 3}, "placement: checking request: the number of hashers for each producer is 3, want 1 to 2: the largest core complex has 2 cores that may be used"},
		{placement.Request{HashersPerProducer: 2, Producers: 2}, "placement: checking request: the number of producers for each hasher is 2, want 1 where a producer has 2 hashers"},
		{placement.Request{HashersPerProducer: 2, Policy: placement.List, Only: topology.NewCPUSet(0, 8)}, // one core, whatever CPUs it has
			"placement: checking request: the number of hashers for each producer is 2, want 1 to 1: the largest core complex has 1 core that may be used"},
	} {
		test.q.SectorSize = 32 * gib
		_, err := placement.New(m, placement.Reserved{}, test.q)
		if wrong := (*placement.RequestError)(nil); !errors.As(err, &wrong) || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// TestSharing: what is worth trying ends with all cores of the largest complex but the producer's.
func TestSharing(t *testing.T) {
	for cores, want := range map[int][]int{1: {1}, 2: {1}, 3: {1, 2}, 4: {1, 2, 3}, 8: {1, 2, 4, 7}, 9: {1, 2, 4, 8}, 16: {1, 2, 4, 8, 15}} {
		if got := new(placement.Request).Sharing(oneComplex(cores, 1).read(t, t.TempDir())); !slices.Equal(got, want) {
			t.Errorf("complexes of %d cores: %v, want %v", cores, got, want)
		}
	}
}
