package placement_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// snc is a package whose L3 spans two NUMA nodes, as with Intel's sub-NUMA clusters: nodes with
// memory for so many GiB each, of four cores each with a sibling, numbered in one run.
func snc(gib ...uint64) *spec {
	s := server(gib...)
	s.Complexes = []specComplex{{}}
	for i := range topology.CPU(8) {
		s.Complexes[0].Cores = append(s.Complexes[0].Cores, specCore{CPUs: cpus(i, i+8), Beside: int(i / 4)})
	}
	return s
}

// TestComplexOnSeveralNodes: hashers are where their memory is, and producers beside them, whatever the
// numbers of the cores.
func TestComplexOnSeveralNodes(t *testing.T) {
	q := func(sectors, producers int, policy placement.Policy) placement.Request {
		return placement.Request{Sectors: sectors, SectorSize: 32 * gib, Producers: producers, Policy: policy, SMT: placement.IdleSiblings}
	}
	for _, test := range []struct {
		name    string
		machine *spec
		q       placement.Request
		want    []string
	}{
		{"spread", snc(300, 300), q(4, 1, placement.Spread), []string{
			"1x 0 [3] complex 0 cores [0 3]: 64.25 on 0", "1x 4 [7] complex 0 cores [4 7]: 64.25 on 1",
			"1x 1 [2] complex 0 cores [1 2]: 64.25 on 0", "1x 5 [6] complex 0 cores [5 6]: 64.25 on 1",
		}},
		{"packed until the memory is full", snc(130, 300), q(3, 1, placement.Pack), []string{
			"1x 0 [3] complex 0 cores [0 3]: 64.25 on 0", "1x 1 [2] complex 0 cores [1 2]: 64.25 on 0", "1x 4 [7] complex 0 cores [4 7]: 64.25 on 1",
		}},
		// Producers are far from their hashers where memory leaves no other way.
		{"memory on one node", snc(10, 300), q(4, 1, placement.Spread), []string{
			"1x 4 [3] complex 0 cores [3 4]: 64.25 on 1", "1x 5 [2] complex 0 cores [2 5]: 64.25 on 1",
			"1x 6 [1] complex 0 cores [1 6]: 64.25 on 1", "1x 7 [0] complex 0 cores [0 7]: 64.25 on 1",
		}},
		// What one complex takes of a node, another has no other place for: the first job must leave
		// node 0 to the second one, whose complex has no core elsewhere.
		{"a node that two complexes share", &spec{
			Nodes: []specNode{{FreeKiB: 70 << 20, Distances: []int{10, 20}}, {ID: 1, FreeKiB: 70 << 20, Distances: []int{20, 10}}},
			Complexes: []specComplex{
				{Cores: []specCore{{CPUs: cpus(0)}, {CPUs: cpus(1), Beside: 1}, {CPUs: cpus(2), Beside: 1}}},
				{Cores: []specCore{{CPUs: cpus(3)}, {CPUs: cpus(4)}}},
			},
		}, q(2, 1, placement.Spread), []string{
			"1x 1 [2] complex 0 cores [1 2]: 64.25 on 1", "1x 3 [4] complex 1 cores [3 4]: 64.25 on 0",
		}},
	} {
		m := test.machine.read(t, t.TempDir())
		p := newPlan(t, m, test.q)
		verify(t, m, placement.Reserved{}, p)
		if got := lines(p); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestLocal: if there is a way to have all memory on the hashers' own nodes, which trying all ways says, the
// plan is one.
func TestLocal(t *testing.T) { localPlans(t) }

func TestLocalOften(t *testing.T) {
	testkit.NeedsLong(t, "thousands of machines")
	for range 25 {
		localPlans(t)
	}
}

func localPlans(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := &spec{}
		nodes := rapid.IntRange(2, 3).Draw(t, "nodes")
		distances := [][]int{{10, 21, 31}, {21, 10, 21}, {31, 21, 10}}
		for i := range nodes {
			// Memory is scarce: for about so many sectors of 1 GiB in two layers, and what a job takes besides.
			jobs := rapid.Uint64Range(0, 3).Draw(t, "jobs")
			n := specNode{ID: i, FreeKiB: jobs<<21 + rapid.Uint64Range(0, 4).Draw(t, "besides")<<18, Distances: distances[i][:nodes]}
			if rapid.IntRange(0, 3).Draw(t, "has huge pages") == 0 {
				n.Huge = map[uint64]uint64{1 << 20: rapid.Uint64Range(0, 5).Draw(t, "huge pages")}
			}
			s.Nodes = append(s.Nodes, n)
		}
		cores := 0
		for range rapid.IntRange(1, 3).Draw(t, "complexes") {
			c := specComplex{Node: rapid.IntRange(0, nodes-1).Draw(t, "node")}
			for range min(7-cores, rapid.IntRange(1, 4).Draw(t, "cores")) {
				core := specCore{CPUs: cpus(topology.CPU(2 * cores)), Beside: rapid.IntRange(0, nodes-1).Draw(t, "beside"), Efficiency: rapid.IntRange(0, 3).Draw(t, "efficiency") == 0}
				if rapid.Bool().Draw(t, "sibling") {
					core.CPUs = append(core.CPUs, topology.CPU(2*cores+1))
				}
				c.Cores = append(c.Cores, core)
				cores++
			}
			if len(c.Cores) > 0 {
				s.Complexes = append(s.Complexes, c)
			}
		}
		m := s.read(t, dir)
		q := placement.Request{
			Sectors: rapid.IntRange(1, 5).Draw(t, "sectors"), SectorSize: gib, Lanes: rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "lanes"),
			Producers: rapid.IntRange(0, 3).Draw(t, "producers"),
			Policy:    rapid.SampledFrom([]placement.Policy{placement.Spread, placement.Pack}).Draw(t, "policy"),
			PageSize:  rapid.SampledFrom([]uint64{placement.AnyPages, placement.AnyPages, placement.OrdinaryPages, gib}).Draw(t, "page size"),
		}
		if rapid.IntRange(0, 2).Draw(t, "shared producers") == 0 {
			q.Producers = 1
			q.HashersPerProducer = rapid.SampledFrom(q.Sharing(m)).Draw(t, "hashers for each producer")
		}
		p := plan(t, m, placement.Reserved{}, q)
		verify(t, m, placement.Reserved{}, p)
		far := false
		for _, j := range p.Jobs {
			for _, share := range j.Memory {
				far = far || share.Pool.NUMANode != j.NUMANode
			}
		}
		if far {
			if way := localWay(m, p); way != nil {
				t.Errorf("memory is far in %q; with hashers %v none would be", lines(p), way)
			}
		}
	})
}

