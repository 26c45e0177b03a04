package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// The collector, at work meanwhile, leaves kernels the memory that they read: the race
// detector looks at each pointer.
func TestTimeKernelsWhileCollecting(t *testing.T) {
	var done atomic.Bool
	collecting := make(chan struct{})
	go func() {
		defer close(collecting)
		for !done.Load() {
			runtime.GC()
		}
	}()
	for range testkit.Rounds(1, 3) {
		engine.TimeKernels(16)
	}
	done.Store(true)
	<-collecting
}

// TestTimeKernels: every kernel that runs here and may label so many sectors has a time, unless
// the core is too busy, and no other: one sector does not wait for kernels of many lanes.
func TestTimeKernels(t *testing.T) {
	lanes := map[string]int{}
	for _, k := range kernels.Kernels() {
		lanes[k.Name] = k.Lanes
	}
	for sectors, most := range map[int]int{0: 1, 1: 1, 2: 3, 4: 7, 100: 199} {
		times := engine.TimeKernels(sectors)
		if times == nil {
			t.Skip("this core has too much else to do")
		}
		for _, name := range usableKernels() {
			if got := times[name]; got > 0 != (lanes[name] <= most) {
				t.Errorf("%d sectors, %s: %v", sectors, name, got)
			}
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
	for _, k := range kernels.Kernels() {
		none[k.Name] = 1e9
	}
	for _, tt := range []struct {
		sectors, hashers int
		one, two, want   float64
	}{
		{1, 1, 100, 110, 100},
		{1, 1, 120, 110, 120}, // no lane is empty
		{2, 1, 100, 110, 110},
		{2, 1, 100, 250, 200},
		{2, 1, 100, 210, 210}, // no more than noise

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

// TestNoisyCycles: whatever a noisy measurement says, no kernel has more empty lanes than
// sectors, one sector has none, and the choice is the typical one as long as noise is all there is.
func TestNoisyCycles(t *testing.T) {
	lanes := map[string]int{}
	for _, k := range kernels.Kernels() {
		lanes[k.Name] = k.Lanes
	}
	rapid.Check(t, func(t *rapid.T) {
		c := engine.Config{Proof: porep.StackedDrg32GiBV1_1, Hashers: 1}
		c.Sectors = make([]engine.Sector, rapid.IntRange(1, 40).Draw(t, "sectors"))
		typical := engine.Kernels(c)
		wild := rapid.Bool().Draw(t, "interrupted")
		c.Cycles = map[string]float64{}
		for _, k := range kernels.Kernels() { // in this order, so that rapid can repeat it
			name := k.Name
			// A busy core makes a kernel seem slower, never faster.
			seems := 1 + rapid.Float64Range(0, engine.Noise).Draw(t, name)
			if wild {
				seems = rapid.Float64Range(1, 100).Draw(t, name)
			}
			c.Cycles[name] = engine.TypicalCycles(name) * seems / 3 // in another unit
		}
		chosen := engine.Kernels(c)
		if !wild && !slices.Equal(chosen, typical) {
			t.Fatalf("%d sectors: %q, want the typical %q", len(c.Sectors), chosen, typical)
		}
		left := len(c.Sectors)
		for _, name := range chosen {
			if lanes[name] >= 2*left {
				t.Fatalf("%d sectors on %q: %d for the last", len(c.Sectors), chosen, left)
			}
			left -= min(left, lanes[name])
		}
		if left != 0 {
			t.Fatalf("%d sectors on %q: %d are left", len(c.Sectors), chosen, left)
		}
		if len(c.Sectors) == 1 && c.Requirements()[0].Layers != 2*uint64(c.Proof.SectorSize()) {
			t.Fatalf("one sector takes %d bytes for layers", c.Requirements()[0].Layers)
		}
	})
}

// TestAskedLanes: who names a kernel gets it, empty lanes and all.
func TestAskedLanes(t *testing.T) {
	wide := kernels.Best(2)
	if wide == nil {
		t.Skip("no kernel of two lanes")
	}
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: make([]engine.Sector, 1), Kernel: wide.Name}
	if got := engine.Kernels(c); !slices.Equal(got, []string{wide.Name}) {
		t.Errorf("%q", got)
	}
}

// TestShortest: of a kernel's times the shortest counts, if another one agrees; on a core
// that is never free nothing does, and the choice is the typical one.
func TestShortest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pass := func(takes time.Duration, interrupted float64) func() time.Duration {
		return func() time.Duration {
			if random.Float64() < interrupted {
				return takes + time.Duration(random.Int64N(int64(100*takes)))
			}
			return takes + time.Duration(random.Int64N(int64(takes/100)))
		}
	}
	counted, unknown := 0, 0
	for range 600 {
		passes := map[string]func() time.Duration{}
		for _, k := range kernels.Kernels() {
			passes[k.Name] = pass(time.Duration(engine.TypicalCycles(k.Name)), 0.5)
		}
		times := engine.Shortest(passes)
		if times == nil {
			unknown++
		} else {
			counted++
		}
		for name, took := range times {
			if typical := engine.TypicalCycles(name); took < typical || took > typical*1.05 {
				t.Errorf("%s takes %v, seemed to take %v", name, typical, took)
			}
		}
		for n := 1; n <= 16; n++ {
			c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: make([]engine.Sector, n), Hashers: 1}
			want := engine.Kernels(c)
			if c.Cycles = times; !slices.Equal(engine.Kernels(c), want) {
				t.Fatalf("%d sectors on %q, want %q", n, engine.Kernels(c), want)
			}
		}
	}
	if counted == 0 {
		t.Error("no kernel was ever timed")
	}
	calls := 0
	never := map[string]func() time.Duration{"generic/1": func() time.Duration { calls++; return time.Duration(1000 + 100*calls*calls) }}
	if times := engine.Shortest(never); times != nil || calls != engine.MostPasses {
		t.Errorf("times that differ always: %v after %d passes", times, calls)
	}
	fails := map[string]func() time.Duration{"generic/1": func() time.Duration { return 0 }}
	if times := engine.Shortest(fails); len(times) != 0 {
		t.Errorf("a kernel that does not run takes %v", times)
	}
}

// TestThreadClock: what a thread waits for is none of its time.
func TestThreadClock(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first, _ := linux.ThreadTime()
	if second, known := linux.ThreadTime(); !known || second == first {
		t.Skip("a thread's time is not known here, or not as finely")
	}
	const waits = 20 * time.Millisecond
	clock := engine.ThreadClock()
	before := clock()
	time.Sleep(waits)
	if took := clock() - before; took <= 0 || took >= waits {
		t.Errorf("a thread that waited for %v had the CPU for %v", waits, took)
	}
}

// TestTimedOnBusyCore: on a core that other threads have most of the time, in the middle of nearly
// every pass, kernels are as fast as on a quiet one by the time that their thread has had.
func TestTimedOnBusyCore(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var thread, wall time.Duration
	timed := func(clock *time.Duration) map[string]float64 {
		passes := map[string]func() time.Duration{}
		for _, k := range kernels.Kernels() {
			takes := time.Duration(engine.TypicalCycles(k.Name))
			passes[k.Name] = func() time.Duration {
				began := *clock
				took := takes + time.Duration(random.Int64N(int64(takes/100)))
				wall += took
				if random.Float64() < 0.97 { // comes back to a cache that is somebody else's
					took += time.Duration(random.Int64N(int64(takes / 10)))
					wall += time.Duration(random.Int64N(int64(300 * takes)))
				}
				thread += took
				return *clock - began
			}
		}
		return engine.Shortest(passes)
	}
	unknown := 0
	for range 100 {
		if timed(&wall) == nil {
			unknown++
		}
		times := timed(&thread)
		if times == nil {
			t.Fatal("nothing is known of any kernel")
		}
		for n := 1; n <= 32; n++ {
			c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: make([]engine.Sector, n), Hashers: 1}
			want := engine.Kernels(c)
			if c.Cycles = times; !slices.Equal(engine.Kernels(c), want) {
				t.Fatalf("%d sectors on %q, want %q", n, engine.Kernels(c), want)
			}
		}
	}
	if unknown == 0 { // by the clock on the wall
		t.Error("this core was not busy")
	}
}

