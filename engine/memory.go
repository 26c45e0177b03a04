package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// A Requirement is the memory that a hasher takes, in bytes.
type Requirement struct {
	Layers  uint64 // labels of layers, of the largest of its batches
	Rings   uint64 // labels staged
	Buffers uint64 // labels on their way to files, and back
	// Far is far parents listed and sorted. The index of them, which hashers share,
	// counts for the first.
	Far uint64
	// Parents is what producers work out, and where it lies for the hasher. What
	// hashers with memory on one NUMA node share counts for the first of them.
	Parents uint64
}

// Total is all of it.
func (r Requirement) Total() uint64 { return r.Layers + r.Rings + r.Buffers + r.Far + r.Parents }

// requirements are those of each hasher.
func (r *Resolved) requirements() (all []Requirement) {
	c, g := &r.c, r.shape
	shared := map[int]bool{}
	for h, batches := range r.split {
		need := Requirement{Parents: parentBytes(g, c.Producers)}
		if from := r.from[h]; c.shares(from.source) && !shared[from.sharers] {
			shared[from.sharers] = true
			need.Parents += sharedBytes(g)
		}
		for _, b := range batches {
			pitch := uint64(b.kernel.Pitch())
			need.Layers = max(need.Layers, g.nodesInMemory(b.kernel.Pitch())*pitch)
			if c.Staging == Producers {
				need.Rings = max(need.Rings, uint64(g.slots*g.stride)*porep.Degree*pitch)
			}
			need.Buffers = max(need.Buffers, bufferBytes(b.kernel, g))
		}
		if g.forward != nil {
			for _, b := range batches {
				need.Far = max(need.Far, g.forward.TableBytes(b.kernel.Pitch()))
			}
			if h == 0 {
				need.Far += g.forward.IndexBytes()
			}
		}
		if g.oneLayer != nil {
			need.Far = g.oneLayer.ListBytes()
			if h == 0 {
				need.Far += g.oneLayer.IndexBytes()
			}
		}
		all = append(all, need)
	}
	return all
}

// memory is what all of them take.
func (r *Resolved) memory() uint64 { return totalOf(r.needs) }

func totalOf(needs []Requirement) (total uint64) {
	for _, need := range needs {
		total += need.Total()
	}
	return total
}

// bufferBytes is the memory of what cutBuffers yields.
func bufferBytes(k *sha256.Kernel, s shape) uint64 {
	n := writeBytes(k, s)
	if s.oneLayer != nil {
		n = roundup.To(n, linux.DirectAlign) + s.oneLayer.BufferBytes(k.Pitch()) + readers*readBytes(s)
	}
	if s.forward != nil {
		n = roundup.To(n, linux.DirectAlign) + s.forward.BufferBytes(k.Pitch()) + readers*readBytes(s)
	}
	return n
}

// writeBytes is the memory in which a batch's lanes are taken apart: none if there is
// nothing to take apart.
func writeBytes(k *sha256.Kernel, s shape) uint64 {
	if k.Lanes == 1 && k.Group == 1 {
		return 0
	}
	return writers * s.chunk(k) * uint64(k.Pitch())
}

// parentBytes is the memory in which a hasher's producers work out the parents of spans,
// and that says where they lie.
func parentBytes(s shape, producers int) uint64 {
	const parent, index, address = 4, 4, 8
	rows := uint64(s.slots*s.stride + sha256.Ahead)
	return rows*porep.Degree*address + uint64(s.slots)*uint64(ring.SlotBytes) +
		uint64(producers)*uint64(s.stride)*porep.Degree*(parent+index)
}

// regions are one hasher's memory outside the Go heap.
type regions struct {
	layers  *hugepages.Region
	ring    *hugepages.Region // nil unless labels are staged in it
	buffers *hugepages.Region // nil if none go through it

	there atomic.Bool // all of it was taken from the machine and verified
	gate  ring.Gate   // for who waits for that
}

// all are those that there are, in the order in which they are first used.
func (r *regions) all() []*hugepages.Region {
	return slices.DeleteFunc([]*hugepages.Region{r.ring, r.buffers, r.layers}, func(r *hugepages.Region) bool { return r == nil })
}

// free frees all memory of all hashers.
func free(all []*regions) (err error) {
	for _, r := range all {
		for _, region := range r.all() {
			err = errors.Join(err, region.Free())
		}
	}
	return err
}