// localWay tries all ways to choose as many hashers as a plan has jobs, and is the first whose cores are enough for
// all producers and whose memory is all local.
func localWay(m *topology.Machine, p *placement.Plan) []topology.CPU {
	cores := m.Cores()
	free := m.FreeMemory(topology.MemoryNodes{})
	q := p.Request
	layers := 2 * q.SectorSize
	enough := func(node topology.NUMANodeID, jobs, sectors uint64) bool {
		ordinary, huge := free[topology.MemoryPool{NUMANode: node}], free[topology.MemoryPool{NUMANode: node, PageSize: gib}]
		if q.PageSize == placement.OrdinaryPages {
			huge = 0
		}
		rest := sectors*layers - min(sectors*layers, huge)
		if q.PageSize == gib && rest > 0 {
			return false
		}
		return jobs*q.JobOverhead()+rest <= ordinary
	}
	for set := range 1 << len(cores) {
		var hashers []topology.CPU
		on := map[topology.NUMANodeID]uint64{}
		want := make([]int, len(cores)) // CPUs more, of each hasher
		for i, core := range cores {
			if set>>i&1 == 1 {
				hashers = append(hashers, core.CPUs[0])
				on[m.NUMANodes()[core.NUMANode].ID]++
				want[i] = max(0, 1+q.Producers-len(core.CPUs))
			}
		}
		if len(hashers) != len(p.Jobs) {
			continue
		}
		if n := q.HashersPerProducer; n > 1 && !canShare(m, set, n) || n == 1 && !canProduce(cores, set, 0, want) {
			continue
		}
		// The last job, which may have fewer sectors, is on any of the nodes.
		short := uint64(len(p.Jobs)*q.Lanes - p.Sectors)
		for last := range on {
			all := true
			for node, jobs := range on {
				sectors := jobs * uint64(q.Lanes)
				if node == last {
					sectors -= short
				}
				all = all && enough(node, jobs, sectors)
			}
			if all {
				return hashers
			}
		}
	}
	return nil
}

// canShare reports whether each complex has cores left for producers of so many hashers each.
func canShare(m *topology.Machine, hash, hashers int) bool {
	for _, c := range m.Complexes() {
		jobs := 0
		for _, i := range c.Cores {
			jobs += hash >> i & 1
		}
		if producers := float64(jobs) / float64(hashers); math.Ceil(producers) > float64(len(c.Cores)-jobs) {
			return false
		}
	}
	return true
}

// canProduce gives cores that do not hash, from one on, to each of the hashers in turn.
func canProduce(cores []topology.Core, hash, from int, want []int) bool {
	if !slices.ContainsFunc(want, func(n int) bool { return n > 0 }) {
		return true
	}
	if from == len(cores) {
		return false
	}
	if hash>>from&1 == 0 {
		for i := range want {
			if want[i] > 0 && cores[i].Complex == cores[from].Complex {
				want[i] -= len(cores[from].CPUs)
				ok := canProduce(cores, hash, from+1, want)
				want[i] += len(cores[from].CPUs)
				if ok {
					return true
				}
			}
		}
	}
	return canProduce(cores, hash, from+1, want)
}

