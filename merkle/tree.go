package merkle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// maxTreeSize bounds what BuildTree and CheckTree keep in memory: 64 bytes for
// each chunk of leaves, 64 MiB at this size, 4 MiB for the largest sector.
const maxTreeSize = 1 << 40

// TreeSize is the size of a file that holds the whole tree over size bytes, all
// levels, leaves first, root last: (2N-1)·32 bytes for N leaves. It is meant for
// sizes that BuildTree accepts.
func TreeSize(size porep.SectorSize) int64 { return 2*int64(size) - nodeSize }

// levelOffset is where a level starts in the file: after levels of size bytes,
// half as many, and so on.
func levelOffset(size porep.SectorSize, level int) int64 {
	return 2 * int64(size-size>>level)
}

// NodeOffset is where, in the file of the tree over size bytes, the node lies
// that commits to the length bytes of data from start on. length is a power of two
// from 32, start a multiple of it.
func NodeOffset(size porep.SectorSize, start, length porep.PaddedSize) int64 {
	return levelOffset(size, height(uint64(length))) + int64(start/length)*nodeSize
}

// BuildTree writes to w the whole tree over size bytes of data, all levels,
// leaves first, root last, TreeSize(size) bytes in all, and returns its root.
// Where data ends before size, zeros follow; data past size is not looked at.
//
// So many workers (at least one) call data.ReadAt and w.WriteAt at the same
// time, each for one chunk of up to 1 MiB of leaves after the other. Every byte
// of data is read once, every byte of the tree written once; higher levels are written
// for 64 MiB of leaves at a time. A worker takes 2 MiB of memory, all together 12 MiB
// more. progress, unless nil, is called after each chunk with the
// bytes of data done so far; calls do not overlap, and the workers wait for them.
//
// Chunks of zeros are not hashed, and those in the holes of data that is a Sparse are not
// read. If w is a Puncher their leaves are not written.
//
// The error is a *SizeError unless size is a power of two from 64 bytes to
// 1 TiB. Other errors wrap that of data, of w, or of ctx, which is asked before
// each chunk; then some of the tree may have been written. No goroutine outlives
// the call.
func BuildTree(ctx context.Context, w io.WriterAt, data io.ReaderAt, size porep.SectorSize, workers int, progress func(done uint64)) (porep.Commitment, error) {
	b, err := NewBuilder(w, size)
	if err != nil {
		return porep.Commitment{}, err
	}
	return b.Finish(ctx, data, workers, progress)
}

// A Sparse is data that knows where it is zeros without being read.
type Sparse interface {
	// DataFrom is where, from off on, there may be something else than zeros.
	DataFrom(off int64) int64
}

// A Puncher is a file in which zeros need not be written.
type Puncher interface {
	// Punch has n bytes at off read as zeros.
	Punch(off, n int64) error
}

// A TreeError says where a tree is not the tree over its data.
type TreeError struct {
	Level  int    // from the leaves
	Node   uint64 // in the level
	Offset int64  // of the node in the file
	Reason string
}

// Is reports whether target is the kind ErrCorrupt.
func (e *TreeError) Is(target error) bool { return target == failure.ErrCorrupt }

func (e *TreeError) Error() string {
	return fmt.Sprintf("merkle: checking tree: level %d, node %d, byte %d: %s", e.Level, e.Node, e.Offset, e.Reason)
}

// CheckTree computes the tree over size bytes of data as BuildTree does,
// compares it byte by byte with the tree that is there, and returns the root.
// The error is a *TreeError where the tree differs, naming the node found first
// (with several workers that need not be the one of least offset), or where it
// is too short or too long, naming the root. Other errors are as in BuildTree. A
// worker takes 3 MiB of memory.
func CheckTree(ctx context.Context, tree, data io.ReaderAt, size porep.SectorSize, workers int, progress func(done uint64)) (porep.Commitment, error) {
	const doing = "checking tree"
	if err := checkSize(doing, uint64(size), maxTreeSize); err != nil {
		return porep.Commitment{}, err
	}
	if err := checkLength(tree, size); err != nil {
		return porep.Commitment{}, err
	}
	newSink := func() sink {
		var buf []byte
		return func(r span) error {
			if len(buf) < len(r.nodes) {
				buf = make([]byte, len(r.nodes))
			}
			got := buf[:len(r.nodes)]
			if _, err := readFull(tree, got, r.offset); err != nil {
				return fmt.Errorf("merkle: %s: reading %v: %w", doing, r, err)
			}
			return r.compare(got)
		}
	}
	c := walk{doing: doing, data: data, size: size, progress: progress}
	return c.all(ctx, workers, newSink)
}

