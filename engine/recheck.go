package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
)

// While labels are made, some are recomputed by another core, from what was written, by way of
// the standard library: a core that computes wrong is found while the sector that suffers
// from it is still being made. At the sector's end a sample of all its layers follows.

const (
	// The first look comes after a while.
	recheckFirst = time.Second
	// Of the CPU time that a look took, so much longer passes until the next: a third of a
	// percent of one core.
	recheckRest = 300
	// Of the time that it took in all, on a slow disk most of it waiting, so much, up to a bound,
	// so that a minute has 30 looks at least.
	recheckApart = 20
	recheckMost  = 2 * time.Second
	// Smaller layers are made before anybody would look.
	recheckNodes = 1 << 20

	defaultVerifySample = 16
)

// A WrongLabelError says that a label that was just made is not what its parents make it: the core
// that made it, its memory, or the disk that has it cannot be trusted.
type WrongLabelError struct {
	CPU    int // that hashes; NoCPU: not bound
	Kernel string
	Layer  int
	Node   uint64
	Found  [porep.NodeSize]byte
	Want   [porep.NodeSize]byte
}

func (e *WrongLabelError) Error() string {
	core := "a core that is not known, since it is not bound,"
	if e.CPU != NoCPU {
		core = fmt.Sprintf("CPU %d", e.CPU)
	}
	return fmt.Sprintf("engine: checking labels while they are made: %s, with %s, made %x of node %d in layer %d, its parents' labels make it %x: "+
		"that core, its memory or the disk cannot be trusted, do not seal on them", core, e.Kernel, e.Found, e.Node, e.Layer, e.Want)
}

// Is reports whether target is the kind ErrHardwareSuspect.
func (e *WrongLabelError) Is(target error) bool { return target == failure.ErrHardwareSuspect }

// A rechecker is the goroutine that does so.
type rechecker struct{ *pipeline }

// run looks at labels until the hasher has ended.
func (p rechecker) run(ctx context.Context) {
	if p.unnoted {
		return // of a measurement, parents are no labels, and not in files
	}
	look := p.job.hooks.Look
	if look == nil && p.store.nodes < recheckNodes {
		return
	}
	defer p.job.keepOff()()
	runtime.LockOSThread() // whose CPU time is counted
	defer runtime.UnlockOSThread()
	// What was written since the look before; if nothing was, what that one chose from.
	from, to := p.begin, p.begin
	pause := recheckFirst
	for {
		looks := true
		if look != nil {
			looks, pause = look(p.flow.Written.Load()), 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.hashed:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if p.flow.Stopped() {
			return
		}
		if written := p.flow.Written.Load(); written > to {
			from, to = to, written
		}
		if !looks || from == to {
			continue
		}
		began := time.Now()
		before, _ := linux.ThreadTime()
		p.look(ctx, from+rand.Uint64N(to-from)) // #nosec G404 -- no secret: which labels are looked at
		took := time.Since(began)
		cpu, known := linux.ThreadTime()
		if cpu -= before; !known {
			cpu = took
		}
		p.job.c.Progress.recheckTime.Add(int64(cpu))
		pause = recheckPause(cpu, took)
	}
}

// recheckPause is how long nobody looks after a look that took so much CPU time, and so long.
func recheckPause(cpu, took time.Duration) time.Duration {
	return max(recheckRest*cpu, min(recheckApart*took, recheckMost))
}

// look recomputes the label at a position, of one lane. What is wrong twice ends the lane.
func (p rechecker) look(ctx context.Context, pos uint64) {
	s := p.store
	layer, node := s.first+int(pos/s.nodes), pos%s.nodes
	l := p.lanes[rand.IntN(len(p.lanes))] // #nosec G404 -- no secret: which labels are looked at
	if l.writer(layer) == nil {
		return
	}
	var wrong *WrongLabelError
	for range 2 {
		found, err := l.peek(layer, node)
		if err != nil {
			return // what cannot be read is not the core's fault, and found before the layer has its name
		}
		want, err := plain.Label(p.job.c.Proof, l.id, layer, node, func(of int, parent uint64) ([porep.NodeSize]byte, error) {
			if ctx.Err() != nil {
				return found, context.Cause(ctx)
			}
			return l.peek(of, parent)
		})
		if err != nil {
			return
		}
		if p.job.c.Progress.rechecked.Add(1); found == want {
			return
		}
		wrong = &WrongLabelError{p.counters.cpu, p.kernel.Name, layer, node, found, want}
	}
	l.fail(wrong)
}

// peek reads one label of a layer, of the part that is written.
func (l *lane) peek(layer int, node uint64) (label [porep.NodeSize]byte, err error) {
	off := int64(node) * porep.NodeSize
	if layer < l.first {
		err = durable.ReadFull(nil, l.before.File(), label[:], off)
		return label, err
	}
	err = l.files.Layer(layer).Peek(label[:], off)
	return label, err
}

// verifyEnd recomputes a sample of a sector's layers, when all are done.
func (j *job) verifyEnd(ctx context.Context, l *lane) error {
	if j.c.VerifySample < 0 {
		return nil
	}
	s := j.c.Sectors[l.sector]
	first, _ := j.c.Keep.Kept(j.last)
	if first > 1 {
		first++ // its own layer before is gone
	}
	for layer := max(l.first, first); layer <= j.last; layer++ {
		if err := verifySample(ctx, j.c.Proof, s, layer, j.c.VerifySample, rand.Uint64()); err != nil { // #nosec G404 -- no secret: which labels are looked at
			return err
		}
	}
	return nil
}
