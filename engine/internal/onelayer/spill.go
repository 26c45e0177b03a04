package onelayer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// A spilling keeps the labels that will be far parents: when a segment is labelled, those
// of its labels that children in each later segment will want go to a file without a name,
// all lanes together, as they lie in memory. What a segment of children wants is then read
// from there in one piece.
//
//	file:      children in segment 4 | children in segment 5 | … | in segment 31
//	of those:  parents in segment 0 | in segment 1 | … each begins at a multiple of 4096
//
// The next layer's take the same extents. The first of them are written when its
// segment 0 is labelled: by then the hasher is past where it waited for the last of
// the layer before to be read.
//
// A file that fails, because the disk is full for example, is not used again: far
// parents then come from the layers' files (see readFar).
type spilling struct {
	file    *durable.File
	extents *[Segments]extent // by the children's segment
	// sums are of what is there, by the children's segment, the parents', and the chunk.
	sums *[Segments][Segments][]uint32
	done ring.Line   // of segments below, counted through all layers, everything is in the file, or never will be
	lost atomic.Bool // the file is not to be used
}

// An extent is where the far parents of a segment of children lie.
type extent struct {
	offset int64         // in the file
	labels int           // how many there are, and in between
	starts [Segments]int // by the parents' segment: the label with which they begin
	n      [Segments]int // and how many they are
}

// extentsFor are where far parents lie, as labels of a certain pitch, and the size of
// the file.
func (x *Index) extentsFor(pitch int) (extents *[Segments]extent, size int64, err error) {
	align, room := spillAlign(pitch), x.farLabels(pitch)
	extents = new([Segments]extent)
	for child := range extents {
		p := &extents[child]
		p.offset = size
		listed := 0
		for from := range x.sections[child] {
			p.starts[from], p.n[from] = p.labels, x.sections[child][from].n
			p.labels += roundup.To(p.n[from], align)
			listed += p.n[from]
		}
		if listed > x.room || p.labels > room {
			return nil, 0, fmt.Errorf("engine: spilling far parents: %d of segment %d, with gaps %d, room for %d and %d", listed, child, p.labels, x.room, room)
		}
		size += int64(p.labels) * int64(pitch)
	}
	return extents, size, nil
}

// spill is the goroutine that fills the file.
func (s *Store) spill(ctx context.Context) {
	defer s.KeepOff()()
	if !s.Flow.Wait(&s.index.gate, s.index.ready.Load) {
		return
	}
	if s.file == nil && !s.lost.Load() { // Fill or Restore has it open
		if err := s.open(ctx); err != nil {
			s.lose(ctx, err)
		}
	}
	nodes := make([]uint32, farChunk)
	for n := s.Begin / s.Segment; n < uint64(s.Layers)*Segments; n++ {
		if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= (n+1)*s.Segment }) {
			return
		}
		from := int(n % Segments)
		for child := from + kept; child < Segments && !s.lost.Load(); child++ {
			if err := s.spillSection(nodes, n, child, from); err != nil {
				s.lose(ctx, err)
			}
		}
		s.done.Store(n + 1)
		s.Flow.Back.Wake()
	}
}

// lose notes that the file is not to be used, and why.
func (s *Store) lose(ctx context.Context, err error) {
	s.lost.Store(true)
	if ctx.Err() == nil {
		s.Slowed(fmt.Errorf("engine: far parents are read from layer files: %w", err))
	}
}

// open makes the file in the first directory that takes it. The index is there.
func (s *Store) open(ctx context.Context) error {
	if s.index.err != nil {
		return s.index.err
	}
	err := s.fails("open", 0)
	if err != nil {
		return err
	}
	var size int64
	if s.extents, size, err = s.index.extentsFor(s.pitch); err != nil {
		return err
	}
	err = errors.New("engine: spilling far parents: no sector is left")
	for _, dir := range s.Files.Dirs() {
		var file *durable.File
		if file, err = durable.Scratch(ctx, dir); err != nil {
			continue
		}
		if err = file.Reserve(size); err != nil {
			file.Abort()
			continue
		}
		file.AllowDirect()
		s.file, s.sums = file, new([Segments][Segments][]uint32)
		for child := range s.index.sections {
			for from := range s.index.sections[child] {
				s.sums[child][from] = make([]uint32, len(s.index.sections[child][from].chunks))
			}
		}
		return nil
	}
	return err
}

// spillSection writes the labels of a segment that are far parents of children in a
// later one. Nodes is for farChunk of them.
func (s *Store) spillSection(nodes []uint32, n uint64, child, from int) error {
	if err := s.fails("write", n); err != nil {
		return err
	}
	section := &s.index.sections[child][from]
	return s.eachChunk(child, from, s.Flow.Stopped, func(chunk, size int, at int64) error {
		parents, err := s.index.read(nodes, section, chunk)
		if err != nil {
			return err
		}
		for i, p := range parents {
			copy(s.Buffer[i*s.pitch:][:s.pitch], s.newest[uint64(p)%s.InMemory*uint64(s.pitch):])
		}
		return s.spillChunk(child, from, chunk, s.Buffer[:size], at)
	})
}

