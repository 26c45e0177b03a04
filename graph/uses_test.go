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

// appendUses appends every use of a label that Uses writes, in order of node, then slot. A label
// beyond the layer has none.
func (g *Graph) appendUses(dst []use, label uint32) []use {
	var room [4 * porep.ExpDegree]uint64
	uses := room[:g.UsesOfLabel()]
	if g.Uses(uses, uint64(label)) != nil {
		return dst
	}
	old := len(dst)
	for _, u := range uses {
		if u != NoUse {
			dst = append(dst, use{uint32(u / porep.ExpDegree), uint8(u % porep.ExpDegree)})
		}
	}
	slices.SortFunc(dst[old:], compareUses)
	return dst
}