// TestSmallSectorTakesLittle: what producers are ahead is bounded, by the sector and in all.
func TestSmallSectorTakesLittle(t *testing.T) {
	g := uint64(1 << 30)
	c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Lookahead: 1 << 22, Staging: engine.Producers, Kernel: "generic/1"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if r := c.Requirements()[0]; r.Rings+r.Parents > g/4 {
		t.Errorf("%d nodes ahead take %d bytes of a sector of %v", c.Lookahead, r.Rings+r.Parents, c.Proof.SectorSize())
	}
	for _, c := range []engine.Config{
		{Producers: 1 << 10, Stride: 1 << 16, Lookahead: 1 << 16, Staging: engine.Inline},
		{Proof: porep.StackedDrg32GiBV1_1, Lookahead: 1 << 22, Staging: engine.Producers, Kernel: "generic/1"},
	} {
		if c.Proof == 0 {
			c.Proof = porep.StackedDrg8MiBV1_1
		}
		c.Sectors = sectors(t, 1)
		r := c.Requirements()[0]
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(%d bytes) of each hasher's memory, want 1 GiB at most", r.Rings+r.Parents)) {
			t.Errorf("%d bytes ahead: error %v", r.Rings+r.Parents, err)
		}
	}
	// Nothing that nobody asked for is refused, of the widest kernel either.
	for _, k := range kernels.Kernels() {
		for _, staging := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
			for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
				c := engine.Config{Proof: porep.StackedDrg32GiBV1_1, Sectors: make([]engine.Sector, k.Lanes), Hashers: 1, Kernel: k.Name, Staging: staging, MemoryMode: mode}
				if r := c.Requirements()[0]; r.Rings+r.Parents > g {
					t.Errorf("%s, %v, %v: %d bytes ahead", k.Name, staging, mode, r.Rings+r.Parents)
				}
			}
		}
	}
}