// bufferPages keeps the kernel's pool of huge pages for layers.
var bufferPages = []hugepages.Pages{hugepages.Transparent, hugepages.Small}

// takeMemory allocates every hasher's memory, so that too little of it shows
// before any work. With an error, none is kept.
func (j *job) takeMemory(ctx context.Context) (all []*regions, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, free(all))
			all = nil
		}
	}()
	for h, need := range j.needs {
		alloc := func(size uint64, purpose hugepages.Purpose, pages []hugepages.Pages) (*hugepages.Region, error) {
			r, err := hugepages.Alloc(ctx, j.c.regionOptions(h, size, purpose, pages))
			if err != nil {
				return nil, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
			}
			return r, nil
		}
		r := &regions{}
		all = append(all, r)
		if r.layers, err = alloc(need.Layers, hugepages.Layers, j.c.Pages); err != nil {
			return all, err
		}
		if j.hooks.Taken != nil {
			j.hooks.Taken(r.layers.Bytes())
		}
		if why := r.layers.NotInFiles(); why != nil {
			why = fmt.Errorf("engine: hasher %d's layers lie in %v: %w", h, r.layers.Pages(), why)
			j.c.Progress.slowed.CompareAndSwap(nil, &why)
		}
		if why := r.layers.Locality().Err; len(j.c.MemoryNodes) > 0 && errors.As(why, new(*hugepages.BindError)) {
			why = fmt.Errorf("engine: hasher %d's memory may lie on any NUMA node: %w", h, why)
			j.c.Progress.slowed.CompareAndSwap(nil, &why)
		}
		if need.Rings > 0 {
			if r.ring, err = alloc(need.Rings, hugepages.Rings, j.c.Pages); err != nil {
				return all, err
			}
		}
		if need.Buffers > 0 {
			// A write from scattered small pages is many pieces to a disk's driver: on a
			// virtual machine, 6 % of both cores instead of 1 %.
			if r.buffers, err = alloc(need.Buffers, hugepages.Buffers, bufferPages); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// regionOptions are those of a part of hasher h's memory.
func (c *Config) regionOptions(h int, size uint64, purpose hugepages.Purpose, pages []hugepages.Pages) hugepages.Options {
	o := hugepages.Options{
		Size: size, Purpose: purpose, Pages: pages, Sample: 4096,
		HugeTLBFS: c.HugeTLBFS, Raise: c.RaisePages, Strict: c.StrictNUMA, Pool: c.Memory, Among: c.MemoryNodes,
	}
	if purpose == hugepages.Layers {
		o.Files = c.HugeFiles
	}
	if c.StrictNUMA {
		o.Sample = 0 // every page
	}
	if len(c.Places) > 0 {
		o.Binding = c.Places[h].Memory
	}
	return o
}

// A buffers is a batch's for labels on their way to files and back.
type buffers struct {
	write   [writers][]byte // nil if nothing is to be taken apart
	spill   []byte          // OneLayer
	forward []byte          // Budget
	read    [readers][]byte // OneLayer, Budget
}

// cutBuffers cuts them out of their memory, nil if they have none.
func cutBuffers(k *sha256.Kernel, s *shape, region *hugepages.Region) (all buffers) {
	var mem []byte
	if region != nil {
		mem = region.Bytes()
	}
	cut := func(n uint64) (part []byte) {
		part, mem = mem[:n:n], mem[n:]
		return part
	}
	if n := writeBytes(k, *s); n > 0 {
		for i := range all.write {
			all.write[i] = cut(n / writers)
		}
		cut(roundup.To(n, linux.DirectAlign) - n)
	}
	if s.forward != nil {
		all.forward = cut(s.forward.BufferBytes(k.Pitch()))
	}
	if s.oneLayer != nil {
		all.spill = cut(s.oneLayer.BufferBytes(k.Pitch()))
	}
	if s.oneLayer != nil || s.forward != nil {
		for i := range all.read {
			all.read[i] = cut(readBytes(*s))
		}
	}
	return all
}

func statsOf(regions []*regions) (all []MemoryStats) {
	for h, r := range regions {
		all = append(all, MemoryStats{h, uint64(len(r.layers.Bytes())), r.layers.Pages(), r.layers.Backing(), r.layers.Locality()})
	}
	return all
}
