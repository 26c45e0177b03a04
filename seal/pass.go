package seal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

const (
	// pieceBlock is how much of a piece, padded, a goroutine reads, pads, hashes and writes at
	// a time: a piece is one block, smaller, or a power of two of them. What it was read into,
	// the padded bytes and the nodes above them stay in a core's second cache until they are
	// written, which is soon: a goroutine holds back one block at most while another writes.
	pieceBlock porep.PaddedSize = 256 << 10
	// passMemory is what the goroutines of a pass take at most, with what is in memory of the
	// file that they read.
	passMemory = 72 << 20
)

// A pass takes a piece from its source to where it goes in one go. Goroutines, one for each
// CPU, read, pad, hash and write block by block: nothing is handed over, and nothing leaves the
// caches of its core meanwhile.
type pass struct {
	size     porep.UnpaddedSize // the piece's; 0: the smallest that holds what the source has
	block    porep.PaddedSize   // its bytes
	from     pieceSource
	to       pieceSink      // nil: nowhere
	tree     *treePart      // nil: its nodes are not kept
	progress *PieceProgress // nil: nobody watches

	mu     sync.Mutex
	roots  []byte // of all blocks so far
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
	p := &pass{size: size, block: pieceBlock, to: o.to, tree: o.tree, progress: o.progress, stop: make(chan struct{})}
	if p.tree != nil {
		p.block = p.tree.Chunk()
	}
	if size == 0 {
		o.fill, o.empty = true, true
		// What is no block long shows here: its piece may be smaller than a block.
		first := make([]byte, p.block.Unpadded())
		n, err := io.ReadFull(source, first)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			p.size, source = porep.UnpaddedSize(n).NextPieceSize(), bytes.NewReader(first[:n])
		} else if err != nil {
			return porep.Commitment{}, 0, failedSource(source, 0, porep.UnpaddedSize(n), err)
		} else {
			source = io.MultiReader(bytes.NewReader(first), source)
		}
	}
	if p.size != 0 {
		p.block = min(p.block, p.size.Padded())
	}
	if p.to != nil {
		p.to.blocks(int64(p.size.Padded() / p.block))
	}
	p.from = sourceOf(source, p, o)
	if c, ok := p.from.(io.Closer); ok {
		defer c.Close()
	}
	p.progress.enter(StagePadding, uint64(p.from.length()))
	var wg sync.WaitGroup
	for _, spot := range spotsFor(p.workers(), p.size) {
		wg.Go(func() {
			if fault := failure.Caught(func() { p.work(ctx, spot) }); fault != nil {
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

// memory is how many bytes a goroutine takes: a block unpadded and padded, the nodes above, and
// a padded block that is held back.
func (p *pass) memory() int {
	if p.to == nil {
		return 3 * int(p.block)
	}
	return 4 * int(p.block)
}

// workers is how many goroutines there are: more than cores would push each other's blocks
// out of the caches.
func (p *pass) workers() int {
	// Of the file there may be twice as much as is being used: parts are unmapped as a whole.
	n := min(workers.Most(), max(1, passMemory/(p.memory()+2*int(p.block))))
	if p.size != 0 {
		n = min(n, int((p.size.Padded()+p.block-1)/p.block))
	}
	return n
}

// finish writes the zeros behind the last block that the source had something of, and is the
// whole piece's commitment.
func (p *pass) finish() (porep.Commitment, error) {
	size := p.size.Padded()
	done := porep.PaddedSize(len(p.roots)/porep.NodeSize) * p.block
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
		if err := a.Add(porep.Commitment(p.roots[at:]), p.block); err != nil {
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

func (p *pass) work(ctx context.Context, at spot) {
	memory, leave := at.enter(p.memory())
	defer leave()
	part := func(i int) []byte { return memory[i*int(p.block):][:p.block] }
	w := worker{pass: p, reading: reading{buf: part(0)[:p.block.Unpadded()]}, padded: part(1)}
	w.hasher.Use(part(2))
	if p.to != nil {
		w.spare = part(3)
	}
	for !p.stopped() {
		if ctx.Err() != nil {
			p.fail(-1, context.Cause(ctx))
			return
		}
		block, ok, err := p.from.claim(&w.reading)
		if err == nil && !ok {
			break
		}
		zero := false
		if err == nil {
			zero, err = w.hash(block)
		}
		if err != nil {
			p.fail(block, err)
			return
		}
		if !w.write(hashed{block, w.padded, zero}) {
			return
		}
	}
	w.writeHeld()
}

// A hashed block is one that is only to be written.
type hashed struct {
	block  int64
	padded []byte
	zero   bool // there is nothing in padded
}

// A worker is what a goroutine of a pass works with.
type worker struct {
	*pass
	reading
	hasher merkle.Hasher
	padded []byte // a block
	zero   bool   // the block is zeros, and not in padded

	spare []byte // a block that padded may be exchanged for
	held  hashed // what could not be written at once, if holds
	holds bool
}

// pad pads a block unless it is zeros.
func (w *worker) pad(unpadded []byte) error {
	if w.zero = allZero(unpadded); w.zero {
		return nil
	}
	if err := fr32.Pad(w.padded, unpadded); err != nil {
		return fmt.Errorf("seal: padding piece: %w", err)
	}
	return nil
}

// hash reads, pads and hashes a block. Of one that is zeros there is nothing in padded.
func (w *worker) hash(block int64) (zero bool, err error) {
	if zero, err = w.from.read(&w.reading, block, w.pad); err != nil {
		return false, err
	}
	zero = zero || w.zero
	var root porep.Commitment
	switch {
	case zero:
		root, err = merkle.ZeroCommitment(w.block)
	case w.tree != nil:
		root, err = w.tree.add(&w.hasher, w.padded, porep.PaddedSize(block)*w.block)
	default:
		root, err = w.hasher.Root(w.padded)
	}
	if err != nil {
		return false, fmt.Errorf("seal: hashing piece: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := int(block) * porep.NodeSize
	if missing := at + porep.NodeSize - len(w.roots); missing > 0 {
		w.roots = append(w.roots, make([]byte, missing)...)
	}
	copy(w.roots[at:], root[:])
	return zero, nil
}

// write writes a block, or holds it back while another goroutine writes: hashing the next one
// takes longer than that, and waiting for it would leave a core idle. It reports false when the
// pass is over.
func (w *worker) write(b hashed) bool {
	switch {
	case w.to == nil:
		w.progress.add(uint64(w.block.Unpadded()))
	case !w.writeHeld():
		return false
	case w.to.begin(b.block, false):
		return w.put(b)
	default:
		w.held, w.holds = b, true
		w.padded, w.spare = w.spare, w.padded
	}
	return true
}

// writeHeld writes what was held back, when it is its turn.
func (w *worker) writeHeld() bool {
	if !w.holds {
		return true
	}
	w.holds = false
	return w.to.begin(w.held.block, true) && w.put(w.held)
}

// put writes a block whose turn it is.
func (w *worker) put(b hashed) bool {
	defer w.to.end()
	off := b.block * int64(w.block)
	var err error
	if b.zero {
		err = w.to.zeros(off, int64(w.block))
	} else {
		err = w.to.write(b.padded, off)
	}
	if err != nil {
		w.fail(b.block, w.writeError(off, int64(w.block), err))
		return false
	}
	w.progress.add(uint64(w.block.Unpadded()))
	return true
}

func (p *pass) writeError(off, n int64, err error) error {
	return &WriteError{Path: p.to.path(), Offset: off, Length: n, Size: p.size.Padded(), Err: err}
}

// allZero looks at hardly more than the first bytes of other data.
func allZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}
