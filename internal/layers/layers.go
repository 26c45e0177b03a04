// Package layers is the layer files of a sector: their names, what is stale once they are
// made again, and their writing while the layer is still being labelled.
package layers

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

const (
	prefix = "sc-02-data-layer-"
	suffix = ".dat"
)

// Name is the name of layer number layer, from 1, in its sector's cache dir.
func Name(layer int) string { return prefix + strconv.Itoa(layer) + suffix }

// Path is where layer number layer, from 1, of the sector in cacheDir lies.
func Path(cacheDir string, layer int) string { return filepath.Join(cacheDir, Name(layer)) }

// numberOf is the number of the layer that has a name.
func numberOf(name string) (layer int, ok bool) {
	digits, isLayer := strings.CutPrefix(name, prefix)
	digits, isData := strings.CutSuffix(digits, suffix)
	layer, err := strconv.Atoi(digits)
	return layer, isLayer && isData && err == nil && layer >= 1 && name == Name(layer)
}

// IsLayer reports whether a file of that name is a layer's.
func IsLayer(name string) bool {
	_, ok := numberOf(name)
	return ok
}

// IsStale reports whether a file of that name, in a cache dir, is of no use any more when
// layers from first on are made again: such a layer, of whatever sector; and what phase 2
// of the reference makes of layers, and loads without a question if it is there.
//
// Source of phase 2's names: rust-fil-proofs, storage-proofs-core/src/cache_key.rs
// (tree-c, tree-r-last; in several files, -0 and up, for large sectors), and
// filecoin-proofs/src/api/seal.rs (p_aux, t_aux, and the synthetic proofs' file).
func IsStale(name string, first int) bool {
	switch name {
	case "p_aux", "t_aux", "syn-porep-vanilla-proofs.dat":
		return true
	}
	if layer, ok := numberOf(name); ok {
		return layer >= first
	}
	return strings.HasSuffix(name, suffix) &&
		(strings.HasPrefix(name, "sc-02-data-tree-c") || strings.HasPrefix(name, "sc-02-data-tree-r-last"))
}

// ErrIncomplete is Commit's error when not all of the layer was written.
var ErrIncomplete = errors.New("layers: finishing layer: not all of it was written")

// A Set is the layers of a sector that a job makes. It holds the sector's cache dir, which
// no other job then has.
type Set struct {
	dir     *durable.Dir
	first   int
	block   int
	writers []*Writer
	mu      sync.Mutex // for Safe
}

// A Writer is a layer's file on its way: it appears under its name only when it
// is complete and on the disk.
type Writer struct {
	file    *durable.File   // nil before the layer is begun
	mu      sync.Mutex      // for who forgets, or drops
	reader  *durable.Reader // nil, too, and when the layer was dropped
	begun   sync.Once
	wrong   error // why it could not be begun
	safe    bool  // Safe has been told
	size    int64
	written atomic.Int64
}

// Few is how many of a sector's layers are there at a time, if only the last are kept: one that
// is made, and two before it.
const Few = 3

// FewBegun is how many files CreateFew begins for a sector from layer first on: what it may have
// of those before takes space, too.
func FewBegun(first int) int { return max(1, Few-first+1) }

// Create starts the files of layers first to last of the sector in cacheDir.
// What is stale under its final name goes first: whose it is nobody knows, and the space
// is needed. Then the space for the new ones is taken. Labels can be read back in blocks of
// so many bytes, before the layer is finished.
//
// On an error nothing is left of the new ones; if another job has the cache dir,
// it is linux.ErrLocked, and everything that is there stays.
func Create(ctx context.Context, cacheDir string, first, last int, size porep.SectorSize, block int) (s *Set, err error) {
	return create(ctx, cacheDir, first, last, last, size, block)
}

// CreateFew is Create for a sector of which only the last layers are kept: space is taken for
// the first FewBegun. Begin has to be called for each layer before it is written, and Safe
// when it has been.
func CreateFew(ctx context.Context, cacheDir string, first, last int, size porep.SectorSize, block int) (*Set, error) {
	return create(ctx, cacheDir, first, min(last, first+FewBegun(first)-1), last, size, block)
}

func create(ctx context.Context, cacheDir string, first, begun, last int, size porep.SectorSize, block int) (s *Set, err error) {
	if s, err = replace(ctx, cacheDir, first, begun, size); err != nil {
		return nil, err
	}
	s.block = block
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	for i := range s.writers {
		if err := s.Begin(first + i); err != nil {
			return s, err
		}
	}
	for range last - begun {
		s.writers = append(s.writers, &Writer{size: int64(size)})
	}
	return s, nil
}

