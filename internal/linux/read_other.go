//go:build !linux

package linux

import (
	"errors"
	"io"
	"os"
)

// NoWait is not supported.
const NoWait = 0

// ReadDisk fills b with what f has at off, from the page cache or the disk. The
// error is io.ErrUnexpectedEOF where f ends too early.
func ReadDisk(f *os.File, b []byte, off int64) error {
	_, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
