package engine

import (
	"cmp"

	"github.com/sdr-engine/sdr/engine/internal/forward"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

// MemoryWay is how Budget mode gets parents that are not in memory.
type MemoryWay int

// The ways. N is the sector's size.
const (
	// AutoWay: what Config.MemoryWay says of its default.
	AutoWay MemoryWay = iota
	// Forward: each label goes, when it is made, to a file without a name in one of a batch's cache
	// dirs, for those segments of nodes whose parent it is, and what a segment reads is read back a
	// segment ahead. That file takes about 10 N for each of a batch's lanes, and its room is taken
	// before work begins.
	Forward
	// Passes: for each segment, a segment ahead, the file of the layer before is read past its
	// parents, and what is there of its own layer's. Nothing is written but layers.
	Passes
)

var memoryWayNames = []string{"auto", "forward", "passes"}

func (w MemoryWay) String() string { return nameOf(memoryWayNames, int(w)) }

// ParseMemoryWay reads a way by its name.
func ParseMemoryWay(name string) (MemoryWay, error) {
	i, err := indexOf("way of budget mode", memoryWayNames, name)
	return MemoryWay(i), err
}

// A Feed is how Budget mode gets the parents that are not in memory, and what that asks of the disk
// besides layers' files: of each sector, in layers that are neither the first nor the last, which ask
// for less.
type Feed struct {
	Way      MemoryWay
	Segments int     // of a layer
	Nodes    uint64  // in a segment; the last may be shorter
	Read     float64 // bytes read for each label
	Written  float64 // bytes written to scratch files for each label
	Scratch  uint64  // bytes of scratch files
}

// Feed is what Budget mode asks of the disk; false if one layer or two are in memory.
func (r *Resolved) Feed() (f Feed, ok bool) {
	shape := r.shape.forward
	if shape == nil {
		return f, false
	}
	k := r.split[0][0].kernel
	f = Feed{Way: Forward, Segments: shape.Segments, Nodes: shape.Segment}
	if shape.Passes() {
		f.Way = Passes
	}
	f.Read, f.Written = shape.Traffic(k.Pitch())
	f.Scratch = uint64(shape.ScratchBytes(k.Pitch()))/uint64(k.Lanes) + uint64(shape.IndexFileBytes())
	return f, true
}

// Feed is Resolved.Feed.
func (c *Config) Feed() (Feed, bool) { return c.unchecked().Feed() }

// takes is the time for a label of what a Feed asks of the disk: in seconds, or as if it gave a byte a
// second.
func (c *Config) takes(f Feed) float64 {
	read, write := cmp.Or(c.DiskRead, c.DiskWrite, 1), cmp.Or(c.DiskWrite, c.DiskRead, 1)
	return f.Read/float64(read) + f.Written/float64(write)
}

// ways are those that may be taken.
func (c *Config) ways() []MemoryWay {
	switch {
	case c.MemoryWay != AutoWay:
		return []MemoryWay{c.MemoryWay}
	case !c.knowsUses():
		return []MemoryWay{Passes}
	}
	return []MemoryWay{Forward, Passes}
}

// knowsUses reports whether parents come from a source as Forward must have it.
func (c *Config) knowsUses() bool {
	_, knows := c.Parents.(usesSource)
	return knows || c.Parents == nil
}

// cutLayers finds by which way Budget mode goes, and how it cuts layers: as the budget allows, or
// as small as can be.
func (r *Resolved) cutLayers() {
	if h := r.hooks.Cut; h != (memorymode.Cut{}) {
		r.shape = r.cut(h)
		return
	}
	var best shape
	var least float64
	way := AutoWay
	for _, w := range r.c.ways() {
		if !r.search(w, r.c.Budget) {
			continue
		}
		f, _ := r.Feed()
		if takes := r.c.takes(f); way == AutoWay || takes < least {
			way, best, least = w, r.shape, takes
		}
	}
	if way != AutoWay {
		r.shape, r.c.MemoryWay = best, way
		return
	}
	smallest := uint64(0)
	for _, w := range r.c.ways() {
		if memory, ok := r.smallest(w); ok && (smallest == 0 || memory < smallest) {
			way, best, smallest = w, r.shape, memory
		}
	}
	if smallest == 0 { // of a Config that is not valid
		best = shapeOf(&r.c, nil)
	}
	r.shape, r.c.MemoryWay = best, way
}

// cut is the shape of a Cut.
func (r *Resolved) cut(c memorymode.Cut) shape {
	nodes := r.c.Proof.SectorSize().Nodes()
	uses := porep.ExpDegree
	if r.c.Proof.APIVersion() == porep.APIv1_0 {
		uses = int(max(1, nodes*porep.ExpDegree>>32)) * porep.ExpDegree
	}
	return shapeOf(&r.c, forward.ShapeOf(nodes, c, int(r.span()), uses))
}

// span is the most nodes that a stride in Budget mode has.
func (r *Resolved) span() uint64 {
	span := uint64(1)
	for span*2 <= uint64(max(1, r.c.Stride)) && span*256 <= r.c.Proof.SectorSize().Nodes() {
		span *= 2
	}
	return span
}

// search finds how layers are cut that the job takes no more than so much memory; false if they cannot
// be.
func (r *Resolved) search(way MemoryWay, memory uint64) bool {
	var pitches, widest uint64
	for _, batches := range r.split {
		var most uint64
		for _, b := range batches {
			most = max(most, uint64(b.kernel.Pitch()))
		}
		pitches, widest = pitches+most, max(widest, most)
	}
	find := memorymode.Search
	if way == Passes {
		find = memorymode.SearchPasses
	}
	shape := shape{nodes: r.c.Proof.SectorSize().Nodes()}
	cut, ok := find(shape.nodes, r.span(), shape.hashed(), pitches, memory, func(c memorymode.Cut) bool {
		r.shape = r.cut(c)
		return r.shape.forward.Fits(int(widest)) && totalOf(r.requirements()) <= memory
	})
	if ok {
		r.shape = r.cut(cut)
	}
	return ok
}

// mostMemory is more than any job takes.
const mostMemory = 1 << 50

// smallest cuts layers so that the job takes hardly more than it must; false if nothing would do.
func (r *Resolved) smallest(way MemoryWay) (memory uint64, ok bool) {
	low, high := r.c.Budget, max(1<<20, r.c.Budget)
	for !r.search(way, high) {
		if low, high = high, 2*high; high > mostMemory {
			return 0, false
		}
	}
	for high-low > high/256 {
		if middle := low + (high-low)/2; r.search(way, middle) {
			high = middle
		} else {
			low = middle
		}
	}
	r.search(way, high)
	return totalOf(r.requirements()), true
}

// findRoom takes Passes instead of Forward where there is no room for the scratch file, and all else
// has room.
func (r *Resolved) findRoom() {
	hasRoom := func(r *Resolved) bool { return checkSpace(append(r.files(), r.c.Others...)) == nil }
	if r.shape.forward == nil || r.shape.forward.Passes() || hasRoom(r) {
		return
	}
	other := *r
	other.c.MemoryWay, other.c.Budget = Passes, r.memory() // no more than a plan counts on
	other.layOut()
	if other.memory() <= other.c.Budget && hasRoom(&other) {
		other.c.Budget = r.c.Budget
		*r = other
	}
}
