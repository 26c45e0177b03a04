package linux

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// NoWait makes opening a pipe not wait for its other end.
const NoWait = unix.O_NONBLOCK

// ReadDisk fills b with what the disk has of f at off. Where the file system cannot
// read past the page cache, it asks the kernel to forget that part first, which the
// kernel does not do with pages that are mapped. The error is io.ErrUnexpectedEOF
// where f ends too early.
func ReadDisk(f *os.File, b []byte, off int64) error {
	if readDirect(f, b, off) == nil {
		return nil
	}
	_ = DropCache(f, off, int64(len(b)))
	_, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func readDirect(f *os.File, b []byte, off int64) error {
	d, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	from := off &^ (DirectAlign - 1)
	skip := int(off - from)
	mem, err := Map((skip + len(b) + DirectAlign - 1) &^ (DirectAlign - 1))
	if err != nil {
		return err
	}
	defer func() { _ = Unmap(mem) }()
	// Where the file ends, less than mem is read, and whatever the error is.
	if n, err := d.ReadAt(mem, from); n < skip+len(b) {
		return err
	}
	copy(b, mem[skip:])
	return nil
}
