package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

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
	json        bool
}

func (a *app) addPiece() *cobra.Command {
	var f addPieceFlags
	cmd := &cobra.Command{
		Use:   "addpiece",
		Short: "Pad a piece and append it to a staged file",
		Long: `Addpiece pads a piece and appends it to the staged file, behind the zeros that
align it to a multiple of its padded size, and prints its comm_p. A staged file
that does not exist is created. After an error staged is as it was.

The piece must have exactly as many bytes as announced.`,
		Example: `  # The first piece of a sector
  sdrbench addpiece --proof StackedDrg32GiBV1_1 --piece deal.car --piece-size 17045651456 --staged staged

  # A third one, from a pipe, behind those of 127 and 508 bytes
  zcat deal.gz | sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece - --piece-size 1016 --existing 127,508 --staged staged --json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runAddPiece(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().StringVar(&f.piece, "piece", "", "the piece's `FILE`, - for standard input")
	flagVar(cmd, &f.size, "piece-size", "UNPADDED", "the piece's size in bytes", parseUnpadded)
	cmd.Flags().StringVar(&f.staged, "staged", "", "staged `FILE` to append to")
	flagVar(cmd, &f.existing, "existing", "SIZES", "sizes of the pieces that staged holds, in order: 127,508", parseSizes)
	cmd.Flags().BoolVar(&f.noAlignment, "no-alignment", false, "write no zeros in front of the piece")
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
	added, err := appendPiece(ctx, f, source)
	if err != nil {
		return err
	}
	cid, err := pieceCID(added.CommP)
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

// appendPiece adds a piece at the end of the staged file.
func appendPiece(ctx context.Context, f addPieceFlags, source io.Reader) (added seal.AddedPiece, err error) {
	staged, created, err := openStaged(f.staged)
	if err != nil {
		return added, err
	}
	defer func() {
		if closeErr := staged.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("closing staged: %w", closeErr)
		}
		if err != nil && created {
			err = errors.Join(err, os.Remove(f.staged))
		}
	}()
	if _, err := staged.Seek(0, io.SeekEnd); err != nil {
		return added, fmt.Errorf("going to the end of staged: %w", err)
	}
	if f.noAlignment {
		return seal.WritePiece(ctx, f.proof, source, f.size, staged)
	}
	return seal.AddPiece(ctx, f.proof, source, f.size, staged, f.existing)
}

// openStaged opens or creates a staged file. One that is no regular file, a
// device say, could not be put back after an error.
func openStaged(path string) (f *os.File, created bool, err error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return nil, false, fmt.Errorf("creating staged: %w", err)
		}
		return f, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("opening staged: %w", err)
	case !info.Mode().IsRegular():
		return nil, false, fmt.Errorf("opening staged: %s is not a regular file, its mode is %v", path, info.Mode())
	}
	f, err = os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, false, fmt.Errorf("opening staged: %w", err)
	}
	return f, false, nil
}
