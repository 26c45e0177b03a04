package placement_test

import (
	"fmt"
	"log"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// How many 32 GiB sectors does a server of two packages seal at the same time, and where?
func ExampleNew() {
	m, err := topology.ReadDump("../topology/testdata/epyc-2s-24ccx-smt.txt")
	if err != nil {
		log.Fatal(err)
	}
	plan, err := placement.New(m, placement.Reserved{}, placement.Request{
		Sectors:    placement.Max,
		SectorSize: 32 << 30,
		Lanes:      2,
		Producers:  1,
		Mode:       placement.OneLayer,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Max, "sectors fit, with", topology.SizeText(plan.Memory))
	for _, j := range plan.Jobs[:2] {
		fmt.Println(j.Sectors, "sectors: hashed on CPU", j.Hasher, "parents by", j.Producers, "on NUMA node", j.NUMANode)
	}
	for _, l := range plan.Limits {
		fmt.Println("limit:", l.Text)
	}
	// Output:
	// 39 sectors fit, with 1.46 TiB
	// 2 sectors: hashed on CPU 0 parents by [192] on NUMA node 0
	// 2 sectors: hashed on CPU 96 parents by [288] on NUMA node 1
	// limit: memory of NUMA node 0: room for 701.69 GiB, and for 33 GiB in huge pages; a sector's layers take 38 GiB, a job 664 MiB besides
	// limit: memory of NUMA node 1: room for 752.69 GiB, and for 33 GiB in huge pages; a sector's layers take 38 GiB, a job 664 MiB besides
}

// What other jobs hold is not given out again.
func ExampleNew_reserved() {
	m, err := topology.ReadDump("../topology/testdata/hybrid.txt")
	if err != nil {
		log.Fatal(err)
	}
	request := placement.Request{Sectors: 1, SectorSize: 512 << 20}
	first, err := placement.New(m, placement.Reserved{}, request)
	if err != nil {
		log.Fatal(err)
	}
	second, err := placement.New(m, placement.Reserved{Cores: first.Jobs[0].Cores}, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.Jobs[0].Hasher, second.Jobs[0].Hasher)
	// Output:
	// 0 2
}

func ExampleParsePolicy() {
	policy, only, err := placement.ParsePolicy("0-3,8")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy, only)
	// Output: list 0-3,8
}
