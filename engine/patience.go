package engine

import (
	"context"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
)

// pauses are what of a job waits for room, or for a disk.
type pauses struct {
	mu   sync.Mutex
	errs map[any]error
	last error // that was told
}

// note is told that an operation waits, why, and, by nil, that it does not any more. It tells when
// the job as a whole has begun to wait, for a reason of another kind, or goes on.
func (p *pauses) note(id any, err error, tell func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.errs)
	if err == nil {
		delete(p.errs, id)
	} else {
		if p.errs == nil {
			p.errs = map[any]error{}
		}
		p.errs[id] = err
	}
	if p.last = err; err == nil {
		for _, p.last = range p.errs {
			break
		}
	}
	if tell != nil && (before == 0) != (len(p.errs) == 0) {
		tell(p.last)
	}
}

// Paused is why a job waits for room on a file system, or for a disk, if it does: the error of an
// operation that is tried again, until Config.Patience is at its end.
func (p *Progress) Paused() error {
	p.pauses.mu.Lock()
	defer p.pauses.mu.Unlock()
	return p.pauses.last
}

// Patient is a context for what is done to files beside labelling: it waits as Run does.
func (c *Config) Patient(ctx context.Context) context.Context {
	progress, tell := c.Progress, c.Paused
	if progress == nil {
		progress = new(Progress)
	}
	return durable.WithPatience(ctx, durable.Patience{Most: c.Patience, Paused: func(id any, err error) { progress.pauses.note(id, err, tell) }})
}
