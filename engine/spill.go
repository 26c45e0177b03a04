package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A spilling keeps, in OneLayer mode, the labels that will be far parents: when a
// window is labelled, those of its labels that children in each later window will
// want go to a file without a name, all lanes together, as they lie in memory. What
// a window of children wants is then read from there in one piece.
//
//	file:      children in window 4 | children in window 5 | … | in window 31
//	of those:  parents in window 0 | in window 1 | … each begins at a multiple of 4096
//
// The next layer's take the same places. The first of them are written when its
// window 0 is labelled: by then the hasher is past where it waited for the last of
// the layer before to be read.
//
// A file that fails, because the disk is full for example, is not used again: far
// parents then come from the layers' files (see pipeline.readFar).
type spilling struct {
	file   *durable.File
	places *[windows]spillPlace // by the children's window
	// sums are of what is there, by the children's window, the parents', and the chunk.
	sums *[windows][windows][]uint32
	done line        // of windows below, counted through all layers, everything is in the file, or never will be
	lost atomic.Bool // the file is not to be used
	err  error       // why it could not be made
}

// A spillPlace is where the far parents of a window of children lie.
type spillPlace struct {
	offset int64        // in the file
	labels int          // how many there are, and in between
	starts [windows]int // by the parents' window: the label with which they begin
	n      [windows]int // and how many they are
}

// placesFor are where far parents lie, as labels of a certain stride, and the size of
// the file.
func (x *farIndex) placesFor(stride int) (places *[windows]spillPlace, size int64, err error) {
	align, room := spillAlign(stride), x.farLabels(stride)
	places = new([windows]spillPlace)
	for child := range places {
		p := &places[child]
		p.offset = size
		listed := 0
		for from := range x.sections[child] {
			p.starts[from], p.n[from] = p.labels, x.sections[child][from].n
			p.labels += roundUp(p.n[from], align)
			listed += p.n[from]
		}
		if listed > x.room || p.labels > room {
			return nil, 0, fmt.Errorf("engine: spilling far parents: %d of window %d, with gaps %d, room for %d and %d", listed, child, p.labels, x.room, room)
		}
		size += int64(p.labels) * int64(stride)
	}
	return places, size, nil
}

// spillAlign is of how many labels a section has a multiple.
func spillAlign(stride int) int { return max(1, linux.DirectAlign/stride) }

func divUp[N int | uint64](n, by N) N { return (n + by - 1) / by }

func roundUp[N int | uint64](n, to N) N { return divUp(n, to) * to }

// spill is the goroutine that fills the file.
func (b *pipeline) spill(ctx context.Context) {
	defer b.job.keepOff()()
	s, x := b.store, b.job.index
	if !b.flow.Wait(&x.gate, x.ready.Load) {
		return
	}
	if b.spilling.file == nil { // Measure has it open
		b.openSpill(ctx)
	}
	nodes := make([]uint32, farChunk)
	for n := b.begin / s.window; n < uint64(b.layers)*windows; n++ {
		if !b.flow.Wait(&b.flow.Made, func() bool { return b.flow.Labelled.Load() >= (n+1)*s.window }) {
			return
		}
		from := int(n % windows)
		for child := from + kept; child < windows && !b.spilling.lost.Load(); child++ {
			if err := b.spillSection(nodes, n, child, from); err != nil {
				b.loseSpill(ctx, err)
			}
		}
		b.spilling.done.Store(n + 1)
		b.flow.Back.Wake()
	}
}

// openSpill makes the file in the first cache dir that takes it.
func (b *pipeline) openSpill(ctx context.Context) {
	p := &b.spilling
	if p.err = b.tryOpenSpill(ctx); p.err != nil {
		b.loseSpill(ctx, p.err)
	}
}

// loseSpill notes that the file is not to be used, and why.
func (b *pipeline) loseSpill(ctx context.Context, err error) {
	b.spilling.lost.Store(true)
	if ctx.Err() == nil {
		err = fmt.Errorf("engine: far parents are read from layer files: %w", err)
		b.c.Progress.slowed.CompareAndSwap(nil, &err)
	}
}

func (b *pipeline) tryOpenSpill(ctx context.Context) error {
	p, x := &b.spilling, b.job.index
	if x.err != nil {
		return x.err
	}
	err := b.job.spillFails("open", 0)
	if err != nil {
		return err
	}
	var size int64
	if p.places, size, err = x.placesFor(b.kernel.Stride()); err != nil {
		return err
	}
	err = errors.New("engine: spilling far parents: no sector is left")
	for _, l := range b.lanes {
		if l.dead.Load() {
			continue
		}
		var file *durable.File
		if file, err = durable.Scratch(ctx, b.job.c.Sectors[l.sector].CacheDir); err != nil {
			continue
		}
		if err = file.Reserve(size); err != nil {
			file.Abort()
			continue
		}
		file.AllowDirect()
		p.file, p.sums = file, new([windows][windows][]uint32)
		for child := range x.sections {
			for from := range x.sections[child] {
				p.sums[child][from] = make([]uint32, len(x.sections[child][from].chunks))
			}
		}
		return nil
	}
	return err
}

