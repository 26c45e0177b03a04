package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
)

const (
	// behindWindow is how much lies together in the page cache before its way to the disk
	// begins.
	behindWindow = 4 << 20
	// keptTail is up to how much of what was written stays in the page cache for those who
	// read it soon.
	keptTail = 1 << 30
	// behindMost is how many windows may be on their way before writing waits for the disk.
	behindMost = 16
)

// A Tail is a part of a file of the caller's that is being written, by any number of
// goroutines. No byte is written twice.
type Tail struct {
	f          *os.File
	start, end int64
	waited     bool
	fresh      int64          // from here on there was nothing in the file
	windows    []atomic.Int64 // bytes that are there, of each behindWindow from start on
	reach      atomic.Int64   // where what was written ends
	faults

	// The way to the disk begins in a goroutine: the kernel keeps the one who asks for it
	// waiting as long as the disk's queue is full.
	behind sync.WaitGroup
	places chan struct{} // behindMost
	one    sync.Mutex    // windows go one after the other
	err    error         // the first that the kernel said of that way; under one
}

// startWriteback is linux.StartWriteback, but in tests.
var startWriteback = linux.StartWriteback

// TailOf is the part of a regular file from start to end, which has so many bytes now. Waited
// says that the disk will be waited for: then the way there begins early.
func TailOf(ctx context.Context, f *os.File, start, end, length int64, waited bool) *Tail {
	t := &Tail{f: f, waited: waited, start: start, end: end, fresh: length, faults: faultsOf(ctx)}
	t.places = make(chan struct{}, behindMost)
	t.windows = make([]atomic.Int64, (end-start+behindWindow-1)/behindWindow)
	t.reach.Store(start)
	return t
}

// Name is the file's.
func (t *Tail) Name() string { return t.f.Name() }

// WriteAt writes b at off, and has what is complete go to the disk without waiting for it.
// Of what is long nothing stays in the page cache.
func (t *Tail) WriteAt(b []byte, off int64) error {
	// Before it is written: a part of it may be, and then the error come.
	end := off + int64(len(b))
	for reach := t.reach.Load(); reach < end && !t.reach.CompareAndSwap(reach, end); {
		reach = t.reach.Load()
	}
	long := t.end-t.start > keptTail
	err := t.write(t.f.Name(), b, off, func(b []byte) error {
		if long {
			_, err := linux.WriteUncached(t.f, b, off)
			if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		_, err := t.f.WriteAt(b, off)
		return err
	})
	if err != nil {
		return err
	}
	t.count(off, int64(len(b)))
	return nil
}

// Zeros leaves n bytes at off as a hole. It reports false where there was something else in
// the file: then zeros have to be written.
func (t *Tail) Zeros(off, n int64) bool {
	if off < t.fresh {
		return false
	}
	t.count(off, n)
	return true
}

// count notes that n bytes at off are there.
func (t *Tail) count(off, n int64) {
	for n > 0 {
		i := (off - t.start) / behindWindow
		from := t.start + i*behindWindow
		size := min(behindWindow, t.end-from)
		part := min(n, from+size-off)
		if t.windows[i].Add(part) == size && (t.waited || t.end-t.start > keptTail) {
			t.places <- struct{}{}
			t.behind.Go(func() {
				defer func() { <-t.places }()
				t.startWriteback(i, from, size)
			})
		}
		off, n = off+part, n-part
	}
}

// startWriteback has window i, size bytes at from, go to the disk.
func (t *Tail) startWriteback(i, from, size int64) {
	t.one.Lock()
	defer t.one.Unlock()
	if t.err != nil {
		return
	}
	// Where nobody syncs, this is the only one who hears of it; and what is not on the disk stays in memory.
	if err := startWriteback(t.f, from, size); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.err = fmt.Errorf("durable: starting to write %d bytes at %d of %q to the disk: %w", size, from, t.f.Name(), failure.OfSystem(err))
		return
	}
	if i >= behindMost && t.end-t.start > keptTail {
		_ = linux.DropCache(t.f, from-behindMost*behindWindow, behindWindow)
	}
}

// Finish ends the writing. If all is there, zeros at the end too, the file reaches the
// part's end. It stands behind the last byte that was written: who finds it longer has met
// somebody else who writes to it. The error is also what the disk said meanwhile.
func (t *Tail) Finish() error {
	t.behind.Wait()
	reach := t.reach.Load()
	if t.whole() {
		if reach < t.end && t.fresh < t.end {
			if err := t.do(OpResize, t.f.Name(), func() error { return t.f.Truncate(t.end) }); err != nil {
				return err
			}
		}
		reach = t.end
	}
	_, err := t.f.Seek(reach, io.SeekStart)
	return errors.Join(t.err, err)
}

func (t *Tail) whole() bool {
	n := int64(0)
	for i := range t.windows {
		n += t.windows[i].Load()
	}
	return n == t.end-t.start
}
