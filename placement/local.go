package placement

import (
	"slices"

	"github.com/sdr-engine/sdr/topology"
)

// A use is what jobs take of a NUMA node's memory.
type use struct {
	jobs  int
	units uint64 // for layers
}

func (u use) plus(v use) use { return use{u.jobs + v.jobs, u.units + v.units} }

// A nodeMemory is what a NUMA node has for jobs.
type nodeMemory struct {
	huge     uint64 // units for layers in huge pages, or in files
	bytes    uint64 // of ordinary memory
	ordinary bool   // layers may lie in that
}

// memories are those of each node.
func (r *resources) memories() []nodeMemory {
	all := make([]nodeMemory, len(r.nodes))
	at := map[topology.NUMANodeID]*nodeMemory{}
	for i, node := range r.nodes {
		all[i] = nodeMemory{ordinary: !r.q.strict() && len(r.q.InFiles) == 0, huge: min(r.q.InFiles[node.ID], maxPool) / r.q.unit()}
		at[node.ID] = &all[i]
	}
	for pool, bytes := range r.free {
		switch m := at[pool.NUMANode]; {
		case pool.PageSize == 0:
			m.bytes = bytes
		case len(r.q.InFiles) == 0:
			m.huge += r.unitsIn(pool, bytes)
		}
	}
	return all
}

// holds reports whether a node's memory is enough for so much, if nothing else is in it.
func (r *resources) holds(node topology.NUMAIndex, u use) bool {
	m := r.memoryOn[node]
	besides := uint64(u.jobs) * r.besides
	if besides > m.bytes {
		return false
	}
	return u.units <= m.huge || m.ordinary && u.units-m.huge <= (m.bytes-besides)/r.unit
}

// localNumbers is how many cores hash in each home when all jobs have memory of their own node, or nil if
// there is no such way. It goes out from what was chosen that is so.
//
// The numbers are a flow: from complexes, each with as many jobs as it has producers for, to NUMA nodes,
// each with as many as it has memory for. It is a maximum, so no other way is left out. What a flow does not
// know is that hashers on cores without a sibling need more producers: where a complex has cores of both, and on
// several nodes, it is bounded more and more narrowly until the flow is one that its producers allow.
func (r *resources) localNumbers(sectors int, chosen map[home]counts) map[home]counts {
	full, rest := sectors/r.q.Lanes, sectors%r.q.Lanes
	whole := use{1, r.layerUnits(r.q.Lanes)}
	room := make([]int, len(r.nodes)) // jobs
	for node := range r.nodes {
		room[node] = searchLast(full, func(n int) bool {
			return r.holds(topology.NUMAIndex(node), use{n, uint64(n) * whole.units})
		})
	}
	if rest == 0 {
		return r.flowTo(full, room, chosen)
	}
	if numbers := r.flowTo(full+1, room, chosen); numbers != nil {
		return numbers
	}
	// The last job has fewer sectors, so one node, whichever, may have room for it besides.
	last := use{1, r.layerUnits(rest)}
	for node := range r.nodes {
		if n := room[node]; r.holds(topology.NUMAIndex(node), use{n, uint64(n) * whole.units}.plus(last)) {
			room[node]++
			numbers := r.flowTo(full+1, room, chosen)
			if room[node]--; numbers != nil {
				return numbers
			}
		}
	}
	return nil
}

// flowTo is localNumbers for so many jobs, where each node has room for so many.
func (r *resources) flowTo(jobs int, room []int, chosen map[home]counts) map[home]counts {
	total := 0
	for _, n := range room {
		total += n
	}
	if total < jobs {
		return nil
	}
	bounds := make([][]counts, len(r.complexes))
	for i := range bounds {
		bounds[i] = r.complexes[i].bounds()
	}
	tries := maxFlows
	var try func(bounds [][]counts, chosen map[home]counts) map[home]counts
	try = func(bounds [][]counts, chosen map[home]counts) map[home]counts {
		if tries--; tries < 0 {
			return nil
		}
		numbers := r.flow(jobs, bounds, room, chosen)
		if numbers == nil {
			return nil
		}
		hashers := make([]counts, len(r.complexes))
		for h, n := range numbers {
			hashers[h.complex] = counts{hashers[h.complex].ones + n.ones, hashers[h.complex].twos + n.twos}
		}
		for i := range r.complexes {
			if len(bounds[i]) < 2 || r.complexes[i].feasible(hashers[i]) {
				continue
			}
			half := len(bounds[i]) / 2
			for _, part := range [][]counts{bounds[i][half:], bounds[i][:half]} {
				narrower := slices.Clone(bounds)
				narrower[i] = part
				if numbers := try(narrower, nil); numbers != nil {
					return numbers
				}
			}
			return nil
		}
		return numbers
	}
	return try(bounds, chosen)
}

// maxFlows bounds how many ways of many odd complexes are tried. No machine that anybody has comes near it.
const maxFlows = 1000

// bounds are the most hashers on cores without a sibling, for each number of jobs where it is more than for
// the next, as ones; that number, as twos: ascending. A complex allows what is within one of them.
func (c *freeComplex) bounds() (bounds []counts) {
	all := c.all
	last := -1
	for jobs := c.slots; jobs > 0; jobs-- {
		// More cores without a sibling never make it feasible.
		least := max(0, jobs-all.twos)
		ones := least + searchLast(min(all.ones, jobs)-least, func(n int) bool {
			return c.feasible(counts{least + n, jobs - least - n})
		})
		if ones > last {
			bounds, last = append(bounds, counts{ones, jobs}), ones
		}
		if ones == all.ones {
			break // nor does a smaller number of jobs allow more
		}
	}
	slices.Reverse(bounds)
	return bounds
}

