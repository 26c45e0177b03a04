package engine

import (
	"unsafe"

	"github.com/sdr-engine/sdr/porep"
)

// SetHook has producers call f before they stage a run.
func SetHook(c *Config, f func(hasher int, run uint64)) { c.hook = f }

// SetMemoryHook has f called before a hasher's memory is taken from the machine.
func SetMemoryHook(c *Config, f func(hasher int)) { c.memoryHook = f }

// SetLayers gives a job more layers than its proof has.
func SetLayers(c *Config, n int) { c.moreLayers = n }

// VerifySampleUntil is VerifySample until ctx is done.
var VerifySampleUntil = verifySample

// ParentsTaken is how many bytes a job takes for parents: rows, rings, and what hashers
// share once all of a layer's runs have been through it. Scratch memory is not counted.
func ParentsTaken(c Config) (n uint64) {
	c = c.WithDefaults()
	j := newJob(&c)
	seen := map[*sharedParents]bool{}
	for h, p := range j.parents {
		b := j.newBatchRun(h, j.split[h][0], &regions{})
		n += uint64(b.rows.Len())*porep.Degree*8 + uint64(b.ring.Slots())*128
		if seen[p] {
			continue
		}
		seen[p] = true
		s := shapeOf(c.Proof, &c)
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
