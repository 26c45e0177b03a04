// Package layers is the layer files of a sector: their names, and their writing
// while the layer is still being labelled.
package layers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// Path is where layer number layer, from 1, of the sector in cacheDir lies.
func Path(cacheDir string, layer int) string {
	return filepath.Join(cacheDir, fmt.Sprintf("sc-02-data-layer-%d.dat", layer))
}

// ErrIncomplete is WriteFrom's error when its labels end before the layer does.
var ErrIncomplete = errors.New("layers: writing layer: its labels end before the layer does")

// A Writer is a layer's file on its way: it appears under its name only when it
// is complete and on the disk.
type Writer struct {
	file *durable.File
	size int
}

// Create starts the files of all layers of the sector in cacheDir, 1 to count.
// Layers that are there under their final names go: whose they are nobody knows,
// and the space is needed. Then the space for the new ones is taken. On an error
// nothing is left of the new ones; if another job has the cache dir, it is
// linux.ErrLocked, and the layers that are there stay.
func Create(cacheDir string, count int, size porep.SectorSize) (writers []*Writer, err error) {
	defer func() {
		if err != nil {
			Abort(writers)
			writers = nil
		}
	}()
	for layer := 1; layer <= count; layer++ {
		f, err := durable.Create(Path(cacheDir, layer))
		if err != nil {
			return writers, err
		}
		writers = append(writers, &Writer{f, int(size)})
	}
	for layer := 1; layer <= count; layer++ {
		if err := os.Remove(Path(cacheDir, layer)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return writers, fmt.Errorf("layers: removing layer of an earlier job: %w", err)
		}
	}
	for _, w := range writers {
		if err := w.file.Reserve(int64(size)); err != nil {
			return writers, err
		}
	}
	return writers, nil
}

// Abort removes what is there of files that are not finished.
func Abort(writers []*Writer) {
	for _, w := range writers {
		w.file.Abort()
	}
}

// WriteFrom writes labels, the whole layer, while they are made: each number
// received is how many bytes from the start are final. It returns when the file
// is on the disk under its name, or, with nothing left of it, on an error: ctx's
// cause, or ErrIncomplete if ready is closed early.
func (w *Writer) WriteFrom(ctx context.Context, labels []byte, ready <-chan int) error {
	defer w.file.Abort()
	written := 0
	for final := range ready {
		if final < written || final > min(len(labels), w.size) {
			return fmt.Errorf("layers: writing layer: %d bytes are said to be final, %d were, of %d", final, written, min(len(labels), w.size))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := w.file.WriteAt(labels[written:final], int64(written)); err != nil {
			return err
		}
		// The disk keeps pace, so that little is left to do when the layer ends.
		w.file.StartWriteback(int64(written), int64(final-written))
		if written = final; written == w.size {
			return w.file.Commit()
		}
	}
	return ErrIncomplete
}
