package sha256

import (
	"unsafe"
)

// Spreads reports whether the kernel can label several nodes of one sector side by side, each
// in a lane of its own, once the labels of all their parents are known: see Spread.
func (k *Kernel) Spreads() bool { return k.spreads || k.Lanes == 1 }

// BestSpread is the usable kernel that is fastest in a Spread.
func BestSpread() *Kernel {
	for _, lanes := range []int{16, 2, 8, 1} {
		if k := Best(lanes); k != nil && k.Spreads() {
			return k
		}
	}
	return generic
}

const (
	// SpreadNodes are labelled in one call of a Spread's kernel: their parents' labels fit the first cache.
	SpreadNodes = 64
	// soonRows are behind those of SpreadNodes nodes, since a kernel prefetches so far: it has a
	// little more time for it than there are labels.
	soonRows = 6
)

// A Spread labels nodes of one sector again, from labels that are all there: nothing waits
// for the label before, so that each of the kernel's lanes has nodes of its own. It serves one
// goroutine.
type Spread struct {
	kernel  *Kernel
	ids     [][nodeSize]byte
	offsets []uint32
	list    []int32 // of all parents of SpreadNodes nodes
	perLane int     // consecutive nodes
	staged  []byte  // what parents their rows lead to: node after node of a lane, slot after slot
	rows    Rows    // of staged
	out     []byte
	padded  Rows
	none    Rows // for when nothing comes soon
}

// Rows makes rows for so many nodes as Label takes best, SpreadNodes, and for what prefetching
// sees behind them.
func (s *Spread) Rows() Rows { return NewRows(SpreadNodes + soonRows) }

// NewSpread makes a Spread for the sector of a replica id. The error is a *SpanError for a kernel
// that does not spread.
func (k *Kernel) NewSpread(id [32]byte) (*Spread, error) {
	if !k.Spreads() {
		return nil, k.fail("its lanes cannot be at different nodes of one sector")
	}
	s := &Spread{kernel: k, perLane: SpreadNodes / k.Lanes}
	for lane := range k.Lanes {
		s.ids = append(s.ids, id)
		s.offsets = append(s.offsets, uint32(lane*s.perLane))
	}
	for i := range SpreadNodes * degree {
		s.list = append(s.list, int32(i))
	}
	if k.Lanes == 1 {
		return s, nil
	}
	slots := s.perLane * degree
	s.staged, s.out = alignedBytes(slots*k.Pitch(), nodeSize*k.Lanes), alignedBytes(s.perLane*k.Pitch(), k.Align)
	s.rows, s.padded, s.none = NewRows(s.perLane), NewRows(SpreadNodes), s.Rows()
	for i := range slots {
		s.rows.Set(k, i/degree, i%degree, s.staged[i*k.Pitch():])
	}
	return s, nil
}

// Label labels the nodes of a layer from first on, one for each of rows, into dst, 32 bytes each,
// as files have them. Rows lead to labels of 32 bytes, as those of a kernel of one lane do. The error is
// a *SpanError. It does not allocate.
//
// What soon leads to, the zero Rows or those that Rows made, is brought close meanwhile: the
// parents of the nodes that come next.
func (s *Spread) Label(dst []byte, layer uint32, first uint64, rows, soon Rows) error {
	k, n := s.kernel, rows.Len()
	switch {
	case len(dst) != n*nodeSize:
		return k.fail("%d bytes for the labels of %d nodes", len(dst), n)
	case layer < 1:
		return k.fail("layer %d, the first is 1", layer)
	case first > maxNodes || uint64(n) > maxNodes-first:
		return k.fail("%d nodes from %d in a layer of at most %d", n, first, uint64(maxNodes))
	}
	if prefetched := soon.Len() >= SpreadNodes+soonRows; !prefetched {
		soon = s.none
	} else if k.spread == nil {
		soon.prefetchSoon(s.list, layer)
	}
	if k.Lanes == 1 {
		return k.LabelSpan(&Span{ReplicaIDs: s.ids, Layer: layer, First: first, Out: dst, Rows: rows})
	}
	for ; n > 0; n = rows.Len() {
		part := rows
		if n > SpreadNodes {
			part, n = rows.Slice(0, SpreadNodes), SpreadNodes
		} else if n < SpreadNodes {
			// What other lanes label goes nowhere. Their parents must be somewhere.
			part = s.padded
			part.Copy(rows)
		}
		if err := s.label(layer, first, part, soon); err != nil {
			return err
		}
		if n == SpreadNodes {
			if err := k.UnpackLanes(dst[:n*nodeSize], s.out); err != nil {
				return err
			}
		} else {
			size := s.perLane * nodeSize
			for lane := 0; lane*s.perLane < n; lane++ {
				var labels [SpreadNodes * nodeSize]byte
				if err := k.Unpack(labels[:size], s.out, lane); err != nil {
					return err
				}
				copy(dst[lane*size:n*nodeSize], labels[:size])
			}
		}
		dst, first, rows = dst[n*nodeSize:], first+uint64(n), rows.Slice(n, rows.Len())
	}
	return nil
}

