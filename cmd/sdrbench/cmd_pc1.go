package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

type pc1Flags struct {
	sector    seal.Sector
	output    string
	pieces    string
	overwrite bool
	wait      bool
	engineFlags
}

func (a *app) pc1() *cobra.Command {
	var f pc1Flags
	cmd := &cobra.Command{
		Use:   "pc1",
		Short: "Do PreCommit phase 1 of a sector",
		Long: `Pc1 builds tree-d in the cache dir, checks the pieces against it, places the
staged data in the sealed file and labels all layers into the cache dir. It
prints the phase 1 JSON, which phase 2 goes on from, and nothing else.

The cache dir and the sealed file must exist. Staged may be /dev/zero, a sector
without deals; then no piece is given. A sealed file that holds something else
than staged data or zeros, the replica that phase 2 makes of it for example, is
not touched without --overwrite.

An output of an earlier run goes when labels begin. A result that cannot be
written at the end is printed on standard error, and the exit code is 1.`,
		Example: `  sdrbench pc1 --proof StackedDrg32GiBV1_1 --cache-dir cache --staged staged --sealed sealed \
    --miner 1000 --sector 7 --ticket $TICKET --piece $COMM_P:34091302912 --output p1.json

  # A sector without deals
  sdrbench pc1 --proof StackedDrg32GiBV1_1 --cache-dir cache --staged /dev/zero --sealed sealed \
    --miner f01000 --sector 8 --ticket $TICKET >p1.json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runPC1(ctx, f) }),
	}
	s := &f.sector
	proofFlag(cmd, &s.Proof, "registered seal proof")
	cmd.Flags().StringVar(&s.CacheDir, "cache-dir", "", "`DIR` for tree-d and the layers")
	cmd.Flags().StringVar(&s.Staged, "staged", "", "staged `FILE`, or /dev/zero")
	cmd.Flags().StringVar(&s.Sealed, "sealed", "", "sealed `FILE`")
	flagVar(cmd, &s.ProverID, "miner", "ACTOR", "the miner's actor number, 1000 or f01000", parseMiner)
	flagVar(cmd, &s.ProverID, "prover-id", "HEX", "prover id, instead of --miner", porep.ParseProverID)
	flagVar(cmd, &s.Number, "sector", "NUMBER", "the sector's number", parseSectorNumber)
	flagVar(cmd, &s.Ticket, "ticket", "HEX", "the chain's randomness", porep.ParseTicket)
	flagVar(cmd, &s.Pieces, "piece", "COMM_P:UNPADDED", "a piece's commitment and size; once for each piece, in order",
		func(text string) ([]porep.Piece, error) {
			piece, err := parsePiece(text)
			return append(s.Pieces, piece), err
		})
	cmd.Flags().StringVar(&f.pieces, "pieces", "", "the record `FILE` of addpiece --record, instead of --piece")
	cmd.MarkFlagsMutuallyExclusive("piece", "pieces")
	cmd.Flags().StringVar(&f.output, "output", "", "`FILE` for the phase 1 JSON, - for standard output (default -)")
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "seal again, although the sealed file holds a replica")
	waitFlag(cmd, &f.wait)
	f.add(a, cmd)
	require(cmd, "proof", "cache-dir", "staged", "sealed", "sector", "ticket")
	cmd.MarkFlagsOneRequired("miner", "prover-id")
	cmd.MarkFlagsMutuallyExclusive("miner", "prover-id")
	_ = cmd.MarkFlagDirname("cache-dir")
	return cmd
}

func (a *app) runPC1(ctx context.Context, f pc1Flags) error {
	if f.pieces != "" {
		var err error
		if f.sector.Pieces, err = seal.ReadPieces(f.pieces, f.sector.Proof); err != nil {
			return err
		}
	}
	m, err := f.prepare(ctx, a, f.sector.Proof, 1)
	// Nothing is created before it is known to destroy nothing, and all that is wrong is
	// told at once; only a reader is not waited for in vain.
	filesErr := f.checkFiles(ctx, a)
	var to *output
	if filesErr == nil && (err == nil || !isPipe(f.output)) {
		to, filesErr = f.openOutput(ctx, a)
	}
	defer to.close()
	if err := errors.Join(err, filesErr); err != nil {
		return err
	}
	progress := new(seal.Progress)
	job := sealer.Job{Name: fmt.Sprintf("pc1 of sector %d", f.sector.Number), Wait: f.wait, Progress: progress, Begin: to.begin}
	var outs []seal.Outcome
	err = m.hold(ctx, f.sector.Proof, 1, job, func(h *sealer.Hold) error {
		return m.labelling(h, func() sample { return sealSample(progress, f.sector.Proof) }, func() (err error) {
			outs, err = h.PreCommit1(ctx, []seal.Sector{f.sector})
			return err
		})
	})
	if err != nil {
		return err
	}
	text, err := outs[0].Output.JSON()
	if err != nil {
		return err
	}
	return to.write(text)
}

// checkFiles finds what must not be written to, before anything is.
func (f *pc1Flags) checkFiles(ctx context.Context, a *app) error {
	others := slices.Concat(f.readFiles(f.sector.Proof), outputFile(f.output), a.printedFiles())
	if err := seal.CheckPaths([]seal.Sector{f.sector}, others...); err != nil || f.overwrite {
		return err
	}
	err := f.sector.CheckSealed(ctx)
	if replica := (*seal.ReplicaError)(nil); errors.As(err, &replica) {
		err = fmt.Errorf("%w (--overwrite destroys it and seals again)", err)
	}
	return err
}

// openOutput takes the room that the result needs at most: of comm_d's numbers each has up
// to three digits.
func (f *pc1Flags) openOutput(ctx context.Context, a *app) (*output, error) {
	longest := seal.Output{Proof: f.sector.Proof, CacheDir: f.sector.CacheDir}
	for i := range longest.CommD {
		longest.CommD[i] = 255
	}
	text, err := longest.JSON()
	if err != nil {
		return nil, err
	}
	return a.openOutput(ctx, f.output, int64(len(text)))
}