// checkLength reads the last byte of a tree and the one that must not follow.
func checkLength(tree io.ReaderAt, size porep.SectorSize) error {
	want := TreeSize(size)
	var ends [2]byte
	n, err := readFull(tree, ends[:], want-1)
	reason := ""
	switch {
	case n == 1 && errors.Is(err, io.EOF):
		return nil
	case n == 0 && errors.Is(err, io.EOF):
		reason = fmt.Sprintf("the tree ends before the root does, want %d bytes", want)
	case err != nil:
		return fmt.Errorf("merkle: checking tree: reading its end at byte %d: %w", want-1, err)
	default:
		reason = fmt.Sprintf("bytes follow the root, want %d bytes", want)
	}
	return &TreeError{Level: height(uint64(size)), Offset: want - nodeSize, Reason: reason}
}

// readFull is r.ReadAt, but an error comes with a short b and only then.
func readFull(r io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := r.ReadAt(b, off)
	if n >= len(b) {
		return len(b), nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// A span is consecutive nodes of one level.
type span struct {
	level  int
	first  uint64 // node in the level
	offset int64  // byte in the file
	nodes  []byte
	zero   bool // nodes are zeros, of the lowest level
}

func (r span) String() string {
	return fmt.Sprintf("level %d, %d bytes from byte %d", r.level, len(r.nodes), r.offset)
}

// compare returns a *TreeError that names the first node of r that is another
// one in got.
func (r span) compare(got []byte) error {
	if bytes.Equal(got, r.nodes) {
		return nil
	}
	for i := 0; ; i += nodeSize {
		is, want := porep.Commitment(got[i:]), porep.Commitment(r.nodes[i:])
		if is != want {
			return &TreeError{r.level, r.first + uint64(i)/nodeSize, r.offset + int64(i), fmt.Sprintf("is %v, want %v", is, want)}
		}
	}
}

// A sink takes the spans of one worker: it writes them, or compares them with
// what was written before. Spans are valid until it returns.
type sink func(span) error

// A walk computes every node of a tree once. Workers claim chunks of leaves and
// hand these and all levels above them to their sinks, except the chunks'
// roots, which are collected for the end.
type walk struct {
	doing    string
	data     io.ReaderAt
	size     porep.SectorSize
	progress func(done uint64)
	chunk    uint64 // bytes of leaves
	roots    []byte // of all chunks

	mu     sync.Mutex
	added  []bool // chunks that are not to be read
	next   uint64 // start of the next chunk that nobody claimed
	done   uint64 // bytes of leaves
	err    error  // the first; it ends the walk
	groups map[uint64]*group
}

const (
	// lowLevels are the levels that a chunk hands over by itself: 64 KiB and more of
	// a whole one.
	lowLevels = 5
	// groupSize is how many bytes of leaves the levels above are handed over together of: at
	// least a page of each.
	groupSize = 64 * chunkSize
)

// A group is the higher levels of consecutive chunks, which are collected until all are there.
type group struct {
	levels  []byte // one after the other, the lowest first
	missing int    // chunks
}

func (w *walk) all(ctx context.Context, workers int, newSink func() sink) (porep.Commitment, error) {
	if err := w.begin(); err != nil {
		return porep.Commitment{}, err
	}
	return w.rest(ctx, workers, newSink)
}

// begin makes a walk ready, of which no chunk is done.
func (w *walk) begin() error {
	if err := checkSize(w.doing, uint64(w.size), maxTreeSize); err != nil {
		return err
	}
	w.chunk = min(uint64(w.size), chunkSize)
	w.roots = make([]byte, uint64(w.size)/w.chunk*nodeSize)
	w.added = make([]bool, uint64(w.size)/w.chunk)
	w.groups = map[uint64]*group{}
	return nil
}

// rest does all chunks that were not added, and what is above them all.
func (w *walk) rest(ctx context.Context, workers int, newSink func() sink) (porep.Commitment, error) {
	sparse, _ := w.data.(Sparse)
	var wg sync.WaitGroup
	var fault atomic.Pointer[failure.Fault]
	for range min(max(workers, 1), len(w.added)) {
		wg.Go(func() {
			if came := failure.Caught(func() {
				var h Hasher
				put := newSink()
				leaves := make([]byte, w.chunk)
				for off, ok := w.claim(ctx); ok; off, ok = w.claim(ctx) {
					hole := sparse != nil && sparse.DataFrom(int64(off)) >= int64(off+w.chunk)
					w.finish(w.read(&h, put, off, leaves, hole))
				}
			}); came != nil {
				fault.Store(came)
				w.finish(came)
			}
		})
	}
	wg.Wait()
	if came := fault.Load(); came != nil {
		panic(came) // where the data's own would have come
	}
	if w.err != nil {
		return porep.Commitment{}, w.err
	}

	var h Hasher
	above, err := h.levels(w.roots)
	if err != nil {
		return porep.Commitment{}, fmt.Errorf("merkle: %s: %w", w.doing, err)
	}
	if err := w.emit(newSink(), height(w.chunk), 0, w.roots, above); err != nil {
		return porep.Commitment{}, err
	}
	if len(above) == 0 { // a single chunk
		return last(w.roots), nil
	}
	return last(above), nil
}

// claim returns where the next chunk starts that is not done, unless there is none or
// something ended the walk.
func (w *walk) claim(ctx context.Context) (off uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.next < uint64(w.size) && w.added[w.next/w.chunk] {
		w.next += w.chunk
		w.done += w.chunk
	}
	if w.err != nil || w.next == uint64(w.size) {
		return 0, false
	}
	if ctx.Err() != nil {
		w.err = fmt.Errorf("merkle: %s: %w", w.doing, context.Cause(ctx))
		return 0, false
	}
	off = w.next
	w.next += w.chunk
	return off, true
}

// finish reports a chunk as done, or as what ends the walk.
func (w *walk) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.err == nil {
			w.err = err
		}
		return
	}
	w.done += w.chunk
	if w.progress != nil {
		w.progress(w.done)
	}
}