// eachChunk calls do for each chunk of a section, with its size in bytes and where it lies
// in the file, until it fails or is stopped.
func (s *Store) eachChunk(child, from int, stopped func() bool, do func(chunk, size int, at int64) error) error {
	p := &s.extents[child]
	at := p.offset + int64(p.starts[from])*int64(s.pitch)
	left := roundup.To(p.n[from], spillAlign(s.pitch)) * s.pitch
	for chunk := range s.sums[child][from] {
		if stopped() {
			return nil
		}
		size := min(left, farChunk*s.pitch)
		if err := do(chunk, size, at); err != nil {
			return err
		}
		at, left = at+int64(size), left-size
	}
	return nil
}

// spillChunk writes the labels of a section's chunk.
func (s *Store) spillChunk(child, from, chunk int, labels []byte, at int64) error {
	s.sums[child][from][chunk] = durable.Checksum(labels)
	return s.file.WriteVia(s.Way, labels, at)
}

// unspill reads the far parents of a segment. False means that they are not in the
// file.
func (s *Store) unspill(ctx context.Context, g *gathering, n uint64) bool {
	g.extent = nil
	if s.lost.Load() {
		return false
	}
	child := int(n % Segments)
	extent := &s.extents[child]
	err := s.fails("read", n)
	labels := g.labels[:extent.labels*s.pitch]
	for at := 0; at < len(labels) && err == nil && !s.Flow.Stopped(); at += spillPart {
		err = s.file.ReadVia(s.Way, labels[at:min(at+spillPart, len(labels))], extent.offset+int64(at))
	}
	if err == nil && !s.Flow.Stopped() {
		err = s.checkSpilled(labels, child)
	}
	if err != nil {
		s.lose(ctx, err)
		return false
	}
	g.extent = extent
	return true
}

const spillPart = 4 << 20 // bytes read at a time

// checkSpilled compares the labels of a segment of children with what was written. A chunk
// that is not right is read once more, past the cache.
func (s *Store) checkSpilled(labels []byte, child int) error {
	whole := func() bool { return false }
	for from := range s.sums[child] {
		err := s.eachChunk(child, from, whole, func(chunk, size int, at int64) error {
			labels, sum := labels[at-s.extents[child].offset:][:size], s.sums[child][from][chunk]
			found := durable.Checksum(labels)
			if found != sum {
				if err := s.file.ReadVia(durable.Direct, labels, at); err != nil {
					return err
				}
				found = durable.Checksum(labels)
			}
			if found != sum {
				return &durable.ChangedError{Path: s.file.Path(), Off: at, Len: int64(size), Found: found, Written: sum}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Restore readies memory and the file before Start, as they were when an earlier job was at
// Begin, from the layer's files. The layer before is there. When ctx is done the error is its
// cause.
func (s *Store) Restore(ctx context.Context) error {
	if err := s.index.wait(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		s.lose(ctx, err)
	}
	begin := int(s.Begin / s.Segment)
	nodes := make([]uint32, farChunk)
	for n := 0; uint64(n)*s.Segment < s.Begin; n++ {
		from, end := uint64(n)*s.Segment, min(uint64(n+1)*s.Segment, s.Begin)
		if s.lost.Load() && end+s.InMemory <= s.Begin {
			continue // nobody wants it: far parents come from the layer's files
		}
		if err := s.loadNewest(from, end); err != nil {
			return err
		}
		for child := max(n+kept, begin); child < Segments && n < begin && !s.lost.Load(); child++ {
			if err := s.spillSection(nodes, uint64(n), child, n); err != nil {
				s.lose(ctx, err)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	s.done.Store(uint64(begin))
	return nil
}

// loadNewest reads labels of the first layer, nodes of one segment, to where the newest are.
func (s *Store) loadNewest(from, end uint64) error {
	pitch := uint64(s.pitch)
	return s.Files.Each(int(roundup.Div(end-from, s.Part)), func(part int, buffer []byte) error {
		first := from + uint64(part)*s.Part
		n := min(s.Part, end-first)
		return s.Files.Load(s.newest[first%s.InMemory*pitch:][:n*pitch], s.First, first, buffer[:n*porep.NodeSize], false)
	})
}

// Fill readies the file before Start, as it would be at Begin: what it has of segments
// before that is whatever is in Buffer. A job that cannot have the file is slower; for who
// measures, that is an error.
func (s *Store) Fill(ctx context.Context) error {
	if err := s.index.wait(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("engine: readying far parents: %w", err)
	}
	begin := s.Begin / s.Segment
	s.done.Store(begin)
	stopped := func() bool { return ctx.Err() != nil }
	for child := int(begin); child < Segments; child++ {
		for from := range int(begin) {
			err := s.eachChunk(child, from, stopped, func(chunk, size int, at int64) error {
				return s.spillChunk(child, from, chunk, s.Buffer[:size], at)
			})
			if err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}
