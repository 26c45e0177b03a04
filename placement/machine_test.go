package placement_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/topology"
)

// A spec describes a machine for tests, written out as a topology dump and read
// back.
type spec struct {
	Nodes     []specNode
	Complexes []specComplex
	Barred    []topology.CPU // not allowed
}

type specNode struct {
	ID        int
	FreeKiB   uint64
	Huge      map[uint64]uint64 // free pages by their size in KiB
	Distances []int             // to each of Nodes
	BarredMem bool              // memory that is not allowed
}

type specComplex struct {
	Node  int // position in Nodes, of its cores with no other
	Cores []specCore
}

type specCore struct {
	CPUs       []topology.CPU
	Efficiency bool
	Beside     int // how many nodes after the complex's, as with sub-NUMA clusters
}

func list(cpus []topology.CPU) string { return topology.NewCPUSet(cpus...).String() }

func (s *spec) dump() string {
	var b strings.Builder
	section := func(format string, args ...any) {
		fmt.Fprintf(&b, "\n["+format+"]\n", args...)
	}
	b.WriteString("# topology dump 1\n")
	var online, performance, efficiency []topology.CPU
	onNode := make([][]topology.CPU, len(s.Nodes))
	for _, c := range s.Complexes {
		for _, core := range c.Cores {
			online = append(online, core.CPUs...)
			node := (c.Node + core.Beside) % len(s.Nodes)
			onNode[node] = append(onNode[node], core.CPUs...)
			if core.Efficiency {
				efficiency = append(efficiency, core.CPUs...)
			} else {
				performance = append(performance, core.CPUs...)
			}
		}
	}
	var ids, mems []string
	for _, n := range s.Nodes {
		ids = append(ids, fmt.Sprint(n.ID))
		if !n.BarredMem {
			mems = append(mems, fmt.Sprint(n.ID))
		}
	}
	allowed := topology.NewCPUSet(online...).Minus(topology.NewCPUSet(s.Barred...))
	section("proc/self")
	fmt.Fprintf(&b, "status =\n\tCpus_allowed_list:\t%v\n\tMems_allowed_list:\t%s\n", allowed, strings.Join(mems, ","))
	if len(efficiency) > 0 && len(performance) > 0 {
		section("sys/devices/cpu_core")
		fmt.Fprintf(&b, "cpus = %s\n", list(performance))
		section("sys/devices/cpu_atom")
		fmt.Fprintf(&b, "cpus = %s\n", list(efficiency))
	}
	section("sys/devices/system/cpu")
	fmt.Fprintf(&b, "online = %s\n", list(online))
	for _, c := range s.Complexes {
		var shared []topology.CPU
		for _, core := range c.Cores {
			shared = append(shared, core.CPUs...)
		}
		for i, core := range c.Cores {
			for _, cpu := range core.CPUs {
				section("sys/devices/system/cpu/cpu%d/topology", cpu)
				fmt.Fprintf(&b, "core_cpus_list = %s\ncore_id = %d\nphysical_package_id = %d\n", list(core.CPUs), i, c.Node)
				section("sys/devices/system/cpu/cpu%d/cache/index3", cpu)
				fmt.Fprintf(&b, "level = 3\ntype = Unified\nsize = 32768K\nshared_cpu_list = %s\n", list(shared))
			}
		}
	}
	section("sys/devices/system/node")
	fmt.Fprintf(&b, "online = %s\n", strings.Join(ids, ","))
	for i, n := range s.Nodes {
		section("sys/devices/system/node/node%d", n.ID)
		distances := strings.Trim(fmt.Sprint(n.Distances), "[]")
		fmt.Fprintf(&b, "cpulist = %s\ndistance = %s\n", list(onNode[i]), distances)
		fmt.Fprintf(&b, "meminfo =\n\tNode %d MemTotal: %d kB\n\tNode %[1]d MemFree: %[3]d kB\n", n.ID, 2*n.FreeKiB, n.FreeKiB)
		for size, free := range n.Huge {
			section("sys/devices/system/node/node%d/hugepages/hugepages-%dkB", n.ID, size)
			fmt.Fprintf(&b, "nr_hugepages = %d\nfree_hugepages = %d\n", free+1, free)
		}
	}
	return b.String()
}

// read makes the machine. A TempDir is made once for each test, not for each machine.
func (s *spec) read(t interface {
	Helper()
	Fatal(...any)
}, dir string) *topology.Machine {
	t.Helper()
	path := filepath.Join(dir, "machine")
	if err := os.WriteFile(path, []byte(s.dump()), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := topology.ReadDump(path)
	if err != nil {
		t.Fatal(err)
	}
	// What was written is what was read, or the tests show nothing.
	cores, cpus := 0, 0
	for _, c := range s.Complexes {
		cores += len(c.Cores)
		for _, core := range c.Cores {
			cpus += len(core.CPUs)
		}
	}
	if got := [...]int{len(m.NUMANodes()), len(m.Complexes()), len(m.Cores()), m.CPUs().Len()}; got != [...]int{len(s.Nodes), len(s.Complexes), cores, cpus} {
		t.Fatal("nodes, complexes, cores, CPUs:", got, "in", s.dump())
	}
	return m
}

// server has two NUMA nodes, with memory for so many GiB each, of two complexes
// with two cores each, all with a sibling: CPU n's is n + 8.
func server(gib ...uint64) *spec {
	s := &spec{Nodes: []specNode{{ID: 0, Distances: []int{10, 32}}, {ID: 1, Distances: []int{32, 10}}}}
	for i := range s.Nodes {
		s.Nodes[i].FreeKiB = gib[i] << 20
	}
	for i := range topology.CPU(4) {
		s.Complexes = append(s.Complexes, specComplex{Node: int(i / 2), Cores: []specCore{
			{CPUs: []topology.CPU{2 * i, 2*i + 8}}, {CPUs: []topology.CPU{2*i + 1, 2*i + 9}},
		}})
	}
	return s
}

func (s *spec) with(change func(*spec)) *spec {
	change(s)
	return s
}

func (s *spec) String() string { return s.dump() }

// clone is a deep copy.
func (s *spec) clone() *spec {
	c := &spec{Nodes: slices.Clone(s.Nodes), Complexes: slices.Clone(s.Complexes), Barred: slices.Clone(s.Barred)}
	for i, n := range c.Nodes {
		c.Nodes[i].Distances = slices.Clone(n.Distances)
		huge := map[uint64]uint64{}
		for size, free := range n.Huge {
			huge[size] = free
		}
		c.Nodes[i].Huge = huge
	}
	for i, x := range c.Complexes {
		c.Complexes[i].Cores = slices.Clone(x.Cores)
		for j, core := range x.Cores {
			c.Complexes[i].Cores[j].CPUs = slices.Clone(core.CPUs)
		}
	}
	return c
}

func TestSpec(t *testing.T) {
	m := server(100, 200).read(t, t.TempDir())
	if got := m.CPUs().String(); got != "0-15" {
		t.Error(got)
	}
	if got := fmt.Sprint(m.FreeMemory(topology.MemoryNodes{})); got != "map[{0 0}:107374182400 {1 0}:214748364800]" {
		t.Error(got)
	}
}
