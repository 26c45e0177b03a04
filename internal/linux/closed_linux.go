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

// Stream says what a standard stream was when the program began.
type Stream int

// What a stream was.
const (
	StreamOpen   Stream = iota
	StreamClosed        // Go's runtime has opened /dev/null in its place
	StreamNull          // either closed, or /dev/null open for reading and writing
)

// AtStart tells what a standard stream was when the program began. In place of one that was
// closed Go's runtime opens /dev/null, so that no file of the program's gets its number
// (runtime.checkfds), for reading and writing. A shell's >/dev/null and systemd's
// StandardOutput=null are for writing only. Who hands down /dev/null open for both, as daemon(3) and
// Python's DEVNULL do, can be told from who hands down nothing only where the program was
// linked with -E sdr_start.
func AtStart(f *os.File) Stream {
	fd := int(f.Fd())
	if startNoted != 0 && fd >= 0 && fd < len(startFlags) {
		if startFlags[fd] < 0 {
			return StreamClosed
		}
		return StreamOpen
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return StreamClosed
	}
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(1, 3)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if null && err == nil && flags&unix.O_ACCMODE == unix.O_RDWR {
		return StreamNull
	}
	return StreamOpen
}
