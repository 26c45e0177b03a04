package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// What sdr_start has noted of the standard streams, before the runtime began.
var (
	startNoted int32    // 1 if it did
	startFlags [3]int32 // of each, or less than 0 for one that was closed
)

// ClosedAtStart reports whether a standard stream was closed when the program began. Go's
// runtime has then opened /dev/null in its place, so that no file of the program's gets
// its number (runtime.checkfds), and it does so for reading and writing. A shell's
// >/dev/null and systemd's StandardOutput=null are for writing only. Who hands down /dev/null
// open for both, as daemon(3) and Python's DEVNULL do, can be told from who hands down nothing only
// where the program was linked with -E sdr_start; else it is taken for closed.
func ClosedAtStart(f *os.File) bool {
	fd := int(f.Fd())
	if startNoted != 0 && fd >= 0 && fd < len(startFlags) {
		return startFlags[fd] < 0
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return true
	}
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(1, 3)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return null && err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}
