package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

// Reading labels back from layer files.
const (
	readers   = 4       // goroutines
	readPart  = 1 << 20 // bytes of one lane, at a time
	readNodes = readPart / porep.NodeSize

	listNodes = 2048 // whose far parents are listed at a time
)

// farParents are, in OneLayer mode, the labels of base parents that are no longer
// in memory when their child's turn comes. Parents are known in advance: for a
// window of nodes after another, one goroutine reads the labels from where they were
// spilled, and lists where each lies. It is a window ahead of the hasher.
//
// About every other node has one, so that reading them one at a time from the layer's
// file would be half a random read a label.
type farParents struct {
	windows [memorymode.WindowsFar]farWindow // window n, counted through all layers, is in windows[n%2]
}

// The place of a layer's first window, which has no far parents, is in the layer before's
// last window that of expander parents put aside: see pipeline.handOver.
type farWindow struct {
	labels  []byte
	place   *spillPlace // how labels lie: as they were spilled, or, if nil, in order of child, then slot
	list    []uint32    // in that order: by place, the indices of labels; otherwise the far parents
	starts  []int       // by run of the window: the first of them
	tooMany bool        // of them would have to be put aside: none is
	listed  atomic.Uint64
	read    atomic.Uint64 // both: the number, from 1, of the window of which that is done
}

func (f *farParents) of(window uint64) *farWindow { return &f.windows[window%memorymode.WindowsFar] }

// ready says whether a window's labels are there.
func (f *farParents) ready(window uint64) bool { return f.of(window).read.Load() == window+1 }

// entryOf is the index of the first far parent of the run at a node of the window.
func (w *farWindow) entryOf(node uint64, run int) int { return w.starts[node/uint64(run)] }

// startRuns notes where runs begin: those before a node of the window that nobody has
// noted, where the list ends now.
func (w *farWindow) startRuns(end, run uint64) {
	for uint64(len(w.starts))*run < end {
		w.starts = append(w.starts, len(w.list))
	}
}

// label is the index of the label of the far parent that is listed as entry; it is in
// a window of so many nodes. False means that something else is listed there.
func (w *farWindow) label(entry int, parent uint32, window uint64) (label int, ok bool) {
	if entry >= len(w.list) {
		return 0, false
	}
	if w.place == nil {
		return entry, w.list[entry] == parent
	}
	label = int(w.list[entry])
	from := uint64(parent) / window
	in := label - w.place.starts[from]
	return label, in >= 0 && in < w.place.n[from]
}

// gather keeps the far parents of the window that comes next ready, through all
// layers.
func (b *pipeline) gather(ctx context.Context) error {
	defer b.job.keepOff()()
	var order *readOrder
	parents := b.store.listParents()
	begin := b.begin / b.store.window
	for n := begin; n < uint64(b.layers)*windows; n++ {
		index, from := int(n/windows), n%windows*b.store.window
		end := from + b.store.window
		w := b.store.far.of(n)
		// What lies in its place is the last but one's.
		if n >= begin+2 && !b.flow.Wait(&b.flow.Made, func() bool { return b.flow.Labelled.Load() >= (n-1)*b.store.window }) {
			return nil
		}
		if from == 0 && index > 0 {
			if err := b.handOver(w, n, index, parents); err != nil {
				return err
			}
			if b.flow.Stopped() {
				return nil
			}
			continue
		}
		if end <= b.store.inMemory {
			b.haveNone(w, n)
			continue
		}
		if !b.flow.Wait(&b.flow.Back, func() bool { return b.spilling.done.Load() > n-kept }) {
			return nil
		}
		fromLayers := !b.unspill(ctx, w, n)
		if err := b.list(w, from, parents); err != nil {
			return err
		}
		if b.flow.Stopped() {
			return nil // not all of it is listed
		}
		w.listed.Store(n + 1)
		b.flow.Back.Wake()
		if fromLayers {
			last := b.store.position(index, end-b.store.inMemory)
			if !b.flow.Wait(&b.flow.Made, func() bool { return b.flow.Written.Load() >= last }) {
				return nil
			}
			if order == nil {
				order = newReadOrder(b.store)
			}
			if err := b.readFar(w, index, end-b.store.inMemory, order); err != nil {
				return err
			}
		}
		w.read.Store(n + 1)
		b.flow.Back.Wake()
	}
	return nil
}

