package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

const (
	// pieceChunk is how much of a piece, padded, a goroutine reads, pads, hashes and writes
	// at a time; a piece is one chunk, smaller, or a power of two of them. What it was read
	// into, the padded bytes and the nodes above them stay in a core's second cache.
	pieceChunk porep.PaddedSize = 256 << 10
	// passMemory bounds what all goroutines take together.
	passMemory = 96 << 20
	// readAhead is how much of a file is on its way from the disk before it is asked for.
	readAhead = 16 << 20
)

// A pass takes a piece from its source to where it goes in one go. Each goroutine reads a
// chunk, pads it, hashes it and writes it while it is in the caches of its core.
type pass struct {
	size  porep.UnpaddedSize
	part  porep.PaddedSize
	from  pieceSource
	to    pieceSink
	roots []byte // of all chunks

	mu     sync.Mutex
	failed int64 // the chunk that err is of
	err    error // the first in the piece's order; it ends the pass
	stop   chan struct{}
}

// A pieceSource yields a piece chunk by chunk.
type pieceSource interface {
	// next fills b with the next chunk, and returns its number; ok false is the source's end.
	// Where all of it is known to be zeros it may say so, and leave b. Its error is of that chunk.
	next(b []byte) (chunk int64, zero, ok bool, err error)
	// end makes sure that the source ends behind the piece.
	end() error
}

// A pieceSink takes padded chunks, in any order; those of zeros without their bytes.
type pieceSink interface {
	put(chunk int64, padded []byte) error
	putZeros(chunk int64) error
	stop() // ends waits
}

// readPiece pads, commits to and writes a piece.
func readPiece(ctx context.Context, source io.Reader, size porep.UnpaddedSize, to pieceSink) (porep.Commitment, error) {
	p := &pass{size: size, part: min(pieceChunk, size.Padded()), to: to, stop: make(chan struct{})}
	chunks := int(size.Padded() / p.part)
	p.roots = make([]byte, chunks*porep.NodeSize)
	p.from = sourceOf(source, size, p.part.Unpadded())
	if c, ok := p.from.(io.Closer); ok {
		defer c.Close()
	}
	// As many again as there are CPUs, since some wait for a disk.
	most := max(1, passMemory/(3*int(p.part)))
	var wg sync.WaitGroup
	for range min(2*runtime.GOMAXPROCS(0), chunks, most) {
		wg.Go(func() { p.work(ctx) })
	}
	wg.Wait()
	if p.err == nil {
		p.err = p.from.end()
	}
	if p.err != nil {
		return porep.Commitment{}, p.err
	}
	if chunks == 1 {
		return porep.Commitment(p.roots), nil
	}
	var h merkle.Hasher
	return h.Root(p.roots)
}

// fail ends the pass, with what went wrong first in the piece.
func (p *pass) fail(chunk int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, errStopped) {
		return
	}
	if p.err == nil {
		close(p.stop)
		p.to.stop()
	} else if p.failed <= chunk {
		return
	}
	p.failed, p.err = chunk, err
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
	var h merkle.Hasher
	unpadded, padded := make([]byte, p.part.Unpadded()), make([]byte, p.part)
	for !p.stopped() {
		if ctx.Err() != nil {
			p.fail(-1, context.Cause(ctx))
			return
		}
		chunk, zero, ok, err := p.from.next(unpadded)
		if err == nil && ok {
			err = p.chunk(&h, chunk, zero, unpadded, padded)
		}
		if err != nil {
			p.fail(chunk, err)
		}
		if err != nil || !ok {
			return
		}
	}
}

func (p *pass) chunk(h *merkle.Hasher, chunk int64, zero bool, unpadded, padded []byte) error {
	root := p.roots[chunk*porep.NodeSize:][:porep.NodeSize]
	var err error
	if zero || allZero(unpadded) {
		var z porep.Commitment
		if z, err = merkle.ZeroCommitment(p.part); err == nil {
			copy(root, z[:])
			err = p.to.putZeros(chunk)
		}
	} else if err = fr32.Pad(padded, unpadded); err == nil {
		var r porep.Commitment
		if r, err = h.Root(padded); err == nil {
			copy(root, r[:])
			err = p.to.put(chunk, padded)
		}
	}
	if err != nil {
		return fmt.Errorf("seal: writing piece: %w", err)
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

	mu    sync.Mutex
	read  porep.UnpaddedSize
	chunk int64
	err   error // reading is over
}

func (s *streamSource) next(b []byte) (chunk int64, zero, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	chunk = s.chunk
	if s.read == s.size || s.err != nil {
		return chunk, false, false, nil
	}
	n, err := io.ReadFull(s.r, b)
	s.read += porep.UnpaddedSize(n)
	s.chunk++
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		s.err = &SourceError{Want: s.size, Got: s.read}
	case err != nil:
		s.err = fmt.Errorf("seal: reading piece: after %d bytes: %w", s.read, err)
	}
	return chunk, false, true, s.err
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
	size  porep.UnpaddedSize
	part  int64
	holes *durable.Holes

	mu    sync.Mutex
	chunk int64
	ahead int64 // of what is on its way from the disk
}