// TestManySectorsRefused: a million sectors are refused at once, before anything else is
// looked at.
func TestManySectorsRefused(t *testing.T) {
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: make([]engine.Sector, 1<<20)}
	want := fmt.Sprintf("engine: checking configuration: sectors: 1048576 are more than one job takes, %d", engine.MaxSectors)
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestRequirements: parents count with the memory of a job, those that hashers share
// once for each NUMA node.
func TestRequirements(t *testing.T) {
	on := func(nodes ...int) (places []engine.Place) {
		for _, n := range nodes {
			places = append(places, engine.Place{Memory: hugepages.OnNUMANode(n)})
		}
		return places
	}
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]engine.Config{
		"one hasher":              {Hashers: 1},
		"three hashers":           {Hashers: 3},
		"two NUMA nodes":          {Places: on(1, 0, 1)},
		"three":                   {Places: on(1, 0, 2)},
		"copies":                  {Places: on(1, 0, 1), NUMAParents: map[topology.NUMANodeID]engine.ParentSource{1: g}},
		"short spans":             {Hashers: 2, Stride: 1},
		"long spans":              {Hashers: 2, Stride: 1 << 16},
		"a span shorter, at last": {Hashers: 2, Stride: 1000},
		"far ahead":               {Hashers: 2, Lookahead: 1 << 20, Producers: 5},
		"a producer for both":     {Hashers: 2, HashersPerProducer: 2},
		"one layer":               {Hashers: 2, MemoryMode: engine.OneLayer},
		"read":                    {Hashers: 2, Parents: readParents{g}},
		"copies that are read":    {Places: on(1, 0, 1), NUMAParents: map[topology.NUMANodeID]engine.ParentSource{1: readParents{g}}},
	} {
		c.Proof, c.Sectors = porep.StackedDrg8MiBV1_1, make([]engine.Sector, 3)
		if c.Parents == nil {
			c.Parents = g
		}
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

// readParents are parents that, like those in a file, are not computed.
type readParents struct{ engine.ParentSource }

var suggestion = regexp.MustCompile(`; (nothing fits: the smallest, )?(\S+) mode with (\d+) hashers?(?: and kernel ([^ ,]+))?,? takes [0-9.]+ [KMGT]iB \((\d+) bytes\)$`)

// TestBudget: a job that is too large is told what it takes, and what would fit, or take
// least: that is so to the byte.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		proof   porep.SealProof
		sectors int
		budget  uint64
		want    string // the beginning
		fits    bool
	}{
		{porep.StackedDrg32GiBV1_1, 1, 40 << 30, "budget: 40 GiB, but 1 sector on 1 hasher in two-layers mode takes 64 GiB (", true},
		{porep.StackedDrg32GiBV1_1, 1, 1, "budget: 1 bytes, but 1 sector on 1 hasher in two-layers mode takes 64 GiB (", false},
		{porep.StackedDrg8MiBV1_1, 3, 35<<20 + 1, "budget: 35 MiB (36700161 bytes), but 3 sectors on 1 hasher in two-layers mode take ", true},
		{porep.StackedDrg8MiBV1_1, 2, 1 << 10, "budget: 1 KiB, but 2 sectors on 1 hasher in two-layers mode take ", false},
	} {
		c := engine.Config{Proof: tt.proof, Sectors: sectors(t, tt.sectors), Hashers: 1, Staging: engine.Inline, Budget: tt.budget}
		if tt.sectors == 3 {
			wide := kernels.Best(8)
			if wide == nil {
				continue
			}
			c.Kernel = wide.Name
		}
		var refused *engine.ConfigError
		err := c.Validate()
		if !errors.As(err, &refused) || refused.Part != "budget" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q", tt.proof, err, tt.want)
			continue
		}
		m := suggestion.FindStringSubmatch(err.Error())
		if m == nil || (m[1] == "") != tt.fits {
			t.Errorf("%v: error %v, want a suggestion that fits: %v", tt.proof, err, tt.fits)
			continue
		}
		if c.MemoryMode, err = engine.ParseMemoryMode(m[2]); err != nil {
			t.Fatal(err)
		}
		c.Hashers, _ = strconv.Atoi(m[3])
		if m[4] != "" {
			c.Kernel = m[4]
		}
		c.Budget, _ = strconv.ParseUint(m[5], 10, 64)
		if err := c.Validate(); err != nil {
			t.Errorf("%v, as suggested by %q: %v", tt.proof, refused.Reason, err)
		}
		if c.Budget--; c.Validate() == nil {
			t.Errorf("%v: %q is more than that takes", tt.proof, refused.Reason)
		}
	}
}

