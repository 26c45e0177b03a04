package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/topology"
)

// A feeder is one producer of several hashers. It goes from one to the next and stages a span
// for each that has room for one, so that none waits for longer than the others' spans take.
// Threads of their own on its CPU would take turns as the system thinks fit, some
// milliseconds each, and labels staged so far ahead fill the shared cache.
//
// Each hasher's batch has a goroutine here, bound as the producer is. One of them leads: it
// stages for all. When its batch ends, another one does. So a batch waits for none of the
// others, and what its goroutine works with is there until that has ended.
type feeder struct {
	gate    ring.Gate   // for who leads and finds no room, and for those who do not lead
	leading atomic.Bool // somebody leads

	mu  sync.Mutex // of who changes fed
	fed atomic.Pointer[[]*fed]
}

// A fed is a batch that has a feeder.
type fed struct {
	p     *pipeline
	stage func(w *workbench, span uint64, index int, node uint64) error // also called by who stages for it

	mu   sync.Mutex  // of who stages for it
	next uint64      // the span to stage
	over atomic.Bool // there are no more, or nobody is to stage them
}

// newFeeders are those of a job, by hasher; nil for hashers that have producers to themselves.
// Hashers that share a producer are those that name the same CPUs for it or, where there are none,
// have memory on the same NUMA node: what it works out for one is near for the others.
func newFeeders(c *Config) []*feeder {
	all := make([]*feeder, c.Hashers)
	if c.HashersPerProducer == 1 {
		return all
	}
	type group struct {
		cpu  topology.CPU // -1: none
		node int
	}
	hashers := map[group][]int{}
	for h := range all {
		g := group{-1, c.parentsOf(h).sharers}
		if h < len(c.Places) && len(c.Places[h].Producers) > 0 {
			g = group{c.Places[h].Producers[0], 0}
		}
		hashers[g] = append(hashers[g], h)
	}
	for _, alike := range hashers {
		for part := range slices.Chunk(alike, c.HashersPerProducer) {
			if len(part) == 1 {
				continue
			}
			f := new(feeder)
			f.fed.Store(new([]*fed))
			for _, h := range part {
				all[h] = f
			}
		}
	}
	return all
}

// feed stages a batch's spans, here or in the goroutine of another batch, until there are no more.
func (f *feeder) feed(ctx context.Context, p *pipeline) {
	defer p.job.bind(p.job.producerCPUs(p.hasher), 0, fmt.Sprintf("sdr-produce-%d", p.hasher))()
	own := &fed{p: p, stage: func(w *workbench, span uint64, index int, node uint64) error {
		return p.produceSpan(ctx, w, span, index, node)
	}}
	f.change(func(all []*fed) []*fed { return append(slices.Clone(all), own) })
	defer func() {
		f.change(func(all []*fed) []*fed {
			return slices.DeleteFunc(slices.Clone(all), func(other *fed) bool { return other == own })
		})
		own.mu.Lock() // who leads may be at it
		own.over.Store(true)
		own.mu.Unlock()
	}()
	leads := false
	f.gate.Wait(0, func() bool {
		leads = !own.ended() && f.leading.CompareAndSwap(false, true)
		return leads || own.ended()
	})
	if !leads {
		return
	}
	defer f.gate.Wake()
	defer f.leading.Store(false)
	w := newWorkbench(p.store)
	for !own.ended() {
		staged := false
		for _, b := range *f.fed.Load() {
			staged = b.stageOne(w) || staged
		}
		if !staged {
			f.gate.Wait(ring.Looks, func() bool { return own.ended() || slices.ContainsFunc(*f.fed.Load(), (*fed).hasRoom) })
		}
	}
}

// change changes who is fed, and tells who leads.
func (f *feeder) change(change func([]*fed) []*fed) {
	f.mu.Lock()
	all := change(*f.fed.Load())
	f.fed.Store(&all)
	f.mu.Unlock()
	f.gate.Wake()
}

// ended reports whether nothing is to be staged any more.
func (b *fed) ended() bool { return b.over.Load() || b.p.ring.Closed() }

// hasRoom reports whether there is something to do for it without waiting.
func (b *fed) hasRoom() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isFree()
}

func (b *fed) isFree() bool {
	if b.ended() {
		return false
	}
	index, node := b.p.at(b.next)
	one, fwd := b.p.store.one, b.p.store.fwd
	return index >= b.p.layers || b.p.ring.IsFree(b.next) && (one == nil || one.Listed(index, node)) && (fwd == nil || fwd.Located(index, node))
}

// stageOne stages the next span if it can be without waiting. What goes wrong ends the batch.
func (b *fed) stageOne(w *workbench) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isFree() {
		return false
	}
	index, node := b.p.at(b.next)
	if index >= b.p.layers {
		b.end()
		return true
	}
	if err := b.stage(w, b.next, index, node); err != nil {
		b.p.fail(err)
		b.end()
		return true
	}
	b.next++
	return true
}

// end says that nothing is staged any more, to who waits for that.
func (b *fed) end() {
	b.over.Store(true)
	b.p.feeder.gate.Wake()
}
