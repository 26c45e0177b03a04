package onelayer

import (
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// The memory of a layer's key is handed over, a part after another, to what is being
// labelled, which is the next layer's key. Were all of that read from the files where the
// next layer begins, the hasher would wait for as long as the disk takes.
//
// So the first parts are read while the layer's last nodes are labelled, at an even pace.
// What those nodes want of a part after it is handed over is put aside before: it lies
// where far parents of the next layer's first window would, if that had any, and fits
// there. Of a large layer's 32 windows of nodes, 3/5 are handed over within 2/5 of a window,
// on average when half of that is left, which has 8 parents a node:
// 8 × 1/2 × 2/5 × 3/5 = 0.96 windows.

// earlyParts is how many parts are handed over before the layer ends.
func (s *Shape) earlyParts() uint64 { return s.Nodes/s.Part*3/5 - 1 }

// lastNodes is within how many nodes they are, at the end.
func (s *Shape) lastNodes() uint64 { return roundup.Div(2*s.Window, 5) }

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

// closing is the first run, by its node, that has parents which are put aside.
func (s *Shape) closing() uint64 {
	first := s.handedOver(0)
	return first - first%uint64(s.Run)
}

// Pause is for how many seconds the hasher would wait between two layers for what was
// labelled to be read as the next one's key, if a node takes so many to be read back, and
// so many to be labelled. What is in memory need not be read, and what is read early is
// hidden behind what is labelled meanwhile, unless that takes less time.
func (s *Shape) Pause(read, label float64) float64 {
	all := read * float64(s.Nodes-s.InMemory)
	early := read * float64(s.earlyParts()*s.Part)
	return all - min(early, label*float64(s.lastNodes()))
}

// isClosing reports whether a run has parents which are put aside.
func (s *Store) isClosing(index int, node uint64) bool {
	return index < s.Layers-1 && s.First+index > 1 && node >= s.closing()
}

// handOver makes what is labelled in the layer before layer index index that one's key.
// W is the place of window n, that layer's first.
func (s *Store) handOver(w *window, n uint64, index int, parents []uint32) error {
	early := true
	if s.isClosing(index-1, s.Nodes-1) {
		if err := s.putAside(w, parents); err != nil || s.Flow.Stopped() {
			return err
		}
		early = !w.tooMany
	}
	s.haveNone(w, n)
	if err := s.loadKey(index, early); err != nil {
		return err
	}
	s.Flow.Key.Store(int64(index))
	s.Flow.Back.Wake()
	return nil
}

// putAside copies what the layer's last nodes want of the key's parts that are handed
// over, unless it is too much: the 32 and 64 GiB graphs of the first version, whose
// expander parents crowd in the low parts, have two and three times as much as there is
// room for.
func (s *Store) putAside(w *window, parents []uint32) error {
	from, run, stride := s.closing(), uint64(s.Run), uint64(s.stride)
	w.place, w.tooMany = nil, false
	w.list, w.starts = w.list[:0], w.starts[:0]
	stopped := func() bool { return w.tooMany || s.Flow.Stopped() }
	return eachRow(s.Parents, parents, from, s.Nodes, stopped, func(child uint64, row []uint32) error {
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
func (s *Store) loadKey(index int, early bool) error {
	old, stride := s.Nodes-s.InMemory, uint64(s.stride)
	return s.Files.Each(int(s.Nodes/s.Part), func(part int, buffer []byte) error {
		first := uint64(part) * s.Part
		nodes := s.key[first*stride:][:s.Part*stride]
		// What is so far back is in the files: the hasher waits for that.
		handed := s.position(index, 0)
		if early {
			handed = s.position(index-1, s.handedOver(uint64(part)))
		}
		if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= handed }) {
			return nil
		}
		if first >= old {
			copy(nodes, s.newest[first%s.InMemory*stride:])
		}
		return s.Files.Load(nodes, s.First+index-1, first, buffer[:s.Part*porep.NodeSize], first >= old)
	})
}
