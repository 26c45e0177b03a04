package linux

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maskBytes holds more CPUs than any kernel is built for. unix.CPUSet ends at 1024.
const maskBytes = 8192 / 8

type cpuMask [maskBytes / unsafe.Sizeof(uintptr(0))]uintptr // the kernel's unsigned longs

// Affinity is the CPUs that a thread may run on, ascending; thread 0 is the caller's.
func Affinity(tid int) (cpus []int, err error) {
	var mask cpuMask
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(tid), maskBytes, uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return nil, errno
	}
	for i, word := range mask {
		for ; word != 0; word &= word - 1 {
			cpus = append(cpus, i*bits.UintSize+bits.TrailingZeros(uint(word)))
		}
	}
	return cpus, nil
}

// SetAffinity lets a thread run on cpus only; thread 0 is the caller's. The
// kernel takes those of them that are online and in the thread's cpuset; none is EINVAL.
func SetAffinity(tid int, cpus []int) error {
	var mask cpuMask
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= 8*maskBytes {
			return unix.EINVAL
		}
		mask[cpu/bits.UintSize] |= 1 << (cpu % bits.UintSize)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), maskBytes, uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return errno
	}
	return nil
}

// ThreadID is the calling thread's.
func ThreadID() int { return unix.Gettid() }
