// Package linux is the only home of raw system calls: memory maps, their advice
// and their NUMA nodes, copies inside the kernel, write-back, locks and CPU
// affinity. On other platforms the same functions exist; what has no counterpart
// there reports errors.ErrUnsupported.
package linux

import (
	"errors"
	"os"
	"unsafe"
)

// ErrLocked says that another process, or another part of this one, holds a lock.
var ErrLocked = errors.New("held by another job")

// PageSize is the size in bytes of the small pages that the processor's tables have.
var PageSize = os.Getpagesize()

// SyncDir waits until the names in dir, a rename for example, are on the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// An Identity is the same for two names of one file or directory, and for no others that
// are there at the time.
type Identity struct{ Device, Inode uint64 }

// AlignedBuffer is n bytes of memory that direct reads and writes take.
func AlignedBuffer(n int) []byte {
	b := make([]byte, n+DirectAlign)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (DirectAlign - 1)
	return b[skip:][:n:n]
}
