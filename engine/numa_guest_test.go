package engine_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/placement"
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
			// The same sector on every node: the reference's files are known. Of a large one a layer.
			var hooks engine.Hooks
			var sectors []golden.Sector
			for _, s := range golden.Sectors() {
				if size != porep.StackedDrg2KiBV1_1 {
					hooks.Layers, s.Layers = 1, s.Layers[:1]
				}
				for len(sectors) < len(places) && s.RegisteredProof == size.String() {
					sectors = append(sectors, s)
				}
			}
			var pool hugepages.Accounting
			result := checkGoldenWith(t, hooks, sectors, engine.Config{
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

// TestNUMAGuestAnyShape labels where a plan says, a hasher on each NUMA node that has cores, be it a socket or a part of one:
// its memory is there, all of it, and none of it on a node without cores, no matter which producer feeds which hasher.
func TestNUMAGuestAnyShape(t *testing.T) {
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("wants several NUMA nodes: make test-numa runs it in a guest")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	var with []topology.NUMANodeID
	for _, node := range m.NUMANodes() {
		if node.CPUs.Len() > 0 {
			with = append(with, node.ID)
		}
	}
	var sectors []golden.Sector
	for _, s := range golden.Sectors() {
		if len(sectors) < len(with) && s.RegisteredProof == porep.StackedDrg2KiBV1_1.String() {
			sectors = append(sectors, s)
		}
	}
	for _, sharing := range []int{1, 2} {
		q := placement.Request{Sectors: len(with), SectorSize: 2 << 10, Producers: 1, HashersPerProducer: sharing}
		plan, err := placement.New(m, placement.Reserved{}, q)
		if err != nil || !plan.Fits() {
			t.Fatalf("%v, %+v", err, plan)
		}
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Machine: m, StrictNUMA: true, HashersPerProducer: sharing, Progress: new(engine.Progress)}
		var on []topology.NUMANodeID
		for _, j := range plan.Jobs {
			on = append(on, j.NUMANode)
			if len(j.Memory) != 1 || j.Memory[0].Pool.NUMANode != j.NUMANode {
				t.Errorf("the plan has memory of a hasher on node %d on %+v", j.NUMANode, j.Memory)
			}
			for _, cpu := range j.Producers {
				if at, _ := m.NUMAOf(cpu); m.NUMANodes()[at].ID != j.NUMANode {
					t.Errorf("the plan has a producer of a hasher on node %d on CPU %d", j.NUMANode, cpu)
				}
			}
			c.Places = append(c.Places, engine.Place{Hasher: j.Hasher, Producers: j.Producers, Memory: hugepages.OnNUMANode(int(j.NUMANode))})
		}
		if slices.Sort(on); !slices.Equal(on, with) {
			t.Errorf("hashers on nodes %d, want one on each of %d", on, with)
		}
		result := checkGolden(t, sectors, c)
		for h, mem := range result.Memory {
			p := mem.Locality
			if node, ok := p.Binding.Number(); !ok || node != int(plan.Jobs[h].NUMANode) || p.Checked == 0 || p.Local != p.Checked {
				t.Errorf("hasher %d, on node %d: memory is %v", h, plan.Jobs[h].NUMANode, p)
			}
		}
		if err := c.Progress.Unbound(); err != nil {
			t.Error(err)
		}
	}
}

// TestNUMAGuestAnyShapeMemoryNodes labels with memory kept to all nodes but the first, whose CPUs hash as others' do: whatever is
// bound in the process, as the kernel lists it, has no page there, in any memory mode.
func TestNUMAGuestAnyShapeMemoryNodes(t *testing.T) {
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("wants several NUMA nodes: make test-numa runs it in a guest")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	var list topology.MemoryNodes
	for _, node := range m.NUMANodes()[1:] {
		list.List = append(list.List, node.ID)
	}
	among := m.KeepTo(list)
	if len(among) != len(list.List) {
		t.Fatalf("memory is kept to %d, want %d", among, list.List)
	}
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	sector := golden.Sectors()[slices.IndexFunc(golden.Sectors(), func(s golden.Sector) bool { return s.RegisteredProof == porep.StackedDrg2KiBV1_1.String() })]
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer, engine.Budget} {
		looks := &looking{ParentSource: g}
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, MemoryNodes: among, MemoryMode: mode, StrictNUMA: true, Parents: looks}
		if mode == engine.Budget {
			c.Budget = 1 << 20
		}
		result := checkGolden(t, []golden.Sector{sector}, c)
		for h, mem := range result.Memory {
			if p := mem.Locality; p.Err != nil || p.Checked == 0 || p.Local != p.Checked || p.ByNUMANode[0] != 0 {
				t.Errorf("%v, hasher %d: memory is %v", mode, h, p)
			}
		}
		if looks.regions == 0 || looks.wrong != "" {
			t.Errorf("%v: %d regions are bound, and of these has pages on node 0: %q", mode, looks.regions, looks.wrong)
		}
	}
}

// A looking looks, when it is asked for parents, where the kernel has what the process has bound.
type looking struct {
	engine.ParentSource
	once    sync.Once
	regions int
	wrong   string // a region with pages on node 0
}

func (l *looking) Parents(dst []uint32, first uint64) error {
	var err error
	l.once.Do(func() {
		var text []byte
		text, err = os.ReadFile("/proc/self/numa_maps")
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); strings.HasPrefix(words[1], "bind:") {
				l.regions++
				if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "N0=") }) {
					l.wrong = line
				}
			}
		}
	})
	return errors.Join(err, l.ParentSource.Parents(dst, first))
}
