// Package lockstep joins calls that come one at a time, as hosts make them, into jobs whose
// sectors are labelled together.
package lockstep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// Options say what is joined. With the zero value nothing is: each call is a job.
type Options struct {
	// Wait is how long a job's first sector waits for others of its seal proof. Sectors that
	// come later go into the next job, which has cores of its own, or waits for some.
	Wait time.Duration
	// Sectors is the most that a job has. It begins at once when it has that many, or as many as
	// there is room for when its first one comes or, if there is none then, as soon as there is.
	// Default: engine.MaxSectors, that is, as many as can be labelled at the same time. What the
	// machine has no room for together goes apart, always.
	Sectors int
}

// A Joiner joins calls. Its methods may be called from many goroutines. It has nothing that
// must be closed: calls end when their contexts do.
type Joiner struct {
	machine *sealer.Machine
	options Options

	mu    sync.Mutex
	next  map[kind]*job      // those that more calls may join
	calls map[*call]struct{} // all that have not ended
	work  sync.WaitGroup     // jobs; one may still end when its calls have
}

// kind is what the calls of a job have in common.
type kind struct {
	proof porep.SealProof
	sdr   bool
	keep  engine.Keep // of those
}

// A call is one sector.
type call struct {
	kind   kind
	sector seal.Sector // of GenerateSDR, only the proof and the cache dir
	id     porep.ReplicaID
	name   string
	watch  func(p *seal.Progress, sectors int)

	job  *job  // that it is part of now
	gone error // why its caller waits no more
	done chan struct{}
	out  *seal.Output // when done is closed
	err  error
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// A job is calls that are sealed together.
type job struct {
	kind  kind
	ctx   context.Context
	end   context.CancelCauseFunc
	timer *time.Timer
	calls []*call
	// Joining ends when no more calls may join.
	joining context.Context
	joined  context.CancelFunc
	most    int // with how many it begins
	// Where it stands.
	progress seal.Progress
	// When begun, they stay to the end: their files are in use. Before that, a call that
	// leaves changes what cores are waited for.
	begun   bool
	changed context.CancelFunc
}

// New returns a joiner of calls to a machine.
func New(m *sealer.Machine, o Options) (*Joiner, error) {
	if o.Wait < 0 {
		return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("lockstep: checking the wait: %v is negative", o.Wait))
	}
	if o.Sectors < 0 || o.Sectors > engine.MaxSectors {
		return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("lockstep: checking sectors: a job has between 1 and %d, not %d", engine.MaxSectors, o.Sectors))
	}
	o.Sectors = cmp.Or(o.Sectors, engine.MaxSectors)
	return &Joiner{machine: m, options: o, next: map[kind]*job{}, calls: map[*call]struct{}{}}, nil
}

// PreCommit1 is seal.PreCommit1 of a sector, perhaps together with those of other calls. It
// waits for cores as long as ctx lasts. The name is what people, and other jobs, see. What is
// wrong with the sector is said at once; so is seal.ErrBusy, if another call works on one
// of its files or waits to. A call whose context ends when its job has cores returns only
// when its sector's files are let go: when the job ends, which it does within a second if no other
// call needs it.
func (j *Joiner) PreCommit1(ctx context.Context, s seal.Sector, name string) (*seal.Output, error) {
	return j.do(ctx, &call{kind: kind{proof: s.Proof}, sector: s, name: name})
}

// GenerateSDR is seal.GenerateSDR in the same way; keep says which layers stay.
func (j *Joiner) GenerateSDR(ctx context.Context, p porep.SealProof, s engine.Sector, keep engine.Keep, name string) error {
	_, err := j.do(ctx, &call{kind: kind{p, true, keep}, sector: seal.Sector{Proof: p, CacheDir: s.CacheDir, WorkDir: s.WorkDir}, id: s.ReplicaID, name: name})
	return err
}

type watchKey struct{}

// WithProgress is a context for calls that are to be watched. Watch is told when a call has
// become part of a job that has cores: where the job stands, and how many sectors it has. If
// what was to be labelled together goes apart, it is told again.
func WithProgress(ctx context.Context, watch func(p *seal.Progress, sectors int)) context.Context {
	return context.WithValue(ctx, watchKey{}, watch)
}

type joinedKey struct{}

