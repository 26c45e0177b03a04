package durable

import (
	"context"
	"errors"

	"github.com/sdr-engine/sdr/internal/failure"
)

// A Kind is a kind of operation on files.
type Kind string

// The kinds. Everything that a job does to its files is one of them.
const (
	OpOpen    Kind = "open"    // a file, to read it or to change it
	OpCreate  Kind = "create"  // a temporary or scratch file
	OpReserve Kind = "reserve" // disk space
	OpRead    Kind = "read"
	OpWrite   Kind = "write"
	OpCopy    Kind = "copy" // inside the kernel: a reflink, or copy_file_range
	OpResize  Kind = "truncate"
	OpSync    Kind = "sync"
	OpPublish Kind = "publish" // a file gets its name
	OpMove    Kind = "move"    // a file that had a name gets another
	OpRemove  Kind = "remove"
	OpSyncDir Kind = "sync directory"
)

// An Op is one operation.
type Op struct {
	Kind Kind
	Path string
	Off  int64  // of OpRead and OpWrite
	Buf  []byte // what is to be written, or was read; nil for other kinds
}

// An Injector stands between a job and its files, for tests: it makes operations
// fail, be short, or do something else than they were told to.
type Injector interface {
	// Before is called before each operation. Its error is the operation's, which then
	// is not done; ErrSkip is none, and it is not done either. What is written instead of
	// op.Buf is what op.Buf is afterwards; it may be shorter, and nobody is told.
	Before(op *Op) error
	// After is called after each operation that went well. It may change what was read, or
	// make the operation fail.
	After(op *Op) error
}

// ErrSkip from an Injector says that an operation is to be reported as done.
var ErrSkip = errors.New("skipped")

type injectorKey struct{}

// WithInjector is a context in which files are used by way of an injector.
func WithInjector(ctx context.Context, i Injector) context.Context {
	return context.WithValue(ctx, injectorKey{}, i)
}

// faults is an Injector or none: nothing then stands in between. And it is the job's patience.
type faults struct {
	Injector
	patience Patience
	ctx      context.Context
}

func faultsOf(ctx context.Context) faults {
	i, _ := ctx.Value(injectorKey{}).(Injector)
	p, _ := ctx.Value(patienceKey{}).(Patience)
	return faults{i, p, ctx}
}

// do does an operation that has no data.
func (f faults) do(kind Kind, path string, do func() error) error {
	return f.around(&Op{Kind: kind, Path: path}, do)
}

func (f faults) around(op *Op, do func() error) error {
	if f.Injector == nil {
		return failure.OfSystem(do())
	}
	if err := f.Before(op); err == ErrSkip {
		return nil
	} else if err != nil {
		return failure.OfSystem(err)
	}
	if err := do(); err != nil {
		return failure.OfSystem(err)
	}
	return failure.OfSystem(f.After(op))
}

// write writes b, or what is to be written in its place.
func (f faults) write(path string, b []byte, off int64, write func(b []byte) error) error {
	if f.Injector == nil {
		return failure.OfSystem(write(b))
	}
	op := &Op{OpWrite, path, off, b}
	return f.around(op, func() error { return write(op.Buf) })
}

// read fills b.
func (f faults) read(path string, b []byte, off int64, read func() error) error {
	if f.Injector == nil {
		return failure.OfSystem(read())
	}
	return f.around(&Op{OpRead, path, off, b}, read)
}
