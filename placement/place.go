package placement

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/topology"
)

// place makes the jobs for so many sectors, not more than fit.
func (r *resources) place(sectors int) []Job {
	jobs, homes := r.chooseHashers(sectors)
	inComplex := map[topology.ComplexIndex][]int{}
	for i := range jobs {
		inComplex[jobs[i].Complex] = append(inComplex[jobs[i].Complex], i)
	}
	for i := range r.complexes {
		var of []*Job
		var at []topology.NUMAIndex
		for _, i := range inComplex[r.complexes[i].index] {
			of, at = append(of, &jobs[i]), append(at, homes[i])
		}
		if c := &r.complexes[i]; c.shares() {
			c.fillShared(of, at)
		} else {
			c.fill(of, at)
		}
	}
	r.giveMemory(jobs, homes)
	return jobs
}

// A group is cores of a complex that are alike to a choice of hashers: on one NUMA node, of
// one kind, with a sibling or without.
type group struct {
	complex int // position in resources.complexes
	node    topology.NUMAIndex
	kind    topology.CoreKind
	pair    bool
	cores   []freeCore // that do not hash yet
	lacks   int        // producers that jobs here have too few
}

func (r *resources) groups() (groups []group) {
	for i := range r.complexes {
		c := &r.complexes[i]
		first := len(groups)
		for _, core := range c.cores {
			g := group{i, core.numaNode, core.kind, len(core.cpus) > 1, nil, r.q.Producers - c.producers}
			same := slices.IndexFunc(groups[first:], func(o group) bool { return o.node == g.node && o.kind == g.kind && o.pair == g.pair })
			if same < 0 {
				same = len(groups) - first
				groups = append(groups, g)
			}
			groups[first+same].cores = append(groups[first+same].cores, core)
		}
	}
	return groups
}

// chooseHashers chooses each job's core, and says which NUMA node that is on. It takes what is
// best for one job after another; if that leaves one with memory of another node, it is done
// again with as many hashers in each complex and on each node as let all have their own's, if
// there are such numbers.
func (r *resources) chooseHashers(sectors int) (jobs []Job, homes []topology.NUMAIndex) {
	jobs, homes, taken, local := r.choose(sectors, nil)
	if !local {
		if numbers := r.localNumbers(sectors, taken); numbers != nil {
			jobs, homes, _, _ = r.choose(sectors, numbers)
		}
	}
	return jobs, homes
}

// A home is where jobs hash, and their memory can be: cores of a complex on one NUMA node.
type home struct {
	complex int
	node    topology.NUMAIndex
}

