// Package layers is the layer files of a sector: their names, what is stale once they are
// made again, and their writing while the layer is still being labelled.
package layers

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"slices"
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

// A Set is the layers of a sector that a job makes. It holds the sector's cache dir, and its work
// dir, which no other job then has.
type Set struct {
	dir     *durable.Dir // where layers are made
	cache   *durable.Dir // the cache dir, if that is another one; else nil
	stays   map[int]bool // by layer: it is in cache already
	first   int
	block   int
	writers []*Writer
	adopted map[int]*Writer // by layer, of an earlier job
	kept    map[int]bool    // by layer: what is not finished stays
	mu      sync.Mutex      // for Safe
}

// A Writer is a layer's file on its way: it appears under its name only when it
// is complete and on the disk.
type Writer struct {
	file    *durable.File   // nil before the layer is begun
	mu      sync.Mutex      // for who forgets, or drops
	reader  *durable.Reader // nil, too, and when the layer was dropped
	begun   sync.Once
	wrong   error // why it could not be begun
	room    sync.Once
	noRoom  error // why no space could be taken
	safe    bool  // Safe has been told
	size    int64
	written atomic.Int64
}

// Open takes the sector's cache dir, and touches nothing in it. If another job has it, it
// is linux.ErrLocked. With a work dir, which is taken, too, layers are made there: see Deliver.
func Open(ctx context.Context, cacheDir, workDir string) (*Set, error) {
	s := &Set{stays: map[int]bool{}, adopted: map[int]*Writer{}, kept: map[int]bool{}}
	var err error
	if s.dir, err = lock(ctx, cacheDir); err != nil || workDir == "" {
		return s.orNil(err)
	}
	s.cache = s.dir
	if s.dir, err = lock(ctx, workDir); err != nil {
		s.cache.Close()
	}
	return s.orNil(err)
}

