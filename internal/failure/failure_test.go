package failure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
)

func TestOfSystem(t *testing.T) {
	for errno, kind := range map[syscall.Errno]error{
		syscall.ENOSPC: ErrNoSpace, syscall.EDQUOT: ErrNoSpace, syscall.EFBIG: ErrNoSpace,
		syscall.ENOMEM: ErrNoMemory, syscall.EIO: ErrHardwareSuspect, syscall.ENOENT: nil,
	} {
		err := fmt.Errorf("writing a: %w", errno)
		got := OfSystem(err)
		if got.Error() != err.Error() || !errors.Is(got, errno) {
			t.Errorf("%v became %v", err, got)
		}
		for _, k := range []error{ErrBadInput, ErrNoSpace, ErrNoMemory, ErrHardwareSuspect, ErrCorrupt, ErrCancelled} {
			if errors.Is(got, k) != (k == kind) {
				t.Errorf("%v: is it %v? %v", err, k, errors.Is(got, k))
			}
		}
		if IsInput(got) != (kind == nil) {
			t.Errorf("%v: is it an input's? %v", err, IsInput(got))
		}
		if again := OfSystem(got); again != got {
			t.Errorf("%v was marked twice", err)
		}
	}
	if OfSystem(nil) != nil || OfSystem(io.EOF) != io.EOF {
		t.Error("what no system call says became another error")
	}
}

// Only a caller's cancelling is one, whatever its reason; not a job's own end of its context, nor an
// error that comes at the same time.
func TestReturned(t *testing.T) {
	reason := errors.New("the operator has said so")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := Returned(ctx, reason); err != reason {
		t.Errorf("before: %v", err)
	}
	cancel(reason)
	below, end := context.WithCancelCause(ctx)
	end(errors.New("too late"))
	for _, ctx := range []context.Context{ctx, below} {
		if err := Returned(ctx, fmt.Errorf("labelling: %w", context.Cause(ctx))); !errors.Is(err, ErrCancelled) || !errors.Is(err, reason) {
			t.Errorf("canceled: %v", err)
		}
		if err := Returned(ctx, fmt.Errorf("labelling: %w", syscall.ENOSPC)); errors.Is(err, ErrCancelled) || !errors.Is(err, ErrNoSpace) {
			t.Errorf("a full disk at the same time: %v", err)
		}
	}
	ours, end := context.WithCancelCause(t.Context())
	end(Inner(syscall.ENOSPC))
	if err := Returned(ours, fmt.Errorf("labelling: %w", context.Cause(ours))); errors.Is(err, ErrCancelled) || !errors.Is(err, ErrNoSpace) {
		t.Errorf("a job's own end: %v", err)
	}
	if Returned(ctx, nil) != nil {
		t.Error("nil became an error")
	}
}
