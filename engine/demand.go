package engine

import "github.com/sdr-engine/sdr/sha256"

// A Demand is what a hasher asks of a machine.
type Demand struct {
	Mode   MemoryMode // of what Config.Budget lets be: Budget only where no other mode does with it
	Memory uint64     // bytes: the sum of its Requirements, more than the budget if that is less than the smallest
	Feed   Feed       // in Budget mode
}

// Demand is what a job in Budget mode asks for, on one hasher whose kernel has so many lanes, each with a sector: the
// sum of Requirements and the Feed that it would have, also where this machine cannot run such a
// kernel. Of c, Kernel, Sectors, Hashers and Places do not count. In TwoLayers mode labels staged take more or less,
// as the kernel and this machine's CPUs want it.
func (c Config) Demand(lanes int) Demand {
	modes := []MemoryMode{c.MemoryMode}
	if c.MemoryMode == Budget {
		modes = []MemoryMode{TwoLayers, OneLayer, Budget}
	}
	c.Kernel, c.Hashers, c.Places, c.Sectors = "", 1, nil, make([]Sector, max(1, lanes))
	all := batch{kernel: &sha256.Kernel{Lanes: len(c.Sectors), Group: 1}}
	for i := range c.Sectors {
		all.sectors = append(all.sectors, i)
	}
	var d Demand
	for _, mode := range modes {
		if c.MemoryMode = mode; mode == Budget {
			c.MemoryMode = OneLayer // has the same defaults, and settle would try the others by this machine's kernels
		} else if len(modes) > 1 && (c.tooSmall() || c.aheadOfSegment()) {
			continue
		}
		r := c.settle()
		r.c.MemoryMode, r.split = mode, [][]batch{{all}}
		r.layOut()
		d.Mode, d.Memory = mode, r.memory()
		d.Feed, _ = r.Feed()
		if d.Memory <= c.Budget {
			break
		}
	}
	return d
}

// HelperCycles are what cores that do not hash take for each node of a hasher with so many lanes that is fed so, besides
// parents and their staging. Forward: on Intel Emerald Rapids at 2.9 GHz, 2026-11-30, one lane, what the process took more
// than with two layers in memory, without what its hasher did: bench --layers 2 --memory 128MiB. How much of it is a
// node's and how much a lane's is estimated, and so is all of Passes: a seventh of a cycle for each byte that is read and checked.
func HelperCycles(f Feed, lanes int) float64 {
	switch f.Way {
	case Forward:
		return 500 + 1500*float64(lanes)
	case Passes:
		return 800 + (400+f.Read/7)*float64(lanes)
	}
	return 0
}
