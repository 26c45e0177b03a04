package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// What a plan is for.
const (
	forThroughput = "throughput"
	forLatency    = "latency"
)

func parseFor(text string) (string, error) {
	if text != forThroughput && text != forLatency {
		return "", fmt.Errorf("%q is not %s or %s", text, forLatency, forThroughput)
	}
	return text, nil
}

const oneLayerCosts = 1.05 // times as many cycles; see docs/benchmarks.md: 2 to 8 % more

// kernelNeeds are the features, as the kernel of the system names them, that kernels of a kind need
// of a machine.
var kernelNeeds = map[string][]string{
	"sha-ni": {"sha_ni"}, "avx512": {"avx512f", "avx512bw"}, "avx2": {"avx2"}, "armv8": {"asimd", "sha2"}, "generic": nil,
}

// A planKernel labels so many lanes in so many cycles a node.
type planKernel struct {
	name   string
	lanes  int
	cycles float64 // for all lanes
}

// kernelLanes are a kernel's kind and lanes, by its name.
func kernelLanes(name string) (kind string, lanes int, err error) {
	kind, text, _ := strings.Cut(name, "/")
	lanes, err = strconv.Atoi(text)
	return kind, lanes, err
}

// planKernels are, by their lanes, the fastest kernels that a machine's features allow.
func planKernels(m *topology.Machine, s speed) map[int]planKernel {
	fastest := map[int]planKernel{}
	for name, cycles := range s.cycles {
		kind, n, err := kernelLanes(name)
		needs, known := kernelNeeds[kind]
		if err != nil || !known || !hasFeatures(m, needs) {
			continue
		}
		k := planKernel{name, n, cycles}
		if best, ok := fastest[n]; !ok || k.cycles < best.cycles || k.cycles == best.cycles && k.name < best.name {
			fastest[n] = k
		}
	}
	return fastest
}

// hasFeatures reports whether all CPUs of a machine have these.
func hasFeatures(m *topology.Machine, needs []string) bool {
	features := m.Features()
	return !slices.ContainsFunc(needs, func(f string) bool { return !slices.Contains(features, f) })
}

// open is what of a request may be chosen.
type open struct{ lanes, mode, producers, sharing bool }

