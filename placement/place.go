package placement

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/sdr-engine/sdr/topology"
)

// place makes the jobs for so many sectors, not more than fit.
func (r *resources) place(sectors int) []Job {
	jobs, homes := r.chooseHashers(sectors)
	for i := range r.complexes {
		r.fill(&r.complexes[i], jobs)
	}
	r.giveMemory(jobs, homes)
	return jobs
}

// chooseHashers chooses each job's core, and says which NUMA node that is on.
func (r *resources) chooseHashers(sectors int) (jobs []Job, homes []topology.NUMAIndex) {
	var (
		inComplex = make([]int, len(r.complexes)) // jobs
		onNode    = make([]int, len(r.nodes))     // jobs
		left      = make([]uint64, len(r.nodes))  // units for layers
	)
	for i, node := range r.nodes {
		for pool, bytes := range r.free {
			if pool.NUMANode == node.ID && len(r.q.InFiles) == 0 {
				left[i] += r.unitsIn(pool, bytes)
			}
		}
		left[i] += min(r.q.InFiles[node.ID], maxPool) / r.q.unit()
	}
	// room is the nearest node with room for so many units, if there is one.
	room := func(from topology.NUMAIndex, units uint64) (node topology.NUMAIndex, ok bool) {
		i := slices.IndexFunc(r.nearest[from], func(i topology.NUMAIndex) bool { return left[i] >= units })
		return r.nearest[from][max(0, i)], i >= 0
	}
	for range r.jobs(sectors) {
		job := Job{Sectors: min(r.q.Lanes, sectors)}
		sectors -= job.Sectors
		units := r.layerUnits(job.Sectors)

		type candidate struct {
			complex  int
			core     *freeCore
			distance int
		}
		var best candidate
		for i := range r.complexes {
			if inComplex[i] == r.complexes[i].slots {
				continue
			}
			c := candidate{i, &r.complexes[i].cores[inComplex[i]], math.MaxInt}
			if node, ok := room(c.core.numaNode, units); ok {
				c.distance = r.distance(c.core.numaNode, node)
			}
			if best.core == nil {
				best = c
				continue
			}
			order := cmp.Or(cmp.Compare(rank(c.core.kind), rank(best.core.kind)), cmp.Compare(c.distance, best.distance))
			if r.q.Policy == Spread {
				order = cmp.Or(order, cmp.Compare(inComplex[i], inComplex[best.complex]),
					cmp.Compare(onNode[c.core.numaNode], onNode[best.core.numaNode]),
					cmp.Compare(r.complexes[i].held, r.complexes[best.complex].held))
			}
			if order < 0 {
				best = c
			}
		}
		home := best.core.numaNode
		job.Hasher, job.Kind, job.Complex, job.NUMANode = best.core.cpus[0], best.core.kind, r.complexes[best.complex].index, r.nodes[home].ID
		jobs, homes = append(jobs, job), append(homes, home)
		inComplex[best.complex]++
		onNode[home]++
		node, _ := room(home, units)
		left[node] -= min(left[node], units)
	}
	return jobs, homes
}

// fill gives the jobs in a core complex their producers. Pairs of CPUs are covered
// with cores of two before single ones are, as in covers, so that what suffices
// in sum does not run out. Producers come from the cores that would hash last.
func (r *resources) fill(c *freeComplex, jobs []Job) {
	type bin struct {
		job  *Job
		cpus []topology.CPU // hasher and producers
		want int            // CPUs more
	}
	var bins []bin
	for i := range jobs {
		if jobs[i].Complex == c.index {
			core := &c.cores[len(bins)]
			jobs[i].Cores = append(jobs[i].Cores, core.number)
			bins = append(bins, bin{&jobs[i], core.cpus, max(0, 1+r.q.Producers-len(core.cpus))})
		}
	}
	var ones, twos []freeCore
	for _, core := range slices.Backward(c.cores[len(bins):]) {
		if len(core.cpus) == 1 {
			ones = append(ones, core)
		} else {
			twos = append(twos, core)
		}
	}
	give := func(from *[]freeCore, least int) {
		for i := range bins {
			b := &bins[i]
			for b.want >= least && len(*from) > 0 {
				core := (*from)[0]
				*from = (*from)[1:]
				b.job.Cores = append(b.job.Cores, core.number)
				b.cpus = append(slices.Clip(b.cpus), core.cpus...)
				b.want -= len(core.cpus)
			}
		}
	}
	give(&twos, 2)
	give(&ones, 1)
	give(&twos, 1)
	for _, b := range bins {
		b.job.Producers = slices.Clone(b.cpus[1:][:r.q.Producers])
		slices.Sort(b.job.Cores)
	}
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
