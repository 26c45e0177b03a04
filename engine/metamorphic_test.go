package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// allKernels are the names of the kernels that run here, and "" for the default.
func allKernels() (names []string) {
	for _, k := range kernels.Kernels() {
		if k.Usable() {
			names = append(names, k.Name)
		}
	}
	return append(names, "")
}

// someKernels are those of allKernels that have least in common: the generic one, the best of
// one lane, the widest, and the default. With SDR_LONG_TESTS=1 they are all.
func someKernels() []string {
	if testkit.Long() {
		return allKernels()
	}
	names := []string{"generic/1", kernels.Best(1).Name}
	for _, k := range kernels.Kernels() {
		if best := kernels.Best(k.Lanes); best != nil && best.Lanes > lanesOf(names[len(names)-1]) {
			names = append(names[:2], best.Name)
		}
	}
	return slices.Compact(append(names, ""))
}

// sectors are n sectors with directories and replica ids of their own.
func sectors(t testing.TB, n int) (all []engine.Sector) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		s := engine.Sector{CacheDir: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.Mkdir(s.CacheDir, 0o777); err != nil {
			t.Fatal(err)
		}
		for j := range s.ReplicaID[:31] {
			s.ReplicaID[j] = byte(31*i + j)
		}
		all = append(all, s)
	}
	return all
}

func digests(t testing.TB, p porep.SealProof, sectors []engine.Sector) (all []string) {
	t.Helper()
	for _, s := range sectors {
		for layer := 1; layer <= p.Layers(); layer++ {
			all = append(all, testkit.Digest(t, layers.Path(s.CacheDir, layer)))
		}
	}
	return all
}

// randomConfig is a configuration that must make the same files as any other.
func randomConfig(r *rand.Rand, c engine.Config) engine.Config {
	pick := func(names []string) string { return names[r.IntN(len(names))] }
	c.Kernel = pick(allKernels())
	c.Hashers = 1 + r.IntN(min(3, len(c.Sectors)))
	c.Staging = engine.Staging(r.IntN(4))
	c.Producers = 1 + r.IntN(3)
	if r.IntN(2) == 0 {
		c.Producers, c.HashersPerProducer = 1, 1+r.IntN(3)
	}
	c.Stride = 1 + r.IntN(200)
	c.Lookahead = c.Stride + r.IntN(2000)
	c.MemoryMode = engine.MemoryMode(r.IntN(2))
	if c.MemoryMode == engine.OneLayer {
		c.Lookahead = 0
	}
	c.Writing = engine.Writing(r.IntN(4))
	if m := machine(); m != nil && r.IntN(2) == 0 {
		// Hashers on cores of their own, as far as there are any; producers anywhere.
		cpus := m.Allowed().Slice()
		r.Shuffle(len(cpus), func(i, j int) { cpus[i], cpus[j] = cpus[j], cpus[i] })
		c.Hashers = min(c.Hashers, len(cpus))
		c.Machine = m
		for _, cpu := range cpus[:c.Hashers] {
			p := engine.Place{Hasher: cpu, Producers: cpus[:r.IntN(len(cpus)+1)]}
			if c.HashersPerProducer > 1 {
				p.Producers = p.Producers[:min(1, len(p.Producers))]
			}
			if node, ok := m.NUMAOf(cpu); ok && r.IntN(2) == 0 {
				p.Memory = hugepages.OnNUMANode(int(m.NUMANodes()[node].ID))
			}
			c.Places = append(c.Places, p)
		}
	}
	if r.IntN(2) == 0 {
		c.Pages = []hugepages.Pages{hugepages.Pages(1 + r.IntN(4)), hugepages.Small}
	}
	return c
}

// machine is the one that we run on, nil where threads cannot be bound.
var machine = sync.OnceValue(func() *topology.Machine {
	if runtime.GOOS != "linux" {
		return nil
	}
	m, err := topology.Read()
	if err != nil {
		return nil
	}
	return m
})

