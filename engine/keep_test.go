package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// atOps looks at each operation of a job.
type atOps func(op *durable.Op)

func (f atOps) Before(op *durable.Op) error { f(op); return nil }
func (f atOps) After(op *durable.Op) error  { f(op); return nil }

// layerFiles are a cache dir's layers, whole ones and those that grow.
func layerFiles(t testing.TB, dir string) (whole, growing []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		if layers.IsLayer(e.Name()) {
			whole = append(whole, e.Name())
		} else if strings.HasPrefix(e.Name(), ".sc-02-data-layer-") {
			growing = append(growing, e.Name())
		}
	}
	return whole, growing
}

// notTooMany makes sure that a layer takes no more than an eighth of its space until the one before the
// one before it is gone.
func notTooMany(t *testing.T, p porep.SealProof, op *durable.Op) {
	var layer int
	if _, err := fmt.Sscanf(filepath.Base(op.Path), "sc-02-data-layer-%d.dat", &layer); err != nil || layer <= 2 {
		return
	}
	if op.Kind != durable.OpReserve && (op.Kind != durable.OpWrite || op.Off+int64(len(op.Buf)) <= int64(p.SectorSize())/layers.FewAhead) {
		return
	}
	if _, err := os.Lstat(layers.Path(filepath.Dir(op.Path), layer-2)); err == nil {
		t.Errorf("%s at %d of layer %d, and layer %d is there", op.Kind, op.Off, layer, layer-2)
	}
}

// TestKeepLast: the last layer is what it is where all stay, in both memory modes, in one lane and in
// several, from the first layer on or from others; two are left, and no more than two and an eighth
// take space at any time.
func TestKeepLast(t *testing.T) {
	const count, from = 11, 3
	p := porep.StackedDrg2KiBV1_1
	hooks := engine.Hooks{Layers: count}
	all := sectors(t, 3)
	if _, err := hooks.Run(t.Context(), engine.Config{Proof: p, Sectors: all}); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for _, writing := range []engine.Writing{engine.WriteDirect, engine.WriteBehind} {
			for lanes := 1; lanes <= 3; lanes += 2 {
				t.Run(fmt.Sprintf("%v/%v/%d", mode, writing, lanes), func(t *testing.T) {
					c := engine.Config{Proof: p, Sectors: sectors(t, lanes), Hashers: 1, MemoryMode: mode, Writing: writing, Keep: engine.KeepLast}
					if lanes > 1 { // the second goes on from a layer
						for layer := from - 2; layer < from; layer++ {
							if err := os.Link(layers.Path(all[1].CacheDir, layer), layers.Path(c.Sectors[1].CacheDir, layer)); err != nil {
								t.Fatal(err)
							}
						}
						beginAt(t, &c.Sectors[1], from)
					}
					ctx := durable.WithInjector(t.Context(), atOps(func(op *durable.Op) { notTooMany(t, p, op) }))
					if _, err := hooks.Run(ctx, c); err != nil {
						t.Fatal(err)
					}
					for i, s := range c.Sectors {
						whole, growing := layerFiles(t, s.CacheDir)
						if len(whole) != 2 || len(growing) > 0 {
							t.Errorf("sector %d: left %q %q, want the last two layers", i, whole, growing)
						}
						for layer := count - 1; layer <= count; layer++ {
							if got, want := testkit.Digest(t, layers.Path(s.CacheDir, layer)), testkit.Digest(t, layers.Path(all[i].CacheDir, layer)); got != want {
								t.Errorf("sector %d: layer %d is %s, want %s", i, layer, got, want)
							}
						}
					}
				})
			}
		}
	}
}

