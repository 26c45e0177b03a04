package seal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

const (
	// pieceBlock is how much of a piece, padded, a goroutine writes at a time: a piece is one
	// block, smaller, or a power of two of them.
	pieceBlock porep.PaddedSize = 1 << 20
	// pieceChunk is how much it reads, pads and hashes at a time. What it was read into, the
	// padded bytes and the nodes above them stay in a core's second cache.
	pieceChunk porep.PaddedSize = 256 << 10
	// passMemory is what the goroutines of a pass take at most.
	passMemory = 96 << 20
)

// A pass takes a piece from its source to where it goes in one go. Goroutines, one for each
// CPU, read, pad and hash chunks while these are in the caches of their core, and write block
// by block.
type pass struct {
	size        porep.UnpaddedSize // the piece's; 0: the smallest that holds what the source has
	part, block porep.PaddedSize   // bytes of a chunk, of a block
	from        pieceSource
	read        porep.UnpaddedSize // at a time
	to          pieceSink          // nil: nowhere
	tree        *treePart          // nil: its nodes are not kept
	progress    *PieceProgress     // nil: nobody watches

	mu     sync.Mutex
	roots  []byte // of all chunks so far
	failed int64  // the block that err is of
	err    error  // the first in the piece's order; it ends the pass
	stop   chan struct{}

	fault atomic.Pointer[failure.Fault] // of a goroutine
}

// A passing is what a pass is to do besides reading.
type passing struct {
	fill     bool // zeros may follow the source's end
	empty    bool // which may come at once
	to       pieceSink
	tree     *treePart
	progress *PieceProgress
}

// readPiece pads, commits to and writes a piece, and says how much of it was the source's.
func readPiece(ctx context.Context, source io.Reader, size porep.UnpaddedSize, o passing) (porep.Commitment, porep.UnpaddedSize, error) {
	p := &pass{size: size, part: pieceChunk, block: pieceBlock, to: o.to, tree: o.tree, progress: o.progress, stop: make(chan struct{})}
	if p.tree != nil {
		p.part = p.block
	}
	if o.to == nil {
		p.block = p.part
	}
	if size == 0 {
		// What is no block long shows here: its piece may be smaller than a chunk.
		first := make([]byte, p.block.Unpadded())
		n, err := io.ReadFull(source, first)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			p.size, source = porep.UnpaddedSize(n).NextPieceSize(), bytes.NewReader(first[:n])
		} else if err != nil {
			return porep.Commitment{}, 0, &SourceError{Path: pathOf(source), Got: porep.UnpaddedSize(n), Err: err}
		} else {
			source = io.MultiReader(bytes.NewReader(first), source)
		}
	}
	if p.size != 0 {
		p.part, p.block = min(p.part, p.size.Padded()), min(p.block, p.size.Padded())
	}
	p.from, p.read = sourceOf(source, p, o)
	if c, ok := p.from.(io.Closer); ok {
		defer c.Close()
	}
	p.progress.enter(StagePadding, uint64(p.from.length()))
	var wg sync.WaitGroup
	for range p.workers() {
		wg.Go(func() {
			if fault := failure.Caught(func() { p.work(ctx) }); fault != nil {
				p.fault.Store(fault)
				p.fail(-1, fault)
			}
		})
	}
	wg.Wait()
	if fault := p.fault.Load(); fault != nil {
		panic(fault) // where the source's own would have come
	}
	if p.err == nil {
		p.err = p.from.end()
	}
	if p.err != nil {
		return porep.Commitment{}, 0, p.err
	}
	payload := p.from.length()
	if p.size == 0 {
		p.size = payload.NextPieceSize()
	}
	commP, err := p.finish()
	return commP, payload, err
}

// workers is how many goroutines there are: more than cores would push each other's chunks
// out of the caches.
func (p *pass) workers() int {
	each := int(p.read) + int(p.block) + int(p.part)
	n := min(runtime.GOMAXPROCS(0), max(1, passMemory/each))
	if p.size != 0 {
		n = min(n, int((p.size.Padded()+p.block-1)/p.block))
	}
	return n
}

