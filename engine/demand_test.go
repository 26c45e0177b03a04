package engine_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// TestDemand: what is planned with is what a job takes and asks for, whatever the budget, the way and the kernel.
func TestDemand(t *testing.T) {
	lanes := map[int]bool{}
	for _, k := range sha256.Kernels() {
		if !k.Usable() || lanes[k.Lanes] {
			continue
		}
		lanes[k.Lanes] = true
		for _, proof := range []porep.SealProof{porep.StackedDrg8MiBV1_1, porep.StackedDrg64GiBV1} {
			for _, way := range []engine.MemoryWay{engine.AutoWay, engine.Forward, engine.Passes} {
				for budget := uint64(1); budget < 3*uint64(proof.SectorSize())*uint64(k.Lanes); budget = budget*16 + 12345 {
					c := engine.Config{Proof: proof, MemoryMode: engine.Budget, Budget: budget, MemoryWay: way}
					d := c.Demand(k.Lanes)
					c.Kernel, c.Hashers, c.Sectors = k.Name, 1, make([]engine.Sector, k.Lanes)
					var want uint64
					for _, need := range c.Requirements() {
						want += need.Total()
					}
					if feed, _ := c.Feed(); d.Memory != want || d.Mode != c.WithDefaults().MemoryMode || d.Feed != feed {
						t.Errorf("%v, %s, %v, %d bytes: %+v, want %d bytes, %v, %+v", proof, k.Name, way, budget, d, want, c.WithDefaults().MemoryMode, feed)
					}
				}
			}
		}
	}
}

// TestSlowDisk: a job says before any work that its disk gives less than it takes, with both rates, and no more often than once.
func TestSlowDisk(t *testing.T) {
	if kind := linux.RemoteFileSystem(t.TempDir()); kind != "" {
		t.Skipf("the temporary directory is on %s, of which jobs are told, too", kind)
	}
	for _, tt := range []struct {
		budget, read, write uint64
		lacks               bool
	}{
		{6 << 20, 0, 0, false},
		{6 << 20, 1 << 40, 1 << 40, false},
		{6 << 20, 0, 1000, true},
		{6 << 20, 1 << 40, 1000, true},
		{6 << 20, 1000, 1 << 40, true},
		{64 << 20, 1000, 1000, false}, // two layers
	} {
		var told []*engine.SlowDiskError
		c := engine.Config{
			Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), MemoryMode: engine.Budget, Budget: tt.budget, DiskRead: tt.read, DiskWrite: tt.write,
			SlowDisk: func(err *engine.SlowDiskError) { told = append(told, err) },
		}
		if err := c.CheckMachine(); err != nil {
			t.Fatal(err)
		}
		if len(told) > 0 != tt.lacks {
			t.Errorf("%+v: told %v", tt, told)
		}
		for _, e := range told {
			if len(told) > 1 || e.Dir != c.Sectors[0].CacheDir || e.FileSystem != "" || e.Read < 32e4 || e.Written < 32e4 || e.DiskRead == 0 || e.DiskWrite == 0 {
				t.Errorf("%+v: told %+v", tt, told)
			}
		}
	}
}
