package plain

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"

	"golang.org/x/crypto/blake2b"

	"github.com/sdr-engine/sdr/porep"
)

// Parents are the parents of a node: base parents, then expander parents. It takes some
// 20 µs. P must be registered, and the node one of its layer.
func Parents(p porep.SealProof, node uint64) []uint32 {
	parents := baseParents(p, node)
	for slot := range uint64(porep.ExpDegree) {
		parents = append(parents, expanderParent(p, node, slot))
	}
	return parents
}

// seed derives the seed of one of the two random sources of p's graph.
func seed(p porep.SealProof, tag string) [32]byte {
	msg := append([]byte(tag), make([]byte, 32)...)
	msg[len(tag)] = byte(p)
	return sha256.Sum256(msg)
}

// baseParents are chosen by bucket sampling, from ten draws of ChaCha8.
func baseParents(p porep.SealProof, node uint64) []uint32 {
	if node < 2 {
		return make([]uint32, 6)
	}
	of := seed(p, "Filecoin_DRSample")
	key := binary.LittleEndian.AppendUint32(of[:28:28], uint32(node))
	stream := append(ChaCha8(key, 0), ChaCha8(key, 1)...)
	draw := func() *big.Int {
		v := uint64(stream[0]) + uint64(stream[1])<<32
		stream = stream[2:]
		return new(big.Int).SetUint64(v)
	}
	meta := new(big.Int).SetUint64(5 * node)
	buckets := int64(0) // ceil(log2(meta))
	for new(big.Int).Lsh(big.NewInt(1), uint(buckets)).Cmp(meta) < 0 {
		buckets++
	}
	var sampled []uint32
	for range 5 {
		b := new(big.Int).Mod(draw(), big.NewInt(buckets)).Int64() + 1
		last := new(big.Int).Lsh(big.NewInt(1), uint(b))
		if last.Cmp(meta) > 0 {
			last.Set(meta)
		}
		first := new(big.Int).Div(last, big.NewInt(2))
		if first.Cmp(big.NewInt(2)) < 0 {
			first.SetInt64(2)
		}
		choices := new(big.Int).Sub(last, first)
		choices.Add(choices, big.NewInt(1))
		distance := new(big.Int).Mod(draw(), choices)
		distance.Add(distance, first)
		parent := new(big.Int).Sub(meta, distance)
		parent.Div(parent, big.NewInt(5))
		if parent.Uint64() == node {
			parent.SetUint64(node - 1)
		}
		sampled = append(sampled, uint32(parent.Uint64()))
	}
	if p.APIVersion() == porep.APIv1_0 {
		return append(sampled, uint32(node-1))
	}
	return append([]uint32{uint32(node - 1)}, sampled...)
}

// ChaCha8 is a block of ChaCha8's output, 16 words, of a key of 32 bytes, with stream 0.
func ChaCha8(key []byte, counter uint64) []uint32 {
	state := []byte("expand 32-byte k")
	state = append(state, key...)
	state = binary.LittleEndian.AppendUint64(state, counter)
	state = append(state, make([]byte, 8)...)
	var in, x [16]uint32
	for i := range in {
		in[i] = binary.LittleEndian.Uint32(state[4*i:])
	}
	x = in
	rotate := func(v uint32, n uint) uint32 { return v<<n | v>>(32-n) }
	quarter := func(a, b, c, d int) {
		x[a] += x[b]
		x[d] = rotate(x[d]^x[a], 16)
		x[c] += x[d]
		x[b] = rotate(x[b]^x[c], 12)
		x[a] += x[b]
		x[d] = rotate(x[d]^x[a], 8)
		x[c] += x[d]
		x[b] = rotate(x[b]^x[c], 7)
	}
	for range 4 {
		quarter(0, 4, 8, 12)
		quarter(1, 5, 9, 13)
		quarter(2, 6, 10, 14)
		quarter(3, 7, 11, 15)
		quarter(0, 5, 10, 15)
		quarter(1, 6, 11, 12)
		quarter(2, 7, 8, 13)
		quarter(3, 4, 9, 14)
	}
	out := make([]uint32, 16)
	for i := range out {
		out[i] = x[i] + in[i]
	}
	return out
}

// expanderParent is one of the permutation's: see package graph.
func expanderParent(p porep.SealProof, node, slot uint64) uint32 {
	of := seed(p, "Filecoin_Feistel")
	indices := uint64(p.SectorSize()) / 32 * 8
	half := uint(1)
	for uint64(1)<<(2*half) < indices {
		half++
	}
	mask := uint64(1)<<half - 1
	index := 8*node + slot
	for again := true; again; again = index >= indices {
		left, right := index>>half, index&mask
		for round := range 3 {
			msg := binary.BigEndian.AppendUint64(nil, right)
			msg = binary.BigEndian.AppendUint64(msg, binary.LittleEndian.Uint64(of[8*round:]))
			digest := blake2b.Sum512(msg)
			left, right = right, left^binary.BigEndian.Uint64(digest[:])&mask
		}
		index = left<<half | right
	}
	if p.APIVersion() == porep.APIv1_0 {
		return uint32(index) / 8
	}
	return uint32(index / 8)
}
