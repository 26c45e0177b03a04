package forward

import (
	"context"
	"fmt"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// pass gathers a segment's parents from the layers' files, which are read once from their beginning:
// the layer before to its end, and of the segment's own what is no longer among the newest labels.
func (s *Store) pass(g *gathering, n int) error {
	layer := s.First + n/s.Segments
	of := listed{segment: n%s.Segments + 1, expander: layer > 1}
	// Until labels come, there is room for the list in the order of rows.
	room := wordsOf(g.labels[:(s.slots()+s.Shape.far)*8])
	if err := s.index.list(s.list, of, room, s.Flow.Stopped); err != nil || s.Flow.Stopped() {
		return err
	}
	g.farBefore = append(g.farBefore[:0], s.list.farBefore...)
	g.listed.Store(int64(n) + 1)
	s.Flow.Back.Wake()
	parts := s.parts()
	// Far parents first: if the hasher is still at the layer before, its end comes last.
	return s.Files.Each(2*parts, func(i int, buffer []byte) error {
		from, list, end := n/s.Segments, &s.list.far, s.farEnd(n)
		if i >= parts {
			i, from, list, end = i-parts, from-1, &s.list.expander, s.Nodes
		}
		first := uint64(i) * s.Read
		entries := list.part(i)
		if len(entries) == 0 {
			return nil
		}
		end = min(first+s.Read, roundup.To(end, s.Part))
		if from >= 0 && !s.Flow.Wait(&s.Flow.Back, func() bool { return s.Flow.Written.Load() >= s.position(from, end) }) {
			return nil
		}
		labels, sum := buffer[:(end-first)*porep.NodeSize], uint64(0)
		for lane := range s.Files.Lanes() {
			if !s.Files.Read(lane, s.First+from, labels, first) {
				continue
			}
			g.read.Add(uint64(len(labels)))
			if err := s.keep(g, entries, labels, first, lane); err != nil {
				return err
			}
		}
		for _, e := range entries {
			sum += e
		}
		g.count.Add(uint64(len(entries)))
		g.sum.Add(sum)
		return nil
	})
}

// keep puts labels of a lane, of nodes from one on, where they belong.
func (s *Store) keep(g *gathering, entries []uint64, labels []byte, first uint64, lane int) error {
	pitch := s.pitch
	for _, e := range entries {
		label := labels[(e>>belongs-first)*porep.NodeSize:][:porep.NodeSize]
		at := g.labels[int(uint32(e))*pitch:][:pitch]
		if pitch == porep.NodeSize && s.Kernel.Group == 1 {
			copyLabel(at, label)
		} else if err := s.Kernel.Pack(at, label, lane); err != nil {
			return err
		}
	}
	return nil
}

// checkListed makes sure that what was gathered is what was listed: as many labels as the segment has parents, and
// of each the parent that it had when the list was made.
func (s *Store) checkListed(g *gathering, n int) error {
	count := uint64(len(s.list.far.entries))
	if s.First+n/s.Segments > 1 {
		count += s.nodesOf(n) * porep.ExpDegree
	}
	if g.count.Load() != count || g.sum.Load() != s.list.sum {
		return fmt.Errorf("engine: gathering parents of segment %d of layer %d: %d labels were read, of the sum %d, want %d and %d as listed",
			n%s.Segments, s.First+n/s.Segments, g.count.Load(), g.sum.Load(), count, s.list.sum)
	}
	return nil
}

// loadNewest is Restore of passes: what else they want they read in any case.
func (s *Store) loadNewest(ctx context.Context) error {
	first := s.Begin - min(s.Begin, s.Ring)
	return s.sendAgain(ctx, s.First, first, s.Begin, func(uint64, []byte) error { return nil })
}
