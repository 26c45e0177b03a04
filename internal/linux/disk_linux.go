package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// BlockDevice is the device that a file is on, or, if it is a device itself, that one. One of major
// number 0 stands for a file system without a device of its own.
func BlockDevice(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	device := uint64(st.Dev)
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		device = uint64(st.Rdev)
	}
	return unix.Major(device), unix.Minor(device), nil
}

// DirectAlignment is what direct reads and writes of files in a directory must be aligned to, in bytes:
// their memory, and their offset and length. It asks a file without a name, which is gone afterwards.
// Not ok is not known: of kernels before 6.1, and where no such file may be made.
func DirectAlignment(dir string) (memory, offset uint32, ok bool) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return 0, 0, false
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	err = retry(func() error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st) })
	ok = err == nil && st.Mask&unix.STATX_DIOALIGN != 0 && st.Dio_offset_align != 0
	return st.Dio_mem_align, st.Dio_offset_align, ok
}
