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

// TestOrder: the consumer gets every run once, in order, with what its producer
// wrote, for any number of slots and producers that dawdle at random. The data has
// no lock of its own: under the race detector this is a test of who owns a slot.
func TestOrder(t *testing.T) {
	const runs = 3000
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
							run := r.Claim()
							if run >= runs {
								return
							}
							if !r.Free(run) {
								t.Error("closed")
								return
							}
							if random.IntN(50) == 0 {
								runtime.Gosched()
							}
							data[r.Slot(run)] = run * 3
							r.Publish(run)
						}
					})
				}
				for run := range uint64(runs) {
					if !r.Ready(run) || !r.IsReady(run) {
						t.Fatalf("run %d: closed", run)
					}
					if got := data[r.Slot(run)]; got != run*3 {
						t.Fatalf("run %d: data of run %d", run, got/3)
					}
					r.Release(run)
				}
				wg.Wait()
				if r.Released() != runs {
					t.Errorf("%d released, want %d", r.Released(), runs)
				}
			})
		}
	}
}

// TestBound: producers are never more than all slots ahead.
func TestBound(t *testing.T) {
	const slots, runs = 4, 2000
	r := ring.New(slots)
	var released atomic.Uint64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for run := r.Claim(); run < runs; run = r.Claim() {
				r.Free(run)
				// Released is counted after Release: it may be one behind.
				if run > released.Load()+slots {
					t.Errorf("run %d is free, %d released", run, released.Load())
				}
				r.Publish(run)
			}
		})
	}
	for run := range uint64(runs) {
		r.Ready(run)
		r.Release(run)
		released.Store(run + 1)
	}
	wg.Wait()
}

// TestClose: whoever waits, on either side, is told.
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
		t.Error("a closed ring hands out runs")
	}
}

// TestAllocations: the consumer's side allocates nothing.
func TestAllocations(t *testing.T) {
	r := ring.New(4)
	run := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		r.Free(r.Claim())
		r.Publish(run)
		r.Ready(run)
		r.Release(run)
		run++
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// One run from a producer to the consumer, both busy.
func BenchmarkRing(b *testing.B) {
	for _, slots := range []int{2, 32} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			r := ring.New(slots)
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					run := r.Claim()
					if !r.Free(run) {
						return
					}
					r.Publish(run)
				}
			})
			run := uint64(0)
			for b.Loop() {
				r.Ready(run)
				r.Release(run)
				run++
			}
			r.Close()
			wg.Wait()
		})
	}
}
