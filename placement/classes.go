package placement

import (
	"encoding/binary"
	"slices"

	"github.com/sdr-engine/sdr/topology"
)

// A group is cores of a complex that are alike to a choice of hashers: on one NUMA node or beside it, of
// one kind, with a sibling or without.
type group struct {
	complex int // position in resources.complexes
	node    topology.NUMAIndex
	kind    topology.CoreKind
	pair    bool
	stray   bool
	cores   []freeCore // that do not hash yet
}

// groups are those of each complex.
func (r *resources) groups() [][]group {
	all := make([][]group, len(r.complexes))
	for i := range r.complexes {
		for _, core := range r.complexes[i].cores {
			g := group{i, core.numaNode, core.kind, len(core.cpus) > 1, core.stray, nil}
			same := slices.IndexFunc(all[i], func(o group) bool {
				return o.node == g.node && o.kind == g.kind && o.pair == g.pair && o.stray == g.stray
			})
			if same < 0 {
				same = len(all[i])
				all[i] = append(all[i], g)
			}
			all[i][same].cores = append(all[i][same].cores, core)
		}
	}
	return all
}

// Classes are complexes that are alike: with the same cores on the same nodes, of which the same ones hash. What is
// best of one is best of all, so the first stands for its class, and a machine of a thousand
// complexes is not looked through for each job.
type classes struct {
	members [][]int      // complexes, ascending
	next    map[step]int // the class that a complex is of then
}

// A step is one more core of a group that hashes, in a complex of a class.
type step struct{ class, group int }

// classesOf divides complexes into classes. numbers is as in choose.
func (r *resources) classesOf(groups [][]group, numbers map[home]counts) *classes {
	all := &classes{next: map[step]int{}}
	classOf := map[string]int{} // by what complexes have
	var key []byte
	for i := range r.complexes {
		c := &r.complexes[i]
		key = key[:0]
		add := func(values ...int) {
			for _, n := range values {
				key = binary.AppendVarint(key, int64(n))
			}
		}
		add(c.slots, c.producers, c.hashers, c.held, len(groups[i]))
		for _, g := range groups[i] {
			marks := 0
			if g.pair {
				marks |= 1
			}
			if g.stray {
				marks |= 2
			}
			n := numbers[home{i, g.node}]
			add(int(g.node), int(g.kind), marks, len(g.cores), n.ones, n.twos)
		}
		class, ok := classOf[string(key)]
		if !ok {
			class = all.add()
			classOf[string(key)] = class
		}
		all.members[class] = append(all.members[class], i)
	}
	return all
}

func (a *classes) add() (class int) {
	a.members = append(a.members, nil)
	return len(a.members) - 1
}

// took says that in the first complex of a class a core of a group hashes now, and another one may.
func (a *classes) took(class, group int, more bool) {
	complex := a.members[class][0]
	a.members[class] = a.members[class][1:]
	if !more {
		return
	}
	next, ok := a.next[step{class, group}]
	if !ok {
		next = a.add()
		a.next[step{class, group}] = next
	}
	at, _ := slices.BinarySearch(a.members[next], complex)
	a.members[next] = slices.Insert(a.members[next], at, complex)
}
