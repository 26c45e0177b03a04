package topology_test

import (
	"fmt"
	"log"

	"github.com/sdr-engine/sdr/topology"
)

// A dump stands for the machine that it was made on; Read looks at this one.
func Example() {
	m, err := topology.ReadDump("testdata/epyc-2s-24ccx-smt.txt")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Model())
	fmt.Println(len(m.Packages()), "packages,", len(m.Cores()), "cores, CPUs", m.CPUs())
	for _, n := range m.NUMANodes() {
		fmt.Println("NUMA node", n.ID, "has CPUs", n.CPUs, "and", topology.SizeText(n.MemoryTotal))
	}
	last := m.Complexes()[len(m.Complexes())-1]
	fmt.Println(len(m.Complexes()), "core complexes; CPUs", last.CPUs, "share", topology.SizeText(last.CacheSize), "of L3")

	core, _ := m.CoreOf(95)
	fmt.Println("CPU 95 shares its core with", m.Cores()[core].CPUs[1])
	// Output:
	// AMD EPYC 9654 96-Core Processor
	// 2 packages, 192 cores, CPUs 0-383
	// NUMA node 0 has CPUs 0-95,192-287 and 768 GiB
	// NUMA node 1 has CPUs 96-191,288-383 and 768 GiB
	// 24 core complexes; CPUs 184-191,376-383 share 32 MiB of L3
	// CPU 95 shares its core with 287
}

func ExampleParseCPUList() {
	cpus, err := topology.ParseCPUList("0-3,8")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cpus.Len(), cpus.Contains(8), cpus.Minus(topology.NewCPUSet(1)))
	// Output: 5 true 0,2-3,8
}

// A program that hashes binds its thread to a CPU, and gives it back.
func ExamplePin() {
	m, err := topology.Read()
	if err != nil {
		log.Fatal(err)
	}
	cpu := m.Allowed().Slice()[0]
	pinned, err := topology.Pin(m, cpu)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("on CPU", pinned.CPU())
	if err := pinned.Release(); err != nil {
		log.Fatal(err)
	}
}
