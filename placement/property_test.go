package placement_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// genSpec makes machines with everything odd that there is: nodes without memory or
// CPUs, sparse numbers, complexes and cores of different sizes, cores of two kinds,
// huge pages here and there, and CPUs and memory that are not allowed.
func genSpec(t *rapid.T) *spec {
	s := new(spec)
	nodes := rapid.IntRange(1, 3).Draw(t, "nodes")
	for i := range nodes {
		s.Nodes = append(s.Nodes, specNode{
			ID:        i * rapid.IntRange(1, 3).Draw(t, "step"),
			FreeKiB:   genKiB(t),
			Huge:      map[uint64]uint64{},
			Distances: make([]int, nodes),
			BarredMem: rapid.IntRange(0, 5).Draw(t, "barred") == 0,
		})
		if i > 0 && s.Nodes[i].ID <= s.Nodes[i-1].ID {
			s.Nodes[i].ID = s.Nodes[i-1].ID + 1
		}
		for _, size := range []uint64{2 << 10, 1 << 20} {
			if rapid.Bool().Draw(t, "has huge pages") {
				s.Nodes[i].Huge[size] = rapid.Uint64Range(0, 300).Draw(t, "huge pages") * (1 << 20) / size / rapid.Uint64Range(1, 7).Draw(t, "by")
			}
		}
	}
	for i := range nodes {
		for j := range i {
			d := rapid.IntRange(11, 40).Draw(t, "distance")
			s.Nodes[i].Distances[j], s.Nodes[j].Distances[i] = d, d
		}
		s.Nodes[i].Distances[i] = 10
	}
	hybrid := rapid.Bool().Draw(t, "hybrid")
	for range rapid.IntRange(1, 4).Draw(t, "complexes") {
		s.addComplex(t, hybrid)
	}
	for _, cpu := range s.cpus() {
		if rapid.IntRange(0, 7).Draw(t, "bar") == 0 {
			s.Barred = append(s.Barred, cpu)
		}
	}
	if len(s.Barred) == len(s.cpus()) {
		s.Barred = s.Barred[1:] // nothing allowed is as good as unknown
	}
	if !slices.ContainsFunc(s.Nodes, func(n specNode) bool { return !n.BarredMem }) {
		s.Nodes[0].BarredMem = false
	}
	return s
}

// genKiB is memory, none now and then, and seldom a round number.
func genKiB(t *rapid.T) uint64 {
	if rapid.IntRange(0, 4).Draw(t, "no memory") == 0 {
		return 0
	}
	return rapid.Uint64Range(1, 400<<20).Draw(t, "KiB")
}

func (s *spec) cpus() (cpus []topology.CPU) {
	for _, c := range s.Complexes {
		for _, core := range c.Cores {
			cpus = append(cpus, core.CPUs...)
		}
	}
	return cpus
}

// freshCPU is a number that no CPU has.
func (s *spec) freshCPU(t *rapid.T) topology.CPU {
	used := s.cpus()
	cpu := topology.CPU(rapid.IntRange(0, 200).Draw(t, "cpu"))
	for slices.Contains(used, cpu) {
		cpu++
	}
	return cpu
}

func (s *spec) addComplex(t *rapid.T, hybrid bool) {
	s.Complexes = append(s.Complexes, specComplex{Node: rapid.IntRange(0, len(s.Nodes)-1).Draw(t, "of node")})
	for range rapid.IntRange(1, 5).Draw(t, "cores") {
		s.addCore(t, len(s.Complexes)-1, hybrid && rapid.Bool().Draw(t, "efficiency"))
	}
	if rapid.Bool().Draw(t, "on several nodes") {
		cores := s.Complexes[len(s.Complexes)-1].Cores
		for i := range cores {
			cores[i].Beside = rapid.IntRange(0, len(s.Nodes)-1).Draw(t, "beside")
		}
	}
}

func (s *spec) addCore(t *rapid.T, complex int, efficiency bool) {
	cores := &s.Complexes[complex].Cores
	*cores = append(*cores, specCore{Efficiency: efficiency})
	for range rapid.SampledFrom([]int{1, 2, 2, 4}).Draw(t, "threads") {
		s.addCPU(t, complex, len(*cores)-1)
	}
}

func (s *spec) addCPU(t *rapid.T, complex, core int) {
	c := &s.Complexes[complex].Cores[core]
	c.CPUs = append(c.CPUs, s.freshCPU(t))
	slices.Sort(c.CPUs)
}

