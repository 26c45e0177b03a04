package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/linux"
)

// SyncFile waits until what was written to f, a file of the caller's, is on the disk.
func SyncFile(ctx context.Context, f *os.File) error {
	return faultsOf(ctx).do(OpSync, f.Name(), func() error { return linux.Datasync(f) })
}

// SyncDir waits until the names in a directory are on the disk.
func SyncDir(ctx context.Context, dir string) error {
	return faultsOf(ctx).do(OpSyncDir, dir, func() error { return linux.SyncDir(dir) })
}

// WriterOf writes to f, a file of the caller's, where it stands.
func WriterOf(ctx context.Context, f *os.File) io.Writer { return writerOf{f, faultsOf(ctx)} }

type writerOf struct {
	*os.File
	faults
}

func (w writerOf) Write(b []byte) (int, error) {
	if err := w.write(w.Name(), b, 0, func(b []byte) error {
		_, err := w.File.Write(b)
		return err
	}); err != nil {
		return 0, err
	}
	return len(b), nil
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
	return t.patiently(func() error {
		return t.do(OpResize, t.path, func() error { return t.f.Truncate(size) })
	})
}

// copyStep is how much is copied between two looks at whether to go on.
const copyStep = 64 << 20

// Copy fills the file, which is empty, with src: by sharing its blocks where the file
// system can, else by copying, which the kernel does by itself where it can. Src's holes stay
// holes, and those at its end are left out.
func (t *InPlace) Copy(ctx context.Context, src *os.File) error {
	return t.patiently(func() error { return t.copy(ctx, src) })
}

func (t *InPlace) copy(ctx context.Context, src *os.File) error {
	return t.do(OpCopy, t.path, func() error { return fill(ctx, t.f, src) })
}

// Sync waits until the file is on the disk, and its name, which somebody may have just
// given it.
func (t *InPlace) Sync() error {
	if err := t.do(OpSync, t.path, func() error { return linux.Datasync(t.f) }); err != nil {
		return err
	}
	dir := filepath.Dir(Target(t.path))
	err := t.do(OpSyncDir, dir, func() error { return linux.SyncDir(dir) })
	if errors.Is(err, fs.ErrPermission) {
		return nil // who may use the file but not list the directory can do no more
	}
	return err
}

// Compare holds the whole file, as the disk yields it, against sums.
func (t *InPlace) Compare(ctx context.Context, sums *Sums) (Mark, error) {
	mark, err := markOf(ctx, t.path, t.f)
	if err != nil {
		return mark, err
	}
	f, err := linux.Reopen(t.f)
	if err != nil {
		return mark, fmt.Errorf("durable: reading back %s: %w", t.path, err)
	}
	r := &Reader{path: t.path, f: f, sums: sums, faults: t.faults}
	defer r.Close()
	return mark, r.readBackAll(ctx, nil)
}

// ReadAt is the file's.
func (t *InPlace) ReadAt(b []byte, off int64) (int, error) { return t.f.ReadAt(b, off) }

// Close gives the file back.
func (t *InPlace) Close() { t.f.Close() }
