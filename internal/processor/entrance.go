package processor

import (
	"context"
	"slices"
	"sync"
)

// An entrance lets one request in at a time, in the order in which they came.
type entrance struct {
	mu   sync.Mutex
	line []*turn // the first may enter
}

// A turn is a request's in the line.
type turn struct {
	of     *entrance
	comes  chan struct{} // closed when it is the first
	passed bool
}

// join goes to the line's end.
func (e *entrance) join() *turn {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := &turn{of: e, comes: make(chan struct{})}
	if e.line = append(e.line, t); len(e.line) == 1 {
		close(t.comes)
	}
	return t
}

// wait waits until all before have passed.
func (t *turn) wait(ctx context.Context) error {
	select {
	case <-t.comes:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-t.comes: // what it is, the task finds out
		return nil
	default:
		return context.Cause(ctx)
	}
}

// pass lets the next one in; if it is not this one's turn yet, when it is. A second call does nothing.
func (t *turn) pass() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.passed = true
	if len(t.of.line) == 0 || t.of.line[0] != t {
		return
	}
	for len(t.of.line) > 0 && t.of.line[0].passed {
		t.of.line = slices.Delete(t.of.line, 0, 1)
	}
	if len(t.of.line) > 0 {
		close(t.of.line[0].comes)
	}
}