func (s *Set) orNil(err error) (*Set, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func lock(ctx context.Context, path string) (*durable.Dir, error) {
	dir, err := durable.OpenDir(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := dir.Lock(); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// Dir is where layers are made: the work dir, if there is one, else the cache dir.
func (s *Set) Dir() *durable.Dir { return s.dir }

// Cache is the cache dir, if layers are made elsewhere; else nil.
func (s *Set) Cache() *durable.Dir { return s.cache }

// Stays says that a layer in the cache dir, which is made elsewhere, is right: Create does not remove
// it, and Deliver has nothing to do for it.
func (s *Set) Stays(layer int) { s.stays[layer] = true }

// Adopt goes on with the unfinished file of a layer that an earlier job has left. What is in it
// is told by Writer.Raw, and then by Trust; Drop removes it again.
func (s *Set) Adopt(layer int, size porep.SectorSize, block int) (*Writer, error) {
	f, err := s.dir.Adopt(Name(layer), int64(size), block)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: f, size: int64(size)}
	f.AllowDirect()
	if w.reader, err = f.Reader(); err != nil {
		f.Keep()
		return nil, err
	}
	s.adopted[layer] = w
	s.keep(layer, w)
	return w, nil
}

// Drop removes a file that Adopt has opened.
func (s *Set) Drop(layer int) {
	s.adopted[layer].end(false)
	delete(s.adopted, layer)
	delete(s.kept, layer)
}

// Create starts the files of layers first to last, but for those that were adopted.
// What is stale under its final name goes first: whose it is nobody knows, and the space
// is needed. Then the space for the new ones is taken. Labels can be read back in blocks of
// so many bytes, before the layer is finished. On an error nothing is left of the new ones.
func (s *Set) Create(first, last int, size porep.SectorSize, block int) error {
	return s.create(first, last, last, size, block, false)
}

func (s *Set) create(first, begun, last int, size porep.SectorSize, block int, few bool) (err error) {
	s.first, s.block = first, block
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	for layer := first; layer <= begun; layer++ {
		if w := s.adopted[layer]; w != nil {
			s.writers = append(s.writers, w)
			continue
		}
		f, err := s.dir.Create(Name(layer))
		if err != nil {
			return err
		}
		s.writers = append(s.writers, &Writer{file: f, size: int64(size)})
	}
	names, err := s.dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if IsStale(name, first) {
			if err := s.dir.Remove(name); err != nil {
				return fmt.Errorf("layers: removing what an earlier job left: %w", err)
			}
		}
	}
	for layer := min(first, last) - 2; few && layer >= 1; layer-- {
		if err := s.drop(layer); err != nil {
			return err
		}
	}
	if err := s.clearCache(); err != nil {
		return err
	}
	if block == 0 {
		return nil
	}
	for i := range s.writers {
		if err := s.Begin(first+i, true); err != nil {
			return err
		}
	}
	for range last - begun {
		s.writers = append(s.writers, &Writer{size: int64(size)})
	}
	return nil
}

// Create is Open and Set.Create.
func Create(ctx context.Context, cacheDir string, first, last int, size porep.SectorSize, block int) (*Set, error) {
	return createIn(ctx, cacheDir, "", first, last, size, block)
}

func createIn(ctx context.Context, cacheDir, workDir string, first, last int, size porep.SectorSize, block int) (*Set, error) {
	s, err := Open(ctx, cacheDir, workDir)
	if err != nil {
		return nil, err
	}
	if err := s.Create(first, last, size, block); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Begin starts the file of layer number n, and readies it to be written and read. If there is room, it
// takes the space for it. Any number of goroutines may call it, any number of times; all but the first
// wait for that one.
func (s *Set) Begin(n int, room bool) error {
	w := s.Layer(n)
	w.begun.Do(func() { w.wrong = s.begin(w, n, room) })
	if w.wrong != nil || !room {
		return w.wrong
	}
	w.room.Do(func() { w.noRoom = w.file.TakeSpace() })
	return w.noRoom
}

func (s *Set) begin(w *Writer, n int, room bool) (err error) {
	if w.reader != nil { // it was adopted
		w.room.Do(func() {}) // and has its space
		return nil
	}
	if w.file == nil {
		if w.file, err = s.dir.Create(Name(n)); err != nil {
			return err
		}
	}
	if room {
		w.room.Do(func() { w.noRoom = w.file.ReserveBlocks(w.size, s.block) })
		err = w.noRoom
	} else {
		err = w.file.ExtendBlocks(w.size, s.block)
	}
	if err != nil {
		return err
	}
	w.file.AllowDirect()
	w.reader, err = w.file.Reader()
	return err
}

// Remove removes what is stale of the sector in cacheDir, and in its work dir if it has one, as
// Create does, unless another job has one of them: then it is linux.ErrLocked.
func Remove(ctx context.Context, cacheDir, workDir string, first, last int) error {
	s, err := createIn(ctx, cacheDir, workDir, first, last, 0, 0)
	if err == nil {
		s.Close()
	}
	return err
}

// Layer is the file of layer number n, one of those that are made.
func (s *Set) Layer(n int) *Writer { return s.writers[n-s.first] }

// Recheck makes sure that every layer that is finished is still there, as it was when it
// was finished.
func (s *Set) Recheck(ctx context.Context) error {
	finished := s.writers
	for _, w := range s.adopted {
		finished = append(slices.Clip(finished), w)
	}
	for _, w := range finished {
		if w.file == nil {
			continue
		}
		if err := w.file.Recheck(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Keep has Close leave a layer that is not finished as it is, for Adopt.
func (s *Set) Keep(layer int) { s.keep(layer, s.Layer(layer)) }

func (s *Set) keep(layer int, w *Writer) {
	s.kept[layer] = true
	w.file.Stay()
}

// Close gives up what is not finished, of which nothing is left but what is kept, ends
// reading, and gives the cache dir back.
func (s *Set) Close() {
	s.end()
	s.dir.Close()
	if s.cache != nil {
		s.cache.Close()
	}
}

// end ends all files.
func (s *Set) end() {
	for i, w := range s.writers {
		w.end(s.kept[s.first+i])
		delete(s.adopted, s.first+i)
	}
	for layer, w := range s.adopted {
		w.end(s.kept[layer])
	}
	s.writers, s.adopted = nil, nil
}

func (w *Writer) end(keep bool) {
	if w.file == nil {
		return
	}
	if keep {
		w.file.Keep()
	} else {
		w.file.Abort()
	}
	if w.reader != nil {
		w.reader.Close()
	}
}

// Raw fills b with what is in the file, be it right or not.
func (w *Writer) Raw(way durable.Way, b []byte, off int64) error { return w.reader.Read(way, b, off) }

// CommitTrusted is Commit of a file that Adopt has opened, all of which was told by Raw, and trusted: it
// is not read back once more.
func (w *Writer) CommitTrusted(ctx context.Context) error { return w.file.CommitTrusted(ctx) }

// Made is a committed layer.
func (w *Writer) Made() Source {
	mark, sums := w.file.Made()
	return Source{mark, sums}
}

// Trust notes that b, which was read at a byte offset, is what the layer has there.
func (w *Writer) Trust(b []byte, off int64) { w.file.Trust(b, off) }

// Resume says that so many bytes from the first on are there; what follows will be written.
func (w *Writer) Resume(bytes int64) { w.written.Store(bytes) }

// Sync waits until what was written is on the disk. A file that somebody has removed
// meanwhile is a *durable.LostError.
func (w *Writer) Sync() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	return w.file.Lost()
}

// Reader reads what was written, until Close.
func (w *Writer) Reader() *durable.Reader { return w.reader }

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
