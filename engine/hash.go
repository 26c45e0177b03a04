package engine

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// hash is the hasher.
func (p *pipeline) hash() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name := fmt.Sprintf("sdr-hash-%d", p.hasher)
	defer linux.NameThread(name)()
	defer p.job.bind(p.job.hasherCPU(p.hasher), 0, name)()
	if err := p.kernel.SelfTest(); err != nil {
		return &CoreError{topology.CPU(p.counters.cpu), p.kernel.Name, err}
	}

	if p.job.c.StrictNUMA && !p.waitFor(WaitMemory, &p.regions.gate, p.regions.there.Load) {
		return nil // why is in p.err
	}
	if p.job.c.Begun != nil {
		p.job.c.Begun()
	}
	s, c := p.store, p.counters
	r := sha256.Span{ReplicaIDs: replicaIDs(p.lanes, p.kernel.Lanes)}
	chunk := s.chunk(p.kernel)
	var span uint64
	var ended time.Time
	offset := p.start - p.begin // of what counts in all from positions
	for index, node := 0, p.begin; index < p.layers; index, node = index+1, 0 {
		if p.job.drains() {
			p.drain(index)
			return nil
		}
		layer := s.first + index
		r.Layer = uint32(layer)
		if err := p.enter(index); err != nil {
			return err
		}
		lanes := labelsOf(p.lanes, layer)
		before, moved := c.ended(), trafficOf(p)
		start := time.Now()
		stats := LayerStats{Layer: layer, Nodes: s.nodes - node, Hasher: p.hasher, Kernel: p.kernel.Name, Lanes: int(lanes)}
		if !ended.IsZero() {
			stats.Pause = start.Sub(ended)
		}
		for ; node < s.nodes; span++ {
			n := int(min(uint64(s.stride), s.nodes-node))
			if !p.ready(span, index, node, n) {
				return nil // why is in p.err, or all lanes are dead
			}
			began := time.Now()
			at := s.stride * s.slotOf(span)
			rows := n
			if p.ring.IsReady(span+1) && n == s.stride {
				rows += min(sha256.Ahead, s.stride)
			}
			r.First = node
			r.Out = s.out(index, node, n)
			r.Rows = p.rows.Slice(at, at+rows)
			if err := p.kernel.LabelSpan(&r); err != nil {
				return err
			}
			if p.job.hooks.Labels != nil {
				p.job.hooks.Labels(p.hasher, layer, node, r.Out)
			}
			p.ring.Release(span)
			node += uint64(n)
			pos := s.position(index, node)
			p.flow.Labelled.Store(pos)
			c.labels.Store(c.labels.Load() + uint64(n)*lanes)
			c.nodes.Store(c.nodes.Load() + uint64(n))
			c.at.Store(offset + pos)
			c.busy.Store(c.busy.Load() + uint64(time.Since(began)))
			if wakes := s.wakes(chunk, node-1); pos/wakes != (pos-uint64(n))/wakes {
				p.flow.Made.Wake()
			}
		}
		ended = time.Now()
		stats.Hashing = ended.Sub(start)
		for i, w := range c.ended() {
			stats.Waited[i] = w - before[i]
		}
		stats.Read, stats.Written = trafficOf(p).since(moved)
		p.note(stats)
	}
	return nil
}

// drains reports whether no other layer is to be begun.
func (j *job) drains() bool {
	select {
	case <-j.c.Drain: // nil: never
		return true
	default:
		return false
	}
}

// drain ends the batch when the layers before layer index index have their names.
func (p *pipeline) drain(index int) {
	if p.flow.Wait(&p.flow.Back, func() bool { return p.committed.Load() >= int64(index) }) {
		p.fail(ErrDrained)
	}
}

// note keeps a layer's figures for each of its sectors.
func (p *pipeline) note(stats LayerStats) {
	for _, l := range p.lanes {
		if l.writer(stats.Layer) != nil {
			stats.Sector = l.sector
			p.job.results[l.sector].stats = append(p.job.results[l.sector].stats, stats)
		}
	}
}

// ready waits until a span is staged and there is room for its labels. It counts the time.
func (p *pipeline) ready(span uint64, index int, node uint64, n int) bool {
	if p.flow.Stopped() {
		return false
	}
	s := p.store
	if !p.ring.IsReady(span) {
		began := p.counters.startWaiting(WaitParents)
		ok := p.ring.Ready(span)
		p.counters.stopWaiting(WaitParents, began)
		if !ok {
			return false
		}
	}
	// The labels that lie there now must be in their files.
	if end := s.position(index, node) + uint64(n); end > s.inMemory {
		if !p.waitFor(WaitDisk, &p.flow.Back, func() bool { return p.flow.Written.Load() >= end-s.inMemory }) {
			return false
		}
	}
	if s.fwd != nil {
		pos := s.position(index, node)
		return p.waitFor(WaitDisk, &p.flow.Back, func() bool { return s.fwd.Ready(pos, pos+uint64(n)) })
	}
	if s.one != nil && (node%s.oneLayer.Segment == 0 || s.position(index, node) == p.begin) {
		// Far parents among those that the whole segment is written over must be spilled,
		// and its own far parents be there.
		pos := s.position(index, node)
		return p.waitFor(WaitDisk, &p.flow.Back, func() bool { return s.one.Ready(pos) })
	}
	return true
}

// waitFor parks the hasher at a gate until done; false means that the batch was stopped. It
// counts the time.
func (p *pipeline) waitFor(what Wait, g *ring.Gate, done func() bool) bool {
	if done() {
		return true
	}
	began := p.counters.startWaiting(what)
	defer p.counters.stopWaiting(what, began)
	return p.flow.Wait(g, done)
}

// enter readies the layer before for layer index index.
func (p *pipeline) enter(index int) error {
	s := p.store
	began := p.counters.startWaiting(WaitDisk)
	defer p.counters.stopWaiting(WaitDisk, began)
	if index > 0 && s.one != nil {
		if p.flow.Wait(&p.flow.Back, func() bool { return p.flow.Before.Load() >= int64(index) }) {
			p.forget(index - 1)
		}
		return nil
	}
	if p.flow.Before.Load() >= int64(index) || s.fwd != nil {
		return nil // restore has done it, or it is sent on
	}
	if slices.ContainsFunc(p.lanes, func(l *lane) bool { return l.before != nil && l.first == s.first+index }) {
		if err := p.files.loadWhole(s.before(index), s.first+index-1, s.nodes); err != nil {
			return err
		}
	}
	p.flow.Before.Store(int64(index))
	return nil
}
