package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Mark is a file as it was at a moment, for telling later whether it is still that.
type Mark struct {
	path string
	info os.FileInfo
	sure bool // a later write shows in its time
}

// MarkOf is f, the file at path, as it is now.
func MarkOf(path string, f *os.File) (Mark, error) {
	info, err := f.Stat()
	if err != nil {
		return Mark{}, fmt.Errorf("durable: looking at %s: %w", path, err)
	}
	return Mark{path, info, time.Since(info.ModTime()) > step(info)}, nil
}

// step is more than the steps in which a file's file system counts time: a jiffy, or, where
// there are only whole seconds, two of them.
func step(info os.FileInfo) time.Duration {
	if info.ModTime().Nanosecond() == 0 {
		return 2100 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// markOf is MarkOf. For a file that takes longer to be read once more, it waits until a
// later write would show.
func markOf(ctx context.Context, path string, f *os.File) (Mark, error) {
	const large = 64 << 20
	m, err := MarkOf(path, f)
	if err != nil || m.sure || m.info.Size() < large {
		return m, err
	}
	select {
	case <-time.After(step(m.info)):
		return MarkOf(path, f)
	case <-ctx.Done():
		return m, context.Cause(ctx)
	}
}

// Same looks at what is at the path now. The error is a *LostError if that is another file,
// or none, or one of another length. Otherwise it reports whether nobody can have written
// to the file since.
func (m *Mark) Same() (bool, error) {
	now, err := os.Stat(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, &LostError{m.path, "it has been removed"}
	case err != nil:
		return false, fmt.Errorf("durable: looking at %s once more: %w", m.path, err)
	case !os.SameFile(now, m.info):
		return false, &LostError{m.path, "another file has taken its place"}
	case now.Size() != m.info.Size():
		return false, &LostError{m.path, fmt.Sprintf("it has %d bytes now, and had %d", now.Size(), m.info.Size())}
	}
	return m.sure && now.ModTime().Equal(m.info.ModTime()), nil
}

// An InPlace is a file that exists already and is filled in place.
type InPlace struct {
	path string
	f    *os.File
	faults
}

// OpenInPlace opens the file at path, and locks it; another job that has it is
// linux.ErrLocked.
func OpenInPlace(ctx context.Context, path string) (*InPlace, error) {
	t := &InPlace{path: path, faults: faultsOf(ctx)}
	err := t.do(OpOpen, path, func() (err error) {
		t.f, err = os.OpenFile(path, os.O_RDWR, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := linux.TryLock(t.f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return t, nil
}

// Resize sets the file's length: what is added are zeros.
func (t *InPlace) Resize(size int64) error {
	return t.do(OpResize, t.path, func() error { return t.f.Truncate(size) })
}

// copyStep is how much is copied between two looks at whether to go on.
const copyStep = 64 << 20

// Copy fills the file, which is empty, with src: by sharing its blocks where the file
// system can, else by copying, which the kernel does by itself where it can.
func (t *InPlace) Copy(ctx context.Context, src *os.File) error {
	return t.do(OpCopy, t.path, func() error {
		err := linux.Clone(t.f, src)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return err
		}
		for {
			// Between two files it is copy_file_range, or read and write where that fails.
			_, err := io.CopyN(t.f, src, copyStep)
			switch {
			case err == io.EOF:
				return nil
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			}
		}
	})
}

// Sync waits until the file is on the disk.
func (t *InPlace) Sync() error {
	return t.do(OpSync, t.path, func() error { return linux.Datasync(t.f) })
}

// Compare reads the whole file back, past the page cache where that can be done, and holds
// it against sums. What is not right at first is read once more.
func (t *InPlace) Compare(ctx context.Context, sums *Sums) (Mark, error) {
	mark, err := markOf(ctx, t.path, t.f)
	if err != nil {
		return mark, err
	}
	if mark.info.Size() != sums.size {
		return mark, &LostError{t.path, fmt.Sprintf("it has %d bytes, and had %d", mark.info.Size(), sums.size)}
	}
	f, err := linux.Reopen(t.f)
	if err != nil {
		return mark, fmt.Errorf("durable: reading back %s: %w", t.path, err)
	}
	r := &Reader{path: t.path, f: f, faults: t.faults}
	defer r.Close()
	check := func() error {
		return sums.CheckAll(ctx, t.path, func(b []byte, off int64) error { return r.Read(Direct, b, off) })
	}
	if err = check(); errors.As(err, new(*ChangedError)) {
		r.Forget(0, sums.size)
		err = check()
	}
	return mark, err
}

// ReadAt is the file's.
func (t *InPlace) ReadAt(b []byte, off int64) (int, error) { return t.f.ReadAt(b, off) }

// Close gives the file back.
func (t *InPlace) Close() { t.f.Close() }

// Summed is a source of which sums are taken as it is read; no byte is to be read twice.
func Summed(r io.ReaderAt, sums *Sums) io.ReaderAt { return summed{r, sums} }

type summed struct {
	io.ReaderAt
	sums *Sums
}

func (s summed) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(b, off)
	s.sums.Add(b[:n], off)
	return n, err
}
