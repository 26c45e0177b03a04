package main

import (
	"fmt"
	"slices"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

// A speed is how fast kernels are: core cycles for a node with all lanes, and the cores' clock.
type speed struct {
	cycles map[string]float64
	hz     float64
	source string // for people: whose they are
}

// A cpuFact is what was measured on CPUs of one design.
type cpuFact struct {
	name          string
	vendor        string
	family        int
	first, last   int // models; the same cores in other packages among them
	hz            float64
	cyclesOfLabel map[string]float64 // a label of one lane
	source        string
}

// cpuFacts are from docs/benchmarks.md and, of Zen 5, whose kernels' cycles are among the typical ones, from this project's
// measurements in 2026-11. Where sectors were measured with a kernel it is their labels, with two layers
// in memory; else labels from memory; else the kernel's in its cache. Which models a design has is in
// Linux, arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h.
var cpuFacts = []cpuFact{
	{"AMD Zen 3", "AuthenticAMD", 25, 0x00, 0x0f, 3.24e9, map[string]float64{
		"sha-ni/1": 2522, "sha-ni/2": 1846, "sha-ni/4": 1846, "sha-ni/8": 1635, "sha-ni/16": 1731, "avx2/8": 1993,
	}, "docs/benchmarks.md"},
	{"AMD Zen 4", "AuthenticAMD", 25, 0x10, 0x1f, 3.69e9, map[string]float64{
		"sha-ni/1": 2573, "sha-ni/2": 1350, "sha-ni/4": 1244, "sha-ni/8": 1223, "avx512/16": 1334, "avx512/32": 1367,
	}, "docs/benchmarks.md"},
	{"AMD Zen 5", "AuthenticAMD", 26, 0x00, 0x1f, 3.8e9, nil, "its clock; cycles: typical"},
	{"Intel Emerald Rapids", "GenuineIntel", 6, 207, 207, 2.99e9, map[string]float64{
		"sha-ni/1": 2754, "sha-ni/2": 2528, "sha-ni/4": 1993, "avx512/8": 1728, "avx512/16": 1123, "avx512/32": 1292,
	}, "docs/benchmarks.md"},
}

// otherHz is the clock where none is known: plans compare by their times, whatever it is.
const otherHz = 3e9

// speedOf is what is known of a machine's kernels: a profile that was measured on it, facts about its CPUs, or
// else typical cycles at a clock that is none of its.
func speedOf(m *topology.Machine, profile *sealer.Profile) speed {
	s := speed{engine.CyclesByKernel(), otherHz, "typical, at a clock that nobody measured"}
	c := m.CPUModel()
	known := slices.IndexFunc(cpuFacts, func(f cpuFact) bool {
		return c.Vendor == f.vendor && c.Family == f.family && c.Model >= f.first && c.Model <= f.last
	})
	if known >= 0 {
		f := &cpuFacts[known]
		s.hz, s.source = f.hz, fmt.Sprintf("%s: %s", f.name, f.source)
		for name := range s.cycles {
			label, ok := f.cyclesOfLabel[name]
			_, lanes, _ := kernelLanes(name)
			switch {
			case ok:
				s.cycles[name] = label * float64(lanes)
			case f.cyclesOfLabel != nil: // what is typical elsewhere would beat what was measured here
				delete(s.cycles, name)
			}
		}
	}
	if profile != nil {
		for name, cycles := range profile.Cycles() {
			s.cycles[name] = cycles
		}
		s.hz, s.source = profile.Hz(), "measured, "+profile.Path()
	}
	return s
}
