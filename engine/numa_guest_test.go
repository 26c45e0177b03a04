package engine_test

import (
	"os"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestNUMAGuest labels sectors on all NUMA nodes at once, each hasher and its
// producer bound to CPUs of one, its memory there: verified by the kernel, page by
// page, or it is an error.
func TestNUMAGuest(t *testing.T) {
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("wants several NUMA nodes: make test-numa runs it in a guest")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	var places []engine.Place
	for _, node := range m.NUMANodes() {
		cpus := slices.Collect(node.CPUs.All())
		places = append(places, engine.Place{Hasher: cpus[0], Producers: cpus[1:2], Memory: hugepages.OnNUMANode(int(node.ID))})
	}
	if len(places) < 2 {
		t.Fatalf("%d NUMA nodes, want two", len(places))
	}
	for _, size := range []porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1_1} {
		for _, staging := range []engine.Staging{engine.Inline, engine.Producers} {
			if size != porep.StackedDrg2KiBV1_1 && staging != engine.Producers {
				continue // half a minute under emulation
			}
			// The same sector on every node: the reference's files are known.
			var sectors []golden.Sector
			for _, s := range golden.Sectors() {
				for len(sectors) < len(places) && s.RegisteredProof == size.String() {
					sectors = append(sectors, s)
				}
			}
			var pool hugepages.Accounting
			result := checkGolden(t, sectors, engine.Config{
				Proof: size, Machine: m, Places: places, StrictNUMA: true, Staging: staging, Memory: &pool,
			})
			for h, mem := range result.Memory {
				p := mem.Locality
				if node, ok := p.Binding.Number(); !ok || node != int(m.NUMANodes()[h].ID) || p.Checked == 0 || p.Local != p.Checked {
					t.Errorf("%v, hasher %d: memory is %v", size, h, p)
				}
				t.Logf("%v, %v staging, hasher %d on CPU %d: %v", size, staging, h, places[h].Hasher, p)
			}
		}
	}
}
