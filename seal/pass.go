package seal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

const (
	// pieceChunk is how much of a piece, padded, a goroutine reads, pads and hashes at a time.
	// What it was read into, the padded bytes and the nodes above them stay in a core's second
	// cache.
	pieceChunk porep.PaddedSize = 256 << 10
	// pieceBlock is how much of a piece is written at a time: a piece is one block, smaller, or
	// a power of two of them.
	pieceBlock = 4 * pieceChunk
	// maxWorkers bounds memory: a worker takes 2.25 MiB.
	maxWorkers = 48
	// readAhead is how much of a file is on its way from the disk before it is asked for.
	readAhead = 16 << 20
)

// A pass takes a piece from its source to where it goes in one go. Goroutines, one for each
// CPU, read, pad and hash chunks while these are in the caches of their core, and write block
// by block.
type pass struct {
	part, block porep.PaddedSize // bytes of a chunk, of a block
	from        pieceSource
	read        porep.UnpaddedSize // at a time
	to          pieceSink          // nil: nowhere
	roots       []byte             // of all chunks

	mu     sync.Mutex
	failed int64 // the block that err is of
	err    error // the first in the piece's order; it ends the pass
	stop   chan struct{}

	fault atomic.Pointer[failure.Fault] // of a goroutine
}

// A pieceSource yields a piece block by block.
type pieceSource interface {
	// claim returns the number of the next block; ok false is the source's end. What comes in
	// order is read now.
	claim(r *reading) (block int64, ok bool, err error)
	// read returns a chunk of a block that was claimed, or that it is zeros, and no bytes.
	read(r *reading, block int64, chunk int) (unpadded []byte, zero bool, err error)
	// end makes sure that the source ends behind the piece.
	end() error
}

// A reading is the memory that a goroutine reads into: a block of what comes in order, else a
// chunk.
type reading struct {
	buf   []byte
	chunk int // unpadded bytes
}

// A pieceSink takes padded bytes. It says itself whose turn it is.
type pieceSink interface {
	// begin waits until a block may be written, and end lets the next one. It reports false,
	// and then end is not called, when stop ends all waiting.
	begin(block int64) bool
	end()
	stop()
	write(b []byte, off int64) error
	// zeros is write of n zero bytes.
	zeros(off, n int64) error
}

// readPiece pads, commits to and writes a piece.
func readPiece(ctx context.Context, source io.Reader, size porep.UnpaddedSize, to pieceSink) (porep.Commitment, error) {
	p := &pass{part: min(pieceChunk, size.Padded()), block: min(pieceBlock, size.Padded()), to: to, stop: make(chan struct{})}
	p.roots = make([]byte, size.Padded()/p.part*porep.NodeSize)
	p.from, p.read = sourceOf(source, size, p.part.Unpadded(), p.block.Unpadded())
	if c, ok := p.from.(io.Closer); ok {
		defer c.Close()
	}
	var wg sync.WaitGroup
	// More would push each other's chunks out of the caches.
	for range min(runtime.GOMAXPROCS(0), int(size.Padded()/p.block), maxWorkers) {
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
		return porep.Commitment{}, p.err
	}
	if len(p.roots) == porep.NodeSize {
		return porep.Commitment(p.roots), nil
	}
	var h merkle.Hasher
	return h.Root(p.roots)
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
	}
}

// A worker is what a goroutine of a pass works with.
type worker struct {
	*pass
	reading
	hasher merkle.Hasher
	padded []byte // of a block
	zero   []bool // of its chunks: their bytes are not in padded
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
			root, err = w.hasher.Root(padded)
		}
		if err != nil {
			return fmt.Errorf("seal: padding piece: %w", err)
		}
		copy(w.roots[(int(block)*len(w.zero)+i)*porep.NodeSize:], root[:])
	}
	return nil
}

// write writes a block when it is its turn, unless the pass is over.
func (w *worker) write(block int64) (over bool, err error) {
	if !w.to.begin(block) {
		return true, nil
	}
	defer w.to.end()
	if err := w.writeChunks(block); err != nil {
		return false, fmt.Errorf("seal: writing piece: %w", err)
	}
	return false, nil
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
			return err
		}
		from = to
	}
	return nil
}

// allZero looks at hardly more than the first bytes of other data.
func allZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}

// A streamSource is a piece that is read by one goroutine after the other.
type streamSource struct {
	r    io.Reader
	size porep.UnpaddedSize

	mu     sync.Mutex
	done   porep.UnpaddedSize
	blocks int64
	err    error // reading is over
}

func (s *streamSource) claim(r *reading) (block int64, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	block = s.blocks
	if s.done == s.size || s.err != nil {
		return block, false, nil
	}
	n, err := io.ReadFull(s.r, r.buf)
	s.done += porep.UnpaddedSize(n)
	s.blocks++
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		s.err = &SourceError{Want: s.size, Got: s.done}
	case err != nil:
		s.err = fmt.Errorf("seal: reading piece: after %d bytes: %w", s.done, err)
	}
	return block, true, s.err
}

func (s *streamSource) read(r *reading, _ int64, chunk int) ([]byte, bool, error) {
	return r.buf[chunk*r.chunk:][:r.chunk], false, nil
}

func (s *streamSource) end() error { return endOf(s.r, s.size) }