// prefetchSoon prefetches the labels of SpreadNodes nodes' parents, in layer 1 the base parents.
func (r Rows) prefetchSoon(list []int32, layer uint32) {
	if layer > 1 {
		r.Prefetch(generic, list)
		return
	}
	for node := range SpreadNodes {
		r.Prefetch(generic, list[node*degree:][:baseDegree])
	}
}

// label labels SpreadNodes nodes into s.out.
func (s *Spread) label(layer uint32, first uint64, rows, soon Rows) error {
	k := s.kernel
	span := labelSpan{
		dst: &s.out[0], parents: &s.rows.addrs[0], node: first, count: uint64(s.perLane),
		layer: uint64(layer), replicas: &s.ids[0][0], offsets: &s.offsets[0], soon: &soon.addrs[0], pitch: uint64(k.Pitch()),
	}
	slots := baseDegree
	if layer > 1 {
		slots, span.expander = degree, 1
	}
	s.stage(rows, slots)
	raceWrites(s.out)
	if k.spread != nil {
		k.spread(span)
	} else {
		k.label(span)
	}
	if first == 0 {
		h := labelNodeZero(s.ids[0], layer)
		lanesOf{0, k.Group}.digest(unsafe.Pointer(&s.out[0]), &h)
	}
	return nil
}

// stage copies the labels of the first slots of the nodes' parents to where the kernel wants them.
func (s *Spread) stage(rows Rows, slots int) {
	const eight = 8
	k := s.kernel
	pitch := k.Pitch()
	for i := range s.perLane {
		to := s.staged[i*degree*pitch:][:degree*pitch]
		lane := 0
		if k.gather != nil && k.Group >= eight {
			for ; lane+eight <= k.Lanes; lane += eight {
				s.raceStage(rows, i, lane, eight, slots)
				first := (*byte)(lanesOf{lane, k.Group}.first(unsafe.Pointer(&to[0])))
				k.gather(first, &rows.addrs[(lane*s.perLane+i)*degree], slots, s.perLane*rowBytes, 4*k.Group, pitch)
			}
		}
		for ; lane < k.Lanes; lane++ {
			row := rows.addrs[(lane*s.perLane+i)*degree:][:slots]
			l := lanesOf{lane, k.Group}
			for slot, from := range row {
				l.put(unsafe.Pointer(&to[slot*pitch]), (*[nodeSize]byte)(pointer(from)))
			}
		}
	}
}

// raceStage tells the race detector what gather reads.
func (s *Spread) raceStage(rows Rows, i, lane, lanes, slots int) {
	if !raceEnabled {
		return
	}
	for l := lane; l < lane+lanes; l++ {
		for _, from := range rows.addrs[(l*s.perLane+i)*degree:][:slots] {
			raceReadBytes(unsafe.Slice((*byte)(pointer(from)), nodeSize))
		}
	}
}