func describe(c engine.Config) string {
	return fmt.Sprintf("kernel %q, %d hashers, %v staging, %d producers of %d hashers, stride %d, lookahead %d, %v, writing %v, pages %v, places %v",
		c.Kernel, c.Hashers, c.Staging, c.Producers, c.HashersPerProducer, c.Stride, c.Lookahead, c.MemoryMode, c.Writing, c.Pages, c.Places)
}

// TestMetamorphic: the same sectors make the same files, whatever the kernel, the
// lanes, the staging, the memory mode and so on.
func TestMetamorphic(t *testing.T) {
	t.Parallel()
	r, _ := testkit.Seeded(t)
	tests := []struct {
		proof   porep.SealProof
		sectors int
		rounds  int
	}{
		{porep.StackedDrg2KiBV1_1, 5, testkit.Rounds(6, 90)},
		{porep.StackedDrg2KiBV1, 3, testkit.Rounds(4, 45)},  // API 1.0.0: the predecessor is the last base parent
		{porep.StackedDrg8MiBV1_1, 2, testkit.Rounds(0, 6)}, // which takes a while: TestGolden has one
	}
	for _, tt := range tests {
		if tt.rounds == 0 {
			continue
		}
		t.Run(tt.proof.String(), func(t *testing.T) {
			plain := engine.Config{Proof: tt.proof, Sectors: sectors(t, tt.sectors), Kernel: "generic/1", Hashers: 1}
			if tt.proof.SectorSize() > 1<<20 {
				plain.Kernel = kernels.Best(1).Name
			}
			if _, err := engine.Run(t.Context(), plain); err != nil {
				t.Fatal(err)
			}
			want := digests(t, tt.proof, plain.Sectors)
			for range tt.rounds {
				c := randomConfig(r, engine.Config{Proof: tt.proof, Sectors: plain.Sectors})
				if tt.proof.SectorSize() > 1<<20 {
					if c.Kernel == "generic/1" {
						continue
					}
				}
				var hooks engine.Hooks
				if tt.proof.SectorSize() == 2<<10 {
					hooks.Cut = maybeCut(r)
				}
				if _, err := hooks.Run(t.Context(), c); err != nil {
					t.Fatalf("%s, %+v: %v", describe(c), hooks.Cut, err)
				}
				if diff := cmp.Diff(want, digests(t, tt.proof, c.Sectors)); diff != "" {
					t.Fatalf("%s, %+v: other files:\n%s", describe(c), hooks.Cut, diff)
				}
			}
		})
	}
}

// TestManyLayers: with more layers than two, buffers are used again, the layers before are loaded
// again and again, and sectors join at any layer: the files are those that come one
// sector after another, with two layers in memory.
func TestManyLayers(t *testing.T) {
	t.Parallel()
	const count = 7
	r, _ := testkit.Seeded(t)
	plain := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 4), Kernel: "generic/1", Hashers: 1, Staging: engine.Inline}
	hooks := engine.Hooks{Layers: count}
	if _, err := hooks.Run(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	all := func() (all []string) {
		for _, s := range plain.Sectors {
			for layer := 1; layer <= count; layer++ {
				all = append(all, testkit.Digest(t, layers.Path(s.CacheDir, layer)))
			}
		}
		return all
	}
	want := all()
	for range testkit.Rounds(6, 30) {
		c := randomConfig(r, engine.Config{Proof: plain.Proof, Sectors: append([]engine.Sector(nil), plain.Sectors...)})
		var firsts []int
		for i := range c.Sectors {
			// Layer 2 is the last whose sample is looked at: the proof has no more.
			beginAt(t, &c.Sectors[i], 1+r.IntN(3))
			firsts = append(firsts, c.Sectors[i].First)
		}
		hooks.Cut = maybeCut(r)
		if _, err := hooks.Run(t.Context(), c); err != nil {
			t.Fatalf("%s, %+v, from layers %d: %v", describe(c), hooks.Cut, firsts, err)
		}
		if diff := cmp.Diff(want, all()); diff != "" {
			t.Fatalf("%s, %+v, from layers %d: other files:\n%s", describe(c), hooks.Cut, firsts, diff)
		}
	}
}

