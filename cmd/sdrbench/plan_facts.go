package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	name        string
	vendor      string
	family      int
	first, last int // models; the same cores in other packages among them
	hz          float64
	labels      map[string]labelFact // by kernel; nil: none was measured
	source      string
}

// A labelFact is a label's core cycles, of one lane, and what was run.
type labelFact struct {
	cycles float64
	run    string
}

// cpuFacts are what was measured where labels come from memory: sectors with two layers there or, where
// none were sealed with a kernel, its labels alone. What kernels take in a core's cache is no
// such fact, nor is what was measured while several kernels ran. Which models a design has is in Linux,
// arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h.
var cpuFacts = []cpuFact{
	// "AMD Zen 3, without AVX-512" in docs/benchmarks.md.
	{"AMD Zen 3", "AuthenticAMD", 25, 0x00, 0x0f, 3.24e9, map[string]labelFact{
		"sha-ni/1": {2522, "bench --layers 2, quiet"},
		"sha-ni/2": {1846, "bench --layers 2 --sectors 2"},
		"sha-ni/8": {1635, "bench --layers 2 --sectors 16"},
	}, "docs/benchmarks.md"},
	// "AMD Zen 4, with AVX-512" there.
	{"AMD Zen 4", "AuthenticAMD", 25, 0x10, 0x1f, 3.69e9, map[string]labelFact{
		"sha-ni/1":  {2573, "bench --layers 2"},
		"sha-ni/2":  {1350, "bench --layers 2 --sectors 2"},
		"sha-ni/4":  {1244, "go test -bench LabelFromMemory, page walks ahead of time"},
		"sha-ni/8":  {1223, "go test -bench LabelFromMemory, page walks ahead of time"},
		"avx512/16": {1334, "bench --sectors 16 --kernel avx512/16 --hashers 1 --window 10s"},
	}, "docs/benchmarks.md"},
	// Its clock was measured with the typical cycles, which are not all its own.
	{"AMD Zen 5", "AuthenticAMD", 26, 0x00, 0x1f, 3.8e9, nil, "its clock; cycles: typical"},
	// "Intel Emerald Rapids, with AVX-512" there.
	{"Intel Emerald Rapids", "GenuineIntel", 6, 207, 207, 2.99e9, map[string]labelFact{
		"sha-ni/1":  {2754, "bench --layers 2"},
		"sha-ni/2":  {2528, "bench --sectors 4 --window 8s"},
		"avx512/8":  {1728, "bench --sectors 16 --window 12s"},
		"avx512/16": {1123, "bench --sectors 16 --kernel avx512/16 --hashers 1 --window 10s"},
	}, "docs/benchmarks.md"},
}

// otherHz is the clock where none is known: plans compare by their times, whatever it is.
const otherHz = 3e9

// speedOf is what is known of a machine's kernels: a profile that was measured on it, facts about its CPUs, or
// else typical cycles at a clock that is none of its. What is not known is said: a job measures it when
// it starts.
func speedOf(m *topology.Machine, profile *sealer.Profile) speed {
	s := speed{engine.CyclesByKernel(), otherHz, "typical, at a clock that nobody measured; a job measures its kernels when it starts"}
	c := m.CPUModel()
	known := slices.IndexFunc(cpuFacts, func(f cpuFact) bool {
		return c.Vendor == f.vendor && c.Family == f.family && c.Model >= f.first && c.Model <= f.last
	})
	if known >= 0 {
		f := &cpuFacts[known]
		s.hz, s.source = f.hz, fmt.Sprintf("%s: %s", f.name, f.source)
		var unknown []string
		for _, name := range slices.Sorted(maps.Keys(s.cycles)) {
			label, ok := f.labels[name]
			kind, lanes, _ := kernelLanes(name)
			switch {
			case ok:
				s.cycles[name] = label.cycles * float64(lanes)
			case f.labels != nil && kind != "generic": // what is typical elsewhere would beat what was measured here
				delete(s.cycles, name)
				if hasFeatures(m, kernelNeeds[kind]) {
					unknown = append(unknown, name)
				}
			}
		}
		if len(unknown) > 0 {
			s.source += "; not known of it: " + strings.Join(unknown, ", ") + ", which a job measures when it starts"
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
