package engine_test

import (
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// TestAsides: in every graph, what is put aside when a layer's key is handed over has room,
// and about as much as there is room for is put aside: less would have the hasher wait.
func TestAsides(t *testing.T) {
	proofs := []porep.SealProof{porep.StackedDrg2KiBV1, porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1, porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1, porep.StackedDrg512MiBV1_1}
	if longTests {
		proofs = append(proofs, porep.StackedDrg32GiBV1, porep.StackedDrg32GiBV1_1, porep.StackedDrg64GiBV1, porep.StackedDrg64GiBV1_1)
	}
	for _, proof := range proofs {
		g, err := graph.New(proof)
		if err != nil {
			t.Fatal(err)
		}
		aside, room, err := engine.Asides(engine.Config{Proof: proof, MemoryMode: engine.OneLayer}, g)
		if err != nil || aside > room {
			t.Errorf("%v: %d are put aside, %v; there is room for %d", proof, aside, err, room)
		}
		if window := int(proof.SectorSize().Nodes() / engine.Windows); proof.SectorSize() > 1<<20 && aside < window*8/10 {
			t.Errorf("%v: %d are put aside, of windows of %d nodes", proof, aside, window)
		}
	}
}

// TestHandOver: the layers are right if the hasher is so slow where a layer ends that
// each part of the key is handed over as soon as may be, and if producers are so far ahead
// that they wait for what is put aside. Producers that are stopped for some milliseconds a
// run see to the former.
func TestHandOver(t *testing.T) {
	const count, slow = 3, 1.0 / 64
	proof := porep.StackedDrg8MiBV1_1
	want := engine.Config{Proof: proof, Sectors: sectors(t, 1), Hashers: 1}
	engine.SetLayers(&want, count)
	if _, err := engine.Run(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	nodes := int(proof.SectorSize().Nodes())
	for _, tt := range []struct {
		lanes, stride, lookahead int
		staging                  engine.Staging
	}{
		{1, 256, 512, engine.Inline},
		{4, 256, 512, engine.Producers},
		{1, 64, nodes / engine.Windows, engine.Hybrid},
	} {
		k := kernels.Best(tt.lanes)
		if k == nil {
			continue
		}
		c := want
		c.Sectors, c.Kernel, c.MemoryMode, c.Staging = sectors(t, 1), k.Name, engine.OneLayer, tt.staging
		c.Stride, c.Lookahead, c.Producers = tt.stride, tt.lookahead, 1
		runs := uint64(nodes / tt.stride)
		engine.SetHook(&c, func(_ int, run uint64) {
			if float64(run%runs) > (1-slow)*float64(runs) && tt.lookahead < nodes/engine.Windows {
				time.Sleep(4 * time.Millisecond)
			}
		})
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for layer := 1; layer <= count; layer++ {
			if fileDigest(t, layers.Path(c.Sectors[0].CacheDir, layer)) != fileDigest(t, layers.Path(want.Sectors[0].CacheDir, layer)) {
				t.Errorf("%+v: layer %d differs", tt, layer)
			}
		}
	}
}
