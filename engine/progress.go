package engine

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine/internal/ring"
)

type line = ring.Line

// A Wait is what a hasher can wait for.
type Wait int

// What a hasher waits for.
const (
	WaitParents Wait = iota // producers are behind
	WaitMemory              // with StrictNUMA: pages are not there, or not verified, yet
	WaitDisk                // labels are not written, or not read back, yet
	waits
)

func (w Wait) String() string {
	return nameOf([]string{"parents", "memory", "disk"}, int(w))
}

// Waits is how long a hasher waited, by what for.
type Waits [3]time.Duration

// Shares are parts of a time, 0 to 1, by what a hasher waited for.
type Shares [3]float64

var _ [waits]time.Duration = Waits{} // as many as there are

// Total is all of it.
func (w Waits) Total() (sum time.Duration) {
	for _, d := range w {
		sum += d
	}
	return sum
}

// Progress is where a job stands. The job writes it, anybody may read it.
type Progress struct {
	total   atomic.Uint64
	hashers atomic.Pointer[[]*hasherCounters]
	slowed  atomic.Pointer[error]
	unbound atomic.Pointer[error]
	pauses  pauses

	rechecked   atomic.Uint64
	recheckTime atomic.Int64
}

// Rechecked is what was recomputed of labels while they were made: see Config.Bare.
type Rechecked struct {
	Labels uint64
	CPU    time.Duration // time of a CPU that it took; at most 0.5 % of the job's
}

// Rechecked is how many labels were recomputed while they were made, and what that took.
func (p *Progress) Rechecked() Rechecked {
	return Rechecked{p.rechecked.Load(), time.Duration(p.recheckTime.Load())}
}

// Slowed is why a job is slower than it could be, though right, if it is: in OneLayer mode
// a scratch file failed, and far parents are read from the layers' files instead, as
// many times as there are segments. It is nil while there is no such reason.
func (p *Progress) Slowed() error {
	if err := p.slowed.Load(); err != nil {
		return *err
	}
	return nil
}

// Unbound is why threads of a job are not bound to the CPUs of its Places, if so: the
// system does not let this process bind them, and the first error says how. They run
// wherever the system puts them. It is nil while all are bound, or need not be.
func (p *Progress) Unbound() error {
	if err := p.unbound.Load(); err != nil {
		return *err
	}
	return nil
}

// hasherCounters are one hasher's. It alone writes them.
type hasherCounters struct {
	labels  line // of sectors; empty lanes do not count
	nodes   line // with all lanes
	at      line // the node that comes next, counted through all layers of all its batches
	busy    line // nanoseconds in the kernel
	wait    [waits]line
	waiting line // what it waits for now, and since when: see startWaiting
	adding  line // odd while stopWaiting adds a wait up

	began  time.Time // what waiting counts from
	cpu    int
	kernel atomic.Pointer[string]
	// The batches, one after another, and the nodes of a layer.
	stints   []stint
	perLayer uint64
}

// A stint is a batch's part of what its hasher has to do.
type stint struct {
	sectors     []int
	first, last int    // layers
	from        uint64 // the node of the first layer that it begins with
	start, end  uint64 // the part, as hasherCounters.at counts
}

// setStints lays batches out one after another.
func (c *hasherCounters) setStints(nodes uint64, stints []stint) {
	c.perLayer, c.stints = nodes, stints
	at := uint64(0)
	for i := range stints {
		s := &stints[i]
		s.start = at
		at += uint64(s.last-s.first+1)*nodes - s.from
		s.end = at
	}
}

// startWaiting notes that the hasher waits from now on.
func (c *hasherCounters) startWaiting(what Wait) (began time.Time) {
	began = time.Now()
	c.waiting.Store(uint64(began.Sub(c.began))<<2 | uint64(what+1))
	return began
}

