package placement

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/topology"
)

// limits says all that keeps one sector more than fit from fitting, too.
func (r *resources) limits(fit int) (limits []Limit) {
	add := func(kind LimitKind, format string, args ...any) {
		limits = append(limits, Limit{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	addPool := func(kind LimitKind, pool topology.MemoryPool, format string, args ...any) {
		limits = append(limits, Limit{Kind: kind, OfNode: true, Pool: pool, Text: fmt.Sprintf(format, args...)})
	}
	more, cpus := fit+1, words.Count(1+r.q.Producers, "CPU")
	each := cpus + " each"
	if r.q.shares() {
		cpus = "cores"
		each = fmt.Sprintf("one each, and one for every %d of them that share a producer", r.q.HashersPerProducer)
	}
	if !r.coresSuffice(more) {
		var all counts
		held := 0
		for i := range r.complexes {
			n := r.complexes[i].all
			all.ones, all.twos, held = all.ones+n.ones, all.twos+n.twos, held+r.complexes[i].held
		}
		free := words.Count(all.ones+all.twos, "core") + " free"
		if held > 0 {
			free += fmt.Sprintf(", %d held by other jobs", held)
		}
		if r.q.slots(all) > r.slots {
			add(LimitComplexes, "core complexes: %s, but the %s of a job must share a complex: room for %s", free, cpus, words.Count(r.slots, "job"))
		} else {
			add(LimitCores, "cores: %s, jobs take %s: room for %s", free, each, words.Count(r.slots, "job"))
		}
	}
	layers, bytes := r.layersSuffice(more), r.bytesSuffice(more)
	if !layers && len(r.q.InFiles) > 0 {
		layers = true
		add(LimitHugePages, "files of huge pages: room for %s; a sector's layers take %s", topology.SizeText(r.inFiles*r.q.unit()), topology.SizeText(r.q.sectorMemory()))
	}
	if !layers && r.q.strict() {
		pools := r.pools(r.q.PageSize)
		for _, pool := range pools {
			addPool(LimitHugePages, pool, "huge pages of %s on NUMA node %d: room for %s; a sector's layers take %s",
				topology.SizeText(pool.PageSize), pool.NUMANode, topology.SizeText(r.free[pool]), topology.SizeText(r.q.sectorMemory()))
		}
		if len(pools) == 0 {
			add(LimitHugePages, "huge pages: no NUMA node has any of %s", topology.SizeText(r.q.PageSize))
		}
	}
	if !bytes || !layers && !r.q.strict() {
		pools := r.pools(0)
		for _, pool := range pools {
			addPool(LimitMemory, pool, "memory of NUMA node %d: room for %s%s; a sector's layers take %s, a job %s besides",
				pool.NUMANode, topology.SizeText(r.free[pool]), r.inHugePages(pool.NUMANode), topology.SizeText(r.q.sectorMemory()), topology.SizeText(r.q.JobOverhead()))
		}
		if len(pools) == 0 {
			add(LimitMemory, "memory: there is no NUMA node whose memory may be used")
		}
	}
	if !r.budgetSuffices(more) {
		add(LimitBudget, "memory budget: %s; %s %s, one more %s", topology.SizeText(r.q.Budget), take(fit),
			topology.SizeText(r.memory(fit)), topology.SizeText(r.memory(more)-r.memory(fit)))
	}
	for i := range limits {
		limits[i].Sectors = r.maxWithout(limits[i].Kind)
	}
	return limits
}

// maxWithout is how many sectors would fit if one kind of limit were not.
func (r *resources) maxWithout(kind LimitKind) int {
	lifted := func(kinds ...LimitKind) bool { return slices.Contains(kinds, kind) }
	cores := r.slots
	if kind == LimitComplexes { // cores wherever they are
		var all counts
		for i := range r.complexes {
			all = counts{all.ones + r.complexes[i].all.ones, all.twos + r.complexes[i].all.twos}
		}
		cores = max(cores, r.q.slots(all))
	}
	return searchLast(MaxSectors, func(n int) bool {
		return (lifted(LimitCores) || r.jobs(n) <= cores) &&
			(lifted(LimitHugePages) || lifted(LimitMemory) && !r.q.strict() || r.layersSuffice(n)) &&
			(lifted(LimitMemory) || r.bytesSuffice(n)) &&
			(lifted(LimitBudget) || r.budgetSuffices(n))
	})
}

// pools are those of one page size.
func (r *resources) pools(pageSize uint64) (pools []topology.MemoryPool) {
	for _, pool := range topology.SortedPools(r.free) {
		if pool.PageSize == pageSize {
			pools = append(pools, pool)
		}
	}
	return pools
}

// inHugePages tells of a node's huge pages, where any will do.
func (r *resources) inHugePages(node topology.NUMANodeID) string {
	var units uint64
	for pool, bytes := range r.free {
		if !r.q.strict() && pool.NUMANode == node && pool.PageSize != 0 {
			units += r.unitsIn(pool, bytes)
		}
	}
	if units == 0 {
		return ""
	}
	return fmt.Sprintf(", and for %s in huge pages", topology.SizeText(units*r.q.unit()))
}

// helps says what would let more sectors fit than do: what is missing for one
// more, and which other request would have more.
func (r *resources) helps(m *topology.Machine, reserved Reserved, fit int) (helps []Help) {
	if missing := r.missing(fit + 1); len(missing) > 0 {
		helps = append(helps, Help{Sectors: fit + 1, Text: strings.Join(missing, ", and ")})
	}
	// try adds a change if it helps.
	try := func(change func(q *Request, reserved *Reserved), format string, args ...any) bool {
		q, held := r.q, reserved
		change(&q, &held)
		n := newResources(m, held, q).max()
		if n > fit {
			helps = append(helps, Help{n, fmt.Sprintf(format, args...), q.Producers < r.q.Producers || q.HashersPerProducer > r.q.HashersPerProducer})
		}
		return n > fit
	}
	try(func(_ *Request, reserved *Reserved) { *reserved = Reserved{} }, "what other jobs hold, once it is released")
	if r.q.SMT == IdleSiblings {
		try(func(q *Request, _ *Reserved) { q.SMT = ProduceOnSiblings }, "producers on the SMT siblings of hashers")
	}
	if r.q.Producers == 1 {
		for _, n := range sharing(r.q.mostCores(m)) {
			if n > r.q.HashersPerProducer && try(func(q *Request, _ *Reserved) { q.HashersPerProducer = n }, "%d hashers for each producer instead of %d", n, r.q.HashersPerProducer) {
				break
			}
		}
	}
	for n := r.q.Producers - 1; n >= 0; n-- {
		if try(func(q *Request, _ *Reserved) { q.Producers = n }, "%s for each hasher instead of %d", words.Count(n, "producer"), r.q.Producers) {
			break
		}
	}
	for _, n := range lanes {
		if n > r.q.Lanes && try(func(q *Request, _ *Reserved) { q.Lanes = n }, "%d sectors in lock-step on each hasher instead of %d", n, r.q.Lanes) {
			break
		}
	}
	if r.q.Mode == TwoLayers {
		try(func(q *Request, _ *Reserved) { q.Mode = OneLayer }, "one layer of each sector in memory instead of two")
	}
	if r.q.PageSize != AnyPages {
		try(func(q *Request, _ *Reserved) { q.PageSize = AnyPages }, "pages of any size")
	}
	if r.q.Budget != 0 {
		try(func(q *Request, _ *Reserved) { q.Budget = 0 }, "no memory budget")
	}
	try(func(q *Request, _ *Reserved) { q.MemoryNodes = topology.MemoryNodes{All: true} }, "memory of all NUMA nodes but GPUs'")
	if r.q.Policy == List {
		try(func(q *Request, _ *Reserved) { q.Policy, q.Only = Spread, topology.CPUSet{} }, "all CPUs that this process may use, instead of a list")
	}
	return helps
}

// sharing are the numbers of hashers that one producer is worth trying with, in complexes of so many cores at
// most: powers of two, and all but its own.
func sharing(cores int) (all []int) {
	for n := 2; n < cores-1; n *= 2 {
		all = append(all, n)
	}
	if cores > 2 {
		all = append(all, cores-1)
	}
	return all
}

// Sharing are the values of Request.HashersPerProducer that are worth trying on a machine, ascending: 1, powers of two, and
// one for which the largest core complex has one producer.
func (q *Request) Sharing(m *topology.Machine) []int {
	return append([]int{1}, sharing(q.mostCores(m))...)
}

// missing lists, in words, all that so many sectors lack.
func (r *resources) missing(sectors int) (missing []string) {
	if !r.coresSuffice(sectors) {
		missing = append(missing, r.missingCores(r.jobs(sectors)-r.slots))
	}
	lack := r.lacking(sectors)
	lack -= min(lack, r.ordinary)
	bytes := r.ordinaryBytes(sectors)
	bytes -= min(bytes, r.bytes)
	if !r.q.strict() {
		bytes = max(bytes, lack*r.q.unit())
	} else if lack > 0 {
		missing = append(missing, fmt.Sprintf("%s of %s", words.Count(int(lack), "more free huge page"), topology.SizeText(r.q.PageSize)))
	}
	if bytes > 0 {
		missing = append(missing, topology.SizeText(bytes)+" more free memory")
	}
	if !r.budgetSuffices(sectors) {
		missing = append(missing, topology.SizeText(r.memory(sectors)-r.q.Budget)+" more memory budget")
	}
	return missing
}

// missingCores says how many cores so many jobs more would take, if they were in
// the core complex where the fewest do.
func (r *resources) missingCores(jobs int) string {
	enough := func(n counts, twos bool, want int) int {
		for more := 1; ; more++ {
			if twos {
				n.twos++
			} else {
				n.ones++
			}
			if r.q.slots(n) >= want {
				return more
			}
		}
	}
	fewest := math.MaxInt
	for i := range r.complexes {
		n := r.complexes[i].all
		fewest = min(fewest, enough(n, n.twos > 0, r.complexes[i].slots+jobs))
	}
	if len(r.complexes) == 0 {
		fewest = enough(counts{}, false, jobs)
	}
	if fewest == 1 {
		return "1 more free core in the right core complex"
	}
	return fmt.Sprintf("%d more free cores in the same core complex", fewest)
}

// take is "1 sector takes" or "2 sectors take".
func take(sectors int) string {
	if sectors == 1 {
		return "1 sector takes"
	}
	return words.Count(sectors, "sector") + " take"
}
