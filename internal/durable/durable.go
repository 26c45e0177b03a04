// Package durable makes files that appear under their name only when they are
// complete, on the disk, and there as they were written.
//
// Its temporary names are fixed, not random as renameio's: what a crash leaves
// behind is as large as a sector, and the next attempt removes it instead of
// filling the disk with another. A lock on the file keeps two attempts apart.
package durable

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
)

// TempName is the name under which a file of that name grows.
func TempName(name string) string { return "." + name + ".tmp" }

// A File is being written. Its WriteAt calls may come from many goroutines;
// Commit, Replace or Abort ends it.
type File struct {
	dir    *Dir
	ownDir bool   // the file closes it
	name   string // that it will have
	path   string // for people
	f      *os.File
	size   int64
	direct *os.File // the same file past the page cache; nil if it was never asked for, or cannot be
	sums   *Sums    // of what was written; nil for a scratch file
	hash   hash.Hash
	mark   Mark // the file as it was committed

	adopted Mark // as it was then, before it was read

	scratch bool // it has no name
	stays   bool // when Commit is cut short
	faults
}

// A Way says how what is written gets to the disk.
type Way int

// The ways. One that the system or the file system does not have falls back to
// the next.
const (
	// Direct goes past the page cache: no copy, and no memory taken from others.
	Direct Way = iota
	// Uncached goes through the page cache and leaves nothing there.
	Uncached
	// Behind goes through the page cache, and the way to the disk begins at once;
	// the pages stay as long as nobody needs the memory.
	Behind
)

func (w Way) String() string {
	if w < Direct || w > Behind {
		return "unknown"
	}
	return [...]string{"direct", "uncached", "behind"}[w]
}

// Create starts a file that will appear at path. What a crash left of an earlier
// attempt goes. Where the system has locks (Linux), another job that is making
// the same file is an error, linux.ErrLocked.
func Create(ctx context.Context, path string) (*File, error) {
	dir, err := OpenDir(ctx, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("durable: creating %s: %w", path, err)
	}
	d, err := dir.Create(filepath.Base(path))
	if err != nil {
		dir.Close()
		return nil, err
	}
	d.ownDir, d.path = true, path
	return d, nil
}

// Create is the function Create in this directory.
func (d *Dir) Create(name string) (*File, error) {
	path := filepath.Join(d.path, name)
	f, err := d.create(TempName(name))
	if err != nil {
		return nil, fmt.Errorf("durable: creating %s: %w", path, err)
	}
	return &File{dir: d, name: name, path: path, f: f, faults: d.faults}, nil
}

// Adopt goes on with the unfinished file of that name that an earlier job has left (see Keep),
// if it has so many bytes: what is in it, the caller must know. It is an error if it is not
// there, or could be anybody else's: under another name too, of another owner, no file.
// Another job that has it is linux.ErrLocked. As after Reserve, nothing is known to have been
// written; Trust says what was.
func (d *Dir) Adopt(name string, size int64, block int) (*File, error) {
	path := d.PathOf(name)
	f, err := d.adopt(TempName(name), size)
	if err != nil {
		return nil, fmt.Errorf("durable: going on with %s: %w", path, err)
	}
	file := &File{dir: d, name: name, path: path, f: f, faults: d.faults}
	if err := file.ReserveBlocks(size, block); err != nil {
		file.close()
		return nil, err
	}
	if file.adopted, err = MarkOf(path, f); err != nil {
		file.close()
		return nil, err
	}
	return file, nil
}

