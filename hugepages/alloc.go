package hugepages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
)

// Alloc returns a region. Pages of the kernel's pool are there and cleared, which
// takes a while; others are taken from the machine as they are touched, or by
// Populate. The error is an *OptionError if o makes no sense, a *HugeTLBFSError if
// the directory o.HugeTLBFS does not serve, ctx's cause, or an *AllocError.
func Alloc(ctx context.Context, o Options) (*Region, error) {
	return allocate(ctx, o, newSystem("/"))
}

func allocate(ctx context.Context, o Options, s system) (*Region, error) {
	if err := o.check(s); err != nil {
		return nil, err
	}
	o.cpus, o.Among = slices.Clone(o.cpus), slices.Clone(o.Among)
	s = s.within(o.Among)
	kinds, fromFile, err := o.kinds()
	if err != nil {
		return nil, err
	}
	var noFiles error
	if o.Files != nil && !o.onHeap() {
		r := &Region{o: o, system: s}
		err := r.allocFiles(ctx)
		if err == nil {
			return r, nil
		}
		noFiles = errors.Join(err, r.release(false))
		if ctx.Err() != nil {
			return nil, fmt.Errorf("hugepages: allocating %d bytes: %w", o.Size, context.Cause(ctx))
		}
	}
	var refused []Refusal
	for _, p := range kinds {
		r := &Region{o: o, system: s, pages: p, refused: refused, noFiles: noFiles}
		err := r.alloc(ctx, p == fromFile)
		if err == nil {
			return r, nil
		}
		err = errors.Join(err, r.release(false))
		if ctx.Err() != nil {
			return nil, fmt.Errorf("hugepages: allocating %d bytes: %w", o.Size, context.Cause(ctx))
		}
		if wrong := new(HugeTLBFSError); errors.As(err, &wrong) {
			return nil, err
		}
		refused = append(refused, Refusal{p, err})
	}
	return nil, &AllocError{o.Size, o.Purpose, refused, noFiles}
}

// maxSize leaves room for guards and alignment.
const maxSize = uint64(^uint(0)>>1) / 4

func (o *Options) check(s system) error {
	switch {
	case o.Size == 0 || o.Size > maxSize:
		return &OptionError{"Size", o.Size, fmt.Sprintf("1 to %d", maxSize)}
	case o.Sample < 0:
		return &OptionError{"Sample", o.Sample, "0 for all pages, or more"}
	case o.Pages != nil && len(o.Pages) == 0:
		return &OptionError{"Pages", o.Pages, "nil for the default, or at least one kind"}
	}
	for _, p := range o.Pages {
		if p < Huge1G || p > Small {
			return &OptionError{"Pages", o.Pages, "Huge1G, Huge2M, Transparent, Small"}
		}
	}
	online := s.list(nodeDirectory + "/online")
	if n, bound := o.Binding.Number(); bound {
		if n < 0 || n >= maxNumber || online != nil && !slices.Contains(online, n) {
			return &OptionError{"Binding", n, fmt.Sprintf("a NUMA node of this machine: %v", online)}
		}
		if len(o.Among) > 0 && !slices.Contains(o.Among, n) {
			return &OptionError{"Binding", n, fmt.Sprintf("one of Among: %v", o.Among)}
		}
	}
	for _, n := range o.Among {
		if n < 0 || n >= maxNumber || online != nil && !slices.Contains(online, n) {
			return &OptionError{"Among", o.Among, fmt.Sprintf("NUMA nodes of this machine: %v", online)}
		}
	}
	return nil
}

// kinds is which pages to try, in order, and which of them come from a file.
func (o *Options) kinds() (kinds []Pages, fromFile Pages, err error) {
	kinds = slices.Clone(o.Pages)
	if kinds == nil {
		for _, p := range []Pages{Huge1G, Huge2M, Transparent, Small} {
			if o.warrants(p) {
				kinds = append(kinds, p)
			}
		}
	}
	if o.HugeTLBFS != "" {
		page, err := linux.HugeTLBFSPage(o.HugeTLBFS)
		switch {
		case err != nil:
			return nil, 0, &HugeTLBFSError{o.HugeTLBFS, err}
		case page == Huge1G.Size():
			fromFile = Huge1G
		case page == Huge2M.Size():
			fromFile = Huge2M
		default:
			return nil, 0, &HugeTLBFSError{o.HugeTLBFS, fmt.Errorf("its pages have %d bytes, want 2 MiB or 1 GiB", page)}
		}
		kinds = slices.DeleteFunc(kinds, func(p Pages) bool { return p == fromFile })
		kinds = slices.Insert(kinds, 0, fromFile)
	}
	if o.onHeap() {
		kinds = []Pages{Small}
	}
	return kinds, fromFile, nil
}