// WithJoined is a context for calls whose order counts. Joined is called when a call has joined, and
// has its files: another one that names them from then on is refused.
func WithJoined(ctx context.Context, joined func()) context.Context {
	return context.WithValue(ctx, joinedKey{}, joined)
}

func (j *Joiner) do(ctx context.Context, c *call) (*seal.Output, error) {
	c.watch, _ = ctx.Value(watchKey{}).(func(*seal.Progress, int))
	if ctx.Err() != nil {
		return nil, failure.Returned(ctx, context.Cause(ctx))
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.done = make(chan struct{})
	if err := j.join(ctx, c); err != nil {
		return nil, err
	}
	if joined, _ := ctx.Value(joinedKey{}).(func()); joined != nil {
		joined()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		j.leave(c, context.Cause(ctx))
		<-c.done
	}
	return c.out, failure.Returned(ctx, c.err)
}

// join makes a call part of the job that others may join.
func (j *Joiner) join(ctx context.Context, c *call) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for other := range j.calls {
		if err := seal.CheckPaths([]seal.Sector{other.sector, c.sector}); err != nil {
			return fmt.Errorf("lockstep: joining %s: %w: %s uses its files: %w", c.name, seal.ErrBusy, other.name, err)
		}
	}
	j.calls[c] = struct{}{}
	b := j.next[c.kind]
	first := b == nil
	if first {
		b = newJob(ctx, c.kind)
		b.most = j.options.Sectors
		j.next[c.kind] = b
		if j.options.Wait > 0 {
			b.timer = time.AfterFunc(j.options.Wait, func() {
				j.mu.Lock()
				defer j.mu.Unlock()
				j.start(b)
			})
		}
	}
	b.add(c)
	if j.options.Wait == 0 || len(b.calls) >= b.most {
		j.start(b)
	} else if first {
		j.work.Go(func() { j.limit(b) })
	}
	return nil
}

// limit finds how many sectors of a job there is room for, so that it waits for no more. A sector that
// can never have its memory is no reason to wait for others.
func (j *Joiner) limit(b *job) {
	limit := j.options.Sectors
	if limit == engine.MaxSectors {
		limit = 0
	}
	var most int
	var err error
	if fault := failure.Caught(func() { most, err = j.machine.Most(b.joining, b.kind.proof, limit) }); fault != nil {
		err = fault
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if most > 0 {
		b.most = most
	}
	if err != nil || len(b.calls) >= b.most {
		j.start(b) // with an error, it finds the same, and says so
	}
}

// newJob is a job with the values of a context, but without its end, which is one call's own.
func newJob(ctx context.Context, k kind) *job {
	b := &job{kind: k}
	b.ctx, b.end = context.WithCancelCause(context.WithoutCancel(ctx))
	b.joining, b.joined = context.WithCancel(b.ctx)
	return b
}

func (b *job) add(calls ...*call) {
	for _, c := range calls {
		c.job = b
	}
	b.calls = append(b.calls, calls...)
}

// start has a job that others might join begin, once.
func (j *Joiner) start(b *job) {
	if j.next[b.kind] != b {
		return
	}
	delete(j.next, b.kind)
	b.joined()
	if b.timer != nil {
		b.timer.Stop()
	}
	j.work.Go(func() { j.seal(b) })
}

// leave takes a call out of its job, or notes that nobody waits for it.
func (j *Joiner) leave(c *call, why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := c.job
	c.gone = why
	if !b.begun && !c.ended() {
		j.end(c, nil, why)
		b.calls = slices.DeleteFunc(b.calls, (*call).ended)
		if b.changed != nil {
			b.changed()
		}
	}
	if !slices.ContainsFunc(b.calls, func(c *call) bool { return c.gone == nil }) {
		b.end(why)
		if j.next[b.kind] == b {
			j.start(b) // and ends, having nothing to do
		}
	}
}

// end says what became of a call. The first word counts.
func (j *Joiner) end(c *call, out *seal.Output, err error) {
	if c.ended() {
		return
	}
	c.out, c.err = out, err
	delete(j.calls, c)
	close(c.done)
}

// seal does a job to its end.
func (j *Joiner) seal(b *job) {
	defer b.end(nil)
	calls, hold, err := j.hold(b)
	if hold != nil {
		err = b.seal(hold, calls)
		_ = hold.Release() // what cannot be given back is no sector's fault
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(calls), (*call).ended)
	if b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	} else if len(calls) > 1 {
		j.apart(b, left, err)
		return
	}
	for _, c := range left {
		j.end(c, nil, err)
	}
}

