package sealer

import (
	"context"
	"os"
	"slices"
	"sync"

	"github.com/sdr-engine/sdr/reserve"
)

// A line is the calls of a machine that have no cores yet, in the order in which they came.
// The first of them alone tries to get some.
type line struct {
	mu      sync.Mutex
	spots   []*spot
	changed chan struct{} // closed, and made anew, when anything below has changed
	end     chan struct{} // closed when the machine is
}

// A spot is a call that waits in the line.
type spot struct {
	line   *line
	name   string
	turned bool // it has its turn in the lock directory, or wants none
	waits  bool // it has tried, in vain
}

func (l *line) join(name string) *spot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &spot{line: l, name: name}
	l.spots = append(l.spots, s)
	return s
}

// change changes something that others wait for.
func (l *line) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (s *spot) leave() {
	s.line.change(func() {
		s.line.spots = slices.DeleteFunc(s.line.spots, func(o *spot) bool { return o == s })
	})
}

// await waits until ready, which is asked with all spots before this one, says so.
func (s *spot) await(ctx context.Context, ready func(before []*spot) bool) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.line.mu.Lock()
		if s.line.changed == nil {
			s.line.changed = make(chan struct{})
		}
		changed := s.line.changed
		done := ready(s.line.spots[:slices.Index(s.line.spots, s)])
		s.line.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-s.line.end:
			return ErrClosed
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// first waits until this spot is the first.
func (s *spot) first(ctx context.Context) error {
	return s.await(ctx, func(before []*spot) bool { return len(before) == 0 })
}

// turn waits until all before have their turns in the lock directory, so that those are
// in the line's order.
func (s *spot) turn(ctx context.Context) error {
	return s.await(ctx, func(before []*spot) bool {
		return !slices.ContainsFunc(before, func(o *spot) bool { return !o.turned })
	})
}

// firstOrBehind waits until this spot is the first, or one before has tried in vain; then
// it returns all of those.
func (s *spot) firstOrBehind(ctx context.Context) (ahead []reserve.Holder, err error) {
	err = s.await(ctx, func(before []*spot) bool {
		waits := slices.ContainsFunc(before, func(o *spot) bool { return o.waits })
		if waits {
			for _, o := range before {
				ahead = append(ahead, reserve.Holder{Job: o.name, PID: os.Getpid()})
			}
		}
		return waits || len(before) == 0
	})
	return ahead, err
}
