package hugepages

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/internal/workers"
)

const (
	// populateStep is taken by one thread between two looks at what is left.
	populateStep = 32 << 20
	// populateChunk is taken between two looks at whether to go on. So finely it is known
	// how much of what is left is for steps that have begun.
	populateChunk = 4 << 20
)

// maxThreads is by default the most: a few saturate a NUMA node's memory.
const maxThreads = 8

func (r *Region) step() uint64 { return max(populateStep, r.page()) }

// remaining is how many bytes are in steps that Populate has not done.
func (r *Region) remaining() (n uint64) {
	for i, done := range r.steps {
		if !done {
			n += r.stepSize(i)
		}
	}
	return n
}

func (r *Region) stepSize(i int) uint64 {
	return min(r.step(), roundup.To(r.o.Size, r.page())-uint64(i)*r.step())
}

// Populate takes all pages from the machine, roughly from the first to the last,
// until ctx is done, so that those who use the region do not wait for them.
// Others may use it meanwhile. If the region is to be on certain NUMA nodes, Verify follows.
//
// The error is ctx's cause, a *PopulateError, which wraps a *LimitError if the
// machine ran short of memory since Alloc, or one of Verify's. After any of them
// the region can be used, and Populate called again.
func (r *Region) Populate(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.freed {
		return fmt.Errorf("hugepages: populating %d bytes: %w", r.o.Size, ErrFreed)
	}
	if err := r.populate(ctx); err != nil {
		return err
	}
	if r.o.anywhere() {
		return nil
	}
	_, err := r.verify(ctx)
	return err
}

