package layers

import (
	"io/fs"

	"github.com/sdr-engine/sdr/internal/linux"
)

// Peek fills b with what the file holds at a byte offset, in the part that is written, until
// Close. It is for looks now and then: what it reads is held against nothing. A layer that
// was dropped is fs.ErrNotExist.
func (w *Writer) Peek(b []byte, off int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reader == nil {
		return fs.ErrNotExist
	}
	// Not past the page cache, but leaving nothing there.
	n, err := w.reader.File().ReadAt(b, off)
	if n == len(b) {
		err = nil
	}
	_ = linux.DropCache(w.reader.File(), off, int64(len(b)))
	return err
}
