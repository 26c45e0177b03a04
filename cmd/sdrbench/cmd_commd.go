package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// sectorPieces are a sector's pieces, named one by one or by a record.
type sectorPieces struct {
	pieces []porep.Piece
	record string
}

func (s *sectorPieces) add(cmd *cobra.Command) {
	flagVar(cmd, &s.pieces, "piece", "PIECE", "a piece: COMM_P:UNPADDED, comm_p in hex or as a CID, or a CID of version 2; once for each, in order",
		func(text string) ([]porep.Piece, error) {
			piece, err := input.Piece(text)
			return append(s.pieces, piece), err
		})
	cmd.Flags().StringVar(&s.record, "pieces", "", "the record `FILE` of addpiece --record, instead of --piece")
	cmd.MarkFlagsMutuallyExclusive("piece", "pieces")
}

// commD is comm_d of the pieces, of a sector of zeros if there are none.
func (s *sectorPieces) commD(p porep.SealProof) (porep.Commitment, error) {
	pieces := s.pieces
	if s.record != "" {
		var err error
		if pieces, err = seal.ReadPieces(s.record, p); err != nil {
			return porep.Commitment{}, err
		}
	}
	return seal.CommD(p, pieces)
}

type commDFlags struct {
	proof porep.SealProof
	sectorPieces
	json bool
}

func (a *app) commD() *cobra.Command {
	var f commDFlags
	cmd := &cobra.Command{
		Use:   "comm-d",
		Short: "Print the commitment to a sector's data from its pieces",
		Long: `Comm-d prints comm_d of a sector, in hex and as a CID, from the commitments and
sizes of its pieces in order, without their data. Without pieces it is that of a sector
of zeros. Where a piece is larger than what is before it, zeros go between, as addpiece
puts them. Pieces that leave half of the sector or more have no comm_d: addpiece --fill
completes them.`,
		Example: `  sdrbench comm-d --proof StackedDrg32GiBV1_1 --piece $COMM_P:17045651456 --piece $PIECE_CID_V2
  sdrbench comm-d --proof StackedDrg32GiBV1_1 --pieces staged.pieces --json`,
		Args: byFlag("piece"),
		RunE: work(func(context.Context, []string) error { return a.runCommD(f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof")
	return cmd
}

func (a *app) runCommD(f commDFlags) error {
	commD, err := f.commD(f.proof)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(struct {
			CommD porep.Commitment `json:"comm_d"`
			CID   string           `json:"cid"`
		}{commD, piececid.V1(commD)})
	}
	return a.print("comm_d  %s\nCID     %s\n", commD, piececid.V1(commD))
}
