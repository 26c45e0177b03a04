package merkle

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/porep"
)

// WriterOptions say how a Writer works. The zero value is one that hashes in the
// goroutine of its caller and keeps no level.
type WriterOptions struct {
	// Workers are how many goroutines hash while the caller goes on writing. Up to 1 is
	// none: Write hashes. They end by themselves with what was written.
	Workers int
	// Keep is a level of the tree whose nodes Level returns, counted from the leaves, which
	// are level 0: a node of level 10 commits to 32 KiB of padded data. 0 keeps none, since
	// the leaves are the data.
	Keep int
}

// A Writer computes comm_p of what is written to it, in the manner of hash.Hash: how
// long the payload is shows at its end, and writes may have any length. It takes user
// bytes, and pads them. Where the payload ends before the piece does, zeros follow.
//
// Memory is 0.7 MiB, and as much for each worker, whatever the payload, and 32 bytes for
// each node of the level that is kept. A Writer is for one goroutine at a time.
type Writer struct {
	options WriterOptions
	length  uint64 // bytes written
	err     error  // of a kernel; it stays

	filling *writerChunk // nil before the first byte
	filled  int          // bytes in it, less than a chunk
	hashing []*writerChunk
	free    []*writerChunk

	folded folded
}

var (
	_ hash.Hash     = (*Writer)(nil)
	_ io.ReaderFrom = (*Writer)(nil)
)

// What a Writer hashes at a time: all of it, and the levels above, stays in a core's
// second cache.
const (
	writerPadded   = 256 << 10
	writerUnpadded = writerPadded / porep.PaddedUnit * porep.UnpaddedUnit
	writerLevel    = 13 // of a chunk's root

	maxPayload = maxSize / porep.PaddedUnit * porep.UnpaddedUnit
)

// A writerChunk is a part of the payload on its way into the tree.
type writerChunk struct {
	unpadded, padded []byte
	hasher           Hasher
	levels           []byte // above the leaves
	err              error
	done             chan struct{} // receives when it is hashed
}

func (c *writerChunk) hash(unpadded []byte) {
	if c.err = fr32.Pad(c.padded, unpadded); c.err == nil {
		c.levels, c.err = c.hasher.levels(c.padded)
	}
}

// level is the nodes of a level above the leaves.
func (c *writerChunk) level(level int) []byte {
	return c.levels[writerPadded-writerPadded>>(level-1):][:writerPadded>>level]
}

// folded is the tree over the chunks so far: a node for each level that is not complete.
type folded struct {
	keep  int
	nodes [maxHeight + 1]porep.Commitment // that of a level is valid where count has its bit
	count uint64                          // chunks
	kept  []byte
}

// add puts a node right of what is there, whose size is a multiple of the node's.
func (f *folded) add(node porep.Commitment, level int) {
	size := uint64(1) << (level - writerLevel)
	for ; ; level++ {
		if level == f.keep {
			f.kept = append(f.kept, node[:]...)
		}
		if f.count>>(level-writerLevel)&1 == 0 {
			break
		}
		node = parent(f.nodes[level], node)
	}
	f.nodes[level] = node
	f.count += size
}

func (f *folded) addChunk(c *writerChunk) {
	if 0 < f.keep && f.keep < writerLevel {
		f.kept = append(f.kept, c.level(f.keep)...)
	}
	f.add(last(c.levels), writerLevel)
}

// fillTo adds zeros until the tree is over a multiple of that many chunks, a power of two.
func (f *folded) fillTo(chunks uint64) {
	for f.count%chunks != 0 {
		level := writerLevel + bits.TrailingZeros64(f.count)
		f.add(zeros[level], level)
	}
}

// NewWriter returns a Writer. Its error is a *LevelError if Keep is no level of a tree.
func NewWriter(o WriterOptions) (*Writer, error) {
	if o.Keep < 0 || o.Keep > maxHeight {
		return nil, &LevelError{o.Keep}
	}
	w := &Writer{options: o}
	w.Reset()
	return w, nil
}

// A LevelError says that no tree has a level that a Writer could keep.
type LevelError struct{ Level int }

func (e *LevelError) Error() string {
	return fmt.Sprintf("merkle: keeping a level: level %d, want one from 1 to %d, or 0 for none", e.Level, maxHeight)
}

// Size is the length of a sum.
func (w *Writer) Size() int { return nodeSize }

// BlockSize is how many bytes are padded together. Writes need not be multiples of it.
func (w *Writer) BlockSize() int { return porep.UnpaddedUnit }

// Len is how many bytes were written.
func (w *Writer) Len() uint64 { return w.length }

// Reset forgets what was written, and keeps memory for what comes next.
func (w *Writer) Reset() {
	w.wait(0)
	w.length, w.filled, w.err = 0, 0, nil
	w.folded = folded{keep: w.options.Keep}
}

// tooLong is the error of a payload of that many bytes.
func (w *Writer) tooLong(length uint64) error {
	if length <= maxPayload {
		return nil
	}
	return &SizeError{"writing payload", length, fmt.Sprintf("more than %d", uint64(maxPayload))}
}

// Write adds to the payload. Its error is a *SizeError where that grows past 127/128 of 2^50
// bytes; then nothing was written.
func (w *Writer) Write(p []byte) (n int, err error) {
	if err := w.tooLong(w.length + uint64(len(p))); err != nil {
		return 0, err
	}
	for n < len(p) && w.err == nil {
		room := w.room()
		if rest := p[n:]; w.options.Workers <= 1 && w.filled == 0 && len(rest) >= writerUnpadded {
			w.filling.hash(rest[:writerUnpadded]) // where it lies
			w.fold(w.filling)
			w.length += writerUnpadded
			n += writerUnpadded
			continue
		}
		k := copy(room, p[n:])
		w.took(k)
		n += k
	}
	return n, w.err
}

