package engine

import (
	"github.com/sdr-engine/sdr/porep"
)

// In OneLayer mode, the memory of a layer's key is handed over, a part after another, to
// what is being labelled, which is the next layer's key. Were all of that read from the
// files where the next layer begins, the hasher would wait for as long as the disk takes.
//
// So the first parts are read while the layer's last nodes are labelled, at an even pace.
// What those nodes want of a part after it is handed over is put aside before: it lies
// where far parents of the next layer's first window would, if that had any, and fits
// there. Of a large layer's 32 windows of nodes, 3/5 are handed over within 2/5 of a window,
// on average when half of that is left, which has 8 parents a node:
// 8 × 1/2 × 2/5 × 3/5 = 0.96 windows.

// keyPart is how many nodes are handed over at a time. It divides a window.
func (s *shape) keyPart() uint64 { return min(readNodes, s.window) }

// earlyParts is how many parts are handed over before the layer ends.
func (s *shape) earlyParts() uint64 { return s.nodes/s.keyPart()*3/5 - 1 }

// lastNodes is within how many nodes they are, at the end.
func (s *shape) lastNodes() uint64 { return divUp(2*s.window, 5) }

// handedOver is the first node whose parents are not in a part any more; it is the number
// of nodes if the part waits for the end of the layer.
func (s *shape) handedOver(part uint64) uint64 {
	early := s.earlyParts()
	return s.nodes - divUp(s.lastNodes()*(early-min(part, early)), early+1)
}

// asideBelow says which parents of a node are put aside: expander parents below that. It
// is handedOver the other way round.
func (s *shape) asideBelow(node uint64) uint64 {
	early := s.earlyParts()
	later := (s.nodes - 1 - node) * (early + 1) / s.lastNodes()
	return (early - min(later, early)) * s.keyPart()
}

// closing is the first run, by its node, that has parents which are put aside.
func (s *shape) closing() uint64 {
	first := s.handedOver(0)
	return first - first%uint64(s.run)
}

// isClosing says whether a run has parents which are put aside.
func (s *store) isClosing(index int, node uint64) bool {
	return index < s.handovers && s.first+index > 1 && node >= s.closing()
}

// handOver makes what is labelled in the layer before layer index index that one's key.
// W is the place of window n, that layer's first.
func (b *pipeline) handOver(w *farWindow, n uint64, index int, parents []uint32) error {
	early := true
	if b.store.isClosing(index-1, b.store.nodes-1) {
		if err := b.putAside(w, parents); err != nil || b.flow.Stopped() {
			return err
		}
		early = !w.tooMany
	}
	b.haveNone(w, n)
	if err := b.loadKey(index, early); err != nil {
		return err
	}
	b.flow.Key.Store(int64(index))
	b.flow.Back.Wake()
	return nil
}

// putAside copies what the layer's last nodes want of the key's parts that are handed
// over, unless it is too much: the 32 and 64 GiB graphs of the first version, whose
// expander parents crowd in the low parts, have two and three times as much as there is
// room for.
func (b *pipeline) putAside(w *farWindow, parents []uint32) error {
	s := b.store
	from, run, stride := s.closing(), uint64(s.run), uint64(b.kernel.Stride())
	w.place, w.tooMany = nil, false
	w.list, w.starts = w.list[:0], w.starts[:0]
	stopped := func() bool { return w.tooMany || b.flow.Stopped() }
	return eachRow(b.parents.Parents, parents, from, s.nodes, stopped, func(child uint64, row []uint32) error {
		w.startRuns(child+1-from, run)
		below := s.asideBelow(child)
		for _, p := range row[porep.BaseDegree:] {
			if uint64(p) >= below {
				continue
			}
			if len(w.list) == s.room {
				w.tooMany = true
				return nil
			}
			copy(w.labels[uint64(len(w.list))*stride:][:stride], s.key[uint64(p)*stride:])
			w.list = append(w.list, p)
		}
		return nil
	})
}

// loadKey fills the memory for the layer before layer index index with what is
// labelled in it: the newest from memory, the others from the files. Early says that parts
// may be handed over before all of it is labelled.
func (b *pipeline) loadKey(index int, early bool) error {
	s := b.store
	part, old, stride := s.keyPart(), s.nodes-s.inMemory, uint64(b.kernel.Stride())
	return b.readParts(int(s.nodes/part), func(i int, buffer []byte) error {
		first := uint64(i) * part
		// What is so far back is in the files: the hasher waits for that.
		handed := s.position(index, 0)
		if early {
			handed = s.position(index-1, s.handedOver(uint64(i)))
		}
		if !b.flow.Wait(&b.flow.Made, func() bool { return b.flow.Labelled.Load() >= handed }) {
			return nil
		}
		wanted := func(*lane) bool { return true }
		if first >= old {
			copy(s.key[first*stride:][:part*stride], s.newest[first%s.inMemory*stride:])
			wanted = func(l *lane) bool { return l.first == s.first+index }
		}
		return b.loadLanes(s.key, s.first+index-1, first, buffer[:part*porep.NodeSize], wanted)
	})
}
