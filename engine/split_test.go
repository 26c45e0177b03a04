package engine_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/porep"
)

// TestTimeKernels: every kernel that runs here has a time, and nothing else has.
func TestTimeKernels(t *testing.T) {
	times := engine.TimeKernels()
	for _, name := range usableKernels() {
		if times[name] <= 0 {
			t.Errorf("%s: %v", name, times[name])
		}
	}
}

// TestKernelChoice: given what kernels take, sectors go to those that take least, empty
// lanes included, and the hasher with most to do is the one that counts.
func TestKernelChoice(t *testing.T) {
	var one, two string
	for _, name := range usableKernels() {
		switch name {
		case "sha-ni/1", "armv8/1":
			one = name
		case "sha-ni/2", "armv8/2":
			two = name
		}
	}
	if one == "" || two == "" {
		t.Skip("wants kernels of one lane and of two")
	}
	none := map[string]float64{}
	for _, name := range usableKernels() {
		none[name] = 1e9
	}
	for _, tt := range []struct {
		sectors, hashers int
		one, two, want   float64
	}{
		{1, 1, 100, 110, 100},
		{1, 1, 120, 110, 110}, // a lane is empty
		{2, 1, 100, 110, 110},
		{2, 2, 100, 110, 100},
		{3, 1, 100, 110, 210},
		{3, 2, 100, 110, 110},
		{5, 1, 100, 250, 500},
	} {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: make([]engine.Sector, tt.sectors), Hashers: tt.hashers, Cycles: none}
		none[one], none[two] = tt.one, tt.two
		if got := c.CyclesPerNode(); got != tt.want {
			t.Errorf("%d sectors on %d hashers, kernels of %v and %v: %v, want %v", tt.sectors, tt.hashers, tt.one, tt.two, got, tt.want)
		}
	}
}

// TestRequirements: parents count with the memory of a job, those that hashers share
// once for each NUMA node.
func TestRequirements(t *testing.T) {
	on := func(nodes ...int) (places []engine.Place) {
		for _, n := range nodes {
			places = append(places, engine.Place{Memory: hugepages.OnNode(n)})
		}
		return places
	}
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]engine.Config{
		"one hasher":             {Hashers: 1},
		"three hashers":          {Hashers: 3},
		"two NUMA nodes":         {Places: on(1, 0, 1)},
		"three":                  {Places: on(1, 0, 2)},
		"copies":                 {Places: on(1, 0, 1), NodeParents: map[int]engine.ParentSource{1: g}},
		"short runs":             {Hashers: 2, Stride: 1},
		"long runs":              {Hashers: 2, Stride: 1 << 16},
		"a run shorter, at last": {Hashers: 2, Stride: 1000},
		"far ahead":              {Hashers: 2, Lookahead: 1 << 20, Producers: 5},
		"one layer":              {Hashers: 2, MemoryMode: engine.OneLayer},
	} {
		c.Proof, c.Parents, c.Sectors = porep.StackedDrg8MiBV1_1, g, make([]engine.Sector, 3)
		var counted, scratch uint64
		d := c.WithDefaults()
		for _, r := range c.Requirements() {
			counted += r.Parents
			scratch += uint64(d.Producers) * uint64(d.Stride) * porep.Degree * 8
		}
		if taken := engine.ParentsTaken(c); counted < taken || counted > taken+scratch {
			t.Errorf("%s: %d bytes count for parents, want %d and up to %d to work them out in", name, counted, taken, scratch)
		}
	}
}