// read reads the leaves from byte off of the data, and takes them.
func (w *walk) read(h *Hasher, put sink, off uint64, leaves []byte, hole bool) error {
	zero := hole
	if !hole {
		n, err := readFull(w.data, leaves, int64(off))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("merkle: %s: reading data, %d bytes from byte %d: %w", w.doing, len(leaves), off, err)
		}
		clear(leaves[n:])
		zero = isZero(leaves)
	}
	return w.take(h, put, off, leaves, zero)
}

// take puts a chunk of leaves and the levels above, and keeps its root instead of putting it.
func (w *walk) take(h *Hasher, put sink, off uint64, leaves []byte, zero bool) error {
	var levels []byte
	if zero {
		leaves, levels = zeroChunk(len(leaves))
	} else {
		var err error
		if levels, err = h.levels(leaves); err != nil {
			return fmt.Errorf("merkle: %s: %w", w.doing, err)
		}
	}
	below := len(levels) - nodeSize
	copy(w.roots[off/w.chunk*nodeSize:], levels[below:])
	levels = levels[:below]
	nodes, first := leaves, off/nodeSize
	for level := 0; ; level++ {
		if err := put(w.span(level, first, nodes, zero && level == 0)); err != nil {
			return err
		}
		switch {
		case len(levels) == 0:
			return nil
		case level+1 == lowLevels:
			return w.collect(put, off, uint64(len(leaves)), levels)
		}
		half := len(nodes) / 2
		nodes, levels, first = levels[:half], levels[half:], first/2
	}
}

func (w *walk) span(level int, first uint64, nodes []byte, zero bool) span {
	return span{level, first, levelOffset(w.size, level) + int64(first)*nodeSize, nodes, zero}
}

// collect keeps the levels from lowLevels on of the chunk at off until its group has all of
// them, and then puts the group's.
func (w *walk) collect(put sink, off, chunk uint64, levels []byte) error {
	size := min(uint64(w.size), groupSize)
	number, n := off/size, size/chunk
	w.mu.Lock()
	g := w.groups[number]
	if g == nil {
		g = &group{make([]byte, n*uint64(len(levels))), int(n)}
		w.groups[number] = g
	}
	w.mu.Unlock()
	at := off % size / chunk
	for all, part := g.levels, chunk>>lowLevels; len(levels) > 0; part /= 2 {
		copy(all[at*part:], levels[:part])
		all, levels = all[n*part:], levels[part:]
	}
	w.mu.Lock()
	g.missing--
	whole := g.missing == 0
	if whole {
		delete(w.groups, number)
	}
	w.mu.Unlock()
	if !whole {
		return nil
	}
	part := size >> lowLevels
	return w.emit(put, lowLevels, number*size/nodeSize>>lowLevels, g.levels[:part], g.levels[part:])
}

// emit puts nodes, which start with node first of their level, and all that is
// above them, level after level.
func (w *walk) emit(put sink, level int, first uint64, nodes, above []byte) error {
	for {
		if err := put(w.span(level, first, nodes, false)); err != nil {
			return err
		}
		if len(above) == 0 {
			return nil
		}
		half := len(nodes) / 2
		nodes, above = above[:half], above[half:]
		level, first = level+1, first/2
	}
}
