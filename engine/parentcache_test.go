package engine_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
)

// TestParentCacheChanges: a parent cache file that is changed while a job uses it ends
// the job, and no layer that was made with it gets its name.
func TestParentCacheChanges(t *testing.T) {
	const node = 40
	dir := t.TempDir()
	if _, err := parentcache.Generate(t.Context(), porep.StackedDrg2KiBV1_1, dir, nil); err != nil {
		t.Fatal(err)
	}
	cache, err := parentcache.Open(t.Context(), porep.StackedDrg2KiBV1_1, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	f, err := os.OpenFile(cache.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := make([]byte, 4*porep.Degree)
	if _, err := f.ReadAt(row, node*int64(len(row))); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for i := range 20 {
			c := oneSector(t.TempDir())
			c.MemoryMode = mode
			var once sync.Once
			c.Parents = hooked{cache, func() {
				once.Do(func() {
					row[20] ^= 1
					if _, err := f.WriteAt(row, node*int64(len(row))); err != nil {
						t.Error(err)
					}
				})
			}}
			_, err := engine.Run(t.Context(), c)
			var changed *parentcache.ReadError
			if !errors.As(err, &changed) || changed.First > node || changed.First+changed.Nodes <= node {
				t.Errorf("%v, run %d: error %v, want a ReadError with node %d", mode, i, err, node)
			}
			if got := fileNames(t, c.Sectors[0].CacheDir); len(got) > 0 {
				t.Errorf("%v, run %d: left %q", mode, i, got)
			}
			row[20] ^= 1
			if _, err := f.WriteAt(row, node*int64(len(row))); err != nil {
				t.Fatal(err)
			}
		}
	}
}