func genRequest(t *rapid.T, m *topology.Machine) placement.Request {
	q := placement.Request{
		Sectors:    rapid.IntRange(0, 40).Draw(t, "sectors"),
		SectorSize: rapid.SampledFrom([]uint64{2 << 10, 8 << 20, 512 << 20, 32 << 30, 32 << 30, 64 << 30}).Draw(t, "sector size"),
		Lanes:      rapid.SampledFrom([]int{0, 1, 1, 2, 4, 8, 16, 32}).Draw(t, "lanes"),
		Producers:  rapid.IntRange(0, 5).Draw(t, "producers"),

		FewerProducers: rapid.Bool().Draw(t, "fewer producers"),

		Policy:   rapid.SampledFrom([]placement.Policy{placement.Spread, placement.Pack, placement.List}).Draw(t, "policy"),
		Mode:     rapid.SampledFrom([]placement.MemoryMode{placement.TwoLayers, placement.OneLayer}).Draw(t, "mode"),
		SMT:      rapid.SampledFrom([]placement.SMTUse{placement.ProduceOnSiblings, placement.IdleSiblings}).Draw(t, "smt"),
		PageSize: rapid.SampledFrom([]uint64{placement.AnyPages, placement.AnyPages, placement.OrdinaryPages, 2 << 20, 1 << 30}).Draw(t, "page size"),
	}
	if q.Policy == placement.List {
		q.Only = topology.NewCPUSet(rapid.SliceOfNDistinct(rapid.SampledFrom(m.Allowed().Slice()), 1, -1, rapid.ID).Draw(t, "list")...)
	}
	if rapid.Bool().Draw(t, "has budget") {
		const least = 70 << 30 // enough for the smallest job but of 64 GiB
		q.Budget = rapid.Uint64Range(2*least, 600<<30).Draw(t, "budget")
	}
	if rapid.IntRange(0, 2).Draw(t, "shared producers") == 0 {
		q.Producers = min(1, q.Producers)
		q.HashersPerProducer = rapid.SampledFrom(q.Sharing(m)).Draw(t, "hashers for each producer")
	}
	return q
}

func genReserved(t *rapid.T, m *topology.Machine) placement.Reserved {
	r := placement.Reserved{Memory: map[topology.MemoryPool]uint64{}}
	for _, cpu := range m.CPUs().Slice() {
		if rapid.IntRange(0, 5).Draw(t, "held") == 0 {
			r.Cores = append(r.Cores, cpu)
		}
	}
	for pool, bytes := range m.FreeMemory(topology.MemoryNodes{}) {
		if rapid.IntRange(0, 3).Draw(t, "promised") == 0 {
			r.Memory[pool] = rapid.Uint64Range(0, 2*bytes+1).Draw(t, "bytes promised")
		}
	}
	return r
}

func plan(t *rapid.T, m *topology.Machine, r placement.Reserved, q placement.Request) *placement.Plan {
	t.Helper()
	p, err := placement.New(m, r, q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlans: whatever the machine and the request, a plan is a right one, the same
// every time; and a larger machine, or one of which less is reserved, never
// fits fewer sectors.
func TestPlans(t *testing.T) {
	dir := t.TempDir()
	placed := 0
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		m := s.read(t, dir)
		q, reserved := genRequest(t, m), genReserved(t, m)
		p := plan(t, m, reserved, q)
		verify(t, m, reserved, p)
		placed += len(p.Jobs)
		if diff := cmp.Diff(p, plan(t, m, reserved, q), cmp.Comparer(topology.CPUSet.Equal)); diff != "" {
			t.Errorf("the same request gives another plan: %s", diff)
		}
		// So many, placed by another policy or asked for alone, fit.
		if q.Policy != placement.List {
			other := p.Request // with the producers that there were
			other.Policy, other.Sectors = placement.Spread+placement.Pack-q.Policy, placement.Max
			o := plan(t, m, reserved, other)
			verify(t, m, reserved, o)
			if o.Max != p.Max {
				t.Errorf("policy %v fits %d sectors, %v fits %d", q.Policy, p.Max, other.Policy, o.Max)
			}
		}

		larger := s.clone()
		change := larger.enlarge(t)
		bigger := larger.read(t, dir)
		b := plan(t, bigger, reserved, q)
		verify(t, bigger, reserved, b)
		alike := func(o *placement.Plan) bool { return o.Request.Producers == p.Request.Producers } // or it has other jobs
		if b.Max < p.Max && alike(b) || b.Sectors < p.Sectors {
			t.Errorf("with %s, %d sectors fit instead of %d, in\n%v", change, b.Max, p.Max, larger)
		}

		more := placement.Reserved{Cores: slices.Clone(reserved.Cores), Memory: map[topology.MemoryPool]uint64{}}
		for pool, bytes := range reserved.Memory {
			more.Memory[pool] = bytes
		}
		if rapid.Bool().Draw(t, "reserve a core") {
			more.Cores = append(more.Cores, rapid.SampledFrom(m.CPUs().Slice()).Draw(t, "reserved core"))
		}
		for pool := range m.FreeMemory(topology.MemoryNodes{}) {
			more.Memory[pool] += rapid.Uint64Range(0, 1<<38).Draw(t, "reserved more")
		}
		r := plan(t, m, more, q)
		verify(t, m, more, r)
		if r.Max > p.Max && alike(r) || r.Sectors > p.Sectors {
			t.Errorf("with more reserved %d sectors fit instead of %d", r.Max, p.Max)
		}
	})
	if placed == 0 && !testing.Short() { // a few tries may all draw what does not fit
		t.Error("no plan had a job")
	}
}

