package graph

import (
	"fmt"

	"github.com/sdr-engine/sdr/porep"
)

// NoUse is what Uses writes in place of a use that a label does not have.
const NoUse = ^uint64(0)

// UsesOfLabel is how many uses Uses writes for each label: 8. The graphs of API version 1.0.0
// are the exception where indices do not fit 32 bits: there it is 16 for 32 GiB and 32 for
// 64 GiB, and only the first half, or quarter, of the labels has any.
func (g *Graph) UsesOfLabel() int {
	return int(porep.ExpDegree * porep.ExpDegree * g.nodes / g.kept())
}

// kept is how many permuted indices differ in those bits that are kept when they are divided
// by 8.
func (g *Graph) kept() uint64 {
	if g.proof.APIVersion() == porep.APIv1_0 {
		return min(porep.ExpDegree*g.nodes, 1<<32)
	}
	return porep.ExpDegree * g.nodes
}

// Uses is the inverse of Parents: it writes which nodes have the labels of consecutive nodes of
// the layer before, from node first on, as expander parents. For each label it writes
// UsesOfLabel uses: 8·node + slot, where slot is the expander parent's number, from 0 to 7; or
// NoUse. They are in no order. It allocates nothing. The error is of a length that is no multiple
// of UsesOfLabel, or of a span that leaves the layer; dst is then untouched.
func (g *Graph) Uses(dst []uint64, first uint64) error {
	of := g.UsesOfLabel()
	count := uint64(len(dst) / of)
	if len(dst)%of != 0 || first > g.nodes || count > g.nodes-first {
		return fmt.Errorf("graph: getting the uses of labels from node %d on: %d uses, want a multiple of %d, of a layer of %d nodes", first, len(dst), of, g.nodes)
	}
	kept := g.kept()
	images := of / porep.ExpDegree
	for len(dst) > 0 {
		n := min(batch, len(dst)/of)
		index := first * porep.ExpDegree
		for image := range uint64(images) {
			part := dst[int(image)*n*porep.ExpDegree:][:n*porep.ExpDegree]
			used := part[:min(uint64(len(part)), kept-min(kept, index))]
			if len(used) > 0 {
				g.expander.uses(used, image*kept+index)
			}
			for i := len(used); i < len(part); i++ {
				part[i] = NoUse
			}
		}
		if images > 1 {
			interleave(dst[:n*of], images)
		}
		dst = dst[n*of:]
		first += uint64(n)
	}
	return nil
}

// interleave puts the uses of each label together, which are by image.
func interleave(uses []uint64, images int) {
	var byImage [batch * 4 * porep.ExpDegree]uint64
	copy(byImage[:], uses)
	labels := len(uses) / images / porep.ExpDegree
	for image := range images {
		for label := range labels {
			from := byImage[(image*labels+label)*porep.ExpDegree:][:porep.ExpDegree]
			copy(uses[(label*images+image)*porep.ExpDegree:], from)
		}
	}
}

// uses writes what consecutive indices, at most batch·8, from index on are the permuted indices of.
// As in parents, those that must walk on are written to a list.
func (p *permutation[E]) uses(dst []uint64, index uint64) {
	done := p.usesTogether(dst, index)
	dst, index = dst[done:], index+uint64(done)
	if len(dst) == 0 {
		return
	}
	var walkers [batch * porep.ExpDegree]uint32 // elements of dst
	n := uint64(0)
	t0, t1, t2 := p.tables[0], p.tables[1], p.tables[2]
	half, indexBits := p.half&63, p.indexBits&63
	low := uint64(1)<<half - 1
	for i := range dst {
		r, l := index>>half, index&low
		l ^= uint64(t2[r])
		r ^= uint64(t1[l])
		l ^= uint64(t0[r])
		out := l<<half | r
		dst[i] = out
		walkers[n%uint64(len(walkers))] = uint32(i)
		n += out >> indexBits
		index++
	}
	for n > 0 {
		list := walkers[:n]
		n = 0
		for _, i := range list {
			r, l := dst[i]>>half, dst[i]&low
			l ^= uint64(t2[r])
			r ^= uint64(t1[l])
			l ^= uint64(t0[r])
			out := l<<half | r
			dst[i] = out
			walkers[n] = i
			n += out >> indexBits
		}
	}
}
