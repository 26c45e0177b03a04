// Package ring hands numbered spans of work from any number of producers to one
// consumer, in order, through a fixed number of slots. It holds no data: span n's
// is wherever the users keep that of slot n modulo Slots.
//
// Who owns a slot:
//
//	Claim    a producer has the next span's number, and nothing yet
//	Free     returned true: the slot is that producer's, to write
//	Publish  the slot is the consumer's, to read
//	Release  the slot is free for the span that is Slots further on
//
// A span is claimed by one producer, so that nobody else writes its slot; the
// consumer releases spans in order. Each step is an atomic store that the next
// owner's load sees, and what was written before it.
//
// Waiting is a bounded number of looks, then parking. Producers are ahead, so
// they park often; they are woken not at each release but when half of the ring
// is free, since waking a thread costs the consumer more than a span's worth of
// looks. The consumer, which must never wait, looks for longer. A plain channel
// was measured first: a send to a parked goroutine costs the hasher 1 to 5 µs.
package ring

import (
	"sync"
	"sync/atomic"
)

// Looks is how often a producer looks before it parks: a look is some nanoseconds.
const Looks = 64

// The same of either side.
const (
	producerLooks = Looks
	consumerLooks = 4096
)

// A Ring is one consumer's. Make it with New.
type Ring struct {
	ready    []Line // by slot: the number, from 1, of the span that was published last
	claimed  Line
	released Line // spans below this one are done with
	closed   atomic.Bool

	producers, consumer Gate
	half                uint64
}

// New makes a ring of so many slots, at least 1.
func New(slots int) *Ring {
	r := &Ring{ready: make([]Line, max(1, slots))}
	r.half = uint64(len(r.ready)+1) / 2
	return r
}

// Slots is the number of slots.
func (r *Ring) Slots() int { return len(r.ready) }

// Slot is where span's data lies.
func (r *Ring) Slot(span uint64) int { return int(span % uint64(len(r.ready))) }

// Claim gives a producer the next span that nobody has, from 0.
func (r *Ring) Claim() uint64 { return r.claimed.Add(1) - 1 }

// IsFree reports whether span's slot may be written, as far as the consumer goes.
func (r *Ring) IsFree(span uint64) bool { return span < r.released.Load()+uint64(len(r.ready)) }

// Free waits until span's slot may be written. False means that the ring is closed.
func (r *Ring) Free(span uint64) bool {
	r.producers.Wait(producerLooks, func() bool { return r.IsFree(span) || r.closed.Load() })
	return !r.closed.Load()
}

// Closed reports whether Close was called.
func (r *Ring) Closed() bool { return r.closed.Load() }

// WakeAlso has another gate woken whenever producers are: that of one who produces for several
// rings. It is called before the ring is used.
func (r *Ring) WakeAlso(g *Gate) { r.producers.WakeAlso(g) }

// Publish gives span's slot to the consumer.
func (r *Ring) Publish(span uint64) {
	r.ready[r.Slot(span)].Store(span + 1)
	r.consumer.Wake()
}

// IsReady reports whether span was published.
func (r *Ring) IsReady(span uint64) bool { return r.ready[r.Slot(span)].Load() == span+1 }

// Ready waits until span is published. False means that the ring is closed.
func (r *Ring) Ready(span uint64) bool {
	ready := func() bool { return r.IsReady(span) || r.closed.Load() }
	r.consumer.Wait(consumerLooks, ready)
	return !r.closed.Load()
}

// Release says that the consumer is done with span, and with all before it.
func (r *Ring) Release(span uint64) {
	r.released.Store(span + 1)
	if (span+1)%r.half == 0 {
		r.producers.Wake()
	}
}

// Released is how many spans the consumer is done with.
func (r *Ring) Released() uint64 { return r.released.Load() }

// Close makes all waiting end, now and later.
func (r *Ring) Close() {
	r.closed.Store(true)
	r.producers.Wake()
	r.consumer.Wake()
}

// A Gate is where goroutines park until somebody changes what they look at. The
// zero Gate is ready.
type Gate struct {
	parked atomic.Int64
	_      [120]byte
	mu     sync.Mutex
	cond   *sync.Cond
	also   *Gate // is woken with it, if there is one
}

// WakeAlso has Wake wake another gate as well. It is called before the gate is used.
func (g *Gate) WakeAlso(other *Gate) { g.also = other }

// Wait returns when done is true. It looks so many times, then parks between
// looks. Done looks at atomic variables; who changes them calls Wake afterwards.
func (g *Gate) Wait(looks int, done func() bool) {
	for range looks {
		if done() {
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cond == nil {
		g.cond = sync.NewCond(&g.mu)
	}
	// First parked, then another look, and Wake the other way around: one of
	// the two sees the other.
	g.parked.Add(1)
	for !done() {
		g.cond.Wait()
	}
	g.parked.Add(-1)
}

// Wake makes those who are parked look again. Where nobody is, it is one load.
func (g *Gate) Wake() {
	if g.also != nil {
		g.also.Wake()
	}
	if g.parked.Load() == 0 {
		return
	}
	g.mu.Lock()
	g.cond.Broadcast()
	g.mu.Unlock()
}