// hold waits for cores for all calls that have not left meanwhile.
func (j *Joiner) hold(b *job) (calls []*call, hold *sealer.Hold, err error) {
	done := func(i int, o seal.Outcome) {
		if o.Err != nil && b.ctx.Err() != nil {
			return // the job ends, and its calls with it, when their files are let go
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.end(calls[i], o.Output, o.Err)
	}
	for {
		var ctx context.Context
		j.mu.Lock()
		calls = slices.Clone(b.calls)
		ctx, b.changed = context.WithCancel(b.ctx)
		j.mu.Unlock()
		if len(calls) == 0 {
			return nil, nil, nil
		}
		hold, err = j.machine.Hold(ctx, b.kind.proof, len(calls), sealer.Job{Name: b.kind.name(calls), Wait: true, Done: done, Progress: &b.progress, Keep: b.kind.keep})
		j.mu.Lock()
		same := len(b.calls) == len(calls)
		b.begun = same
		j.mu.Unlock()
		b.changed()
		if same {
			for _, c := range calls {
				if hold != nil && c.watch != nil {
					c.watch(&b.progress, len(calls))
				}
			}
			return calls, hold, err
		}
		if hold != nil {
			_ = hold.Release()
		}
	}
}

// seal makes the sectors' files. What became of each is told to what hold was given. A panic
// is an error, since no caller of ours is above it who could keep it from ending a host.
func (b *job) seal(hold *sealer.Hold, calls []*call) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("lockstep: sealing %s: a fault of the program: %v\n%s", b.kind.name(calls), value, debug.Stack())
		}
	}()
	if b.kind.sdr {
		sectors := make([]engine.Sector, len(calls))
		for i, c := range calls {
			sectors[i] = engine.Sector{CacheDir: c.sector.CacheDir, WorkDir: c.sector.WorkDir, ReplicaID: c.id}
		}
		_, err = hold.GenerateSDR(b.ctx, sectors)
		return err
	}
	sectors := make([]seal.Sector, len(calls))
	for i, c := range calls {
		sectors[i] = c.sector
	}
	_, err = hold.PreCommit1(b.ctx, sectors)
	return err
}

// apart has calls of a job that was refused as a whole go on: in halves where there was no
// room for all, else without those that are wrong, else each for itself.
func (j *Joiner) apart(b *job, calls []*call, refused error) {
	right := slices.DeleteFunc(slices.Clone(calls), func(c *call) bool {
		if c.gone != nil {
			j.end(c, nil, c.gone)
		} else if err := c.check(); err != nil {
			j.end(c, nil, err)
		}
		return c.ended()
	})
	most := 1
	switch none := (*sealer.NoRoomError)(nil); {
	case errors.As(refused, &none):
		most = (len(calls) + 1) / 2
	case len(right) < len(calls):
		most = len(right)
	}
	for part := range slices.Chunk(right, max(1, most)) {
		next := newJob(b.ctx, b.kind)
		next.add(part...)
		j.work.Go(func() { j.seal(next) })
	}
}

// check reports what is wrong with a sector and can be told before any work.
func (c *call) check() error {
	if !c.kind.sdr {
		return seal.CheckSectors([]seal.Sector{c.sector})
	}
	if err := c.sector.Proof.Check(); err != nil {
		return err
	}
	info, err := os.Stat(c.sector.CacheDir)
	if err != nil {
		return &seal.PathError{Role: "cache dir", Path: c.sector.CacheDir, Err: err}
	}
	if !info.IsDir() {
		return &seal.PathError{Role: "cache dir", Path: c.sector.CacheDir, Reason: "is not a directory"}
	}
	return nil
}

// name is a job's, for people.
func (k kind) name(calls []*call) string {
	if len(calls) == 1 {
		return calls[0].name
	}
	const most = 4
	var names []string
	for _, c := range calls[:min(len(calls), most)] {
		names = append(names, c.name)
	}
	if len(calls) > most {
		names = append(names, fmt.Sprintf("%d more", len(calls)-most))
	}
	return strings.Join(names, ", ")
}
