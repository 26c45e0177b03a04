package engine

import "github.com/sdr-engine/sdr/porep"

// A traffic is what a batch has read from files, and written, in bytes.
type traffic struct {
	read    uint64 // of parents' labels, for so many nodes
	nodes   uint64
	listed  uint64 // of lists of whose parents labels are
	scratch uint64 // written
	layers  uint64 // likewise
}

// trafficOf is what went from and to files so far; nothing if whole layers are in memory.
func trafficOf(p *pipeline) (t traffic) {
	if p.store.fwd == nil {
		return t
	}
	t.read, t.nodes, t.listed, t.scratch = p.store.fwd.Traffic()
	t.layers = p.flow.Written.Load() * porep.NodeSize * uint64(len(p.lanes))
	return t
}

// since are all bytes that were read and written since an earlier moment.
func (t traffic) since(before traffic) (read, written uint64) {
	return t.read - before.read + t.listed - before.listed, t.scratch - before.scratch + t.layers - before.layers
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