// TestBudgetAhead: no mode is suggested that would be refused.
func TestBudgetAhead(t *testing.T) {
	c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Staging: engine.Inline, Lookahead: 1 << 14, Budget: 15 << 20}
	c.MemoryMode = engine.OneLayer
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "a segment ahead, 8192 nodes") {
		t.Errorf("error %v", err)
	}
	c.MemoryMode = engine.TwoLayers
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "; budget mode with 1 hasher takes ") {
		t.Errorf("error %v", err)
	}
	c.MemoryMode = engine.Budget
	if err := c.Validate(); err != nil {
		t.Errorf("what was suggested: %v", err)
	}
}

// TestOverhead: what a plan counts for a job besides its layers is no less than what the
// job takes, of one sector or as many as any kernel has lanes.
func TestOverhead(t *testing.T) {
	for _, proof := range []porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg512MiBV1_1, porep.StackedDrg32GiBV1_1, porep.StackedDrg64GiBV1_1} {
		for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
			for _, staging := range []engine.Staging{engine.Inline, engine.Producers, engine.Hybrid} {
				for _, k := range kernels.Kernels() {
					if !k.Usable() {
						continue
					}
					c := engine.Config{Proof: proof, Sectors: make([]engine.Sector, k.Lanes), Kernel: k.Name, Hashers: 1, MemoryMode: mode, Staging: staging}
					r := c.Requirements()[0]
					took := r.Total() - r.Layers
					// Far parents that a plan does not count with the layers, either.
					took += r.Layers - uint64(k.Lanes)*mode.InMemory(uint64(proof.SectorSize()))
					if want := mode.Overhead(uint64(proof.SectorSize()), k.Lanes); took > want {
						t.Errorf("%v, %v, %v, %s: takes %d bytes besides, more than the %d planned", proof, mode, staging, k.Name, took, want)
					}
				}
			}
		}
	}
}

// TestLayersInMemory: what a plan counts for a sector is what a job takes for its layers,
// but for a few more far parents.
func TestLayersInMemory(t *testing.T) {
	for mode, few := range map[engine.MemoryMode]uint64{engine.TwoLayers: 0, engine.OneLayer: 2 * 4096 * porep.NodeSize} {
		c := engine.Config{Proof: porep.StackedDrg32GiBV1_1, Sectors: make([]engine.Sector, 1), Kernel: kernels.Best(1).Name, MemoryMode: mode}
		want := mode.InMemory(uint64(c.Proof.SectorSize())) + few
		if got := c.Requirements()[0].Layers; got != want {
			t.Errorf("%v: %d bytes for layers, want %d", mode, got, want)
		}
	}
}