// choose chooses as chooseHashers does, of each home so many cores as numbers says, if it says
// anything. It also says how many jobs got memory of their own node, and whether all did.
func (r *resources) choose(sectors int, numbers map[home]counts) (jobs []Job, homes []topology.NUMAIndex, taken map[home]counts, local bool) {
	var (
		groups    = r.groups()
		empty     = 0 // of groups
		hashers   = make([]counts, len(r.complexes))
		more      = make([]int, len(r.complexes)) // jobs
		room      = r.slots                       // the sum of more
		inComplex = make([]int, len(r.complexes)) // jobs
		onNode    = make([]int, len(r.nodes))     // jobs
		used      = make([]use, len(r.nodes))
		to        = make([]struct { // from each node, the nearest with room for a job
			known    bool
			node     topology.NUMAIndex
			distance int
		}, len(r.nodes))
	)
	local, taken = true, map[home]counts{}
	for i := range r.complexes {
		more[i] = r.complexes[i].slots
	}
	// nearest is the nearest node with memory for a job's layers, if there is one, and whether it has
	// what the job takes besides, too.
	nearest := func(from topology.NUMAIndex, job use) (node topology.NUMAIndex, layers, all bool) {
		for _, node := range r.nearest[from] {
			if r.holds(node, used[node].plus(use{units: job.units})) {
				return node, true, r.holds(node, used[node].plus(job))
			}
		}
		return from, false, false
	}
	for range r.jobs(sectors) {
		job := Job{Sectors: min(r.q.Lanes, sectors)}
		sectors -= job.Sectors
		takes := use{1, r.layerUnits(job.Sectors)}
		left := r.jobs(sectors)

		if left == 0 {
			clear(to) // the last job may take less
		}
		distance := func(node topology.NUMAIndex) int {
			t := &to[node]
			if !t.known {
				t.known, t.distance = true, math.MaxInt
				var layers, all bool
				if t.node, layers, all = nearest(node, takes); all {
					t.distance = 2 * r.distance(node, t.node)
				} else if layers {
					t.distance = 2*r.distance(node, t.node) + 1
				}
			}
			return t.distance
		}
		// order is what a job there is compared by, what matters most first.
		order := func(g *group) (order [6]int) {
			order[0], order[1], order[2] = rank(g.kind), distance(g.node), g.lacks
			if numbers != nil {
				order[0], order[1] = order[1], order[0]
			}
			if r.q.Policy == Spread {
				order[3], order[4], order[5] = inComplex[g.complex], onNode[g.node], r.complexes[g.complex].held
			}
			return order
		}
		var best *group
		var bestOrder [6]int
		var bestMore int
		for i := range groups {
			g := &groups[i]
			c := g.complex
			if len(g.cores) == 0 || more[c] == 0 {
				continue
			}
			o := order(g)
			if best != nil && slices.Compare(o[:], bestOrder[:]) >= 0 {
				continue
			}
			after := hashers[c].plus(g.pair)
			if numbers != nil {
				n, of := numbers[home{c, g.node}], taken[home{c, g.node}]
				if g.pair && of.twos == n.twos || !g.pair && of.ones == n.ones {
					continue
				}
			} else if !r.complexes[c].feasible(after) {
				continue
			}
			if then := r.complexes[c].more(after); numbers != nil || room-more[c]+then >= left {
				best, bestOrder, bestMore = g, o, then
			}
		}
		c, core, node, pair := best.complex, best.cores[0], best.node, best.pair
		if best.cores = best.cores[1:]; len(best.cores) == 0 {
			if empty++; empty > len(groups)/2 { // those that hash all are looked at no more
				groups, empty = slices.DeleteFunc(groups, func(g group) bool { return len(g.cores) == 0 }), 0
			}
		}
		job.Hasher, job.Kind, job.Complex, job.NUMANode = core.cpus[0], core.kind, r.complexes[c].index, r.nodes[node].ID
		jobs, homes = append(jobs, job), append(homes, node)
		hashers[c] = hashers[c].plus(pair)
		room += bestMore - more[c]
		more[c] = bestMore
		inComplex[c]++
		onNode[node]++
		memory, _, ok := nearest(node, takes)
		used[memory] = used[memory].plus(takes)
		for i := range to {
			to[i].known = to[i].known && to[i].node != memory
		}
		ok = ok && memory == node
		local = local && ok
		if ok || numbers != nil {
			at := home{c, node}
			taken[at] = taken[at].plus(pair)
		}
	}
	return jobs, homes, taken, local
}

// fill gives the jobs in a core complex their producers. Pairs of CPUs are covered
// with cores of two before single ones are, as in covers, so that what suffices
// in sum does not run out. Producers come from the cores that would hash last, and of those
// that do for one as well as another, each job has its own NUMA node's first.
func (c *freeComplex) fill(jobs []*Job, homes []topology.NUMAIndex) {
	type bin struct {
		job  *Job
		node topology.NUMAIndex
		cpus []topology.CPU // hasher and producers
		want int            // CPUs more
	}
	var bins []bin
	var ones, twos []freeCore
	at := map[topology.CPU]int{} // where in bins its hasher's job is
	for i, job := range jobs {
		at[job.Hasher] = i
		bins = append(bins, bin{job: job, node: homes[i]})
	}
	for _, core := range slices.Backward(c.cores) {
		i, hashes := at[core.cpus[0]]
		switch {
		case hashes:
			bins[i].job.Cores = append(bins[i].job.Cores, core.number)
			bins[i].cpus, bins[i].want = core.cpus, max(0, 1+c.producers-len(core.cpus))
		case len(core.cpus) == 1:
			ones = append(ones, core)
		default:
			twos = append(twos, core)
		}
	}
	give := func(from *[]freeCore, least int) {
		for _, anywhere := range []bool{false, true} {
			for i := range bins {
				b := &bins[i]
				for b.want >= least {
					n := slices.IndexFunc(*from, func(c freeCore) bool { return anywhere || c.numaNode == b.node })
					if n < 0 {
						break
					}
					core := (*from)[n]
					*from = slices.Delete(*from, n, n+1)
					b.job.Cores = append(b.job.Cores, core.number)
					b.cpus = append(slices.Clip(b.cpus), core.cpus...)
					b.want -= len(core.cpus)
				}
			}
		}
	}
	give(&twos, 2)
	give(&ones, 1)
	give(&twos, 1)
	for _, b := range bins {
		b.job.Producers = slices.Clone(b.cpus[1:][:c.producers])
		slices.Sort(b.job.Cores)
	}
}

