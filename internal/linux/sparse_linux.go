package linux

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// NextData is where, from off on, f has data next: before it there is a hole, which reads
// as zeros. It is io.EOF where only a hole is left. It moves f's position.
func NextData(f *os.File, off int64) (int64, error) { return seekIn(f, off, unix.SEEK_DATA) }

// NextHole is where, from off on, f's next hole begins, at the latest at its end. It moves
// f's position.
func NextHole(f *os.File, off int64) (int64, error) { return seekIn(f, off, unix.SEEK_HOLE) }

func seekIn(f *os.File, off int64, whence int) (at int64, err error) {
	err = retry(func() (err error) {
		at, err = unix.Seek(int(f.Fd()), off, whence)
		return err
	})
	if err == unix.ENXIO {
		return 0, io.EOF
	}
	return at, unsupported(err)
}

// PunchHole makes a part of f a hole, which takes no space and reads as zeros. The file's
// length stays.
func PunchHole(f *os.File, off, n int64) error {
	return unsupported(retry(func() error {
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}))
}

// ReserveRange takes the file system's space for a part of f, and leaves its length unless
// that is less.
func ReserveRange(f *os.File, off, n int64) error {
	return unsupported(retry(func() error { return unix.Fallocate(int(f.Fd()), 0, off, n) }))
}

// ReadAhead starts reading a part of f into the page cache without waiting for it.
func ReadAhead(f *os.File, off, n int64) error {
	return unsupported(retry(func() error {
		return unix.Fadvise(int(f.Fd()), off, n, unix.FADV_WILLNEED)
	}))
}

// CopyRange copies n bytes inside the kernel, or shares them where the file system can, and
// returns how many it did; 0 is src's end.
func CopyRange(dst, src *os.File, off int64, n int) (done int, err error) {
	err = retry(func() (err error) {
		to, from := off, off
		done, err = unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, n, 0)
		return err
	})
	return done, unsupported(err)
}
