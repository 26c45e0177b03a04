package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

type commPFlags struct {
	piece string
	size  *porep.UnpaddedSize // nil: the file's
	json  bool
}

func (a *app) commP() *cobra.Command {
	var f commPFlags
	cmd := &cobra.Command{
		Use:   "commp",
		Short: "Print a piece's commitment",
		Long: `Commp prints the comm_p and the piece CID of a piece and writes nothing.

A piece has 127 bytes, or twice that, or twice that again, and so on. A file of
another size is an error: it is never filled up with zeros behind your back.`,
		Example: `  sdrbench commp --piece deal.car
  generate | sdrbench commp --piece - --piece-size 1016 --json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runCommP(ctx, f) }),
	}
	cmd.Flags().StringVar(&f.piece, "piece", "", "the piece's `FILE`, - for standard input")
	flagVar(cmd, &f.size, "piece-size", "UNPADDED", "the piece's size in bytes (default: the file's)", func(text string) (*porep.UnpaddedSize, error) {
		size, err := input.Unpadded(text)
		return &size, err
	})
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "piece")
	return cmd
}

func (a *app) runCommP(ctx context.Context, f commPFlags) error {
	if err := seal.CheckPaths(nil, append(a.printedFiles(), a.pieceFile(f.piece))...); err != nil {
		return err
	}
	source, size, err := a.openPiece(ctx, f.piece, f.size)
	if err != nil {
		return err
	}
	defer source.Close()
	piece, err := seal.CommP(ctx, source, size)
	if err != nil {
		return err
	}
	cid, err := input.PieceCID(piece.CommP)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(struct {
			CommP    porep.Commitment   `json:"comm_p"`
			PieceCID string             `json:"piece_cid"`
			Size     porep.UnpaddedSize `json:"unpadded_size"`
			Padded   porep.PaddedSize   `json:"padded_size"`
		}{piece.CommP, cid, piece.Size, piece.Size.Padded()})
	}
	return a.print("comm_p         %s\npiece CID      %s\nunpadded size  %d\npadded size    %d\n",
		piece.CommP, cid, piece.Size, piece.Size.Padded())
}
