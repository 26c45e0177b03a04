package parentcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// lockRetry is the time between two attempts to lock a file, which cannot be
// both waited for and cancelled.
const lockRetry = 100 * time.Millisecond

// takeLock locks the file at path, which it makes if need be; closing it gives the
// lock back. Before it waits for another process it calls waiting, once. Where there
// are no locks, it takes none.
//
// The file lies beside the parent cache, since that is replaced, and stays, since a
// lock on a removed file excludes nobody. For the same reason a lock counts only if
// the file still has its name.
func takeLock(ctx context.Context, path string, waiting func()) (*os.File, error) {
	for told := false; ; {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f, err := openLock(path)
		if err != nil {
			return nil, err
		}
		if err = linux.TryLock(f); err == nil || errors.Is(err, errors.ErrUnsupported) {
			mine, err := f.Stat()
			if now, nameErr := os.Lstat(path); err == nil && nameErr == nil && os.SameFile(mine, now) {
				return f, nil
			}
			f.Close()
			continue
		}
		f.Close()
		if !errors.Is(err, linux.ErrLocked) {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !told {
			waiting()
			told = true
		}
		select {
		case <-time.After(lockRetry):
		case <-ctx.Done():
		}
	}
}

// openLock opens a lock file, or makes it. Nothing is ever written into it. It is
// neither a link, which would lead to somebody's file or make one elsewhere, nor a
// pipe; it may belong to another user.
func openLock(path string) (*os.File, error) {
	for {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // #nosec G302 -- the umask decides, as for what any command makes
			if errors.Is(err, fs.ErrExist) {
				continue // others make it at the same time
			}
			return f, err
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%w; remove it", &NotFileError{path, info.Mode()})
		}
		if _, names, ok := linux.Owner(info); ok && names > 1 {
			return nil, fmt.Errorf("%s has %d names, a lock file has one; remove it", path, names)
		}
		const flags = linux.NoFollow | linux.NoWait
		f, err := os.OpenFile(path, os.O_RDWR|flags, 0) // NFS locks only what may be written
		if errors.Is(err, fs.ErrPermission) {
			f, err = os.OpenFile(path, os.O_RDONLY|flags, 0)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if now, err := f.Stat(); err == nil && os.SameFile(info, now) {
			return f, nil
		}
		f.Close() // replaced in between
	}
}
