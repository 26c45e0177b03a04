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

// A Dir is a directory in which files get their names. It stays the same one whatever
// becomes of its path: what is done in it is done by way of its descriptor.
type Dir struct {
	path string
	root *os.Root
	f    *os.File // the same directory
	faults
}

// OpenDir opens the directory at path.
func OpenDir(ctx context.Context, path string) (*Dir, error) {
	failed := func(err error) (*Dir, error) {
		return nil, fmt.Errorf("durable: opening directory %s: %w", path, err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return failed(err)
	}
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return failed(err)
	}
	return &Dir{path, root, f, faultsOf(ctx)}, nil
}

// Close ends the use of the directory and gives its lock back.
func (d *Dir) Close() {
	d.f.Close()
	d.root.Close()
}

// Lock takes the directory for a job, until Close. It survives the removal of all files
// in it. Another job that has it is linux.ErrLocked; a system or file system without
// locks has none.
func (d *Dir) Lock() error {
	if err := linux.TryLock(d.f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("durable: locking directory %s: %w", d.path, err)
	}
	return nil
}

// Remove removes a file, if it is there.
func (d *Dir) Remove(name string) error {
	path := filepath.Join(d.path, name)
	err := d.do(OpRemove, path, func() error { return d.root.Remove(name) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("durable: removing %s: %w", path, err)
	}
	return nil
}

// PathOf is where a file of that name is, for people.
func (d *Dir) PathOf(name string) string { return filepath.Join(d.path, name) }

// Open opens a file of that name to read it. A link is not followed, a pipe not waited for.
func (d *Dir) Open(name string) (*Reader, error) {
	r := &Reader{path: d.PathOf(name), faults: d.faults}
	err := r.do(OpOpen, r.path, func() (err error) {
		r.f, err = d.open(name, os.O_RDONLY|linux.NoWait)
		return err
	})
	return r, err
}

// IsRegular reports whether a name is that of a file, not of a link, a directory or another thing.
func (d *Dir) IsRegular(name string) (bool, error) {
	info, err := d.root.Lstat(name)
	return err == nil && info.Mode().IsRegular(), err
}

// Names are the names of what is in the directory.
func (d *Dir) Names() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("durable: listing %s: %w", d.path, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// sync waits until the names in the directory are on the disk.
func (d *Dir) sync() error {
	return d.do(OpSyncDir, d.path, func() error {
		if err := d.f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		return nil
	})
}

// isAt reports whether the directory is still the one at its path.
func (d *Dir) isAt() bool {
	mine, err := d.f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.path)
	return err == nil && os.SameFile(mine, now)
}

// open opens what has a name, but not through a link: os.Root follows one that stays inside
// it, whatever the flags say.
func (d *Dir) open(name string, flags int) (*os.File, error) {
	for try := 1; ; try++ {
		f, err := d.root.OpenFile(name, flags|linux.NoFollow, 0)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && d.leads(name, info) {
			return f, nil
		}
		f.Close()
		if err == nil && try == 3 { // a file may be replaced just now, but not each time
			err = &fs.PathError{Op: "open", Path: d.PathOf(name), Err: errLink}
		}
		if err != nil {
			return nil, err
		}
	}
}

var errLink = errors.New("it is a link to a file")

// leads reports whether a name leads to that file.
func (d *Dir) leads(name string, file fs.FileInfo) bool {
	now, err := d.root.Lstat(name)
	return err == nil && os.SameFile(file, now)
}

// create makes a file that was not there, for this process alone: what has the name goes,
// unless somebody has its lock. A file that somebody else has put there is never written
// to, whatever its other names, and no matter who owns it.
func (d *Dir) create(name string) (*os.File, error) {
	path := filepath.Join(d.path, name)
	for {
		var f *os.File
		err := d.do(OpCreate, path, func() (err error) {
			f, err = d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|linux.NoFollow, 0o666)
			return err
		})
		if errors.Is(err, fs.ErrExist) {
			err = d.removeStale(name)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, fs.ErrNotExist) && !d.isAt() {
			return nil, &LostError{path, dirLost}
		}
		if err != nil {
			return nil, err
		}
		if err := linux.TryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		mine, err := f.Stat()
		if err == nil && d.leads(name, mine) {
			return f, nil
		}
		f.Close() // another job took it for stale between the two calls
		if err != nil {
			return nil, err
		}
	}
}