// TestResume: a sector that begins at a later layer joins those that begin at the
// first, and a layer that is not what its parents make it is refused.
func TestResume(t *testing.T) {
	t.Parallel()
	const proof = porep.StackedDrg2KiBV1_1
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for _, kernel := range someKernels() {
			c := engine.Config{Proof: proof, Sectors: sectors(t, 3), MemoryMode: mode, Kernel: kernel, Hashers: 1}
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			want := digests(t, proof, c.Sectors)
			for _, who := range [][]int{{1}, {0, 1}, {0, 1, 2}} {
				again := c
				again.Sectors = append([]engine.Sector(nil), c.Sectors...)
				for _, i := range who {
					beginAt(t, &again.Sectors[i], 2)
				}
				if _, err := engine.Run(t.Context(), again); err != nil {
					t.Fatalf("%v, %q, resuming %d: %v", mode, kernel, who, err)
				}
				if diff := cmp.Diff(want, digests(t, proof, c.Sectors)); diff != "" {
					t.Errorf("%v, %q, resuming %d:\n%s", mode, kernel, who, diff)
				}
			}
			path := layers.Path(c.Sectors[1].CacheDir, 1)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			beginAt(t, &c.Sectors[1], 2)
			b[3]++
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err = engine.Run(t.Context(), c)
			var changed *engine.DigestError
			if !errors.As(err, &changed) || changed.Layer != 1 || changed.Want != c.Sectors[1].Before {
				t.Errorf("a layer before that has changed: %v", err)
			}
			beginAt(t, &c.Sectors[1], 2)
			_, err = engine.Run(t.Context(), c)
			var bad *engine.LabelError
			if !errors.As(err, &bad) || bad.Layer != 1 || bad.Node != 0 {
				t.Errorf("a wrong layer before: %v", err)
			}
			c.Sectors[1].First = 1
		}
	}
}

// TestNeighbours: a sector whose directory takes no files fails alone.
func TestNeighbours(t *testing.T) {
	for _, kernel := range allKernels() {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: kernel, Hashers: 1}
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := digests(t, c.Proof, c.Sectors)
		// Its temporary file's name is taken by a directory.
		blocked := filepath.Join(c.Sectors[1].CacheDir, ".sc-02-data-layer-2.dat.tmp")
		if err := os.Mkdir(blocked, 0o777); err != nil {
			t.Fatal(err)
		}
		c.Resume = engine.Restart
		_, err := engine.Run(t.Context(), c)
		var failed *engine.SectorError
		if !errors.As(err, &failed) || failed.Sector != 1 || strings.Count(err.Error(), "labelling sector") != 1 {
			t.Fatalf("%q: %v", kernel, err)
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		for i, s := range c.Sectors {
			if i == 1 {
				if len(fileNames(t, s.CacheDir)) != 0 && len(fileNames(t, s.CacheDir)) != 2 {
					t.Errorf("%q: left %v", kernel, fileNames(t, s.CacheDir))
				}
				continue
			}
			for layer := 1; layer <= 2; layer++ {
				if got := testkit.Digest(t, layers.Path(s.CacheDir, layer)); got != want[2*i+layer-1] {
					t.Errorf("%q: layer %d of sector %d differs", kernel, layer, i)
				}
			}
		}
	}
}