func (r *Region) populate(ctx context.Context) (err error) {
	p := population{Region: r, missing: r.remaining()}
	if p.missing == 0 {
		return nil
	}
	if err := p.bind(); err != nil {
		return err
	}
	p.cpus, p.threads = r.crew()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range p.threads {
		wg.Go(func() {
			if err := p.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if p.missing == 0 {
		return nil
	}
	p.unbind()
	err = context.Cause(ctx)
	if already := new(PopulateError); errors.As(err, &already) {
		return err
	}
	return fmt.Errorf("hugepages: populating %d bytes: %w", r.o.Size, err)
}

// A population is one call of Populate.
type population struct {
	*Region
	cpus    []int
	threads int
	next    atomic.Int64 // step

	mu      sync.Mutex // for what follows, and for steps
	missing uint64     // bytes
	begun   uint64     // of them, in steps that a thread is at
	binding bool       // pages come from the node or not at all
	kept    uint64     // bytes that the node's kernel does not let go of
}

// bind makes ordinary memory come from the region's node, even if files' pages
// have to be dropped for it. Pages of the kernel's pool come from there anyway
// if there are any.
func (p *population) bind() error {
	node, bound := p.o.Binding.Number()
	if !bound || p.huge() || p.bound != nil {
		return nil
	}
	err := linux.SetPolicy(p.room, linux.PolicyBind, node)
	p.binding = err == nil
	p.kept = p.system.kept(node)
	if err != nil && p.o.Strict {
		return &PopulateError{0, p.o.Size, &BindError{[]int{node}, err}}
	}
	return nil
}

// unbind lets pages come from other nodes when theirs is full, so that nobody is killed.
func (p *population) unbind() {
	if p.binding {
		_ = p.place() // as it was in alloc
		p.binding = false
	}
}

// crew is how many threads populate, on which CPUs; nil is anywhere.
func (r *Region) crew() (cpus []int, threads int) {
	cpus = r.o.cpus
	if node, bound := r.o.Binding.Number(); bound && len(cpus) == 0 {
		if allowed, err := linux.Affinity(0); err == nil {
			cpus = slices.DeleteFunc(r.system.list(nodePath(node, "cpulist")), func(cpu int) bool { return !slices.Contains(allowed, cpu) })
		}
	}
	threads = r.o.threads
	if threads == 0 {
		threads = min(workers.Most(), maxThreads)
		if len(cpus) > 0 {
			threads = min(len(cpus), maxThreads)
		}
	}
	return cpus, min(threads, len(r.steps))
}

// work populates step after step, on a thread bound to the crew's CPUs.
func (p *population) work(ctx context.Context) error {
	if len(p.cpus) > 0 {
		restore, err := pin(p.cpus)
		if err != nil && len(p.o.cpus) > 0 {
			return &PopulateError{0, p.o.Size, fmt.Errorf("binding a thread to CPUs %v: %w", p.cpus, err)}
		}
		defer restore()
	}
	for ctx.Err() == nil {
		i := int(p.next.Add(1) - 1)
		if i >= len(p.steps) {
			return nil
		}
		if err := p.populateStep(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (p *population) populateStep(ctx context.Context, i int) error {
	size, offset := p.stepSize(i), uint64(i)*p.step()
	p.mu.Lock()
	done := p.steps[i]
	var err error
	if !done {
		p.begun += size
		err = p.makeRoom(p.begun)
	}
	p.mu.Unlock()
	if err != nil {
		return &PopulateError{offset, p.o.Size, err}
	}
	if done {
		return nil
	}
	for from := uint64(0); from < size; {
		if ctx.Err() != nil {
			return nil
		}
		chunk := min(max(populateChunk, p.page()), size-from)
		if err := p.take(ctx, p.room[offset+from:][:chunk]); err != nil {
			return &PopulateError{offset + from, p.o.Size, err}
		}
		from += chunk
		p.mu.Lock()
		p.begun -= chunk
		p.missing -= chunk
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[i] = true
	if !p.huge() {
		p.promised -= size
		p.o.Pool.fulfil(p.o.Binding, size)
	}
	return nil
}

// pin binds the goroutine to a thread, and that to cpus, until it is restored.
func pin(cpus []int) (restore func(), err error) {
	runtime.LockOSThread()
	before, err := linux.Affinity(0)
	if err == nil {
		err = linux.SetAffinity(0, cpus)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return func() {}, err
	}
	return func() {
		// A thread that cannot be restored ends with its goroutine.
		if linux.SetAffinity(0, before) == nil {
			runtime.UnlockOSThread()
		}
	}, nil
}

// makeRoom returns a *LimitError if the machine has no room for so many bytes. If
// only the node has none, it is one in strict mode; else other nodes help out.
func (p *population) makeRoom(want uint64) error {
	if p.huge() {
		return nil // they are set aside
	}
	if err := p.system.checkMemory(want, Binding{}, 0); err != nil {
		return err
	}
	if p.binding {
		node, _ := p.o.Binding.Number()
		if err := p.system.checkNodeKeeping(p.kept, want, node); err != nil {
			if p.o.Strict {
				return err
			}
			p.unbind()
		}
	}
	return nil
}

// Pages of the kernel's pool that are out of reach for the moment are tried for
// again, so often and with such pauses, about as long as the kernel needs for a 1 GiB page.
const (
	takeAttempts = 200
	takePause    = 10 * time.Millisecond
)

func (p *population) take(ctx context.Context, mem []byte) error {
	for attempt := 1; ; attempt++ {
		err := linux.Populate(mem)
		if errors.Is(err, errors.ErrUnsupported) {
			err = touch(mem, p.page())
		}
		if err == nil || !p.huge() || attempt == takeAttempts {
			return err
		}
		select {
		case <-time.After(takePause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// touch takes the pages as their user would, who may be writing there: it adds
// nothing to each. Kernels before 5.14 have no better way. The race detector, which
// may see the memory, would not believe that: under it, the user does come first.
func touch(mem []byte, page uint64) (err error) {
	if raceEnabled {
		return nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("memory fault: %v", fault)
		}
	}()
	for offset := uint64(0); offset < uint64(len(mem)); offset += page {
		atomic.AddUint32((*uint32)(unsafe.Pointer(&mem[offset])), 0)
	}
	return nil
}