// haveNone notes that a window has no far parents.
func (b *pipeline) haveNone(w *farWindow, n uint64) {
	w.listed.Store(n + 1)
	w.read.Store(n + 1)
	b.flow.Back.Wake()
}

// list works out where the far parents of a window lie.
func (b *pipeline) list(w *farWindow, from uint64, parents []uint32) error {
	s := b.store
	w.list, w.starts = w.list[:0], w.starts[:0]
	var next [windows]int
	if w.place != nil {
		next = w.place.starts
	}
	run := uint64(s.run)
	err := s.eachFar(b.parents, parents, from, b.flow.Stopped, func(child uint64, p uint32) error {
		w.startRuns(child+1-from, run)
		if len(w.list) == s.room {
			return fmt.Errorf("engine: listing far parents: more than %d from node %d on", s.room, from)
		}
		at := p
		if w.place != nil {
			of := uint64(p) / s.window
			at = uint32(next[of])
			next[of]++
		}
		w.list = append(w.list, at)
		return nil
	})
	if err != nil || b.flow.Stopped() {
		return err
	}
	w.startRuns(s.window, run)
	if w.place == nil {
		return nil
	}
	for of, n := range w.place.n {
		if got := next[of] - w.place.starts[of]; got != n {
			return fmt.Errorf("engine: listing far parents: nodes from %d on have %d in window %d, and had %d when asked before", from, got, of, n)
		}
	}
	return nil
}

