package main

import (
	"slices"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// What a label takes more in the memory modes that have work besides: see docs/benchmarks.md, 2 to 8 % with
// one layer in memory; and, of 512 MiB sectors in a quarter and in half of their size, with files in memory, 17 and
// 11 % of a layer.
const (
	oneLayerCosts = 1.05
	budgetCosts   = 1.15
)

// A planModel says how long the sectors of a plan take.
type planModel struct {
	proof porep.SealProof
	speed speed
	disk  view.Rates // what the disk gives; 0: nobody says
	cpus  int        // that jobs may use
}

// newPlanModel is that of a machine on which others hold cores.
func newPlanModel(m *topology.Machine, reserved placement.Reserved, proof porep.SealProof, q placement.Request, s speed, disk view.Rates) *planModel {
	model := &planModel{proof: proof, speed: s, disk: disk.Equalled()}
	for _, n := range freeCPUs(m, reserved, q) {
		if q.SMT == placement.IdleSiblings {
			n = 1
		}
		model.cpus += n
	}
	return model
}

// freeCPUs is how many CPUs each core has that a request may use, of cores that have any and that nobody holds.
func freeCPUs(m *topology.Machine, reserved placement.Reserved, q placement.Request) (all []int) {
	held := map[topology.CPU]bool{}
	for _, cpu := range reserved.Cores {
		held[cpu] = true
	}
	for _, core := range m.Cores() {
		number, _ := m.CoreNumber(core.CPUs[0])
		usable := 0
		for _, cpu := range core.CPUs {
			if m.Allowed().Contains(cpu) && (q.Policy != placement.List || q.Only.Contains(cpu)) {
				usable++
			}
		}
		if !held[number] && usable > 0 {
			all = append(all, usable)
		}
	}
	return all
}

// time fills in how long a choice's sectors take, all at the same time, and what bounds them. Its kernel takes
// so many cycles for a node with all lanes.
//
// Producers without a CPU of their own take from the hashers': parents are worked out once for all. A producer that
// has more hashers than it can feed holds them up. What budget mode has done besides, any CPU does; if all that
// there are do not suffice for it, they share what there is to do. The disk does one thing at a time.
func (m *planModel) time(c *view.Choice, cycles float64) {
	jobs := float64((c.Sectors + c.Lanes - 1) / c.Lanes)
	if jobs == 0 {
		jobs = 1 // none fits: how long one would take
	}
	shared := c.Producers > 0 && c.HashersPerProducer > 1
	if shared {
		cycles = max(cycles, engine.ParentsCycles+float64(c.HashersPerProducer)*engine.StagingCycles(c.Lanes))
	}
	switch c.Mode {
	case placement.OneLayer:
		cycles *= oneLayerCosts
	case placement.Budget:
		cycles *= budgetCosts
	}
	if c.Producers == 0 {
		cycles += engine.ParentsCycles / jobs
	}
	c.Bound = view.BoundCores
	if c.Mode == placement.Budget {
		c.HelperCycles = engine.HelperCycles(c.Feed, c.Lanes) / float64(c.Lanes)
		parents := 0.
		if c.Producers > 0 {
			parents = engine.ParentsCycles + engine.StagingCycles(c.Lanes)
		}
		if all := jobs * (cycles + parents + c.HelperCycles*float64(c.Lanes)) / float64(max(1, m.cpus)); all > cycles {
			cycles, c.Bound = all, view.BoundHelpers
		}
	}
	nodes := m.speed.hz / cycles // a second
	c.Label = diskOf(c.Mode, c.Feed)
	full := c.Label.Times(float64(max(1, c.Sectors)) * nodes)
	if share := m.disk.Busy(full); share > 1 {
		nodes, c.Bound = nodes/share, view.BoundDisk
	}
	c.Hours = labels(m.proof) / nodes / 3600
	c.Full, c.Disk = full, c.Label.Times(float64(c.Sectors)*nodes)
	c.FullSpeed = m.disk.Most(c.Label.Times(m.speed.hz / cycles))
	c.HelperCores = c.HelperCycles * float64(c.Sectors) * nodes / m.speed.hz
}

// diskOf is what is read and written for each label of a sector: in layers' files, each label is written once and read
// back once; in one-layer mode's scratch file, which has 43 % of a layer, and the layer before anew; and what
// budget mode does.
func diskOf(mode placement.MemoryMode, f engine.Feed) view.Rates {
	const layer, far = float64(porep.NodeSize), 0.43
	switch mode {
	case placement.OneLayer:
		return view.Rates{Read: layer * (2 + far), Written: layer * (1 + far)}
	case placement.Budget:
		return view.Rates{Read: layer + f.Read, Written: layer + f.Written}
	}
	return view.Rates{Read: layer, Written: layer}
}

// labels are a sector's.
func labels(proof porep.SealProof) float64 {
	return float64(proof.SectorSize()) / porep.NodeSize * float64(proof.Layers())
}

// writtenBySector are the bytes that a sector's labelling writes. What Feed says is of layers that are neither the
// first nor the last: the last sends next to nothing on, the first as much as others.
func writtenBySector(proof porep.SealProof, mode placement.MemoryMode, f engine.Feed) float64 {
	all := labels(proof)
	if mode != placement.Budget {
		return all * diskOf(mode, f).Written
	}
	return all*porep.NodeSize + all/float64(proof.Layers())*float64(proof.Layers()-1)*f.Written
}

// budgetSizes are the sizes, of a sector's part of the memory, that are tried: the smallest, and four in
// each power of two. They are the same whatever memory there is, so more memory is more to choose from.
func budgetSizes(smallest, below uint64) []uint64 {
	unit := uint64(2 << 20)
	for unit > 4<<10 && smallest < 16*unit {
		unit /= 2
	}
	up := func(n uint64) uint64 { return (n + unit - 1) / unit * unit }
	all := []uint64{up(smallest)}
	for power := uint64(1); power < below; power *= 2 {
		for eighths := uint64(8); eighths < 16; eighths += 2 {
			if n := power / 8 * eighths; n > all[0] && n < below && n%unit == 0 {
				all = append(all, n)
			}
		}
	}
	return slices.Compact(all)
}
