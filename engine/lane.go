package engine

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/porep"
)

// A lane is one sector in a batch.
type lane struct {
	sector  int // index into Config.Sectors
	id      porep.ReplicaID
	first   int // the layer that it begins with
	writers []*layers.Writer
	before  *os.File // layer first−1, if any

	dead atomic.Bool
	mu   sync.Mutex
	err  error
}

// open starts the lane's files.
func (l *lane) open(s Sector, p porep.SealProof, last int) (err error) {
	l.id, l.first = s.ReplicaID, s.First
	if l.first > 1 {
		if l.before, err = os.Open(layers.Path(s.CacheDir, l.first-1)); err != nil {
			return fmt.Errorf("opening layer %d: %w", l.first-1, err)
		}
	}
	l.writers, err = layers.Create(s.CacheDir, l.first, last, p.SectorSize())
	return err
}

func (l *lane) close() {
	layers.Close(l.writers)
	if l.before != nil {
		l.before.Close()
	}
}

// writer is the file of a layer; nil if the lane does not make that layer, or not
// any more.
func (l *lane) writer(layer int) *layers.Writer {
	if layer < l.first || l.dead.Load() {
		return nil
	}
	return l.writers[layer-l.first]
}

// read reads labels of a layer, by the way that they were written, from a node on.
// False means that the lane has no such layer.
func (l *lane) read(way durable.Way, layer int, labels []byte, node uint64) (bool, error) {
	off := int64(node) * porep.NodeSize
	if l.dead.Load() || layer < l.first-1 || layer < 1 {
		return false, nil
	}
	if layer == l.first-1 {
		return true, durable.ReadFull(nil, l.before, labels, off)
	}
	return true, l.writers[layer-l.first].Read(way, labels, off)
}

// fail ends the lane: the others go on, and its labels go nowhere. What it had
// finished before stays.
func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.dead.Store(true)
	}
}

func (l *lane) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
