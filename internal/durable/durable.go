// Package durable makes files that appear under their name only when they are
// complete and on the disk.
//
// Its temporary names are fixed, not random as renameio's: what a crash leaves
// behind is as large as a sector, and the next attempt removes it instead of
// filling the disk with another. A lock on the file keeps two attempts apart.
package durable

import (
	"errors"
	"fmt"
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
// Commit or Abort ends it.
type File struct {
	path   string
	f      *os.File
	size   int64
	direct *os.File // the same file past the page cache; nil if it was never asked for, or cannot be

	scratch bool // it has no name
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
func Create(path string) (*File, error) {
	f, err := openLocked(filepath.Join(filepath.Dir(path), TempName(filepath.Base(path))))
	if err != nil {
		return nil, fmt.Errorf("durable: creating %s: %w", path, err)
	}
	return &File{path: path, f: f}, nil
}

// Scratch makes a file in dir that never has a name for longer than a moment: it is
// there until Abort, or the process's end, and cannot be committed. Without Reserve
// it grows.
func Scratch(dir string) (*File, error) {
	f, err := linux.Unnamed(dir)
	if err != nil {
		f, err = os.CreateTemp(dir, TempName("scratch-*"))
		if err == nil {
			if err = os.Remove(f.Name()); err != nil { // a system that keeps files that are open
				f.Close()
				os.Remove(f.Name())
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("durable: creating a scratch file in %s: %w", dir, err)
	}
	return &File{path: "a scratch file in " + dir, f: f, size: math.MaxInt64, scratch: true}, nil
}

// openLocked makes the temporary file and takes its lock, which goes when the
// file is closed or the process ends.
func openLocked(temp string) (*os.File, error) {
	for {
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|linux.NoFollow, 0o666)
		if err != nil {
			return nil, err
		}
		if err := linux.TryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", temp, err)
		}
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		// Another job may have finished with this file between the two calls,
		// so that it has another name now.
		now, err := os.Lstat(temp)
		if current := err == nil && os.SameFile(mine, now); current && mine.Size() == 0 {
			return f, nil
		} else if current {
			// A crash left it. It is not used again: it may have another name,
			// in a snapshot made of hard links for example.
			err = os.Remove(temp)
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// Reserve sets the file's length, and takes the disk space for it where the file
// system can, so that a full disk shows now. It comes before the first WriteAt.
func (d *File) Reserve(size int64) error {
	err := linux.Reserve(d.f, size)
	if errors.Is(err, errors.ErrUnsupported) {
		err = d.f.Truncate(size)
	}
	if err != nil {
		return fmt.Errorf("durable: reserving %d bytes for %s: %w", size, d.path, err)
	}
	d.size = size
	return nil
}

// WriteAt writes b at off, within the size reserved.
func (d *File) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > d.size-int64(len(b)) {
		return 0, fmt.Errorf("durable: writing %s: %d bytes at %d are outside of its %d", d.path, len(b), off, d.size)
	}
	n, err := d.f.WriteAt(b, off)
	if err != nil {
		return n, fmt.Errorf("durable: writing %s: %w", d.path, err)
	}
	return n, nil
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
	if off < 0 || off > d.size-int64(len(b)) {
		return fmt.Errorf("durable: writing %s: %d bytes at %d are outside of its %d", d.path, len(b), off, d.size)
	}
	if way == Direct && d.direct != nil && aligned(b, off) {
		_, err := d.direct.WriteAt(b, off)
		if err == nil {
			return nil
		}
		// Some file systems open such a file, and then want another alignment.
		if !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("durable: writing %s: %w", d.path, err)
		}
	}
	if way != Behind {
		_, err := linux.WriteUncached(d.f, b, off)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			if err != nil {
				err = fmt.Errorf("durable: writing %s: %w", d.path, err)
			}
			return err
		}
	}
	_, err := d.WriteAt(b, off)
	d.StartWriteback(off, int64(len(b)))
	return err
}

func aligned(b []byte, off int64) bool {
	const mask = linux.DirectAlign - 1
	return (uintptr(unsafe.Pointer(unsafe.SliceData(b)))|uintptr(len(b))|uintptr(off))&mask == 0
}

// Reader opens the file once more, to read what was written, also after Commit
// or Abort.
func (d *File) Reader() (*os.File, error) {
	f, err := os.Open(d.f.Name())
	if err != nil {
		return nil, fmt.Errorf("durable: reading %s: %w", d.path, err)
	}
	return f, nil
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
	if err := ReadFull(direct, d.f, b, off); err != nil {
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
func (d *File) ReadAt(b []byte, off int64) (int, error) { return d.f.ReadAt(b, off) }

// Commit waits until the file is on the disk and gives it its name, replacing
// what had it before. On an error nothing is left, unless it is only the folder
// that could not be synced.
func (d *File) Commit() error {
	if d.scratch {
		return fmt.Errorf("durable: committing %s: %w", d.path, errors.ErrUnsupported)
	}
	err := linux.Datasync(d.f)
	if err == nil {
		err = os.Rename(d.f.Name(), d.path)
	}
	if err != nil {
		d.Abort()
		return fmt.Errorf("durable: committing %s: %w", d.path, err)
	}
	d.close()
	if err := linux.SyncDir(filepath.Dir(d.path)); err != nil {
		return fmt.Errorf("durable: committing %s: syncing its folder: %w", d.path, err)
	}
	return nil
}

// Abort removes the unfinished file. After Commit it does nothing.
func (d *File) Abort() {
	if d.f != nil {
		if !d.scratch {
			os.Remove(d.f.Name())
		}
		d.close()
	}
}

func (d *File) close() {
	if d.direct != nil {
		d.direct.Close()
	}
	d.f.Close()
	d.f, d.direct = nil, nil
}
