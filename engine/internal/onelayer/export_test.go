package onelayer

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// Kept are the segments of the newest labels.
const Kept = kept

// FarSections are the index's sections, by the children's segment, then the parents'.
func FarSections(ctx context.Context, s Surroundings, dir string) (all [Segments][Segments][]uint32, err error) {
	x := StartIndex(ctx, s, []string{dir})
	defer x.Close()
	if err := errors.Join(x.wait(ctx), x.err); err != nil {
		return all, err
	}
	for child := range all {
		for from := range all[child] {
			section := &x.sections[child][from]
			for chunk := range section.chunks {
				nodes, err := x.read(make([]uint32, farChunk), section, chunk)
				if err != nil {
					return all, err
				}
				all[child][from] = append(all[child][from], nodes...)
			}
		}
	}
	return all, nil
}

// onlyDir has a directory, and no files.
type onlyDir struct {
	Files
	dir string
}

func (d onlyDir) Dirs() []string { return []string{d.dir} }

// SpillRoundTrip spills, for a batch, labels that say whose they are, and returns those
// that are read back for a segment of children, by the far parent that they are of, in order
// of child, then slot.
func SpillRoundTrip(ctx context.Context, s Surroundings, k *sha256.Kernel, dir string, label func(node uint64, label []byte), got func(child int, labels []byte, pitch int)) error {
	x := StartIndex(ctx, s, []string{dir})
	defer x.Close()
	if err := errors.Join(x.wait(ctx), x.err); err != nil {
		return err
	}
	pitch := k.Pitch()
	st := New(s, x, Batch{
		Kernel: k, Lanes: 1, First: 1, Layers: 1, Flow: new(ring.Flow), Way: durable.Direct, Files: onlyDir{dir: dir},
		Labels: make([]byte, s.LabelNodes(pitch)*uint64(pitch)), Buffer: make([]byte, s.BufferBytes(pitch)),
		Slowed: func(error) {},
	})
	defer st.Close()
	if err := st.open(ctx); err != nil {
		return err
	}
	for from := range Segments {
		for node := uint64(from) * s.Segment; node < uint64(from+1)*s.Segment; node++ {
			label(node, st.Out(node, 1))
		}
		for child := from + kept; child < Segments; child++ {
			if err := st.spillSection(make([]uint32, farChunk), uint64(from), child, from); err != nil {
				return err
			}
		}
	}
	for child := kept; child < Segments; child++ {
		g := st.of(uint64(child))
		if !st.unspill(ctx, g, uint64(child)) {
			return errors.New("nothing is there")
		}
		if err := st.list(g, uint64(child)*s.Segment, s.listParents()); err != nil {
			return err
		}
		var labels []byte
		for _, at := range g.list {
			labels = append(labels, g.labels[int(at)*pitch:][:pitch]...)
		}
		got(child, labels, pitch)
	}
	return nil
}

// Asides is how many parents are put aside for each layer, and for how many there is room.
func Asides(s *Shape, source Source) (n, room int, err error) {
	never := func() bool { return false }
	err = eachRow(source, s.listParents(), s.closing(), s.Nodes, never, func(child uint64, row []uint32) error {
		below := s.asideBelow(child)
		part := below / s.Part // the first that is still there
		if part > 0 && child < s.handedOver(part-1) || child >= s.handedOver(part) {
			return fmt.Errorf("node %d: what is below %d is put aside, but part %d is handed over at %d, the one before at %d", child, below, part, s.handedOver(part), s.handedOver(max(part, 1)-1))
		}
		for _, p := range row[porep.BaseDegree:] {
			if uint64(p) < below {
				n++
			}
		}
		return nil
	})
	return n, s.room, err
}

// Indexers is how many goroutines make an index.
const Indexers = indexers

// IndexErr is why an index could not be made.
func IndexErr(ctx context.Context, s Surroundings, dir string) error {
	x := StartIndex(ctx, s, []string{dir})
	defer x.Close()
	x.gate.Wait(1, x.ready.Load)
	return x.err
}

// Empty is a Store in which nothing is labelled, and that has no files.
func Empty(s Surroundings) *Store {
	k := sha256.Best(1)
	return New(s, nil, Batch{
		Kernel: k, Lanes: 1, First: 1, Layers: 2, Flow: new(ring.Flow),
		Labels: make([]byte, s.LabelNodes(k.Pitch())*uint64(k.Pitch())),
	})
}

// List lists the far parents of the last segment.
func List(s *Store) error {
	return s.list(s.of(Segments-1), (Segments-1)*s.Segment, s.listParents())
}

// PutAside puts parents of the last nodes aside.
func PutAside(s *Store) error { return s.putAside(s.of(Segments), s.listParents()) }
