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

// A chooser makes the plans that a request leaves open: how many sectors fit, and how long they take. They are not
// placed.
type chooser struct {
	*planModel
	m        *topology.Machine
	reserved placement.Reserved
	way      engine.MemoryWay
	purpose  string

	all     []view.Choice
	leftOut bool                   // Budget mode was not looked at
	tooFew  *placement.BudgetError // of the smallest that does not do with the budget
	byLanes map[int][]sized
}

// choices are the plans, the best for a purpose first. Budget mode is one of them where nothing else fits, or somebody
// says what the disk gives: what it needs, most disks do not have for as many sectors as fit into memory.
func (c *chooser) choices(q placement.Request, open open) ([]view.Choice, error) {
	kernels := planKernels(c.m, c.speed)
	lanes, modes, producers := []int{q.Lanes}, []placement.MemoryMode{q.Mode}, []int{q.Producers}
	if open.lanes {
		lanes = nil
		for _, n := range placement.Lanes() {
			if _, ok := kernels[n]; ok {
				lanes = append(lanes, n)
			}
		}
	}
	// Budget mode is what a budget lets be: the others where those do.
	told, fewer := q.Mode == placement.Budget, q.FewerProducers
	if open.mode || told {
		modes = []placement.MemoryMode{placement.TwoLayers, placement.OneLayer, placement.Budget}
	}
	if open.producers {
		producers = []int{1, 0}
	}
	sharing := []int{max(1, q.HashersPerProducer)}
	if open.sharing {
		sharing = q.Sharing(c.m)
	}
	for _, q.Mode = range modes {
		if q.Mode == placement.Budget && !told && c.disk == (view.Rates{}) && slices.ContainsFunc(c.all, func(c view.Choice) bool { return c.Sectors > 0 }) {
			c.leftOut = true
			continue
		}
		for _, q.Lanes = range lanes {
			kernel, ok := kernels[q.Lanes]
			if !ok { // asked for, whether it can be or not: so many lanes of the one that labels one
				one := kernels[1]
				kernel = planKernel{one.name, q.Lanes, one.cycles * float64(q.Lanes)}
			}
			for _, who := range whoProduces(producers, sharing) {
				q.Producers, q.HashersPerProducer = who.producers, who.hashers
				q.FewerProducers = fewer && q.Producers > 0
				if err := c.add(q, kernel); err != nil {
					return nil, err
				}
			}
		}
	}
	switch {
	case len(c.all) > 0:
	case c.tooFew != nil: // nor does the smallest do with the budget
		return nil, c.tooFew
	default:
		return nil, errors.New("no kernel is known for this CPU")
	}
	slices.SortStableFunc(c.all, func(a, b view.Choice) int { return c.compare(&a, &b, q.Sectors != placement.Max) })
	return c.all, nil
}