// Begin starts the file of layer number n, takes the space for it, and readies it to be written and
// read. Any number of goroutines may call it; all but the first wait for that one.
func (s *Set) Begin(n int) error {
	w := s.Layer(n)
	w.begun.Do(func() { w.wrong = s.begin(w, n) })
	return w.wrong
}

func (s *Set) begin(w *Writer, n int) (err error) {
	if w.file == nil {
		if w.file, err = s.dir.Create(Name(n)); err != nil {
			return err
		}
	}
	if err := w.file.ReserveBlocks(w.size, s.block); err != nil {
		return err
	}
	w.file.AllowDirect()
	w.reader, err = w.file.Reader()
	return err
}

// Safe notes that layer number n is on the disk, under its name. Layers that have so many later ones there
// are removed, those from before this job, too, and their space is given back: nobody may
// read them any more.
func (s *Set) Safe(n, later int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Layer(n).safe = true
	found := 0
	for layer := s.first + len(s.writers) - 1; layer >= 1; layer-- {
		if layer >= s.first && !s.Layer(layer).safe {
			continue
		}
		if found++; found <= later {
			continue
		}
		if err := s.drop(layer); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) drop(layer int) error {
	if layer < s.first {
		return s.dir.Remove(Name(layer))
	}
	w := s.Layer(layer)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reader == nil {
		return nil
	}
	err := w.file.Discard()
	w.reader.Close() // or its blocks stay
	w.reader = nil
	return err
}

// Remove removes what is stale of the sector in cacheDir as Create does,
// unless another job has the cache dir: then it is linux.ErrLocked.
func Remove(ctx context.Context, cacheDir string, first, last int) error {
	s, err := replace(ctx, cacheDir, first, last, 0)
	if err == nil {
		s.Close()
	}
	return err
}

// replace starts files and, when it has the locks of all, removes what is stale.
func replace(ctx context.Context, cacheDir string, first, last int, size porep.SectorSize) (_ *Set, err error) {
	dir, err := durable.OpenDir(ctx, cacheDir)
	if err != nil {
		return nil, err
	}
	s := &Set{dir: dir, first: first}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err := dir.Lock(); err != nil {
		return nil, err
	}
	for layer := first; layer <= last; layer++ {
		f, err := dir.Create(Name(layer))
		if err != nil {
			return nil, err
		}
		s.writers = append(s.writers, &Writer{file: f, size: int64(size)})
	}
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if IsStale(name, first) {
			if err := dir.Remove(name); err != nil {
				return nil, fmt.Errorf("layers: removing what an earlier job left: %w", err)
			}
		}
	}
	return s, nil
}

// Layer is the file of layer number n, one of those that are made.
func (s *Set) Layer(n int) *Writer { return s.writers[n-s.first] }

// Recheck makes sure that every layer that is finished is still there, as it was when it
// was finished.
func (s *Set) Recheck(ctx context.Context) error {
	for _, w := range s.writers {
		if w.file == nil {
			continue
		}
		if err := w.file.Recheck(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close gives up what is not finished, of which nothing is left, ends reading, and gives
// the cache dir back.
func (s *Set) Close() {
	for _, w := range s.writers {
		if w.file != nil {
			w.file.Abort()
		}
		if w.reader != nil {
			w.reader.Close()
		}
	}
	s.dir.Close()
}

// Write writes labels that are final, at a byte offset. Several goroutines may
// write different parts; no part is written twice. A file that somebody has removed
// meanwhile is a *durable.LostError.
func (w *Writer) Write(way durable.Way, labels []byte, off int64) error {
	if err := w.file.WriteVia(way, labels, off); err != nil {
		return err
	}
	w.written.Add(int64(len(labels)))
	return w.file.Lost()
}

// Read fills b, whole blocks, with what was written at a byte offset, until Close: by way
// of Direct past the page cache, where the alignment of both and the file system let it.
// What is not what was written is a *durable.ChangedError.
func (w *Writer) Read(way durable.Way, b []byte, off int64) error {
	return w.reader.ReadBack(way, b, off)
}

// Hash has Commit write the layer, as it is read back, to h. It comes before Commit.
func (w *Writer) Hash(h hash.Hash) { w.file.Hash(h) }

// Whole reports whether all of the layer was written.
func (w *Writer) Whole() bool { return w.written.Load() == w.size }

// Commit waits until the layer is on the disk, reads it back and gives the file its name.
// The error is ErrIncomplete if a part is missing. After an error nothing is left.
func (w *Writer) Commit(ctx context.Context) error {
	if !w.Whole() {
		w.file.Abort()
		return ErrIncomplete
	}
	return w.file.Commit(ctx)
}

// Forget takes what is on the disk out of the page cache, where Behind left it: after
// Commit that is all of the layer.
func (w *Writer) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reader != nil {
		w.reader.Forget(0, w.size)
	}
}
