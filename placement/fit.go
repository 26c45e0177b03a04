package placement

import (
	"cmp"
	"slices"
	"sort"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/topology"
)

// A freeCore is a core that nobody holds.
type freeCore struct {
	number   topology.CPU
	cpus     []topology.CPU // that may be used, one or two, ascending
	kind     topology.CoreKind
	numaNode topology.NUMAIndex
	stray    bool // its own node is none of the machine's, since it is offline for example: numaNode's memory is far
}

// threadsPerCore is how many CPUs of a core are used at most. A third thread on a
// hasher's core would cost it more than a producer elsewhere.
const threadsPerCore = 2

// A freeComplex is what is free in a core complex.
type freeComplex struct {
	index     topology.ComplexIndex
	cores     []freeCore // performance cores first, and among them those with a sibling to produce on
	held      int        // cores that others hold
	all       counts     // of the cores
	slots     int        // jobs that fit
	producers int        // of each of them
	hashers   int        // that share a producer
}

// Resources is what a request could use of a machine.
type resources struct {
	q         Request
	nodes     []topology.NUMANode
	nearest   [][]topology.NUMAIndex // for each node, all by their distance from it; for who places
	complexes []freeComplex
	free      map[topology.MemoryPool]uint64 // bytes, of all pools
	memoryOn  []nodeMemory                   // of each node; for who places
	unit      uint64                         // q's, and what a job takes besides layers: for who places
	besides   uint64

	slots    int    // jobs that the cores allow
	inFiles  uint64 // units for layers in files, if they are to lie there
	huge     uint64 // units for layers in huge pages
	ordinary uint64 // units for layers in ordinary memory
	bytes    uint64 // of ordinary memory
}

func newResources(m *topology.Machine, reserved Reserved, q Request) *resources {
	r := &resources{q: q, nodes: m.NUMANodes(), free: m.FreeMemory(q.MemoryNodes)}
	usable := m.Allowed()
	if q.Policy == List {
		usable = q.Only
	}
	held := map[topology.CoreIndex]bool{}
	for _, cpu := range reserved.Cores {
		if i, ok := m.CoreOf(cpu); ok {
			held[i] = true
		}
	}
	cores := m.Cores()
	cpus := make([]topology.CPU, 0, m.CPUs().Len()) // of all cores, so that a large machine takes a moment
	for i, complex := range m.Complexes() {
		c := freeComplex{index: topology.ComplexIndex(i), cores: make([]freeCore, 0, len(complex.Cores))}
		for _, j := range complex.Cores {
			if held[j] {
				c.held++
				continue
			}
			at := cores[j].NUMANode
			core := freeCore{number: cores[j].CPUs[0], kind: cores[j].Kind, numaNode: at, stray: !r.nodes[at].CPUs.Contains(cores[j].CPUs[0])}
			first := len(cpus)
			for _, cpu := range cores[j].CPUs {
				if usable.Contains(cpu) && len(cpus)-first < q.threads() {
					cpus = append(cpus, cpu)
				}
			}
			core.cpus = slices.Clip(cpus[first:])
			if len(core.cpus) > 0 {
				c.cores = append(c.cores, core)
				c.all = c.all.plus(len(core.cpus) > 1)
			}
		}
		c.producers, c.hashers = q.Producers, q.HashersPerProducer
		c.slots = q.slots(c.all)
		if n := c.all; q.FewerProducers && c.slots == 0 && len(c.cores) > 0 {
			c.slots, c.producers, c.hashers = 1, n.ones+2*n.twos-1, 1
		}
		c.sort()
		r.complexes = append(r.complexes, c)
		r.slots += c.slots
	}

	for pool, bytes := range r.free {
		bytes = min(bytes, maxPool)
		bytes -= min(bytes, reserved.Memory[pool])
		r.free[pool] = bytes
		switch {
		case pool.PageSize == 0:
			r.bytes += bytes
			r.ordinary += r.unitsIn(pool, bytes)
		default:
			r.huge += r.unitsIn(pool, bytes)
		}
	}
	for _, bytes := range q.InFiles {
		r.inFiles += min(bytes, maxPool)
	}
	r.inFiles /= q.unit() // a job may have files of several nodes
	return r
}

