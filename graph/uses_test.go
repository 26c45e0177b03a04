package graph

import (
	"cmp"
	"slices"

	"github.com/sdr-engine/sdr/porep"
)

// A use says that a node has some label as its expander parent number slot,
// from 0 to 7.
type use struct {
	node uint32
	slot uint8
}

func compareUses(a, b use) int {
	return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.slot, b.slot))
}

// appendUses appends every use of a label of the layer before as an expander
// parent, in order of node, then slot. It is the inverse of Parents.
//
// A label has 8 uses. The graphs of API version 1.0.0 are the exception where
// indices do not fit 32 bits: for 32 GiB one half of the labels has 16 uses, for
// 64 GiB a quarter has 32, and the others have none. A label beyond the layer
// has none either.
func (g *Graph) appendUses(dst []use, label uint32) []use {
	return g.expander.(interface {
		appendUses(dst []use, label uint32) []use
	}).appendUses(dst, label)
}

// unpermute is the inverse of the permutation of indices.
func (p *permutation[E]) unpermute(index uint64) uint64 {
	low := uint64(1)<<p.half - 1
	for {
		l, r := index>>p.half, index&low
		r ^= uint64(p.tables[2][l])
		l ^= uint64(p.tables[1][r])
		r ^= uint64(p.tables[0][l])
		index = r<<p.half | l
		if index>>p.indexBits == 0 {
			return index
		}
	}
}

func (p *permutation[E]) appendUses(dst []use, label uint32) []use {
	old := len(dst)
	// A label is permuted index & mask / 8.
	first := uint64(label) * porep.ExpDegree
	if first > p.mask {
		return dst
	}
	for index := first; index>>p.indexBits == 0; index += p.mask + 1 {
		for i := range uint64(porep.ExpDegree) {
			u := p.unpermute(index + i)
			dst = append(dst, use{uint32(u / porep.ExpDegree), uint8(u % porep.ExpDegree)})
		}
	}
	slices.SortFunc(dst[old:], compareUses)
	return dst
}
