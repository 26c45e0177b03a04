package parentcache

import (
	"context"
	"sync"

	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/porep"
)

// blockNodes is how many nodes one core works on at a time: about a millisecond
// of computing, which is also how late a cancellation is at most.
const blockNodes = 1 << 12

// A block is a span of nodes, as numbers and as the bytes of the file.
type block struct {
	first   uint64
	parents []uint32
	bytes   []byte
	err     error
	done    chan struct{}
}

// offset is where the block begins in the file.
func (b *block) offset() int64 { return int64(b.first) * rowSize }

// run cuts a layer of nodes into blocks, has all cores work on blocks, and takes
// the blocks in order, one at a time. The memory it uses is two blocks for each
// core. It returns the first error: in order of nodes, not of time.
func run(ctx context.Context, nodes uint64, work, take func(*block) error) error {
	most := workers.Most()
	blocks := make([]*block, min(2*uint64(most), (nodes+blockNodes-1)/blockNodes))
	jobs := make(chan *block, len(blocks))
	var wg sync.WaitGroup
	for range min(most, len(blocks)) {
		wg.Go(func() {
			for b := range jobs {
				b.err = work(b)
				b.done <- struct{}{}
			}
		})
	}
	defer wg.Wait()
	defer close(jobs)

	next := uint64(0)
	start := func(b *block) {
		count := min(blockNodes, nodes-next)
		b.first, b.parents, b.bytes = next, b.parents[:count*porep.Degree], b.bytes[:count*rowSize]
		next += count
		jobs <- b
	}
	for i := range blocks {
		blocks[i] = &block{
			parents: make([]uint32, blockNodes*porep.Degree),
			bytes:   make([]byte, blockNodes*rowSize),
			done:    make(chan struct{}, 1),
		}
		start(blocks[i])
	}
	for taken := uint64(0); taken*blockNodes < nodes; taken++ {
		b := blocks[taken%uint64(len(blocks))]
		select {
		case <-b.done:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if b.err != nil {
			return b.err
		}
		if err := take(b); err != nil {
			return err
		}
		if next < nodes {
			start(b)
		}
	}
	return nil
}