// TestStress: producers that stop and dawdle at random change no byte and stop
// nobody for ever, and a cancel at any time leaves nothing behind.
func TestStress(t *testing.T) {
	r, seed := testkit.Seeded(t)
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 4)}
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := digests(t, c.Proof, c.Sectors)
	rounds := testkit.Rounds(10, 60)
	goroutines := runtime.NumGoroutine()
	files := openFiles(t)
	var pool hugepages.Accounting
	for round := range rounds {
		c := randomConfig(r, engine.Config{Proof: c.Proof, Sectors: c.Sectors})
		c.Memory = &pool
		c.Stride = 1 + r.IntN(4)
		if c.MemoryMode == engine.TwoLayers {
			c.Lookahead = c.Stride * (1 + r.IntN(5))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancelAt := uint64(1 << 60)
		if round%3 == 0 {
			cancelAt = r.Uint64N(64)
		}
		var mu sync.Mutex
		dawdle := rand.New(rand.NewPCG(seed, uint64(round)))
		hooks := engine.Hooks{Stage: func(_ int, span uint64) {
			mu.Lock()
			n := dawdle.IntN(100)
			mu.Unlock()
			switch {
			case span == cancelAt:
				cancel()
			case n < 3:
				time.Sleep(time.Duration(n+1) * 100 * time.Microsecond)
			case n < 30:
				runtime.Gosched()
			}
		}}
		_, err := hooks.Run(ctx, c)
		cancel()
		switch {
		case err != nil && (!errors.Is(err, context.Canceled) || cancelAt == 1<<60):
			t.Fatalf("%s: %v", describe(c), err)
		case err == nil:
			if diff := cmp.Diff(want, digests(t, c.Proof, c.Sectors)); diff != "" {
				t.Fatalf("%s: other files:\n%s", describe(c), diff)
			}
		}
		if usage := pool.Total(); usage.Current != 0 {
			t.Fatalf("%s: memory is left: %+v", describe(c), usage)
		}
		for _, s := range c.Sectors {
			for _, name := range fileNames(t, s.CacheDir) {
				if strings.HasPrefix(name, ".") {
					t.Fatalf("%s: left %s", describe(c), name)
				}
			}
		}
	}
	testkit.WaitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines })
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open, %d were", now, files)
	}
}

// openFiles is how many files this process has open, where the system tells.
func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// TestFailedFirst: a sector that could not begin has no say in which layers the others
// in its batch have made.
func TestFailedFirst(t *testing.T) {
	k := kernels.Best(2)
	if k == nil {
		t.Skip("wants a kernel of two lanes")
	}
	const count = 4
	for blocked := range 2 {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 2), Kernel: k.Name, Hashers: 1, Progress: new(engine.Progress)}
		hooks := engine.Hooks{Layers: count}
		if _, err := hooks.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		other := 1 - blocked
		want := testkit.Digest(t, layers.Path(c.Sectors[other].CacheDir, count))
		if err := os.Mkdir(filepath.Join(c.Sectors[blocked].CacheDir, ".sc-02-data-layer-4.dat.tmp"), 0o777); err != nil {
			t.Fatal(err)
		}
		c.Resume = engine.Restart
		beginAt(t, &c.Sectors[other], 3)
		lowest := count
		var mu sync.Mutex
		hooks.Stage = func(int, uint64) {
			mu.Lock()
			defer mu.Unlock()
			h := c.Progress.Hashers()[0]
			lowest = min(lowest, h.Layer)
			if left := h.Left.First + h.Left.Later; left > 2*64 {
				t.Errorf("%d nodes are left of 128", left)
			}
		}
		_, err := hooks.Run(t.Context(), c)
		var failed *engine.SectorError
		if !errors.As(err, &failed) || failed.Sector != blocked {
			t.Fatal(err)
		}
		if lowest != 3 {
			t.Errorf("sector %d failed: layer %d was made, want none below 3", blocked, lowest)
		}
		if h := c.Progress.Hashers()[0]; h.Nodes != 2*64 || h.Labels != 2*64 || h.Left != (engine.Left{}) {
			t.Errorf("sector %d failed: at the end %+v", blocked, h)
		}
		if got := testkit.Digest(t, layers.Path(c.Sectors[other].CacheDir, count)); got != want {
			t.Errorf("sector %d failed: layer %d of the other one differs", blocked, count)
		}
	}
}
