package forward

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// An Index says which labels of a group are far base parents of which segment's nodes, and as which
// of those that the segment has: base parents are drawn, so that only their children know them.
// It is the same for all layers, lanes and hashers. It is worked out once, from the first child on
// to the last, and lies in a file without a name.
type Index struct {
	Surroundings
	lists  lists // Passes, which have nothing of what follows
	blocks *blocks
	groups []section

	// starts is, of each span, how many far parents there are before it in its segment; totals
	// of each segment, how many it has.
	starts []uint32
	totals []uint64

	ready atomic.Bool // all of it is there, unless err says why not
	err   error
	gate  ring.Gate // for who waits for that
	close func()
}

// A section is the entries of a group: 36 bits say whose far parent, and which, the others
// which node of the group. Its first block is the only one that need not be full.
type section struct {
	head uint32
	n    int
	buf  []uint64
}

const wantBits = 36

// StartIndex starts the work on an Index, whose file is in the first of the directories that
// takes it. Until Close or the end of ctx.
func StartIndex(ctx context.Context, s Surroundings, dirs []string, way durable.Way) (*Index, error) {
	x := &Index{Surroundings: s, lists: lists{all: map[*list]bool{}}, close: func() {}}
	if s.Passes() {
		x.ready.Store(true)
		return x, nil
	}
	var err error
	if x.blocks, err = openBlocks(ctx, dirs, way, s.farBlocks(s.segmentsFrom(s.From)), s.farBlock); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	x.close = func() {
		cancel()
		wg.Wait()
		x.blocks.close()
	}
	wg.Go(func() {
		defer x.KeepOff()()
		if fault := failure.Caught(func() { x.err = x.build(ctx) }); fault != nil {
			x.err = fault
		}
		x.ready.Store(true)
		x.gate.Wake()
	})
	return x, nil
}

// Close ends the work on the index, and removes its file. Nil has nothing to close.
func (x *Index) Close() {
	if x != nil {
		x.close()
	}
}

// Wake has those who wait for the index, as their batch was stopped, look again. Of nil
// nobody waits.
func (x *Index) Wake() {
	if x != nil {
		x.gate.Wake()
	}
}

// wait waits for the index until it is there, or stopped.
func (x *Index) wait(stopped func() bool) error {
	x.gate.Wait(1, func() bool { return x.ready.Load() || stopped() })
	if stopped() {
		return nil
	}
	return x.err
}

// build makes the index.
func (x *Index) build(ctx context.Context) error {
	perBlock := x.farBlock / farEntry
	room := wordsOf(linux.AlignedBuffer(x.Shape.groups() * x.farBlock))
	x.groups = make([]section, x.Shape.groups())
	for i := range x.groups {
		x.groups[i].buf = room[i*perBlock:][:0:perBlock]
	}
	x.starts = make([]uint32, x.Nodes/uint64(x.Stride))
	x.totals = make([]uint64, x.Segments)
	parents := make([]uint32, min(x.Nodes, listNodes)*porep.Degree)
	for segment := x.segmentOf(x.From); segment < x.Segments; segment++ {
		var n uint64 // far parents so far
		first := uint64(segment) * x.Segment
		for node := first; node < first+x.nodesOf(segment); {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			rows := parents[:min(uint64(len(parents)/porep.Degree), first+x.nodesOf(segment)-node)*porep.Degree]
			if err := x.BaseParents(rows, node); err != nil {
				return err
			}
			for ; len(rows) > 0; rows = rows[porep.Degree:] {
				if node%uint64(x.Stride) == 0 {
					x.starts[node/uint64(x.Stride)] = uint32(n)
				}
				for _, p := range rows[:porep.BaseDegree] {
					if !x.isFar(node, p) {
						continue
					}
					if n == x.far {
						return fmt.Errorf("engine: listing far parents: more than %d from node %d to %d", n, first, node)
					}
					if err := x.add(uint64(p), uint64(segment)*x.far+n); err != nil {
						return err
					}
					n++
				}
				node++
			}
		}
		x.totals[segment] = n
	}
	for i := range x.groups {
		s := &x.groups[i]
		if len(s.buf) > 0 {
			if err := x.blocks.write(bytesOf(s.buf[:cap(s.buf)]), &s.head); err != nil {
				return err
			}
		}
		s.buf = nil
	}
	return nil
}

func (x *Index) add(parent, want uint64) error {
	s := &x.groups[parent/x.Group]
	s.n++
	s.buf = append(s.buf, parent%x.Group<<wantBits|want)
	if len(s.buf) < cap(s.buf) {
		return nil
	}
	err := x.blocks.write(bytesOf(s.buf), &s.head)
	s.buf = s.buf[:0]
	return err
}

// each calls visit with the entries of a group, block by block, until it is false. Block is room for
// one.
func (x *Index) each(group uint64, block []byte, visit func(entries []uint64) bool) error {
	s := &x.groups[group]
	per := x.farBlock / farEntry
	n := s.n % per
	if n == 0 {
		n = per
	}
	for at := s.head; at != 0; at = x.blocks.next[at] {
		if err := x.blocks.read(block, at); err != nil {
			return err
		}
		if !visit(wordsOf(block)[:n]) {
			return nil
		}
		n = per
	}
	return nil
}

// wordsOf are bytes as the numbers that lie there in memory, bytesOf the other way round.
func wordsOf(b []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
}

// numbersOf are words as twice as many numbers.
func numbersOf(w []uint64) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(w))), 2*len(w))
}

func bytesOf(w []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), 8*len(w))
}