// choices are the plans that a request leaves open, the best for a purpose first: how many sectors fit, and
// how long they take. They are not placed.
func choices(m *topology.Machine, reserved placement.Reserved, proof porep.SealProof, q placement.Request, open open, purpose string, s speed) ([]view.Choice, error) {
	kernels := planKernels(m, s)
	lanes, modes, producers := []int{q.Lanes}, []placement.MemoryMode{q.Mode}, []int{q.Producers}
	if open.lanes {
		lanes = nil
		for _, n := range placement.Lanes() {
			if _, ok := kernels[n]; ok {
				lanes = append(lanes, n)
			}
		}
	}
	if open.mode {
		modes = []placement.MemoryMode{placement.TwoLayers, placement.OneLayer}
	}
	if open.producers {
		producers = []int{1, 0}
	}
	sharing := []int{max(1, q.HashersPerProducer)}
	if open.sharing {
		sharing = q.Sharing(m)
	}
	var all []view.Choice
	var wrong error
	for _, q.Lanes = range lanes {
		kernel, ok := kernels[q.Lanes]
		if !ok { // asked for, whether it can be or not: so many lanes of the one that labels one
			one := kernels[1]
			kernel = planKernel{one.name, q.Lanes, one.cycles * float64(q.Lanes)}
		}
		for _, q.Mode = range modes {
			for _, who := range whoProduces(producers, sharing) {
				q.Producers, q.HashersPerProducer = who.producers, who.hashers
				q.FewerProducers = open.producers && q.Producers > 0
				room, err := placement.Room(m, reserved, q)
				if smallest := (*placement.BudgetError)(nil); errors.As(err, &smallest) {
					wrong = cmp.Or(wrong, err)
					continue
				} else if err != nil {
					return nil, err
				}
				c := view.Choice{Lanes: q.Lanes, Mode: q.Mode, Producers: q.Producers, HashersPerProducer: q.HashersPerProducer, Kernel: kernel.name, Max: room, Sectors: room}
				if q.Sectors != placement.Max {
					c.Sectors = min(room, q.Sectors)
				}
				c.Hours = hours(proof, kernel.cycles, s.hz, q, c.Sectors)
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return nil, wrong
	}
	slices.SortStableFunc(all, func(a, b view.Choice) int {
		time, rate := cmp.Compare(a.Hours, b.Hours), -cmp.Compare(a.PerDay(), b.PerDay())
		if fits := -cmp.Compare(min(a.Sectors, 1), min(b.Sectors, 1)); fits != 0 {
			return fits
		}
		if q.Sectors != placement.Max { // all that were asked for, if that can be
			rate = cmp.Or(-cmp.Compare(a.Sectors, b.Sectors), rate)
		}
		if purpose == forLatency {
			return cmp.Or(time, rate)
		}
		return cmp.Or(rate, time)
	})
	return all, nil
}

// A producing is how many producers a hasher has, and how many hashers a producer.
type producing struct{ producers, hashers int }

// whoProduces are all that go together.
func whoProduces(producers, hashers []int) (all []producing) {
	for _, n := range producers {
		for _, h := range hashers {
			if h == 1 || n == 1 || len(hashers) == 1 {
				all = append(all, producing{n, h})
			}
		}
	}
	return all
}

// hours is how long a plan's sectors take, all at the same time. Producers without a CPU of their own take
// from the hashers': parents are worked out once for all. A producer that has more hashers than it can
// feed holds them up.
func hours(proof porep.SealProof, cycles, hz float64, q placement.Request, sectors int) float64 {
	if q.Producers > 0 && q.HashersPerProducer > 1 {
		cycles = max(cycles, engine.ParentsCycles+float64(q.HashersPerProducer)*engine.StagingCycles(q.Lanes))
	}
	if q.Mode == placement.OneLayer {
		cycles *= oneLayerCosts
	}
	if jobs := (sectors + q.Lanes - 1) / q.Lanes; q.Producers == 0 && jobs > 0 {
		cycles += engine.ParentsCycles / float64(jobs)
	}
	return cycles * labels(proof) / hz / 3600
}

// labels are a sector's.
func labels(proof porep.SealProof) float64 {
	return float64(proof.SectorSize()) / porep.NodeSize * float64(proof.Layers())
}

// Of other engines: cycles a label of rust-fil-proofs' multicore SDR, 0.96 million a second on AMD Zen 4 at 3.69 GHz
// (docs/benchmarks.md), and the labels a second that supra_seal's authors publish, for each core of the machine.
const (
	referenceCycles = 3840
	pairsRate       = 1.87e6
)

// others are what other engines' layouts take on a machine.
func others(m *topology.Machine, reserved placement.Reserved, proof porep.SealProof, q placement.Request, s speed) ([]view.Other, error) {
	// Of ours it takes nothing but the machine.
	four := placement.Request{
		SectorSize: q.SectorSize, Lanes: 1, Producers: 3, SMT: placement.IdleSiblings, Budget: q.Budget, MemoryNodes: q.MemoryNodes,
		Policy: q.Policy, Only: q.Only,
	}
	p, err := placement.New(m, reserved, four)
	if tooSmall := (*placement.BudgetError)(nil); errors.As(err, &tooSmall) {
		p, err = &placement.Plan{}, nil
	}
	if err != nil {
		return nil, err
	}
	day := 24 * 3600.0
	groups := view.Other{
		Name: "a sector on four cores of a core complex", Sectors: p.Sectors, Cores: 4 * p.Sectors, Memory: p.Memory,
		PerDay: float64(p.Sectors) * day * s.hz / referenceCycles / labels(proof),
	}
	held := map[topology.CPU]bool{}
	for _, cpu := range reserved.Cores {
		held[cpu] = true
	}
	cores := 0
	for _, core := range m.Cores() {
		number, _ := m.CoreNumber(core.CPUs[0])
		usable := func(cpu topology.CPU) bool {
			return m.Allowed().Contains(cpu) && (q.Policy != placement.List || q.Only.Contains(cpu))
		}
		if !held[number] && slices.ContainsFunc(core.CPUs, usable) {
			cores++
		}
	}
	pairs := view.Other{Name: "pairs: two on each CPU of half of the cores", Sectors: cores / 2 * 4, Cores: cores / 2 * 2}
	pairs.PerDay = float64(pairs.Cores) * pairsRate * day / labels(proof)
	return []view.Other{groups, pairs}, nil
}
