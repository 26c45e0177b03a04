package graph

import (
	"encoding/binary"
	"math/bits"

	"golang.org/x/crypto/blake2b"

	"github.com/sdr-engine/sdr/porep"
)

// An expander computes expander parents.
type expander interface {
	// parents writes the expander parents of consecutive nodes, at most batch of
	// them, into rows of porep.Degree elements.
	parents(rows []uint32, first uint64)

	// uses writes what consecutive indices, at most batch·8, are the permuted indices of.
	uses(dst []uint64, index uint64)
}

// newExpander takes the smallest elements that hold half an index, because the
// tables are read at random and the time of a node follows from the cache level
// that they fit into. (Elements of exactly 17 bits fit a level better, but take
// longer to extract than that saves.) Vectors gather elements of 32 bits.
func newExpander(nodes uint64, keys [4]uint64, api porep.APIVersion) expander {
	if indexBits(nodes) <= 32 && !useAVX512 {
		return newPermutation[uint16](nodes, keys, api)
	}
	p := newPermutation[uint32](nodes, keys, api)
	p.vector = useAVX512
	return p
}

// indexBits is the number of bits of an index: an index is a node and one of
// its expander parents, 8·node + slot.
func indexBits(nodes uint64) int { return bits.Len64(porep.ExpDegree*nodes - 1) }

// A permutation of the indices: a Feistel network on two halves of equal size.
// Parent number slot of a node is permute(8·node + slot) / 8. The network may
// permute twice as many indices as there are; it is then applied again until
// the result is an index (cycle walking).
type permutation[E uint16 | uint32] struct {
	tables    [3][]E // of the round function: one for each key, an element for each half
	half      uint   // bits of half an index
	indexBits uint

	// The bits of a permuted index that are kept when it is divided by 8: all,
	// but under API version 1.0.0 no more than 32.
	mask uint64

	vector bool // the elements are those that parentsTogether wants
}

func newPermutation[E uint16 | uint32](nodes uint64, keys [4]uint64, api porep.APIVersion) *permutation[E] {
	n := indexBits(nodes)
	p := &permutation[E]{half: uint(n+1) / 2, indexBits: uint(n), mask: 1<<n - 1}
	if api == porep.APIv1_0 {
		p.mask = 1<<min(n, 32) - 1
	}
	for i := range p.tables {
		p.tables[i] = make([]E, 1<<p.half)
		for right := range p.tables[i] {
			p.tables[i][right] = E(roundFunction(uint64(right), keys[i]) & (1<<p.half - 1))
		}
	}
	return p
}

// roundFunction is the first 8 bytes of BLAKE2b-512(u64be(right) ‖ u64be(key)).
func roundFunction(right, key uint64) uint64 {
	var msg [16]byte
	binary.BigEndian.PutUint64(msg[:], right)
	binary.BigEndian.PutUint64(msg[8:], key)
	digest := blake2b.Sum512(msg[:])
	return binary.BigEndian.Uint64(digest[:])
}

// parents computes all of a batch's permutations side by side. About half of
// them must walk on, by chance; rather than a branch that is mispredicted half
// of the time, those are written to a list, without a branch, which is then the
// next round's input.
func (p *permutation[E]) parents(rows []uint32, first uint64) {
	type walker struct {
		index uint64
		at    uint32 // the parent's element in rows
	}
	done := p.parentsTogether(rows, first)
	rows = rows[done*porep.Degree:]
	if len(rows) == 0 {
		return
	}
	first += uint64(done)
	var walkers [batch * porep.ExpDegree]walker
	n := uint64(0)

	t0, t1, t2 := p.tables[0], p.tables[1], p.tables[2]
	half, indexBits, mask := p.half&63, p.indexBits&63, p.mask
	low := uint64(1)<<half - 1
	index := first * porep.ExpDegree
	for at := porep.BaseDegree; at < len(rows); at += porep.Degree {
		row := rows[at:][:porep.ExpDegree]
		for slot := range row {
			l, r := index>>half, index&low
			l ^= uint64(t0[r])
			r ^= uint64(t1[l])
			l ^= uint64(t2[r])
			out := r<<half | l
			row[slot] = uint32(out & mask >> 3)
			walkers[n%uint64(len(walkers))] = walker{out, uint32(at + slot)}
			n += out >> indexBits
			index++
		}
	}
	for n > 0 {
		list := walkers[:n]
		n = 0
		for _, w := range list {
			l, r := w.index>>half, w.index&low
			l ^= uint64(t0[r])
			r ^= uint64(t1[l])
			l ^= uint64(t2[r])
			out := r<<half | l
			rows[w.at] = uint32(out & mask >> 3)
			list[n] = walker{out, w.at}
			n += out >> indexBits
		}
	}
}
