package parentcache

import (
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// sumNodes is how many nodes have a checksum together: as many as a producer asks
// for at a time unless it is told otherwise. It divides blockNodes.
const (
	sumNodes = 128
	sumBytes = sumNodes * rowSize
)

// sums are the checksums of each sumNodes nodes, as they were when the file was
// verified.
type sums []uint32

func newSums(p porep.SealProof) sums {
	return make(sums, (p.SectorSize().Nodes()+sumNodes-1)/sumNodes)
}

// take takes the checksums of a block's bytes.
func (s sums) take(b *block) {
	at := b.first / sumNodes
	for rest := b.bytes; len(rest) > 0; at++ {
		n := min(sumBytes, len(rest))
		s[at], rest = durable.Checksum(rest[:n]), rest[n:]
	}
}
