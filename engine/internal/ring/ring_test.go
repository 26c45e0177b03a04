package ring_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sdr-engine/sdr/engine/internal/ring"
)

// TestOrder: the consumer gets every span once, in order, with what its producer
// wrote, for any number of slots and producers that dawdle at random. The data has
// no lock of its own: under the race detector this is a test of who owns a slot.
func TestOrder(t *testing.T) {
	const spans = 3000
	for _, slots := range []int{1, 2, 3, 8, 64} {
		for _, producers := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("slots=%d/producers=%d", slots, producers), func(t *testing.T) {
				r := ring.New(slots)
				data := make([]uint64, slots)
				var wg sync.WaitGroup
				for p := range producers {
					wg.Go(func() {
						random := rand.New(rand.NewPCG(uint64(slots), uint64(p)))
						for {
							span := r.Claim()
							if span >= spans {
								return
							}
							if !r.Free(span) {
								t.Error("closed")
								return
							}
							if random.IntN(50) == 0 {
								runtime.Gosched()
							}
							data[r.Slot(span)] = span * 3
							r.Publish(span)
						}
					})
				}
				for span := range uint64(spans) {
					if !r.Ready(span) || !r.IsReady(span) {
						t.Fatalf("span %d: closed", span)
					}
					if got := data[r.Slot(span)]; got != span*3 {
						t.Fatalf("span %d: data of span %d", span, got/3)
					}
					r.Release(span)
				}
				wg.Wait()
				if r.Released() != spans {
					t.Errorf("%d released, want %d", r.Released(), spans)
				}
			})
		}
	}
}

// TestBound: producers are never more than all slots ahead.
func TestBound(t *testing.T) {
	const slots, spans = 4, 2000
	r := ring.New(slots)
	var released atomic.Uint64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for span := r.Claim(); span < spans; span = r.Claim() {
				r.Free(span)
				// Released is counted after Release: it may be one behind.
				if span > released.Load()+slots {
					t.Errorf("span %d is free, %d released", span, released.Load())
				}
				r.Publish(span)
			}
		})
	}
	for span := range uint64(spans) {
		r.Ready(span)
		r.Release(span)
		released.Store(span + 1)
	}
	wg.Wait()
}

// TestClose: all who wait, on either side, are told.
func TestClose(t *testing.T) {
	r := ring.New(2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for r.Free(r.Claim()) {
			}
		})
	}
	wg.Go(func() {
		if r.Ready(1 << 40) {
			t.Error("ready")
		}
	})
	runtime.Gosched()
	r.Close()
	wg.Wait()
	if r.Free(r.Claim()) || r.Ready(0) {
		t.Error("a closed ring hands out spans")
	}
}

// TestAllocations: the consumer's side allocates nothing.
func TestAllocations(t *testing.T) {
	r := ring.New(4)
	span := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		r.Free(r.Claim())
		r.Publish(span)
		r.Ready(span)
		r.Release(span)
		span++
	}); n != 0 {
		t.Errorf("%v allocations a span", n)
	}
}

// One span from a producer to the consumer, both busy.
func BenchmarkRing(b *testing.B) {
	for _, slots := range []int{2, 32} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			r := ring.New(slots)
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					span := r.Claim()
					if !r.Free(span) {
						return
					}
					r.Publish(span)
				}
			})
			span := uint64(0)
			for b.Loop() {
				r.Ready(span)
				r.Release(span)
				span++
			}
			r.Close()
			wg.Wait()
		})
	}
}
