package graph

import (
	"encoding/binary"
	"math/bits"

	"github.com/sdr-engine/sdr/porep"
)

const (
	// A node samples all base parents but its predecessor.
	sampled = porep.BaseDegree - 1

	// maxBuckets is ceil(log2(sampled · 2^31)), for the last node of 64 GiB.
	maxBuckets = 34
)

// A divisor is a number prepared for fast remainders: {d, ⌊(2^64−1)/d⌋}.
type divisor struct {
	d, reciprocal uint64
}

func newDivisor(d uint64) divisor { return divisor{d, ^uint64(0) / d} }

// mod returns x mod v.d. The estimated quotient is ⌊x/d⌋ or one less, because
// the reciprocal is less than 1 short of 2^64/d and x is less than 2^64.
func (v divisor) mod(x uint64) uint64 {
	q, _ := bits.Mul64(x, v.reciprocal)
	r, borrow := bits.Sub64(x-q*v.d, v.d, 0)
	return r + v.d&-borrow // no branch: it would be mispredicted often
}

// A bucket is a range of distances: the first one and how many there are.
type bucket struct {
	start uint64
	count divisor
}

// bucketCounts[n] is n, the number of buckets that a node chooses from.
// buckets[b] is bucket b, numbered from 1, which ends at 2^b and starts at half
// of that, but at 2 or more. A node's last bucket is another one.
//
// Both have 64 elements so that an index of 6 bits needs no bounds check.
var bucketCounts, buckets = func() (counts [64]divisor, buckets [64]bucket) {
	for b := 1; b <= maxBuckets; b++ {
		start := max(2, uint64(1)<<b/2)
		counts[b], buckets[b] = newDivisor(uint64(b)), bucket{start, newDivisor(1<<b - start + 1)}
	}
	return counts, buckets
}()

// A baseSampler computes base parents.
type baseSampler struct {
	chacha      chacha8
	predecessor int // its index among the base parents
	sampledFrom int // the index of the first sampled base parent
}

func newBaseSampler(seed [32]byte, api porep.APIVersion) *baseSampler {
	var key [7]uint32
	for i := range key {
		key[i] = binary.LittleEndian.Uint32(seed[4*i:])
	}
	s := &baseSampler{chacha: newChaCha8(key), predecessor: 0, sampledFrom: 1}
	if api == porep.APIv1_0 {
		s.predecessor, s.sampledFrom = sampled, 0
	}
	return s
}

// parents writes the base parents of consecutive nodes into rows of
// porep.Degree elements.
func (s *baseSampler) parents(rows []uint32, first uint32) {
	var d draws
	for len(rows) > 0 {
		n := min(lanes, len(rows)/porep.Degree)
		s.chacha.draw(&d, first, n)
		if n < lanes || !s.rowsTogether(rows, first, &d) {
			for lane := range n {
				s.row((*[porep.BaseDegree]uint32)(rows[lane*porep.Degree:]), first+uint32(lane), &d, lane)
			}
		}
		rows = rows[n*porep.Degree:]
		first += uint32(n)
	}
}

// row computes the base parents of one node by bucket sampling: each is found
// at a distance that a draw chooses from a bucket that the draw before chose,
// where the graph that is sampled has five meta-nodes for each node.
func (s *baseSampler) row(row *[porep.BaseDegree]uint32, node uint32, d *draws, lane int) {
	if node < 2 {
		*row = [porep.BaseDegree]uint32{}
		return
	}
	meta := sampled * uint64(node)
	last := uint64(bits.Len64(meta - 1))
	count := bucketCounts[last&63]
	parents := row[s.sampledFrom:][:sampled]
	for i := range parents {
		b := count.mod(d.draw(2*i, lane)) + 1
		x := d.draw(2*i+1, lane)
		var distance uint64
		if b == last {
			distance = lastBucket(meta, x)
		} else {
			bucket := &buckets[b&63]
			distance = bucket.start + bucket.count.mod(x)
		}
		// A distance of 2 or more meta-nodes never leads back to the node.
		parents[i] = uint32((meta - distance) / sampled)
	}
	row[s.predecessor] = node - 1
}

// lastBucket is the distance that a draw chooses from the last bucket, which ends at
// the node, not at a power of two.
func lastBucket(meta, draw uint64) uint64 { return meta/2 + draw%(meta-meta/2+1) }
