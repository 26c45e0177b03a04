package engine

import (
	"context"
	"fmt"

	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
)

// fill readies memory and files in Budget mode.
func (p measured) fill(ctx context.Context) error {
	s, part := p.store, p.store.forward.Read
	p.files.first = s.first
	if !s.forward.Passes() {
		fillRandom(ctx, s.out(0, 0, int(s.inMemory)), seedOf(p.hasher, false))
	} else if err := p.files.Each(int(p.begin/part), func(i int, buffer []byte) error {
		labels, off := buffer[:part*porep.NodeSize], uint64(i)*part*porep.NodeSize
		for lane, l := range p.lanes {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			randomBytes(labels, p.seedOfFile(lane), off)
			if err := l.files.Layer(s.first).Write(p.files.way, labels, int64(off)); err != nil {
				return &SectorError{l.sector, p.job.c.Sectors[l.sector].CacheDir, err}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, l := range p.lanes {
		l.stands = int64(p.begin) * porep.NodeSize
	}
	if err := s.fwd.Fill(ctx, func(labels []byte, number uint64) {
		randomBytes(labels, seedOf(p.hasher, true), number*uint64(len(labels)))
	}); err != nil {
		return err
	}
	for _, l := range p.lanes {
		if err := l.failure(); err != nil {
			return err
		}
	}
	return nil
}

// seedOfFile is that of what a lane's file begins with, for Passes.
func (p measured) seedOfFile(lane int) uint64 { return 1<<15 + uint64(p.hasher)<<5 + uint64(lane) }

// labelOfSent is label in Budget mode: of parents that were not made, what was written in their place.
func (p measured) labelOfSent(lane int, id porep.ReplicaID, node, kept uint64) ([porep.NodeSize]byte, error) {
	s, pitch := p.store, uint64(p.kernel.Pitch())
	made := make([]byte, pitch)
	slot := -1
	return plain.Label(p.job.c.Proof, id, s.first, node, func(layer int, parent uint64) (label [porep.NodeSize]byte, err error) {
		slot++ // they come in order
		labels := made
		file := parent // whose place in the file its label has
		if layer != s.first {
			file %= p.begin
		}
		switch {
		case s.forward.Passes() && file < p.begin:
			randomBytes(label[:], p.seedOfFile(lane), file*porep.NodeSize)
			return label, nil
		case layer != s.first:
			randomBytes(labels, seedOf(p.hasher, true), s.fwd.Number(node, slot-porep.BaseDegree)*pitch)
		case parent < p.begin:
			randomBytes(labels, seedOf(p.hasher, false), parent%s.inMemory*pitch)
		case parent >= kept:
			labels = s.out(0, parent, 1)
		default:
			if labels, err = p.written(parent); err != nil {
				return label, err
			}
		}
		err = p.kernel.Unpack(label[:], labels, lane)
		return label, err
	})
}

// readWritten readies memory for written.
func (p *measured) readWritten() {
	if f := p.store.forward; f != nil {
		p.read = [2][]byte{make([]byte, f.Part*uint64(p.kernel.Pitch())), make([]byte, f.Part*porep.NodeSize)}
	}
}

// written is a node's labels as they are in the files, until the next call.
func (p measured) written(node uint64) ([]byte, error) {
	part, pitch := p.store.forward.Part, uint64(p.kernel.Pitch())
	labels, first := p.read[0], node-node%part
	if err := p.files.Load(labels, p.store.first, first, p.read[1], false); err != nil {
		return nil, err
	}
	for _, l := range p.lanes {
		if err := l.failure(); err != nil {
			return nil, fmt.Errorf("engine: verifying what was measured: %w", err)
		}
	}
	return labels[node%part*pitch:][:pitch], nil
}

// MeasureRoom is how many bytes of files Measure makes, in Budget mode, of a Config that need not be valid.
func (c *Config) MeasureRoom() (bytes uint64) {
	r := c.unchecked()
	half := r.shape.nodes / 2
	for h, batches := range r.split {
		b := batches[0]
		bytes += uint64(len(b.sectors)) * r.shape.nodes * porep.NodeSize
		if f := r.shape.forward; f != nil {
			bytes += uint64(f.FilledBytes(b.kernel.Pitch(), half))
			if h == 0 {
				bytes += uint64(f.IndexFileBytesFrom(half))
			}
		}
	}
	return bytes
}
