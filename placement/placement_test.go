package placement_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

const gib = 1 << 30

func cpus(c ...topology.CPU) []topology.CPU { return c }

// lines writes the jobs of a plan one a line: CPUs, cores, and GiB by node.
func lines(p *placement.Plan) (lines []string) {
	for _, j := range p.Jobs {
		var memory []string
		for _, s := range j.Memory {
			text := fmt.Sprintf("%.2f on %d", float64(s.Bytes)/gib, s.Pool.NUMANode)
			if s.Pool.PageSize > 0 {
				text += fmt.Sprintf(" in %d MiB", s.Pool.PageSize>>20)
			}
			memory = append(memory, text)
		}
		lines = append(lines, fmt.Sprintf("%dx %d %v complex %d cores %v: %s", j.Sectors, j.Hasher, j.Producers, j.Complex, j.Cores, strings.Join(memory, ", ")))
	}
	return lines
}

func limitKinds(p *placement.Plan) (kinds []string) {
	for _, l := range p.Limits {
		text := string(l.Kind)
		if l.OfNode {
			text += fmt.Sprintf(" %d", l.Pool.NUMANode)
		}
		kinds = append(kinds, text)
	}
	return kinds
}

func helpTexts(p *placement.Plan) (texts []string) {
	for _, h := range p.Helps {
		texts = append(texts, fmt.Sprintf("%d: %s", h.Sectors, h.Text))
	}
	return texts
}

