package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

func parseProof(t testing.TB, name string) porep.SealProof {
	t.Helper()
	p, err := porep.ParseSealProof(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parseReplicaID(t testing.TB, text string) porep.ReplicaID {
	t.Helper()
	id, err := porep.ParseReplicaID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// beginAt has a sector begin at a layer, as a job does that has noted the digest of the one
// before.
func beginAt(t testing.TB, s *engine.Sector, first int) {
	t.Helper()
	if s.First = first; first > 1 {
		b, err := os.ReadFile(layers.Path(s.CacheDir, first-1))
		if err != nil {
			t.Fatal(err)
		}
		s.Before = sha256.Sum256(b)
	}
}

func usableKernels() (names []string) {
	for _, k := range kernels.Kernels() {
		if k.Usable() && strings.HasPrefix(k.Name, os.Getenv("SDR_TEST_KERNELS")) {
			names = append(names, k.Name)
		}
	}
	return names
}

// isWide reports whether a kernel takes seconds for what others do in one: it has many lanes,
// and most of them empty.
func isWide(kernel string) bool { return lanesOf(kernel) > 4 }

func lanesOf(kernel string) int {
	k, err := kernels.ByName(kernel)
	if err != nil {
		return 0
	}
	return k.Lanes
}

// isSlow reports whether a kernel takes many times as long as those of this machine's own
// instructions for SHA-256, if there are any.
func isSlow(kernel string) bool {
	return kernel == "generic/1" || kernel == "avx2/8" && kernels.Best(1).Name != "generic/1"
}

// TestGolden labels the golden sectors, those of a proof together, with every kernel
// that runs here, in every way of staging and every memory mode. Layers' memory holds at first
// what files of huge pages may hold: other labels, and no zeros.
func TestGolden(t *testing.T) {
	byProof := map[string][]golden.Sector{}
	for _, s := range golden.Sectors() {
		byProof[s.RegisteredProof] = append(byProof[s.RegisteredProof], s)
	}
	for name, sectors := range byProof {
		proof := parseProof(t, name)
		if proof.SectorSize() > 8<<20 {
			continue // the command's long test has it
		}
		for _, kernel := range usableKernels() {
			for staging := engine.Inline; staging <= engine.Hybrid; staging++ {
				for mode := engine.TwoLayers; mode <= engine.OneLayer; mode++ {
					// Proofs differ in their graph, and features in the replica id alone, not in what a kernel does.
					if kernel != kernels.Best(1).Name && proof != porep.StackedDrg2KiBV1_1 && proof != porep.StackedDrg8MiBV1_1 && !testkit.Long() {
						continue
					}
					// A large sector takes a while, in a slow kernel, or one of many lanes, seconds.
					if proof.SectorSize() > 2<<10 {
						plain := staging == engine.Inline && mode == engine.TwoLayers
						other := proof != porep.StackedDrg8MiBV1_1
						switch {
						case testing.Short(), isSlow(kernel) && !(plain && testkit.Long()):
							continue
						case testkit.Long() && kernel != kernels.Best(1).Name && (other || isWide(kernel) && !plain):
							continue // all sectors, all ways and all kernels, but not each in each
						case testkit.Long():
						// One kernel, each mode and each API version: 2 KiB have all.
						case kernel != kernels.Best(1).Name,
							!(proof == porep.StackedDrg8MiBV1_1 && staging == engine.Hybrid && mode == engine.OneLayer || proof == porep.StackedDrg8MiBV1 && plain):
							continue
						}
					}
					t.Run(fmt.Sprintf("%s/%s/%v/%v", name, kernel, staging, mode), func(t *testing.T) {
						t.Parallel()
						stale := engine.Hooks{Taken: func(layers []byte) {
							for n := copy(layers, "what others left"); n < len(layers); n *= 2 {
								copy(layers[n:], layers[:n])
							}
						}}
						checkGoldenWith(t, stale, sectors, engine.Config{Proof: proof, Kernel: kernel, Staging: staging, MemoryMode: mode, Hashers: 1})
					})
				}
			}
		}
	}
}

// checkGolden labels golden sectors, and holds the files against the reference's.
func checkGolden(t *testing.T, sectors []golden.Sector, c engine.Config) engine.Result {
	t.Helper()
	return checkGoldenWith(t, engine.Hooks{}, sectors, c)
}

func checkGoldenWith(t *testing.T, hooks engine.Hooks, sectors []golden.Sector, c engine.Config) engine.Result {
	t.Helper()
	for _, s := range sectors {
		c.Sectors = append(c.Sectors, engine.Sector{ReplicaID: parseReplicaID(t, s.ReplicaID), CacheDir: t.TempDir()})
	}
	result, err := hooks.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kernel != "" && result.Kernel != c.Kernel {
		t.Errorf("kernel %s ran, want %s", result.Kernel, c.Kernel)
	}
	entries := 0
	for i, s := range sectors {
		entries += len(s.Layers)
		dir := c.Sectors[i].CacheDir
		for j, l := range s.Layers {
			if got := testkit.Digest(t, layers.Path(dir, j+1)); got != l.SHA256 {
				t.Errorf("%s: layer %d has digest %s, want %s", s.Name, j+1, got, l.SHA256)
			}
		}
		if got := fileNames(t, dir); len(got) != len(s.Layers) {
			t.Errorf("%s: files %q, want %d layers and nothing else", s.Name, got, len(s.Layers))
		}
	}
	if len(result.Layers) != entries {
		t.Fatalf("figures of %d layers, want %d", len(result.Layers), entries)
	}
	return result
}

// TestLayer1 labels the beginning of layer 1 of 32 and 64 GiB sectors, whose
// nodes have their parents near by.
func TestLayer1(t *testing.T) {
	for _, c := range golden.Layers1() {
		if testing.Short() && c.RegisteredProof != porep.StackedDrg32GiBV1_1.String() {
			continue
		}
		if p := parseProof(t, c.RegisteredProof); !testkit.Long() && p != porep.StackedDrg32GiBV1_1 && p != porep.StackedDrg64GiBV1 {
			continue // both sizes, both API versions; package graph has the parents of all
		}
		newGraph := sync.OnceValues(func() (*graph.Graph, error) { return graph.New(parseProof(t, c.RegisteredProof)) })
		for _, kernel := range usableKernels() {
			if kernel != kernels.Best(1).Name && c.RegisteredProof != porep.StackedDrg32GiBV1_1.String() {
				continue // seconds each: every kernel has one graph, and one kernel has more
			}
			if testing.Short() && isSlow(kernel) && kernel != kernels.Best(1).Name {
				continue
			}
			wider := func(other string) bool { return lanesOf(other) > lanesOf(kernel) }
			if k := kernels.Best(lanesOf(kernel)); isWide(kernel) && (k.Name != kernel || slices.ContainsFunc(usableKernels(), wider)) && !testkit.Long() {
				continue // of those of many lanes, only the widest that is chosen
			}
			t.Run(c.RegisteredProof+"/"+kernel, func(t *testing.T) {
				t.Parallel()
				g, err := newGraph()
				if err != nil {
					t.Fatal(err)
				}
				k, err := kernels.ByName(kernel)
				if err != nil {
					t.Fatal(err)
				}
				region, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: c.Count * uint64(k.Pitch())})
				if err != nil {
					t.Fatal(err)
				}
				defer region.Free()
				// The sector in the last lane, another in the others.
				l := &kernels.Layer{ReplicaIDs: make([][32]byte, k.Lanes), Number: 1, Labels: region.Bytes()}
				l.ReplicaIDs[k.Lanes-1] = parseReplicaID(t, c.ReplicaID)
				const stride = 64
				parents := make([]uint32, (stride+kernels.Ahead)*porep.Degree)
				for first := uint64(0); first < c.Count; first += stride {
					if err := g.Parents(parents, first); err != nil {
						t.Fatal(err)
					}
					if err := k.Label(l, first, stride, parents); err != nil {
						t.Fatal(err)
					}
				}
				labels := make([]byte, c.Count*porep.NodeSize)
				if err := k.Unpack(labels, l.Labels, k.Lanes-1); err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(labels)
				if diff := cmp.Diff([]string{c.SHA256, c.LastLabel}, []string{
					hex.EncodeToString(sum[:]), hex.EncodeToString(labels[len(labels)-porep.NodeSize:]),
				}); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// fileNames are those of a cache dir, but for a manifest that can be read, and what it says is
// being made.
func fileNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(t.Context(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, e := range entries {
		counted := e.Name() == manifest.Name
		for layer := 1; m != nil && layer <= 11; layer++ {
			_, begun := m.Part(layer)
			counted = counted || begun && e.Name() == "."+layers.Name(layer)+".tmp"
		}
		if !counted {
			names = append(names, e.Name())
		}
	}
	return names
}

// oneSector is a small job that works.
func oneSector(dir string) engine.Config {
	return engine.Config{
		Proof:   porep.StackedDrg2KiBV1_1,
		Sectors: []engine.Sector{{ReplicaID: porep.ReplicaID{1}, CacheDir: dir}},
	}
}

// TestManySectors: sectors of one job come out as each alone.
func TestManySectors(t *testing.T) {
	job := oneSector(t.TempDir())
	job.Sectors = append(job.Sectors, engine.Sector{ReplicaID: porep.ReplicaID{2}, CacheDir: t.TempDir()})
	progress := new(engine.Progress)
	job.Progress = progress
	if _, err := engine.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if done, total := progress.Labels(); done != 2*2*64 || total != done {
		t.Errorf("progress says %d labels of %d, want 256 of 256", done, total)
	}
	for _, s := range job.Sectors {
		alone := oneSector(t.TempDir())
		alone.Sectors[0].ReplicaID = s.ReplicaID
		if _, err := engine.Run(t.Context(), alone); err != nil {
			t.Fatal(err)
		}
		for layer := 1; layer <= 2; layer++ {
			if testkit.Digest(t, layers.Path(s.CacheDir, layer)) != testkit.Digest(t, layers.Path(alone.Sectors[0].CacheDir, layer)) {
				t.Errorf("layer %d of sector %v differs", layer, s.ReplicaID)
			}
		}
	}
}

// TestExistingLayers: a layer file that is there is not believed.
func TestExistingLayers(t *testing.T) {
	want, got := oneSector(t.TempDir()), oneSector(t.TempDir())
	dir := got.Sectors[0].CacheDir
	if err := os.WriteFile(layers.Path(dir, 1), make([]byte, 2048), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []engine.Config{want, got} {
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := testkit.Digest(t, layers.Path(want.Sectors[0].CacheDir, 1)), testkit.Digest(t, layers.Path(dir, 1)); a != b {
		t.Errorf("layer 1 has digest %s, want %s", b, a)
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	layerDir := t.TempDir()
	if err := os.Mkdir(layers.Path(layerDir, 2), 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	tests := []struct {
		name  string
		edit  func(*engine.Config)
		wants []string // parts of the message
	}{
		{"unknown proof", func(c *engine.Config) { c.Proof = 99 }, []string{`"99" is not registered`, "StackedDrg32GiBV1_1"}},
		{"unknown kernel", func(c *engine.Config) { c.Kernel = "abacus/7" }, []string{`"abacus/7"`, "generic/1"}},
		{"no sectors", func(c *engine.Config) { c.Sectors = nil }, []string{"sectors: none"}},
		{"too many hashers", func(c *engine.Config) {
			c.Hashers, c.Staging = 1<<60, engine.Producers
		}, []string{"hashers: 1152921504606846976 is not between 1 and 1"}},
		{"missing cache dir", func(c *engine.Config) { c.Sectors[0].CacheDir = missing }, []string{"cache dir of sector 0", missing}},
		{"cache dir is a file", func(c *engine.Config) { c.Sectors[0].CacheDir = file }, []string{file, "not a directory"}},
		{"cache dir twice", func(c *engine.Config) {
			c.Sectors = append(c.Sectors, engine.Sector{CacheDir: link})
		}, []string{"cache dir of sector 1", link, "sector 0"}},
		{"layer is a directory", func(c *engine.Config) { c.Sectors[0].CacheDir = layerDir }, []string{layers.Path(layerDir, 2), "not a file"}},
		{"all at once", func(c *engine.Config) {
			c.Kernel = "abacus/7"
			c.Sectors[0].CacheDir = missing
		}, []string{`"abacus/7"`, missing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := oneSector(dir)
			tt.edit(&c)
			_, err := engine.Run(t.Context(), c)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if got := fileNames(t, dir); len(got) > 0 {
				t.Errorf("left %q", got)
			}
		})
	}
}

// TestDefaultLookahead: producers that have to share a core are far ahead, those that copy
// a single lane some more than others.
func TestDefaultLookahead(t *testing.T) {
	for want, configs := range map[int][]engine.Config{
		4096:    {{Staging: engine.Hybrid}, {Staging: engine.Hybrid, Stride: 4096}},
		8192:    {{Staging: engine.Producers, Kernel: "generic/1"}},
		32768:   {{Staging: engine.Inline}, {Staging: engine.Hybrid, MemoryMode: engine.OneLayer}, {Staging: engine.Producers, MemoryMode: engine.OneLayer}},
		1 << 16: {{Staging: engine.Inline, Stride: 1 << 16}, {Staging: engine.Hybrid, Stride: 1 << 16}},
	} {
		if k := kernels.Best(2); k != nil && want == 4096 {
			configs = append(configs, engine.Config{Staging: engine.Producers, Kernel: k.Name})
		}
		for _, c := range configs {
			c.Sectors = make([]engine.Sector, 2)
			if got := c.WithDefaults().Lookahead; got != want {
				t.Errorf("%v, %v, kernel %q, stride %d: lookahead %d, want %d", c.Staging, c.MemoryMode, c.Kernel, c.Stride, got, want)
			}
		}
	}
}

// badParents fails, or yields nodes that are not there, from a node on.
type badParents struct {
	from uint64
	err  error
}

func (b badParents) Parents(dst []uint32, first uint64) error {
	clear(dst)
	if first+uint64(len(dst)/porep.Degree) > b.from {
		if b.err == nil {
			dst[0] = 1 << 31
		}
		return b.err
	}
	return nil
}

var errParents = errors.New("no parents today")

// TestFailures: whatever fails, nothing is left, and no goroutine either.
func TestFailures(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		edit func(*engine.Config)
		is   func(error) bool
	}{
		{"canceled", canceled, func(*engine.Config) {}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"parents fail", t.Context(), func(c *engine.Config) { c.Parents = badParents{err: errParents} },
			func(err error) bool { return errors.Is(err, errParents) }},
		{"parents out of range", t.Context(), func(c *engine.Config) { c.Parents = badParents{} },
			func(err error) bool { return errors.As(err, new(*kernels.SpanError)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			c := oneSector(t.TempDir())
			tt.edit(&c)
			if _, err := engine.Run(tt.ctx, c); !tt.is(err) {
				t.Errorf("error %v", err)
			}
			if got := fileNames(t, c.Sectors[0].CacheDir); len(got) > 0 {
				t.Errorf("left %q", got)
			}
			testkit.WaitFor(t, func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// TestCancel stops a job in the middle of its second layer: the first, which is
// complete, stays.
func TestCancel(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute under emulation: TestResumeAnyWay cancels small sectors at any moment")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := oneSector(t.TempDir())
	c.Proof = porep.StackedDrg8MiBV1_1
	g, err := graph.New(c.Proof)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	c.Parents = hooked{g, func() {
		if calls++; calls == 3000 { // of 2048 a layer
			testkit.WaitFor(t, func() bool {
				_, err := os.Stat(layers.Path(c.Sectors[0].CacheDir, 1))
				return err == nil
			})
			cancel()
		}
	}}
	if _, err := engine.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"sc-02-data-layer-1.dat"}, fileNames(t, c.Sectors[0].CacheDir)); diff != "" {
		t.Error(diff)
	}
}

// hooked is a source of parents that calls before each answer.
type hooked struct {
	engine.ParentSource
	before func()
}

func (h hooked) Parents(dst []uint32, first uint64) error {
	h.before()
	return h.ParentSource.Parents(dst, first)
}

// TestCancelOther: after an interrupted job, no layer of another sector is left.
func TestCancelOther(t *testing.T) {
	c := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Sectors[0].ReplicaID[0]++
	c.Resume = engine.ResumeOrReplace
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := fileNames(t, c.Sectors[0].CacheDir); len(got) > 0 {
		t.Errorf("left %q", got)
	}
}

// TestWriterFails: a layer that cannot get its name ends the job.
func TestWriterFails(t *testing.T) {
	before := runtime.NumGoroutine()
	c := oneSector(t.TempDir())
	path := layers.Path(c.Sectors[0].CacheDir, 1)
	g, err := graph.New(c.Proof)
	if err != nil {
		t.Fatal(err)
	}
	c.Parents = hooked{g, func() { os.Remove(filepath.Join(filepath.Dir(path), durable.TempName(filepath.Base(path)))) }}
	_, err = engine.Run(t.Context(), c)
	if !errors.Is(err, engine.ErrLost) || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("layer 1: %v", err)
	}
	testkit.WaitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

// TestBusy: a second job in a cache dir is refused, and the first not disturbed.
func TestBusy(t *testing.T) {
	first := oneSector(t.TempDir())
	g, err := graph.New(first.Proof)
	if err != nil {
		t.Fatal(err)
	}
	var second error
	calls := 0
	first.Parents = hooked{g, func() {
		if calls++; calls == 1 {
			_, second = engine.Run(t.Context(), oneSector(first.Sectors[0].CacheDir))
		}
	}}
	if _, err := engine.Run(t.Context(), first); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" && !errors.Is(second, engine.ErrBusy) {
		t.Errorf("second job: %v", second)
	}
	if got := fileNames(t, first.Sectors[0].CacheDir); len(got) != 2 {
		t.Errorf("files %q, want two layers", got)
	}
}
