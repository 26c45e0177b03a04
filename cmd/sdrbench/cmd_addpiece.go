package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

type addPieceFlags struct {
	payloadFlags
	proof       porep.SealProof
	staged      string
	existing    []porep.UnpaddedSize
	noAlignment bool
	record      bool
	noWait      bool
	noSync      bool
	fill        bool
	treeD       bool
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
was. While another addpiece is at the same file, it waits. --no-sync does not wait for
the disk: after a power cut the piece may be missing, or a part of it. There may be no
record then, since it names only what is on the disk.

A piece has 127 bytes, or twice that, or twice that again, and so on. A payload of
another size is an error, unless --pad fills it with zeros up to the next of these
sizes, or --pad-to up to the one that it says. With --pad, a pipe is read into a file
without a name beside staged first, unless --expect is a piece CID of version 2, which
says how long the payload is.

--fill completes the sector with pieces of zeros, which take no room on the disk, and
prints them, so that the pieces make up its comm_d; it may stand without --piece.

--tree-d leaves the sector's tree-d beside staged, STAGED.tree-d, when the sector is full:
with the piece that fills it, or with --fill. Nodes above this piece are those that its
comm_p is made of; what the sector holds besides is read once. pc1 --tree-d takes it.

Staged must have as many bytes as the pieces take that it holds: --existing names them. With --record the first piece
begins a record beside staged, STAGED.pieces, with the offsets and commitments of
the pieces. Where it is, it is kept up to date, --existing is not needed, and pc1
--pieces reads it.`,
		Example: `  # The first piece of a sector
  sdrbench addpiece --proof StackedDrg32GiBV1_1 --piece deal.car --staged staged

  # One of any length, which must be the one of a deal, alone in its sector
  sdrbench addpiece --proof StackedDrg32GiBV1_1 --piece deal.car --pad --expect $PIECE_CID --fill --staged staged --record

  # A third one, from a pipe, behind those of 127 and 508 bytes
  zcat deal.gz | sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece - --piece-size 1016 --existing 127,508 --staged staged --json

  # With a record, which pc1 reads as well
  sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece one --piece-size 1016 --staged staged --record
  sdrbench addpiece --proof StackedDrg2KiBV1_1 --piece two --piece-size 1016 --staged staged`,
		Args: byFlag("piece"),
		RunE: work(func(ctx context.Context, _ []string) error { return a.runAddPiece(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	f.add(cmd)
	cmd.Flags().StringVar(&f.staged, "staged", "", "staged `FILE` to append to")
	cmd.Flags().Var(&flagValue[[]porep.UnpaddedSize]{to: &f.existing, kind: "SIZES", parse: addSizes}, "existing",
		"unpadded sizes of the pieces that staged holds, in order: 127,508; if repeated, they add up")
	cmd.Flags().BoolVar(&f.noAlignment, "no-alignment", false, "write no zeros in front of the piece")
	cmd.Flags().BoolVar(&f.record, "record", false, "begin the record STAGED.pieces with the first piece")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "fail at once if another job adds a piece to staged")
	cmd.Flags().BoolVar(&f.noSync, "no-sync", false, "do not wait until the piece is on the disk")
	cmd.Flags().BoolVar(&f.fill, "fill", false, "complete the sector with pieces of zeros, and print them")
	cmd.Flags().BoolVar(&f.treeD, "tree-d", false, "leave the sector's tree-d in STAGED.tree-d, if it is full now")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof", "staged")
	cmd.MarkFlagsOneRequired("piece", "fill")
	cmd.MarkFlagsMutuallyExclusive("record", "no-sync")
	cmd.MarkFlagsMutuallyExclusive("fill", "no-alignment") // comm_d of the whole has all pieces aligned
	return cmd
}

func (a *app) runAddPiece(ctx context.Context, f addPieceFlags) error {
	if f.piece == "" && (f.size != nil || f.fills() || f.expect != nil) {
		return usageError{errors.New("--piece-size, --pad, --pad-to and --expect are of a piece: add --piece")}
	}
	to := seal.Append{
		Proof:       f.proof,
		Staged:      f.staged,
		Existing:    f.existing,
		NoAlignment: f.noAlignment,
		Record:      f.record,
		NoWait:      f.noWait,
		NoSync:      f.noSync,
		Progress:    new(seal.PieceProgress),
		Waiting: func() {
			fmt.Fprintf(a.err, "waiting for another job that adds a piece to %q; --no-wait fails instead\n", f.staged)
		},
	}
	if err := a.checkPiecePaths(f); err != nil {
		return err
	}
	var report addedReport
	in := "" // what is in staged by now
	stop := a.showProgress(func() view.Sample { return pieceSample(to.Progress) })
	defer func() { stop() }()
	if f.treeD {
		var err error
		if to.Tree, err = seal.NewStagedTree(ctx, f.proof, f.staged); err != nil {
			return err
		}
		defer to.Tree.Abort()
	}
	if f.piece != "" {
		added, length, err := a.appendPayload(ctx, f, to)
		if err != nil {
			return namesThem(err)
		}
		in = fmt.Sprintf("; the piece is in staged: comm_p %s, %d bytes, %d written", added.CommP, added.Size, added.Written)
		if report.addedPiece, err = reportOfAdded(added, length); err != nil {
			return fmt.Errorf("%w%s", err, in)
		}
		// Where no record says it, the pieces before are those that were named and this one.
		if _, err := os.Stat(seal.RecordName(durable.Target(f.staged))); err != nil {
			to.Existing = append(f.existing[:len(f.existing):len(f.existing)], added.Size)
		} else {
			to.Existing = nil
		}
	}
	if f.fill {
		added, err := seal.FillSector(ctx, to)
		if err != nil {
			if len(added) > 0 {
				in += fmt.Sprintf("; zero pieces in staged: %d, up to %d", len(added), added[len(added)-1].Offset+added[len(added)-1].Size.Padded())
			}
			return fmt.Errorf("%w%s", namesThem(err), in)
		}
		report.Zeros = &zeroPieces{}
		for _, p := range added {
			one, err := reportOfAdded(p, p.Size)
			if err != nil {
				return fmt.Errorf("%w%s", err, in)
			}
			*report.Zeros = append(*report.Zeros, *one)
		}
	}
	if to.Tree != nil {
		_, whole, err := to.Tree.Commit(ctx, to.Progress)
		if err != nil {
			return fmt.Errorf("%w%s", err, in)
		}
		if whole {
			report.TreeD = seal.TreeDName(durable.Target(f.staged))
		}
	}
	stop()
	stop = func() {}
	if err := a.printAdded(f, report); err != nil {
		return fmt.Errorf("%w%s", err, in)
	}
	return nil
}

// namesThem says which flag names existing pieces where that is what is wrong.
func namesThem(err error) error {
	if wrong := (*seal.StagedLengthError)(nil); errors.As(err, &wrong) && wrong.Record == "" {
		return fmt.Errorf("%w; --existing names them", err)
	}
	return err
}

// appendPayload adds the piece, and says how long its payload is.
func (a *app) appendPayload(ctx context.Context, f addPieceFlags, to seal.Append) (seal.AddedPiece, porep.UnpaddedSize, error) {
	p, err := a.openPayload(ctx, f.payloadFlags)
	if err != nil {
		return seal.AddedPiece{}, 0, err
	}
	defer func() { p.Close() }()
	if p.size == 0 {
		if err := p.spool(filepath.Dir(durable.Target(f.staged)), f.payloadFlags); err != nil {
			return seal.AddedPiece{}, 0, err
		}
	}
	if f.expect != nil {
		to.Expect = &f.expect.CommP
	}
	to.Fill = f.fills()
	added, err := seal.AppendPiece(ctx, to, p.reader(), p.size)
	return added, added.Payload, err
}

// An addedReport is what is printed of pieces that are in staged now.
type addedReport struct {
	*addedPiece             // nil if only zeros were asked for
	Zeros       *zeroPieces `json:"zero_pieces,omitempty"` // nil if they were not
	TreeD       string      `json:"tree_d,omitempty"`      // empty if there is none
}

type zeroPieces []addedPiece

type addedPiece struct {
	pieceReport
	Written porep.UnpaddedSize `json:"written"`
	Padded  porep.PaddedSize   `json:"padded_size"`
	Offset  porep.PaddedSize   `json:"offset"`
	payloadReport
}

func reportOfAdded(p seal.AddedPiece, payload porep.UnpaddedSize) (*addedPiece, error) {
	report, of, err := reportOf(p.Piece, payload)
	return &addedPiece{report, p.Written, p.Size.Padded(), p.Offset, of}, err
}

func (a *app) printAdded(f addPieceFlags, report addedReport) error {
	if f.json {
		return a.printJSON(report)
	}
	var text strings.Builder
	if p := report.addedPiece; p != nil {
		fmt.Fprintf(&text, "%soffset         %d\nwritten        %d, of which alignment %d\n", p.text(p.payloadReport), p.Offset, p.Written, p.Written-p.Size)
	}
	if report.Zeros != nil {
		if len(*report.Zeros) == 0 {
			text.WriteString("zero pieces    none: the sector is full\n")
		}
		for _, p := range *report.Zeros {
			fmt.Fprintf(&text, "zero piece     %s:%d at %d\n", p.CommP, p.Size, p.Offset)
		}
	}
	switch {
	case report.TreeD != "":
		fmt.Fprintf(&text, "tree-d         %s\n", report.TreeD)
	case f.treeD:
		text.WriteString("tree-d         none yet: the sector is not full\n")
	}
	return a.print("%s", text.String())
}

// addSizes reads the sizes of an --existing behind those of the ones before it. That
// there are none is not the same as nothing said.
func addSizes(text string, old []porep.UnpaddedSize) ([]porep.UnpaddedSize, error) {
	sizes, err := parseSizes(text)
	return append(append([]porep.UnpaddedSize{}, old...), sizes...), err
}
