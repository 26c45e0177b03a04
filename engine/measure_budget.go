package engine

import (
	"fmt"

	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
)

// labelOfSent is label in Budget mode: of parents that were not made, what was written in their place.
func (p measured) labelOfSent(lane int, id porep.ReplicaID, node, kept uint64) ([porep.NodeSize]byte, error) {
	s, pitch := p.store, uint64(p.kernel.Pitch())
	made := make([]byte, pitch)
	slot := -1
	return plain.Label(p.job.c.Proof, id, s.first, node, func(layer int, parent uint64) (label [porep.NodeSize]byte, err error) {
		slot++ // they come in order
		labels := made
		switch {
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

// written is a node's labels as they are in the files.
func (p measured) written(node uint64) ([]byte, error) {
	part, pitch := p.store.forward.Part, uint64(p.kernel.Pitch())
	labels, first := make([]byte, part*pitch), node-node%part
	if err := p.files.Load(labels, p.store.first, first, make([]byte, part*porep.NodeSize), false); err != nil {
		return nil, err
	}
	for _, l := range p.lanes {
		if err := l.failure(); err != nil {
			return nil, fmt.Errorf("engine: verifying what was measured: %w", err)
		}
	}
	return labels[node%part*pitch:][:pitch], nil
}

// A traffic is what a batch has read from files, and written, in bytes.
type traffic struct {
	read    uint64 // of parents' labels, for so many nodes
	nodes   uint64
	listed  uint64 // of lists of whose parents labels are
	scratch uint64 // written
	layers  uint64 // likewise
}

// traffic is what went from and to files so far; nothing if whole layers are in memory.
func (p *pipeline) traffic() (t traffic) {
	if p.store.fwd == nil {
		return t
	}
	t.read, t.nodes, t.listed, t.scratch = p.store.fwd.Traffic()
	t.layers = p.flow.Written.Load() * porep.NodeSize * uint64(len(p.lanes))
	return t
}

// perNode are bytes read and written for each node since an earlier moment, when so many were labelled.
// What is read for segments of nodes is that of all of them so far.
func (t traffic) perNode(before traffic, labelled uint64) (read, written float64) {
	if t.nodes == 0 || labelled == 0 {
		return 0, 0
	}
	n := float64(labelled)
	read = float64(t.read)/float64(t.nodes) + float64(t.listed-before.listed)/n
	return read, float64(t.scratch-before.scratch+t.layers-before.layers) / n
}
