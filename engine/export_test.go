package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/sdr-engine/sdr/porep"
)

// SetHook has producers call f before they stage a run.
func SetHook(c *Config, f func(hasher int, run uint64)) { c.hook = f }

// SetMemoryHook has f called before a hasher's memory is taken from the machine.
func SetMemoryHook(c *Config, f func(hasher int)) { c.memoryHook = f }

// SetSpillHook has f called before an operation on the file for far parents, with the
// window, and its error be the operation's.
func SetSpillHook(c *Config, f func(operation string, window uint64) error) { c.spillHook = f }

// WindowsKept and Windows are OneLayer mode's.
const (
	WindowsKept = kept
	Windows     = windows
)

// FarSections are the index's sections, by the children's window, then the parents'.
func FarSections(ctx context.Context, c Config) (all [windows][windows][]uint32, err error) {
	j, err := newJob(c.unchecked())
	if err != nil {
		return all, err
	}
	defer j.startIndex(ctx)()
	j.index.gate.Wait(1, j.index.ready.Load)
	if j.index.err != nil {
		return all, j.index.err
	}
	for child := range all {
		for from := range all[child] {
			section := &j.index.sections[child][from]
			for chunk := range section.chunks {
				nodes, err := j.index.read(make([]uint32, farChunk), section, chunk)
				if err != nil {
					return all, err
				}
				all[child][from] = append(all[child][from], nodes...)
			}
		}
	}
	return all, nil
}

// SpillRoundTrip spills, for the first batch of a job, labels that say whose they are,
// and returns those that are read back for a window of children, by the far parent that
// they are of, in order of child, then slot.
func SpillRoundTrip(ctx context.Context, c Config, label func(node uint64, label []byte), got func(child int, labels []byte, stride int)) error {
	j, err := newJob(c.unchecked())
	if err != nil {
		return err
	}
	all, err := j.takeMemory(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = free(all) }()
	defer j.startIndex(ctx)()
	j.index.gate.Wait(1, j.index.ready.Load)
	b := j.newBatchRun(0, j.split[0][0], all[0])
	defer b.close()
	s := newStore(j.shape, b.kernel, 1, all[0].layers.Bytes())
	b.store = s
	if b.openSpill(ctx); b.spilling.err != nil {
		return b.spilling.err
	}
	stride := b.kernel.Stride()
	for from := range windows {
		for node := uint64(from) * s.window; node < uint64(from+1)*s.window; node++ {
			label(node, s.out(0, node, 1))
		}
		for child := from + kept; child < windows; child++ {
			if err := b.spillSection(make([]uint32, farChunk), uint64(from), child, from); err != nil {
				return err
			}
		}
	}
	for child := kept; child < windows; child++ {
		w := s.far.of(uint64(child))
		w.place = nil
		if !b.unspill(ctx, w, uint64(child)) {
			return errors.New("nothing is there")
		}
		if err := b.list(w, uint64(child)*s.window, s.listParents()); err != nil {
			return err
		}
		var labels []byte
		for _, at := range w.list {
			labels = append(labels, w.labels[int(at)*stride:][:stride]...)
		}
		got(child, labels, stride)
	}
	return nil
}

// SetLayers gives a job more layers than its proof has.
func SetLayers(c *Config, n int) { c.moreLayers = n }

// VerifySampleUntil is VerifySample until ctx is done.
var VerifySampleUntil = verifySample

// ParentsTaken is how many bytes a job takes for parents: rows, rings, and what hashers
// share once all of a layer's runs have been through it. Scratch memory is not counted.
func ParentsTaken(c Config) (n uint64) {
	j, err := newJob(c.unchecked())
	if err != nil {
		return 0
	}
	seen := map[*sharedParents]bool{}
	for h, p := range j.parents {
		b := j.newBatchRun(h, j.split[h][0], &regions{})
		n += uint64(b.rows.Len())*porep.Degree*8 + uint64(b.ring.Slots())*128
		if seen[p] {
			continue
		}
		seen[p] = true
		s := j.shape
		dst := make([]uint32, s.run*porep.Degree)
		for run := range s.runsInLayer() {
			first := run * uint64(s.run)
			if p.get(dst[:min(uint64(s.run), s.nodes-first)*porep.Degree], first, true) != nil {
				return 0
			}
		}
		n += uint64(len(p.places)) * uint64(unsafe.Sizeof(sharedRun{}))
		for i := range p.places {
			n += uint64(cap(p.places[i].parents)) * 4
		}
	}
	return n
}

// Asides is how many parents are put aside for each layer, and for how many there is room.
func Asides(c Config, source ParentSource) (n, room int, err error) {
	s := c.unchecked().shape
	err = eachRow(source.Parents, s.listParents(), s.closing(), s.nodes, func() bool { return false }, func(child uint64, row []uint32) error {
		below := s.asideBelow(child)
		part := below / s.keyPart() // the first that is still there
		if part > 0 && child < s.handedOver(part-1) || child >= s.handedOver(part) {
			return fmt.Errorf("node %d: what is below %d is put aside, but part %d is handed over at %d, the one before at %d", child, below, part, s.handedOver(part), s.handedOver(max(part, 1)-1))
		}
		for _, p := range row[porep.BaseDegree:] {
			if uint64(p) < below {
				n++
			}
		}
		return nil
	})
	return n, s.room, err
}

// LabelsStaged is whether a producer copies labels of a run's parents, in layer 2 of 2 KiB, with
// 64 slots of a node each, when the hasher is done with so many runs.
func LabelsStaged(run, released uint64, source ParentSource) (bool, error) {
	c := Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: make([]Sector, 1), Parents: source, Staging: Producers, Stride: 1, Lookahead: 64}
	j, err := newJob(c.unchecked())
	if err != nil {
		return false, err
	}
	b := j.newBatchRun(0, j.split[0][0], &regions{})
	s := j.shape
	stride := b.kernel.Stride()
	b.store = newStore(s, b.kernel, 2, bytes.Repeat([]byte{1}, 2*int(s.nodes)*stride))
	b.flow.Key.Store(0)
	b.staged = make([]byte, s.slots*porep.Degree*stride)
	for i := range released {
		b.ring.Release(i)
	}
	parents := make([]uint32, porep.Degree)
	if err := source.Parents(parents, run); err != nil {
		return false, err
	}
	err = b.stage(make([]int32, porep.Degree), run, 0, run, parents)
	return bytes.Contains(b.staged, []byte{1}), err
}

// Noise is by how much, as a share, measured cycles do not count against the typical choice.
const Noise = noise

// TypicalCycles are those of a kernel.
func TypicalCycles(kernel string) float64 { return typicalCycles[kernel] }

// Shortest is what TimeKernels makes of passes.
func Shortest(passes map[string]func() time.Duration) map[string]float64 { return shortest(passes) }

// MostPasses is how often it times each kernel at most.
const MostPasses = mostPasses

// Kernels are the names of the kernels that the sectors are split over, batch by batch.
func Kernels(c Config) (names []string) {
	c.settle().eachBatch(func(b batch) { names = append(names, b.kernel.Name) })
	return names
}

// GivesBack is how much room there is again without a file.
func GivesBack(path string) uint64 { return givesBack(path) }