// adopt opens a file that this process may go on with.
func (d *Dir) adopt(name string, size int64) (f *os.File, err error) {
	err = d.do(OpOpen, d.PathOf(name), func() (err error) {
		f, err = d.open(name, os.O_RDWR|linux.NoWait)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			f = nil
		}
	}()
	if err := linux.TryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return f, fmt.Errorf("locking: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return f, err
	}
	switch owner, names, ok := linux.Owner(info); {
	case !ok:
		return f, errors.ErrUnsupported // whose it is cannot be told
	case !info.Mode().IsRegular() || owner != os.Geteuid() || names != 1:
		return f, errors.New("it is no file of this user's with one name")
	case info.Size() != size:
		return f, fmt.Errorf("it has %d bytes, want %d", info.Size(), size)
	case !d.leads(name, info):
		return f, errors.New("it was replaced meanwhile")
	}
	return f, nil
}

// removeStale removes what a crash left under a temporary name. If a job has its lock it
// is linux.ErrLocked.
func (d *Dir) removeStale(name string) error {
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		f, err := d.root.OpenFile(name, os.O_RDONLY|linux.NoFollow, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, fs.ErrPermission): // somebody else's, of whom nobody can be asked for a lock
		case err != nil:
			return err
		default:
			defer f.Close()
			if err := linux.TryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				return fmt.Errorf("locking %s: %w", filepath.Join(d.path, name), err)
			}
			mine, err := f.Stat()
			if err != nil || !d.leads(name, mine) {
				return err // its job has finished meanwhile
			}
		}
	} else if info.IsDir() {
		return fmt.Errorf("%s is a directory", filepath.Join(d.path, name))
	}
	if err := d.Remove(name); err != nil {
		return fmt.Errorf("%w: it is in the way of a temporary file, and in some directories only its owner may remove it", err)
	}
	return nil
}

// What errors.Is finds in every error of its kind, for those who cannot say *LostError and
// *ChangedError.
var (
	ErrLost    = errors.New("a file was lost")
	ErrChanged = errors.New("a file was changed")
)

// A LostError says that the file that a job has made, or is making, is no longer what its
// names lead to: the job must not go on as if it were.
type LostError struct {
	Path   string // where the file is, or was to appear
	Reason string
}

const dirLost = "its directory was moved, removed or replaced meanwhile"

// Is reports whether target is ErrLost.
func (e *LostError) Is(target error) bool { return target == ErrLost }

func (e *LostError) Error() string {
	return fmt.Sprintf("durable: keeping %s: %s: another job, or a person, is at work there", e.Path, e.Reason)
}

// cut makes a read that ended early, where the file had more, a *LostError.
func cut(path string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &LostError{path, "it has been cut short"}
	}
	return err
}

// publish gives f the name final. The name leads to f itself, by its descriptor, not to
// what bears its temporary name by then. Unless replace is set nothing may have the name.
func (d *Dir) publish(f *os.File, temp, final string, replace bool) error {
	lost := func(reason string) error { return &LostError{filepath.Join(d.path, final), reason} }
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if !d.isAt() {
		return lost(dirLost)
	}
	if !d.leads(temp, mine) {
		return lost("its temporary file was removed or replaced while it was written")
	}
	err = d.link(f, final)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case errors.Is(err, fs.ErrExist) && !replace:
		return lost("a file of that name has appeared while it was written")
	case errors.Is(err, fs.ErrExist):
		err = d.replace(f, temp, final)
	case errors.Is(err, fs.ErrNotExist):
		return lost("it was removed while it was written")
	}
	if errors.Is(err, errors.ErrUnsupported) {
		// No links here. The name leads to f a moment before, and is looked at after.
		if _, err := d.root.Lstat(final); err == nil && !replace {
			return lost("a file of that name has appeared while it was written")
		}
		err = d.root.Rename(temp, final)
	}
	if err != nil {
		return err
	}
	if !d.leads(final, mine) {
		return lost("another file has got its name")
	}
	if d.leads(temp, mine) {
		_ = d.root.Remove(temp) // the next attempt would
	}
	return nil
}

func (d *Dir) link(f *os.File, name string) error {
	return linux.LinkTo(f, d.f, name)
}

// replace is publish where a file has the name: by way of one name more, for a moment.
func (d *Dir) replace(f *os.File, temp, final string) error {
	if info, err := d.root.Lstat(final); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", filepath.Join(d.path, final))
	}
	next := temp + ".new"
	if err := d.Remove(next); err != nil {
		return err
	}
	if err := d.link(f, next); err != nil {
		return err
	}
	if err := d.root.Rename(next, final); err != nil {
		_ = d.Remove(next)
		return err
	}
	return nil
}