// fillShared gives the jobs in a core complex producers that several of them share: as few as can be, and the
// same number of hashers for each, or one fewer. Where there are cores enough, those that share one
// are on one NUMA node. A producer comes from the cores that would hash last, those of its hashers' node first.
func (c *freeComplex) fillShared(jobs []*Job, homes []topology.NUMAIndex) {
	hash := map[topology.CPU]bool{}
	for _, job := range jobs {
		hash[job.Hasher] = true
	}
	var rest []freeCore
	for _, core := range slices.Backward(c.cores) {
		if !hash[core.cpus[0]] {
			rest = append(rest, core)
		}
	}
	order := make([]int, len(jobs)) // by node
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(homes[a], homes[b]) })
	var byNode [][]int
	for i, job := range order {
		if i == 0 || homes[job] != homes[order[i-1]] {
			byNode = append(byNode, nil)
		}
		byNode[len(byNode)-1] = append(byNode[len(byNode)-1], job)
	}
	groups := c.evenly(byNode...)
	if len(groups) > len(rest) {
		groups = c.evenly(order)
	}
	for _, group := range groups {
		n := max(0, slices.IndexFunc(rest, func(core freeCore) bool { return core.numaNode == homes[group[0]] }))
		producer := rest[n]
		rest = slices.Delete(rest, n, n+1)
		for _, at := range group {
			job := jobs[at]
			job.Producers, job.Cores = []topology.CPU{producer.cpus[0]}, []topology.CPU{c.numberOf(job.Hasher)}
			if at == slices.Min(group) {
				job.Cores = append(job.Cores, producer.number)
				slices.Sort(job.Cores)
			}
		}
	}
}

// evenly divides each set of jobs into as few groups as their producers allow, of the same size or one fewer.
func (c *freeComplex) evenly(sets ...[]int) (groups [][]int) {
	for _, set := range sets {
		for left := roundup.Div(len(set), c.hashers); left > 0; left-- {
			n := roundup.Div(len(set), left)
			groups = append(groups, set[:n])
			set = set[n:]
		}
	}
	return groups
}

// numberOf is the number of the core whose first usable CPU this is.
func (c *freeComplex) numberOf(cpu topology.CPU) topology.CPU {
	i := slices.IndexFunc(c.cores, func(core freeCore) bool { return core.cpus[0] == cpu })
	return c.cores[i].number
}

// giveMemory gives each job what it takes besides its layers, and then the layers:
// all jobs from their nearest node first, then what is missing from the next,
// so that no job takes from another what is near to it. The former may break up
// only so many units that enough are left for the layers.
func (r *resources) giveMemory(jobs []Job, homes []topology.NUMAIndex) {
	free := maps.Clone(r.free) // bytes
	give := func(i int, node topology.NUMAIndex, pool topology.MemoryPool, bytes uint64) {
		if bytes == 0 {
			return
		}
		free[pool] -= bytes
		memory := &jobs[i].Memory
		at := slices.IndexFunc(*memory, func(s Share) bool { return s.Pool == pool })
		if at < 0 {
			at = len(*memory)
			*memory = append(*memory, Share{Pool: pool, Distance: r.distance(homes[i], node)})
		}
		(*memory)[at].Bytes += bytes
	}
	pools := make([][]topology.MemoryPool, len(r.nodes)) // those for layers, largest pages first
	for _, pool := range slices.Backward(topology.SortedPools(r.free)) {
		if r.unitsIn(pool, r.free[pool]) > 0 {
			i := slices.IndexFunc(r.nodes, func(n topology.NUMANode) bool { return n.ID == pool.NUMANode })
			pools[i] = append(pools[i], pool)
		}
	}
	missing := make([]uint64, len(jobs)) // units
	sectors := 0
	for i := range jobs {
		sectors += jobs[i].Sectors
		missing[i] = r.fromMachine(jobs[i].Sectors)
	}
	spare := r.ordinary - r.lacking(sectors) // units in ordinary memory
	for i := range jobs {
		bytes := r.q.JobOverhead()
		for _, node := range r.nearest[homes[i]] {
			pool := topology.MemoryPool{NUMANode: r.nodes[node].ID}
			had := r.unitsIn(pool, free[pool])
			n := min(bytes, free[pool], free[pool]-had*r.q.unit()+spare*r.q.unit())
			bytes -= n
			give(i, node, pool, n)
			spare -= had - r.unitsIn(pool, free[pool])
		}
	}
	for rank := range r.nodes {
		for i := range jobs {
			if missing[i] == 0 {
				continue
			}
			node := r.nearest[homes[i]][rank]
			for _, pool := range pools[node] {
				n := min(missing[i], r.unitsIn(pool, free[pool]))
				missing[i] -= n
				give(i, node, pool, n*r.q.unit())
			}
		}
	}
	for i := range jobs {
		slices.SortStableFunc(jobs[i].Memory, func(a, b Share) int {
			return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(b.Pool.PageSize, a.Pool.PageSize))
		})
	}
}
