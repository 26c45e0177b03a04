package seal

import (
	"context"
	"io"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A pieceSink takes padded bytes. It says itself whose turn it is.
type pieceSink interface {
	// blocks comes first: so many there are at most.
	blocks(n int64)
	// begin waits until a block may be written, and end lets the next one. It reports false,
	// and then end is not called, when stop ends all waiting; or, without wait, at once where
	// it would wait.
	begin(block int64, wait bool) bool
	end()
	stop()
	write(b []byte, off int64) error
	// zeros is write of n zero bytes.
	zeros(off, n int64) error
	path() string // of its file, if it is one
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
	return newTailSink(tail, start), tail.Finish, nil
}

// A tailSink writes to where a piece goes in a file, one block at a time: the kernel lets no two
// writes into a file, and waiting there keeps a core busy. The order is any, but that the
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

func newTailSink(tail *durable.Tail, start int64) *tailSink {
	s := &tailSink{tail: tail, start: start}
	s.turn.L = &s.mu
	return s
}

func (s *tailSink) blocks(n int64) { s.last = n - 1 }

func (s *tailSink) begin(block int64, wait bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over && (s.busy || block == s.last && s.done < s.last) {
		if !wait {
			return false
		}
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
	return inParts(n, func(b []byte, at int64) error { return s.tail.WriteAt(b, s.start+off+at) })
}

func (s *tailSink) path() string { return s.tail.Name() }

// inParts writes n zeros.
func inParts(n int64, write func(b []byte, at int64) error) error {
	for at := int64(0); at < n; at += int64(len(zeros)) {
		if err := write(zeros[:min(n-at, int64(len(zeros)))], at); err != nil {
			return err
		}
	}
	return nil
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

func (s *streamSink) blocks(int64) {}

func (s *streamSink) begin(block int64, wait bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next != block && !s.over {
		if !wait {
			return false
		}
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

func (s *streamSink) zeros(off, n int64) error {
	return inParts(n, func(b []byte, at int64) error { return s.write(b, off+at) })
}

func (s *streamSink) path() string {
	if f, ok := s.w.(interface{ Name() string }); ok {
		return f.Name()
	}
	return ""
}
