// Package onelayer is OneLayer mode of the engine: of the layer that a batch is at, only
// the last eighth is in memory, beside the layer before. Base parents from
// further back are known beforehand. As they are made they are spilled to a scratch file,
// and those of a segment of nodes are read back in one piece, a segment ahead.
//
// A job has one Index, which says what is spilled, and each of its batches a Store. What a
// Store does:
//
//	Start    two goroutines spill, gather, and hand the layer before over to the next layer
//	Listed   may a producer locate the parents of a span?
//	Locate   where they lie
//	Ready    may the hasher label a segment?
//	Out      where its labels go
//	Close    the scratch file goes
//
// It knows nothing of sectors and what becomes of them: layers are read back by way of
// Files, and how far the batch is says its ring.Flow.
package onelayer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// A Source yields the parents of len(dst)/14 nodes from first on: all 14 of each, or only
// the base parents, which come first.
type Source func(dst []uint32, first uint64) error

// Files are the layers of a batch's lanes, of which what is written can be read back.
type Files interface {
	// Each calls do for parts 0 to n−1, from several goroutines with a buffer each for
	// Shape.Part labels of one lane, until one fails or the batch is stopped.
	Each(n int, do func(part int, buffer []byte) error) error
	// Read reads labels of a layer, whole parts, from a node on. It reports whether they
	// are there: not if the lane does not have that layer, or has failed, now or before.
	Read(lane, layer int, labels []byte, node uint64) bool
	// Load puts labels of a layer where they belong in nodes, in all lanes, or only in
	// those that begin with the next layer. Labels has room for one lane's.
	Load(nodes []byte, layer int, first uint64, labels []byte, onlyJoining bool) error
	// Dirs are directories for a scratch file: of lanes that have not failed.
	Dirs() []string
}

// Surroundings are what an Index and a Store have from their job.
type Surroundings struct {
	*Shape
	// BaseParents is asked for base parents alone, Parents for all.
	BaseParents, Parents Source
	// KeepOff keeps the calling goroutine off the cores that hash, until release.
	KeepOff func() (release func())
	// Fails, if not nil, is what an operation on a scratch file is to fail with, in tests:
	// "index", "open", "write" or "read", with the segment, counted through all layers.
	Fails func(operation string, segment uint64) error
}

func (s *Surroundings) fails(operation string, segment uint64) error {
	if s.Fails == nil {
		return nil
	}
	return s.Fails(operation, segment)
}

// A Batch is what a Store is for.
type Batch struct {
	Kernel *sha256.Kernel
	Lanes  int
	First  int    // the number of layer index 0
	Layers int    // that are labelled, one after another
	Begin  uint64 // the position, in the first layer, of the first node to label
	Flow   *ring.Flow
	Files  Files
	Way    durable.Way // to the disk and back

	Labels []byte // memory of Shape.LabelNodes labels
	Buffer []byte // of Shape.BufferBytes

	// Slowed is told that the scratch file is not used any more, and why.
	Slowed func(error)
}

// A Store is where a batch's labels lie.
//
// The hasher writes labels at ever higher positions and publishes how far it is;
// below that, anybody may read, as long as the hasher has not come so far that the
// label is written over: that is not before the writers have written it to its
// file, and what of it will be far parents is spilled.
type Store struct {
	Surroundings
	Batch
	index *Index
	pitch int

	// The layer before, until it is handed over; the newest labels of this one, node modulo
	// InMemory; and, of two segments, base parents from further back: segment n, counted
	// through all layers, is in gathered[n%2].
	before   []byte
	newest   []byte
	gathered [memorymode.SegmentsFar]gathering
	spilling
}

// A gathering is where the labels of a segment's far parents lie. About every other node has
// one, so that reading them one at a time from the layer's file would be half a random
// read a label.
//
// Expander parents that are put aside lie in that of the next layer's first segment, which
// has no far parents: see handOver.
type gathering struct {
	labels  []byte
	extent  *extent  // how labels lie: as they were spilled, or, if nil, in order of child, then slot
	list    []uint32 // in that order: by extent, the indices of labels; otherwise the far parents
	starts  []int    // by span of the segment: the first of them
	tooMany bool     // of them would have to be put aside: none is
	listed  atomic.Uint64
	read    atomic.Uint64 // both: the number, from 1, of the segment of which that is done
}

// New makes a Store. Close frees it.
func New(s Surroundings, x *Index, b Batch) *Store {
	st := &Store{Surroundings: s, Batch: b, index: x, pitch: b.Kernel.Pitch()}
	mem := b.Labels
	cut := func(nodes uint64) (part []byte) {
		n := nodes * uint64(st.pitch)
		part, mem = mem[:n:n], mem[n:]
		return part
	}
	st.before, st.newest = cut(s.Nodes), cut(s.InMemory) // before is where Before says
	for i := range st.gathered {
		g := &st.gathered[i]
		g.labels = cut(uint64(s.farLabels(st.pitch)))
		g.list = make([]uint32, 0, s.room)
		g.starts = make([]int, 0, s.Segment/uint64(s.Stride))
	}
	return st
}

