// Package layers is the layer files of a sector: their names, and their writing
// while the layer is still being labelled.
package layers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// Path is where layer number layer, from 1, of the sector in cacheDir lies.
func Path(cacheDir string, layer int) string {
	return filepath.Join(cacheDir, fmt.Sprintf("sc-02-data-layer-%d.dat", layer))
}

// ErrIncomplete is Commit's error when not all of the layer was written.
var ErrIncomplete = errors.New("layers: finishing layer: not all of it was written")

// A Writer is a layer's file on its way: it appears under its name only when it
// is complete and on the disk.
type Writer struct {
	layer      int
	file       *durable.File
	reader     *os.File
	direct     *os.File // the same file past the page cache; nil if nobody has read so, or it cannot be
	openDirect sync.Once
	size       int64
	written    atomic.Int64
}

// Create starts the files of layers first to last of the sector in cacheDir.
// Layers from first on that are there under their final names go: whose they are
// nobody knows, and the space is needed. Then the space for the new ones is taken.
// On an error nothing is left of the new ones; if another job has the cache dir,
// it is linux.ErrLocked, and the layers that are there stay.
func Create(cacheDir string, first, last int, size porep.SectorSize) (writers []*Writer, err error) {
	defer func() {
		if err != nil {
			Close(writers)
			writers = nil
		}
	}()
	if writers, err = replace(cacheDir, first, last, size); err != nil {
		return writers, err
	}
	for _, w := range writers {
		if err := w.file.Reserve(int64(size)); err != nil {
			return writers, err
		}
		w.file.AllowDirect()
		if w.reader, err = w.file.Reader(); err != nil {
			return writers, err
		}
	}
	return writers, nil
}

// Remove removes layers first to last of the sector in cacheDir as Create does,
// unless another job has the cache dir: then it is linux.ErrLocked.
func Remove(cacheDir string, first, last int) error {
	writers, err := replace(cacheDir, first, last, 0)
	Close(writers)
	return err
}

// replace starts files and, when it has the locks of all, removes those that are
// there under their final names. What it has started it returns with an error too.
func replace(cacheDir string, first, last int, size porep.SectorSize) (writers []*Writer, err error) {
	for layer := first; layer <= last; layer++ {
		f, err := durable.Create(Path(cacheDir, layer))
		if err != nil {
			return writers, err
		}
		writers = append(writers, &Writer{layer: layer, file: f, size: int64(size)})
	}
	for _, w := range writers {
		if err := os.Remove(Path(cacheDir, w.layer)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return writers, fmt.Errorf("layers: removing layer of an earlier job: %w", err)
		}
	}
	return writers, nil
}

// Close gives up what is not finished, of which nothing is left, and ends reading.
func Close(writers []*Writer) {
	for _, w := range writers {
		w.file.Abort()
		if w.reader != nil {
			w.reader.Close()
		}
		if w.direct != nil {
			w.direct.Close()
		}
	}
}

// Layer is the layer's number, from 1.
func (w *Writer) Layer() int { return w.layer }

// Write writes labels that are final, at a byte offset. Several goroutines may
// write different parts; no part is written twice.
func (w *Writer) Write(way durable.Way, labels []byte, off int64) error {
	if err := w.file.WriteVia(way, labels, off); err != nil {
		return err
	}
	w.written.Add(int64(len(labels)))
	return nil
}

// Read fills b with what was written at a byte offset, until Close: by way of Direct
// past the page cache, where the alignment of both and the file system let it.
func (w *Writer) Read(way durable.Way, b []byte, off int64) error {
	if way != durable.Direct {
		return durable.ReadFull(nil, w.reader, b, off)
	}
	w.openDirect.Do(func() { w.direct, _ = linux.OpenDirect(w.reader) })
	return durable.ReadFull(w.direct, w.reader, b, off)
}

// Commit waits until the layer is on the disk and gives the file its name. The
// error is ErrIncomplete if a part is missing. After an error nothing is left.
func (w *Writer) Commit() error {
	if w.written.Load() != w.size {
		w.file.Abort()
		return ErrIncomplete
	}
	return w.file.Commit()
}

// Forget takes what is on the disk out of the page cache, where Behind left it: after
// Commit that is all of the layer.
func (w *Writer) Forget() { _ = linux.DropCache(w.reader, 0, w.size) }