// withoutDisk is the best choice if the disk bounded none.
func (c *chooser) withoutDisk(q placement.Request, open open) (*view.Choice, error) {
	model, other := *c.planModel, *c
	model.disk = c.disk.Times(1e6) // in the same proportion, so that budget mode goes the same way
	other.planModel, other.all = &model, nil
	all, err := other.choices(q, open)
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// compare puts the better of two choices first; asked says that a number of sectors was.
func (c *chooser) compare(a, b *view.Choice, asked bool) int {
	if fits := -cmp.Compare(min(a.Sectors, 1), min(b.Sectors, 1)); fits != 0 {
		return fits
	}
	time, rate := cmp.Compare(a.Hours, b.Hours), -cmp.Compare(a.PerDay(), b.PerDay())
	if asked { // all of them, if that can be
		rate = cmp.Or(-cmp.Compare(a.Sectors, b.Sectors), rate)
	}
	if c.purpose == forLatency {
		rate, time = time, rate
	}
	return cmp.Or(rate, time, -cmp.Compare(a.SectorBudget, b.SectorBudget))
}

// add adds what a request with one kernel can be.
func (c *chooser) add(q placement.Request, kernel planKernel) error {
	if q.Mode == placement.Budget {
		return c.addBudgets(q, kernel)
	}
	room, err := c.room(q)
	if err != nil || room < 0 {
		return err
	}
	c.keep(q, c.choice(q, kernel, sized{}, room, room))
	return nil
}

// keep adds a choice. What looks as if cores bounded it is bounded by memory where there are cores for more.
func (c *chooser) keep(q placement.Request, one view.Choice) {
	if one.Bound == view.BoundCores && one.Max < c.cores(q) {
		one.Bound = view.BoundMemory
	}
	c.all = append(c.all, one)
}

// room is how many sectors fit; less than none if the budget is too small for one.
func (c *chooser) room(q placement.Request) (int, error) {
	room, err := placement.Room(c.m, c.reserved, q)
	if tooFew := (*placement.BudgetError)(nil); errors.As(err, &tooFew) {
		if c.tooFew == nil || tooFew.Smallest < c.tooFew.Smallest {
			c.tooFew = tooFew
		}
		return -1, nil
	}
	return room, err
}

// choice is one with so many sectors, of those that have room.
func (c *chooser) choice(q placement.Request, kernel planKernel, s sized, sectors, room int) view.Choice {
	one := view.Choice{
		Lanes: q.Lanes, Mode: q.Mode, Producers: q.Producers, HashersPerProducer: q.HashersPerProducer, Kernel: kernel.name, Max: room, Sectors: sectors,
		SectorBudget: q.SectorBudget, Feed: s.demand.Feed, JobMemory: s.demand.Memory,
	}
	if q.Sectors != placement.Max {
		one.Sectors = min(one.Sectors, q.Sectors)
	}
	c.time(&one, kernel.cycles)
	one.Written = writtenBySector(c.proof, one.Mode, one.Feed)
	if q.Sectors != placement.Max && one.Sectors == q.Sectors && one.Bound != view.BoundDisk && one.Bound != view.BoundHelpers {
		one.Bound = view.BoundAsked
	}
	return one
}

// cores is how many sectors there are cores for.
func (c *chooser) cores(q placement.Request) int {
	q.Mode, q.SectorSize, q.SectorBudget, q.Budget, q.PageSize = placement.Budget, porep.NodeSize, 1, 0, placement.AnyPages
	q.Sectors = placement.Max
	n, err := placement.Room(c.m, placement.Reserved{Cores: c.reserved.Cores}, q)
	if err != nil {
		return 0
	}
	return n
}

// modeFor is the memory mode that jobs have which are told a budget alone: the first that does with it for all sectors that
// are asked for, or for one.
func modeFor(q placement.Request) placement.MemoryMode {
	sectors := max(1, q.Sectors)
	jobs := (sectors + q.Lanes - 1) / q.Lanes
	for _, m := range []placement.MemoryMode{placement.TwoLayers, placement.OneLayer} {
		if uint64(sectors)*m.InMemory(q.SectorSize)+uint64(jobs)*m.Overhead(q.SectorSize, q.Lanes) <= q.Budget {
			return m
		}
	}
	return placement.Budget
}

// A sized is a size of a sector's part of the memory, and what a hasher asks for that has so much for each lane.
type sized struct {
	sectorBudget uint64
	demand       engine.Demand
}

// sizes are those that are tried with so many lanes, ascending.
func (c *chooser) sizes(q placement.Request) []sized {
	if all, ok := c.byLanes[q.Lanes]; ok {
		return all
	}
	config := engine.Config{Proof: c.proof, MemoryMode: engine.Budget, Budget: 1, MemoryWay: c.way, Producers: q.Producers, DiskRead: uint64(c.disk.Read), DiskWrite: uint64(c.disk.Written)}
	lanes := uint64(q.Lanes)
	var all []sized
	for _, n := range budgetSizes((config.Demand(q.Lanes).Memory+lanes-1)/lanes, placement.OneLayer.InMemory(q.SectorSize)) {
		config.Budget = n * lanes
		if d := config.Demand(q.Lanes); d.Mode == engine.Budget && d.Memory <= config.Budget {
			all = append(all, sized{n, d})
		}
	}
	if c.byLanes == nil {
		c.byLanes = map[int][]sized{}
	}
	c.byLanes[q.Lanes] = all
	return all
}

// addBudgets adds the best of all sizes of a sector's part of the memory and, if none is asked for, numbers of
// sectors: more of them than the disk can feed take longer and gain nothing.
func (c *chooser) addBudgets(q placement.Request, kernel planKernel) error {
	var best *view.Choice
	for _, s := range c.sizes(q) {
		q.SectorBudget = s.sectorBudget
		room, err := c.room(q)
		if err != nil {
			return err
		}
		if room < 0 {
			break // nor do larger ones do with the budget
		}
		fewest := room
		if q.Sectors == placement.Max {
			fewest = min(room, q.Lanes)
		}
		for n := fewest; ; n = min(n+q.Lanes, room) {
			one := c.choice(q, kernel, s, n, room)
			if best == nil || c.compare(&one, best, q.Sectors != placement.Max) < 0 {
				best = &one
			}
			if n == room {
				break
			}
		}
	}
	if best != nil {
		c.keep(q, *best)
	}
	return nil
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
	cores := len(freeCPUs(m, reserved, q))
	pairs := view.Other{Name: "pairs: two on each CPU of half of the cores", Sectors: cores / 2 * 4, Cores: cores / 2 * 2}
	pairs.PerDay = float64(pairs.Cores) * pairsRate * day / labels(proof)
	return []view.Other{groups, pairs}, nil
}
