package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

const (
	together = sha256.SpreadNodes
	unit     = 1 << 13 // nodes that a worker takes at a time
	chunk    = 4 << 20 // bytes that are read at a time
	loaders  = 4       // goroutines that read
)

// A CoreError says that what a core computes is not what the independent path does.
type CoreError struct {
	Kernel string
	Layer  int
	Node   uint64
	Err    error // of the kernel's self-test; nil: it was on the sector's own labels
}

func (e *CoreError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("verify: before checking: %v", e.Err)
	}
	return fmt.Sprintf("verify: checking layer %d: %s makes of node %d another label than the independent path: this core, or its memory, cannot be trusted", e.Layer, e.Kernel, e.Node)
}

func (e *CoreError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrHardwareSuspect.
func (e *CoreError) Is(target error) bool { return target == failure.ErrHardwareSuspect }

// Full recomputes every label of a sector's layers, or those of Options.Subset, from what the
// files hold, on all cores. What is wrong is in the report, not in the error, which is a
// *CoreError if it is this machine that is wrong. If all of each layer is checked, and a
// manifest of the sector lies beside them, they are held against its hashes, too.
//
// With memory for two layers each is read once. With less, a layer's nodes are gone through in
// passes, as many as their parents' labels have room for, 592 bytes for each node; and for each
// pass what has parents of the layer and the one before is read anew.
func Full(ctx context.Context, s Sector, o Options) (Report, error) {
	c, err := newCheck(ctx, s, o)
	if err != nil {
		return Report{}, err
	}
	defer c.close()
	f := &full{check: c, spans: o.Subset.spans(c.nodes)}
	if len(f.spans) == 0 {
		return Report{}, &OptionError{"subset", fmt.Sprintf("%v of %d nodes is none of them: want at most %d parts", o.Subset, c.nodes, c.nodes)}
	}
	if f.kernel, err = chosen(o.Kernel); err != nil {
		return Report{}, err
	}
	if f.graph, err = graph.New(s.Proof); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	if f.manifest, err = manifestOf(ctx, s); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	if !o.Subset.Whole() {
		f.manifest = nil // whose hashes are of whole layers
	}
	if err := f.run(ctx); err != nil {
		return c.report, err
	}
	return c.finish(ctx)
}

func chosen(name string) (*sha256.Kernel, error) {
	if name == "" {
		return sha256.BestSpread(), nil
	}
	k, err := sha256.ByName(name)
	if err == nil && !k.Spreads() {
		err = &OptionError{"kernel", name + " cannot have different nodes of one sector in its lanes"}
	}
	return k, err
}

// A full is Full at work.
type full struct {
	*check
	kernel   *sha256.Kernel
	graph    *graph.Graph
	manifest *manifest.Manifest // nil: none to hold hashes against
	spans    []span
}

// run checks layer after layer.
func (f *full) run(ctx context.Context) error {
	plan, err := f.plan()
	if err != nil {
		return err
	}
	region, err := hugepages.Alloc(ctx, ordinary(plan.memory))
	if err != nil {
		return fmt.Errorf("verify: taking memory: %w", err)
	}
	p := f.o.Progress
	total := uint64(0)
	for _, l := range f.report.Layers {
		if l.Length == nil {
			total += count(f.spans)
		}
	}
	p.total.Store(total)
	p.passes.Store(int64(plan.passes))
	err = f.layers(ctx, plan, region.Bytes())
	return errors.Join(err, region.Free())
}

func (f *full) layers(ctx context.Context, plan plan, memory []byte) error {
	size := uint64(f.Proof.SectorSize())
	loaded := 0 // the layer that is in memory
	for i := range f.report.Layers {
		l := &f.report.Layers[i]
		if l.Length != nil {
			continue
		}
		f.o.Progress.layer.Store(int64(l.Layer))
		if plan.passes > 1 || !plan.resident {
			if err := f.streamed(ctx, l, plan, memory); err != nil {
				return err
			}
			continue
		}
		halves := [2][]byte{memory[:size:size], memory[size:][:size:size]}
		labels, before := halves[l.Layer%2], halves[(l.Layer+1)%2]
		if l.Layer > 1 && loaded != l.Layer-1 {
			if err := f.load(ctx, l.Layer-1, before, nil, nil); err != nil {
				return err
			}
		}
		if err := f.resident(ctx, l, labels, before); err != nil {
			return err
		}
		loaded = l.Layer
	}
	return nil
}

// resident checks a layer while it is read into labels; before has the one before.
func (f *full) resident(ctx context.Context, l *Layer, labels, before []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	there := newWaterline()
	var tree *manifest.Tree
	known, ok := manifest.Layer{}, false
	if f.manifest != nil {
		if known, ok = f.manifest.Layer(l.Layer); ok {
			tree = f.manifest.NewTree()
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	read := make(chan struct{})
	wg.Go(func() {
		defer close(read)
		if err := f.load(ctx, l.Layer, labels, there, tree); err != nil {
			cancel(err)
		}
		there.stop()
	})
	parents := f.graph.Parents
	if l.Layer == 1 {
		parents = f.graph.BaseParents
	}
	v := view{
		labels:  labels,
		parents: func(dst []uint32, first, _ uint64) error { return parents(dst, first) },
		found:   func(first, _ uint64) []byte { return labels[first*porep.NodeSize:] },
		ready:   func(end uint64) bool { return there.wait(end*porep.NodeSize) && ctx.Err() == nil },
	}
	if l.Layer > 1 {
		v.before = before
	}
	if err := f.labels(ctx, l, v, f.spans, cancel); err != nil {
		return err
	}
	<-read
	if err := context.Cause(ctx); err != nil || tree == nil {
		return err
	}
	return f.compareHash(l, tree, known)
}

// compareHash holds a layer that was read whole against the manifest.
func (f *full) compareHash(l *Layer, tree *manifest.Tree, known manifest.Layer) error {
	root, err := tree.Root()
	if err == nil && root != known.Hash {
		l.Hash = &HashError{l.Path, known.Hash.String(), root.String()}
	}
	return err
}

// load reads a layer into memory and tells how far it is there; each part goes to tree, too.
func (f *full) load(ctx context.Context, layer int, memory []byte, there *waterline, tree *manifest.Tree) error {
	var next atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range min(loaders, (len(memory)+chunk-1)/chunk) {
		wg.Go(func() {
			for ctx.Err() == nil {
				off := (next.Add(1) - 1) * chunk
				if off >= int64(len(memory)) {
					return
				}
				part := memory[off:][:min(chunk, int64(len(memory))-off)]
				if err := f.readers[layer].Read(durable.Direct, part, off); err != nil {
					cancel(fmt.Errorf("verify: reading layer %d: %w", layer, err))
					return
				}
				f.o.Progress.read.Add(uint64(len(part)))
				if there != nil {
					there.add(uint64(off), uint64(len(part)))
				}
				if tree != nil {
					if err := tree.Add(part, off); err != nil {
						cancel(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// A waterline is below which all bytes are there; parts come out of order.
type waterline struct {
	mu      sync.Mutex
	moved   sync.Cond
	level   atomic.Uint64
	above   map[uint64]uint64 // parts above it, by where they begin
	stopped bool
}

func newWaterline() *waterline {
	w := &waterline{above: map[uint64]uint64{}}
	w.moved.L = &w.mu
	return w
}

func (w *waterline) add(off, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.above[off] = n
	level := w.level.Load()
	for n, ok := w.above[level]; ok; n, ok = w.above[level] {
		delete(w.above, level)
		level += n
	}
	w.level.Store(level)
	w.moved.Broadcast()
}

// stop ends all waiting: no more will come.
func (w *waterline) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.moved.Broadcast()
}

// wait waits until all bytes before end are there; false means that they never will be.
func (w *waterline) wait(end uint64) bool {
	if w.level.Load() >= end {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.level.Load() < end && !w.stopped {
		w.moved.Wait()
	}
	return w.level.Load() >= end
}

// A view is where a worker finds what it checks. Nodes have numbers in the layer and, after
// one another in a pass, places.
type view struct {
	labels, before []byte // that parents are indices into; before is nil in layer 1
	parents        func(dst []uint32, first, place uint64) error
	found          func(first, place uint64) []byte
	ready          func(end uint64) bool // waits until nodes before end can be checked
}

// labels checks the nodes of spans, on all workers.
func (f *full) labels(ctx context.Context, l *Layer, v view, spans []span, cancel context.CancelCauseFunc) error {
	type part struct {
		span
		place uint64
	}
	parts := make(chan part, f.o.Workers)
	var wg sync.WaitGroup
	for range f.o.Workers {
		wg.Go(func() {
			w, err := f.newWorker(l, v)
			defer runtime.UnlockOSThread()
			for p := range parts {
				if err == nil && ctx.Err() == nil && v.ready(p.first+p.n) {
					err = w.check(ctx, p.span, p.place)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	place := uint64(0)
	for _, s := range spans {
		for s.n > 0 && ctx.Err() == nil {
			// Up to a multiple of unit: what is read together is checked together.
			n := min(s.n, unit-s.first%unit)
			parts <- part{span{s.first, n}, place}
			s.first, s.n, place = s.first+n, s.n-n, place+n
		}
	}
	close(parts)
	wg.Wait()
	l.Checked += place
	return context.Cause(ctx)
}

// A worker checks labels on one thread.
type worker struct {
	f      *full
	l      *Layer
	v      view
	spread *sha256.Spread
	one    *sha256.Kernel // whose labels lie as files have them
	agreed bool

	parents [together * porep.Degree]uint32
	rows    [2]sha256.Rows
	made    [together * porep.NodeSize]byte
}

// newWorker tests the core that it is on.
func (f *full) newWorker(l *Layer, v view) (*worker, error) {
	runtime.LockOSThread()
	w := &worker{f: f, l: l, v: v, one: sha256.Best(1)}
	if err := f.kernel.SelfTest(); err != nil {
		return nil, &CoreError{Kernel: f.kernel.Name, Layer: l.Layer, Err: err}
	}
	var err error
	if w.spread, err = f.kernel.NewSpread(f.ReplicaID); err != nil {
		return nil, err
	}
	w.rows = [2]sha256.Rows{w.spread.Rows(), w.spread.Rows()}
	return w, nil
}

// check checks consecutive nodes. While some are hashed, the parents of the next are on their way
// from memory.
func (w *worker) check(ctx context.Context, s span, place uint64) error {
	layer := sha256.Layer{Number: uint32(w.l.Layer), Labels: w.v.labels, Before: w.v.before}
	var nodes [2]int
	stage := func(which int, at uint64) error {
		n := int(min(together, s.n-at))
		nodes[which] = n
		parents := w.parents[:n*porep.Degree]
		if err := w.v.parents(parents, s.first+at, place+at); err != nil {
			return err
		}
		if err := w.rows[which].Locate(w.one, &layer, parents); err != nil {
			return err
		}
		return nil
	}
	if err := stage(0, 0); err != nil {
		return err
	}
	for at, which := uint64(0), 0; at < s.n; at, which = at+together, 1-which {
		if ctx.Err() != nil {
			return nil
		}
		soon := sha256.Rows{}
		if at+together < s.n {
			if err := stage(1-which, at+together); err != nil {
				return err
			}
			soon = w.rows[1-which]
		}
		n := nodes[which]
		made := w.made[:n*porep.NodeSize]
		if err := w.spread.Label(made, layer.Number, s.first+at, w.rows[which].Slice(0, n), soon); err != nil {
			return err
		}
		found := w.v.found(s.first+at, place+at)[:len(made)]
		if !w.agreed {
			w.agreed = true
			if err := w.agree(s.first+at, place+at, made); err != nil {
				return err
			}
		}
		if !bytes.Equal(made, found) {
			if err := w.compare(ctx, s.first+at, place+at, made, found); err != nil {
				return err
			}
		}
		w.f.o.Progress.done.Add(uint64(n))
	}
	return nil
}

// agree holds what the kernel made of the first nodes against the independent path, which gets
// the same labels of parents.
func (w *worker) agree(first, place uint64, made []byte) error {
	for i := range uint64(len(made)) / porep.NodeSize {
		want, err := w.plain(first+i, place+i)
		if err != nil {
			return err
		}
		if want != [porep.NodeSize]byte(made[i*porep.NodeSize:]) {
			return &CoreError{Kernel: w.f.kernel.Name, Layer: w.l.Layer, Node: first + i}
		}
	}
	return nil
}

// plain is a node's label by the independent path, from the labels that the kernel has, though
// not from where it thinks that they are.
func (w *worker) plain(node, place uint64) ([porep.NodeSize]byte, error) {
	var at [porep.Degree]uint32
	if err := w.v.parents(at[:], node, place); err != nil {
		return [porep.NodeSize]byte{}, err
	}
	slot := 0
	return plain.Label(w.f.Proof, w.f.ReplicaID, w.l.Layer, node, func(layer int, parent uint64) (label [porep.NodeSize]byte, err error) {
		from := w.v.labels
		if layer != w.l.Layer {
			from = w.v.before
		}
		i := uint64(at[slot])
		slot++
		return [porep.NodeSize]byte(from[i*porep.NodeSize:]), nil
	})
}

// compare notes which labels are wrong, if the independent path says so, too.
func (w *worker) compare(ctx context.Context, first, place uint64, made, found []byte) error {
	for i := uint64(0); i < uint64(len(made))/porep.NodeSize && ctx.Err() == nil; i++ {
		is, want := porep.Commitment(found[i*porep.NodeSize:]), porep.Commitment(made[i*porep.NodeSize:])
		if is == want {
			continue
		}
		node := first + i
		plain, err := w.plain(node, place+i)
		if err != nil {
			return err
		}
		if plain != want {
			return &CoreError{Kernel: w.f.kernel.Name, Layer: w.l.Layer, Node: node}
		}
		w.f.note(w.l, &Wrong{Layer: w.l.Layer, Node: node, Offset: int64(node) * porep.NodeSize, Expected: want, Found: is})
	}
	return nil
}
