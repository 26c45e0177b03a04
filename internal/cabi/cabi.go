// Package cabi is what the C library does, without C: requests in JSON, strictly read, become
// calls of packages sealer and seal, and what became of them is JSON again.
package cabi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// A Code is what became of a call: SDR_OK and so on in sdr.h.
type Code int

// The codes.
const (
	OK         Code = iota
	Failed          // the work failed, or that of some sectors did
	BadRequest      // the request is not what it should be: nothing was touched
	Canceled        // the caller asked for it
	Busy            // others have the cores, the memory or the sector
	Fault           // a fault in this library
)

// A Function is one of the library's.
type Function int

// The functions that work.
const (
	PreCommit1 Function = iota
	Generate
	AddPiece
	CommP
	Open // a machine: the request is its options, the answer its handle
	Close
)

// An Answer is what a call ends with.
type Answer struct {
	Code   Code
	Result []byte // JSON, or nil; after a failure it has the error's kind
	Error  string // of a Code that is not OK; UTF-8 without a zero byte
	Handle uint64 // of Open
}

var errCanceled = errors.New("sdr: the caller has canceled it")

// A Library is the machines that were opened. The zero value has none; machine 0 is opened,
// with no options, when it is first needed.
type Library struct {
	mu       sync.Mutex
	machines map[uint64]*machine
	last     uint64
}

// A Call is a function at work.
type Call struct {
	library  *Library
	function Function
	machine  uint64
	request  []byte
	cancel   context.CancelCauseFunc

	where  atomic.Pointer[where]
	name   string // of its job
	joined bool

	mu    sync.Mutex
	notes []string
}

// Start begins a call. Done is told what became of it, once, by another goroutine, perhaps
// before Start returns. No panic of the call's goroutine gets out.
func (l *Library) Start(f Function, machine uint64, request []byte, done func(Answer)) *Call {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &Call{library: l, function: f, machine: machine, request: request, cancel: cancel}
	c.where.Store(&where{})
	go func() {
		defer cancel(nil)
		done(c.answer(ctx))
	}()
	return c
}

// Cancel has the call end soon, which Done tells.
func (c *Call) Cancel() { c.cancel(errCanceled) }

// answer does the call's work.
func (c *Call) answer(ctx context.Context) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			a = Answer{Code: Fault, Error: clean(fmt.Sprintf("sdr: a fault in the library: %v\n%s", p, debug.Stack()))}
		}
	}()
	result, err := c.do(ctx)
	err = failure.Returned(ctx, err)
	switch result := result.(type) {
	case nil:
	case uint64:
		a.Handle = result
	default:
		a.Result = encode(result)
	}
	if err != nil {
		a.Code, a.Error = codeOf(err), clean(err.Error())
	}
	if err != nil && a.Result == nil && c.function != Open && c.function != Close { // which have none
		a.Result = encode(struct {
			Kind seal.Kind `json:"kind"`
		}{seal.KindOf(err)})
	}
	return a
}

// do does what the function does. The result is nil, JSON, or a handle.
func (c *Call) do(ctx context.Context) (result any, err error) {
	switch c.function {
	case PreCommit1, Generate:
		return c.seal(ctx)
	case AddPiece:
		return c.addPiece(ctx)
	case CommP:
		return c.commP(ctx)
	case Open:
		return c.library.open(ctx, c.request)
	case Close:
		return nil, c.library.close(c.machine)
	}
	return nil, fmt.Errorf("sdr: function %d is none", c.function)
}

func (l *Library) open(ctx context.Context, options []byte) (any, error) {
	m, err := openMachine(ctx, options)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.add(l.last, m)
	return l.last, nil
}

func (l *Library) add(handle uint64, m *machine) {
	if l.machines == nil {
		l.machines = map[uint64]*machine{}
	}
	l.machines[handle] = m
}

func (l *Library) close(handle uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.machines[handle]
	if m == nil || handle == 0 {
		return &RequestError{[]string{fmt.Sprintf("machine %d is none that was opened, or was closed before", handle)}}
	}
	delete(l.machines, handle)
	return m.Close()
}

// find is the machine with that handle.
func (l *Library) find(ctx context.Context, handle uint64) (*machine, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.machines[handle]; m != nil {
		return m, nil
	}
	if handle != 0 {
		return nil, &RequestError{[]string{fmt.Sprintf("machine %d is none that was opened, or was closed before", handle)}}
	}
	m, err := openMachine(ctx, []byte("{}"))
	if err == nil {
		l.add(0, m)
	}
	return m, err
}

// codeOf is the code of an error.
func codeOf(err error) Code {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, errCanceled), errors.Is(err, context.Canceled): // nobody else cancels
		return Canceled
	case errors.As(err, new(*RequestError)), errors.As(err, new(*sealer.OptionError)):
		return BadRequest
	case errors.Is(err, seal.ErrBusy), errors.As(err, new(*sealer.BusyError)):
		return Busy
	}
	return Failed
}

// clean is a text as C can have it: on one line.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == 0 }), "; ")
}

// encode is v's JSON. It cannot fail: all that comes here is strings and numbers.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// note keeps what is not as it might be, each text once.
func (c *Call) note(text string) {
	const most = 100
	c.mu.Lock()
	defer c.mu.Unlock()
	if text = clean(text); len(c.notes) < most && !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

// noted are the notes so far; none are an empty list.
func (c *Call) noted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.notes...)
}

// where is what a call's progress is read from; all nil: it waits for its turn.
type where struct {
	sectors int
	layers  int
	job     *seal.Progress
	piece   *seal.PieceProgress
}

// Progress is where a call stands, as JSON.
func (c *Call) Progress() []byte {
	p := struct {
		Stage   string   `json:"stage"` // waiting, checks, tree-d, labels, done; piece
		Done    uint64   `json:"done"`
		Total   uint64   `json:"total"`
		Unit    string   `json:"unit"` // bytes or labels
		Layer   int      `json:"layer"`
		Layers  int      `json:"layers"`
		Sectors int      `json:"sectors"`
		Notes   []string `json:"notes"`
	}{Stage: "waiting", Unit: "bytes", Notes: c.noted()}
	w := c.where.Load()
	p.Layers, p.Sectors = w.layers, w.sectors
	switch {
	case w.piece != nil:
		p.Stage = "piece"
		p.Done, p.Total = w.piece.Units()
	case w.job != nil:
		stage := w.job.Stage()
		p.Stage = stage.String()
		p.Done, p.Total = w.job.Units()
		if stage == seal.StageLabels {
			p.Unit, p.Layer = "labels", w.job.Layer()
			p.Done, p.Total = w.job.Labelling().Labels()
		}
	}
	return encode(p)
}
