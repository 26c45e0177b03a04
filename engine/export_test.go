package engine

import (
	"bytes"
	"context"
	"time"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

// Hooks are what tests see, and change, of a job.
type Hooks = hooks

// Run is Run of c with the hooks.
func (h *hooks) Run(ctx context.Context, c Config) (Result, error) {
	r, err := c.resolve(true, *h)
	if err != nil {
		return Result{}, err
	}
	return r.Run(ctx)
}

// Measure is Measure of c with the hooks.
func (h *hooks) Measure(ctx context.Context, c Config, window time.Duration) (Measurement, error) {
	r, err := c.resolve(true, *h)
	if err != nil {
		return Measurement{}, err
	}
	return r.Measure(ctx, window)
}

// SegmentsKept and Segments are OneLayer mode's.
const (
	SegmentsKept = memorymode.SegmentsKept
	Segments     = memorymode.Segments
)

// RecheckPause is how long nobody looks at labels after a look.
var RecheckPause = recheckPause

// VerifySampleUntil is VerifySample until ctx is done.
var VerifySampleUntil = verifySample

// ParentsTaken is how many bytes a job takes for parents: rows, rings, and what hashers
// share once all of a layer's spans have been through it. Scratch memory is not counted.
func ParentsTaken(c Config) (n uint64) {
	j, err := newJob(c.unchecked())
	if err != nil {
		return 0
	}
	seen := map[*sharedParents]bool{}
	for h, p := range j.parents {
		b := j.newPipeline(h, j.split[h][0], &regions{})
		n += uint64(b.rows.Len())*porep.Degree*8 + uint64(b.ring.Slots())*128
		if seen[p] {
			continue
		}
		seen[p] = true
		s := j.shape
		dst := make([]uint32, s.stride*porep.Degree)
		for span := range s.spansInLayer() {
			first := span * uint64(s.stride)
			if p.get(dst[:min(uint64(s.stride), s.nodes-first)*porep.Degree], first, true) != nil {
				return 0
			}
		}
		n += uint64(len(p.entries)) * uint64(unsafe.Sizeof(sharedSpan{}))
		for i := range p.entries {
			n += uint64(cap(p.entries[i].parents)) * 4
		}
	}
	return n
}

// LabelsStaged reports whether a producer copies labels of a span's parents, in layer 2 of 2 KiB, with
// 64 slots of a node each, when the hasher is done with so many spans.
func LabelsStaged(span, released uint64, source ParentSource) (bool, error) {
	c := Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: make([]Sector, 1), Parents: source, Staging: Producers, Stride: 1, Lookahead: 64}
	j, err := newJob(c.unchecked())
	if err != nil {
		return false, err
	}
	b := j.newPipeline(0, j.split[0][0], &regions{})
	s := j.shape
	pitch := b.kernel.Pitch()
	b.store = &store{shape: s, kernel: b.kernel, first: 2}
	b.store.cutLayers(bytes.Repeat([]byte{1}, 2*int(s.nodes)*pitch))
	b.flow.Before.Store(0)
	b.staged = make([]byte, s.slots*porep.Degree*pitch)
	for i := range released {
		b.ring.Release(i)
	}
	parents := make([]uint32, porep.Degree)
	if err := source.Parents(parents, span); err != nil {
		return false, err
	}
	err = b.stage(make([]int32, porep.Degree), span, 0, span, parents)
	return bytes.Contains(b.staged, []byte{1}), err
}

// Noise is by how much, as a share, measured cycles do not count against the typical choice.
const Noise = noise

// TypicalCycles are those of a kernel.
func TypicalCycles(kernel string) float64 { return typicalCycles[kernel] }

// Shortest is what TimeKernels makes of passes.
func Shortest(passes map[string]func() time.Duration) map[string]float64 { return shortest(passes) }

// ThreadClock is what TimeKernels times them by.
func ThreadClock() func() time.Duration { return threadClock() }

// MostPasses is how often it times each kernel at most.
const MostPasses = mostPasses

// CyclesPerNode is Split.Cycles of c itself.
func (c *Config) CyclesPerNode() float64 {
	d := c.WithDefaults()
	return d.Split(d.Hashers, len(d.Sectors)).Cycles
}

// Kernels are the names of the kernels that the sectors are split over, batch by batch.
func Kernels(c Config) (names []string) {
	c.settle().eachBatch(func(b batch) { names = append(names, b.kernel.Name) })
	return names
}

// GivesBack is how much room there is again without a file.
func GivesBack(path string) uint64 { return givesBack(path) }

// SampleAt is what Measure makes of a hasher that is at these nodes, one look after another,
// and then has ended.
func SampleAt(nodes []uint64, window time.Duration) (m HasherMeasurement) {
	hashed := make(chan struct{})
	m.sample(hashed, func() (n uint64) {
		if n = nodes[0]; len(nodes) == 1 {
			return n
		}
		if nodes = nodes[1:]; len(nodes) == 1 {
			close(hashed)
		}
		return n
	}, window)
	return m
}