// flow is how many jobs of so many can go from each complex, within the widest of its bounds, to each NUMA node
// that has room for so many; or nil if they cannot all. It begins with what was chosen.
func (r *resources) flow(jobs int, bounds [][]counts, room []int, chosen map[home]counts) map[home]counts {
	var homes []home
	has := map[home]counts{} // cores
	for i := range r.complexes {
		for _, core := range r.complexes[i].cores {
			h := home{i, core.numaNode}
			n, known := has[h]
			if !known {
				homes = append(homes, h)
			}
			has[h] = n.plus(len(core.cpus) > 1)
		}
	}
	const source, sink = 0, 1
	var (
		net     = newNetwork(2 + len(r.nodes) + 2*len(r.complexes) + len(homes))
		node    = func(i topology.NUMAIndex) int { return 2 + int(i) }
		complex = func(i int) int { return 2 + len(r.nodes) + 2*i }
		single  = func(i int) int { return complex(i) + 1 } // its cores without a sibling
		homeAt  = func(i int) int { return 2 + len(r.nodes) + 2*len(r.complexes) + i }
	)
	for i, n := range room {
		net.edge(node(topology.NUMAIndex(i)), sink, n)
	}
	for i, b := range bounds {
		if len(b) > 0 {
			net.edge(source, complex(i), b[len(b)-1].twos)
			net.edge(complex(i), single(i), b[0].ones)
		}
	}
	for i, h := range homes {
		net.edge(complex(h.complex), homeAt(i), has[h].twos)
		net.edge(single(h.complex), homeAt(i), has[h].ones)
		net.edge(homeAt(i), node(h.node), jobs)
	}
	sum := 0
	for i, h := range homes {
		n := chosen[h]
		sum += net.push(n.twos, source, complex(h.complex), homeAt(i), node(h.node), sink)
		sum += net.push(n.ones, source, complex(h.complex), single(h.complex), homeAt(i), node(h.node), sink)
	}
	if sum+net.maximize(source, sink, jobs-sum) < jobs {
		return nil
	}
	numbers := map[home]counts{}
	for i, h := range homes {
		n := net.flow(homeAt(i), node(h.node))
		twos := min(n, has[h].twos) // whichever the flow took
		numbers[h] = counts{n - twos, twos}
	}
	return numbers
}

// A network is what something flows through: points, and edges with capacities.
type network struct {
	edges []edge
	of    [][]int // of each point, in edges; the one after an even one, before an odd one, is its reverse
}

type edge struct {
	to   int
	left int // capacity that nothing flows through; of a reverse, what flows
}

func newNetwork(points int) *network { return &network{of: make([][]int, points)} }

func (n *network) edge(from, to, capacity int) {
	n.of[from] = append(n.of[from], len(n.edges))
	n.of[to] = append(n.of[to], len(n.edges)+1)
	n.edges = append(n.edges, edge{to, capacity}, edge{from, 0})
}

// between is the edge from one point to another, or -1.
func (n *network) between(from, to int) int {
	i := slices.IndexFunc(n.of[from], func(e int) bool { return e%2 == 0 && n.edges[e].to == to })
	if i < 0 {
		return -1
	}
	return n.of[from][i]
}

// flow is what flows from one point to another.
func (n *network) flow(from, to int) int { return n.edges[n.between(from, to)+1].left }

// push lets as much flow along a way as can, up to a limit, and says how much.
func (n *network) push(most int, way ...int) int {
	var edges []int
	for i := range way[1:] {
		e := n.between(way[i], way[i+1])
		if e < 0 {
			return 0
		}
		edges = append(edges, e)
		most = min(most, n.edges[e].left)
	}
	for _, e := range edges {
		n.edges[e].left -= most
		n.edges[e^1].left += most
	}
	return most
}

// maximize lets more flow, up to a limit, along shortest ways, and says how much: Dinic's
// algorithm.
func (n *network) maximize(source, sink, limit int) (sum int) {
	for sum < limit {
		far := n.far(source)
		if far[sink] == 0 {
			break
		}
		next := make([]int, len(n.of)) // edges that lead nowhere are tried once
		var send func(from, most int) int
		send = func(from, most int) int {
			if from == sink {
				return most
			}
			for ; next[from] < len(n.of[from]); next[from]++ {
				e := n.of[from][next[from]]
				if to := n.edges[e].to; n.edges[e].left > 0 && far[to] == far[from]+1 {
					if sent := send(to, min(most, n.edges[e].left)); sent > 0 {
						n.edges[e].left -= sent
						n.edges[e^1].left += sent
						return sent
					}
				}
			}
			return 0
		}
		for sum < limit {
			sent := send(source, limit-sum)
			if sent == 0 {
				break
			}
			sum += sent
		}
	}
	return sum
}

// far is how many edges each point is away from the source, which itself counts as 1; 0 is out of reach.
func (n *network) far(source int) []int {
	far := make([]int, len(n.of))
	far[source] = 1
	for queue := []int{source}; len(queue) > 0; queue = queue[1:] {
		for _, e := range n.of[queue[0]] {
			if to := n.edges[e].to; n.edges[e].left > 0 && far[to] == 0 {
				far[to] = far[queue[0]] + 1
				queue = append(queue, to)
			}
		}
	}
	return far
}
