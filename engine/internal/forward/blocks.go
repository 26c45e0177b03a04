package forward

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
)

// Blocks are a scratch file of blocks of one size. A block is written whole, read whole, once or
// more, and then free for others. What comes back is what was written, or it is an error: the
// checksum of each is in memory.
type blocks struct {
	file *durable.File
	way  durable.Way
	size int

	mu   sync.Mutex
	next []uint32 // by block, from 1: the next of its list
	sums []uint32 // by block
	free uint32   // the first of a list
	last uint32   // of it, that became free
	// inTurn has a block that becomes free used after all that are free, and not next.
	inTurn bool
}

// openBlocks makes the file in the first directory that takes it, with room for n blocks.
func openBlocks(ctx context.Context, dirs []string, way durable.Way, n, size int) (*blocks, error) {
	err := fmt.Errorf("engine: opening a scratch file: no sector is left")
	for _, dir := range dirs {
		var file *durable.File
		if file, err = durable.Scratch(ctx, dir); err != nil {
			continue
		}
		if err = file.Reserve(int64(n) * int64(size)); err != nil {
			file.Abort()
			continue
		}
		file.AllowDirect()
		b := &blocks{file: file, way: way, size: size, next: make([]uint32, n+1), sums: make([]uint32, n+1)}
		for i := range n {
			b.next[i] = uint32(i + 1)
		}
		b.free, b.next[0] = b.next[0], 0
		b.last = uint32(n)
		return b, nil
	}
	return nil, fmt.Errorf("engine: making a scratch file of %d bytes: %w", int64(n)*int64(size), err)
}

// Close removes the file. Of nil there is none.
func (b *blocks) close() {
	if b != nil {
		b.file.Abort()
	}
}

func (b *blocks) offset(block uint32) int64 { return int64(block-1) * int64(b.size) }

// write writes a block, and adds it to the list that begins at head; if that is nil nobody will read it, and
// it is free.
func (b *blocks) write(data []byte, head *uint32) error {
	b.mu.Lock()
	block := b.free
	if block == 0 {
		b.mu.Unlock()
		return fmt.Errorf("engine: writing to a scratch file: all %d blocks are in use", len(b.next)-1)
	}
	b.free = b.next[block]
	b.mu.Unlock()
	b.sums[block] = durable.Checksum(data)
	if err := b.file.WriteVia(b.way, data, b.offset(block)); err != nil {
		return err
	}
	if head == nil {
		b.release(block)
		return nil
	}
	b.mu.Lock()
	b.next[block], *head = *head, block
	b.mu.Unlock()
	return nil
}

// read reads a block. What is not right is read once more, past the cache.
func (b *blocks) read(data []byte, block uint32) error {
	off := b.offset(block)
	for _, way := range []durable.Way{b.way, durable.Direct} {
		if err := b.file.ReadVia(way, data, off); err != nil {
			return err
		}
		found := durable.Checksum(data)
		if found == b.sums[block] {
			return nil
		}
		if way == durable.Direct {
			return &durable.ChangedError{Path: b.file.Path(), Off: off, Len: int64(len(data)), Found: found, Written: b.sums[block]}
		}
	}
	return nil
}

// release frees a block.
func (b *blocks) release(block uint32) {
	b.mu.Lock()
	if b.inTurn && b.free != 0 {
		b.next[b.last], b.next[block] = block, 0
	} else {
		b.next[block], b.free = b.free, block
	}
	b.last = block
	b.mu.Unlock()
}

// pop takes the first block off the list that begins at head; 0 if there is none.
func (b *blocks) pop(head *uint32) uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	block := *head
	if block != 0 {
		*head = b.next[block]
	}
	return block
}
