// Two labels a replica id in two directories, in two calls at the same time: two LOCK_DIR
// REPLICA_ID DIR DIR. Where there are cores for one, the second waits for the first.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sealer"
)

func main() {
	ctx := context.Background()
	m, err := sealer.Open(ctx, sealer.Options{LockDir: os.Args[1], Notes: func(n sealer.Note) { log.Print(n.Job, ": ", n) }})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	id, err := porep.ParseReplicaID(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var calls sync.WaitGroup
	for _, dir := range os.Args[3:] {
		calls.Go(func() {
			sector := engine.Sector{ReplicaID: id, CacheDir: dir}
			if _, err := m.GenerateSDR(ctx, porep.StackedDrg2KiBV1_1, []engine.Sector{sector}, sealer.Job{Name: dir, Wait: true}); err != nil {
				log.Fatal(err)
			}
		})
	}
	calls.Wait()
}
