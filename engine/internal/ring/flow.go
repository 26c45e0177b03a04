package ring

import (
	"sync/atomic"
	"unsafe"
)

// A Line is a counter on cache lines of its own, and on a pair of them, which processors
// fetch together: one goroutine writes it, others read it.
type Line struct {
	atomic.Uint64
	_ [120]byte
}

// SlotBytes is what a ring takes for each of its slots.
const SlotBytes = unsafe.Sizeof(Line{})

// A Flow is how far a batch is, for those who wait for each other. Positions count nodes
// from the first of the batch's first layer, which is layer index 0, on through all layers.
// Who moves something on wakes those who wait for it, at a gate; Stop has all waiting end.
type Flow struct {
	Labelled Line         // positions below are labelled
	Written  Line         // positions below are in their files, in all lanes
	Before   atomic.Int64 // the layer index whose layer before is all there, in every lane; -1: none
	Made     Gate         // for who waits for the hasher
	Back     Gate         // for the hasher, and who waits for what the others do
	stopped  atomic.Bool
}

// Stop makes all waiting end, now and later; not that at gates of others.
func (f *Flow) Stop() {
	f.stopped.Store(true)
	f.Made.Wake()
	f.Back.Wake()
}

// Stopped reports whether Stop was called.
func (f *Flow) Stopped() bool { return f.stopped.Load() }

// Restart has waiting go on, when all who have waited have ended.
func (f *Flow) Restart() { f.stopped.Store(false) }

// Wait parks at a gate until done; false means that all was stopped.
func (f *Flow) Wait(g *Gate, done func() bool) bool {
	g.Wait(16, func() bool { return done() || f.stopped.Load() })
	return !f.stopped.Load()
}
