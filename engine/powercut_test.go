package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// TestPowerCut: whatever a power cut leaves of a job, at any step, of what was not synced yet
// nothing, all or some pages and names, the next job ends with the right layers, after a second
// power cut, too. That what is on the disk is gone on from shows in that fewer labels are made.
func TestPowerCut(t *testing.T) {
	r, _ := testkit.Seeded(t)
	for _, tt := range []struct {
		mode  engine.MemoryMode
		keep  engine.Keep
		block int // Budget
	}{
		{engine.TwoLayers, engine.KeepAll, 0}, {engine.OneLayer, engine.KeepAll, 0}, {engine.OneLayer, engine.KeepLast, 0},
		{engine.Budget, engine.KeepAll, 4096}, {engine.Budget, engine.KeepLast, 0},
	} {
		if testing.Short() && tt.mode == engine.TwoLayers {
			continue // one layer is written as two are
		}
		mode := fmt.Sprintf("%v with blocks of %d, keeping %v", tt.mode, tt.block, tt.keep)
		const count = 3
		kept, _ := tt.keep.Kept(count)
		hooks := engine.Hooks{Layers: count}
		if tt.mode == engine.Budget {
			hooks.Cut = memorymode.Cut{Ring: 16, Segment: 5, Block: tt.block}
		}
		c := oneSector(t.TempDir())
		page := 512 // pages in a layer of 2 KiB; what is read back is written in smaller parts
		step := 80
		c.MemoryMode, c.Budget, c.Keep, c.Kernel, c.CheckpointEvery = tt.mode, 1<<30, tt.keep, "generic/1", time.Microsecond
		if testkit.Long() {
			step = 5
		}
		record := func(dir string) *errorfs.Recorder {
			rec, err := errorfs.NewRecorder(dir)
			if err != nil {
				t.Fatal(err)
			}
			c.Sectors[0].CacheDir, c.Progress = dir, new(engine.Progress)
			if _, err := hooks.Run(rec.With(t.Context()), c); err != nil {
				t.Fatal(err)
			}
			return rec
		}
		first := record(c.Sectors[0].CacheDir)
		step = min(step, first.Steps())
		want := digestsFrom(t, c, kept, count)
		all := c.Proof.SectorSize().Nodes() * count
		cuts, saved := 0, 0
		for at := 1 + r.IntN(step); at <= first.Steps(); at += step {
			for how, keep := range errorfs.Keeps(r) {
				dir := t.TempDir()
				if err := first.Cut(dir, at, page, keep); err != nil {
					t.Fatal(err)
				}
				second := record(dir)
				if diff := cmp.Diff(want, digestsFrom(t, c, kept, count)); diff != "" {
					t.Fatalf("%v: cut after step %d, %s: %s", mode, at, how, diff)
				}
				if done, _ := c.Progress.Labels(); done < all {
					saved++
				}
				cuts++
				again := t.TempDir()
				if err := second.Cut(again, r.IntN(second.Steps())+1, page, keep); err != nil {
					t.Fatal(err)
				}
				record(again)
				if diff := cmp.Diff(want, digestsFrom(t, c, kept, count)); diff != "" {
					t.Fatalf("%v: cut after step %d, %s, and once more: %s", mode, at, how, diff)
				}
				if m, err := manifest.Read(t.Context(), again); err != nil || len(m.Layers) != count-kept+1 || len(m.Parts) > 0 {
					t.Fatalf("%v: cut after step %d, %s: %+v, %v", mode, at, how, m, err)
				}
			}
		}
		t.Logf("%v: %d power cuts in %d steps, %d of them went on", mode, cuts, first.Steps(), saved)
		if saved == 0 && cuts > 3 {
			t.Errorf("%v: nothing was gone on from", mode)
		}
	}
}