// survey finds out what placing goes by, and counting does not.
func (r *resources) survey() {
	r.memoryOn, r.unit, r.besides = r.memories(), r.q.unit(), r.q.JobOverhead()
	for i := range r.nodes {
		order := []topology.NUMAIndex{topology.NUMAIndex(i)} // it comes first, however near others claim to be
		for j := range r.nodes {
			if j != i {
				order = append(order, topology.NUMAIndex(j))
			}
		}
		slices.SortStableFunc(order, func(a, b topology.NUMAIndex) int {
			return cmp.Compare(r.distance(topology.NUMAIndex(i), a), r.distance(topology.NUMAIndex(i), b))
		})
		r.nearest = append(r.nearest, order)
	}
}

// here is the distance from a node to itself; aside, how much farther from it a core is that is in no node.
const (
	here  = 10
	aside = 10
)

func (r *resources) distance(from, to topology.NUMAIndex) int {
	if from == to {
		return here
	}
	return r.nodes[from].Distances[to]
}

// threads is how many CPUs of a core a job may use.
func (q *Request) threads() int {
	if q.SMT == IdleSiblings || q.shares() {
		return 1
	}
	return threadsPerCore
}

// unitsIn is how many units for layers there are in so many bytes of a pool: none
// where the pages are not the ones wanted, or would be filled only in part.
func (r *resources) unitsIn(pool topology.MemoryPool, bytes uint64) uint64 {
	unit := r.q.unit()
	switch {
	case r.q.strict() && pool.PageSize != r.q.PageSize,
		r.q.PageSize == OrdinaryPages && pool.PageSize != 0,
		pool.PageSize != 0 && unit%pool.PageSize != 0:
		return 0
	}
	return bytes / unit
}

// Counts is how many cores have one CPU to use, and how many two.
type counts struct{ ones, twos int }

func (n counts) plus(two bool) counts {
	if two {
		return counts{n.ones, n.twos + 1}
	}
	return counts{n.ones + 1, n.twos}
}

// covers reports whether the cores suffice for needs that are made up of so many pairs
// of CPUs and so many single ones: pairs take cores of two, or two of one; what is
// single takes a core of one, or a core of two whose second CPU is then idle.
func (n counts) covers(pairs, singles int) bool {
	if n.twos >= pairs {
		return n.ones+n.twos-pairs >= singles
	}
	return n.ones >= 2*(pairs-n.twos)+singles
}

// slots is how many jobs of so many CPUs each the cores suffice for, when no two
// jobs share a core.
func slots(n counts, cpus int) int {
	return searchLast(n.ones+n.twos, func(jobs int) bool { return n.covers(jobs*(cpus/2), jobs*(cpus%2)) })
}

// slots is how many jobs of a request the cores of a complex suffice for.
func (q *Request) slots(n counts) int {
	if !q.shares() {
		return slots(n, 1+q.Producers)
	}
	cores := n.ones + n.twos
	return searchLast(cores, func(jobs int) bool { return jobs+roundup.Div(jobs, q.HashersPerProducer) <= cores })
}

// searchLast is the largest number from 0 to n for which ok holds; it does for 0,
// and if not for one, then not for any larger one.
func searchLast(n int, ok func(int) bool) int {
	return sort.Search(n, func(i int) bool { return !ok(i + 1) })
}

// sort orders the cores: those to hash first come first.
func (c *freeComplex) sort() {
	slices.SortFunc(c.cores, func(a, b freeCore) int {
		return cmp.Or(cmp.Compare(rank(a.kind), rank(b.kind)), cmp.Compare(len(b.cpus), len(a.cpus)), cmp.Compare(a.number, b.number))
	})
}

