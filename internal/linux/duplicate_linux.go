package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// Duplicate is a file under another descriptor: a program of Go's dies of a write to a pipe
// that nobody reads any more if it is descriptor 1 or 2, and of no other. Where there
// is no descriptor left it is the file itself.
func Duplicate(f *os.File) *os.File {
	const first = 3
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, first)
	if err != nil {
		return f
	}
	return os.NewFile(uintptr(fd), f.Name())
}