// stopWaiting adds up what startWaiting began.
func (c *hasherCounters) stopWaiting(what Wait, began time.Time) {
	took := uint64(time.Since(began))
	c.adding.Store(c.adding.Load() + 1)
	c.waiting.Store(0)
	c.wait[what].Store(c.wait[what].Load() + took)
	c.adding.Store(c.adding.Load() + 1)
}

// ended are the waits that are over.
func (c *hasherCounters) ended() (w Waits) {
	for i := range w {
		w[i] = time.Duration(c.wait[i].Load())
	}
	return w
}

// waits are also what has passed of the one that is not over. A wait that ends meanwhile counts
// neither twice nor not at all, unless its hasher is kept from its core in that moment for longer
// than anybody would wait for a figure.
func (c *hasherCounters) waits(now time.Time) (w Waits) {
	const tries = 1000
	for range tries {
		before := c.adding.Load()
		w = c.ended()
		if v := c.waiting.Load(); v != 0 {
			w[v&3-1] += max(0, now.Sub(c.began)-time.Duration(v>>2))
		}
		if before%2 == 0 && c.adding.Load() == before {
			break
		}
		runtime.Gosched()
	}
	return w
}

// NoCPU is the CPU of a hasher that is not bound to one.
const NoCPU = -1

// A HasherProgress is where one hasher stands.
type HasherProgress struct {
	CPU     int    // NoCPU: not bound
	Kernel  string // "" before its first batch
	Sectors []int  // of its batch, indices into Config.Sectors; nil before the first
	Layer   int    // 0 before the first
	Node    uint64 // of the layer, that comes next
	Labels  uint64 // made so far
	Nodes   uint64 // labelled so far, with all lanes of the kernel
	Left    Left
	Busy    time.Duration
	Waited  Waits
}

// Left is how many nodes are to be labelled, of layer 1 and of the others, which
// have more parents.
type Left struct{ First, Later uint64 }

// Labels returns how many labels are done and how many the job has in all.
func (p *Progress) Labels() (done, total uint64) {
	for _, h := range p.counters() {
		done += h.labels.Load()
	}
	return done, p.total.Load()
}

// Layer is the lowest layer that a hasher is at, from 1, and 0 before the first.
func (p *Progress) Layer() (layer int) {
	for i, h := range p.counters() {
		if _, l, _ := h.where(); i == 0 || l < layer {
			layer = l
		}
	}
	return layer
}

// Hashers returns where each hasher stands.
func (p *Progress) Hashers() (all []HasherProgress) {
	now := time.Now()
	for _, h := range p.counters() {
		s := HasherProgress{
			CPU:    h.cpu,
			Labels: h.labels.Load(),
			Nodes:  h.nodes.Load(),
			Busy:   time.Duration(h.busy.Load()),
			Waited: h.waits(now),
			Left:   h.left(),
		}
		if k := h.kernel.Load(); k != nil {
			s.Kernel = *k
		}
		s.Sectors, s.Layer, s.Node = h.where()
		all = append(all, s)
	}
	return all
}

// where is the batch, the layer and the node that the hasher is at.
func (c *hasherCounters) where() (sectors []int, layer int, node uint64) {
	if c.kernel.Load() == nil {
		return nil, 0, 0
	}
	at := c.at.Load()
	for i, s := range c.stints {
		if at < s.end {
			at += s.from - s.start
			return s.sectors, s.first + int(at/c.perLayer), at % c.perLayer
		}
		if i == len(c.stints)-1 {
			return s.sectors, s.last, c.perLayer
		}
	}
	return nil, 0, 0
}

// left is what comes from where the hasher is at.
func (c *hasherCounters) left() (l Left) {
	at := c.at.Load()
	for _, s := range c.stints {
		nodes := s.end - min(max(at, s.start), s.end)
		later := nodes
		if s.first == 1 {
			later = min(nodes, uint64(s.last-1)*c.perLayer)
		}
		l.First += nodes - later
		l.Later += later
	}
	return l
}

func (p *Progress) counters() []*hasherCounters {
	if all := p.hashers.Load(); all != nil {
		return *all
	}
	return nil
}