// Start starts the goroutines; fail is told why one of them ends early.
func (s *Store) Start(ctx context.Context, wg *sync.WaitGroup, fail func(error)) {
	failure.Go(wg, fail, func() {
		if err := s.gather(ctx); err != nil {
			fail(err)
		}
	})
	failure.Go(wg, fail, func() { s.spill(ctx) })
}

// Close removes the scratch file.
func (s *Store) Close() {
	if s.file != nil {
		s.file.Abort()
	}
}

// Before is the memory of the layer before.
func (s *Store) Before() []byte { return s.before }

// Before is where in Batch.Labels the memory of the layer before lies.
func Before(labels []byte, nodes uint64, pitch int) []byte {
	n := nodes * uint64(pitch)
	return labels[:n:n]
}

// Out is where the labels of n nodes go; they are in one span.
func (s *Store) Out(node uint64, n int) []byte {
	pitch := uint64(s.pitch)
	return s.newest[node%s.InMemory*pitch:][:uint64(n)*pitch]
}

// Ready reports whether the segment at a position can be labelled: its far parents are
// there, and the labels that its own are written over are spilled.
func (s *Store) Ready(position uint64) bool {
	n := position / s.Segment
	return s.isRead(n) && s.done.Load()+kept > n
}

// FarThere reports whether the labels of a node's far parents are there, as those of all
// in its segment.
func (s *Store) FarThere(position uint64) bool { return s.isRead(position / s.Segment) }

// Listed reports whether it is known where the parents of the span at a node lie.
func (s *Store) Listed(index int, node uint64) bool {
	n := s.position(index, node) / s.Segment
	if s.isClosing(index, node) {
		n++ // in whose gathering parents are put aside; the one before was listed earlier
	}
	return s.of(n).listed.Load() == n+1
}

func (s *Store) of(n uint64) *gathering { return &s.gathered[n%memorymode.SegmentsFar] }

func (s *Store) isRead(n uint64) bool { return s.of(n).read.Load() == n+1 }

// Locate sets rows to where the parents of the nodes from node on lie, which are in one
// span, and Listed.
func (s *Store) Locate(rows sha256.Rows, index int, node uint64, parents []uint32) error {
	used := porep.BaseDegree
	if s.First+index > 1 {
		used = porep.Degree
	}
	var far, aside *gathering
	var entry, asideEntry int // the next in their lists
	if node >= s.InMemory {
		far = s.of(s.position(index, node) / s.Segment)
		entry = far.entryOf(node%s.Segment, s.Stride)
	}
	if s.isClosing(index, node) {
		if g := s.of(uint64(index+1) * Segments); !g.tooMany {
			aside, asideEntry = g, g.entryOf(node-s.closing(), s.Stride)
		}
	}
	pitch := uint64(s.pitch)
	for row := range len(parents) / porep.Degree {
		child := node + uint64(row)
		below := uint64(0) // expander parents below that are put aside
		if aside != nil {
			below = s.asideBelow(child)
		}
		for slot, p := range parents[row*porep.Degree:][:used] {
			if uint64(p) >= s.Nodes {
				return fmt.Errorf("engine: locating parents of node %d: parent %d in a layer of %d nodes", child, p, s.Nodes)
			}
			switch {
			case slot >= porep.BaseDegree && uint64(p) < below:
				label, ok := aside.label(asideEntry, p, s.Segment)
				if !ok {
					return fmt.Errorf("engine: locating parents of node %d: parent %d is not where it was put aside", child, p)
				}
				rows.Set(s.Kernel, row, slot, aside.labels[uint64(label)*pitch:])
				asideEntry++
			case slot >= porep.BaseDegree:
				rows.Set(s.Kernel, row, slot, s.before[uint64(p)*pitch:])
			case !s.isFar(child, p):
				rows.Set(s.Kernel, row, slot, s.newest[uint64(p)%s.InMemory*pitch:])
			default:
				label, ok := far.label(entry, p, s.Segment)
				if !ok {
					return fmt.Errorf("engine: locating parents of node %d: parent %d is not where its segment has it", child, p)
				}
				rows.Set(s.Kernel, row, slot, far.labels[uint64(label)*pitch:])
				entry++
			}
		}
	}
	return nil
}

// entryOf is the index of the first far parent of the span at a node of the segment.
func (g *gathering) entryOf(node uint64, stride int) int { return g.starts[node/uint64(stride)] }

// startSpans notes where spans begin: those before a node of the segment that nobody has
// noted, where the list ends now.
func (g *gathering) startSpans(end, stride uint64) {
	for uint64(len(g.starts))*stride < end {
		g.starts = append(g.starts, len(g.list))
	}
}

// label is the index of the label of the far parent that is listed as entry; it is in
// a segment of so many nodes. False means that something else is listed there.
func (g *gathering) label(entry int, parent uint32, nodes uint64) (label int, ok bool) {
	if entry >= len(g.list) {
		return 0, false
	}
	if g.extent == nil {
		return entry, g.list[entry] == parent
	}
	label = int(g.list[entry])
	from := uint64(parent) / nodes
	in := label - g.extent.starts[from]
	return label, in >= 0 && in < g.extent.n[from]
}
