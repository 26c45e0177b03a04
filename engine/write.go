package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// A writing hands finished labels to the layer files: each of a few goroutines
// takes the next chunk of nodes as soon as the hasher is past it, takes its lanes
// apart, and writes each to its file. The one that ends a layer waits until the
// layer is on the disk.
type writing struct {
	p      *pipeline
	mu     sync.Mutex
	next   uint64   // the chunk that nobody has taken
	done   []bool   // chunks written, from low on
	low    uint64   // chunks below are written
	chunk  uint64   // nodes
	inHand []uint64 // by layer index: chunks of it that are not written

	committed atomic.Int64 // layers that commit is through with, in order if KeepLast
}

// write is one of the goroutines. Buffer is nil if a chunk's labels can be written from
// where they lie.
func (w *writing) write(ctx context.Context, buffer []byte) {
	p := w.p
	defer p.job.keepOff()()
	chunk := p.store.chunk(p.kernel)
	inLayer := p.store.nodes / chunk
	for {
		w.mu.Lock()
		n := w.next
		w.next++
		w.mu.Unlock()
		index, node := int(n/inLayer), n%inLayer*chunk
		if index >= p.layers {
			return
		}
		if !p.flow.Wait(&p.flow.Made, func() bool { return p.flow.Labelled.Load() >= (n+1)*chunk }) {
			return
		}
		if !w.beginLayer(index, node+chunk) {
			return
		}
		w.writeChunk(buffer, index, node, chunk)
		if w.wrote(&p.flow, n, chunk, index) {
			w.commit(ctx, index)
			w.committed.Add(1)
			p.flow.Made.Wake()
		}
		if p.allDead() {
			p.stop()
			return
		}
	}
}

// beginLayer readies a layer's files to be written up to a node, where not all of them were when the
// batch began: there is room for all of it when the layer before is on the disk, and the one before that
// was dropped, and for a part of it before. False means that the batch was stopped.
func (w *writing) beginLayer(index int, to uint64) bool {
	p := w.p
	if p.job.c.Keep != KeepLast {
		return true
	}
	layer := p.store.first + index
	for _, l := range p.lanes {
		if l.writer(layer) == nil || layer < l.first+layers.FewBegun(l.first) {
			continue
		}
		room := func() bool { return w.committed.Load() >= int64(index) }
		if to > p.store.nodes/layers.FewAhead && !p.flow.Wait(&p.flow.Made, room) {
			return false
		}
		if err := l.files.Begin(layer, room()); err != nil {
			l.fail(fmt.Errorf("layer %d: %w", layer, err))
		}
	}
	return true
}

// writeChunk writes the labels of all lanes from a node on.
func (w *writing) writeChunk(buffer []byte, index int, node, n uint64) {
	p := w.p
	layer := p.store.first + index
	nodes := p.store.out(index, node, int(n))
	size := n * porep.NodeSize
	if buffer != nil {
		if err := p.kernel.UnpackLanes(buffer[:uint64(len(p.lanes))*size], nodes); err != nil {
			p.fail(err)
			return
		}
	}
	for i, l := range p.lanes {
		file := l.writer(layer)
		if file == nil {
			continue
		}
		labels := nodes
		if buffer != nil {
			labels = buffer[uint64(i)*size:][:size]
		}
		err := file.Write(p.job.c.way(), labels, int64(node)*porep.NodeSize)
		if err == nil && !p.job.c.Bare {
			err = l.record.tree(layer).Add(labels, int64(node)*porep.NodeSize)
		}
		if err != nil {
			l.fail(fmt.Errorf("layer %d: %w", layer, err))
		}
	}
}

// wrote notes that a chunk is written, and reports whether it was its layer's last.
func (w *writing) wrote(flow *ring.Flow, n, chunk uint64, index int) (last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[n%uint64(len(w.done))] = true
	for w.done[w.low%uint64(len(w.done))] {
		w.done[w.low%uint64(len(w.done))] = false
		w.low++
	}
	flow.Written.Store(w.low * chunk)
	flow.Back.Wake()
	flow.Made.Wake()
	w.inHand[index]--
	return w.inHand[index] == 0
}

// commit gives a layer's files their names.
func (w *writing) commit(ctx context.Context, index int) {
	p := w.p
	layer := p.store.first + index
	p.eachLane(func(_ int, l *lane) {
		file := l.whole(layer)
		if file == nil {
			return
		}
		digest := sha256.New()
		if p.job.c.Digests {
			file.Hash(digest)
		}
		slow := p.store.nodes*porep.NodeSize > slowCommit || p.job.c.CheckpointEvery > 0
		commit := func() error { return file.Commit(ctx) }
		var err error
		if p.job.c.Bare {
			err = commit()
		} else {
			err = l.record.finish(ctx, layer, p.kernel.Name, slow, commit)
		}
		if err == nil && p.job.c.Keep == KeepLast {
			if err = l.record.saved(ctx); err == nil {
				err = l.dropOld(layer, p.job.last)
			}
		}
		switch {
		case err != nil && ctx.Err() != nil:
			p.fail(context.Cause(ctx)) // it was cut short
		case err != nil:
			l.fail(fmt.Errorf("layer %d: %w", layer, err))
		case p.job.c.Digests:
			l.digests[layer-l.first] = LayerDigest(digest.Sum(nil))
		}
	})
	p.committed.Add(1)
	p.flow.Back.Wake()
	if f := p.store.forward; f != nil && f.Passes() { // which read a layer until the next one is made
		if index > 0 {
			p.forget(index - 1)
		}
		if index < p.layers-1 {
			return
		}
	}
	// In OneLayer mode the layer is read once more, as the next one's layer before.
	if p.store.one == nil || index == p.layers-1 || p.flow.Before.Load() > int64(index) {
		p.forget(index)
	}
}

// forget takes a layer's files out of the page cache, except for what is not on the disk
// yet. So it comes after commit, and after the last time that they are read; which of the
// two is later differs, and each calls it when the other may have been done.
func (p *pipeline) forget(index int) {
	for _, l := range p.lanes {
		if file := l.writer(p.store.first + index); file != nil {
			file.Forget()
		}
	}
}

// startWriting starts the goroutines.
func (p *pipeline) startWriting(ctx context.Context, wg *sync.WaitGroup) *writing {
	chunk := p.store.chunk(p.kernel)
	perLayer := p.store.nodes / chunk
	w := &writing{
		p: p,
		// No more than what is in memory, and in hand, can be written out of order.
		done:   make([]bool, p.store.inMemory/chunk+writers+2),
		inHand: make([]uint64, p.layers),
		chunk:  chunk,
	}
	for i := range w.inHand {
		w.inHand[i] = perLayer // one that is not written from its first node on never gets its name
	}
	w.next = p.begin / chunk
	w.low = w.next
	if p.resumed {
		w.inHand[0] -= w.next
	}
	for _, buffer := range p.buffers {
		failure.Go(wg, p.fail, func() { w.write(ctx, buffer) })
	}
	return w
}
