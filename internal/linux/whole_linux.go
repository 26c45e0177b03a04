package linux

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetProcessAffinity lets all threads of the process, and those to come, run on cpus only. It is
// for a program's begin: a thread that is bound to one of its own is bound no more.
func SetProcessAffinity(cpus []int) error {
	// A thread begins with the mask of the one that starts it, so one that comes meanwhile may
	// have the old one: until there is none that is new. What masks say is not asked: they are
	// smaller than wanted where the process may not use all of cpus, and this goroutine may change threads.
	done := map[int]bool{}
	for found := true; found; {
		found = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := SetAffinity(tid, cpus); err != nil && !errors.Is(err, unix.ESRCH) { // it may be gone
				return err
			}
			done[tid], found = true, true
		}
	}
	return nil
}

// PreferNode has the whole process take memory from a NUMA node first, where it says nothing else.
// A program with cgo cannot: errors.ErrUnsupported.
func PreferNode(node int) error {
	if node < 0 || node >= 1<<16 {
		return unix.EINVAL
	}
	nodes := make([]uint64, node/64+1)
	nodes[node/64] = 1 << (node % 64)
	// The kernel takes one from the number of bits.
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_SET_MEMPOLICY, unix.MPOL_PREFERRED,
		uintptr(unsafe.Pointer(unsafe.SliceData(nodes))), uintptr(64*len(nodes)+1), 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case unix.EINVAL: // there is no such node
		return errno
	}
	return unsupported(errno)
}

// TakeDescriptor returns what f is, under another descriptor that no child gets, and makes f the
// same as instead.
func TakeDescriptor(f, instead *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := retry(func() error { return unix.Dup3(int(instead.Fd()), int(f.Fd()), 0) }); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
