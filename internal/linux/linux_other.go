//go:build !linux

package linux

import (
	"errors"
	"os"
)

// NoFollow is not supported.
const NoFollow = 0

// Appends is not known.
func Appends(*os.File) bool { return false }

// Clone is not supported.
func Clone(dst, src *os.File) error { return errors.ErrUnsupported }

// CanClone is not supported.
func CanClone(src *os.File, dir string) bool { return false }

// Reserve is not supported.
func Reserve(*os.File, int64) error { return errors.ErrUnsupported }

// StartWriteback is not supported.
func StartWriteback(*os.File, int64, int64) error { return errors.ErrUnsupported }

// DropCache is not supported.
func DropCache(*os.File, int64, int64) error { return errors.ErrUnsupported }

// WriteUncached is not supported.
func WriteUncached(*os.File, []byte, int64) (int, error) { return 0, errors.ErrUnsupported }

// DirectAlign is not used.
const DirectAlign = 4096

// OpenDirect is not supported.
func OpenDirect(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// Unnamed is not supported.
func Unnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// MayCreate does not know.
func MayCreate(string) error { return nil }

// Datasync waits until f is on the disk.
func Datasync(f *os.File) error { return f.Sync() }

// TryLock is not supported.
func TryLock(*os.File) error { return errors.ErrUnsupported }

// TryLockShared is not supported.
func TryLockShared(*os.File) error { return errors.ErrUnsupported }

// Lock is not supported.
func Lock(*os.File) error { return errors.ErrUnsupported }

// LockShared is not supported.
func LockShared(*os.File) error { return errors.ErrUnsupported }

// Unlock is not supported.
func Unlock(*os.File) error { return errors.ErrUnsupported }

// Owner is not known.
func Owner(os.FileInfo) (uid int, names uint64, ok bool) { return 0, 0, false }

// LinkTo is not supported.
func LinkTo(f, dir *os.File, name string) error { return errors.ErrUnsupported }

// Names is not known.
func Names(*os.File) (names uint64, ok bool) { return 0, false }

// Reopen opens the file that f is once more, to read it, by its name.
func Reopen(f *os.File) (*os.File, error) { return os.Open(f.Name()) }

// LockID is not known.
func LockID(os.FileInfo) (id string, ok bool) { return "", false }

// Allocated is not known.
func Allocated(os.FileInfo) uint64 { return 0 }

// FreeSpace is not known.
func FreeSpace(string) (free, device uint64, ok bool) { return 0, 0, false }
