package engine_test

import (
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// TestSlowFileSystem: a job whose cache dir is on no disk of this machine says so, by name, and does its work.
func TestSlowFileSystem(t *testing.T) {
	at, _ := mountFailing(t)
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer, engine.Budget} {
		var told []string
		s := engine.Sector{CacheDir: at, ReplicaID: porep.ReplicaID{1}}
		c := engine.Config{
			Proof: porep.StackedDrg8MiBV1_1, Sectors: []engine.Sector{s}, MemoryMode: mode,
			SlowDisk: func(err *engine.SlowDiskError) { told = append(told, err.Error()) },
		}
		if mode == engine.Budget {
			c.Budget = 6 << 20
		}
		if err := c.CheckMachine(); err != nil {
			t.Fatal(err)
		}
		if mode == engine.TwoLayers {
			if len(told) > 0 {
				t.Errorf("%v: told %q", mode, told)
			}
			continue
		}
		if len(told) != 1 || !strings.Contains(told[0], at+": it is on FUSE, which may be slower than a disk; labels at full speed take about ") {
			t.Errorf("%v: told %q", mode, told)
		}
	}
}