// sourceOf is how a piece is read.
func sourceOf(r io.Reader, size, part porep.UnpaddedSize) pieceSource {
	stream := &streamSource{r: r, size: size}
	f, ok := r.(*os.File)
	if !ok {
		return stream
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return stream
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return stream
	}
	return &fileSource{f: f, start: start, size: size, part: int64(part), holes: durable.HolesOf(f)}
}

func (s *fileSource) next(b []byte) (chunk int64, zero, ok bool, err error) {
	s.mu.Lock()
	chunk = s.chunk
	if chunk*s.part >= int64(s.size) {
		s.mu.Unlock()
		return chunk, false, false, nil
	}
	s.chunk++
	off := s.start + chunk*s.part
	if end := s.start + int64(s.size); s.ahead < off+readAhead/2 && s.ahead < end {
		from := max(s.ahead, off)
		s.ahead = min(off+readAhead, end)
		_ = linux.ReadAhead(s.f, from, s.ahead-from)
	}
	s.mu.Unlock()
	if s.holes.Has(off, s.part) {
		// Behind the file's end there is no data either.
		if info, err := s.f.Stat(); err == nil && info.Size() >= off+s.part {
			return chunk, true, true, nil
		}
	}
	n, err := io.ReadFull(io.NewSectionReader(s.f, off, s.part), b)
	read := porep.UnpaddedSize(chunk*s.part + int64(n))
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return chunk, false, true, &SourceError{Want: s.size, Got: read}
	case err != nil:
		return chunk, false, true, fmt.Errorf("seal: reading piece: after %d bytes: %w", read, err)
	}
	return chunk, false, true, nil
}

// end leaves the file behind the piece, as who reads it in order does.
func (s *fileSource) end() error {
	if _, err := s.f.Seek(s.start+int64(s.size), io.SeekStart); err != nil {
		return fmt.Errorf("seal: reading piece: %w", err)
	}
	return endOf(s.f, s.size)
}

func (s *fileSource) Close() error {
	s.holes.Close()
	return nil
}

// A nowhere takes chunks of a piece of which only the commitment is wanted.
type nowhere struct{}

func (nowhere) put(int64, []byte) error { return nil }
func (nowhere) putZeros(int64) error    { return nil }
func (nowhere) stop()                   {}

// fileSink is how a piece goes into a file, which stands where it is to be. Finish comes
// when that has ended, well or not.
func fileSink(ctx context.Context, f *os.File, size porep.UnpaddedSize) (to pieceSink, finish func() error, err error) {
	part := min(pieceChunk, size.Padded())
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || linux.Appends(f) {
		return newStreamSink(durable.WriterOf(ctx, f), part), func() error { return nil }, nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, nil, err
	}
	tail := durable.TailOf(ctx, f, start, start+int64(size.Padded()), info.Size())
	return &tailSink{tail, start, int64(part)}, tail.Finish, nil
}

// A tailSink writes chunks to where they go in a file, side by side.
type tailSink struct {
	*durable.Tail
	start int64
	part  int64
}

func (s *tailSink) put(chunk int64, padded []byte) error {
	return s.WriteAt(padded, s.start+chunk*s.part)
}

func (s *tailSink) putZeros(chunk int64) error {
	off := s.start + chunk*s.part
	if s.Zeros(off, s.part) {
		return nil
	}
	return s.WriteAt(zeros[:s.part], off)
}

func (s *tailSink) stop() {}

// A streamSink writes chunks one after the other.
type streamSink struct {
	w    io.Writer
	part int64

	mu   sync.Mutex
	turn sync.Cond // of the next chunk has come, or stopped
	next int64
	over bool
}

func newStreamSink(w io.Writer, part porep.PaddedSize) *streamSink {
	s := &streamSink{w: w, part: int64(part)}
	s.turn.L = &s.mu
	return s
}

var errStopped = errors.New("another part of the piece failed")

func (s *streamSink) put(chunk int64, padded []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next != chunk && !s.over {
		s.turn.Wait()
	}
	if s.over {
		return errStopped
	}
	n, err := s.w.Write(padded)
	if err == nil && n < len(padded) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return err
	}
	s.next++
	s.turn.Broadcast()
	return nil
}

func (s *streamSink) putZeros(chunk int64) error { return s.put(chunk, zeros[:s.part]) }

func (s *streamSink) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.turn.Broadcast()
}
