package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	ends          = 4  // nodes at a layer's beginning, and at its end
	sampleReaders = 16 // goroutines: each waits for one read at a time
)

// sampleOf is so many nodes that seed chooses, the first and last ones, and those on both
// sides of each 4 MiB boundary, ascending.
func sampleOf(nodes uint64, n int, seed uint64) []uint64 {
	r := rand.New(rand.NewPCG(seed, nodes)) // #nosec G404 -- no secret: which labels are looked at
	var all []uint64
	for range n {
		all = append(all, r.Uint64N(nodes))
	}
	for i := range min(ends, nodes) {
		all = append(all, i, nodes-1-i)
	}
	for at := uint64(blockNodes); at < nodes; at += blockNodes {
		all = append(all, at-1, at)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Sample recomputes labels of a sector's layers from what the files hold, by way of the standard
// library: those of n nodes of each that seed chooses, of its first and last nodes, and of those
// on both sides of each 4 MiB boundary. What is wrong is in the report, not in the error.
func Sample(ctx context.Context, s Sector, n int, seed uint64, o Options) (Report, error) {
	c, err := newCheck(ctx, s, o)
	if err != nil {
		return Report{}, err
	}
	defer c.close()
	if _, err := manifestOf(ctx, s); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	p := c.o.Progress
	total := uint64(0)
	for _, l := range c.report.Layers {
		if l.Length == nil {
			total += uint64(len(sampleOf(c.nodes, n, seed+uint64(l.Layer))))
		}
	}
	p.total.Store(total)
	p.passes.Store(1)
	for i := range c.report.Layers {
		l := &c.report.Layers[i]
		if l.Length != nil {
			continue
		}
		p.layer.Store(int64(l.Layer))
		if err := c.sample(ctx, l, sampleOf(c.nodes, n, seed+uint64(l.Layer))); err != nil {
			return c.report, err
		}
	}
	return c.finish(ctx)
}

// sample checks nodes of a layer.
func (c *check) sample(ctx context.Context, l *Layer, nodes []uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan uint64)
	var wg sync.WaitGroup
	for range sampleReaders {
		wg.Go(func() {
			for node := range work {
				wrong, err := c.isWrong(ctx, l.Layer, node)
				if err != nil {
					cancel(err)
				} else if wrong != nil {
					c.note(l, wrong)
				}
				c.o.Progress.done.Add(1)
			}
		})
	}
	for _, node := range nodes {
		if ctx.Err() != nil {
			break
		}
		work <- node
	}
	close(work)
	wg.Wait()
	l.Checked = uint64(len(nodes))
	return context.Cause(ctx)
}