// Scratch makes a file in dir that never has a name for longer than a moment: it is
// there until Abort, or the process's end, and cannot be committed. Without Reserve
// it grows.
func Scratch(ctx context.Context, dir string) (*File, error) {
	d := &File{path: "a scratch file in " + dir, size: math.MaxInt64, scratch: true, faults: faultsOf(ctx).impatient()}
	err := d.do(OpCreate, d.path, func() (err error) {
		if d.f, err = linux.Unnamed(dir); err == nil {
			return nil
		}
		d.f, err = os.CreateTemp(dir, TempName("scratch-*"))
		if err == nil {
			if err = os.Remove(d.f.Name()); err != nil { // a system that keeps files that are open
				d.f.Close()
				os.Remove(d.f.Name())
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("durable: creating a scratch file in %s: %w", dir, err)
	}
	return d, nil
}

// Reserve sets the file's length, and takes the disk space for it where the file
// system can, so that a full disk shows now. It comes before the first WriteAt.
func (d *File) Reserve(size int64) error { return d.ReserveBlocks(size, sumBlock) }

// ReserveBlocks is Reserve for a file that is read back before it is whole, in blocks of
// so many bytes: see Reader.
func (d *File) ReserveBlocks(size int64, block int) error {
	err := d.patiently(func() error {
		return d.do(OpReserve, d.path, func() error {
			err := linux.Reserve(d.f, size)
			if errors.Is(err, errors.ErrUnsupported) {
				err = d.f.Truncate(size)
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("durable: reserving %d bytes for %s: %w", size, d.path, err)
	}
	d.size = size
	if !d.scratch {
		d.sums = NewSums(size, block)
	}
	return nil
}

// WriteAt writes b at off, within the size reserved. No byte is written twice, but in a
// scratch file.
func (d *File) WriteAt(b []byte, off int64) (int, error) {
	if err := d.put(b, off, func(b []byte) error {
		_, err := d.f.WriteAt(b, off)
		return err
	}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Trust notes what is in the file at off already: b, as it was read.
func (d *File) Trust(b []byte, off int64) { d.sums.Add(b, off) }

// Sync waits until what was written is on the disk. The file has no name yet.
func (d *File) Sync() error {
	if err := d.do(OpSync, d.path, func() error { return linux.Datasync(d.f) }); err != nil {
		return fmt.Errorf("durable: syncing %s: %w", d.path, err)
	}
	return nil
}

// put writes b, by way of write, and remembers what it was.
func (d *File) put(b []byte, off int64, write func(b []byte) error) error {
	if off < 0 || off > d.size-int64(len(b)) {
		return fmt.Errorf("durable: writing %s: %d bytes at %d are outside of its %d", d.path, len(b), off, d.size)
	}
	if d.sums != nil {
		d.sums.Add(b, off)
	}
	if err := d.patiently(func() error { return d.write(d.path, b, off, write) }); err != nil {
		return fmt.Errorf("durable: writing %s: %d bytes at %d: %w", d.path, len(b), off, err)
	}
	return nil
}

// AllowDirect readies the file for WriteVia(Direct). It comes after Reserve, before
// the writes. False means that the file system has no such way.
func (d *File) AllowDirect() bool {
	if d.direct == nil && d.f != nil {
		d.direct, _ = linux.OpenDirect(d.f)
	}
	return d.direct != nil
}

// WriteVia is WriteAt by a certain way.
func (d *File) WriteVia(way Way, b []byte, off int64) error {
	return d.put(b, off, func(b []byte) error {
		if way == Direct && d.direct != nil && aligned(b, off) {
			_, err := d.direct.WriteAt(b, off)
			// Some file systems open such a file, and then want another alignment.
			if !errors.Is(err, syscall.EINVAL) {
				return err
			}
		}
		if way != Behind {
			_, err := linux.WriteUncached(d.f, b, off)
			if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		_, err := d.f.WriteAt(b, off)
		d.StartWriteback(off, int64(len(b)))
		return err
	})
}

func aligned(b []byte, off int64) bool {
	const mask = linux.DirectAlign - 1
	return (uintptr(unsafe.Pointer(unsafe.SliceData(b)))|uintptr(len(b))|uintptr(off))&mask == 0
}

// Reader opens the file once more, to read what was written, also after Commit
// or Abort.
func (d *File) Reader() (*Reader, error) {
	var f *os.File
	err := d.do(OpOpen, d.path, func() (err error) {
		f, err = linux.Reopen(d.f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("durable: reading %s: %w", d.path, err)
	}
	return &Reader{path: d.path, f: f, sums: d.sums, faults: d.faults}, nil
}

// Path is where the file will appear, or, of a scratch file, what it is.
func (d *File) Path() string { return d.path }

// Hash has Commit write the file, as it is read back, to h. It comes before Commit.
func (d *File) Hash(h hash.Hash) { d.hash = h }

// Lost is a *LostError if the file has no name any more: somebody has removed it, and what
// is written to it goes nowhere. It asks only the kernel.
func (d *File) Lost() error {
	if d.f == nil || d.scratch {
		return nil
	}
	if names, ok := linux.Names(d.f); ok && names == 0 {
		return &LostError{d.path, "it was removed while it was written"}
	}
	return nil
}

// StartWriteback starts the way to the disk of n bytes written at off. It is
// only a hint: errors show in Commit.
func (d *File) StartWriteback(off, n int64) { _ = linux.StartWriteback(d.f, off, n) }

// ReadVia fills b with what was written at off: by way of Direct past the page cache
// where AllowDirect and the alignment of both let it.
func (d *File) ReadVia(way Way, b []byte, off int64) error {
	direct := d.direct
	if way != Direct {
		direct = nil
	}
	err := d.read(d.path, b, off, func() error { return ReadFull(direct, d.f, b, off) })
	if err != nil {
		return fmt.Errorf("durable: reading %s: %w", d.path, err)
	}
	return nil
}

// ReadFull fills b from direct, a file past the page cache, if that is not nil and the
// alignment of b and off is as it wants, otherwise from f, the same file. A short read is
// io.ErrUnexpectedEOF.
func ReadFull(direct, f *os.File, b []byte, off int64) error {
	if direct != nil && aligned(b, off) {
		// Some file systems open such a file, and then want another alignment.
		if err := readFull(direct, b, off); !errors.Is(err, syscall.EINVAL) {
			return err
		}
	}
	return readFull(f, b, off)
}

// readFull is f.ReadAt that takes a short read for an error.
func readFull(f *os.File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ReadAt reads what was written.
func (d *File) ReadAt(b []byte, off int64) (n int, err error) {
	err = d.read(d.path, b, off, func() error {
		n, err = d.f.ReadAt(b, off)
		return err
	})
	return n, err
}

// Commit waits until the file is on the disk, reads all of it back and gives it its name,
// which nothing may have. On an error nothing is left, unless it is only the directory that
// could not be synced. A *LostError says that somebody has removed or replaced the file, or
// put another in its place; a *ChangedError, that the disk does not yield what was written.
//
// Invariant: what appears under the name is the file that this File has written, byte for
// byte as the disk yields it. No other code gives a file its name.
func (d *File) Commit(ctx context.Context) error { return d.commit(ctx, false, true) }

// CommitTrusted is Commit of a file that was adopted, and then read whole, from the disk, and trusted: it
// is not read back once more.
func (d *File) CommitTrusted(ctx context.Context) error { return d.commit(ctx, false, false) }

// Replace is Commit for a file that may take the place of another.
func (d *File) Replace(ctx context.Context) error { return d.commit(ctx, true, true) }

func (d *File) commit(ctx context.Context, replace, readBack bool) error {
	if d.scratch {
		return fmt.Errorf("durable: committing %s: %w", d.path, errors.ErrUnsupported)
	}
	if d.f == nil {
		return fmt.Errorf("durable: committing %s: %w", d.path, os.ErrClosed)
	}
	doing := "syncing: "
	err := d.do(OpSync, d.path, func() error { return linux.Datasync(d.f) })
	if err == nil {
		doing = "" // what follows says it itself
	}
	if !readBack {
		d.mark = d.adopted
	} else if err == nil {
		// Before it is read back: who writes to it from now on is either seen in what is
		// read, or in the file's time.
		if d.mark, err = markOf(ctx, d.path, d.f); err == nil {
			err = d.verify(ctx)
		}
	}
	if err == nil {
		doing = "giving it its name: "
		err = d.patiently(func() error {
			return d.do(OpPublish, d.path, func() error { return d.dir.publish(d.f, TempName(d.name), d.name, replace) })
		})
	}
	if err != nil {
		d.mark = Mark{}
		if d.stays && ctx.Err() != nil {
			d.Keep()
		} else {
			d.Abort()
		}
		if said := (*LostError)(nil); errors.As(err, &said) {
			return err
		}
		return fmt.Errorf("durable: committing %s: %s%w", d.path, doing, err)
	}
	err = d.dir.sync()
	d.close()
	if err != nil {
		return fmt.Errorf("durable: committing %s: syncing its directory: %w", d.path, err)
	}
	return nil
}

// verify compares the file with what was written.
func (d *File) verify(ctx context.Context) error {
	if d.sums == nil {
		return nil // nothing was
	}
	r, err := d.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	return r.readBackAll(ctx, d.hash)
}

// Recheck makes sure that what was committed is still under its name, as it was: the
// same file, of that length, that nobody has written to. If its time does not say so, it is
// read once more. If it is our file and wrong, it does not keep its name.
func (d *File) Recheck(ctx context.Context) error {
	if d.mark.info == nil {
		return nil
	}
	same, err := d.mark.Same()
	if err == nil && !same {
		var r *Reader
		if r, err = Open(ctx, d.path); err == nil {
			r.Trust(d.sums)
			err = r.readBackAll(ctx, nil)
			r.Close()
		}
	}
	if errors.As(err, new(*ChangedError)) || errors.As(err, new(*LostError)) {
		if now, statErr := os.Lstat(d.path); statErr == nil && os.SameFile(now, d.mark.info) {
			err = errors.Join(err, os.Remove(d.path))
		}
	}
	return err
}

// Discard removes a file that was committed, if it is still what bears its name. The directory
// must be open: it is not after Commit of a file of the function Create.
func (d *File) Discard() error {
	if d.mark.info == nil {
		return nil
	}
	mark := d.mark
	d.mark = Mark{}
	if !d.dir.leads(d.name, mark.info) {
		return nil
	}
	return d.dir.Remove(d.name)
}

// Abort removes the unfinished file. After Commit it does nothing.
func (d *File) Abort() {
	if d.f == nil {
		return
	}
	if !d.scratch {
		// Only what is ours goes: somebody may have begun again.
		if mine, err := d.f.Stat(); err == nil && d.dir.leads(TempName(d.name), mine) {
			_ = d.dir.root.Remove(TempName(d.name))
		}
	}
	d.close()
}

// Stay has a Commit that its context cuts short leave the unfinished file, as Keep does.
func (d *File) Stay() { d.stays = true }

// Keep ends the writing, and leaves the unfinished file where it is, for Adopt. After Commit
// it does nothing.
func (d *File) Keep() {
	if d.f != nil {
		d.close()
	}
}

func (d *File) close() {
	if d.direct != nil {
		d.direct.Close()
	}
	d.f.Close()
	if d.ownDir {
		d.dir.Close()
	}
	d.f, d.direct = nil, nil
}
