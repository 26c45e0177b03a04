package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

const (
	kept = memorymode.WindowsKept

	indexers = 2       // goroutines
	farChunk = 4 << 10 // far parents that lie together in the index, and are spilled at a time
)

// A farIndex says, for OneLayer mode, which nodes of a window are far parents of
// which later window's: a section for each two windows, its parents in the order in
// which their children have them. It is the same for all layers, lanes and hashers.
//
// A large sector's is gigabytes. It lies in a file without a name, that of a small
// sector never gets farther than the page cache.
type farIndex struct {
	shape
	file     *durable.File
	end      atomic.Int64                   // of what is in the file, in parents
	sections [windows][windows]indexSection // by the children's window, then the parents'

	ready atomic.Bool // all of it is there, unless err says why not
	err   error
	gate  ring.Gate // for who waits for that
}

type indexSection struct {
	n      int
	chunks []int64  // where each farChunk of its parents begins in the file, in parents
	sums   []uint32 // of each chunk
}

// startIndex starts the work on the index, if there is to be one, until stop.
func (j *job) startIndex(ctx context.Context) (stop func()) {
	s := j.shape
	if s.window == 0 {
		return func() {}
	}
	j.index = &farIndex{shape: s}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { j.index.build(ctx, j) })
	return func() {
		cancel()
		wg.Wait()
		if j.index.file != nil {
			j.index.file.Abort()
		}
	}
}

// build makes the index.
func (x *farIndex) build(ctx context.Context, j *job) {
	defer x.gate.Wake()
	defer x.ready.Store(true)
	if x.err = j.spillFails("index", 0); x.err != nil {
		return
	}
	for _, s := range j.c.Sectors {
		if x.file, x.err = durable.Scratch(ctx, s.CacheDir); x.err == nil {
			break
		}
	}
	if x.err != nil {
		return
	}
	var next atomic.Int64
	next.Store(kept)
	errs := make([]error, indexers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			defer j.keepOff()()
			w := newIndexWriter(x)
			for errs[i] == nil {
				child := next.Add(1) - 1
				if child >= windows {
					return
				}
				errs[i] = w.window(ctx, j.source, int(child))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if x.err == nil {
			x.err = err
		}
	}
}

// An indexWriter is one of the goroutines.
type indexWriter struct {
	*farIndex
	parents []uint32
	chunks  [windows][]uint32 // by the parents' window: what is not in the file yet
}

func newIndexWriter(x *farIndex) *indexWriter {
	w := &indexWriter{farIndex: x, parents: x.listParents()}
	for i := range w.chunks[:windows-kept] {
		w.chunks[i] = make([]uint32, 0, farChunk)
	}
	return w
}

// window puts the far parents of a window of children into the file.
func (w *indexWriter) window(ctx context.Context, source ParentSource, child int) error {
	err := w.eachFar(source, w.parents, uint64(child)*w.shape.window, func() bool { return ctx.Err() != nil }, func(_ uint64, p uint32) error {
		from := uint64(p) / w.shape.window
		w.chunks[from] = append(w.chunks[from], p)
		if len(w.chunks[from]) == farChunk {
			return w.flush(child, int(from))
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	for from := 0; from < len(w.chunks) && err == nil; from++ {
		err = w.flush(child, from)
	}
	return err
}

func (w *indexWriter) flush(child, from int) error {
	nodes := w.chunks[from]
	if len(nodes) == 0 {
		return nil
	}
	at := w.end.Add(int64(len(nodes))) - int64(len(nodes))
	b := bytesOf(nodes)
	if _, err := w.file.WriteAt(b, at*indexEntry); err != nil {
		return fmt.Errorf("engine: listing far parents: %w", err)
	}
	section := &w.sections[child][from]
	section.n += len(nodes)
	section.chunks = append(section.chunks, at)
	section.sums = append(section.sums, durable.Checksum(b))
	w.chunks[from] = nodes[:0]
	return nil
}

// read is a chunk of a section, in memory for farChunk parents.
func (x *farIndex) read(nodes []uint32, section *indexSection, chunk int) ([]uint32, error) {
	nodes = nodes[:min(farChunk, section.n-chunk*farChunk)]
	b, off, sum := bytesOf(nodes), section.chunks[chunk]*indexEntry, section.sums[chunk]
	for try := 0; ; try++ {
		if err := x.file.ReadVia(durable.Behind, b, off); err != nil {
			return nil, err
		}
		found := durable.Checksum(b)
		if found == sum {
			return nodes, nil
		}
		if try == 1 {
			return nil, &durable.ChangedError{Path: x.file.Path(), Off: off, Len: int64(len(b)), Found: found, Written: sum}
		}
	}
}

const indexEntry = 4 // bytes

// bytesOf are the numbers' bytes as they lie in memory.
func bytesOf(n []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(n))), indexEntry*len(n))
}

// indexBytes is the memory of the index, and in which it is made.
func indexBytes(s shape) uint64 {
	if s.window == 0 {
		return 0
	}
	const offset, checksum = 8, 4
	sections := uint64(windows * windows)
	chunks := sections + windows*uint64(s.room)/farChunk
	return sections*uint64(unsafe.Sizeof(indexSection{})) + 2*chunks*(offset+checksum) + // what append grows to
		indexers*(windows*farChunk*indexEntry+listNodes*porep.Degree*indexEntry)
}
