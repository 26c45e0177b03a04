package placement_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// TestKindsOfMachines: what a good plan is on each made-up machine of package topology, by hand: a hasher with its
// producers, and the NUMA nodes that its memory is on.
func TestKindsOfMachines(t *testing.T) {
	want := map[string]struct {
		sectors int
		plan    string
		why     string
	}{
		"epyc-2s-24ccx-smt": {4, "0 [192] on 0, 96 [288] on 1, 8 [200] on 0, 104 [296] on 1",
			"a core complex each, on the nodes in turn; a sibling produces, and takes nothing from another core"},
		"xeon-2s-interleave": {2, "0 [14] on 0, 1 [15] on 1",
			"the cpuset has no siblings, so producers are cores of the hasher's own package, which has every other number, and the last to hash"},
		"xeon-2s-snc2": {4, "0 [8] on 0, 12 [20] on 2, 3 [11] on 1, 15 [23] on 3",
			"an L3 spans two nodes: hashers are on all four, and producers beside them"},
		"arm64-altra": {2, "0 [31] on 0, 1 [30] on 0",
			"no cache that is shared is known, so the package is one complex"},
		"container-cut-ccx": {2, "2 [18] on 0, 4 [20] on 0",
			"of two complexes two cores each are allowed: one hashes in each"},
		"hybrid": {6, "0 [1] on 0, 2 [3] on 0, 4 [5] on 0, 6 [7] on 0, 8 [15] on 0, 9 [14] on 0",
			"performance cores hash, with their siblings; efficiency cores once there is no other"},
		"hybrid-low-power": {4, "0 [1] on 0, 2 [3] on 0, 4 [5] on 0, 6 [7] on 0",
			"cores without a part in the L3 are the last, though their complex is empty"},
		"arm64-two-designs": {2, "2 [1] on 0, 3 [0] on 0",
			"both Cortex-X925 hash, whatever their numbers and capacities, and the A725 produce for them"},
		"offline-cpus": {3, "0 [1] on 0, 4 [5] on 0, 12 [13] on 0",
			"of one complex no core is online, of another one core has lost its sibling: it is not the first to hash"},
		"odd-nodes": {2, "0 [3] on 0, 1 [2] on 0",
			"node 1 has CPUs and no memory: a second hasher in node 0's complex has its memory near, there it would not"},
		"uneven-l3": {2, "0 [5] on 0, 6 [13] on 0",
			"the complex with more cache and the one with more cores get one each"},
		"vm-no-cache": {2, "0 [3] on 0, 4 [7] on 0",
			"without caches a package is a complex"},
		"vm-own-sockets": {8, "0 [] on 0, 1 [] on 0, 2 [] on 0, 3 [] on 0, 4 [] on 0, 5 [] on 0, 6 [] on 0, 7 [] on 0",
			"no complex has a second core: hashers have no producer's core, as in the engine"},
		"node-offline": {3, "5 [11] on 1, 7 [9] on 1, 4 [10] on 1",
			"memory is beside the odd CPUs; those of the node that is offline are for what is left over"},
		"container-two-mounts": {1, "4 [6] on 1",
			"the group, which the second mount shows, has cores 4 to 6 and node 1; the first mount would allow all"},
		"accelerated": {1, "0 [1] on 0", "memory of GPUs and devices is free, and not used"},
		"nothing":     {1, "", "no CPU is known"},
	}
	dumps, err := filepath.Glob(filepath.Join("..", "topology", "testdata", "*.txt"))
	if err != nil || len(dumps) < len(want) {
		t.Fatal(dumps, err)
	}
	for _, dump := range dumps {
		name := strings.TrimSuffix(filepath.Base(dump), ".txt")
		w, ok := want[name]
		if !ok {
			t.Errorf("%s: what a good plan is there is not said", name)
			continue
		}
		m, err := topology.ReadDump(dump)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan(t, m, placement.Request{Sectors: w.sectors, SectorSize: 512 << 20, Producers: 1, FewerProducers: true})
		verify(t, m, placement.Reserved{}, p)
		var jobs []string
		for _, j := range p.Jobs {
			var on []topology.NUMANodeID
			for _, s := range j.Memory {
				on = append(on, s.Pool.NUMANode)
			}
			jobs = append(jobs, fmt.Sprintf("%d %d on %s", j.Hasher, j.Producers, strings.Trim(fmt.Sprint(slices.Compact(on)), "[]")))
		}
		if got := strings.Join(jobs, ", "); got != w.plan {
			t.Errorf("%s: %s; want %s, since %s", name, got, w.plan, w.why)
		}
	}
}