func TestPlan(t *testing.T) {
	q := func(sectors int, change func(*placement.Request)) placement.Request {
		q := placement.Request{Sectors: sectors, SectorSize: 32 * gib, Lanes: 1, Producers: 1}
		if change != nil {
			change(&q)
		}
		return q
	}
	pack := func(q *placement.Request) { q.Policy = placement.Pack }
	only := func(text string) func(*placement.Request) {
		return func(q *placement.Request) {
			var err error
			if q.Policy, q.Only, err = placement.ParsePolicy(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	huge := func(size uint64) func(*placement.Request) {
		return func(q *placement.Request) { q.PageSize = size }
	}
	tests := []struct {
		name     string
		machine  *spec
		reserved placement.Reserved
		q        placement.Request
		max      int
		jobs     []string
		limits   []string
		helps    []string
	}{
		{
			name: "spread", machine: server(200, 200), q: q(3, nil), max: 6,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 64.25 on 0",
				"1x 4 [12] complex 2 cores [4]: 64.25 on 1",
				"1x 2 [10] complex 1 cores [2]: 64.25 on 0",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"7: 49.75 GiB more free memory",
				"8: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "pack", machine: server(200, 200), q: q(3, pack), max: 6,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 64.25 on 0",
				"1x 1 [9] complex 0 cores [1]: 64.25 on 0",
				"1x 2 [10] complex 1 cores [2]: 64.25 on 0",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"7: 49.75 GiB more free memory",
				"8: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "list", machine: server(200, 200), q: q(placement.Max, only("1,9,5-6,14")), max: 2,
			jobs: []string{
				"1x 1 [9] complex 0 cores [1]: 64.25 on 0",
				"1x 6 [14] complex 3 cores [6]: 64.25 on 1",
			},
			limits: []string{"cores"},
			helps: []string{
				"3: 1 more free core in the right core complex",
				"3: 0 producers for each hasher instead of 1",
				"4: 2 sectors in lock-step on each hasher instead of 1",
				"6: all CPUs that this process may use, instead of a list",
			},
		},
		{
			// What does not fit on the near node comes from the far one, and no job takes
			// what is near another.
			name: "all that fits", machine: server(100, 300), q: q(placement.Max, nil), max: 6,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 64.25 on 0",
				"1x 4 [12] complex 2 cores [4]: 64.25 on 1",
				"1x 6 [14] complex 3 cores [6]: 64.25 on 1",
				"1x 5 [13] complex 2 cores [5]: 64.25 on 1",
				"1x 7 [15] complex 3 cores [7]: 64.25 on 1",
				"1x 2 [10] complex 1 cores [2]: 35.25 on 0, 29.00 on 1",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"7: 49.75 GiB more free memory",
				"8: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "other jobs", machine: server(200, 200), q: q(placement.Max, nil), max: 4,
			reserved: placement.Reserved{Cores: cpus(0, 11, 5), Memory: map[topology.MemoryPool]uint64{{NUMANode: 0}: 100 * gib, {NUMANode: 7}: gib}},
			jobs: []string{
				"1x 6 [14] complex 3 cores [6]: 64.25 on 1",
				"1x 1 [9] complex 0 cores [1]: 64.25 on 0",
				"1x 4 [12] complex 2 cores [4]: 64.25 on 1",
				"1x 7 [15] complex 3 cores [7]: 64.25 on 1",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"5: 21.25 GiB more free memory",
				"6: what other jobs hold, once it is released",
				"5: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "idle siblings", machine: server(900, 900), q: q(placement.Max, func(q *placement.Request) { q.SMT = placement.IdleSiblings }), max: 4,
			jobs: []string{
				"1x 0 [1] complex 0 cores [0 1]: 64.25 on 0",
				"1x 4 [5] complex 2 cores [4 5]: 64.25 on 1",
				"1x 2 [3] complex 1 cores [2 3]: 64.25 on 0",
				"1x 6 [7] complex 3 cores [6 7]: 64.25 on 1",
			},
			limits: []string{"cores"},
			helps: []string{
				"5: 2 more free cores in the same core complex",
				"8: producers on the SMT siblings of hashers",
				"8: 0 producers for each hasher instead of 1",
				"8: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			name: "small complexes", machine: server(900, 900), q: q(1, func(q *placement.Request) { q.Producers, q.SMT = 2, placement.IdleSiblings }), max: 0,
			limits: []string{"complexes"},
			helps: []string{
				"1: 1 more free core in the right core complex",
				"4: producers on the SMT siblings of hashers",
				"4: 1 producer for each hasher instead of 2",
			},
		},
		{
			name: "lanes", machine: server(1000, 200), q: q(18, func(q *placement.Request) { q.Lanes, q.Producers = 16, 3 }), max: 18,
			jobs: []string{
				"16x 0 [8 1 9] complex 0 cores [0 1]: 999.25 on 0, 25.00 on 1",
				"2x 4 [12 5 13] complex 2 cores [4 5]: 128.25 on 1",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"19: 16.5 GiB more free memory",
				"31: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "budget", machine: server(200, 200), q: q(3, func(q *placement.Request) { q.Budget, q.Mode = 78*gib, placement.OneLayer }), max: 2,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 38.64 on 0",
				"1x 4 [12] complex 2 cores [4]: 38.64 on 1",
			},
			limits: []string{"budget"},
			helps: []string{
				"3: 37.91 GiB more memory budget",
				"8: no memory budget",
			},
		},
		{
			name: "huge pages wanted", machine: server(1, 1).with(func(s *spec) {
				s.Nodes[1].Huge = map[uint64]uint64{1 << 20: 100, 2048: 900}
			}), q: q(2, huge(gib)), max: 1,
			jobs:   []string{"1x 4 [12] complex 2 cores [4]: 64.00 on 1 in 1024 MiB, 0.25 on 1"},
			limits: []string{"huge pages 1"},
			helps: []string{
				"2: 28 more free huge pages of 1 GiB",
				"2: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "no such huge pages", machine: server(100, 100), q: q(1, huge(2<<20)), max: 0,
			limits: []string{"huge pages"},
			helps: []string{
				"1: 32768 more free huge pages of 2 MiB",
				"3: pages of any size",
			},
		},
		{
			name: "any pages", machine: server(20, 20).with(func(s *spec) {
				s.Nodes[0].Huge = map[uint64]uint64{2048: 20 * 512, 1 << 20: 10, 16 << 20: 8}
				s.Nodes[1].Huge = map[uint64]uint64{2048: 100}
			}), q: q(placement.Max, nil), max: 1,
			jobs:   []string{"1x 0 [8] complex 0 cores [0]: 10.00 on 0 in 1024 MiB, 20.00 on 0 in 2 MiB, 19.25 on 0, 15.00 on 1"},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"2: 58.5 GiB more free memory",
			},
		},
		{
			name: "no memory", machine: server(0, 0), q: q(1, nil), max: 0,
			limits: []string{"memory 0", "memory 1"},
			helps:  []string{"1: 64.25 GiB more free memory"},
		},
		{
			// A core whose sibling is not allowed hashes, with a producer elsewhere.
			name: "cpuset", machine: server(500, 500).with(func(s *spec) { s.Barred = cpus(0, 9, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15) }),
			q: q(placement.Max, nil), max: 1,
			jobs:   []string{"1x 8 [1] complex 0 cores [0 1]: 64.25 on 0"},
			limits: []string{"cores"},
			helps: []string{
				"2: 2 more free cores in the same core complex",
				"2: 0 producers for each hasher instead of 1",
				"2: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			// The second node has CPUs alone, the third memory alone, and it is nearer.
			// With jobs as near to memory as can be, spread or not.
			name: "odd nodes", machine: server(200, 0).with(func(s *spec) {
				s.Nodes[0].Distances, s.Nodes[1].Distances = []int{10, 30, 40}, []int{30, 10, 20}
				s.Nodes = append(s.Nodes, specNode{ID: 9, FreeKiB: 70 << 20, Distances: []int{40, 20, 10}})
			}), q: q(3, pack), max: 4,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 64.25 on 0",
				"1x 1 [9] complex 0 cores [1]: 64.25 on 0",
				"1x 2 [10] complex 1 cores [2]: 64.25 on 0",
			},
			limits: []string{"memory 0", "memory 1", "memory 9"},
			helps: []string{
				"5: 51.25 GiB more free memory",
				"6: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "odd nodes, spread", machine: server(200, 0).with(func(s *spec) {
				s.Nodes[0].Distances, s.Nodes[1].Distances = []int{10, 30, 40}, []int{30, 10, 20}
				s.Nodes = append(s.Nodes, specNode{ID: 9, FreeKiB: 70 << 20, Distances: []int{40, 20, 10}})
			}), q: q(2, nil), max: 4,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 64.25 on 0",
				"1x 2 [10] complex 1 cores [2]: 64.25 on 0",
			},
			limits: []string{"memory 0", "memory 1", "memory 9"},
			helps: []string{
				"5: 51.25 GiB more free memory",
				"6: one layer of each sector in memory instead of two",
			},
		},
		{
			name: "no memory of its own", machine: server(200, 0).with(func(s *spec) {
				s.Nodes[0].Distances, s.Nodes[1].Distances = []int{10, 30, 40}, []int{30, 10, 20}
				s.Nodes = append(s.Nodes, specNode{ID: 9, FreeKiB: 70 << 20, Distances: []int{40, 20, 10}})
			}), q: q(placement.Max, only("4-5,12-13")), max: 2,
			jobs: []string{
				"1x 4 [12] complex 2 cores [4]: 64.25 on 9",
				"1x 5 [13] complex 2 cores [5]: 5.25 on 9, 59.00 on 0",
			},
			limits: []string{"cores"},
			helps: []string{
				"3: 1 more free core in the right core complex",
				"4: 2 sectors in lock-step on each hasher instead of 1",
				"4: all CPUs that this process may use, instead of a list",
			},
		},
		{
			// Memory that the cpuset does not allow is not there.
			name: "cpuset.mems", machine: server(500, 100).with(func(s *spec) { s.Nodes[0].BarredMem = true }), q: q(1, nil), max: 1,
			jobs:   []string{"1x 4 [12] complex 2 cores [4]: 64.25 on 1"},
			limits: []string{"memory 1"},
			helps: []string{
				"2: 28.5 GiB more free memory",
				"2: one layer of each sector in memory instead of two",
			},
		},
		{
			// Performance cores hash; efficiency cores produce, and hash last.
			name: "hybrid", machine: &spec{
				Nodes: []specNode{{FreeKiB: 900 << 20, Distances: []int{10}}},
				Complexes: []specComplex{{Cores: []specCore{
					{CPUs: cpus(0), Efficiency: true}, {CPUs: cpus(1), Efficiency: true}, {CPUs: cpus(2), Efficiency: true},
					{CPUs: cpus(3, 4)}, {CPUs: cpus(5, 6)},
				}}},
			}, q: q(placement.Max, func(q *placement.Request) { q.Producers = 2 }), max: 2,
			jobs: []string{
				"1x 3 [4 2] complex 0 cores [2 3]: 64.25 on 0",
				"1x 5 [6 1] complex 0 cores [1 5]: 64.25 on 0",
			},
			limits: []string{"cores"},
			helps: []string{
				"3: 1 more free core in the right core complex",
				"3: 1 producer for each hasher instead of 2",
				"4: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			// An efficiency core hashes before a performance core produces where fewer jobs
			// would fit otherwise: here only it has a sibling.
			name: "hybrid, upside down", machine: &spec{
				Nodes: []specNode{{FreeKiB: 900 << 20, Distances: []int{10}}},
				Complexes: []specComplex{{Cores: []specCore{
					{CPUs: cpus(0)}, {CPUs: cpus(1)}, {CPUs: cpus(2, 3), Efficiency: true},
				}}},
			}, q: q(placement.Max, nil), max: 2,
			jobs: []string{
				"1x 0 [1] complex 0 cores [0 1]: 64.25 on 0",
				"1x 2 [3] complex 0 cores [2]: 64.25 on 0",
			},
			limits: []string{"cores"},
			helps: []string{
				"3: 1 more free core in the right core complex",
				"3: 0 producers for each hasher instead of 1",
				"4: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			// Each job needs a pair and a single CPU more: neither may take both singles.
			name: "pairs and singles", machine: &spec{
				Nodes: []specNode{{FreeKiB: 900 << 20, Distances: []int{10}}},
				Complexes: []specComplex{{Cores: []specCore{
					{CPUs: cpus(0)}, {CPUs: cpus(1)}, {CPUs: cpus(2, 3)}, {CPUs: cpus(4, 5)}, {CPUs: cpus(6, 7)}, {CPUs: cpus(8, 9)},
				}}},
			}, q: q(placement.Max, func(q *placement.Request) { q.Producers = 4 }), max: 2,
			jobs: []string{
				"1x 2 [3 8 9 1] complex 0 cores [1 2 8]: 64.25 on 0",
				"1x 4 [5 6 7 0] complex 0 cores [0 4 6]: 64.25 on 0",
			},
			limits: []string{"cores"},
			helps: []string{
				"3: 3 more free cores in the same core complex",
				"3: 2 producers for each hasher instead of 4",
				"4: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			name: "hybrid, all cores", machine: &spec{
				Nodes: []specNode{{FreeKiB: 900 << 20, Distances: []int{10}}},
				Complexes: []specComplex{
					{Cores: []specCore{{CPUs: cpus(0), Efficiency: true}, {CPUs: cpus(1), Efficiency: true}}},
					{Cores: []specCore{{CPUs: cpus(2)}, {CPUs: cpus(3)}}},
				},
			}, q: q(placement.Max, func(q *placement.Request) { q.Producers = 0 }), max: 4,
			jobs: []string{
				"1x 2 [] complex 1 cores [2]: 64.25 on 0",
				"1x 3 [] complex 1 cores [3]: 64.25 on 0",
				"1x 0 [] complex 0 cores [0]: 64.25 on 0",
				"1x 1 [] complex 0 cores [1]: 64.25 on 0",
			},
			limits: []string{"cores"},
			helps: []string{
				"5: 1 more free core in the right core complex",
				"8: 2 sectors in lock-step on each hasher instead of 1",
			},
		},
		{
			// 512 MiB sectors: a layer's memory of 1 GiB is not split.
			name: "small sectors", machine: server(2, 3), q: q(placement.Max, func(q *placement.Request) { q.SectorSize = gib / 2 }), max: 4,
			jobs: []string{
				"1x 0 [8] complex 0 cores [0]: 1.25 on 0",
				"1x 4 [12] complex 2 cores [4]: 1.00 on 1, 0.25 on 0",
				"1x 6 [14] complex 3 cores [6]: 1.00 on 1, 0.25 on 0",
				"1x 2 [10] complex 1 cores [2]: 0.25 on 0, 1.00 on 1",
			},
			limits: []string{"memory 0", "memory 1"},
			helps: []string{
				"5: 1.25 GiB more free memory",
				"5: one layer of each sector in memory instead of two",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := test.machine.read(t, t.TempDir())
			p, err := placement.New(m, test.reserved, test.q)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, m, test.reserved, p)
			if p.Max != test.max {
				t.Errorf("%d fit, want %d", p.Max, test.max)
			}
			if p.Fits() != (test.max > 0 && test.max >= test.q.Sectors) {
				t.Errorf("fits: %t", p.Fits())
			}
			for what, pair := range map[string][2][]string{
				"jobs": {test.jobs, lines(p)}, "limits": {test.limits, limitKinds(p)}, "helps": {test.helps, helpTexts(p)},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
		})
	}
}

// Layers that lie in files are near those, and take nothing of the machine's free memory; they count
// for the budget.
func TestLayersInFiles(t *testing.T) {
	m := server(1, 1).read(t, t.TempDir())
	q := placement.Request{Sectors: 2, SectorSize: 32 * gib, Lanes: 1, Producers: 1, InFiles: map[topology.NUMANodeID]uint64{1: 130 * gib}}
	p, err := placement.New(m, placement.Reserved{}, q)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1x 4 [12] complex 2 cores [4]: 0.25 on 1", "1x 6 [14] complex 3 cores [6]: 0.25 on 1"}
	if got := lines(p); p.Max != 2 || !slices.Equal(got, want) || p.Memory != 128*gib+gib/2 {
		t.Errorf("%d fit, in %d bytes: %q, want %q", p.Max, p.Memory, got, want)
	}
	if got := limitKinds(p); !slices.Equal(got, []string{"huge pages"}) || p.Limits[0].Text != "files of huge pages: room for 130 GiB; a sector's layers take 64 GiB" {
		t.Errorf("limits %+v", p.Limits)
	}
	q.Sectors, q.Budget = placement.Max, 65*gib
	if p, err := placement.New(m, placement.Reserved{}, q); err != nil || p.Max != 1 || p.Limits[0].Kind != placement.LimitHugePages && p.Limits[0].Kind != placement.LimitBudget {
		t.Errorf("%+v, %v", p, err)
	}
	// What jobs take besides must still be there.
	if p, err := placement.New(server(0, 0).read(t, t.TempDir()), placement.Reserved{}, q); err != nil || p.Max != 0 || p.Limits[0].Kind != placement.LimitMemory {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestBadRequests(t *testing.T) {
	m := server(100, 100).with(func(s *spec) { s.Barred = cpus(3, 11) }).read(t, t.TempDir())
	good := placement.Request{Sectors: 1, SectorSize: 32 * gib, Lanes: 1, Producers: 1}
	tests := []struct {
		change func(*placement.Request)
		as     any
		says   string
	}{
		{func(q *placement.Request) { q.Sectors = -1 }, new(*placement.RequestError), "number of sectors is -1"},
		{func(q *placement.Request) { q.Sectors = 1 << 40 }, new(*placement.RequestError), "number of sectors is 1099511627776"},
		{func(q *placement.Request) { q.SectorSize = 0 }, new(*placement.RequestError), "sector size is 0"},
		{func(q *placement.Request) { q.SectorSize = 1 << 63 }, new(*placement.RequestError), "sector size is 9223372036854775808"},
		{func(q *placement.Request) { q.Lanes = 3 }, new(*placement.RequestError), "number of lanes is 3, want 1, 2, 4, 8, 16 or 32"},
		{func(q *placement.Request) { q.Producers = -1 }, new(*placement.RequestError), "number of producers is -1"},
		{func(q *placement.Request) { q.Producers = 1 << 40 }, new(*placement.RequestError), "want 0 to 8192"},
		{func(q *placement.Request) { q.Policy = 9 }, new(*placement.RequestError), "the policy is Policy(9)"},
		{func(q *placement.Request) { q.Policy = placement.List }, new(*placement.RequestError), `list of CPUs is ""`},
		{func(q *placement.Request) { q.Only = topology.NewCPUSet(1) }, new(*placement.RequestError), `list of CPUs is "1"`},
		{func(q *placement.Request) { q.Mode = 9 }, new(*placement.RequestError), "memory mode is MemoryMode(9)"},
		{func(q *placement.Request) { q.SMT = 9 }, new(*placement.RequestError), "SMT siblings is 9"},
		{func(q *placement.Request) { q.PageSize = 12345 }, new(*placement.RequestError), "page size is 12345"},
		{func(q *placement.Request) { q.PageSize = 1024 }, new(*placement.RequestError), "page size is 1024"},
		{func(q *placement.Request) { q.PageSize = 1 << 50 }, new(*placement.RequestError), "page size is 1125899906842624"},
		{func(q *placement.Request) {
			q.Policy, q.Only = placement.List, topology.NewCPUSet(0, 99, 16)
		}, new(*placement.CPUError), "CPUs 16,99 are listed, want only some of those online, 0-15"},
		{func(q *placement.Request) {
			q.Policy, q.Only = placement.List, topology.NewCPUSet(2, 3, 10, 11)
		}, new(*placement.CPUError), "CPUs 3,11 are listed, want only some of those that the cgroup's cpuset and the process's affinity allow, 0-2,4-10,12-15"},
		{func(q *placement.Request) { q.Budget = 64 * gib }, new(*placement.BudgetError), "budget is 64 GiB, the smallest job, one sector in mode two-layers, takes 64.25 GiB"},
		{func(q *placement.Request) { q.Budget, q.Mode = 1, placement.OneLayer }, new(*placement.BudgetError), "budget is 1 bytes, the smallest job, one sector in mode one-layer, takes 38.64 GiB"},
	}
	for _, test := range tests {
		q := good
		test.change(&q)
		p, err := placement.New(m, placement.Reserved{}, q)
		if p != nil || err == nil || !errors.As(err, test.as) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("got %v, want %T %q", err, test.as, test.says)
		}
	}
	q := good
	q.Budget = 64*gib + q.JobOverhead()
	if p, err := placement.New(m, placement.Reserved{}, q); err != nil || p.Max != 1 {
		t.Errorf("the smallest budget: %v", err)
	}
}

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]string{"spread": "spread", "pack": "pack", "0-2,9": "list 0-2,9", "7": "list 7"} {
		policy, only, err := placement.ParsePolicy(text)
		if got := strings.TrimSpace(policy.String() + " " + only.String()); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"": `policy "": want spread, pack`, "scatter": `"scatter": want`, "Spread": "want", "list": "want",
		"0-3,7,5-4": "5-4", "99999": "99999", "spread1": "spread1", "-": "want",
	} {
		_, _, err := placement.ParsePolicy(text)
		var e *placement.PolicyError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	for _, mode := range []placement.MemoryMode{placement.TwoLayers, placement.OneLayer, placement.Budget} {
		if got, err := placement.ParseMemoryMode(mode.String()); got != mode || err != nil {
			t.Errorf("%v: %v, %v", mode, got, err)
		}
	}
	var e *placement.RequestError
	if _, err := placement.ParseMemoryMode("no-layer"); !errors.As(err, &e) || !strings.Contains(err.Error(), `"no-layer", want two-layers, one-layer or budget`) {
		t.Error(err)
	}
}

// verify holds a plan against what every plan must be.
func verify(t interface {
	Helper()
	Errorf(string, ...any)
}, m *topology.Machine, reserved placement.Reserved, p *placement.Plan) {
	t.Helper()
	q := p.Request
	if want := min(p.Max, q.Sectors); q.Sectors != placement.Max && p.Sectors != want || q.Sectors == placement.Max && p.Sectors != p.Max {
		t.Errorf("%d sectors placed of %d, %d fit", p.Sectors, q.Sectors, p.Max)
	}
	if len(p.Limits) == 0 {
		t.Errorf("nothing limits the plan")
	}
	for _, h := range p.Helps {
		if h.Sectors <= p.Max {
			t.Errorf("%q lets %d fit, %d do", h.Text, h.Sectors, p.Max)
		}
	}
	taken := map[topology.CPU]bool{} // by core number
	for _, cpu := range reserved.Cores {
		if n, ok := m.CoreNumber(cpu); ok {
			taken[n] = true
		}
	}
	usable := m.Allowed()
	if q.Policy == placement.List {
		usable = usable.Intersect(q.Only)
	}
	nodes := m.NUMANodes()
	at := func(id topology.NUMANodeID) int {
		return slices.IndexFunc(nodes, func(n topology.NUMANode) bool { return n.ID == id })
	}
	free := m.FreeMemory(topology.MemoryNodes{})
	for pool, bytes := range reserved.Memory {
		free[pool] -= min(free[pool], bytes)
	}
	sectors, memory := 0, uint64(0)
	served := map[topology.CPU]int{} // jobs, by their producer
	for i, j := range p.Jobs {
		sectors += j.Sectors
		memory += j.Bytes()
		if j.Sectors < 1 || j.Sectors > q.Lanes || j.Sectors < q.Lanes && i < len(p.Jobs)-1 {
			t.Errorf("job %d has %d sectors in %d lanes", i, j.Sectors, q.Lanes)
		}
		if len(j.Producers) > q.Producers || len(j.Producers) < q.Producers && !q.FewerProducers {
			t.Errorf("job %d has %d producers, want %d", i, len(j.Producers), q.Producers)
		}
		mine := map[topology.CPU]int{}
		for n, cpu := range append([]topology.CPU{j.Hasher}, j.Producers...) {
			if !usable.Contains(cpu) {
				t.Errorf("job %d is on CPU %d, which is not among %v", i, cpu, usable)
			}
			at, _ := m.CoreOf(cpu)
			if complex := m.Cores()[at].Complex; complex != j.Complex {
				t.Errorf("job %d, in complex %d, is on CPU %d in complex %d", i, j.Complex, cpu, complex)
			}
			core, _ := m.CoreNumber(cpu)
			if n > 0 && q.HashersPerProducer > 1 {
				if served[cpu]++; served[cpu] > q.HashersPerProducer {
					t.Errorf("job %d is one of %d that CPU %d produces for, want %d at most", i, served[cpu], cpu, q.HashersPerProducer)
				}
				if served[cpu] > 1 {
					continue // its core is the first one's
				}
			}
			mine[core]++
			if (q.SMT == placement.IdleSiblings || q.HashersPerProducer > 1) && mine[core] > 1 {
				t.Errorf("job %d uses siblings on core %d", i, core)
			}
			if n == 0 {
				if node, _ := m.NUMAOf(cpu); nodes[node].ID != j.NUMANode {
					t.Errorf("job %d: node %d, want %d", i, j.NUMANode, nodes[node].ID)
				}
			}
		}
		if len(mine) != len(j.Cores) || !slices.IsSorted(j.Cores) {
			t.Errorf("job %d: cores %v, want %v", i, j.Cores, mine)
		}
		for _, core := range j.Cores {
			if mine[core] == 0 || taken[core] {
				t.Errorf("job %d has core %d, which is not its or taken", i, core)
			}
			taken[core] = true
		}
		var inHuge uint64
		for n, s := range j.Memory {
			if s.Bytes == 0 || s.Bytes > free[s.Pool] {
				t.Errorf("job %d has %d bytes of %v, which has %d left", i, s.Bytes, s.Pool, free[s.Pool])
			}
			free[s.Pool] -= s.Bytes
			want := nodes[at(j.NUMANode)].Distances[at(s.Pool.NUMANode)]
			if s.Distance != want || n > 0 && s.Distance < j.Memory[n-1].Distance {
				t.Errorf("job %d: memory %v, distance of node %d is %d", i, j.Memory, s.Pool.NUMANode, want)
			}
			if s.Pool.PageSize != 0 {
				inHuge += s.Bytes
				if s.Bytes%s.Pool.PageSize != 0 {
					t.Errorf("job %d has %d bytes in pages of %d", i, s.Bytes, s.Pool.PageSize)
				}
			}
		}
		if want := uint64(j.Sectors)*p.SectorMemory + q.JobOverhead(); j.Bytes() != want {
			t.Errorf("job %d has %d bytes, want %d", i, j.Bytes(), want)
		}
		if strict := q.PageSize > placement.OrdinaryPages; strict && inHuge != uint64(j.Sectors)*p.SectorMemory || q.PageSize == placement.OrdinaryPages && inHuge > 0 {
			t.Errorf("job %d has %d bytes in huge pages, with pages of %d wanted", i, inHuge, q.PageSize)
		}
	}
	if sectors != p.Sectors || memory != p.Memory {
		t.Errorf("jobs of %d sectors with %d bytes, the plan says %d and %d", sectors, memory, p.Sectors, p.Memory)
	}
	if q.Budget > 0 && memory > q.Budget {
		t.Errorf("%d bytes, the budget is %d", memory, q.Budget)
	}
}
