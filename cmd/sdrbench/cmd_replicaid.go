package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
)

type replicaIDFlags struct {
	proof    porep.SealProof
	proverID porep.ProverID
	sector   uint64
	ticket   porep.Ticket
	given    *porep.Piece // comm_d; nil: the pieces'
	sectorPieces
	json bool
}

func (a *app) replicaID() *cobra.Command {
	var f replicaIDFlags
	cmd := &cobra.Command{
		Use:   "replica-id",
		Short: "Print a sector's replica id",
		Long: `Replica-id prints the id that sdr labels a sector with: a hash of miner, sector number,
ticket, comm_d and proof. Comm_d is given, in hex or as a CID, or comes from the sector's
pieces; of a sector without deals it is that of zeros.`,
		Example: `  sdrbench replica-id --proof StackedDrg32GiBV1_1 --miner 1000 --sector 7 --ticket $TICKET --comm-d $COMM_D
  sdrbench replica-id --proof StackedDrg32GiBV1_1 --miner 1000 --sector 7 --ticket $TICKET --pieces staged.pieces`,
		Args: cobra.NoArgs,
		RunE: work(func(context.Context, []string) error { return a.runReplicaID(f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	flagVar(cmd, &f.proverID, "miner", "ACTOR", "the miner's actor number, 1000 or f01000", input.Miner)
	flagVar(cmd, &f.proverID, "prover-id", "HEX", "prover id, instead of --miner", porep.ParseProverID)
	flagVar(cmd, &f.sector, "sector", "NUMBER", "the sector's number", input.SectorNumber)
	flagVar(cmd, &f.ticket, "ticket", "HEX", "the chain's randomness", porep.ParseTicket)
	flagVar(cmd, &f.given, "comm-d", "COMM_D", "comm_d in hex or as a CID, instead of pieces", func(text string) (*porep.Piece, error) {
		commD, err := input.CommD(text)
		return &commD, err
	})
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof", "sector", "ticket")
	cmd.MarkFlagsOneRequired("miner", "prover-id")
	cmd.MarkFlagsMutuallyExclusive("miner", "prover-id")
	cmd.MarkFlagsMutuallyExclusive("comm-d", "piece", "pieces")
	return cmd
}

func (a *app) runReplicaID(f replicaIDFlags) error {
	if f.given == nil {
		commD, err := f.commD(f.proof)
		if err != nil {
			return err
		}
		f.given = &porep.Piece{CommP: commD}
	} else if err := input.CheckCommD(f.proof, *f.given); err != nil {
		return usageError{err}
	}
	id := porep.NewReplicaID(f.proof, f.proverID, f.sector, f.ticket, f.given.CommP)
	if f.json {
		return a.printJSON(struct {
			ReplicaID string           `json:"replica_id"`
			CommD     porep.Commitment `json:"comm_d"`
		}{id.String(), f.given.CommP})
	}
	return a.print("replica id  %s\ncomm_d      %s\n", id, f.given.CommP)
}
