// One seals a sector without deals in the directory cache and the file sealed:
// one LOCK_DIR PROVER_ID NUMBER TICKET. It prints the phase 1 JSON.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

func main() {
	ctx := context.Background()
	m := must(sealer.Open(ctx, sealer.Options{LockDir: os.Args[1]}))
	outs := must(m.PreCommit1(ctx, []seal.Sector{{
		Proof: porep.StackedDrg2KiBV1_1, CacheDir: "cache", Staged: seal.DevZero, Sealed: "sealed",
		ProverID: must(porep.ParseProverID(os.Args[2])),
		Number:   must(strconv.ParseUint(os.Args[3], 10, 64)),
		Ticket:   must(porep.ParseTicket(os.Args[4])),
	}}, sealer.Job{Name: "my sector", Wait: true}))
	fmt.Printf("%s\n", must(outs[0].Output.JSON()))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
