package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A Resolved is a Config that is valid, and what follows from it, worked out once: its
// defaults, which hasher labels which sectors with which kernels, the sizes of rings and
// segments, the memory that each hasher takes, and where each has its parents from.
//
// It does not change. What its Config points to, Progress, Memory and sources of parents,
// is still the caller's.
type Resolved struct {
	c     Config      // with defaults written out
	split [][]batch   // by hasher: its batches, one after another
	from  []parentsOf // by hasher
	shape shape
	needs []Requirement // by hasher
	last  int           // the last layer to label
	hooks hooks
}

// hooks are what tests see, and change, of a job.
type hooks struct {
	// Layers, if not 0, gives a small sector as many layers as a large one.
	Layers int
	// Stage is called by a producer before it stages a span.
	Stage func(hasher int, span uint64)
	// Taken is called with the memory of each hasher's layers, before anything uses it.
	Taken func(layers []byte)
	// Memory is called before a hasher's memory is taken from the machine.
	Memory func(hasher int)
	// Look is called in place of the pause before each look at labels while they are made, with
	// the position below which they are written, and reports whether there is to be one.
	Look func(written uint64) bool
	// Labels is called with labels as a hasher has made them, before anybody reads them.
	Labels func(hasher, layer int, first uint64, labels []byte)
	// Cut, if not none, is how layers are cut, in Budget mode whatever the budget; by Passes if it has
	// no blocks.
	Cut memorymode.Cut
	// Spill is onelayer.Surroundings' Fails.
	Spill func(operation string, segment uint64) error
}

// A parentsOf is where a hasher has its parents from, and a number that is the same for
// those that share them: its memory's NUMA node.
type parentsOf struct {
	sharers int
	source  ParentSource // nil: they are computed
}

// Resolve works out what follows from c, or reports every problem of c at once, each a
// *ConfigError or an error of the package that the value belongs to. It looks at the
// sectors' cache dirs, and at nothing else of the machine: CheckMachine does.
func (c Config) Resolve() (*Resolved, error) { return c.resolve(true, hooks{}) }

// CheckSettings reports every problem of c's settings as Resolve does, for so many sectors
// whose cache dirs nobody knows yet. It does not look at Sectors.
func (c Config) CheckSettings(sectors int) error {
	if err := checkNumber(sectors); sectors > MaxSectors {
		return err
	}
	c.Sectors = make([]Sector, max(0, sectors))
	_, err := c.resolve(false, hooks{})
	return err
}

// Validate is Resolve for its errors.
func (c *Config) Validate() error {
	_, err := c.Resolve()
	return err
}

// Config is the Config with every default written out.
func (r *Resolved) Config() Config { return r.c.clone() }

// WithReplicaIDs is r with other replica ids, one for each of its sectors. It takes a while
// to make them, and nothing else need be resolved and checked again for that.
func (r *Resolved) WithReplicaIDs(ids []porep.ReplicaID) (*Resolved, error) {
	if len(ids) != len(r.c.Sectors) {
		return nil, &ConfigError{"replica ids", words.Count(len(ids), "replica id") + " for " + words.Count(len(r.c.Sectors), "sector")}
	}
	other := *r
	other.c.Sectors = slices.Clone(r.c.Sectors)
	for i := range other.c.Sectors {
		other.c.Sectors[i].ReplicaID = ids[i]
	}
	return &other, nil
}

// Requirements is the memory that each hasher of the job takes.
func (r *Resolved) Requirements() []Requirement { return slices.Clone(r.needs) }

// The following are what a Resolved says, of a Config that need not be valid: of one whose
// sectors have no cache dirs yet, for example.

// WithDefaults is c with every default of a number written out.
func (c Config) WithDefaults() Config { return c.settle().c }

// Requirements is Resolved.Requirements.
func (c *Config) Requirements() []Requirement { return c.unchecked().needs }

// CheckMachine is Validate, and Resolved.CheckMachine if that finds nothing.
func (c *Config) CheckMachine(others ...File) error {
	r, err := c.Resolve()
	if err != nil {
		return err
	}
	return r.CheckMachine(others...)
}

// Run is Resolved.Run of c, if Resolve finds nothing wrong with it: otherwise
// everything is left as it was.
func Run(ctx context.Context, c Config) (Result, error) {
	r, err := c.Resolve()
	if err != nil {
		return Result{}, err
	}
	return r.Run(ctx)
}

