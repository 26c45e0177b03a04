package engine_test

import (
	"os"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// Each sector is told when its batch ends, before the hasher's next one begins, and what its
// result says.
func TestDone(t *testing.T) {
	const sectors = 4
	var c engine.Config
	c.Proof, c.Kernel, c.Hashers = porep.StackedDrg2KiBV1_1, "generic/1", 1 // a batch for each
	for i := range sectors {
		c.Sectors = append(c.Sectors, engine.Sector{ReplicaID: porep.ReplicaID{byte(i)}, CacheDir: t.TempDir()})
	}
	taken, err := durable.OpenDir(t.Context(), c.Sectors[1].CacheDir)
	if err == nil {
		err = taken.Lock() // as another job would
	}
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var told []error
	c.Done = func(sector int, err error) {
		if sector != len(told) {
			t.Errorf("sector %d is told, want %d", sector, len(told))
		}
		told = append(told, err)
		if err != nil {
			return
		}
		for layer := 1; layer <= c.Proof.Layers(); layer++ {
			if _, err := os.Stat(layers.Path(c.Sectors[sector].CacheDir, layer)); err != nil {
				t.Errorf("sector %d is done: %v", sector, err)
			}
		}
		if next := sector + 1; next < sectors {
			if names, err := os.ReadDir(c.Sectors[next].CacheDir); err != nil || len(names) != 0 {
				t.Errorf("sector %d is done, and %d has %v, %v", sector, next, names, err)
			}
		}
	}
	r, err := engine.Run(t.Context(), c)
	if err == nil || len(told) != sectors {
		t.Fatalf("%v, %d sectors were told", err, len(told))
	}
	for i, s := range r.Sectors {
		if (s.Err == nil) != (told[i] == nil) || (s.Err != nil) != (i == 1) || s.Err != nil && s.Err.Error() != told[i].Error() {
			t.Errorf("sector %d: told %v, in the end %v", i, told[i], s.Err)
		}
	}
}
