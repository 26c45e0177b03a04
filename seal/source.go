package seal

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// readAhead is how much of a file is on its way from the disk before it is asked for.
const readAhead = 16 << 20

// A pieceSource yields a piece's payload block by block.
type pieceSource interface {
	// claim returns the number of the next block; ok false is the source's end. What comes in
	// order is read now.
	claim(r *reading) (block int64, ok bool, err error)
	// read hands a block that was claimed to pad, zeros behind the payload; or says that it is
	// zeros, and hands over nothing. If pad is called twice, its second time counts.
	read(r *reading, block int64, pad func(unpadded []byte) error) (zero bool, err error)
	// end makes sure that the source ends behind the payload.
	end() error
	// length is the payload's: as far as it is known, and all of it after end.
	length() porep.UnpaddedSize
}

// A reading is the memory that a goroutine reads a block into.
type reading struct {
	buf []byte
	n   int // bytes in buf, of what comes in order; zeros follow
}

// sourceOf is how a piece is read.
func sourceOf(r io.Reader, p *pass, o passing) pieceSource {
	stream := &streamSource{r: r, size: p.size, passing: o}
	f, ok := r.(*os.File)
	if !ok || p.size == 0 {
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
	file := &fileSource{f: f, start: start, size: int64(p.size), block: int64(p.block.Unpadded()), holes: durable.HolesOf(f), mayBeEmpty: o.empty}
	if o.fill {
		file.size = min(file.size, max(0, info.Size()-start))
	}
	file.mapping = mappingOf(f, start, file.size, file.block)
	return file
}

// pathOf is what a piece's source is called, if it is a file.
func pathOf(r io.Reader) string {
	if f, ok := r.(interface{ Name() string }); ok {
		return f.Name()
	}
	return ""
}

// failedSource is the error of a source that fails, unless its own knows better.
func failedSource(r io.Reader, want, got porep.UnpaddedSize, err error) error {
	if errors.As(err, new(*SourceError)) {
		return err
	}
	return &SourceError{Path: pathOf(r), Want: want, Got: got, Err: err}
}

// A streamSource is a piece that is read by one goroutine after the other.
type streamSource struct {
	r    io.Reader
	size porep.UnpaddedSize // of the piece; 0: any
	passing

	mu     sync.Mutex
	done   porep.UnpaddedSize
	blocks int64
	err    error // reading is over
}

func (s *streamSource) claim(r *reading) (block int64, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	block = s.blocks
	if s.size != 0 && s.done == s.size || s.err != nil {
		return block, false, nil
	}
	r.n, err = io.ReadFull(s.r, r.buf)
	s.done += porep.UnpaddedSize(r.n)
	s.blocks++
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if s.fill || s.size == 0 {
			s.err = io.EOF
			return block, r.n > 0, nil
		}
		s.err = &SourceError{Path: pathOf(s.r), Want: s.size, Got: s.done}
	case err != nil:
		s.err = failedSource(s.r, s.size, s.done, err)
	}
	return block, true, s.err
}

func (s *streamSource) read(r *reading, _ int64, pad func([]byte) error) (bool, error) {
	clear(r.buf[r.n:])
	return false, pad(r.buf)
}

func (s *streamSource) end() error {
	switch {
	case s.done == 0 && s.size != 0 && !s.empty:
		return &SourceError{Path: pathOf(s.r)}
	case s.err == io.EOF:
		return nil
	}
	return endOf(s.r, s.size)
}

func (s *streamSource) length() porep.UnpaddedSize {
	if !s.fill && s.size != 0 {
		return s.size
	}
	return s.done
}

func endOf(r io.Reader, size porep.UnpaddedSize) error {
	var more [1]byte
	switch _, err := io.ReadFull(r, more[:]); {
	case err == nil:
		return &SourceError{Path: pathOf(r), Want: size, Got: size + 1}
	case err != io.EOF:
		return failedSource(r, size, size, err)
	}
	return nil
}

// A fileSource is a piece in a file, which goroutines read beside each other; its holes are
// not read at all.
type fileSource struct {
	f       *os.File
	start   int64 // where the file stood
	size    int64 // of the payload
	block   int64 // bytes of a block
	holes   *durable.Holes
	mapping *mapping

	mayBeEmpty bool

	mu    sync.Mutex
	next  int64 // block
	ahead int64 // up to where it is on its way from the disk
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
	s.toAhead(done, func(off, n int64) { _ = linux.ReadAhead(s.f, off, n) })
	return block, true, nil
}

// toAhead says which parts of the file are to be on their way from the disk when the payload is read
// up to done. Holes are none: the kernel would fill memory with zeros.
func (s *fileSource) toAhead(done int64, read func(off, n int64)) {
	if s.ahead >= min(done+readAhead/2, s.size) {
		return
	}
	off := s.start + max(s.ahead, done)
	s.ahead = min(done+readAhead, s.size)
	for end := s.start + s.ahead; off < end; {
		data := s.holes.DataFrom(off)
		if data >= end {
			return
		}
		off = s.holes.DataEnd(data, end)
		read(data, off-data)
	}
}

func (s *fileSource) read(r *reading, block int64, pad func([]byte) error) (zero bool, err error) {
	defer s.mapping.done(block)
	done := block * s.block
	want := min(s.block, s.size-done)
	off := s.start + done
	if s.holes.Has(off, want) {
		// Behind the file's end there is no data either.
		if info, err := s.f.Stat(); err == nil && info.Size() >= off+want {
			return true, nil
		}
	}
	if want == s.block {
		if ok, err := s.mapping.use(block, pad); ok {
			return false, err
		}
	}
	n, err := io.ReadFull(io.NewSectionReader(s.f, off, want), r.buf[:want])
	done += int64(n)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return false, &SourceError{Path: s.f.Name(), Want: porep.UnpaddedSize(s.size), Got: porep.UnpaddedSize(done)}
	case err != nil:
		return false, &SourceError{Path: s.f.Name(), Want: porep.UnpaddedSize(s.size), Got: porep.UnpaddedSize(done), Err: err}
	}
	clear(r.buf[want:])
	return false, pad(r.buf)
}

// end leaves the file behind the payload, as who reads it in order does.
func (s *fileSource) end() error {
	if s.size == 0 && !s.mayBeEmpty {
		return &SourceError{Path: s.f.Name()}
	}
	if _, err := s.f.Seek(s.start+s.size, io.SeekStart); err != nil {
		return &SourceError{Path: s.f.Name(), Want: porep.UnpaddedSize(s.size), Got: porep.UnpaddedSize(s.size), Err: err}
	}
	return endOf(s.f, porep.UnpaddedSize(s.size))
}

func (s *fileSource) length() porep.UnpaddedSize { return porep.UnpaddedSize(s.size) }

func (s *fileSource) Close() error {
	s.mapping.close()
	s.holes.Close()
	return nil
}
