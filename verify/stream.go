package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// MinMemory is the least that Options.Memory may be.
const MinMemory = 1 << 20

// What a node of a pass takes: its parents' labels, its own, which parents they are, and in
// which order they are read.
const passBytes = (porep.Degree+1)*porep.NodeSize + 2*4*porep.Degree

// maxPass is the most nodes of a pass: a parent of it has a number of 32 bits.
const maxPass = 1 << 28

// A plan is in how many passes a layer is checked, and with how much memory.
type plan struct {
	resident bool // two layers are in memory
	passes   int
	nodes    uint64 // of a pass
	window   uint64 // bytes that are read at a time
	memory   uint64
}

// plan decides how much memory is taken.
func (f *full) plan() (plan, error) {
	size := uint64(f.Proof.SectorSize())
	limit := f.o.Memory
	switch {
	case limit == 0:
		// Passes are slow, swapping is slower: a quarter more than is taken must be free.
		limit = max(2*size, MinMemory)
		for limit > MinMemory && hugepages.Check(ordinary(limit/4*5)) != nil {
			limit = max(limit/4*3, MinMemory)
		}
	case limit < MinMemory:
		return plan{}, &OptionError{"memory", fmt.Sprintf("%d bytes, want %d at least", limit, MinMemory)}
	}
	nodes := max(count(f.spans), 1)
	// 4 MiB, and less where that would be much of it all. A power of two, so that layers are whole ones.
	p := plan{window: min(chunk, size)}
	for p.window > 64<<10 && p.window*loaders > limit/16 {
		p.window /= 2
	}
	room := (limit - min(limit, loaders*p.window)) / passBytes
	p.nodes = min(nodes, room, maxPass)
	p.passes = int((nodes + p.nodes - 1) / p.nodes)
	p.memory = p.nodes*passBytes + loaders*p.window
	// A small subset takes less than two layers do.
	if limit >= 2*size && (p.passes > 1 || p.memory > size) {
		return plan{resident: true, passes: 1, memory: 2 * size}, nil
	}
	return p, nil
}

// ordinary memory serves: pools of huge pages are for jobs that label.
func ordinary(size uint64) hugepages.Options {
	return hugepages.Options{Size: size, Purpose: hugepages.Layers, Pages: []hugepages.Pages{hugepages.Transparent, hugepages.Small}, Among: memoryNodes()}
}

// memoryNodes are the NUMA nodes that memory is kept to, so that none of it is a GPU's.
var memoryNodes = sync.OnceValue(func() []int {
	m, err := topology.Read()
	if err != nil {
		return nil
	}
	return m.KeepTo(topology.MemoryNodes{})
})

// A pass is nodes that are checked together, without the layers in memory: their parents' labels
// are picked as both layers are read.
type pass struct {
	f       *full
	layer   int
	slots   int // parents that a node has in this layer
	window  uint64
	spans   []span
	nodes   uint64
	labels  []byte   // of parents, 14 for each node; then those of the nodes
	parents []uint32 // 14 for each node
	order   []uint32 // numbers of parents, by windows
	buffers []byte
}

// streamed checks a layer in passes.
func (f *full) streamed(ctx context.Context, l *Layer, plan plan, memory []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rest := f.spans
	for len(rest) > 0 {
		p := &pass{f: f, layer: l.Layer, slots: porep.BaseDegree, window: plan.window}
		if l.Layer > 1 {
			p.slots = porep.Degree
		}
		p.spans, rest = take(rest, plan.nodes)
		p.nodes = count(p.spans)
		p.cut(memory)
		if err := p.pick(ctx); err != nil {
			return err
		}
		v := view{
			labels: p.labels[:p.nodes*porep.Degree*porep.NodeSize],
			parents: func(dst []uint32, _, place uint64) error {
				for i := range dst {
					dst[i] = uint32(place)*porep.Degree + uint32(i)
				}
				return nil
			},
			found: func(_, place uint64) []byte { return p.labels[(p.nodes*porep.Degree+place)*porep.NodeSize:] },
			ready: func(uint64) bool { return true },
		}
		if l.Layer > 1 {
			v.before = v.labels
		}
		if err := f.labels(ctx, l, v, p.spans, cancel); err != nil {
			return err
		}
	}
	return f.hashStreamed(ctx, l, memory[:loaders*plan.window])
}

// take splits off the first so many nodes.
func take(spans []span, n uint64) (first, rest []span) {
	for i, s := range spans {
		if s.n > n {
			if n > 0 {
				first = append(first, span{s.first, n})
			}
			return first, append([]span{{s.first + n, s.n - n}}, spans[i+1:]...)
		}
		first, n = append(first, s), n-s.n
	}
	return first, nil
}

// cut cuts a pass's memory out of all.
func (p *pass) cut(memory []byte) {
	numbers := func(n uint64) (cut []uint32) {
		cut = unsafe.Slice((*uint32)(unsafe.Pointer(&memory[0])), n)
		memory = memory[4*n:]
		return cut
	}
	windows := loaders * p.window
	p.buffers, memory = memory[:windows], memory[windows:]
	n := p.nodes * (porep.Degree + 1) * porep.NodeSize
	p.labels, memory = memory[:n:n], memory[n:]
	p.parents = numbers(p.nodes * porep.Degree)
	p.order = numbers(p.nodes * porep.Degree)
}

// inWindow is the window that a parent of a certain number lies in; those of the layer before come
// after the layer's own.
func (p *pass) inWindow(i uint64) uint64 {
	w := uint64(p.parents[i]) * porep.NodeSize / p.window
	if i%porep.Degree >= porep.BaseDegree {
		w += uint64(p.f.Proof.SectorSize()) / p.window
	}
	return w
}

