package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
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

// TestKeepLast: the last layer is what it is where all stay, in both memory modes, in one lane and in
// several, from the first layer on or from others; two are left, and no more than three are there at any time, nor
// take space.
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
					var mu sync.Mutex
					most := 0
					ctx := durable.WithInjector(t.Context(), atOps(func(op *durable.Op) {
						if !strings.HasPrefix(filepath.Base(op.Path), "sc-02-data-layer-") {
							return
						}
						mu.Lock()
						defer mu.Unlock()
						whole, growing := layerFiles(t, filepath.Dir(op.Path))
						n := len(whole)
						for _, name := range growing { // for a moment a file has both names
							if _, err := os.Lstat(filepath.Join(filepath.Dir(op.Path), strings.TrimSuffix(name[1:], ".tmp"))); err != nil {
								n++
							}
						}
						most = max(most, n)
					}))
					if _, err := hooks.Run(ctx, c); err != nil {
						t.Fatal(err)
					}
					if most != layers.Few {
						t.Errorf("%d layers at a time, want %d", most, layers.Few)
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

// TestKeepLastCanceled: what is left are the last whole layers.
func TestKeepLastCanceled(t *testing.T) {
	hooks := engine.Hooks{Layers: 6}
	all, mine := sectors(t, 1), sectors(t, 1)
	p := porep.StackedDrg2KiBV1_1
	if _, err := hooks.Run(t.Context(), engine.Config{Proof: p, Sectors: all}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := hooks.Run(durable.WithInjector(ctx, atOps(func(op *durable.Op) {
		if op.Kind == durable.OpReserve && op.Path == layers.Path(mine[0].CacheDir, 4) { // those before are on the disk
			cancel()
		}
	})), engine.Config{Proof: p, Sectors: mine, Keep: engine.KeepLast})
	if !errors.Is(err, engine.ErrCancelled) {
		t.Errorf("%v", err)
	}
	if whole, growing := layerFiles(t, mine[0].CacheDir); len(whole) != 2 || len(growing) > 0 {
		t.Fatalf("left %q %q, want two layers", whole, growing)
	}
	for layer := 2; layer <= 3; layer++ {
		if got, want := testkit.Digest(t, layers.Path(mine[0].CacheDir, layer)), testkit.Digest(t, layers.Path(all[0].CacheDir, layer)); got != want {
			t.Errorf("layer %d is %s, want %s", layer, got, want)
		}
	}
}
