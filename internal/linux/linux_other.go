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

// Map returns size bytes of zeroed memory: on the Go heap, for want of better.
func Map(size int) ([]byte, error) { return make([]byte, size), nil }

// Unmap does nothing: the collector takes the memory back.
func Unmap([]byte) error { return nil }

// AdviseHuge is not supported.
func AdviseHuge([]byte) error { return errors.ErrUnsupported }

// Populate is not supported.
func Populate([]byte) error { return errors.ErrUnsupported }

// Clone is not supported.
func Clone(dst, src *os.File) error { return errors.ErrUnsupported }

// Reserve is not supported.
func Reserve(*os.File, int64) error { return errors.ErrUnsupported }

// StartWriteback is not supported.
func StartWriteback(*os.File, int64, int64) error { return errors.ErrUnsupported }

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