// shares reports whether several of its hashers have one producer.
func (c *freeComplex) shares() bool { return c.hashers > 1 && c.producers > 0 }

// feasible reports whether a complex has producers for jobs that hash on so many cores of each kind.
func (c *freeComplex) feasible(hashers counts) bool {
	n := c.all
	n.ones, n.twos = n.ones-hashers.ones, n.twos-hashers.twos
	if c.shares() {
		return n.ones >= 0 && n.twos >= 0 && roundup.Div(hashers.ones+hashers.twos, c.hashers) <= n.ones+n.twos
	}
	of, ofPair := c.producers, max(0, c.producers-1) // CPUs that a hasher needs more
	return n.ones >= 0 && n.twos >= 0 &&
		n.covers(hashers.ones*(of/2)+hashers.twos*(ofPair/2), hashers.ones*(of%2)+hashers.twos*(ofPair%2))
}

// more is how many jobs a complex can have besides those that hash on so many cores of each kind.
// Cores with a sibling come first, which never costs a job: a hasher without one could change
// places with such a core, and two cores without replace it where it was.
func (c *freeComplex) more(hashers counts) int {
	pairs := c.all.twos - hashers.twos
	return searchLast(c.slots-hashers.ones-hashers.twos, func(n int) bool {
		twos := min(n, pairs)
		return c.feasible(counts{hashers.ones + n - twos, hashers.twos + twos})
	})
}

func rank(kind topology.CoreKind) int {
	switch kind {
	case topology.Efficiency:
		return 1
	case topology.LowPower:
		return 2
	}
	return 0
}

// jobs is how many jobs so many sectors make.
func (r *resources) jobs(sectors int) int { return (sectors + r.q.Lanes - 1) / r.q.Lanes }

// memory is what so many sectors take, in bytes.
func (r *resources) memory(sectors int) uint64 {
	return uint64(sectors)*r.q.sectorMemory() + uint64(r.jobs(sectors))*r.q.JobOverhead()
}

// layerUnits is how many units the layers of so many sectors take.
func (r *resources) layerUnits(sectors int) uint64 {
	return uint64(sectors) * (r.q.sectorMemory() / r.q.unit())
}

// fromMachine is how many of these the machine's free memory must have.
func (r *resources) fromMachine(sectors int) uint64 {
	if len(r.q.InFiles) > 0 {
		return 0
	}
	return r.layerUnits(sectors)
}

// lacking is how many units there are too few in huge pages.
func (r *resources) lacking(sectors int) uint64 {
	units := r.fromMachine(sectors)
	return units - min(units, r.huge)
}

// ordinaryBytes is what ordinary memory must have: what huge pages lack, unless they
// must not, and what the jobs take besides.
func (r *resources) ordinaryBytes(sectors int) uint64 {
	bytes := uint64(r.jobs(sectors)) * r.q.JobOverhead()
	if !r.q.strict() {
		bytes += r.lacking(sectors) * r.q.unit()
	}
	return bytes
}

// The four conditions for so many sectors. Each holds for fewer sectors if it
// holds for more.

func (r *resources) coresSuffice(sectors int) bool { return r.jobs(sectors) <= r.slots }
func (r *resources) layersSuffice(sectors int) bool {
	return r.lacking(sectors) <= r.ordinary && (len(r.q.InFiles) == 0 || r.layerUnits(sectors) <= r.inFiles)
}
func (r *resources) bytesSuffice(sectors int) bool { return r.ordinaryBytes(sectors) <= r.bytes }
func (r *resources) budgetSuffices(sectors int) bool {
	return r.q.Budget == 0 || r.memory(sectors) <= r.q.Budget
}

// max is how many sectors fit.
func (r *resources) max() int {
	return searchLast(min(MaxSectors, r.slots*r.q.Lanes), func(n int) bool {
		return r.coresSuffice(n) && r.layersSuffice(n) && r.bytesSuffice(n) && r.budgetSuffices(n)
	})
}