// resolve is Resolve, or CheckSettings of c's sectors.
func (c *Config) resolve(withDirs bool, h hooks) (*Resolved, error) {
	numberErr := checkNumber(len(c.Sectors))
	if len(c.Sectors) > MaxSectors {
		return nil, errors.Join(c.checkNames(), numberErr) // all else would take its time
	}
	r := c.settle()
	if r.hooks = h; h.Layers > 0 {
		r.last = h.Layers
	}
	if h.Cut != (memorymode.Cut{}) {
		r.c.MemoryMode, r.c.MemoryWay = Budget, Forward
		if h.Cut.Block == 0 {
			r.c.MemoryWay = Passes
		}
	}
	errs := []error{c.checkNames(), numberErr, r.checkSettings(c)}
	if h.Cut.Segment > h.Cut.Ring/3 {
		errs = append(errs, fmt.Errorf("engine: cutting layers: segments of %d nodes, want a third of the ring's %d at most", h.Cut.Segment, h.Cut.Ring))
	}
	if withDirs && c.Proof.Check() == nil {
		errs = append(errs, r.checkSectors()...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.layOut()
	if err := r.checkAhead(); err != nil {
		return nil, err
	}
	if err := r.checkBudget(c); err != nil {
		return nil, err
	}
	if withDirs && c.MemoryWay == AutoWay {
		r.findRoom()
	}
	return r, nil
}

// unchecked is c resolved, be it valid or not.
func (c *Config) unchecked() *Resolved {
	r := c.settle()
	r.layOut()
	return r
}

// settle is the first half of resolving, of any Config: defaults, and who labels what.
func (c *Config) settle() *Resolved {
	if c.MemoryMode == Budget {
		for _, mode := range []MemoryMode{TwoLayers, OneLayer} {
			other := *c
			if other.MemoryMode = mode; !other.tooSmall() && !other.aheadOfSegment() && other.unchecked().memory() <= c.Budget {
				return other.settle()
			}
		}
	}
	r := &Resolved{c: c.clone(), last: c.Layers}
	if r.last == 0 {
		r.last = c.Proof.Layers()
	}
	d := &r.c
	for i := range d.Sectors {
		d.Sectors[i].First = max(d.Sectors[i].First, 1)
	}
	if d.Hashers == 0 {
		if d.Hashers = len(d.Places); d.Hashers == 0 {
			d.Hashers = max(1, min(len(d.Sectors), workers.Most()))
		}
	}
	r.split = d.split()
	if d.Stride == 0 {
		d.Stride = defaultStride
	}
	if d.Producers == 0 {
		d.Producers = 1
		for _, p := range d.Places {
			d.Producers = max(d.Producers, len(p.Producers))
		}
	}
	if d.HashersPerProducer == 0 {
		d.HashersPerProducer = 1
	}
	if d.Staging == AutoStaging {
		d.Staging = r.autoStaging()
	}
	if d.Lookahead == 0 {
		d.Lookahead = max(r.autoLookahead(), d.Stride)
	}
	if d.VerifySample == 0 {
		d.VerifySample = defaultVerifySample
	}
	if d.Progress == nil {
		d.Progress = new(Progress)
	}
	return r
}

// layOut is the other half, of settings that are right: sizes and memory.
func (r *Resolved) layOut() {
	r.from = nil
	for h := range r.split {
		r.from = append(r.from, r.c.parentsOf(h))
	}
	if r.c.MemoryMode == Budget {
		r.cutLayers()
	} else {
		r.shape = shapeOf(&r.c, nil)
	}
	r.needs = r.requirements()
}

// clone is c with slices and maps of its own.
func (c *Config) clone() Config {
	d := *c
	d.Sectors, d.Places, d.Pages = slices.Clone(c.Sectors), slices.Clone(c.Places), slices.Clone(c.Pages)
	d.Cycles, d.NUMAParents = maps.Clone(c.Cycles), maps.Clone(c.NUMAParents)
	for i := range d.Places {
		d.Places[i].Producers = slices.Clone(d.Places[i].Producers)
	}
	return d
}

// autoStaging is Producers where a CPU is left for them. A layer is larger than any
// TLB, and a hasher that reads from a ring instead loses 5 % less, one of two lanes
// 10 %, of four or more 15 to 20 %. How it is with AVX-512, which is through with 16
// lanes twice as fast, is not known: a ring with their labels fills a 32 MiB cache.
func (r *Resolved) autoStaging() Staging {
	if r.c.Hashers < 1 || r.c.Hashers >= runtime.NumCPU() {
		return Inline
	}
	if r.c.MemoryMode != TwoLayers {
		return Hybrid // the others' work leaves no time for copies
	}
	if r.anyKernel(func(k *sha256.Kernel) bool { return k.Group > 1 }) {
		return Hybrid
	}
	return Producers
}

func (r *Resolved) autoLookahead() int {
	switch {
	case r.c.Staging == Inline || r.c.MemoryMode != TwoLayers:
		return sharedLookahead
	case r.c.Staging == Hybrid || r.anyKernel(func(k *sha256.Kernel) bool { return k.Lanes > 1 }):
		return defaultLookahead
	}
	return oneLaneLookahead
}

// Threads is for how many goroutines a program should make room, by GOMAXPROCS, beside its machine's CPUs.
// Hashers never leave their threads. Where others read what they want from files, these count as well: they may
// all have something to do at a time, and a hasher whose turn the runtime ends, as it does every 10 ms, would wait
// for one of them to be through, its core idle.
func (c *Config) Threads() int {
	each := 1
	if c.MemoryMode != TwoLayers {
		each += max(1, c.Producers) + helpers
	}
	return max(1, c.Hashers) * each
}

// anyKernel reports whether one of those that the sectors are split over is such.
func (r *Resolved) anyKernel(is func(*sha256.Kernel) bool) (found bool) {
	r.eachBatch(func(b batch) { found = found || is(b.kernel) })
	return found
}

func (r *Resolved) eachBatch(visit func(batch)) {
	for _, batches := range r.split {
		for _, b := range batches {
			visit(b)
		}
	}
}

// parentsOf is where hasher h has its parents from.
func (c *Config) parentsOf(h int) parentsOf {
	if h < len(c.Places) {
		if n, ok := c.Places[h].Memory.Number(); ok {
			if copied, ok := c.NUMAParents[topology.NUMANodeID(n)]; ok {
				return parentsOf{n, copied}
			}
			return parentsOf{n, c.Parents}
		}
	}
	return parentsOf{-1, c.Parents}
}
