package linux

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxThreadName is what a thread's name has at most, and the zero byte behind it.
const maxThreadName = 16

// NameThread gives the calling thread a name, which ps, top and debuggers show, until restore.
// The goroutine must be locked to its thread until then. The kernel cuts off what a name has
// more than 15 bytes, and without a name a thread does as well: there is no error.
func NameThread(name string) (restore func()) {
	var before [maxThreadName]byte
	if unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&before)), 0, 0, 0) != nil {
		return func() {}
	}
	setThreadName([]byte(name))
	return func() { setThreadName(before[:]) }
}

// ThreadTime is how much CPU time the calling thread has had; false: that is not known.
func ThreadTime() (time.Duration, bool) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}

func setThreadName(name []byte) {
	var text [maxThreadName]byte
	copy(text[:maxThreadName-1], name)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&text)), 0, 0, 0)
}
