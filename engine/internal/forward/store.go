// Package forward is Budget mode of the engine: neither the layer that a batch is at nor the one
// before is in memory as a whole. When a label is made it is sent on, by way of a scratch file, to
// those segments of nodes that will read it: of the next layer, as the expander permutation can
// be inverted, and of the same one, as an index says. What a segment of nodes reads is gathered
// in memory a segment ahead, in the order in which the hasher wants it.
//
//	parcels:  layer l, segment 1 | 2 | …   what was made of layer l−1, and of l far before
//	          layer l + 1, segment 0 | 1 | …   what is made of layer l
//
// Or nothing is sent: a segment's parents are listed in the order in which they lie in the layers'
// files, and these are read past the list.
//
//	Passes  layer l, segment n   the file of layer l−1, and that of l up to the oldest label in memory
//
// A job has one Index, and each of its batches a Store. What a Store does:
//
//	Start    goroutines send, write, gather
//	Located  may a producer locate the parents of a span?
//	Locate   where they lie
//	Ready    may the hasher label a span?
//	Out      where its labels go
//	Restore  does all that as if what was labelled before a job had been labelled now
//	Fill     as if something had been labelled before, to measure what comes then
//	Close    the scratch file goes
//
// It knows nothing of sectors and what becomes of them: layers are read back by way of
// Files, and how far the batch is says its ring.Flow.
package forward

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// Files are the layers of a batch's lanes, of which what is written can be read back.
type Files interface {
	// Each calls do for parts 0 to n−1, from several goroutines with a buffer each for
	// Shape.Read labels of one lane, until one fails or the batch is stopped.
	Each(n int, do func(part int, buffer []byte) error) error
	// Load puts labels of a layer where they belong in nodes, in all lanes that have it, or
	// only in those that begin with the next layer. Labels has room for one lane's.
	Load(nodes []byte, layer int, first uint64, labels []byte, onlyJoining bool) error
	// Lanes is how many there are.
	Lanes() int
	// Read reads labels of a layer in one lane, from a node on. False means that they are not there,
	// and are not needed.
	Read(lane, layer int, labels []byte, node uint64) bool
	// Joins reports whether a lane begins with a layer.
	Joins(layer int) bool
	// Dirs are directories for a scratch file: of lanes that have not failed.
	Dirs() []string
}

// Surroundings are what an Index and a Store have from their job.
type Surroundings struct {
	*Shape
	// What is known of the graph: see package graph.
	Parents, BaseParents func(dst []uint32, first uint64) error
	Uses                 func(dst []uint64, first uint64) error // nil: Passes, which do without
	// KeepOff keeps the calling goroutine off the cores that hash, until release.
	KeepOff func() (release func())
	// From is a node: those before it are not labelled, in any layer, and have no Index.
	From uint64
}

// A Batch is what a Store is for.
type Batch struct {
	Kernel *sha256.Kernel
	First  int    // the number of layer index 0
	Layers int    // that are labelled, one after another
	Begin  uint64 // the position, in the first layer, of the first node to label
	Flow   *ring.Flow
	Files  Files
	Way    durable.Way // to the disk and back

	Labels []byte // memory of Shape.LabelNodes labels
	Buffer []byte // of Shape.BufferBytes
}

// A Store is where a batch's labels lie. The hasher writes labels at ever higher positions: below
// how far it has published that it is, anybody may read, as long as the hasher has not come so far
// that the label is written over: that is not before it is in its file, and sent.
type Store struct {
	Surroundings
	Batch
	index *Index
	pitch int

	newest   []byte // node modulo Ring
	segments [2]gathering
	parcels  [2][]parcel // of layer index i: i%2
	room     int         // entries of a block
	blocks   *blocks
	buffers  chan []byte // blocks that nobody has
	written  chan writing
	staging  [readers][]byte
	joining  []byte // a part's labels

	list     *list // Passes, which have nothing of what follows but sent, which then is everything
	uses     []uint64
	entries  []byte    // a block of the index
	cut, far divider   // by segments' expander and far base parents
	sent     ring.Line // positions below are sent
	traffic  traffic
	filled   *filling // nil but after Fill
	started  bool
	fail     func(error)
}

// A gathering is where the labels that a segment reads lie: its expander parents, node after
// node, then its far base parents in the order of their children.
type gathering struct {
	labels []byte
	there  atomic.Int64 // the number, from 1, of the segment that is all there

	// What has come so far: how many labels, and the sum of their numbers.
	count, sum atomic.Uint64
	read       atomic.Uint64 // bytes, for it

	// Passes: the number, from 1, of the segment of which farBefore is.
	listed    atomic.Int64
	farBefore []uint32
}

// A parcel is the labels, as they are made, that go to a segment: in blocks, the last of which is
// in memory. Each has a number, which says where they lie in the gathering.
type parcel struct {
	buffer  []byte       // nil if none is open: then n is what a block has, too
	n       int          // entries in it
	head    uint32       // of blocks in the file
	writing atomic.Int32 // blocks on their way there
	unread  bool         // nobody will read it
}

