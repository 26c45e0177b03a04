package durable

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Reader reads a file. Any number of goroutines may use it at once, but Close must come
// after all of them.
type Reader struct {
	path       string
	f          *os.File
	direct     *os.File // past the page cache; nil if nobody has read so, or it cannot be
	openDirect sync.Once
	sums       *Sums // what was written; nil if that is not known
	faults
}

// Open opens the file at path to read it.
func Open(ctx context.Context, path string) (*Reader, error) {
	r := &Reader{path: path, faults: faultsOf(ctx)}
	err := r.do(OpOpen, path, func() (err error) {
		r.f, err = os.OpenFile(path, os.O_RDONLY|linux.NoWait, 0) // a pipe is not waited for
		return err
	})
	return r, err
}

// Trust has everything that is read from now on compared with sums, of the file as it
// was. It comes before ReadBack.
func (r *Reader) Trust(sums *Sums) { r.sums = sums }

// Path is where the file was opened.
func (r *Reader) Path() string { return r.path }

// File is the file itself, for what needs no data.
func (r *Reader) File() *os.File { return r.f }

// ReadAt is the file's.
func (r *Reader) ReadAt(b []byte, off int64) (n int, err error) {
	err = r.read(r.path, b, off, func() error {
		n, err = r.f.ReadAt(b, off)
		return err
	})
	return n, err
}

// Read fills b with what is at off: by way of Direct past the page cache, where the
// alignment of both and the file system let it. A short read is io.ErrUnexpectedEOF.
func (r *Reader) Read(way Way, b []byte, off int64) error {
	var direct *os.File
	if way == Direct {
		r.openDirect.Do(func() { r.direct, _ = linux.OpenDirect(r.f) })
		direct = r.direct
	}
	err := r.read(r.path, b, off, func() error { return ReadFull(direct, r.f, b, off) })
	if err != nil {
		return fmt.Errorf("durable: reading %s: %d bytes at %d: %w", r.path, len(b), off, err)
	}
	return nil
}

// ReadBack is Read of whole blocks that were written before (see File.ReserveBlocks), which
// are compared with what they were. What is not right is read once more, past the cache;
// then it is a *ChangedError.
func (r *Reader) ReadBack(way Way, b []byte, off int64) error {
	if err := r.Read(way, b, off); err != nil {
		return cut(r.path, err)
	}
	err := r.sums.Check(r.path, b, off)
	if changed := (*ChangedError)(nil); !errors.As(err, &changed) {
		return err
	}
	r.Forget(off, int64(len(b)))
	if err := r.Read(Direct, b, off); err != nil {
		return cut(r.path, err)
	}
	return r.sums.Check(r.path, b, off)
}

// readBackAll holds the whole file against what was written, as the disk yields it: past the
// page cache where that can be done, otherwise after the cache has let go of it. What is not
// right at first is read once more. All of it goes to h, too, unless that is nil.
func (r *Reader) readBackAll(ctx context.Context, h hash.Hash) error {
	info, err := r.f.Stat()
	if err != nil {
		return fmt.Errorf("durable: reading back %s: %w", r.path, err)
	}
	if info.Size() != r.sums.size {
		return &LostError{r.path, fmt.Sprintf("it has %d bytes, and had %d", info.Size(), r.sums.size)}
	}
	defer r.Forget(0, r.sums.size)
	var holes *Holes
	if h == nil {
		holes = HolesOf(r.f)
		defer holes.Close()
	}
	for try := 0; ; try++ {
		r.Forget(0, r.sums.size)
		if h != nil {
			h.Reset()
		}
		err := r.sums.CheckAll(ctx, r.path, holes, func(b []byte, off int64) error {
			err := r.Read(Direct, b, off)
			if err == nil && h != nil {
				h.Write(b)
			}
			return err
		})
		if try == 1 || !errors.As(err, new(*ChangedError)) {
			return cut(r.path, err)
		}
	}
}

// Forget takes a part of the file out of the page cache, but for what is not on the disk
// yet.
func (r *Reader) Forget(off, n int64) { _ = linux.DropCache(r.f, off, n) }

// Close ends the reading.
func (r *Reader) Close() {
	r.f.Close()
	if r.direct != nil {
		r.direct.Close()
	}
}

var _ io.ReaderAt = (*Reader)(nil)
