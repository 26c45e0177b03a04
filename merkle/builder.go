package merkle

import (
	"context"
	"fmt"
	"io"

	"github.com/sdr-engine/sdr/porep"
)

// A Builder writes a whole tree, as BuildTree does, of data that is partly at hand: chunks of it
// are added as they come, and the rest is read at the end.
type Builder struct {
	walk
	w io.WriterAt
}

// NewBuilder begins the tree over size bytes of data. Its error is as BuildTree's.
func NewBuilder(w io.WriterAt, size porep.SectorSize) (*Builder, error) {
	b := &Builder{walk{doing: "building tree", size: size}, w}
	return b, b.begin()
}

// Chunk is how many bytes Add takes: 1 MiB, or all of a smaller tree's data.
func (b *Builder) Chunk() porep.PaddedSize { return porep.PaddedSize(b.chunk) }

// Add puts the chunk of data at off, a multiple of Chunk, into the tree, and returns its root.
// It may be called by several goroutines at the same time, each with a Hasher of its own, once
// for each chunk.
func (b *Builder) Add(h *Hasher, leaves []byte, off porep.PaddedSize) (porep.Commitment, error) {
	if uint64(len(leaves)) != b.chunk || uint64(off)%b.chunk != 0 || uint64(off) >= uint64(b.size) {
		return porep.Commitment{}, &SizeError{b.doing, uint64(len(leaves)), fmt.Sprintf("no chunk of %d bytes at %d of %d", b.chunk, off, b.size)}
	}
	if err := b.take(h, b.put, uint64(off), leaves, isZero(leaves)); err != nil {
		return porep.Commitment{}, err
	}
	i := uint64(off) / b.chunk
	b.mu.Lock()
	b.added[i] = true
	b.mu.Unlock()
	return porep.Commitment(b.roots[i*nodeSize:]), nil
}

// Finish reads from data what was not added, completes the tree and returns its root. It is the
// end, and comes after all calls of Add. Errors and the rest are as BuildTree's.
func (b *Builder) Finish(ctx context.Context, data io.ReaderAt, workers int, progress func(done uint64)) (porep.Commitment, error) {
	b.data, b.progress = data, progress
	return b.rest(ctx, workers, func() sink { return b.put })
}

// put writes a span.
func (b *Builder) put(r span) error {
	if puncher, ok := b.w.(Puncher); ok && r.zero {
		if err := puncher.Punch(r.offset, int64(len(r.nodes))); err != nil {
			return fmt.Errorf("merkle: %s: leaving out %v: %w", b.doing, r, err)
		}
		return nil
	}
	n, err := b.w.WriteAt(r.nodes, r.offset)
	if err == nil && n < len(r.nodes) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("merkle: %s: writing %v: %w", b.doing, r, err)
	}
	return nil
}
