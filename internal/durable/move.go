package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/linux"
)

// CanShare makes sure that a file in dir can share src's blocks: with a file without a name,
// it does so for a moment.
func CanShare(ctx context.Context, dir string, src *os.File) error {
	d, err := Scratch(ctx, dir)
	if err != nil {
		return err
	}
	defer d.Abort()
	return d.do(OpCopy, d.path, func() error { return linux.Clone(d.f, src) })
}

// Share fills the file, which is empty, with src by sharing its blocks, or fails.
func (t *InPlace) Share(src *os.File) error {
	return t.patiently(func() error {
		return t.do(OpCopy, t.path, func() error { return linux.Clone(t.f, src) })
	})
}

// File is the file itself, for what needs no data.
func (t *InPlace) File() *os.File { return t.f }

// Move gives the file the path to, in the place of what is there, and takes it away from where
// it was. Links lead to what is moved and replaced. Moved says that it has its new path, perhaps
// not yet on the disk, whatever the error.
func (t *InPlace) Move(to string) (moved bool, err error) {
	from := Target(t.path)
	to = Target(to)
	if err := LeadsTo(from, t.f); err != nil {
		return false, err
	}
	err = t.do(OpMove, to, func() error { return os.Rename(from, to) })
	if leads := LeadsTo(to, t.f); leads != nil {
		return false, errors.Join(err, leads)
	}
	t.path = to
	for _, dir := range []string{filepath.Dir(to), filepath.Dir(from)} {
		if err == nil {
			err = t.do(OpSyncDir, dir, func() error { return linux.SyncDir(dir) })
		}
	}
	return true, err
}

// Take gives f, the file at path from, the path to, which nothing may have, and takes it away
// from where it was.
func Take(ctx context.Context, f *os.File, from, to string) error {
	from = Target(from)
	t := faultsOf(ctx)
	if err := LeadsTo(from, f); err != nil {
		return err
	}
	err := t.do(OpMove, to, func() error {
		err := os.Link(from, to)
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// No links here.
		if _, err := os.Lstat(to); err == nil {
			return &LostError{to, "a file of that name has appeared meanwhile"}
		}
		return os.Rename(from, to)
	})
	if err == nil {
		err = LeadsTo(to, f)
	}
	if err == nil {
		err = t.do(OpSyncDir, filepath.Dir(to), func() error { return linux.SyncDir(filepath.Dir(to)) })
	}
	if err == nil && LeadsTo(from, f) == nil {
		err = t.do(OpRemove, from, func() error { return os.Remove(from) })
	}
	return err
}

// LeadsTo returns a *LostError unless path leads to the file that f is.
func LeadsTo(path string, f *os.File) error {
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &LostError{path, "it has been removed"}
	}
	if err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(mine, now) {
		return &LostError{path, "another file has taken its place"}
	}
	return nil
}

// CompareStart is Compare of a file that may be shorter than what sums are of: zeros are to
// follow its end.
func (t *InPlace) CompareStart(ctx context.Context, sums *Sums) (Mark, error) {
	mark, err := markOf(ctx, t.path, t.f)
	if err != nil {
		return mark, err
	}
	length := mark.info.Size()
	if length > sums.size {
		return mark, &LostError{t.path, fmt.Sprintf("it has %d bytes, and had %d at most", length, sums.size)}
	}
	f, err := linux.Reopen(t.f)
	if err != nil {
		return mark, fmt.Errorf("durable: reading back %s: %w", t.path, err)
	}
	r := &Reader{path: t.path, f: f, sums: sums, faults: t.faults}
	defer r.Close()
	return mark, r.readBackStart(ctx, length)
}

// readBackStart is readBackAll of a file of that length, without a hash.
func (r *Reader) readBackStart(ctx context.Context, length int64) error {
	defer r.Forget(0, length)
	holes := HolesOf(r.f)
	defer holes.Close()
	for try := 0; ; try++ {
		r.Forget(0, length)
		err := r.sums.CheckAll(ctx, r.path, holes, func(b []byte, off int64) error {
			n := max(0, min(int64(len(b)), length-off))
			clear(b[n:])
			if n == 0 {
				return nil
			}
			return r.Read(Direct, b[:n], off)
		})
		if try == 1 || !errors.As(err, new(*ChangedError)) {
			return cut(r.path, err)
		}
	}
}

// At is the mark of the same file under another path.
func (m Mark) At(path string) Mark {
	m.path = path
	return m
}
