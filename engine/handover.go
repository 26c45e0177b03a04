package engine

import (
	"fmt"

	"github.com/sdr-engine/sdr/porep"
)

// In OneLayer mode, the memory of a layer's key is handed over, a part after another, to
// what is being labelled, which is the next layer's key. Were all of that read from the
// files where the next layer begins, the hasher would wait for as long as the disk takes.
//
// So the first parts are read while the layer's last nodes are labelled, at an even pace.
// Few of those nodes' parents are in a part by the time that it is handed over: these
// labels are put aside before. They lie where far parents of the next layer's first
// windows would, if these had any, and there are no more of them than of those:
// of 32 windows of nodes, 3/5 are handed over within 2/5 of a window, on average when
// half of that is left, which has 8 parents a node: 8 × 1/2 × 2/5 × 3/5 = 0.96 windows.

// keyPart is how many nodes are handed over at a time. It divides a window.
func (s *shape) keyPart() uint64 { return min(readNodes, s.window) }

// earlyParts is how many parts may be handed over before the layer ends.
func (s *shape) earlyParts() uint64 { return s.nodes / s.keyPart() * 3 / 5 }

// handedOver is the first node whose parents are not in a part any more; it is the number
// of nodes if the part waits for the end of the layer.
func (s *shape) handedOver(part uint64) uint64 {
	early := s.earlyParts()
	if part+1 >= early {
		return s.nodes
	}
	closing := roundUp(2*s.window, 5) / 5
	return s.nodes - roundUp(closing*(early-1-part), early)/early
}

// closing is the first run, by its node, that has parents which are put aside.
func (s *shape) closing() uint64 {
	first := s.handedOver(0)
	return first - first%uint64(s.run)
}

// isAside says whether a child's expander parent has been put aside.
func (s *shape) isAside(child uint64, parent uint32) bool {
	return child >= s.handedOver(uint64(parent)/s.keyPart())
}

// isClosing says whether a run has parents which are put aside.
func (s *store) isClosing(index int, node uint64) bool {
	return index < s.handovers && s.first+index > 1 && node >= s.closing()
}

// handOver makes what is labelled in the layer before layer index index that one's key.
// W is the place of window n, that layer's first.
func (b *batchRun) handOver(w *farWindow, n uint64, index int, parents []uint32) error {
	if b.store.isClosing(index-1, b.store.nodes-1) {
		if err := b.putAside(w, parents); err != nil || b.stopped.Load() {
			return err
		}
	}
	w.listed.Store(n + 1)
	w.read.Store(n + 1)
	b.back.Wake()
	if err := b.loadKey(index); err != nil {
		return err
	}
	b.store.keyOf.Store(int64(index))
	b.back.Wake()
	return nil
}

// putAside copies what the layer's last nodes want of the key's parts that are handed over.
func (b *batchRun) putAside(w *farWindow, parents []uint32) error {
	s := b.store
	from, run, stride := s.closing(), uint64(s.run), uint64(b.kernel.Stride())
	w.place = nil
	w.list, w.starts = w.list[:0], w.starts[:0]
	err := eachRow(b.parents.Parents, parents, from, s.nodes, b.stopped.Load, func(child uint64, row []uint32) error {
		w.startRuns(child+1-from, run)
		for _, p := range row[porep.BaseDegree:] {
			if !s.isAside(child, p) {
				continue
			}
			if len(w.list) == s.room {
				return fmt.Errorf("engine: putting parents aside: more than %d from node %d on", s.room, from)
			}
			copy(w.labels[uint64(len(w.list))*stride:][:stride], s.key[uint64(p)*stride:])
			w.list = append(w.list, p)
		}
		return nil
	})
	return err
}

// loadKey fills the memory for the layer before layer index index with what is
// labelled in it: the newest from memory, the others from the files.
func (b *batchRun) loadKey(index int) error {
	s := b.store
	part, old, stride := s.keyPart(), s.nodes-s.inMemory, uint64(b.kernel.Stride())
	return b.readParts(int(s.nodes/part), func(i int, buffer []byte) error {
		first := uint64(i) * part
		// What is so far back is in the files: the hasher waits for that.
		handed := s.position(index-1, s.handedOver(uint64(i)))
		if !b.wait(&b.made, func() bool { return s.done.Load() >= handed }) {
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
