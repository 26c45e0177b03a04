package forward

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// gather is the goroutine that keeps what the segment that comes next reads ready, through all
// layers.
func (s *Store) gather() error {
	first, end := s.segmentOf(s.Begin), s.Layers*s.Segments
	n := first
	if s.filled != nil {
		n, end = n+1, s.Segments // one was gathered, and of the next layer there is nothing
	}
	for ; n < end; n++ {
		// What is in the gathering now is of the last segment but one.
		if n >= first+2 && !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= s.start(n-1) }) {
			return nil
		}
		if err := s.gatherSegment(n); err != nil || s.Flow.Stopped() {
			return err
		}
	}
	return nil
}

func (s *Store) gatherSegment(n int) error {
	g := &s.segments[n%2]
	g.count.Store(0)
	g.sum.Store(0)
	g.read.Store(0)
	if s.filled != nil {
		s.filled.next.Store(0)
	}
	if err := s.collect(g, n); err != nil || s.Flow.Stopped() {
		return err
	}
	if err := s.index.wait(s.Flow.Stopped); err != nil || s.Flow.Stopped() {
		return err
	}
	if err := s.checkGathered(g, n); err != nil {
		return err
	}
	s.traffic.read.Add(g.read.Load())
	s.traffic.gathered.Add(s.nodesOf(n))
	g.there.Store(int64(n) + 1)
	s.Flow.Back.Wake()
	return nil
}

// collect unpacks a segment's parcel, as soon as its blocks are there, until all labels that belong
// to it were sent.
func (s *Store) collect(g *gathering, n int) error {
	if s.Passes() {
		return s.pass(g, n)
	}
	p := &s.parcels[n/s.Segments%2][n%s.Segments]
	errs := make([]error, readers)
	var wg sync.WaitGroup
	for i := range errs {
		failure.Go(&wg, func(err error) { errs[i] = err }, func() {
			defer s.KeepOff()()
			errs[i] = s.unpackBlocks(g, n, p, s.staging[i])
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if s.Flow.Stopped() || p.buffer == nil {
		return nil
	}
	err := s.unpack(g, p.buffer, p.n)
	s.buffers <- p.buffer
	p.buffer, p.n = nil, s.room
	return err
}

// unpackBlocks unpacks blocks from the file.
func (s *Store) unpackBlocks(g *gathering, n int, p *parcel, buffer []byte) error {
	if err := s.unpackFilled(g, buffer); err != nil {
		return err
	}
	wanted := s.wanted(n)
	for {
		var block uint32
		var all bool
		if !s.Flow.Wait(&s.Flow.Back, func() bool {
			// In this order: what is sent was handed to a writer, who adds it to the list.
			all = s.sent.Load() >= wanted && p.writing.Load() == 0
			block = s.blocks.pop(&p.head)
			return all || block != 0
		}) {
			return nil
		}
		if block == 0 {
			return nil
		}
		if err := s.readBlock(g, buffer, block); err != nil {
			return err
		}
		s.blocks.release(block)
		if err := s.unpack(g, buffer, s.room); err != nil {
			return err
		}
	}
}

// readBlock reads a block for a segment.
func (s *Store) readBlock(g *gathering, buffer []byte, block uint32) error {
	g.read.Add(uint64(len(buffer)))
	return s.blocks.read(buffer, block)
}

// unpack puts n labels of a block where they belong.
func (s *Store) unpack(g *gathering, block []byte, n int) error {
	pitch := s.pitch
	numbers := block[s.room*pitch:][:n*number]
	most := uint32(len(g.labels) / pitch)
	var sum uint64
	for i := range n {
		to := binary.LittleEndian.Uint32(numbers[i*number:])
		if to >= most {
			return fmt.Errorf("engine: gathering parents: label %d of %d", to, most)
		}
		sum += uint64(to)
		copyLabels(g.labels[int(to)*pitch:], block[i*pitch:][:pitch])
	}
	g.count.Add(uint64(n))
	g.sum.Add(sum)
	return nil
}

// checkGathered makes sure that all labels of a segment have come, each once.
func (s *Store) checkGathered(g *gathering, n int) error {
	if s.Passes() {
		return s.checkListed(g, n)
	}
	first := func(n uint64) uint64 { return n * (n - min(n, 1)) / 2 } // the sum of the first n numbers
	far := s.index.totals[n%s.Segments]
	count, sum := far, far*s.slots()+first(far)
	if s.First+n/s.Segments > 1 {
		expander := s.nodesOf(n) * porep.ExpDegree
		if s.filled != nil {
			expander = s.slots() // the same for each
		}
		count, sum = count+expander, sum+first(expander)
	}
	if g.count.Load() != count || g.sum.Load() != sum {
		return fmt.Errorf("engine: gathering parents of segment %d of layer %d: %d labels came, of the sum %d, want %d and %d",
			n%s.Segments, s.First+n/s.Segments, g.count.Load(), g.sum.Load(), count, sum)
	}
	return nil
}

// Restore readies memory and the file before Start, as they were when an earlier job was at Begin,
// from the layers' files. When ctx is done the error is its cause.
func (s *Store) Restore(ctx context.Context) error {
	if s.filled != nil {
		return nil
	}
	defer context.AfterFunc(ctx, s.index.Wake)()
	if s.Passes() {
		return s.loadNewest(ctx)
	}
	from := uint64(s.segmentOf(s.Begin))
	if s.First > 1 {
		if err := s.sendAgain(ctx, s.First-1, 0, s.Nodes, func(node uint64, labels []byte) error {
			return s.sendUses(0, node, labels, from)
		}); err != nil {
			return err
		}
	}
	return s.sendAgain(ctx, s.First, 0, s.Begin, func(node uint64, _ []byte) (err error) {
		if s.Layers > 1 {
			var labels []byte
			if labels, err = s.withJoining(s.First, node); err == nil {
				err = s.sendUses(1, node, labels, 0)
			}
		}
		if end := node + s.Part; err == nil && end%s.Group == 0 {
			err = s.sendFar(0, end-s.Group, from)
		}
		return err
	})
}

// sendAgain reads a layer, from one node to another, to where the newest labels are, and calls send for
// part after part.
func (s *Store) sendAgain(ctx context.Context, layer int, node, end uint64, send func(node uint64, labels []byte) error) error {
	pitch := uint64(s.pitch)
	for node < end {
		group := min(s.Group, end-node)
		err := s.Files.Each(int(group/s.Part), func(i int, buffer []byte) error {
			first := node + uint64(i)*s.Part
			return s.Files.Load(s.newest[first%s.Ring*pitch:][:s.Part*pitch], layer, first, buffer[:s.Part*porep.NodeSize], false)
		})
		for ; group > 0 && err == nil && !s.Flow.Stopped(); group -= s.Part {
			err = send(node, s.Out(node, int(s.Part)))
			node += s.Part
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil || s.Flow.Stopped() {
			return context.Cause(ctx)
		}
	}
	return nil
}
