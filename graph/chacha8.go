package graph

import "math/bits"

// lanes is how many nodes draw together.
const lanes = 16

// draws holds the first 20 ChaCha8 output words, ten draws of 64 bits, of each
// of a number of consecutive nodes: word by word, and a word of all nodes
// together, so that a vector kernel needs no transposition.
type draws [20][lanes]uint32

// draw returns the draw number i of a lane's node, low word first.
func (d *draws) draw(i, lane int) uint64 {
	lane &= lanes - 1 // instead of a bounds check
	return uint64(d[2*i][lane]) | uint64(d[2*i+1][lane])<<32
}

// A chacha8 is ChaCha8 with 64-bit block counter, stream 0 and a key that ends
// in the node, as in the rand_chacha crate. (The generator of the same name in
// math/rand/v2 has another output.)
//
// Two blocks are needed, block 0 in full and four words of block 1. Their first
// column round is done here once for columns 0 to 2, which do not depend on the
// node; column 3 does, but is the same in both blocks.
type chacha8 struct {
	input [16]uint32    // of block 0 but for the node, word 11
	round [2][16]uint32 // blocks 0 and 1 after the first column round, without column 3
}

func newChaCha8(key [7]uint32) (c chacha8) {
	c.input = [16]uint32{
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
		key[0], key[1], key[2], key[3],
		key[4], key[5], key[6], 0,
	}
	for counter := range c.round {
		x := c.input
		x[12] = uint32(counter)
		for i := range 3 {
			x[i], x[4+i], x[8+i], x[12+i] = quarterRound(x[i], x[4+i], x[8+i], x[12+i])
		}
		c.round[counter] = x
	}
	return c
}

// drawGeneric writes the draws of count nodes from first on to lanes 0 to
// count−1. What it leaves in the other lanes is unspecified.
func (c *chacha8) drawGeneric(d *draws, first uint32, count int) {
	for lane := range count {
		node := first + uint32(lane)
		in := &c.input
		a, b, cc, dd := quarterRound(in[3], in[7], node, in[15])

		x := c.rounds(0, a, b, cc, dd)
		for i := range x {
			if i == 11 {
				d[i][lane] = x[i] + node
			} else {
				d[i][lane] = x[i] + in[i]
			}
		}
		x = c.rounds(1, a, b, cc, dd)
		for i := range 4 {
			d[16+i][lane] = x[i] + in[i]
		}
	}
}

// rounds completes the eight rounds of a block from the state after the first
// column round, of which column 3 is given.
func (c *chacha8) rounds(block int, x3, x7, x11, x15 uint32) [16]uint32 {
	r := &c.round[block]
	x0, x1, x2 := r[0], r[1], r[2]
	x4, x5, x6 := r[4], r[5], r[6]
	x8, x9, x10 := r[8], r[9], r[10]
	x12, x13, x14 := r[12], r[13], r[14]
	for i := 0; ; i++ {
		x0, x5, x10, x15 = quarterRound(x0, x5, x10, x15)
		x1, x6, x11, x12 = quarterRound(x1, x6, x11, x12)
		x2, x7, x8, x13 = quarterRound(x2, x7, x8, x13)
		x3, x4, x9, x14 = quarterRound(x3, x4, x9, x14)
		if i == 3 {
			return [16]uint32{x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15}
		}
		x0, x4, x8, x12 = quarterRound(x0, x4, x8, x12)
		x1, x5, x9, x13 = quarterRound(x1, x5, x9, x13)
		x2, x6, x10, x14 = quarterRound(x2, x6, x10, x14)
		x3, x7, x11, x15 = quarterRound(x3, x7, x11, x15)
	}
}

func quarterRound(a, b, c, d uint32) (uint32, uint32, uint32, uint32) {
	a += b
	d = bits.RotateLeft32(d^a, 16)
	c += d
	b = bits.RotateLeft32(b^c, 12)
	a += b
	d = bits.RotateLeft32(d^a, 8)
	c += d
	b = bits.RotateLeft32(b^c, 7)
	return a, b, c, d
}
