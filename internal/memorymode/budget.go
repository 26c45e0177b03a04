package memorymode

import "math/bits"

// A Cut is how a layer is cut in budget mode, where neither layer is in memory as a whole.
type Cut struct {
	Ring    uint64 // nodes whose labels are the newest in memory; a power of two
	Segment uint64 // nodes whose parents are gathered together; a multiple of a span
	// Block is bytes that are written to the scratch file, and read, together; 0 if there is none, as
	// a segment's parents come from the layers' files, in passes.
	Block int
}

// Segments is how many a layer of so many nodes has. The last may be shorter.
func (c Cut) Segments(nodes uint64) int { return int((nodes + c.Segment - 1) / c.Segment) }

const (
	smallestBlock = 4 << 10
	largestBlock  = 512 << 10
	mostSegments  = 4096
	mostPasses    = 1024 // each of which is a layer read
	// A block is open for each of two layers' segments: all together they are no more than
	// this share of the memory, unless blocks are as small as can be.
	blocksShare = 6
	ringShare   = 4 // the newest labels are no more than this share, likewise
	ringSpans   = 8
)

// FarFrom is the most far base parents of a node, on average over a segment, in eighths: of
// each node's five that are not its predecessor, those that are no longer among a ring's newest.
// A parent's distance is in each power of two with the same probability.
func FarFrom(nodes, ring uint64) uint64 {
	buckets := uint64(bits.Len64(5*nodes - 1))
	far := buckets - min(buckets, uint64(bits.Len64(5*ring))-1)
	return (5*8*far + buckets - 1) / buckets
}

// Search finds a Cut that fits for layers of so many nodes, in spans of a power of two. So many
// nodes are written to layer files together, at least. Labels of a node take perNode bytes, memory
// is what there is in all, fits says whether a Cut takes no more than that. The larger blocks are the better; then the larger segments.
func Search(nodes, span, written, perNode, memory uint64, fits func(Cut) bool) (c Cut, ok bool) {
	ring := nodes / 2
	least := min(ring, max(ringSpans*span, 2*written))
	for ring > least && ring*perNode > memory/ringShare {
		ring /= 2
	}
	for ; ring >= least && ring > 0; ring /= 2 {
		for block := largestBlock; block >= smallestBlock; block /= 2 {
			if c, ok = largestSegment(nodes, span, ring, block, mostSegments, memory, fits); ok {
				return c, true
			}
		}
	}
	return Cut{}, false
}

// SearchPasses is Search of a Cut without blocks. The fewer segments the better, as for each of them
// layers are read: a longer ring saves nothing of that.
func SearchPasses(nodes, span, written, perNode, memory uint64, fits func(Cut) bool) (c Cut, ok bool) {
	least := min(nodes/2, max(ringSpans*span, 2*written))
	for ring := nodes / 2; ring >= least && ring > 0; ring /= 2 {
		if ring*perNode > memory {
			continue
		}
		if one, found := largestSegment(nodes, span, ring, 0, mostPasses, memory, fits); found && one.Segment > c.Segment {
			c, ok = one, true
		}
	}
	return c, ok
}

// largestSegment finds the largest segments that fit: what they take is least somewhere in between,
// as smaller ones are more, and more blocks are open.
func largestSegment(nodes, span, ring uint64, block int, most, memory uint64, fits func(Cut) bool) (Cut, bool) {
	cut := func(spans uint64) Cut { return Cut{ring, spans * span, block} }
	takes := func(c Cut) bool {
		open := 2 * uint64(c.Segments(nodes)) * uint64(block)
		return (open <= memory/blocksShare || block <= smallestBlock) && fits(c)
	}
	least := max(1, (nodes/span+most-1)/most)
	for spans := ring / 3 / span; spans >= least; {
		if takes(cut(spans)) {
			low, high := spans, min(ring/3/span, spans+spans/7+1) // the step before did not fit
			for low < high {
				if middle := (low + high + 1) / 2; takes(cut(middle)) {
					low = middle
				} else {
					high = middle - 1
				}
			}
			return cut(low), true
		}
		spans -= max(1, spans/8)
	}
	return Cut{}, false
}
