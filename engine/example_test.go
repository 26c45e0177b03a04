package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// The layers of a sector without deals. Settings change how fast they come, never what is
// in them.
func ExampleRun() {
	cacheDir, err := os.MkdirTemp("", "cache")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(cacheDir)
	id, err := porep.ParseReplicaID("1dc0269646af2760c8c80bdc5191c31d07edd26a597f77b298f48d6bd154ea14")
	if err != nil {
		log.Fatal(err)
	}
	result, err := engine.Run(context.Background(), engine.Config{
		Proof:      porep.StackedDrg2KiBV1_1,
		Sectors:    []engine.Sector{{ReplicaID: id, CacheDir: cacheDir}},
		MemoryMode: engine.OneLayer,
		Digests:    true,
	})
	if err != nil {
		log.Fatal(err)
	}
	for i, digest := range result.Sectors[0].Digests {
		fmt.Printf("layer %d: %x\n", i+1, digest)
	}
	files, err := os.ReadDir(cacheDir)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	// Output:
	// layer 1: d8f4d9fc2e90d9916004c0dcac2d5190ce077fcd0a508b5d04e84afaf6483a21
	// layer 2: e840f174baaa40e6e79695b29b9a5e2ed78cd4cadc8feb1b0678763868d0a20f
	// sc-02-data-layer-1.dat
	// sc-02-data-layer-2.dat
	// sdr-manifest.json
}
