package onelayer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
)

const indexers = 2 // goroutines

// An Index says which nodes of a segment are far parents of which later segment's: a section
// for each two segments, its parents in the order in which their children have them. It is
// the same for all layers, lanes and hashers.
//
// A large sector's is gigabytes. It lies in a file without a name; that of a small
// sector never gets farther than the page cache.
type Index struct {
	Surroundings
	file     *durable.File
	end      atomic.Int64                // of what is in the file, in parents
	sections [Segments][Segments]section // by the children's segment, then the parents'

	ready atomic.Bool // all of it is there, unless err says why not
	err   error
	gate  ring.Gate // for who waits for that
	close func()
}

type section struct {
	n      int
	chunks []int64  // where each farChunk of its parents begins in the file, in parents
	sums   []uint32 // of each chunk
}

// StartIndex starts the work on an Index, whose file is in the first of the directories
// that takes it. Until Close or the end of ctx.
func StartIndex(ctx context.Context, s Surroundings, dirs []string) *Index {
	x := &Index{Surroundings: s}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	x.close = func() {
		cancel()
		wg.Wait()
		if x.file != nil {
			x.file.Abort()
		}
	}
	wg.Go(func() {
		if fault := failure.Caught(func() { x.build(ctx, dirs) }); fault != nil {
			x.err = fault
		}
		x.ready.Store(true)
		x.gate.Wake()
	})
	return x
}

// Close ends the work on the index, and removes its file. Nil has nothing to close.
func (x *Index) Close() {
	if x != nil {
		x.close()
	}
}

// Wake has those who wait for the index, as their batch was stopped, look again. Of nil
// nobody waits.
func (x *Index) Wake() {
	if x != nil {
		x.gate.Wake()
	}
}

// wait waits for the index until ctx is done.
func (x *Index) wait(ctx context.Context) error {
	defer context.AfterFunc(ctx, x.gate.Wake)()
	x.gate.Wait(1, func() bool { return x.ready.Load() || ctx.Err() != nil })
	return context.Cause(ctx)
}

// build makes the index.
func (x *Index) build(ctx context.Context, dirs []string) {
	if x.err = x.fails("index", 0); x.err != nil {
		return
	}
	for _, dir := range dirs {
		if x.file, x.err = durable.Scratch(ctx, dir); x.err == nil {
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
		failure.Go(&wg, func(err error) { errs[i] = err }, func() {
			defer x.KeepOff()()
			w := newIndexWriter(x)
			for errs[i] == nil {
				child := next.Add(1) - 1
				if child >= Segments {
					return
				}
				errs[i] = w.segment(ctx, int(child))
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
	*Index
	parents []uint32
	chunks  [Segments][]uint32 // by the parents' segment: what is not in the file yet
}

func newIndexWriter(x *Index) *indexWriter {
	w := &indexWriter{Index: x, parents: x.listParents()}
	for i := range w.chunks[:Segments-kept] {
		w.chunks[i] = make([]uint32, 0, farChunk)
	}
	return w
}

// segment puts the far parents of a segment of children into the file.
func (w *indexWriter) segment(ctx context.Context, child int) error {
	stopped := func() bool { return ctx.Err() != nil }
	err := w.eachFar(w.BaseParents, w.parents, uint64(child)*w.Segment, stopped, func(_ uint64, p uint32) error {
		from := uint64(p) / w.Segment
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
	s := &w.sections[child][from]
	s.n += len(nodes)
	s.chunks = append(s.chunks, at)
	s.sums = append(s.sums, durable.Checksum(b))
	w.chunks[from] = nodes[:0]
	return nil
}

// read is a chunk of a section, in memory for farChunk parents. What is not what was
// written is an error.
func (x *Index) read(nodes []uint32, s *section, chunk int) ([]uint32, error) {
	nodes = nodes[:min(farChunk, s.n-chunk*farChunk)]
	b, off, sum := bytesOf(nodes), s.chunks[chunk]*indexEntry, s.sums[chunk]
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
