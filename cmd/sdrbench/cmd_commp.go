package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

type commPFlags struct {
	payloadFlags
	json bool
}

func (a *app) commP() *cobra.Command {
	var f commPFlags
	cmd := &cobra.Command{
		Use:   "commp",
		Short: "Print a piece's commitment",
		Long: `Commp prints the comm_p and the CIDs of a piece and writes nothing.

A piece has 127 bytes, or twice that, or twice that again, and so on. A file of
another size is an error: it is never filled up with zeros behind your back.
--pad fills it up to the next of these sizes, --pad-to to the one that it says. The
payload may come from a pipe then, and have any length.

Version 2 of a piece CID says how many zeros fill the payload. It cannot say more of
them than the smallest piece needs; where --pad-to makes a larger one, they count as
payload there.`,
		Example: `  sdrbench commp --piece deal.car
  sdrbench commp --piece deal.car --pad --expect bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4
  generate | sdrbench commp --piece - --pad --json`,
		Args: byFlag("piece"),
		RunE: work(func(ctx context.Context, _ []string) error { return a.runCommP(ctx, f) }),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "piece")
	return cmd
}

func (a *app) runCommP(ctx context.Context, f commPFlags) error {
	if err := seal.CheckPaths(nil, append(a.printedFiles(), a.pieceFile(f.piece))...); err != nil {
		return err
	}
	p, err := a.openPayload(ctx, f.payloadFlags)
	if err != nil {
		return err
	}
	defer p.Close()
	progress := new(seal.PieceProgress)
	stop := a.showProgress(func() view.Sample { return pieceSample(progress) })
	piece, length, err := p.commP(progress)
	stop()
	if err == nil {
		err = f.checkExpected(piece)
	}
	if err != nil {
		return err
	}
	report, of, err := reportOf(piece, length)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(struct {
			pieceReport
			Padded porep.PaddedSize `json:"padded_size"`
			payloadReport
		}{report, piece.Size.Padded(), of})
	}
	return a.print("%s", report.text(of))
}
