package sha256

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// k are the round constants, FIPS 180-4 section 4.2.2.
var k = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

// initial is the state before the first block, FIPS 180-4 section 5.3.3.
var initial = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// A schedule is what a block's rounds add: each round's constant and message word.
type schedule [64]uint32

// expand sets s from the block's 16 big-endian message words.
func (s *schedule) expand(block *[16]uint32) {
	copy(s[:], block[:])
	for t := 16; t < 64; t++ {
		w15, w2 := s[t-15], s[t-2]
		s0 := bits.RotateLeft32(w15, -7) ^ bits.RotateLeft32(w15, -18) ^ w15>>3
		s1 := bits.RotateLeft32(w2, -17) ^ bits.RotateLeft32(w2, -19) ^ w2>>10
		s[t] = s[t-16] + s0 + s[t-7] + s1
	}
	for t := range s {
		s[t] += k[t]
	}
}

// compress mixes a block, given by its schedule, into the state h.
func compress(h *[8]uint32, s *schedule) {
	a, b, c, d, e, f, g, hh := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	for _, kw := range s {
		t1 := hh + kw + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)) + (g ^ e&(f^g))
		t2 := (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)) + (a&b | c&(a|b))
		hh, g, f, e, d, c, b, a = g, f, e, d+t1, c, b, a, t1+t2
	}
	for i, v := range [8]uint32{a, b, c, d, e, f, g, hh} {
		h[i] += v
	}
}

// digest writes the state as a truncated digest.
func digest(dst *[nodeSize]byte, h *[8]uint32) {
	for i, v := range h {
		binary.BigEndian.PutUint32(dst[4*i:], v)
	}
	dst[31] &= 0x3f
}

// words reads a label as the big-endian half of a message block.
func words(block []uint32, label *[nodeSize]byte) {
	for i := range block[:8] {
		block[i] = binary.BigEndian.Uint32(label[4*i:])
	}
}

// finish ends a message of so many bytes in words 8 to 15 of its last block.
func finish(block *[16]uint32, size uint32) {
	clear(block[8:])
	block[8], block[15] = 0x80000000, 8*size
}

// prefix is a label's first block: replica id, layer, node, zeros.
func prefix(replica *[8]uint32, layer uint32, node uint64) (block [16]uint32) {
	copy(block[:], replica[:])
	block[8], block[9], block[10] = layer, uint32(node>>32), uint32(node)
	return block
}

// labelNodeZero is the digest of the only node without parents: its message ends
// with the prefix.
func labelNodeZero(id [32]byte, layer uint32) [8]uint32 {
	var replica [8]uint32
	words(replica[:], &id)
	block := prefix(&replica, layer, 0)
	var s schedule
	s.expand(&block)
	h := initial
	compress(&h, &s)
	compress(&h, &padding)
	return h
}

// padding is the schedule of the block that ends every 64-byte message.
var padding = func() (s schedule) {
	s.expand(&[16]uint32{0: 0x80000000, 15: 8 * 64})
	return s
}()

// labelBytes is the length of a label's message: 64 bytes and 37 parents' labels.
const labelBytes = 64 + 37*nodeSize

// lanesOf reads and writes the labels of one lane in a layout (Kernel.Group).
type lanesOf struct{ lane, group int }

// words reads the lane's label of the node at p as half a message block.
func (l lanesOf) words(block []uint32, p unsafe.Pointer) {
	if l.group == 1 {
		words(block, (*[nodeSize]byte)(unsafe.Add(p, l.lane*nodeSize)))
		return
	}
	p = l.first(p)
	for i := range block[:8] {
		block[i] = *(*uint32)(unsafe.Add(p, 4*l.group*i))
	}
}

// digest writes the state as the lane's label of the node at p.
func (l lanesOf) digest(p unsafe.Pointer, h *[8]uint32) {
	if l.group == 1 {
		digest((*[nodeSize]byte)(unsafe.Add(p, l.lane*nodeSize)), h)
		return
	}
	p = l.first(p)
	for i, v := range h {
		if i == 7 {
			v &^= 0xc0 // the two high bits of the last byte
		}
		*(*uint32)(unsafe.Add(p, 4*l.group*i)) = v
	}
}

// put writes a label, as files have it, as the lane's at p.
func (l lanesOf) put(p unsafe.Pointer, label *[nodeSize]byte) {
	if l.group == 1 {
		*(*[nodeSize]byte)(unsafe.Add(p, l.lane*nodeSize)) = *label
		return
	}
	p = l.first(p)
	for i := range nodeSize / 4 {
		*(*uint32)(unsafe.Add(p, 4*l.group*i)) = binary.BigEndian.Uint32(label[4*i:])
	}
}

// first is where word 0 of the lane lies, if the group's labels are word by word.
func (l lanesOf) first(p unsafe.Pointer) unsafe.Pointer {
	return unsafe.Add(p, l.lane/l.group*l.group*nodeSize+l.lane%l.group*4)
}

// labelGeneric is the label kernel that all others are measured against, for any
// number of lanes in any layout. A block holds two parents; the pairs of parents
// repeat, and so do their schedules, which are expanded once.
func labelGeneric(r *labelSpan, lanes, group int) {
	rows := unsafe.Slice(r.parents, r.count*degree)
	pitch := lanes * nodeSize
	ids := unsafe.Slice((*[nodeSize]byte)(unsafe.Pointer(r.replicas)), lanes)
	offsets := unsafe.Slice(r.offsets, lanes)
	// The 37 labels hashed are the used parents over and over; the last one,
	// slot 36 mod used, shares its block with the padding.
	used := baseDegree
	if r.expander != 0 {
		used = degree
	}
	var pairs [degree / 2]schedule
	var replica [8]uint32
	var block [16]uint32
	var s schedule
	for i := range int(r.count) {
		at := func(slot int) unsafe.Pointer { return pointer(rows[i*degree+slot]) }
		for lane := range lanes {
			l := lanesOf{lane, group}
			for i := range used / 2 {
				l.words(block[:8], at(2*i))
				l.words(block[8:], at(2*i+1))
				pairs[i].expand(&block)
			}

			h := initial
			words(replica[:], &ids[lane])
			block = prefix(&replica, uint32(r.layer), r.node+uint64(i)+uint64(offsets[lane]))
			s.expand(&block)
			compress(&h, &s)
			for i := range 18 {
				compress(&h, &pairs[i%(used/2)])
			}
			l.words(block[:8], at(36%used))
			finish(&block, labelBytes)
			s.expand(&block)
			compress(&h, &s)
			l.digest(unsafe.Add(unsafe.Pointer(r.dst), i*pitch), &h)
		}
	}
}

// pairsGeneric is HashPairs in Go.
func pairsGeneric(dst, src *byte, n int) {
	from := unsafe.Slice((*[2][nodeSize]byte)(unsafe.Pointer(src)), n)
	to := unsafe.Slice((*[nodeSize]byte)(unsafe.Pointer(dst)), n)
	var block [16]uint32
	var s schedule
	for i := range to {
		words(block[:8], &from[i][0])
		words(block[8:], &from[i][1])
		s.expand(&block)
		h := initial
		compress(&h, &s)
		compress(&h, &padding)
		digest(&to[i], &h)
	}
}
