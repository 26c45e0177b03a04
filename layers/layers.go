// Package layers is the layer files of a sector: their names, and their writing
// while the layer is still being labelled.
package layers

import (
	"errors"
	"fmt"
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

// Create starts the file of a layer and takes its space on the disk.
func Create(cacheDir string, layer int, size porep.SectorSize) (*Writer, error) {
	f, err := durable.Create(Path(cacheDir, layer), int64(size))
	if err != nil {
		return nil, err
	}
	return &Writer{f, int(size)}, nil
}

// WriteFrom writes labels, the whole layer, while they are made: each number
// received is how many bytes from the start are final. It returns when the file
// is on the disk under its name, or, with nothing left of it, on an error; it is
// ErrIncomplete if ready is closed early.
func (w *Writer) WriteFrom(labels []byte, ready <-chan int) error {
	defer w.Abort()
	written := 0
	for final := range ready {
		if final < written || final > min(len(labels), w.size) {
			return fmt.Errorf("layers: writing layer: %d bytes are said to be final, %d were, of %d", final, written, min(len(labels), w.size))
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

// Abort removes what is there of the file. After WriteFrom it does nothing.
func (w *Writer) Abort() { w.file.Abort() }
