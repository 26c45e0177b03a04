package linux

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NoFollow makes opening a symbolic link an error.
const NoFollow = unix.O_NOFOLLOW

// Appends reports whether all that is written to f goes to its end.
func Appends(f *os.File) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_APPEND != 0
}

// Clone makes dst share src's blocks, copy on write, where the file system can.
func Clone(dst, src *os.File) error {
	return unsupported(retry(func() error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }))
}

// CanClone reports whether files in dir can share src's blocks. It tries with the first of them, and a
// file without a name: where there are none of these it says no.
func CanClone(src *os.File, dir string) bool {
	const part = 1 << 20 // whole blocks
	info, err := src.Stat()
	if err != nil {
		return false
	}
	dst, err := Unnamed(dir)
	if err != nil {
		return false
	}
	defer dst.Close()
	span := unix.FileCloneRange{Src_fd: int64(src.Fd())} // up to its end
	if info.Size() > part {
		span.Src_length = part
	}
	return retry(func() error { return unix.IoctlFileCloneRange(int(dst.Fd()), &span) }) == nil
}

// Reserve takes size bytes of the file system's space for f and sets its length.
func Reserve(f *os.File, size int64) error {
	return unsupported(retry(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) }))
}

// StartWriteback starts writing a part of f to the disk without waiting for it.
func StartWriteback(f *os.File, off, n int64) error {
	return unsupported(retry(func() error {
		return unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}))
}

// DropCache asks the kernel to forget a part of f that is on the disk, so that it
// takes no memory from those who read something again.
func DropCache(f *os.File, off, n int64) error {
	return unsupported(retry(func() error {
		return unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED)
	}))
}

// WriteUncached writes b at off by way of pages that are dropped as soon as they
// are on the disk (RWF_DONTCACHE), and starts their way there.
func WriteUncached(f *os.File, b []byte, off int64) (n int, err error) {
	const dontCache = 0x80 // since Linux 6.14
	for n < len(b) {
		var m int
		err := retry(func() (err error) {
			m, err = unix.Pwritev2(int(f.Fd()), [][]byte{b[n:]}, off+int64(n), dontCache)
			return err
		})
		if err != nil {
			return n, unsupported(err)
		}
		n += m
	}
	return n, nil
}

// DirectAlign is what memory, offset and length of a direct write or read are
// multiples of, on every disk that we know of.
const DirectAlign = 4096

// OpenDirect opens the file that f is once more, for writing and reading past the
// page cache (O_DIRECT).
func OpenDirect(f *os.File) (*os.File, error) {
	d, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	return d, nil
}

// Unnamed makes a file in dir that has no name and goes when it is closed.
func Unnamed(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	return f, nil
}

// MayCreate reports, as an error, that this process may not make files in dir, whatever its
// directory entry says: for lack of rights, or since the file system is read-only. Nothing is
// left there. Other errors, of a full disk for example, are none: they may pass.
func MayCreate(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		return err
	}
	return nil
}

// Datasync waits until f's data, and what is needed to read it back, is on the disk.
func Datasync(f *os.File) error {
	return retry(func() error { return unix.Fdatasync(int(f.Fd())) })
}

// TryLock takes f's lock, which the kernel releases when f is closed or the
// process ends, or returns ErrLocked at once.
func TryLock(f *os.File) error {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return unsupported(err)
}

// TryLockShared takes a part of f's lock, which others may share, or returns
// ErrLocked at once if somebody has it alone.
func TryLockShared(f *os.File) error {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return unsupported(err)
}

// Lock waits for f's lock.
func Lock(f *os.File) error {
	return unsupported(retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) }))
}

// LockShared waits for a part of f's lock, which others may share.
func LockShared(f *os.File) error {
	return unsupported(retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_SH) }))
}

// Unlock gives f's lock back at once, even while a child that is being started
// still has a copy of the descriptor, which Close would wait for.
func Unlock(f *os.File) error {
	return unsupported(retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }))
}

// Owner is the user that owns a file, and how many names it has.
func Owner(info os.FileInfo) (uid int, names uint64, ok bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), uint64(st.Nlink), true
	}
	return 0, 0, false
}

// Allocated is how many bytes of its file system a file takes.
func Allocated(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(max(0, st.Blocks)) * 512 // whatever the file system's own blocks
	}
	return 0
}

// FreeSpace is how many bytes the file system that dir is on has left for this user, and
// the device that stands for it. Not ok is not known.
func FreeSpace(dir string) (free, device uint64, ok bool) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if retry(func() error { return unix.Stat(dir, &st) }) != nil || retry(func() error { return unix.Statfs(dir, &fs) }) != nil || fs.Blocks == 0 {
		return 0, 0, false
	}
	blocks := fs.Bavail
	if os.Geteuid() == 0 {
		blocks = fs.Bfree // with what is kept for root
	}
	unit := uint64(max(0, fs.Frsize))
	if unit == 0 {
		unit = uint64(max(0, fs.Bsize))
	}
	if unit > 0 && blocks > ^uint64(0)/unit {
		return 0, 0, false
	}
	return blocks * unit, uint64(st.Dev), true
}

// LockID is what stands for a file in /proc/locks, "fd:01:12345".
func LockID(info os.FileInfo) (id string, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	device := uint64(st.Dev)
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), st.Ino), true
}

func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// unsupported maps the many ways in which file systems say that they have no
// such operation to errors.ErrUnsupported.
func unsupported(err error) error {
	switch err {
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.ENOTTY, unix.EXDEV, unix.EINVAL, unix.EBADF, unix.ESPIPE, unix.EISDIR, unix.EPERM, unix.ENOLCK:
		return fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	return err
}

// LinkTo gives the file that f is, whatever names it has, one more in a directory, where
// nothing has that name. A file that has no name left is fs.ErrNotExist, unless it never
// had one; a file system without hard links, errors.ErrUnsupported.
func LinkTo(f, dir *os.File, name string) error {
	err := retry(func() error {
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	})
	if err == unix.EMLINK {
		return fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	if err == unix.ENOENT {
		// Without /proc it says the same.
		if _, statErr := os.Stat("/proc/self/fd"); statErr != nil {
			return fmt.Errorf("%w: no /proc", errors.ErrUnsupported)
		}
	}
	return unsupported(err)
}

// Names is how many names a file that is open has.
func Names(f *os.File) (names uint64, ok bool) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return 0, false
	}
	return uint64(st.Nlink), true
}

// Reopen opens the file that f is once more, to read it, whatever names it has.
func Reopen(f *os.File) (*os.File, error) {
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if errors.Is(err, os.ErrNotExist) { // no /proc here
		return os.Open(f.Name())
	}
	return r, err
}
