package engine

import (
	"sync/atomic"
	"time"
)

// A line is a counter on cache lines of its own: one goroutine writes it, others
// read it.
type line struct {
	atomic.Uint64
	_ [120]byte
}

// A Wait is what a hasher can wait for.
type Wait int

// What a hasher waits for.
const (
	WaitParents Wait = iota // producers are behind
	WaitMemory              // pages are not there yet
	WaitDisk                // labels are not written, or not read back, yet
	waits
)

func (w Wait) String() string {
	return nameOf([]string{"parents", "memory", "disk"}, int(w))
}

// Waits is how long a hasher waited, by what for.
type Waits [waits]time.Duration

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
}

// hasherCounters are one hasher's. It alone writes them.
type hasherCounters struct {
	labels line // of sectors; empty lanes do not count
	layer  line
	nodes  line // with all lanes
	busy   line // nanoseconds in the kernel
	wait   [waits]line
	cpu    int
	kernel atomic.Pointer[string]
}

func (c *hasherCounters) waits() (w Waits) {
	for i := range w {
		w[i] = time.Duration(c.wait[i].Load())
	}
	return w
}

// NoCPU is the CPU of a hasher that is not bound to one.
const NoCPU = -1

// A HasherProgress is where one hasher stands.
type HasherProgress struct {
	CPU    int    // NoCPU: not bound
	Kernel string // "" before its first batch
	Layer  int    // 0 before the first
	Labels uint64 // made so far
	Nodes  uint64 // labelled so far, with all lanes of the kernel
	Busy   time.Duration
	Waited Waits
}

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
		if l := int(h.layer.Load()); i == 0 || l < layer {
			layer = l
		}
	}
	return layer
}

// Hashers returns where each hasher stands.
func (p *Progress) Hashers() (all []HasherProgress) {
	for _, h := range p.counters() {
		s := HasherProgress{
			CPU:    h.cpu,
			Layer:  int(h.layer.Load()),
			Labels: h.labels.Load(),
			Nodes:  h.nodes.Load(),
			Busy:   time.Duration(h.busy.Load()),
			Waited: h.waits(),
		}
		if k := h.kernel.Load(); k != nil {
			s.Kernel = *k
		}
		all = append(all, s)
	}
	return all
}

func (p *Progress) counters() []*hasherCounters {
	if all := p.hashers.Load(); all != nil {
		return *all
	}
	return nil
}
