package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// plainSource knows parents, and not whose parent a label is.
type plainSource struct{ engine.ParentSource }

// TestMemoryWay: which way budget mode goes.
func TestMemoryWay(t *testing.T) {
	const quarter = 8 << 30
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	usual := engine.Config{Proof: porep.StackedDrg32GiBV1_1, Sectors: make([]engine.Sector, 1), MemoryMode: engine.Budget, Budget: quarter}
	forward, passes := usual, usual
	forward.MemoryWay, passes.MemoryWay = engine.Forward, engine.Passes
	for name, tt := range map[string]struct {
		set  func(c *engine.Config)
		want engine.MemoryWay
	}{
		"usual":              {func(*engine.Config) {}, engine.Forward},
		"forced":             {func(c *engine.Config) { c.MemoryWay = engine.Passes }, engine.Passes},
		"a slow disk":        {func(c *engine.Config) { c.DiskRead, c.DiskWrite = 1e8, 1e8 }, engine.Forward},
		"slow to write":      {func(c *engine.Config) { c.DiskRead, c.DiskWrite = 10e9, 0.5e9 }, engine.Passes},
		"parents from files": {func(c *engine.Config) { c.Parents = plainSource{g} }, engine.Passes},
	} {
		t.Run(name, func(t *testing.T) {
			c := usual
			tt.set(&c)
			f, ok := c.Feed()
			if !ok || f.Way != tt.want || c.WithDefaults().Budget != quarter {
				t.Errorf("%+v, %v, want %v", f, ok, tt.want)
			}
		})
	}
	a, _ := forward.Feed()
	b, _ := passes.Feed()
	n := uint64(usual.Proof.SectorSize())
	if a.Read < 288 || a.Read > 400 || a.Written != a.Read || a.Scratch < 9*n || a.Scratch > 12*n {
		t.Errorf("forward: %+v", a)
	}
	if b.Read < float64(b.Segments)*32 || b.Read > float64(b.Segments)*48 || b.Written != 0 || b.Scratch != 0 || b.Segments > 130 {
		t.Errorf("passes: %+v", b)
	}
	two := usual
	two.Budget = 100 << 30
	if f, ok := two.Feed(); ok {
		t.Errorf("two layers in memory: %+v", f)
	}
}

// TestMemoryWayRoom: where layers have room, and a scratch file as well has not, none is made.
func TestMemoryWayRoom(t *testing.T) {
	testkit.OnDisk(t)
	c := engine.Config{Proof: porep.StackedDrg32GiBV1_1, MemoryMode: engine.Budget, Budget: 8 << 30, Sectors: sectors(t, 1)}
	free, _, ok := linux.FreeSpace(c.Sectors[0].CacheDir)
	size := uint64(c.Proof.SectorSize())
	for c.Layers = 1; c.Layers < c.Proof.Layers() && (uint64(c.Layers)+4)*size < free; c.Layers++ {
	}
	// Well within what layers take, and what a scratch file takes besides: others use the disk, too.
	if layers := uint64(c.Layers) * size; !ok || free < layers+size/4 || free > layers+8*size {
		t.Skipf("%d bytes are free: no number of layers of %v would have room, and no scratch file", free, c.Proof.SectorSize())
	}
	c.Others = []engine.File{{Path: filepath.Join(c.Sectors[0].CacheDir, "other"), Size: size / 64}}
	for asked, want := range map[engine.MemoryWay]engine.MemoryWay{engine.AutoWay: engine.Passes, engine.Forward: engine.Forward} {
		c.MemoryWay = asked
		r, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := r.Feed(); !ok || f.Way != want || r.Config().MemoryWay != want || r.Requirements()[0].Total() > c.Budget {
			t.Errorf("%d layers, %d bytes free, asked for %v: %+v, want %v", c.Layers, free, asked, f, want)
		}
	}
}
