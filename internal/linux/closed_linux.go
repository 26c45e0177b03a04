package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// ClosedAtStart reports whether a standard stream was closed when the program began. Go's
// runtime has then opened /dev/null in its place, so that no file of the program's gets
// its number (runtime.checkfds), and it does so for reading and writing. A shell's
// >/dev/null and systemd's StandardOutput=null are for writing only; who hands down
// /dev/null open for both, as daemon(3) does, cannot be told from who hands down nothing.
func ClosedAtStart(f *os.File) bool {
	fd := int(f.Fd())
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return true
	}
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(1, 3)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return null && err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}