// warrants reports whether pages of a kind are worth trying when nobody asks for them.
func (o *Options) warrants(p Pages) bool {
	switch page := p.Size(); p {
	case Small:
		return true
	case Transparent:
		return o.Size >= page
	default:
		return roundup.To(o.Size, page)-o.Size <= o.Size/8
	}
}

// raises reports whether the pool is enlarged by what is missing. What the kernel adds for all nodes is on any
// of them, so it serves nobody who wants some of them.
func (o *Options) raises() bool {
	_, bound := o.Binding.Number()
	return o.Raise && (bound || len(o.Among) == 0)
}

func (o *Options) onHeap() bool { return o.checked && raceEnabled }

// guard is how many bytes are unreadable on either side of the pages.
func (o *Options) guard() uint64 {
	if o.checked {
		return Small.Size()
	}
	return 0
}

// alloc makes r's memory. After an error, release undoes what it did.
func (r *Region) alloc(ctx context.Context, fromFile bool) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	room := roundup.To(r.o.Size, r.page())
	if err := r.o.Pool.try(room); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			r.o.Pool.drop(room)
			return
		}
		r.o.Pool.count(r.o.Purpose, room)
		r.counted = room
	}()
	if err := r.mapRoom(ctx, room, fromFile); err != nil {
		return err
	}
	r.steps = make([]bool, (room+r.step()-1)/r.step())
	r.bytes = r.room[:r.o.Size:r.o.Size]

	if err := r.advise(); err != nil {
		return err
	}
	if r.files == nil { // whose pages are where they are
		if r.bound = r.place(); r.bound != nil && r.o.Strict {
			return r.bound
		}
	}
	if r.huge() {
		// A page that is reserved can still be SIGBUS for the thread that touches it first:
		// it is out of reach while the kernel makes room for larger ones.
		if err := r.populate(ctx); err != nil {
			return err
		}
		if _, err := r.verify(ctx); err != nil {
			return err
		}
	}
	if r.o.checked {
		poison(r.room)
	}
	return nil
}

func poison(b []byte) {
	for i := range b {
		b[i] = poisonByte
	}
}

func (r *Region) advise() error {
	switch r.pages {
	case Transparent:
		return linux.AdviseHuge(r.room)
	case Small:
		_ = linux.AdviseSmall(r.room) // a kernel without large ones knows no such advice
	}
	return nil
}

func (r *Region) mapRoom(ctx context.Context, room uint64, fromFile bool) error {
	if r.files != nil {
		return r.mapFiles(room)
	}
	if r.huge() {
		if err := r.system.checkHugeCgroup(room, r.page()); err != nil {
			return err
		}
		return r.mapHuge(ctx, room, fromFile)
	}
	if why := r.system.transparent(); r.pages == Transparent && why != "" {
		return errors.New(why)
	}
	err := r.o.Pool.promise(r.o.Binding, room, func(all, here uint64) error {
		return r.system.checkMemory(all, r.o.Binding, here)
	})
	if err != nil {
		return err
	}
	r.promised = room
	if r.o.onHeap() {
		return r.mapHeap(room)
	}
	if err := r.mapHidden(room, room); err != nil {
		return err
	}
	return linux.Show(r.room)
}

// mapHidden takes unreadable addresses for room bytes, aligned, with a guard on
// either side. data is how many of the bytes will be made writable.
func (r *Region) mapHidden(room, data uint64) error {
	align, guard := r.pages.Size(), r.o.guard()
	// Behind the pages, one at least stays unreadable: regions do not merge.
	size := room + 2*guard + align
	if err := r.system.checkProcess(size, data); err != nil {
		return err
	}
	span, err := linux.MapHidden(int(size))
	if err != nil {
		return err
	}
	r.span = span
	r.room = cut(span, guard, align, room)
	return nil
}

// cut returns room bytes of b, aligned, with at least guard bytes before them.
func cut(b []byte, guard, align, room uint64) []byte {
	first := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) + guard
	skip := guard + -first&(align-1)
	return b[skip:][:room:room]
}

