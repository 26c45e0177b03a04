package sha256

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// Rows are the parents of consecutive nodes: for each node, a row, where the 14
// parents' labels lie in memory, base parents first. A parent's labels are those
// of all lanes, a kernel's Pitch. The code that makes rows checks the parents, so that
// the hasher need not.
//
// Rows hold addresses that the collector does not follow: the memory that they
// were set to is off the heap, or somebody else keeps it.
type Rows struct {
	addrs []uintptr // degree for each row
}

// unset is where parents lie that nobody has set, so that no kernel ever reads
// from nowhere.
var unset [maxLanes * nodeSize]byte

// NewRows makes n rows whose parents are labels of zeros.
func NewRows(n int) Rows {
	r := Rows{make([]uintptr, n*degree)}
	for i := range r.addrs {
		r.addrs[i] = address(&unset[0])
	}
	return r
}

// Len is the number of rows.
func (r Rows) Len() int { return len(r.addrs) / degree }

// Slice is rows from to to-1 of r, in the same memory.
func (r Rows) Slice(from, to int) Rows { return Rows{r.addrs[from*degree : to*degree]} }

// Set says where the labels of a row's parent number slot lie: at the start of
// labels, which has the kernel's Pitch bytes or more.
func (r Rows) Set(k *Kernel, row, slot int, labels []byte) {
	r.addrs[row*degree+slot] = address(&labels[:k.Pitch()][0])
}

// Prefetch pulls the labels of those parents into the cache whose indices, 14 times
// the row and the slot, are listed. It reads nothing: others may be writing there.
func (r Rows) Prefetch(k *Kernel, which []int32) {
	for _, i := range which {
		_ = r.addrs[i]
	}
	for len(which) > 0 {
		n := min(len(which), maxPrefetched)
		prefetchRows(&r.addrs[0], &which[0], n, (k.Pitch()+63)/64)
		which = which[n:]
	}
}

// One call of assembly, which cannot be preempted, prefetches or copies so much.
const (
	maxPrefetched = 1 << 10 // labels
	maxStaged     = 1 << 16 // bytes
)

// Stage copies the labels of the parents listed, as for Prefetch, to memory, each to
// its index times the kernel's Pitch, and has the rows point there. Some labels are
// fetched at the same time.
func (r Rows) Stage(k *Kernel, which []int32, memory []byte) {
	for _, i := range which {
		_, _ = r.addrs[i], memory[int(i)*k.Pitch():][:k.Pitch()]
	}
	for len(which) > 0 {
		n := min(len(which), maxStaged/k.Pitch())
		r.stageAll(k, which[:n], memory)
		which = which[n:]
	}
}

// Copy sets rows to the first of from, as many as there are of both.
func (r Rows) Copy(from Rows) { copy(r.addrs, from.addrs) }

// Locate sets rows, one for each 14 of parents, to where the parents lie in l. The
// error is a *SpanError, and nothing is then changed, if a parent lies outside of
// l or l itself does not fit the kernel.
func (r Rows) Locate(k *Kernel, l *Layer, parents []uint32) error {
	nodes, err := l.nodes(k)
	if err != nil {
		return err
	}
	n := len(parents) / degree
	if len(parents)%degree != 0 || n > r.Len() {
		return k.fail("%d parents for %d rows of %d", len(parents), r.Len(), degree)
	}
	if n == 0 {
		return nil
	}
	if m := maxParent(parents, l.Number); uint64(m) >= nodes {
		return k.fail("parent %d in a layer of %d nodes", m, nodes)
	}
	pitch := uintptr(k.Pitch())
	labels := address(&l.Labels[0])
	if l.Number == 1 {
		for i := 0; i < len(parents); i += degree {
			row, from := r.addrs[i:i+baseDegree], parents[i:i+baseDegree]
			for j, p := range from {
				row[j] = labels + uintptr(p)*pitch
			}
		}
		return nil
	}
	r.locateAll(parents, labels, address(&l.Before[0]), pitch)
	return nil
}

// locateGeneric sets rows to where the base parents lie in labels, and the expander
// parents in before.
func (r Rows) locateGeneric(parents []uint32, labels, before, pitch uintptr) {
	for i := 0; i < len(parents); i += degree {
		row, from := r.addrs[i:i+degree], parents[i:i+degree]
		for j, p := range from[:baseDegree] {
			row[j] = labels + uintptr(p)*pitch
		}
		for j, p := range from[baseDegree:] {
			row[baseDegree+j] = before + uintptr(p)*pitch
		}
	}
}

// address and pointer turn memory that the collector need not know into numbers
// and back.
func address(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }

func pointer(a uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// A Span is consecutive nodes of a layer that one call labels.
type Span struct {
	// ReplicaIDs has one replica id for each lane.
	ReplicaIDs [][32]byte
	// Layer is the layer's number, from 1.
	Layer uint32
	// First is the span's first node. Node 0 has no parents: its row is not used.
	First uint64
	// Out is where the labels go, node after node: the nodes' number times the
	// kernel's Pitch bytes. A parent may lie in it, if it comes before its child.
	Out []byte
	// Rows has a row for each node, and should go on for Ahead nodes more,
	// whose parents are then prefetched.
	Rows Rows
}

// A SpanError says why a span of nodes cannot be labelled. Nothing was written.
type SpanError struct {
	Kernel string
	Reason string
}

func (e *SpanError) Error() string {
	return fmt.Sprintf("sha256: labelling with %s: %s", e.Kernel, e.Reason)
}

func (k *Kernel) fail(format string, args ...any) error {
	return &SpanError{k.Name, fmt.Sprintf(format, args...)}
}

// labelSpan is what a label kernel gets: checked once by LabelSpan, and laid out
// for assembly, which knows its fields by name.
type labelSpan struct {
	dst      *byte    // labels of the span's first node
	parents  *uintptr // its row
	ahead    uint64   // bytes from a node's row to the row to prefetch
	node     uint64   // the span's first node, never 0
	count    uint64   // nodes in the span, never 0
	layer    uint64   // the layer's number
	replicas *byte    // one replica id of 32 bytes for each lane
	offsets  *uint32  // by how many each lane's node is after node; of kernels that spread
	soon     *uintptr // what is prefetched meanwhile; of kernels' spread
	pitch    uint64   // bytes from a node's labels to the next node's
	expander uint64   // 1 from layer 2 on, 0 in layer 1
	walk     uint64   // how pages are walked ahead, as the kernel's field says
}

// LabelSpan labels the nodes of r. The error is a *SpanError. It takes about
// 20·lanes compressions a node, and does not allocate.
func (k *Kernel) LabelSpan(r *Span) error {
	pitch := k.Pitch()
	n := len(r.Out) / pitch
	switch {
	case len(r.ReplicaIDs) != k.Lanes:
		return k.fail("%d replica ids for %d lanes", len(r.ReplicaIDs), k.Lanes)
	case r.Layer < 1:
		return k.fail("layer %d, the first is 1", r.Layer)
	case len(r.Out)%pitch != 0:
		return k.fail("%d bytes for labels are no multiple of %d", len(r.Out), pitch)
	case r.First > maxNodes || uint64(n) > maxNodes-r.First:
		return k.fail("%d nodes from %d in a layer of at most %d", n, r.First, uint64(maxNodes))
	case r.Rows.Len() < n:
		return k.fail("%d rows of parents for %d nodes", r.Rows.Len(), n)
	case n == 0:
		return nil
	case k.misaligned(r.Out):
		return k.fail("labels lie at %p, want a multiple of %d", &r.Out[0], k.Align)
	}
	raceSpan(k, r, n)
	span := labelSpan{
		dst:      &r.Out[0],
		parents:  &r.Rows.addrs[0],
		node:     r.First,
		layer:    uint64(r.Layer),
		replicas: &r.ReplicaIDs[0][0],
		offsets:  &together[0],
		pitch:    uint64(pitch),
		walk:     uint64(k.walk),
	}
	if r.Layer > 1 {
		span.expander = 1
	}
	rows := r.Rows.Len() // from span.parents on
	if r.First == 0 {
		for lane, id := range r.ReplicaIDs {
			h := labelNodeZero(id, r.Layer)
			lanesOf{lane, k.Group}.digest(unsafe.Pointer(span.dst), &h)
		}
		if n--; n == 0 {
			return nil
		}
		span.dst, span.parents, span.node = &r.Out[pitch], &r.Rows.addrs[degree], 1
		rows--
	}
	for {
		// Nodes whose rows ahead are there, then those at the end.
		m, ahead := n, 0
		if with := rows - k.ahead; with > 0 {
			m, ahead = min(n, with), k.ahead*rowBytes
		}
		m = min(m, k.atOnce())
		span.count, span.ahead = uint64(m), uint64(ahead)
		k.label(span)
		if n, rows = n-m, rows-m; n == 0 {
			return nil
		}
		span.skip(m)
	}
}

// together is the offsets of lanes that are all at the same node.
var together [maxLanes]uint32

// skip goes on to the node n nodes later, which is one of the span.
func (r *labelSpan) skip(n int) {
	r.dst = (*byte)(unsafe.Add(unsafe.Pointer(r.dst), n*int(r.pitch)))
	r.parents = (*uintptr)(unsafe.Add(unsafe.Pointer(r.parents), n*rowBytes))
	r.node += uint64(n)
}

// labelsAtOnce are made in one call of assembly. It cannot be preempted: the collector
// waits 50 µs for the slowest.
const labelsAtOnce = 64

// atOnce is how many nodes one call of k.label gets.
func (k *Kernel) atOnce() int {
	if k.nodes > 0 {
		return k.nodes
	}
	return max(4, labelsAtOnce/k.Lanes)
}

func (k *Kernel) misaligned(b []byte) bool {
	return len(b) > 0 && address(&b[0])%uintptr(k.Align) != 0
}

// A Layer is a layer that lies in memory as a whole, and the layer before. Node
// v's labels, those of all lanes, lie at v times the kernel's Pitch.
type Layer struct {
	// ReplicaIDs has one replica id for each lane.
	ReplicaIDs [][32]byte
	// Number is the layer's number, from 1.
	Number uint32
	// Labels is this layer: the nodes' number times the kernel's Pitch bytes. A
	// node's base parents must have been labelled before it.
	Labels []byte
	// Before is the layer before, of the same length; nil in layer 1.
	Before []byte
}

// nodes is how many nodes l has; the error is a *SpanError if it does not fit k.
func (l *Layer) nodes(k *Kernel) (uint64, error) {
	nodes := uint64(len(l.Labels) / k.Pitch())
	switch {
	case l.Number < 1:
		return 0, k.fail("layer %d, the first is 1", l.Number)
	case len(l.Labels)%k.Pitch() != 0:
		return 0, k.fail("a layer of %d bytes is no multiple of %d", len(l.Labels), k.Pitch())
	case nodes > maxNodes:
		return 0, k.fail("a layer of %d nodes, at most %d", nodes, uint64(maxNodes))
	case l.Number > 1 && len(l.Before) != len(l.Labels):
		return 0, k.fail("the layer before has %d bytes, this one %d", len(l.Before), len(l.Labels))
	case k.misaligned(l.Labels):
		return 0, k.fail("labels lie at %p, want a multiple of %d", &l.Labels[0], k.Align)
	case k.misaligned(l.Before):
		return 0, k.fail("the labels before lie at %p, want a multiple of %d", &l.Before[0], k.Align)
	}
	return nodes, nil
}

// labelNodes is how many nodes Label labels between two looks at its parents.
const labelNodes = 64

// rowsPool keeps Label from allocating: its rows go to kernels by way of a
// function value, and so would not stay on the stack.
var rowsPool = sync.Pool{New: func() any {
	r := NewRows(labelNodes + Ahead)
	return &r
}}

// Label labels n nodes of l from node first on. parents holds 14 indices for
// each of them, base parents first, and should go on for Ahead nodes more, whose
// labels are then prefetched; the graph that they come from must be acyclic in
// the order of the nodes. The error is a *SpanError. It is LabelSpan for those who
// have indices instead of rows, and checks them on the way.
func (k *Kernel) Label(l *Layer, first uint64, n int, parents []uint32) error {
	nodes, err := l.nodes(k)
	switch {
	case err != nil:
		return err
	case len(l.ReplicaIDs) != k.Lanes:
		return k.fail("%d replica ids for %d lanes", len(l.ReplicaIDs), k.Lanes)
	case n < 0 || first > nodes || uint64(n) > nodes-first:
		return k.fail("%d nodes from %d in a layer of %d", n, first, nodes)
	case n == 0:
		return nil
	case len(parents) < n*degree:
		return k.fail("%d parents for %d nodes, want %d", len(parents), n, n*degree)
	}
	if m := maxParent(parents[:n*degree], l.Number); uint64(m) >= nodes {
		return k.fail("parent %d in a layer of %d nodes", m, nodes)
	}
	rows := rowsPool.Get().(*Rows)
	defer rowsPool.Put(rows)
	span := Span{ReplicaIDs: l.ReplicaIDs, Layer: l.Number}
	for n > 0 {
		step := min(n, labelNodes)
		have := min(step+Ahead, len(parents)/degree)
		// Rows ahead that lie in no layer are left out: they are only a hint.
		for have > step && uint64(maxParent(parents[(have-1)*degree:have*degree], l.Number)) >= nodes {
			have--
		}
		if err := rows.Locate(k, l, parents[:have*degree]); err != nil {
			if err := rows.Locate(k, l, parents[:step*degree]); err != nil {
				return err
			}
			have = step
		}
		span.First, span.Rows = first, rows.Slice(0, have)
		span.Out = l.Labels[first*uint64(k.Pitch()):][:step*k.Pitch()]
		if err := k.LabelSpan(&span); err != nil {
			return err
		}
		first, n, parents = first+uint64(step), n-step, parents[step*degree:]
	}
	runtime.KeepAlive(l)
	return nil
}

// maxParent is the greatest parent that a kernel will load: layer 1 has no
// expander parents.
func maxParent(parents []uint32, layer uint32) (m uint32) {
	if layer > 1 {
		return greatest(parents)
	}
	for ; len(parents) > 0; parents = parents[degree:] {
		m = max(m, greatestGeneric(parents[:baseDegree]))
	}
	return m
}

func greatestGeneric(numbers []uint32) (m uint32) {
	for _, n := range numbers {
		m = max(m, n)
	}
	return m
}