// enlarge adds something, and says what.
func (s *spec) enlarge(t *rapid.T) string {
	complex := rapid.IntRange(0, len(s.Complexes)-1).Draw(t, "in complex")
	node := rapid.IntRange(0, len(s.Nodes)-1).Draw(t, "on node")
	hybrid := false
	for _, c := range s.Complexes {
		hybrid = hybrid || slices.ContainsFunc(c.Cores, func(c specCore) bool { return c.Efficiency })
	}
	changes := []struct {
		name string
		do   func()
	}{
		{"a core more", func() { s.addCore(t, complex, hybrid) }},
		{"a sibling more", func() {
			s.addCPU(t, complex, rapid.IntRange(0, len(s.Complexes[complex].Cores)-1).Draw(t, "core"))
		}},
		{"a complex more", func() { s.addComplex(t, hybrid) }},
		{"more memory", func() { s.Nodes[node].FreeKiB += genKiB(t) }},
		{"more huge pages", func() {
			s.Nodes[node].Huge[rapid.SampledFrom([]uint64{2 << 10, 1 << 20, 16 << 20}).Draw(t, "of KiB")] += rapid.Uint64Range(0, 1<<17).Draw(t, "more pages")
		}},
		{"a node more", func() {
			for i := range s.Nodes {
				s.Nodes[i].Distances = append(s.Nodes[i].Distances, 15)
			}
			last := s.Nodes[len(s.Nodes)-1].ID
			s.Nodes = append(s.Nodes, specNode{ID: last + 1, FreeKiB: genKiB(t), Distances: append(slices.Repeat([]int{15}, len(s.Nodes)), 10)})
		}},
		{"all CPUs allowed", func() { s.Barred = nil }},
		{"all memory allowed", func() {
			for i := range s.Nodes {
				s.Nodes[i].BarredMem = false
			}
		}},
	}
	c := rapid.SampledFrom(changes).Draw(t, "change")
	c.do()
	return c.name
}

// TestMostJobs: the cores of a complex are shared out among as many jobs as can be,
// which trying all ways confirms.
func TestMostJobs(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := &spec{Nodes: []specNode{{FreeKiB: 1 << 40, Distances: []int{10}}}, Complexes: []specComplex{{}}}
		hybrid := rapid.Bool().Draw(t, "hybrid")
		var threads []int
		for range rapid.IntRange(1, 7).Draw(t, "cores") {
			s.addCore(t, 0, hybrid && rapid.Bool().Draw(t, "efficiency"))
			cores := s.Complexes[0].Cores
			threads = append(threads, min(2, len(cores[len(cores)-1].CPUs)))
		}
		q := placement.Request{SectorSize: 2 << 10, Producers: rapid.IntRange(0, 6).Draw(t, "producers")}
		m := s.read(t, dir)
		p := plan(t, m, placement.Reserved{}, q)
		verify(t, m, placement.Reserved{}, p)
		if want := mostBins(threads, 1+q.Producers); p.Max != want {
			t.Errorf("%d jobs of %d CPUs on cores of %v, want %d", p.Max, 1+q.Producers, threads, want)
		}
	})
}

