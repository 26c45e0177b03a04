// Package failure is the kinds of errors that tell a host whether to try again, free something
// first, or give up.
package failure

import (
	"context"
	"errors"
	"syscall"
)

// The kinds, as errors.Is finds them.
var (
	ErrBadInput        = error(badInput{})
	ErrNoSpace         = errors.New("no space")
	ErrNoMemory        = errors.New("no memory")
	ErrHardwareSuspect = errors.New("hardware suspect")
	ErrCorrupt         = errors.New("corrupt")
	ErrCancelled       = errors.New("cancelled")
)

// badInput is a type that package porep, which imports nothing, knows by its method.
type badInput struct{}

func (badInput) Error() string { return "bad input" }

// BadInput does nothing.
func (badInput) BadInput() {}

// A marked error is of a kind, and says what it said before.
type marked struct {
	error
	kind error
}

func (m *marked) Unwrap() error        { return m.error }
func (m *marked) Is(target error) bool { return target == m.kind }

// Mark makes err one of a kind; nil stays nil.
func Mark(kind, err error) error {
	if err == nil || errors.Is(err, kind) {
		return err
	}
	return &marked{err, kind}
}

// kindOf is the kind of what a system call said.
var kindOf = map[syscall.Errno]error{
	syscall.ENOSPC: ErrNoSpace,
	syscall.EDQUOT: ErrNoSpace,
	syscall.EFBIG:  ErrNoSpace, // a limit of the process, or of the file system
	syscall.ENOMEM: ErrNoMemory,
	syscall.EIO:    ErrHardwareSuspect,
	// What Linux says of a sector that cannot be read, past the page cache, and of one whose
	// protection data is wrong.
	syscall.ENODATA: ErrHardwareSuspect,
	syscall.EILSEQ:  ErrHardwareSuspect,
}

// OfSystem marks an error that has in it what a system call said.
func OfSystem(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		for _, kinds := range []map[syscall.Errno]error{kindOf, kindHere} {
			if kind := kinds[errno]; kind != nil {
				return Mark(kind, err)
			}
		}
	}
	return err
}

// IsInput reports whether an error with a cause is of the kind ErrBadInput: not if the cause is
// of another kind.
func IsInput(cause error) bool {
	cause = OfSystem(cause)
	for _, kind := range []error{ErrNoSpace, ErrNoMemory, ErrHardwareSuspect, ErrCorrupt, ErrCancelled} {
		if errors.Is(cause, kind) {
			return false
		}
	}
	return true
}

// An inner cause is why a context inside a job was canceled: not because its caller wished so.
type inner struct{ error }

func (i inner) Unwrap() error { return i.error }

// Inner makes err a cause with which a job cancels a context of its own.
func Inner(err error) error { return inner{err} }

// Returned is what a function that was called with ctx is to return for err: marked if the
// system said it, or if the function ended because its caller canceled ctx.
func Returned(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.As(cause, new(inner)) && errors.Is(err, cause) {
		return Mark(ErrCancelled, err)
	}
	return OfSystem(err)
}