// finish writes the zeros behind the last block that the source had something of, and is the
// whole piece's commitment.
func (p *pass) finish() (porep.Commitment, error) {
	size := p.size.Padded()
	done := porep.PaddedSize(len(p.roots)/porep.NodeSize) * p.part
	if done < size && p.to != nil {
		if err := p.to.zeros(int64(done), int64(size-done)); err != nil {
			return porep.Commitment{}, p.writeError(int64(done), int64(size-done), err)
		}
	}
	if len(p.roots) == porep.NodeSize && done == size {
		return porep.Commitment(p.roots), nil
	}
	var a merkle.Accumulator
	for at := 0; at < len(p.roots); at += porep.NodeSize {
		if err := a.Add(porep.Commitment(p.roots[at:]), p.part); err != nil {
			return porep.Commitment{}, err
		}
	}
	if done == 0 {
		return merkle.ZeroCommitment(size)
	}
	return a.RootOf(size)
}

// fail ends the pass, with what went wrong first in the piece.
func (p *pass) fail(block int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		close(p.stop)
		if p.to != nil {
			p.to.stop()
		}
	} else if p.failed <= block {
		return
	}
	p.failed, p.err = block, err
}

func (p *pass) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

func (p *pass) work(ctx context.Context) {
	w := worker{
		pass:    p,
		reading: reading{buf: make([]byte, p.read), chunk: int(p.part.Unpadded())},
		padded:  make([]byte, p.block),
		zero:    make([]bool, p.block/p.part),
		roots:   make([]byte, p.block/p.part*porep.NodeSize),
	}
	for !p.stopped() {
		if ctx.Err() != nil {
			p.fail(-1, context.Cause(ctx))
			return
		}
		block, ok, err := p.from.claim(&w.reading)
		if err == nil && !ok {
			return
		}
		if err == nil {
			err = w.hash(block)
		}
		if err == nil && p.to != nil {
			var over bool
			if over, err = w.write(block); over {
				return
			}
		}
		if err != nil {
			p.fail(block, err)
			return
		}
		p.progress.add(uint64(p.block.Unpadded()))
	}
}

// A worker is what a goroutine of a pass works with.
type worker struct {
	*pass
	reading
	hasher merkle.Hasher
	padded []byte // of a block
	zero   []bool // of its chunks: their bytes are not in padded
	roots  []byte // of its chunks
}

// hash reads, pads and hashes a block.
func (w *worker) hash(block int64) error {
	for i := range w.zero {
		unpadded, zero, err := w.from.read(&w.reading, block, i)
		if err != nil {
			return err
		}
		w.zero[i] = zero || allZero(unpadded)
		padded := w.padded[i*int(w.part):][:w.part]
		var root porep.Commitment
		if w.zero[i] {
			root, err = merkle.ZeroCommitment(w.part)
		} else if err = fr32.Pad(padded, unpadded); err == nil {
			root, err = w.root(padded, porep.PaddedSize(block)*w.block+porep.PaddedSize(i)*w.part)
		}
		if err != nil {
			return fmt.Errorf("seal: padding piece: %w", err)
		}
		copy(w.roots[i*porep.NodeSize:], root[:])
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := int(block) * len(w.roots)
	if missing := at + len(w.roots) - len(w.pass.roots); missing > 0 {
		w.pass.roots = append(w.pass.roots, make([]byte, missing)...)
	}
	copy(w.pass.roots[at:], w.roots)
	return nil
}

// root is that of a chunk, which lies there in the piece.
func (w *worker) root(padded []byte, off porep.PaddedSize) (porep.Commitment, error) {
	if w.tree != nil {
		return w.tree.add(&w.hasher, padded, off)
	}
	return w.hasher.Root(padded)
}

// write writes a block when it is its turn, unless the pass is over.
func (w *worker) write(block int64) (over bool, err error) {
	if !w.to.begin(block) {
		return true, nil
	}
	defer w.to.end()
	return false, w.writeChunks(block)
}

// writeChunks writes the chunks of a block, those that are zeros, and those that are not, together.
func (w *worker) writeChunks(block int64) error {
	for from := 0; from < len(w.zero); {
		to := from
		for to < len(w.zero) && w.zero[to] == w.zero[from] {
			to++
		}
		at, end := int64(from)*int64(w.part), int64(to)*int64(w.part)
		off := block*int64(w.block) + at
		var err error
		if w.zero[from] {
			err = w.to.zeros(off, end-at)
		} else {
			err = w.to.write(w.padded[at:end], off)
		}
		if err != nil {
			return w.writeError(off, end-at, err)
		}
		from = to
	}
	return nil
}

func (p *pass) writeError(off, n int64, err error) error {
	return &WriteError{Path: p.to.path(), Offset: off, Length: n, Size: p.size.Padded(), Err: err}
}

// allZero looks at hardly more than the first bytes of other data.
func allZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}