// eachFar calls visit for each far parent of a window of children from a node on, in
// order of child, then slot, until it is stopped. Parents is scratch memory.
func (s *shape) eachFar(source ParentSource, parents []uint32, from uint64, stopped func() bool, visit func(child uint64, parent uint32) error) error {
	get := func(dst []uint32, first uint64) error { return baseParents(source, dst, first) }
	return eachRow(get, parents, from, from+s.window, stopped, func(child uint64, row []uint32) error {
		for _, p := range row[:porep.BaseDegree] {
			if s.isFar(child, p) {
				if err := visit(child, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// eachRow calls visit with the parents of nodes from to end−1, one after another, until
// it is stopped. Parents is scratch memory.
func eachRow(get func(dst []uint32, first uint64) error, parents []uint32, from, end uint64, stopped func() bool, visit func(child uint64, row []uint32) error) error {
	for node := from; node < end; {
		if stopped() {
			return nil // of a large sector it takes seconds
		}
		n := min(uint64(len(parents)/porep.Degree), end-node)
		rows := parents[:n*porep.Degree]
		if err := get(rows, node); err != nil {
			return err
		}
		for ; n > 0; n-- {
			if err := visit(node, rows[:porep.Degree]); err != nil {
				return err
			}
			node, rows = node+1, rows[porep.Degree:]
		}
	}
	return nil
}

// listParents is memory for eachFar.
func (s *shape) listParents() []uint32 { return make([]uint32, min(s.window, listNodes)*porep.Degree) }

func baseParents(source ParentSource, dst []uint32, first uint64) error {
	if b, ok := source.(BaseSource); ok {
		return b.BaseParents(dst, first)
	}
	return source.Parents(dst, first)
}

// A readOrder sorts a window's far parents by the part of the file that they are
// in.
type readOrder struct {
	entries []uint32 // indices into farWindow.list
	ends    []int    // by part: where its entries end
}

func newReadOrder(s *store) *readOrder {
	return &readOrder{entries: make([]uint32, 0, s.room), ends: make([]int, divUp(s.nodes, readNodes))}
}

func (o *readOrder) sort(nodes []uint32) {
	clear(o.ends)
	for _, p := range nodes {
		o.ends[p/readNodes]++
	}
	at := 0
	for i, n := range o.ends {
		o.ends[i] = at
		at += n
	}
	o.entries = o.entries[:len(nodes)]
	for i, p := range nodes {
		o.entries[o.ends[p/readNodes]] = uint32(i)
		o.ends[p/readNodes]++
	}
}

// part is the entries of a part of the file.
func (o *readOrder) part(i int) []uint32 {
	if i == 0 {
		return o.entries[:o.ends[0]]
	}
	return o.entries[o.ends[i-1]:o.ends[i]]
}

// readFar reads the labels of a window's far parents from the layer's files, where all
// are among those of the nodes before end: 13 times over in a layer, but each lane has
// only its own file to lose.
func (b *pipeline) readFar(w *farWindow, index int, end uint64, order *readOrder) error {
	order.sort(w.list)
	stride := b.kernel.Stride()
	return b.readParts(len(order.ends), func(part int, buffer []byte) error {
		entries := order.part(part)
		if len(entries) == 0 {
			return nil
		}
		first := uint64(part) * readNodes
		n := min(readNodes, end-first) // what follows may be on its way to the file now
		for lane, l := range b.lanes {
			labels := buffer[:n*porep.NodeSize]
			if ok, err := l.read(b.c.way(), b.store.first+index, labels, first); err != nil {
				l.fail(fmt.Errorf("reading layer %d back: %w", b.store.first+index, err))
				continue
			} else if !ok {
				continue
			}
			for _, e := range entries {
				at := (uint64(w.list[e]) - first) * porep.NodeSize
				if err := b.kernel.Pack(w.labels[int(e)*stride:][:stride], labels[at:][:porep.NodeSize], lane); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// readParts calls do for parts 0 to n−1, from several goroutines with a buffer of
// readPart bytes each, until one fails or the batch is stopped. There is one set of
// buffers: the gatherer's, but that the hasher reads where lanes begin, when there is no
// gatherer, or it has nothing to read.
func (b *pipeline) readParts(n int, do func(part int, buffer []byte) error) (err error) {
	var next atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	buffers := b.buffers()
	for i := range min(readers, n) {
		wg.Go(func() {
			defer b.job.keepOff()()
			buffer := buffers.read[i]
			if buffer == nil {
				buffer = make([]byte, readPart)
			}
			for !b.flow.Stopped() {
				part := int(next.Add(1)) - 1
				if part >= n {
					return
				}
				if e := do(part, buffer); e != nil {
					once.Do(func() { err = e })
					next.Store(int64(n))
				}
			}
		})
	}
	wg.Wait()
	return err
}

// loadFiles fills the memory for the layer before layer index index in those lanes
// that begin with it.
func (b *pipeline) loadFiles(index int) error {
	s := b.store
	layer := s.first + index
	return b.readParts(int(divUp(s.nodes, readNodes)), func(part int, buffer []byte) error {
		first := uint64(part) * readNodes
		n := min(readNodes, s.nodes-first)
		return b.loadLanes(s.before(index), layer-1, first, buffer[:n*porep.NodeSize], func(l *lane) bool { return l.first == layer })
	})
}

// loadLanes reads some labels of a layer in all lanes that are wanted and puts them
// in their places in memory.
func (b *pipeline) loadLanes(memory []byte, layer int, first uint64, labels []byte, wanted func(*lane) bool) error {
	stride := uint64(b.kernel.Stride())
	nodes := memory[first*stride:][:uint64(len(labels)/porep.NodeSize)*stride]
	for i, l := range b.lanes {
		if !wanted(l) {
			continue
		}
		if ok, err := l.read(b.c.way(), layer, labels, first); err != nil {
			l.fail(fmt.Errorf("reading layer %d back: %w", layer, err))
		} else if ok {
			if err := b.kernel.Pack(nodes, labels, i); err != nil {
				return err
			}
		}
	}
	return nil
}
