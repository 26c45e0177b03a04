package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// A writing hands finished labels to the layer files: each of a few goroutines
// takes the next chunk of nodes as soon as the hasher is past it, takes its lanes
// apart, and writes each to its file. The one that ends a layer waits until the
// layer is on the disk.
type writing struct {
	mu     sync.Mutex
	next   uint64   // the chunk that nobody has taken
	done   []bool   // chunks written, from low on
	low    uint64   // chunks below are written
	inHand []uint64 // by layer index: chunks of it that are not written
}

// write is one of the goroutines. Way is how; buffer is nil if a chunk's labels can
// be written from where they lie.
func (b *pipeline) write(ctx context.Context, w *writing, way durable.Way, buffer []byte) {
	defer b.job.keepOff()()
	chunk := b.store.chunk(b.kernel)
	inLayer := b.store.nodes / chunk
	for {
		w.mu.Lock()
		n := w.next
		w.next++
		w.mu.Unlock()
		index, node := int(n/inLayer), n%inLayer*chunk
		if index >= b.layers {
			return
		}
		if !b.flow.Wait(&b.flow.Made, func() bool { return b.flow.Labelled.Load() >= (n+1)*chunk }) {
			return
		}
		b.writeChunk(way, buffer, index, node, chunk)
		if w.wrote(b, n, chunk, index) {
			b.commit(ctx, index)
		}
		if b.allDead() {
			b.stop()
			return
		}
	}
}

// writeChunk writes the labels of all lanes from a node on.
func (b *pipeline) writeChunk(way durable.Way, buffer []byte, index int, node, n uint64) {
	layer := b.store.first + index
	nodes := b.store.out(index, node, int(n))
	size := n * porep.NodeSize
	if buffer != nil {
		if err := b.kernel.UnpackLanes(buffer[:uint64(len(b.lanes))*size], nodes); err != nil {
			b.fail(err)
			return
		}
	}
	for i, l := range b.lanes {
		file := l.writer(layer)
		if file == nil {
			continue
		}
		labels := nodes
		if buffer != nil {
			labels = buffer[uint64(i)*size:][:size]
		}
		if err := file.Write(way, labels, int64(node)*porep.NodeSize); err != nil {
			l.fail(fmt.Errorf("layer %d: %w", layer, err))
		}
	}
}

// wrote notes that a chunk is written, and says whether it was its layer's last.
func (w *writing) wrote(b *pipeline, n, chunk uint64, index int) (last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[n%uint64(len(w.done))] = true
	for w.done[w.low%uint64(len(w.done))] {
		w.done[w.low%uint64(len(w.done))] = false
		w.low++
	}
	b.flow.Written.Store(w.low * chunk)
	b.flow.Back.Wake()
	b.flow.Made.Wake()
	w.inHand[index]--
	return w.inHand[index] == 0
}

// commit gives a layer's files their names.
func (b *pipeline) commit(ctx context.Context, index int) {
	layer := b.store.first + index
	for _, l := range b.lanes {
		file := l.writer(layer)
		if file == nil {
			continue
		}
		digest := sha256.New()
		if b.c.Digests {
			file.Hash(digest)
		}
		switch err := file.Commit(ctx); {
		case err != nil && ctx.Err() != nil:
			b.fail(context.Cause(ctx)) // it was cut short
		case err != nil:
			l.fail(fmt.Errorf("layer %d: %w", layer, err))
		case b.c.Digests:
			l.digests[layer-l.first] = LayerDigest(digest.Sum(nil))
		}
	}
	// In OneLayer mode the layer is read once more, as the next one's key.
	if b.store.window == 0 || index == b.layers-1 || b.flow.Key.Load() > int64(index) {
		b.forget(index)
	}
}

// forget takes a layer's files out of the page cache, except for what is not on the disk
// yet. So it comes after commit, and after the last time that they are read; which of the
// two is later differs, and each calls it when the other may have been done.
func (b *pipeline) forget(index int) {
	for _, l := range b.lanes {
		if file := l.writer(b.store.first + index); file != nil {
			file.Forget()
		}
	}
}

// startWriting starts the goroutines.
func (b *pipeline) startWriting(ctx context.Context, wg *sync.WaitGroup) {
	chunk := b.store.chunk(b.kernel)
	perLayer := b.store.nodes / chunk
	w := &writing{
		// No more than what is in memory, and in hand, can be written out of order.
		done:   make([]bool, b.store.inMemory/chunk+writers+2),
		inHand: make([]uint64, b.layers),
	}
	for i := range w.inHand {
		w.inHand[i] = perLayer // one that is not written from its first node on never gets its name
	}
	w.next = b.begin / chunk
	w.low = w.next
	for _, buffer := range b.buffers().write {
		wg.Go(func() { b.write(ctx, w, b.c.way(), buffer) })
	}
}
