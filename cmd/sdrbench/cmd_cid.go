package main

import (
	"context"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
)

type cidFlags struct {
	size    *porep.UnpaddedSize
	payload *porep.UnpaddedSize
	json    bool
}

func (a *app) cid() *cobra.Command {
	var f cidFlags
	cmd := &cobra.Command{
		Use:   "cid PIECE...",
		Short: "Print a piece's commitment as hex and as piece CIDs",
		Long: `Cid prints what pieces are called: comm_p in hex, the piece CID of version 1
(baga6ea4seaq…), and where the size is known, that of version 2 (bafkzcib…, FRC-0069).

PIECE is comm_p in hex or a piece CID; :UNPADDED behind it is the piece's size, which
--piece-size says of all. Version 2 carries its own, and one beside it must agree.
--payload says how many bytes of the piece are in front of the zeros that fill it; all,
if it is not given. Comm_d of a sector is written like comm_p of a piece that fills it.`,
		Example: `  # Version 1 and a size to version 2, and back
  sdrbench cid baga6ea4seaqn42av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa --payload 512
  sdrbench cid bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4 --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: work(func(_ context.Context, args []string) error { return a.runCID(args, f) }),
	}
	flagVar(cmd, &f.size, "piece-size", "UNPADDED", "the piece's size in bytes", func(text string) (*porep.UnpaddedSize, error) {
		size, err := input.Unpadded(text)
		return &size, err
	})
	flagVar(cmd, &f.payload, "payload", "BYTES", "the payload's length, without the zeros that fill the piece", func(text string) (*porep.UnpaddedSize, error) {
		n, err := strconv.ParseUint(text, 10, 64)
		size := porep.UnpaddedSize(n)
		if err == nil {
			err = size.NextPieceSize().CheckPieceSize()
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a number of bytes that a piece has", text)
		}
		return &size, nil
	})
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, a line for each piece")
	return cmd
}

// A cidReport is what is printed of a piece. What needs its size is not there without.
type cidReport struct {
	CommP    porep.Commitment `json:"comm_p"`
	PieceCID string           `json:"piece_cid"`
	*sizedCID
}

type sizedCID struct {
	payloadReport
	Size   porep.UnpaddedSize `json:"unpadded_size"`
	Padded porep.PaddedSize   `json:"padded_size"`
	Height int                `json:"height"`
}

func (a *app) runCID(args []string, f cidFlags) error {
	var reports []cidReport
	for _, text := range args { // nothing is printed unless all is right
		name, err := input.PieceName(text)
		if err != nil {
			return err
		}
		report, err := f.report(text, name)
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	for i, r := range reports {
		if err := a.printCID(f, i, r); err != nil {
			return err
		}
	}
	return nil
}

// report works out sizes: the flags', and the piece's own.
func (f *cidFlags) report(text string, name input.Name) (cidReport, error) {
	report := cidReport{CommP: name.CommP, PieceCID: piececid.V1(name.CommP)}
	sizes := []porep.UnpaddedSize{name.Size}
	if f.size != nil {
		sizes = append(sizes, *f.size)
	}
	if f.payload != nil {
		if name.HasPayload && name.Payload != *f.payload {
			return report, fmt.Errorf("%q is of a payload of %d bytes, --payload says %d", text, name.Payload, *f.payload)
		}
		sizes = append(sizes, f.payload.NextPieceSize())
	}
	for _, size := range sizes {
		if name.Size == 0 {
			name.Size = size
		}
		if size != 0 && size != name.Size {
			return report, fmt.Errorf("%q: the piece has %d bytes by the one, %d by the other of its name, --piece-size and --payload", text, name.Size, size)
		}
	}
	if name.Size == 0 {
		return report, nil
	}
	switch {
	case f.payload != nil:
		name.Payload = *f.payload
	case !name.HasPayload:
		name.Payload = name.Size
	}
	_, of, err := reportOf(name.Piece, name.Payload)
	padded := name.Size.Padded()
	report.sizedCID = &sizedCID{of, name.Size, padded, bits.Len64(uint64(padded/porep.NodeSize)) - 1}
	return report, err
}

func (a *app) printCID(f cidFlags, i int, r cidReport) error {
	if f.json {
		return a.printJSON(r)
	}
	text := ""
	if i > 0 {
		text = "\n"
	}
	if r.sizedCID == nil {
		return a.print("%scomm_p         %s\npiece CID      %s\n", text, r.CommP, r.PieceCID)
	}
	return a.print("%s%sheight         %d\n", text, pieceReport{r.CommP, r.PieceCID, r.Size}.text(r.payloadReport), r.Height)
}