// pick gets the labels of all parents, and of the nodes themselves.
func (p *pass) pick(ctx context.Context) error {
	workers := p.f.o.Workers
	windows := 2 * uint64(p.f.Proof.SectorSize()) / p.window
	// Sorted by counting: each worker counts its nodes' parents by windows, and then puts them
	// where those of lower windows, and of workers before it, end.
	counts := make([][]uint32, workers)
	each := func(do func(worker int, from, to uint64) error) error {
		errs := make([]error, workers)
		var wg sync.WaitGroup
		for w := range workers {
			from, to := p.nodes*uint64(w)/uint64(workers), p.nodes*uint64(w+1)/uint64(workers)
			wg.Go(func() { errs[w] = do(w, from, to) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	err := each(func(w int, from, to uint64) error {
		counts[w] = make([]uint32, windows)
		if err := p.parentsOf(from, to); err != nil {
			return err
		}
		p.eachParent(from, to, func(i uint64) { counts[w][p.inWindow(i)]++ })
		return nil
	})
	if err != nil {
		return err
	}
	begins := make([]uint32, windows+1)
	at := uint32(0)
	for window := range begins[:windows] {
		begins[window] = at
		for w := range counts {
			counts[w][window], at = at, at+counts[w][window]
		}
	}
	begins[windows] = at
	err = each(func(w int, from, to uint64) error {
		p.eachParent(from, to, func(i uint64) {
			to := &counts[w][p.inWindow(i)]
			p.order[*to] = uint32(i)
			*to++
		})
		return nil
	})
	if err != nil {
		return err
	}
	return p.read(ctx, begins)
}

func (p *pass) eachParent(from, to uint64, do func(i uint64)) {
	for node := from; node < to; node++ {
		for slot := range p.slots {
			do(node*porep.Degree + uint64(slot))
		}
	}
}

// parentsOf works out the parents of the nodes at places from to to-1.
func (p *pass) parentsOf(from, to uint64) error {
	place := uint64(0)
	for _, s := range p.spans {
		first, end := max(from, place), min(to, place+s.n)
		if first < end {
			parents := p.f.graph.Parents
			if p.layer == 1 {
				parents = p.f.graph.BaseParents
			}
			if err := parents(p.parents[first*porep.Degree:end*porep.Degree], s.first+first-place); err != nil {
				return err
			}
		}
		place += s.n
	}
	return nil
}

// read reads the windows that have parents, and picks these; begins says where in order each
// window's are. Then it reads the nodes.
func (p *pass) read(ctx context.Context, begins []uint32) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inLayer := uint64(p.f.Proof.SectorSize()) / p.window
	var next atomic.Uint64
	var wg sync.WaitGroup
	for i := range loaders {
		buffer := p.buffers[uint64(i)*p.window:][:p.window]
		wg.Go(func() {
			for ctx.Err() == nil {
				window := next.Add(1) - 1
				if window >= 2*inLayer {
					return
				}
				picked := p.order[begins[window]:begins[window+1]]
				if len(picked) == 0 {
					continue
				}
				off := window % inLayer * p.window
				if err := p.readAt(p.layer-int(window/inLayer), buffer, off); err != nil {
					cancel(err)
					return
				}
				for _, i := range picked {
					from := uint64(p.parents[i])*porep.NodeSize - off
					copy(p.labels[uint64(i)*porep.NodeSize:][:porep.NodeSize], buffer[from:])
				}
			}
		})
	}
	place := p.nodes * porep.Degree
	for _, s := range p.spans {
		for s.n > 0 && ctx.Err() == nil {
			n := min(s.n, chunk/porep.NodeSize)
			if err := p.readAt(p.layer, p.labels[place*porep.NodeSize:][:n*porep.NodeSize], s.first*porep.NodeSize); err != nil {
				cancel(err)
			}
			s.first, s.n, place = s.first+n, s.n-n, place+n
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// readAt reads a part of a layer, past the page cache where it begins and ends as the disk wants it.
func (p *pass) readAt(layer int, b []byte, off uint64) error {
	way := durable.Direct
	if (off|uint64(len(b)))%linux.DirectAlign != 0 {
		way = durable.Behind
	}
	p.f.o.Progress.read.Add(uint64(len(b)))
	if err := p.f.readers[layer].Read(way, b, int64(off)); err != nil {
		return fmt.Errorf("verify: reading layer %d: %w", layer, err)
	}
	return nil
}

// hashStreamed holds a layer against the manifest, reading it once more.
func (f *full) hashStreamed(ctx context.Context, l *Layer, memory []byte) error {
	if f.manifest == nil {
		return nil
	}
	known, ok := f.manifest.Layer(l.Layer)
	if !ok {
		return nil
	}
	tree := f.manifest.NewTree()
	size := int64(f.Proof.SectorSize())
	block := manifest.BlockBytes(f.Proof.SectorSize())
	var buffers [][]byte
	for n := max(block, len(memory)/loaders/block*block); len(memory) >= n; memory = memory[n:] {
		buffers = append(buffers, memory[:n])
	}
	if len(buffers) == 0 {
		buffers = [][]byte{linux.AlignedBuffer(block)}
	}
	read := func(b []byte, off int64) error {
		f.o.Progress.read.Add(uint64(len(b)))
		return f.readers[l.Layer].Read(durable.Direct, b, off)
	}
	if err := tree.AddFrom(ctx, size, buffers, read, nil); err != nil {
		return err
	}
	return f.compareHash(l, tree, known)
}