// spillSection writes the labels of a window that are far parents of children in a
// later one. Nodes is for farChunk of them.
func (b *pipeline) spillSection(nodes []uint32, window uint64, child, from int) error {
	if err := b.job.spillFails("write", window); err != nil {
		return err
	}
	s, x, place := b.store, b.job.index, &b.spilling.places[child]
	section := &x.sections[child][from]
	stride := b.kernel.Stride()
	buffer := b.buffers().spill
	at := place.offset + int64(place.starts[from])*int64(stride)
	for chunk := range section.chunks {
		if b.flow.Stopped() {
			return nil
		}
		parents, err := x.read(nodes, section, chunk)
		if err != nil {
			return err
		}
		for i, p := range parents {
			copy(buffer[i*stride:][:stride], s.newest[uint64(p)%s.inMemory*uint64(stride):])
		}
		labels := buffer[:roundUp(len(parents), spillAlign(stride))*stride]
		if err := b.spillChunk(child, from, chunk, labels, at); err != nil {
			return err
		}
		at += int64(len(labels))
	}
	return nil
}

// spillChunk writes the labels of a section's chunk.
func (b *pipeline) spillChunk(child, from, chunk int, labels []byte, at int64) error {
	b.spilling.sums[child][from][chunk] = durable.Checksum(labels)
	return b.spilling.file.WriteVia(b.c.way(), labels, at)
}

// unspill reads the far parents of a window. False means that they are not in the
// file.
func (b *pipeline) unspill(ctx context.Context, w *farWindow, window uint64) bool {
	p := &b.spilling
	w.place = nil
	if p.lost.Load() {
		return false
	}
	place, stride := &p.places[window%windows], b.kernel.Stride()
	err := b.job.spillFails("read", window)
	labels := w.labels[:place.labels*stride]
	for at := 0; at < len(labels) && err == nil && !b.flow.Stopped(); at += spillPart {
		err = p.file.ReadVia(b.c.way(), labels[at:min(at+spillPart, len(labels))], place.offset+int64(at))
	}
	if err == nil && !b.flow.Stopped() {
		err = b.checkSpilled(labels, int(window%windows))
	}
	if err != nil {
		b.loseSpill(ctx, err)
		return false
	}
	w.place = place
	return true
}

const spillPart = 4 << 20 // bytes read at a time

// checkSpilled compares the labels of a window of children with what was written. A chunk
// that is not right is read once more, past the cache.
func (b *pipeline) checkSpilled(labels []byte, child int) error {
	p, stride := &b.spilling, b.kernel.Stride()
	place := &p.places[child]
	for from, sums := range p.sums[child] {
		at, left := place.starts[from]*stride, roundUp(place.n[from], spillAlign(stride))*stride
		for _, sum := range sums {
			n := min(left, farChunk*stride)
			chunk, off := labels[at:][:n], place.offset+int64(at)
			found := durable.Checksum(chunk)
			if found != sum {
				if err := p.file.ReadVia(durable.Direct, chunk, off); err != nil {
					return err
				}
				found = durable.Checksum(chunk)
			}
			if found != sum {
				return &durable.ChangedError{Path: p.file.Path(), Off: off, Len: int64(n), Found: found, Written: sum}
			}
			at, left = at+n, left-n
		}
	}
	return nil
}

// spillFails is what a test wants an operation on a file for far parents to fail with.
func (j *job) spillFails(operation string, window uint64) error {
	if j.c.spillHook == nil {
		return nil
	}
	return j.c.spillHook(operation, window)
}

// ioBuffers are a batch's buffers for labels on their way to files and back.
type ioBuffers struct {
	write [writers][]byte // nil if nothing is to be taken apart
	spill []byte
	read  [readers][]byte
}

// buffers cuts them out of their memory. All but the writers' are for OneLayer mode.
func (b *pipeline) buffers() (all ioBuffers) {
	s := &b.store.shape
	var mem []byte
	if b.regions.buffers != nil {
		mem = b.regions.buffers.Bytes()
	}
	cut := func(n uint64) (part []byte) {
		part, mem = mem[:n:n], mem[n:]
		return part
	}
	if n := writeBytes(b.kernel, *s); n > 0 {
		for i := range all.write {
			all.write[i] = cut(n / writers)
		}
		cut(roundUp(n, linux.DirectAlign) - n)
	}
	if s.window > 0 {
		all.spill = cut(spillBytes(b.kernel.Stride(), *s))
		for i := range all.read {
			all.read[i] = cut(readBytes(*s))
		}
	}
	return all
}

// spillBytes is the memory from which far parents are written.
func spillBytes(stride int, s shape) uint64 {
	return uint64(roundUp(min(farChunk, s.room), spillAlign(stride)) * stride)
}

// readBytes is the memory into which each reader reads.
func readBytes(s shape) uint64 {
	return roundUp(min(readPart, s.nodes*porep.NodeSize), linux.DirectAlign)
}