// TestFewerProducers: a complex that is too small for a hasher with its producers has one with fewer, and where not
// enough sectors fit, all have fewer; so does the engine seal there.
func TestFewerProducers(t *testing.T) {
	separate := &spec{Nodes: []specNode{{FreeKiB: 900 << 20, Distances: []int{10}}}} // a virtual machine, as libvirt makes them
	for i := range topology.CPU(8) {
		separate.Complexes = append(separate.Complexes, specComplex{Cores: []specCore{{CPUs: cpus(i)}}})
	}
	for _, test := range []struct {
		name             string
		machine          *spec
		sectors, want    int
		asked, producers int
	}{
		{"a complex for each CPU", separate, placement.Max, 8, 1, 1},
		{"so many", separate, 5, 8, 1, 1},
		{"small complexes", server(900, 900), placement.Max, 4, 5, 5},
		{"too many for their producers", server(900, 900), 6, 8, 2, 1},
		{"too many at all", server(900, 900), 9, 8, 2, 1},
	} {
		m := test.machine.read(t, t.TempDir())
		q := placement.Request{Sectors: test.sectors, SectorSize: 32 * gib, Producers: test.asked, FewerProducers: true}
		p := newPlan(t, m, q)
		verify(t, m, placement.Reserved{}, p)
		if p.Max != test.want || p.Request.Producers != test.producers {
			t.Errorf("%s: %d fit with %d producers each, want %d and %d: %q", test.name, p.Max, p.Request.Producers, test.want, test.producers, lines(p))
		}
	}
	q := placement.Request{Sectors: 1, SectorSize: 32 * gib, Producers: 1}
	if p := newPlan(t, separate.read(t, t.TempDir()), q); p.Max != 0 {
		t.Errorf("all or nothing: %q", lines(p))
	}
}

func newPlan(t *testing.T, m *topology.Machine, q placement.Request) *placement.Plan {
	t.Helper()
	p, err := placement.New(m, placement.Reserved{}, q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCoresOfNoNode: cores whose own node is offline hash after those that have memory beside them, whatever their
// numbers, and then with the memory that there is.
func TestCoresOfNoNode(t *testing.T) {
	s := &spec{Nodes: []specNode{{ID: 1, FreeKiB: 300 << 20, Distances: []int{10}}}}
	for _, odd := range []topology.CPU{0, 1} { // as two packages have their CPUs, in turn
		c := specComplex{}
		for cpu := 4 + odd; cpu < 12; cpu += 2 {
			c.Cores = append(c.Cores, specCore{CPUs: cpus(cpu)})
		}
		s.Complexes = append(s.Complexes, c)
	}
	text := strings.Replace(s.dump(), "cpulist = 4-11", "cpulist = 5,7,9,11", 1)
	path := filepath.Join(t.TempDir(), "machine")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := topology.ReadDump(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range []placement.Policy{placement.Spread, placement.Pack} {
		for sectors, want := range map[int][]topology.CPU{1: {5}, 2: {5, 7}, 3: {5, 7, 4}} {
			p := newPlan(t, m, placement.Request{Sectors: sectors, SectorSize: 32 * gib, Producers: 1, Policy: policy})
			verify(t, m, placement.Reserved{}, p)
			var got []topology.CPU
			for _, j := range p.Jobs {
				got = append(got, j.Hasher)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, %d sectors: hashers %d, want %d", policy, sectors, got, want)
			}
		}
	}
}

// TestHeldBeside: of complexes with as many free cores, the one of which others hold fewer is used first, also where that is
// all in which they differ.
func TestHeldBeside(t *testing.T) {
	s := &spec{Nodes: []specNode{{FreeKiB: 300 << 20, Distances: []int{10}}}, Complexes: []specComplex{
		{Cores: []specCore{{CPUs: cpus(0)}, {CPUs: cpus(1)}, {CPUs: cpus(2)}}},
		{Cores: []specCore{{CPUs: cpus(3)}, {CPUs: cpus(4)}}},
	}}
	m := s.read(t, t.TempDir())
	reserved := placement.Reserved{Cores: cpus(0)}
	p, err := placement.New(m, reserved, placement.Request{Sectors: 1, SectorSize: 32 * gib, Producers: 1})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, m, reserved, p)
	if len(p.Jobs) != 1 || p.Jobs[0].Hasher != 3 {
		t.Errorf("%q, want CPU 3 to hash", lines(p))
	}
}
