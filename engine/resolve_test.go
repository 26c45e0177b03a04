package engine_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestResolved: what was resolved does not change with the Config that it was made of, and
// says of it what the Config's own methods say.
func TestResolved(t *testing.T) {
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	c := engine.Config{
		Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 3), Hashers: 2,
		Pages:       []hugepages.Pages{hugepages.Small},
		Cycles:      map[string]float64{"generic/1": 1e9},
		NUMAParents: map[topology.NUMANodeID]engine.ParentSource{0: g},
		Progress:    new(engine.Progress),
	}
	r, err := c.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, a, b any) {
		t.Helper()
		if diff := cmp.Diff(a, b, cmpopts.IgnoreUnexported(engine.Config{}), cmpopts.IgnoreFields(engine.Config{}, "Progress", "NUMAParents")); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
	want := c.WithDefaults()
	same("defaults", want, r.Config())
	same("memory", c.Requirements(), r.Requirements())
	same("split", c.Split(2, 3), r.Config().Split(2, 3))
	same("cycles", c.CyclesPerNode(), r.Config().Split(2, 3).Cycles)

	for _, mine := range []engine.Config{c, r.Config()} {
		mine.Sectors[0].CacheDir = "elsewhere"
		mine.Pages[0] = hugepages.Huge1G
		mine.Cycles["generic/1"] = 1
		delete(mine.NUMAParents, 0)
	}
	r.Requirements()[0] = engine.Requirement{}
	same("after changes", want, r.Config())
	if len(r.Config().NUMAParents) != 1 || r.Requirements()[0] == (engine.Requirement{}) {
		t.Error("what was resolved has changed")
	}
}

// TestResolvedReplicaIDs: replica ids may come later, one for each sector, and the files
// are the same.
func TestResolvedReplicaIDs(t *testing.T) {
	now, later := oneSector(t.TempDir()), oneSector(t.TempDir())
	id := now.Sectors[0].ReplicaID
	later.Sectors[0].ReplicaID = porep.ReplicaID{}
	r, err := later.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.WithReplicaIDs(make([]porep.ReplicaID, 2)); !errors.As(err, new(*engine.ConfigError)) {
		t.Errorf("two ids of one sector: %v", err)
	}
	with, err := r.WithReplicaIDs([]porep.ReplicaID{id})
	if err != nil {
		t.Fatal(err)
	}
	if r.Config().Sectors[0].ReplicaID == id {
		t.Error("what was resolved has changed")
	}
	for _, run := range []func() (engine.Result, error){
		func() (engine.Result, error) { return engine.Run(t.Context(), now) },
		func() (engine.Result, error) { return with.Run(t.Context()) },
	} {
		if _, err := run(); err != nil {
			t.Fatal(err)
		}
	}
	for layer := 1; layer <= 2; layer++ {
		if a, b := testkit.Digest(t, layers.Path(now.Sectors[0].CacheDir, layer)), testkit.Digest(t, layers.Path(later.Sectors[0].CacheDir, layer)); a != b {
			t.Errorf("layer %d differs", layer)
		}
	}
}

// TestCheckSettings: settings are looked at without a sector, and without a cache dir in
// its place; all that is wrong with them is said at once, as Validate does.
func TestCheckSettings(t *testing.T) {
	c := engine.Config{Proof: porep.StackedDrg8MiBV1_1}
	if err := c.CheckSettings(3); err != nil {
		t.Error(err)
	}
	c.Sectors = []engine.Sector{{CacheDir: filepath.Join(t.TempDir(), "missing"), First: 99}}
	if err := c.CheckSettings(1); err != nil {
		t.Errorf("sectors were looked at: %v", err)
	}
	c.Kernel, c.Stride, c.Producers, c.Staging = "abacus/7", -1, 1<<20, 9
	err := c.CheckSettings(1)
	c.Sectors = sectors(t, 1)
	if all := c.Validate(); err == nil || all == nil || err.Error() != all.Error() {
		t.Errorf("errors\n%v\nwant\n%v", err, all)
	}
	for _, want := range []string{"abacus/7", "stride: -1", "producers: 1048576", "staging: unknown, 9"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	c = engine.Config{Proof: porep.StackedDrg32GiBV1_1, Budget: 100 << 30}
	for _, tt := range []struct {
		sectors int
		part    string
	}{{1, ""}, {2, "budget"}, {0, "sectors"}, {-1, "sectors"}, {1 << 60, "sectors"}} {
		c.Hashers = min(max(1, tt.sectors), 2)
		err := c.CheckSettings(tt.sectors)
		var bad *engine.ConfigError
		if (tt.part == "") != (err == nil) || err != nil && (!errors.As(err, &bad) || bad.Part != tt.part) {
			t.Errorf("%d sectors: %v, want one of %q", tt.sectors, err, tt.part)
		}
	}
}
