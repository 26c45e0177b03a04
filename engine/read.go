package engine

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// Reading labels back from layer files.
const (
	readers   = 4       // goroutines
	readPart  = 1 << 20 // bytes of one lane, at a time
	readNodes = readPart / porep.NodeSize
)

// A reading gets labels back from a batch's layer files. There is one set of buffers: the
// gatherer's, but that the hasher reads where lanes begin, when there is no gatherer, or it
// has nothing to read.
type reading struct {
	lanes   []*lane
	first   int // layer of the batch
	kernel  *sha256.Kernel
	way     durable.Way
	buffers [readers][]byte // of readBytes; or nil: made when needed
	flow    *ring.Flow
	keepOff func() (release func())
	dirOf   func(*lane) string
}

// readBytes is the memory into which each reader reads.
func readBytes(s shape) uint64 {
	part := min(readPart, s.nodes*porep.NodeSize)
	if s.forward != nil {
		part = s.forward.Read * porep.NodeSize
	}
	return roundup.To(part, linux.DirectAlign)
}

// Each calls do for parts 0 to n−1, from several goroutines with a buffer each, until one
// fails or the batch is stopped.
func (r *reading) Each(n int, do func(part int, buffer []byte) error) (err error) {
	var next atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	failed := func(e error) {
		once.Do(func() { err = e })
		next.Store(int64(n))
	}
	for i := range min(readers, n) {
		failure.Go(&wg, failed, func() {
			defer r.keepOff()()
			buffer := r.buffers[i]
			if buffer == nil {
				buffer = make([]byte, readPart)
			}
			for !r.flow.Stopped() {
				part := int(next.Add(1)) - 1
				if part >= n {
					return
				}
				if e := do(part, buffer); e != nil {
					failed(e)
				}
			}
		})
	}
	wg.Wait()
	return err
}

// Read reads labels of a layer in one lane, from a node on. If that fails, the lane does.
// False means that they are not there.
func (r *reading) Read(i, layer int, labels []byte, node uint64) bool {
	ok, err := r.lanes[i].read(r.way, layer, labels, node)
	if err != nil {
		r.lanes[i].fail(fmt.Errorf("reading layer %d back: %w", layer, err))
		return false
	}
	return ok
}

// Load puts labels of a layer where they belong in nodes, in all lanes, or only in those
// that begin with the next layer. Labels has room for one lane's.
func (r *reading) Load(nodes []byte, layer int, first uint64, labels []byte, onlyJoining bool) error {
	for i, l := range r.lanes {
		if onlyJoining && l.first != layer+1 || l.has(layer, r.first) || !r.Read(i, layer, labels, first) {
			continue
		}
		if err := r.kernel.Pack(nodes, labels, i); err != nil {
			return err
		}
	}
	return nil
}

// Lanes is how many lanes there are.
func (r *reading) Lanes() int { return len(r.lanes) }

// Joins reports whether a lane begins with a layer that is not the batch's first.
func (r *reading) Joins(layer int) bool {
	return slices.ContainsFunc(r.lanes, func(l *lane) bool { return l.before != nil && l.first == layer && !l.dead.Load() })
}

// Dirs are the cache dirs of lanes that have not failed.
func (r *reading) Dirs() (dirs []string) {
	for _, l := range r.lanes {
		if !l.dead.Load() {
			dirs = append(dirs, r.dirOf(l))
		}
	}
	return dirs
}

// loadWhole fills the memory for a layer in those lanes that begin with the next one.
func (r *reading) loadWhole(memory []byte, layer int, nodes uint64) error {
	pitch := uint64(r.kernel.Pitch())
	return r.Each(int(roundup.Div(nodes, readNodes)), func(part int, buffer []byte) error {
		first := uint64(part) * readNodes
		labels := buffer[:min(readNodes, nodes-first)*porep.NodeSize]
		return r.Load(memory[first*pitch:][:uint64(len(labels)/porep.NodeSize)*pitch], layer, first, labels, true)
	})
}
