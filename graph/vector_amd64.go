//go:build !purego

package graph

import (
	"math/bits"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/porep"
)

// The features stand above the assembly.
var (
	needAVX512 = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX, cpuid.POPCNT}
	useAVX512  = cpuid.CPU.Supports(needAVX512...)
)

// A row's length, and the expander parents in it, by names that assembly can use.
const (
	rowLen = porep.Degree
	slots  = porep.ExpDegree
)

// The assembly's lists are for so many indices, and a register's more.
const _ = uint(528 - (batch*slots + 16))

// reciprocals[b−1] is that of bucket b's count.
var reciprocals = func() (r [64]uint64) {
	for b := 1; b <= maxBuckets; b++ {
		r[b-1] = buckets[b].count.reciprocal
	}
	return r
}()

// rowsTogether is row for all lanes, where there is a way that is faster: false says
// that there is none.
func (s *baseSampler) rowsTogether(rows []uint32, first uint32, d *draws) bool {
	// All nodes with as many buckets, the first two not among them.
	last := bits.Len64(sampled*uint64(first) - 1)
	if !useAVX512 || first < 2 || bits.Len64(sampled*(uint64(first)+lanes-1)-1) != last {
		return false
	}
	rows = rows[:lanes*rowLen]
	if raceEnabled {
		for lane := range lanes {
			raceWrites(rows[lane*rowLen+s.sampledFrom:][:sampled])
		}
	}
	var inLast [2 * sampled]uint8 // by half of the lanes and sample, a bit for each lane
	sampleAVX512(&rows[s.sampledFrom], d, uint64(first), &bucketCounts[last], &reciprocals, &inLast)
	for i, lanesInLast := range inLast {
		half, sample := i/sampled, i%sampled
		for set := lanesInLast; set != 0; set &= set - 1 {
			lane := half*lanes/2 + bits.TrailingZeros8(set)
			meta := sampled * (uint64(first) + uint64(lane))
			distance := lastBucket(meta, d.draw(2*sample+1, lane))
			rows[lane*rowLen+s.sampledFrom+sample] = uint32((meta - distance) / sampled)
		}
	}
	for lane := range uint32(lanes) {
		rows[int(lane)*rowLen+s.predecessor] = first + lane - 1
	}
	return true
}

// A feistel is a permutation as assembly has it.
type feistel struct {
	tables [3]*uint32
	half   uint64
	low    uint32 // the bits of half an index
	walks  uint32 // of a permuted index's high half, the bit that is none of an index
	mask   uint32 // of a parent
}

// parentsTogether is parents for an even number of nodes, the first of rows, where
// there is a way that is faster.
func (p *permutation[E]) parentsTogether(rows []uint32, first uint64) (nodes int) {
	pairs := len(rows) / (2 * rowLen)
	if !p.vector || pairs == 0 {
		return 0
	}
	f := feistel{half: uint64(p.half), low: 1<<p.half - 1, mask: uint32(p.mask >> 3)}
	if p.indexBits < 2*p.half {
		f.walks = 1 << (p.indexBits - p.half)
	}
	for i, t := range p.tables {
		f.tables[i] = (*uint32)(unsafe.Pointer(&t[0]))
	}
	rows = rows[:2*pairs*rowLen]
	if raceEnabled {
		for row := 0; row < len(rows); row += rowLen {
			raceWrites(rows[row+porep.BaseDegree:][:slots])
		}
	}
	permuteAVX512(&f, &rows[porep.BaseDegree], first*slots, pairs)
	return 2 * pairs
}

// usesTogether is uses for a multiple of 16 indices, the first of them, where there is a way that
// is faster.
func (p *permutation[E]) usesTogether(dst []uint64, index uint64) (done int) {
	sixteens := len(dst) / 16
	if !p.vector || sixteens == 0 {
		return 0
	}
	f := feistel{half: uint64(p.half), low: 1<<p.half - 1}
	if p.indexBits < 2*p.half {
		f.walks = 1 << (p.indexBits - p.half)
	}
	for i, t := range p.tables {
		f.tables[len(f.tables)-1-i] = (*uint32)(unsafe.Pointer(&t[0]))
	}
	if raceEnabled {
		raceWrites(dst[:16*sixteens])
	}
	unpermuteAVX512(&f, &dst[0], index, sixteens)
	return 16 * sixteens
}

// sampleAVX512 writes the sampled base parents of as many nodes as there are lanes, the
// first node's to rows. Where a parent comes from the last bucket, inLast has a bit,
// and what is written is not it.
//
//go:noescape
func sampleAVX512(rows *uint32, d *draws, first uint64, last *divisor, reciprocals *[64]uint64, inLast *[2 * sampled]uint8)

// permuteAVX512 writes the parents of the first two nodes, up to the last of pairs, at
// most batch/2, from an index on to rows and every rowLen elements from there.
//
//go:noescape
func permuteAVX512(f *feistel, rows *uint32, index uint64, pairs int)

// unpermuteAVX512 writes what the indices from an index on, sixteens times 16 of them, at most
// batch·8, are the permuted indices of. The tables are in f the other way round.
//
//go:noescape
func unpermuteAVX512(f *feistel, dst *uint64, index uint64, sixteens int)
