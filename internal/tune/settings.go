package tune

import (
	"fmt"
	"slices"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
)

// A Trial is one way to set the engine, all of it that tune looks at.
type Trial struct {
	Kernel           string
	Sectors, Hashers int
	Staging          engine.Staging
	Producers        int // for each hasher
	// HashersPerProducer is how many hashers one producer feeds; with more than one, Producers is 1.
	HashersPerProducer int
	Stride, Lookahead  int
	SMT                placement.SMTUse
	Pages              hugepages.Pages
	Policy             placement.Policy
}

func (t Trial) with(change func(*Trial)) Trial {
	change(&t)
	return t
}

func (t *Trial) set(s Shape) { t.Hashers, t.Sectors = s.Hashers, s.Sectors }

func (t Trial) String() string {
	producers := words.Count(t.Producers, "producer")
	if t.HashersPerProducer > 1 {
		producers = fmt.Sprintf("a producer for %d hashers", t.HashersPerProducer)
	}
	return fmt.Sprintf("%s, %s on %s, %v, %s, spans of %d nodes, %d ahead, siblings %s, %s pages, %v", t.Kernel,
		words.Count(t.Sectors, "sector"), words.Count(t.Hashers, "hasher"), t.Staging, producers, t.Stride, t.Lookahead, t.SMT.String(), profile.PagesName(t.Pages), t.Policy)
}

// A setting is something that a trial has a choice in.
type setting struct {
	Name string
	text func(Trial) string
	// others are the trials that differ in it alone.
	others func(*Space, Trial) []Trial
}

// settings are in the order of what they are likely to be worth.
var settings = []setting{
	{"kernel", func(t Trial) string { return fmt.Sprintf("%s, %s", t.Kernel, words.Count(t.Sectors, "sector")) }, otherKernels},
	{"hashers", func(t Trial) string { return fmt.Sprintf("%d, %s", t.Hashers, words.Count(t.Sectors, "sector")) }, otherShapes},
	{"staging", func(t Trial) string { return t.Staging.String() }, func(_ *Space, t Trial) (all []Trial) {
		for _, s := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			all = append(all, t.with(func(t *Trial) { t.Staging = s }))
		}
		return all
	}},
	{"producers", func(t Trial) string { return fmt.Sprint(t.Producers) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Producers, t.Producers) {
			all = append(all, t.with(func(t *Trial) { t.Producers, t.HashersPerProducer = n, 1 }))
		}
		return all
	}},
	{"hashers per producer", func(t Trial) string { return fmt.Sprint(t.HashersPerProducer) }, otherSharing},
	{"smt", func(t Trial) string { return t.SMT.String() }, func(s *Space, t Trial) (all []Trial) {
		for _, use := range s.SMT {
			all = append(all, t.with(func(t *Trial) { t.SMT = use }))
		}
		return all
	}},
	{"pages", func(t Trial) string { return profile.PagesName(t.Pages) }, func(s *Space, t Trial) (all []Trial) {
		for _, kind := range s.Pages {
			all = append(all, t.with(func(t *Trial) { t.Pages = kind }))
		}
		return all
	}},
	{"policy", func(t Trial) string { return t.Policy.String() }, func(s *Space, t Trial) (all []Trial) {
		if t.Hashers == 1 {
			return nil // it has the first core either way
		}
		for _, p := range s.Policies {
			all = append(all, t.with(func(t *Trial) { t.Policy = p }))
		}
		return all
	}},
	{"lookahead", func(t Trial) string { return fmt.Sprint(t.Lookahead) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Ahead, t.Lookahead) {
			all = append(all, t.with(func(t *Trial) { t.Lookahead = n }))
		}
		return all
	}},
	{"stride", func(t Trial) string { return fmt.Sprint(t.Stride) }, func(s *Space, t Trial) (all []Trial) {
		for _, n := range beside(s.Strides, t.Stride) {
			all = append(all, t.with(func(t *Trial) { t.Stride = n }))
		}
		return all
	}},
}

// beside are the values next to one on a ladder.
func beside(ladder []int, value int) (all []int) {
	at, found := slices.BinarySearch(ladder, value)
	if at > 0 {
		all = append(all, ladder[at-1])
	}
	if found {
		at++
	}
	if at < len(ladder) {
		all = append(all, ladder[at])
	}
	return all
}

func otherKernels(s *Space, t Trial) (all []Trial) {
	for _, k := range s.Kernels {
		shapes := k.Shapes
		if t.Sectors == 1 && t.Hashers == 1 {
			if shapes = []Shape{{1, 1}}; k.One.Hashers == 0 || k.Lanes > mostForOne {
				continue
			}
		}
		for _, shape := range shapes {
			other := t.with(func(t *Trial) { t.Kernel = k.Name; t.set(shape) })
			if k.Name != t.Kernel && (len(s.Counts) == 0 || shape.Sectors == t.Sectors) {
				all = append(all, other)
				break // the shape that looks best
			}
		}
	}
	return all
}

func otherShapes(s *Space, t Trial) (all []Trial) {
	for _, k := range s.Kernels {
		if k.Name != t.Kernel || t.Sectors == 1 && t.Hashers == 1 {
			continue
		}
		for _, shape := range k.Shapes {
			all = append(all, t.with(func(t *Trial) { t.set(shape) }))
		}
	}
	return all
}

// otherSharing are trials with other numbers of hashers for each producer: on as many cores, and on
// those that leave the producers theirs, for as many sectors if those are asked for.
func otherSharing(s *Space, t Trial) (all []Trial) {
	if t.Hashers == 1 {
		return nil
	}
	most := 0
	for _, k := range s.Kernels {
		if k.Name == t.Kernel {
			for _, shape := range k.Shapes {
				most = max(most, shape.Hashers)
			}
		}
	}
	for _, share := range s.Sharing {
		other := t.with(func(t *Trial) { t.Producers, t.HashersPerProducer = 1, share.HashersPerProducer })
		all = append(all, other)
		if h := share.Hashers; share.HashersPerProducer > 1 && h > 1 && h <= most && h != t.Hashers {
			all = append(all, other.with(func(t *Trial) {
				t.Hashers = h
				if len(s.Counts) == 0 {
					t.Sectors = h * s.Lanes(t.Kernel)
				}
			}))
		}
	}
	return all
}