// ReadFrom is Write of all that r yields until io.EOF, read to where it is hashed.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	const patience = 100
	for idle := 0; w.err == nil; idle++ {
		k, err := r.Read(w.room())
		if k > 0 {
			idle = 0
			if err := w.tooLong(w.length + uint64(k)); err != nil {
				return n, err
			}
		}
		w.took(k)
		n += int64(k)
		switch {
		case err == io.EOF:
			return n, w.err
		case err != nil:
			return n, err
		case idle >= patience:
			return n, io.ErrNoProgress
		}
	}
	return n, w.err
}

// room is where the next bytes go; there is always some.
func (w *Writer) room() []byte {
	if w.filling == nil {
		if len(w.free) == 0 && len(w.hashing) >= max(w.options.Workers, 1) {
			w.wait(len(w.hashing) - 1)
		}
		if n := len(w.free); n > 0 {
			w.filling, w.free = w.free[n-1], w.free[:n-1]
		} else {
			w.filling = &writerChunk{
				unpadded: make([]byte, writerUnpadded),
				padded:   make([]byte, writerPadded),
				done:     make(chan struct{}, 1),
			}
		}
	}
	return w.filling.unpadded[w.filled:]
}

// took counts bytes that were put into the room, and hands over a chunk that is full.
func (w *Writer) took(n int) {
	w.filled += n
	w.length += uint64(n)
	if w.filled < writerUnpadded {
		return
	}
	w.filled = 0
	c := w.filling
	if w.options.Workers <= 1 {
		c.hash(c.unpadded)
		w.fold(c)
		return
	}
	w.filling = nil
	w.hashing = append(w.hashing, c)
	go func() {
		c.hash(c.unpadded)
		c.done <- struct{}{}
	}()
}

// wait folds chunks, in order, until at most so many are being hashed.
func (w *Writer) wait(most int) {
	for len(w.hashing) > most {
		c := w.hashing[0]
		<-c.done
		w.hashing = append(w.hashing[:0], w.hashing[1:]...)
		w.free = append(w.free, c)
		w.fold(c)
	}
}

func (w *Writer) fold(c *writerChunk) {
	if w.err = errors.Join(w.err, c.err); w.err == nil {
		w.folded.addChunk(c)
	}
}

// whole is the tree over the payload, the last chunk filled with zeros.
func (w *Writer) whole() (folded, error) {
	w.wait(0)
	f := w.folded
	if w.filled == 0 || w.err != nil {
		return f, w.err
	}
	c := w.filling
	clear(c.unpadded[w.filled:])
	if c.hash(c.unpadded); c.err != nil {
		return f, c.err
	}
	f.kept = f.kept[:len(f.kept):len(f.kept)] // the writer's own go on behind it
	f.addChunk(c)
	return f, nil
}

// Sum appends comm_p of the smallest piece that holds the payload. More can be written
// afterwards. Piece says how large that piece is.
func (w *Writer) Sum(b []byte) []byte {
	piece, _ := w.Piece(porep.UnpaddedSize(w.length).NextPieceSize()) // it could only fail as Write did
	return append(b, piece.CommP[:]...)
}

// Piece is the piece of that size which begins with the payload, zeros behind. More can be
// written afterwards. Its error is a *porep.PieceSizeError if no piece has that size, or a
// *SizeError if the payload is longer.
func (w *Writer) Piece(size porep.UnpaddedSize) (porep.Piece, error) {
	if err := size.CheckPieceSize(); err != nil {
		return porep.Piece{}, err
	}
	if w.length > uint64(size) {
		return porep.Piece{}, &SizeError{"filling a piece", w.length, fmt.Sprintf("more than the %d of the piece", uint64(size))}
	}
	f, err := w.whole()
	if err != nil {
		return porep.Piece{}, fmt.Errorf("merkle: filling a piece: %w", err)
	}
	padded := uint64(size.Padded())
	piece := porep.Piece{CommP: zeros[height(padded)], Size: size}
	switch {
	case w.length == 0:
	case padded < writerPadded:
		piece.CommP = porep.Commitment(w.filling.level(height(padded)))
	default:
		f.keep = 0
		f.fillTo(padded / writerPadded)
		piece.CommP = f.nodes[height(padded)]
	}
	return piece, nil
}

// Level is the nodes of the level that is kept, one behind the other, 32 bytes each: those
// over the payload, where the last may be over some zeros as well. What follows them in a
// larger piece is ZeroCommitment of their size. More can be written afterwards. Level is
// empty where no level is kept.
func (w *Writer) Level() ([]byte, error) {
	f, err := w.whole()
	if err != nil {
		return nil, fmt.Errorf("merkle: keeping a level: %w", err)
	}
	if f.keep == 0 || w.length == 0 {
		return nil, nil
	}
	if f.keep > writerLevel {
		f.kept = f.kept[:len(f.kept):len(f.kept)]
		f.fillTo(1 << (f.keep - writerLevel))
	}
	span := uint64(nodeSize) << f.keep
	padded := (w.length + porep.UnpaddedUnit - 1) / porep.UnpaddedUnit * porep.PaddedUnit
	return append([]byte(nil), f.kept[:(padded+span-1)/span*nodeSize]...), nil
}