// TestKeepLastResumes: a job that keeps the last layers goes on, too, from whatever was on the disk at any
// moment, and however often it is cancelled; in whatever way it goes on, the last two layers are
// right, no layer is made twice that was noted, and no other is left.
func TestKeepLastResumes(t *testing.T) {
	r, _ := testkit.Seeded(t)
	names := usableKernels()
	if len(names) == 0 {
		t.Skip("no kernel to test")
	}
	const count = 6
	p := porep.StackedDrg2KiBV1_1
	nodes := p.SectorSize().Nodes()
	all := sectors(t, 2)
	if _, err := (&engine.Hooks{Layers: count}).Run(t.Context(), engine.Config{Proof: p, Sectors: all}); err != nil {
		t.Fatal(err)
	}
	for round := range testkit.Rounds(2, 40) {
		c := engine.Config{Proof: p, Sectors: sectors(t, 1+r.IntN(2))}
		from := make([]int, len(c.Sectors)) // the last layer that was noted as finished
		for done := false; !done; {
			c = anyWay(c, r, names)
			c.Keep = engine.KeepLast
			ctx, cancel := context.WithCancel(t.Context())
			at := int64(1 + r.IntN(300))
			var seen atomic.Int64
			lost := durable.WithInjector(ctx, atOps(func(op *durable.Op) {
				notTooMany(t, p, op)
				if seen.Add(1) == at {
					cancel()
				}
			}))
			most := uint64(0)
			for _, layer := range from {
				most += uint64(count-layer) * nodes
			}
			_, err := (&engine.Hooks{Layers: count}).Run(lost, c)
			cancel()
			if made, _ := c.Progress.Labels(); made > most {
				t.Errorf("round %d: %d labels were made, of %d that were missing after %v", round, made, most, from)
			}
			if done = err == nil; !done && !errors.Is(err, context.Canceled) {
				t.Fatalf("round %d: %v", round, err)
			}
			for i, s := range c.Sectors {
				if m, err := manifest.Read(t.Context(), s.CacheDir); err == nil && len(m.Layers) > 0 {
					from[i] = m.Layers[len(m.Layers)-1].Number
				}
			}
		}
		for i, s := range c.Sectors {
			whole, growing := layerFiles(t, s.CacheDir)
			if len(whole) != 2 || len(growing) > 0 {
				t.Errorf("round %d: left %q %q, want the last two layers", round, whole, growing)
			}
			for layer := count - 1; layer <= count; layer++ {
				if got, want := testkit.Digest(t, layers.Path(s.CacheDir, layer)), testkit.Digest(t, layers.Path(all[i].CacheDir, layer)); got != want {
					t.Errorf("round %d: layer %d is %s, want %s", round, layer, got, want)
				}
			}
			if m, err := manifest.Read(t.Context(), s.CacheDir); err != nil || len(m.Layers) != 2 || len(m.Parts) > 0 || m.Layers[0].Number != count-1 {
				t.Errorf("round %d: manifest %+v, %v", round, m, err)
			}
		}
		madeAgain(t, &engine.Hooks{Layers: count}, func() engine.Config { c.Keep = engine.KeepLast; return c }(), "once more", 0)
		if t.Failed() {
			return
		}
	}
}

// TestKeepLastNoted: a layer stays as long as it is not noted that the next one has its name: a manifest
// that cannot be written loses none.
func TestKeepLastNoted(t *testing.T) {
	c := oneSector(t.TempDir())
	c.Keep, c.CheckpointEvery = engine.KeepLast, time.Hour
	hooks := engine.Hooks{Layers: 5}
	ctx := durable.WithInjector(t.Context(), refusing(func(op *durable.Op) error {
		if _, err := os.Lstat(layers.Path(c.Sectors[0].CacheDir, 3)); err == nil && strings.HasPrefix(filepath.Base(op.Path), manifest.Name) {
			return syscall.EROFS
		}
		return nil
	}))
	if _, err := hooks.Run(ctx, c); !errors.Is(err, syscall.EROFS) {
		t.Errorf("error %v", err)
	}
	if whole, _ := layerFiles(t, c.Sectors[0].CacheDir); len(whole) != 2 || whole[0] != layers.Name(2) {
		t.Errorf("left %q, want layers 2 and 3", whole)
	}
	madeAgain(t, &hooks, c, "when it can be written", 2*c.Proof.SectorSize().Nodes())
}
