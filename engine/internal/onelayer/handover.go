package onelayer

import (
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// The memory of the layer before is handed over, a part after another, to what is being
// labelled, which is the layer before of the next one. Were all of that read from the files
// where the next layer begins, the hasher would wait for as long as the disk takes.
//
// So the first parts are read while the layer's last nodes are labelled, at an even pace.
// What those nodes want of a part after it is handed over is put aside before: it lies
// where far parents of the next layer's first segment would, if that had any, and fits
// there. Of a large layer's 32 segments of nodes, 3/5 are handed over within 2/5 of a segment,
// on average when half of that is left, which has 8 parents a node:
// 8 × 1/2 × 2/5 × 3/5 = 0.96 segments.

// earlyParts is how many parts are handed over before the layer ends.
func (s *Shape) earlyParts() uint64 { return s.Nodes/s.Part*3/5 - 1 }

// lastNodes is within how many nodes they are, at the end.
func (s *Shape) lastNodes() uint64 { return roundup.Div(2*s.Segment, 5) }

// handedOver is the first node whose parents are not in a part any more; it is the number
// of nodes if the part waits for the end of the layer.
func (s *Shape) handedOver(part uint64) uint64 {
	early := s.earlyParts()
	return s.Nodes - roundup.Div(s.lastNodes()*(early-min(part, early)), early+1)
}

// asideBelow says which parents of a node are put aside: expander parents below that. It
// is handedOver the other way round.
func (s *Shape) asideBelow(node uint64) uint64 {
	early := s.earlyParts()
	later := (s.Nodes - 1 - node) * (early + 1) / s.lastNodes()
	return (early - min(later, early)) * s.Part
}

// closing is the first span, by its node, that has parents which are put aside.
func (s *Shape) closing() uint64 {
	first := s.handedOver(0)
	return first - first%uint64(s.Stride)
}

// Pause is for how many seconds the hasher would wait between two layers for what was
// labelled to be read as the layer before, if a node takes so many to be read back, and
// so many to be labelled. What is in memory need not be read, and what is read early is
// hidden behind what is labelled meanwhile, unless that takes less time.
func (s *Shape) Pause(read, label float64) float64 {
	all := read * float64(s.Nodes-s.InMemory)
	early := read * float64(s.earlyParts()*s.Part)
	return all - min(early, label*float64(s.lastNodes()))
}

// isClosing reports whether a span has parents which are put aside.
func (s *Store) isClosing(index int, node uint64) bool {
	return index < s.Layers-1 && s.First+index > 1 && node >= s.closing()
}

// handOver gets what is labelled in the layer before layer index index to where that one
// has its layer before. G is the gathering of segment n, the first of layer index index.
func (s *Store) handOver(g *gathering, n uint64, index int, parents []uint32) error {
	early := true
	if s.isClosing(index-1, s.Nodes-1) {
		if err := s.putAside(g, parents); err != nil || s.Flow.Stopped() {
			return err
		}
		early = !g.tooMany
	}
	s.haveNone(g, n)
	if err := s.loadBefore(index, early); err != nil {
		return err
	}
	s.Flow.Before.Store(int64(index))
	s.Flow.Back.Wake()
	return nil
}

// putAside copies what the layer's last nodes want of those parts of the layer before that are
// handed over, unless it is too much: the 32 and 64 GiB graphs of the first version, whose
// expander parents crowd in the low parts, have two and three times as much as there is
// room for.
func (s *Store) putAside(g *gathering, parents []uint32) error {
	from, stride, pitch := s.closing(), uint64(s.Stride), uint64(s.pitch)
	g.extent, g.tooMany = nil, false
	g.list, g.starts = g.list[:0], g.starts[:0]
	stopped := func() bool { return g.tooMany || s.Flow.Stopped() }
	return eachRow(s.Parents, parents, from, s.Nodes, stopped, func(child uint64, row []uint32) error {
		g.startSpans(child+1-from, stride)
		below := s.asideBelow(child)
		for _, p := range row[porep.BaseDegree:] {
			if uint64(p) >= below {
				continue
			}
			if len(g.list) == s.room {
				g.tooMany = true
				return nil
			}
			copy(g.labels[uint64(len(g.list))*pitch:][:pitch], s.before[uint64(p)*pitch:])
			g.list = append(g.list, p)
		}
		return nil
	})
}

// loadBefore fills the memory for the layer before layer index index with what is
// labelled in it: the newest from memory, the others from the files. Early says that parts
// may be handed over before all of it is labelled.
func (s *Store) loadBefore(index int, early bool) error {
	old, pitch := s.Nodes-s.InMemory, uint64(s.pitch)
	return s.Files.Each(int(s.Nodes/s.Part), func(part int, buffer []byte) error {
		first := uint64(part) * s.Part
		nodes := s.before[first*pitch:][:s.Part*pitch]
		// What is so far back is in the files: the hasher waits for that.
		handed := s.position(index, 0)
		if early {
			handed = s.position(index-1, s.handedOver(uint64(part)))
		}
		if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= handed }) {
			return nil
		}
		if first >= old {
			copy(nodes, s.newest[first%s.InMemory*pitch:])
		}
		return s.Files.Load(nodes, s.First+index-1, first, buffer[:s.Part*porep.NodeSize], first >= old)
	})
}
