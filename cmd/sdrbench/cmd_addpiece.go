package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

type addPieceFlags struct {
	proof       porep.SealProof
	piece       string
	size        porep.UnpaddedSize
	staged      string
	existing    []porep.UnpaddedSize
	noAlignment bool
	record      bool
	noWait      bool
	json        bool
}

func (a *app) addPiece() *cobra.Command {
	var f addPieceFlags
	cmd := &cobra.Command{
		Use:   "addpiece",
		Short: "Pad a piece and append it to a staged file",
		Long: `Addpiece pads a piece and appends it to the staged file, behind the zeros that
align it to a multiple of its padded size, and prints its comm_p when it is on the
disk. A staged file that does not exist is created. After an error staged is as it
was. While another addpiece is at the same file, it waits.

The piece must have exactly as many bytes as announced, and staged as many as the
pieces take that it holds: --existing names them. With --record the first piece
begins a record beside staged, STAGED.pieces, with the offsets and commitments of
the pieces. Where it is, it is kept up to date, --existing is not needed, and pc1
--pieces reads it.`,
		Example: `  # The first piece of a sector
  sdrbench addpiece --proof StackedDrg32GiBV1_1 --piece deal.car --piece-size 17045651456 --staged staged

  # A third one, from a pipe, behind those of 127 and 508 bytes
  zcat deal.gz | sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece - --piece-size 1016 --existing 127,508 --staged staged --json

  # With a record, which pc1 reads as well
  sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece one --piece-size 1016 --staged staged --record
  sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece two --piece-size 1016 --staged staged`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runAddPiece(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().StringVar(&f.piece, "piece", "", "the piece's `FILE`, - for standard input")
	flagVar(cmd, &f.size, "piece-size", "UNPADDED", "the piece's size in bytes", input.Unpadded)
	cmd.Flags().StringVar(&f.staged, "staged", "", "staged `FILE` to append to")
	cmd.Flags().Var(&flagValue[[]porep.UnpaddedSize]{to: &f.existing, kind: "SIZES", parse: addSizes}, "existing",
		"unpadded sizes of the pieces that staged holds, in order: 127,508; if repeated, they add up")
	cmd.Flags().BoolVar(&f.noAlignment, "no-alignment", false, "write no zeros in front of the piece")
	cmd.Flags().BoolVar(&f.record, "record", false, "begin the record STAGED.pieces with the first piece")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "fail at once if another job adds a piece to staged")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof", "piece", "piece-size", "staged")
	return cmd
}

func (a *app) runAddPiece(ctx context.Context, f addPieceFlags) error {
	if err := a.checkPiecePaths(f.piece, f.staged); err != nil {
		return err
	}
	source, _, err := a.openPiece(ctx, f.piece, &f.size)
	if err != nil {
		return err
	}
	defer source.Close()
	added, err := seal.AppendPiece(ctx, seal.Append{
		Proof:       f.proof,
		Staged:      f.staged,
		Existing:    f.existing,
		NoAlignment: f.noAlignment,
		Record:      f.record,
		NoWait:      f.noWait,
		Waiting: func() {
			fmt.Fprintf(a.err, "waiting for another job that adds a piece to %q; --no-wait fails instead\n", f.staged)
		},
	}, source, f.size)
	if wrong := (*seal.StagedLengthError)(nil); errors.As(err, &wrong) && wrong.Record == "" {
		return fmt.Errorf("%w; --existing names them", err)
	}
	if err != nil {
		return err
	}
	if err := a.printAdded(f, added); err != nil {
		return fmt.Errorf("%w; the piece is in staged: comm_p %s, %d bytes, %d written", err, added.CommP, added.Size, added.Written)
	}
	return nil
}

func (a *app) printAdded(f addPieceFlags, added seal.AddedPiece) error {
	cid, err := input.PieceCID(added.CommP)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(struct {
			CommP    porep.Commitment   `json:"comm_p"`
			PieceCID string             `json:"piece_cid"`
			Size     porep.UnpaddedSize `json:"unpadded_size"`
			Written  porep.UnpaddedSize `json:"written"`
		}{added.CommP, cid, added.Size, added.Written})
	}
	return a.print("comm_p         %s\npiece CID      %s\nunpadded size  %d\nwritten        %d, of which alignment %d\n",
		added.CommP, cid, added.Size, added.Written, added.Alignment)
}

// addSizes reads the sizes of an --existing behind those of the ones before it. That
// there are none is not the same as nothing said.
func addSizes(text string, old []porep.UnpaddedSize) ([]porep.UnpaddedSize, error) {
	sizes, err := parseSizes(text)
	return append(append([]porep.UnpaddedSize{}, old...), sizes...), err
}