// New makes a Store. Close frees it.
func New(s Surroundings, x *Index, b Batch) *Store {
	st := &Store{Surroundings: s, Batch: b, index: x, pitch: b.Kernel.Pitch()}
	mem := b.Labels
	cut := func(n uint64) (part []byte) {
		part, mem = mem[:n:n], mem[n:]
		return part
	}
	pitch := uint64(st.pitch)
	st.newest = cut(s.Ring * pitch)
	for i := range st.segments {
		st.segments[i].labels = cut((s.slots() + s.Shape.far) * pitch)
	}
	mem = b.Buffer
	if s.Passes() {
		for i := range st.segments {
			st.segments[i].farBefore = make([]uint32, 0, s.spans())
		}
		st.list = x.newList(cut(s.listBytes()))
		st.sent.Store(everything)
		return st
	}
	st.room, st.buffers, st.written = s.entries(st.pitch), make(chan []byte, s.opened()), make(chan writing, s.opened())
	st.uses, st.entries = make([]uint64, usesNodes*s.Images*porep.ExpDegree), linux.AlignedBuffer(s.farBlock)
	st.cut, st.far = newDivider(s.slots()), newDivider(s.Shape.far)
	for i := range st.parcels {
		st.parcels[i] = make([]parcel, s.Segments)
		for k := range st.parcels[i] {
			st.parcels[i][k].n = st.room
		}
	}
	size := uint64(s.block(st.pitch))
	for range s.opened() {
		st.buffers <- cut(size)
	}
	for i := range st.staging {
		st.staging[i] = cut(size)
	}
	st.joining = cut(s.Part * pitch)
	st.sent.Store(b.Begin - b.Begin%s.Group)
	return st
}

// everything is after all positions.
const everything = 1 << 62

// Open makes the scratch file, if there is to be one, in the first lane's directory that takes it.
func (s *Store) Open(ctx context.Context) (err error) {
	if s.filled != nil || s.Passes() {
		return nil // Fill has, or there is none
	}
	s.blocks, err = openBlocks(ctx, s.Files.Dirs(), s.Way, s.Shape.blocks(s.pitch), s.block(s.pitch))
	return err
}

// Start starts the goroutines; fail is told why one of them ends early.
func (s *Store) Start(wg *sync.WaitGroup, fail func(error)) {
	s.started, s.fail = true, fail
	run := func(do func() error) {
		failure.Go(wg, fail, func() {
			defer s.KeepOff()()
			if err := do(); err != nil {
				fail(err)
			}
		})
	}
	run(s.gather)
	if s.Passes() {
		return
	}
	run(s.send)
	for range writers {
		run(s.write)
	}
}

// A traffic is what goes from and to scratch files, in bytes. What is read of blocks counts when all of a
// segment is, so that it is of so many nodes.
type traffic struct{ read, written, gathered, listed atomic.Uint64 }

// Traffic is how many bytes were read and written of scratch files so far, and for how many nodes it was
// read: of the index of far parents, which is read for nodes when they are labelled, that is apart.
func (s *Store) Traffic() (read, gathered, listed, written uint64) {
	t := &s.traffic
	return t.read.Load(), t.gathered.Load(), t.listed.Load(), t.written.Load()
}

// Close removes the scratch file.
func (s *Store) Close() {
	if s.list != nil {
		s.index.drop(s.list)
	}
	s.blocks.close()
}

// Out is where the labels of n nodes go; they are in one span.
func (s *Store) Out(node uint64, n int) []byte {
	pitch := uint64(s.pitch)
	return s.newest[node%s.Ring*pitch:][:uint64(n)*pitch]
}

// Ready reports whether a span that ends at a position can be labelled: what it reads is there,
// and the labels that its own are written over are sent.
func (s *Store) Ready(position, end uint64) bool {
	return s.There(position) && s.sent.Load()+s.Ring >= end
}

// There reports whether what the segment at a position reads was gathered.
func (s *Store) There(position uint64) bool {
	n := s.segmentOf(position)
	return s.segments[n%2].there.Load() == int64(n)+1
}

// Located reports whether it is known where the parents of the span at a node lie.
func (s *Store) Located(index int, node uint64) bool {
	if node+uint64(s.Stride) <= s.Ring {
		return true
	}
	if s.Passes() {
		n := s.segmentOf(s.position(index, node))
		return s.segments[n%2].listed.Load() == int64(n)+1
	}
	return s.index.ready.Load()
}

// Locate sets rows to where the parents of the nodes from node on lie, which are in one span, and
// Located. Of parents it looks at base parents.
func (s *Store) Locate(rows sha256.Rows, index int, node uint64, parents []uint32) error {
	g := &s.segments[s.segmentOf(s.position(index, node))%2]
	pitch := uint64(s.pitch)
	var far uint64
	if node+uint64(s.Stride) > s.Ring && s.Passes() {
		far = uint64(g.farBefore[node%s.Segment/uint64(s.Stride)])
	} else if node+uint64(s.Stride) > s.Ring {
		if s.index.err != nil {
			return s.index.err
		}
		far = uint64(s.index.starts[node/uint64(s.Stride)])
	}
	expander := g.labels[node%s.Segment*porep.ExpDegree*pitch:]
	for row := range len(parents) / porep.Degree {
		child := node + uint64(row)
		for slot, p := range parents[row*porep.Degree:][:porep.BaseDegree] {
			if uint64(p) > child {
				return fmt.Errorf("engine: locating parents of node %d: base parent %d comes after it", child, p)
			}
			if !s.isFar(child, p) {
				rows.Set(s.Kernel, row, slot, s.newest[uint64(p)%s.Ring*pitch:])
				continue
			}
			if far == s.Shape.far {
				return fmt.Errorf("engine: locating parents of node %d: more than %d far parents", child, far)
			}
			rows.Set(s.Kernel, row, slot, g.labels[(s.slots()+far)*pitch:])
			far++
		}
		if s.First+index == 1 {
			continue
		}
		for slot := porep.BaseDegree; slot < porep.Degree; slot++ {
			rows.Set(s.Kernel, row, slot, expander)
			expander = expander[pitch:]
		}
	}
	return nil
}
