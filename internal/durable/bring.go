package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sdr-engine/sdr/internal/linux"
)

// Made is a committed file as it was then, and the checksums of what is in it, for Bring.
func (d *File) Made() (Mark, *Sums) { return d.mark, d.sums }

// Bring gives a file of another directory its name in this one, too, where nothing may have it but
// that file: by one name more on one file system, else as a copy, which shares the file's
// blocks where it can, is on the disk and was held against sums. What mark says is the file that
// is meant. The name is on the disk after Sync.
func (d *Dir) Bring(ctx context.Context, from *Dir, name string, mark Mark, sums *Sums) error {
	path := d.PathOf(name)
	failed := func(err error) error {
		if said := (*LostError)(nil); errors.As(err, &said) {
			return err
		}
		return fmt.Errorf("durable: bringing %s to %s: %w", from.PathOf(name), path, err)
	}
	r, err := from.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &LostError{from.PathOf(name), "it has been removed"}
	}
	if err != nil {
		return failed(err)
	}
	defer r.Close()
	mine, err := r.f.Stat()
	if err != nil {
		return failed(err)
	}
	if mark.info == nil || !os.SameFile(mine, mark.info) {
		return &LostError{from.PathOf(name), "another file has taken its place"}
	}
	err = d.patiently(func() error {
		return d.do(OpPublish, path, func() error { return d.another(r.f, mine, name) })
	})
	if errors.Is(err, errors.ErrUnsupported) {
		err = d.copied(ctx, r.f, name, sums)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// another gives f one name more.
func (d *Dir) another(f *os.File, mine os.FileInfo, name string) error {
	if !d.isAt() {
		return &LostError{d.PathOf(name), dirLost}
	}
	err := d.link(f, name)
	switch {
	case errors.Is(err, fs.ErrExist) && d.leads(name, mine): // of a job that was killed then
	case errors.Is(err, fs.ErrExist):
		return &LostError{d.PathOf(name), "a file of that name has appeared while it was made elsewhere"}
	case err != nil:
		return err
	case !d.leads(name, mine):
		return &LostError{d.PathOf(name), "another file has got its name"}
	}
	return nil
}

// copied makes a copy of src, of which sums are.
func (d *Dir) copied(ctx context.Context, src *os.File, name string, sums *Sums) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	defer f.Abort()
	f.size, f.sums = sums.size, sums
	err = f.patiently(func() error {
		return f.do(OpCopy, f.path, func() error {
			if err := f.f.Truncate(f.size); err != nil {
				return err
			}
			return fill(ctx, f.f, src)
		})
	})
	if err != nil {
		return err
	}
	return f.Commit(ctx)
}

// fill makes dst src's copy: by sharing its blocks where the file system can, else by copying,
// which the kernel does by itself where it can. Src's holes stay holes, and those at its end are
// left out.
func fill(ctx context.Context, dst, src *os.File) error {
	if _, err := dst.Seek(0, io.SeekStart); err != nil { // an attempt may have failed in the middle
		return err
	}
	err := linux.Clone(dst, src)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return copySparse(ctx, dst, src)
}

// Sync waits until the names that were given, and taken, are on the disk.
func (d *Dir) Sync() error {
	if err := d.sync(); err != nil {
		return fmt.Errorf("durable: syncing directory %s: %w", d.path, err)
	}
	return nil
}

// IsDir reports whether a name is that of a directory.
func (d *Dir) IsDir(name string) bool {
	info, err := d.root.Lstat(name)
	return err == nil && info.IsDir()
}
