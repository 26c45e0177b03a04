package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// A filling is what is in a scratch file in place of labels that nobody has made.
type filling struct {
	blocks []filledBlock // those of a segment's expander parents, each for any segment
	next   atomic.Int64  // of them, that no reader has taken
}

type filledBlock struct {
	block uint32
	n     int // entries
}

// Number is by which Fill tells expander parents apart, of a node's 8 that in a slot.
func (s *Store) Number(node uint64, slot int) uint64 {
	return node%s.Segment*porep.ExpDegree + uint64(slot)
}

// Fill readies memory and the file before Start as they would be at Begin, which is in the first layer, had
// labels been made before: to measure how it goes on from there, up to that layer's end. What stands for far
// base parents is what memory has for the newest labels, that for node modulo Ring. What stands for the layer
// before is the same labels in each segment: label yields them, of all lanes, by Number. So a segment's blocks
// are written once, and read again for each, as many as there would be, from where they lie as far apart. What
// is sent to the layer after is written round and round over the same blocks. Passes have all they want from
// Files, and make nothing of label. When ctx is done the error is its cause.
func (s *Store) Fill(ctx context.Context, label func(labels []byte, number uint64)) (err error) {
	defer context.AfterFunc(ctx, func() {
		s.Flow.Stop()
		s.index.Wake()
	})()
	if s.Passes() {
		if err := s.loadNewest(ctx); err != nil {
			return err
		}
		s.filled = &filling{}
		return s.gatherFirst(ctx)
	}
	f := &filling{}
	if s.blocks, err = openBlocks(ctx, s.Files.Dirs(), s.Way, s.filledBlocks(s.pitch, s.From), s.block(s.pitch)); err != nil {
		return err
	}
	s.blocks.inTurn = true
	if err := s.writeFilling(f, label); err != nil {
		return err
	}
	for node := uint64(0); node < s.Begin; node += s.Group {
		if err := s.sendFar(0, node, uint64(s.segmentOf(s.Begin))); err != nil || s.Flow.Stopped() {
			return errors.Join(err, context.Cause(ctx))
		}
	}
	// A layer is half done: blocks for the next one are as full as they happen to be.
	for i := range s.parcels[1] {
		p := &s.parcels[1][i]
		s.open(p)
		p.n, p.unread = rand.IntN(s.room), true // #nosec G404 -- no secret
	}
	s.Layers, s.filled = 2, f
	return s.gatherFirst(ctx)
}

func (s *Store) gatherFirst(ctx context.Context) error {
	err := s.gatherSegment(s.segmentOf(s.Begin))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// FilledBytes is the size of the scratch file after Fill, and IndexFileBytesFrom that of the index's, if
// nothing before a node is labelled.
func (s *Shape) FilledBytes(pitch int, from uint64) int64 {
	if s.Passes() {
		return 0
	}
	return int64(s.filledBlocks(pitch, from)) * int64(s.block(pitch))
}

// IndexFileBytesFrom is IndexFileBytes then.
func (s *Shape) IndexFileBytesFrom(from uint64) int64 {
	if s.Passes() {
		return 0
	}
	return int64(s.farBlocks(s.segmentsFrom(from))) * int64(s.farBlock)
}

// segmentsFrom is how many a node is in, and come after it.
func (s *Shape) segmentsFrom(node uint64) int { return s.Segments - int(node/s.Segment) }

func (s *Shape) filledBlocks(pitch int, from uint64) int {
	room := uint64(s.entries(pitch))
	own := int(roundup.Div(s.slots(), room))
	// Of a layer's far base parents those across its middle, which are never more, and an eighth.
	buckets := uint64(bits.Len64(5*s.Nodes - 1))
	far := 5*s.Nodes/buckets*9/8 + uint64(s.Segments)*4096
	far = min(far, s.far*uint64(s.segmentsFrom(from)))
	return 2*own + int(far/room) + s.opened() + 1
}

// writeFilling writes a segment's expander parents, in an order in which no processor can foresee them.
func (s *Store) writeFilling(f *filling, label func(labels []byte, number uint64)) error {
	buffer, pitch := s.staging[0], s.pitch
	mask := uint64(1)<<bits.Len64(s.slots()-1) - 1
	half := bits.Len64(mask) / 2
	x := uint64(0)
	for left := s.slots(); left > 0 && !s.Flow.Stopped(); {
		n := int(min(left, uint64(s.room)))
		for i := 0; i < n; {
			x = (x*6364136223846793005 + 1442695040888963407) & mask // comes to each number once: a = 1 mod 4, c odd
			to := x ^ x>>half
			if to >= s.slots() {
				continue
			}
			label(buffer[i*pitch:][:pitch], to)
			binary.LittleEndian.PutUint32(buffer[s.room*pitch+i*number:], uint32(to))
			i++
		}
		var block uint32
		if err := s.blocks.write(buffer, &block); err != nil {
			return err
		}
		f.blocks = append(f.blocks, filledBlock{block, n})
		left -= uint64(n)
	}
	rand.Shuffle(len(f.blocks), func(i, j int) { f.blocks[i], f.blocks[j] = f.blocks[j], f.blocks[i] }) // #nosec G404 -- no secret
	return nil
}

// unpackFilled unpacks those blocks of a segment that Fill has written, if it has.
func (s *Store) unpackFilled(g *gathering, buffer []byte) error {
	f := s.filled
	if f == nil {
		return nil
	}
	for i := f.next.Add(1); i <= int64(len(f.blocks)) && !s.Flow.Stopped(); i = f.next.Add(1) {
		b := f.blocks[i-1]
		if err := s.readBlock(g, buffer, b.block); err != nil {
			return err
		}
		if err := s.unpack(g, buffer, b.n); err != nil {
			return err
		}
	}
	return nil
}
