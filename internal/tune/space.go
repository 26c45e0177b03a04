package tune

import (
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
)

// A Shape is how many hashers and sectors a kernel can have.
type Shape struct{ Hashers, Sectors int }

// A Kernel is a kernel that the machine can run.
type Kernel struct {
	Name  string
	Lanes int
	// One is a single hasher with all lanes: by it kernels compare. Zero where
	// there is no memory for it.
	One Shape
	// Shapes are those for throughput, the one that looks best first.
	Shapes []Shape
}

// A Sharing is how many hashers one producer may feed, and how many hashers there are room for if each
// producer has a core.
type Sharing struct{ HashersPerProducer, Hashers int }

// A Space is what there is to choose from.
type Space struct {
	Kernels   []Kernel // best first
	Producers []int    // ascending, as the others
	Sharing   []Sharing
	Strides   []int
	Ahead     []int
	SMT       []placement.SMTUse // the default first, as those below
	Pages     []hugepages.Pages
	Policies  []placement.Policy
	// Counts are the numbers of sectors that throughput is asked for. None: any.
	Counts []int
	// Base is what all trials have of a configuration: the engine's other defaults follow from it.
	Base engine.Config
}

func (s *Space) Lanes(kernel string) int {
	for _, k := range s.Kernels {
		if k.Name == kernel {
			return k.Lanes
		}
	}
	return 1
}

// Usual is a kernel with the engine's defaults.
func (s *Space) Usual(k Kernel, shape Shape) Trial {
	c := s.Base
	c.Kernel, c.Sectors = k.Name, make([]engine.Sector, 1)
	d := c.WithDefaults()
	t := Trial{Kernel: k.Name, Staging: d.Staging, Producers: d.Producers, HashersPerProducer: d.HashersPerProducer, Stride: d.Stride, Lookahead: d.Lookahead, Pages: profile.PagesAny}
	t.set(shape)
	return t
}

// oddness is how many settings are not the engine's defaults.
func (s *Space) oddness(t Trial) (n int) {
	d := s.Usual(Kernel{Name: t.Kernel}, Shape{t.Hashers, t.Sectors})
	for _, x := range settings {
		if x.text(t) != x.text(d) {
			n++
		}
	}
	return n
}

// MostSectors is the largest number of sectors that a trial has.
func (s *Space) MostSectors() (most int) {
	for _, k := range s.Kernels {
		for _, shape := range append([]Shape{k.One}, k.Shapes...) {
			most = max(most, shape.Sectors)
		}
	}
	return most
}

// ShapesOf are how many hashers and sectors a kernel of so many lanes is tried with
// on so many cores: as many as have room, for every number of sectors that is
// asked for; and half as many, which leaves a core for each one's producers.
func ShapesOf(lanes, cores int, counts []int, room func(Shape) bool) (all []Shape) {
	add := func(sectors func(hashers int) int, most int) {
		for h := most; h >= 1; h-- {
			if room(Shape{h, sectors(h)}) {
				all = append(all, Shape{h, sectors(h)})
				if half := h / 2; half >= 1 {
					all = append(all, Shape{half, sectors(half)})
				}
				return
			}
		}
	}
	if len(counts) == 0 {
		add(func(h int) int { return h * lanes }, min(cores, engine.MaxSectors/lanes))
	}
	for _, n := range counts {
		add(func(int) int { return n }, min(cores, (n+lanes-1)/lanes))
	}
	return all
}