// mostBins is into how many groups of cores with so many threads each, or more, cores
// can be divided at most: by putting each core into each group.
func mostBins(threads []int, want int) (most int) {
	sums := make([]int, 0, len(threads))
	var try func(i int)
	try = func(i int) {
		if i == len(threads) {
			full := 0
			for _, sum := range sums {
				if sum >= want {
					full++
				}
			}
			most = max(most, full)
			return
		}
		for j := range sums {
			sums[j] += threads[i]
			try(i + 1)
			sums[j] -= threads[i]
		}
		sums = append(sums, threads[i])
		try(i + 1)
		sums = sums[:len(sums)-1]
	}
	try(0)
	return most
}

// TestHelpIsTrue: what is said to help does, when it is done.
func TestHelpIsTrue(t *testing.T) {
	dir := t.TempDir()
	kinds := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		s := server(rapid.Uint64Range(0, 300).Draw(t, "GiB"), rapid.Uint64Range(0, 300).Draw(t, "GiB"))
		m := s.read(t, dir)
		q := genRequest(t, m)
		q.SectorSize = 32 << 30
		p := plan(t, m, placement.Reserved{}, q)
		for _, h := range p.Helps {
			changed, larger, known := p.Request, s.clone(), true
			for text := range strings.SplitSeq(h.Text, ", and ") {
				words := strings.Fields(text)
				n, _ := strconv.ParseFloat(words[0], 64)
				amount := func(unit float64) uint64 { // what is said is rounded
					if words[1] == "MiB" {
						unit /= 1024
					}
					return uint64((n + 0.01) * unit)
				}
				switch {
				case strings.HasSuffix(text, "B more free memory"):
					larger.Nodes[rapid.IntRange(0, 1).Draw(t, "node")].FreeKiB += amount(1 << 20)
				case strings.HasSuffix(text, "B more memory budget"):
					changed.Budget += amount(1 << 30)
				case strings.HasSuffix(text, "huge pages of 1 GiB"):
					larger.Nodes[rapid.IntRange(0, 1).Draw(t, "node")].Huge[1<<20] += uint64(n)
				case strings.HasSuffix(text, "huge pages of 2 MiB"):
					larger.Nodes[rapid.IntRange(0, 1).Draw(t, "node")].Huge[2048] += uint64(n)
				case (strings.HasSuffix(text, "in the same core complex") || strings.HasSuffix(text, "in the right core complex")) && q.Policy != placement.List:
					for range int(n) {
						cpu := topology.CPU(16 + len(larger.cpus()))
						cores := &larger.Complexes[0].Cores
						*cores = append(*cores, specCore{CPUs: cpus(cpu, cpu+1)})
					}
				case text == "producers on the SMT siblings of hashers":
					changed.SMT = placement.ProduceOnSiblings
				case text == "one layer of each sector in memory instead of two":
					changed.Mode = placement.OneLayer
				case text == "pages of any size":
					changed.PageSize = placement.AnyPages
				case text == "no memory budget":
					changed.Budget = 0
				case text == "all CPUs that this process may use, instead of a list":
					changed.Policy, changed.Only = placement.Spread, topology.CPUSet{}
				case strings.HasSuffix(text, fmt.Sprintf("sectors in lock-step on each hasher instead of %d", p.Request.Lanes)):
					changed.Lanes = int(n)
				case strings.HasSuffix(text, fmt.Sprintf("hashers for each producer instead of %d", p.Request.HashersPerProducer)):
					changed.HashersPerProducer = int(n)
				case strings.HasSuffix(text, fmt.Sprintf("for each hasher instead of %d", p.Request.Producers)):
					changed.Producers = int(n)
				case q.Policy == placement.List && strings.Contains(text, "core"):
					known = false // the list would have to grow
				default:
					t.Errorf("what is meant by %q in %q?", text, h.Text)
				}
			}
			if !known {
				continue
			}
			kinds[h.Text[:min(len(h.Text), 12)]] = true
			m := larger.read(t, dir)
			if got := plan(t, m, placement.Reserved{}, changed); got.Max < h.Sectors {
				t.Errorf("%q lets %d sectors fit, it says %d", h.Text, got.Max, h.Sectors)
			}
		}
	})
	if len(kinds) < 5 {
		t.Errorf("only these were tried: %v", kinds)
	}
}
