package durable

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Patience is what a job does when there is no room for what it writes, or a disk does not take
// it: it waits, and tries again. What it writes is in memory still, or is read again. Only fsync
// is never done again: what it was to write is no longer known to be unwritten.
type Patience struct {
	// Most is how long one operation waits. It must be more than nothing.
	Most time.Duration
	// Paused is told the operation's error when waiting begins, and after each attempt that
	// failed, and nil when it has ended. Many operations may wait at the same time.
	Paused func(id any, err error)
}

type patienceKey struct{}

// WithPatience is a context for a job that waits, unless it does so already. The wait ends when the
// context with which a file was opened is done.
func WithPatience(ctx context.Context, p Patience) context.Context {
	if p.Most <= 0 || ctx.Value(patienceKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, patienceKey{}, p)
}

// Between attempts.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 5 * time.Second
)

// mayPass reports whether what a write failed of may pass: others free space, raise a quota, mend
// a path to a disk.
func mayPass(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EIO)
}

// impatient is for files that a job can go without.
func (f faults) impatient() faults {
	f.patience = Patience{}
	return f
}

// patiently does an operation, which can be done again, until it does not fail of what may pass.
func (f faults) patiently(do func() error) error {
	err := do()
	if f.patience.Most <= 0 || !mayPass(err) {
		return err
	}
	id := new(byte)
	if f.patience.Paused != nil {
		defer f.patience.Paused(id, nil)
	}
	end := time.Now().Add(f.patience.Most)
	for pause, attempts := firstPause, 0; mayPass(err); pause, attempts = min(2*pause, mostPause), attempts+1 {
		if f.patience.Paused != nil {
			f.patience.Paused(id, err)
		}
		left := time.Until(end)
		if left <= 0 && attempts > 0 {
			return fmt.Errorf("%w, and it did not pass in %v", err, f.patience.Most)
		}
		select {
		case <-time.After(min(pause, left)):
		case <-f.ctx.Done():
			return err
		}
		err = do()
	}
	return err
}