// mapHeap takes the room from the Go heap, with guards. The collector gets it
// back readable, when nobody can reach it any more.
func (r *Region) mapHeap(room uint64) error {
	guard := r.o.guard()
	b := make([]byte, room+2*guard+Small.Size())
	r.room = cut(b, guard, Small.Size(), room)
	size := len(b)
	runtime.SetFinalizer(unsafe.SliceData(b), func(p *byte) {
		all := cut(unsafe.Slice(p, size), 0, Small.Size(), room+2*guard)
		_ = linux.Show(all)
		_ = linux.SetPolicy(all, linux.PolicyDefault)
	})
	all := cut(b, 0, Small.Size(), room+2*guard)
	return errors.Join(linux.Hide(all[:guard]), linux.Hide(all[guard+room:]))
}

// mapHuge takes the room from the kernel's pool.
func (r *Region) mapHuge(ctx context.Context, room uint64, fromFile bool) error {
	data := room
	if fromFile {
		data = 0 // shared
	}
	if r.o.checked {
		if err := r.mapHidden(room, data); err != nil {
			return err
		}
	}
	if err := r.system.checkProcess(room, data); err != nil {
		return err
	}
	mem, err := r.takePool(ctx, room, fromFile)
	if err != nil {
		return err
	}
	if !r.o.checked {
		r.span, r.room = mem, mem
		return nil
	}
	if err := linux.Move(mem, r.room); err != nil {
		r.span = nil // who knows what is mapped there now: leave it
		return errors.Join(err, linux.Unmap(mem))
	}
	return nil
}

// takePoolAttempts is how often a pool is enlarged that others empty at once.
const takePoolAttempts = 3

// takePool maps pages of the kernel's pool, which it first enlarges if it is to.
func (r *Region) takePool(ctx context.Context, room uint64, fromFile bool) (mem []byte, err error) {
	if !r.o.raises() {
		return r.mapPool(room, fromFile)
	}
	lock, refusal := r.system.lockPool(ctx, r.page())
	if refusal == nil {
		defer lock.Close()
		r.raised = r.system.newRaise(r.page(), r.o.Binding)
		defer func() {
			if err != nil {
				err = errors.Join(err, r.raised.giveBack())
			} else if r.raised.crashProof() {
				_ = r.raised.giveBack() // or by Free
			}
		}()
	}
	for range takePoolAttempts {
		if refusal == nil {
			refusal = r.raised.enlarge(ctx, room)
		}
		mem, err = r.mapPool(room, fromFile)
		if err == nil {
			return mem, nil
		}
		if refusal != nil {
			return nil, fmt.Errorf("%w; enlarging the pool: %w", err, refusal)
		}
	}
	return nil, err
}

func (r *Region) mapPool(room uint64, fromFile bool) ([]byte, error) {
	if err := r.system.checkPool(room, r.page(), r.o.Binding); err != nil {
		return nil, err
	}
	if !fromFile {
		return linux.MapHuge(int(room), r.page())
	}
	f, err := os.CreateTemp(r.o.HugeTLBFS, "sdr-*")
	if err != nil {
		return nil, &HugeTLBFSError{r.o.HugeTLBFS, err}
	}
	defer f.Close() // the mapping keeps the pages
	if err := os.Remove(f.Name()); err != nil {
		return nil, &HugeTLBFSError{r.o.HugeTLBFS, err}
	}
	if err := f.Truncate(int64(room)); err != nil {
		return nil, &HugeTLBFSError{r.o.HugeTLBFS, err}
	}
	return linux.MapFile(f, int(room))
}

// release gives back what r has, whatever that is. If the addresses are to be
// kept, nobody else gets them: an access is a fault.
func (r *Region) release(keep bool) error {
	var errs []error
	switch {
	case r.span == nil:
		// Nothing, or of the heap.
		if keep && r.room != nil {
			errs = append(errs, linux.Hide(r.room))
		}
	case keep:
		errs = append(errs, linux.Retire(r.span))
	default:
		errs = append(errs, linux.Unmap(r.span))
	}
	r.o.Pool.fulfil(r.o.Binding, r.promised)
	if r.counted > 0 {
		r.o.Pool.giveBack(r.o.Purpose, r.counted)
	}
	errs = append(errs, r.raised.giveBackLater())
	r.o.Files.giveBack(r.files)
	r.span, r.room, r.bytes, r.files = nil, nil, nil, nil
	return errors.Join(errs...)
}