func endOf(r io.Reader, size porep.UnpaddedSize) error {
	var more [1]byte
	switch _, err := io.ReadFull(r, more[:]); {
	case err == nil:
		return &SourceError{Want: size, Got: size + 1}
	case err != io.EOF:
		return fmt.Errorf("seal: reading piece: after %d bytes: %w", size, err)
	}
	return nil
}

// A fileSource is a piece in a file, which goroutines read beside each other; its holes are
// not read at all.
type fileSource struct {
	f     *os.File
	start int64 // where the file stood
	size  int64
	block int64 // bytes of a block
	holes *durable.Holes

	mu    sync.Mutex
	next  int64 // block
	ahead int64 // up to where it is on its way from the disk
}

// sourceOf is how a piece is read, and how much of it at a time.
func sourceOf(r io.Reader, size, chunk, block porep.UnpaddedSize) (pieceSource, porep.UnpaddedSize) {
	stream := &streamSource{r: r, size: size}
	f, ok := r.(*os.File)
	if !ok {
		return stream, block
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return stream, block
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return stream, block
	}
	return &fileSource{f: f, start: start, size: int64(size), block: int64(block), holes: durable.HolesOf(f)}, chunk
}

func (s *fileSource) claim(*reading) (block int64, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	block = s.next
	done := block * s.block
	if done >= s.size {
		return block, false, nil
	}
	s.next++
	if s.ahead < min(done+readAhead/2, s.size) {
		from := max(s.ahead, done)
		s.ahead = min(done+readAhead, s.size)
		_ = linux.ReadAhead(s.f, s.start+from, s.ahead-from)
	}
	return block, true, nil
}

func (s *fileSource) read(r *reading, block int64, chunk int) (unpadded []byte, zero bool, err error) {
	done := block*s.block + int64(chunk*r.chunk)
	off := s.start + done
	unpadded = r.buf[:r.chunk]
	if s.holes.Has(off, int64(len(unpadded))) {
		// Behind the file's end there is no data either.
		if info, err := s.f.Stat(); err == nil && info.Size() >= off+int64(len(unpadded)) {
			return nil, true, nil
		}
	}
	n, err := io.ReadFull(io.NewSectionReader(s.f, off, int64(len(unpadded))), unpadded)
	done += int64(n)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, false, &SourceError{Want: porep.UnpaddedSize(s.size), Got: porep.UnpaddedSize(done)}
	case err != nil:
		return nil, false, fmt.Errorf("seal: reading piece: after %d bytes: %w", done, err)
	}
	return unpadded, false, nil
}

// end leaves the file behind the piece, as who reads it in order does.
func (s *fileSource) end() error {
	if _, err := s.f.Seek(s.start+s.size, io.SeekStart); err != nil {
		return fmt.Errorf("seal: reading piece: %w", err)
	}
	return endOf(s.f, porep.UnpaddedSize(s.size))
}

func (s *fileSource) Close() error {
	s.holes.Close()
	return nil
}

// fileSink is how a piece goes into a file, which stands where it is to be; waited says that
// its caller waits for the disk. Finish comes when that has ended, well or not.
func fileSink(ctx context.Context, f *os.File, size porep.UnpaddedSize, waited bool) (to pieceSink, finish func() error, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || linux.Appends(f) {
		return newStreamSink(durable.WriterOf(ctx, f)), func() error { return nil }, nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, nil, err
	}
	tail := durable.TailOf(ctx, f, start, start+int64(size.Padded()), info.Size(), waited)
	return newTailSink(tail, start, int64(size.Padded()/min(pieceBlock, size.Padded()))), tail.Finish, nil
}

// A tailSink writes to where a piece goes in a file, one block at a time: the kernel lets no two
// writes into a file, and who waits there keeps a core busy. The order is any, but that the
// last block is the last: a file that a killed job has left is too short, or whole.
type tailSink struct {
	tail  *durable.Tail
	start int64
	last  int64 // block

	mu   sync.Mutex
	turn sync.Cond // busy, done or over has changed
	busy bool
	done int64 // blocks
	over bool
}

func newTailSink(tail *durable.Tail, start, blocks int64) *tailSink {
	s := &tailSink{tail: tail, start: start, last: blocks - 1}
	s.turn.L = &s.mu
	return s
}

func (s *tailSink) begin(block int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over && (s.busy || block == s.last && s.done < s.last) {
		s.turn.Wait()
	}
	s.busy = !s.over
	return s.busy
}

func (s *tailSink) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.done++
	s.turn.Broadcast()
}

func (s *tailSink) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.turn.Broadcast()
}

func (s *tailSink) write(b []byte, off int64) error { return s.tail.WriteAt(b, s.start+off) }

func (s *tailSink) zeros(off, n int64) error {
	if s.tail.Zeros(s.start+off, n) {
		return nil
	}
	return s.tail.WriteAt(zeros[:n], s.start+off)
}

// A streamSink writes one block after the other.
type streamSink struct {
	w io.Writer

	mu   sync.Mutex
	turn sync.Cond // next has changed, or over
	next int64
	over bool
}

func newStreamSink(w io.Writer) *streamSink {
	s := &streamSink{w: w}
	s.turn.L = &s.mu
	return s
}

func (s *streamSink) begin(block int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next != block && !s.over {
		s.turn.Wait()
	}
	return !s.over
}

func (s *streamSink) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.turn.Broadcast()
}

func (s *streamSink) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.turn.Broadcast()
}

func (s *streamSink) write(b []byte, _ int64) error {
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

func (s *streamSink) zeros(off, n int64) error { return s.write(zeros[:n], off) }
