// Package processor is the child's side of damocles-worker's external processors: requests
// come in on lines of JSON, one reply goes out for each, in any order. It knows the
// protocol and the tasks' fields; what a task does is its caller's.
package processor

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/seal"
)

// MaxInFlight is how many requests may be without a reply. More are refused: damocles sends as
// many as its configuration says, or one for each sealing thread.
const MaxInFlight = 1 << 12

// ErrEnded is why work is canceled when standard input has ended, as it does with damocles.
var ErrEnded = errors.New("processor: canceled: standard input has ended")

// Options say how requests are served.
type Options struct {
	// Stage is the task's name: "pc1". It is in the first line.
	Stage string
	// Note, if not nil, is told what no reply can say. It must not block, and may be called by
	// several goroutines at the same time.
	Note func(text string)
	// Patience is how long replies may take to go out when all work has ended: a reader that does
	// not read them keeps the process no longer. Default: ten seconds.
	Patience time.Duration
}

// A Do does a task and returns JSON on one line. Tasks enter in the order in which their requests came:
// the next one's Do is called when this one calls entered, which has an effect once, or returns. So
// who came first has the files that two name.
type Do[T any] func(ctx context.Context, task T, entered func()) ([]byte, error)

// Serve writes the ready line, then reads requests until in ends, ctx is done or out fails, has
// do work on each of them, all at the same time once they have entered, and writes what it returns, or
// its error. A panic in it is an error. In the end work is canceled, and Serve returns
// when all of it has ended and its replies are written. The error is in's or out's; that in has
// ended, or ctx, is none.
//
// When ctx is done, a Read of in may still wait: close in to have it back.
func Serve[T any](ctx context.Context, in io.Reader, out io.Writer, o Options, decode func(task []byte) (T, error), do Do[T]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &server{out: out, note: o.Note, failed: cancel, inFlight: map[uint64]struct{}{}}
	if s.note == nil {
		s.note = func(string) {}
	}
	if err := s.write([]byte(o.Stage + " processor ready\n")); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- s.read(ctx, in, func(r *request) {
			if ctx.Err() != nil || !s.begin(r) {
				return
			}
			turn := s.entrance.join()
			go func() {
				defer s.replies.Done()
				o := perform(ctx, s.note, r, turn, decode, do)
				s.work.Done()
				s.reply(r.id, o)
			}()
		})
	}()
	var readErr error
	select {
	case readErr = <-ended:
		if readErr == nil {
			readErr = ErrEnded
		}
		cancel(readErr)
	case <-ctx.Done():
	}
	s.close()
	s.work.Wait()
	all := make(chan struct{})
	go func() {
		s.replies.Wait()
		close(all)
	}()
	patience := cmp.Or(o.Patience, 10*time.Second)
	select {
	case <-all:
	case <-time.After(patience):
		return fmt.Errorf("processor: ending: nobody has read the last replies for %v", patience)
	}
	if readErr != nil && readErr != ErrEnded {
		return readErr
	}
	return s.wrong()
}

// An outcome is a task's output, or why there is none.
type outcome struct {
	output []byte
	err    error
}

// perform does a task when it is its turn to enter. Whatever goes wrong in it is its own affair.
func perform[T any](ctx context.Context, note func(string), r *request, turn *turn, decode func([]byte) (T, error), do Do[T]) (o outcome) {
	defer turn.pass()
	defer func() {
		if p := recover(); p != nil {
			note(fmt.Sprintf("request %d panicked: %v\n%s", r.id, p, debug.Stack()))
			o = outcome{err: fmt.Errorf("processor: the task panicked, which is a fault of this program: %v", p)}
		}
	}()
	if r.err != nil {
		return outcome{err: r.err}
	}
	task, err := decode(r.task)
	r.task = nil
	if err != nil {
		return outcome{err: failure.Mark(seal.ErrBadInput, fmt.Errorf("processor: reading the task: %w", err))}
	}
	if err := turn.wait(ctx); err != nil {
		return outcome{err: err}
	}
	o.output, o.err = do(ctx, task, turn.pass)
	return o
}

// A server has the requests that have no reply yet, and writes replies.
type server struct {
	note   func(string)
	failed context.CancelCauseFunc

	entrance entrance

	mu       sync.Mutex
	closed   bool // no request begins any more
	inFlight map[uint64]struct{}
	// Work and replies count requests that have begun and not ended, and those without a reply.
	work, replies sync.WaitGroup

	writing sync.Mutex
	out     io.Writer
	err     error // of out
}

// begin makes a request one that has no reply yet, and reports whether it did.
func (s *server) begin(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if _, again := s.inFlight[r.id]; again {
		// Its reply could not be told from the other's.
		s.note(fmt.Sprintf("a request is ignored: another one with its id %d has no reply yet", r.id))
		return false
	}
	if len(s.inFlight) == MaxInFlight && r.err == nil {
		r.err = fmt.Errorf("processor: refused: %d requests have no reply yet, and no more may have", MaxInFlight)
	}
	s.inFlight[r.id] = struct{}{}
	s.work.Add(1)
	s.replies.Add(1)
	return true
}

func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// maxMessage is how long an error in a reply may be, in bytes.
const maxMessage = 16 << 10

func (s *server) reply(id uint64, o outcome) {
	text := replyLine(id, o)
	s.mu.Lock()
	delete(s.inFlight, id) // it may come again as soon as its reply is out
	s.mu.Unlock()
	_ = s.write(text)
}

// replyLine is a reply on one line. The parent waits for ever for one that it cannot read, so what
// is none is an error.
func replyLine(id uint64, o outcome) []byte {
	if o.err == nil && (!json.Valid(o.output) || !utf8.Valid(o.output) || strings.ContainsRune(string(o.output), '\n')) {
		o.err = fmt.Errorf("processor: writing the reply: the output is no JSON on one line: %.200q", o.output)
	}
	if o.err == nil {
		return fmt.Appendf(nil, `{"id":%d,"err_msg":null,"output":%s}`+"\n", id, o.output)
	}
	// The parent has no other word on it: the kind comes first, where it can be looked for.
	text := o.err.Error()
	if kind := seal.KindOf(o.err); kind != seal.Failed {
		text = string(kind) + ": " + text
	}
	message, _ := json.Marshal(clip(text, maxMessage)) // a string always is JSON, and UTF-8
	return fmt.Appendf(nil, `{"id":%d,"err_msg":%s,"output":null}`+"\n", id, message)
}

// write writes a whole line. When it fails, nobody reads replies any more, and work is canceled.
func (s *server) write(line []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.err != nil {
		return s.err
	}
	if _, err := s.out.Write(line); err != nil {
		s.err = fmt.Errorf("processor: writing to standard output: %w", err)
		s.failed(s.err)
	}
	return s.err
}

func (s *server) wrong() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.err
}

// read reads requests until in ends.
func (s *server) read(ctx context.Context, in io.Reader, take func(*request)) error {
	lines := bufio.NewReaderSize(in, 1<<16)
	for ctx.Err() == nil {
		line, err := readLine(lines)
		if len(bytes.TrimSpace(line)) > 0 {
			if r, known := parseRequest(line); known {
				take(r)
			} else {
				s.note("a line has no reply, since it has no id that can be read: " + clip(r.err.Error(), maxMessage))
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("processor: reading standard input: %w", err)
		}
	}
	return nil
}

// clip cuts a text that people are to read.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
