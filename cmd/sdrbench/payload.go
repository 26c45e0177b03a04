package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// payloadFlags say what a piece is made of.
type payloadFlags struct {
	piece  string              // a file, or - for standard input
	size   *porep.UnpaddedSize // nil: the file's
	pad    bool
	padTo  *porep.UnpaddedSize // nil: not asked for
	expect *input.Name         // nil: any piece
}

func (f *payloadFlags) add(cmd *cobra.Command) {
	size := func(text string) (*porep.UnpaddedSize, error) {
		size, err := input.Unpadded(text)
		return &size, err
	}
	cmd.Flags().StringVar(&f.piece, "piece", "", "the piece's `FILE`, - for standard input")
	flagVar(cmd, &f.size, "piece-size", "UNPADDED", "the piece's size in bytes, all of them payload (default: the file's)", size)
	cmd.Flags().BoolVar(&f.pad, "pad", false, "fill the payload with zeros up to the next size that a piece can have")
	flagVar(cmd, &f.padTo, "pad-to", "UNPADDED", "fill the payload with zeros up to this piece size, in bytes", size)
	flagVar(cmd, &f.expect, "expect", "PIECE", "fail, and leave nothing behind, unless it is this piece: comm_p, COMM_P:UNPADDED or a piece CID",
		func(text string) (*input.Name, error) {
			name, err := input.PieceName(text)
			return &name, err
		})
	cmd.MarkFlagsMutuallyExclusive("piece-size", "pad", "pad-to")
}

// fills reports whether zeros may follow the payload.
func (f *payloadFlags) fills() bool { return f.pad || f.padTo != nil }

// A payload is what a piece begins with, and is all of if nobody asked for zeros. As a reader,
// of what comes in order, it makes sure that it has the length that is known beforehand, or that
// --expect says.
type payload struct {
	source io.ReadCloser
	ctx    context.Context
	path   string
	read   porep.UnpaddedSize
	known  bool
	length porep.UnpaddedSize // where it is known
	size   porep.UnpaddedSize // the piece's; 0 where the payload's end will show it
	expect *input.Name        // nil: any piece
	fills  bool
}

// openPayload opens a piece's payload. What the sizes alone say is wrong shows here.
func (a *app) openPayload(ctx context.Context, f payloadFlags) (*payload, error) {
	source, length, known, err := a.openPiece(ctx, f.piece)
	if err != nil {
		return nil, err
	}
	p := &payload{source: source, ctx: ctx, path: f.piece, length: length, known: known, expect: f.expect, fills: f.fills()}
	if err := p.resolve(f); err != nil {
		source.Close()
		return nil, err
	}
	return p, nil
}

// resolve works out what is known of the sizes before anything is read.
func (p *payload) resolve(f payloadFlags) error {
	switch {
	case p.known && f.size != nil && *f.size != p.length:
		return fmt.Errorf("opening piece: %s has %d bytes, --piece-size announced %d", f.piece, p.length, *f.size)
	case p.known:
	case f.size != nil:
		p.known, p.length = true, *f.size
	case f.fills() && f.expect != nil && f.expect.HasPayload && !(f.padTo != nil && f.expect.Payload == *f.padTo):
		// Where --pad-to takes zeros for payload, it may be shorter.
		p.known, p.length = true, f.expect.Payload
	case !f.fills():
		return usageError{fmt.Errorf("the size of piece %q is not known before its end: add --piece-size, or --pad to fill it up with zeros", f.piece)}
	}
	switch {
	case f.padTo != nil:
		p.size = *f.padTo
		if p.known && p.length > p.size {
			return fmt.Errorf("opening piece: %s has %d bytes, more than --pad-to, %d", f.piece, p.length, p.size)
		}
	case f.pad && p.known:
		p.size = p.length.NextPieceSize()
	case p.known:
		p.size = p.length
		if err := p.size.CheckPieceSize(); err != nil {
			return fmt.Errorf("opening piece: %s: %w; --pad fills it up with zeros", f.piece, err)
		}
	}
	if e := f.expect; e != nil && e.Size != 0 && p.size != 0 && p.size != e.Size {
		return fmt.Errorf("opening piece: --expect has %d bytes, %s makes a piece of %d", e.Size, f.piece, p.size)
	}
	if p.known {
		return p.checkLength(p.length)
	}
	return nil
}

// checkLength compares a payload's length with the one that --expect says, in a piece whose size is
// known.
func (p *payload) checkLength(length porep.UnpaddedSize) error {
	if e := p.expect; e != nil && e.HasPayload && p.fills && said(length, p.size) != e.Payload {
		return fmt.Errorf("opening piece: the payload of --expect has %d bytes, %s has %d", e.Payload, p.path, length)
	}
	return nil
}

// said is the payload that version 2 of a piece CID says. Of zeros that a smaller piece would
// not need it takes all for payload.
func said(payload, size porep.UnpaddedSize) porep.UnpaddedSize {
	if payload.NextPieceSize() != size {
		return size
	}
	return payload
}

func (p *payload) Close() error { return p.source.Close() }

// reader is what to read the payload from: the file itself, which is read in several places at a
// time, or what comes in order.
func (p *payload) reader() io.Reader {
	if f, ok := p.source.(*os.File); ok {
		return f
	}
	return p
}

func (p *payload) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.source.Read(b)
	p.read += porep.UnpaddedSize(n)
	most := p.size
	if p.known {
		most = p.length
	}
	switch {
	case (p.known || p.size != 0) && p.read > most || p.known && err == io.EOF && p.read < most:
		wrong := &seal.SourceError{Want: most, Got: min(p.read, most+1)}
		if p.path != "-" {
			wrong.Path = p.path
		}
		return n, wrong
	case err == io.EOF && p.size != 0 && p.read > 0:
		if wrong := p.checkLength(p.read); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}

// commP is the piece, which zeros may fill, and how long its payload is.
func (p *payload) commP(progress *seal.PieceProgress) (porep.Piece, porep.UnpaddedSize, error) {
	return seal.CommPOf(p.ctx, p.reader(), seal.Payload{Size: p.size, Fill: p.fills, Progress: progress})
}

// spool reads a payload whose length nobody knows into a file without a name in dir: where
// a piece begins depends on its size.
func (p *payload) spool(dir string, flags payloadFlags) error {
	f, err := durable.Scratch(p.ctx, dir)
	if err != nil {
		return fmt.Errorf("keeping the payload until its length is known: %w", err)
	}
	if _, err := io.CopyBuffer(io.NewOffsetWriter(f, 0), p, make([]byte, 1<<20)); err != nil {
		f.Abort()
		return fmt.Errorf("keeping the payload until its length is known: %w", err)
	}
	p.source.Close()
	p.source = spooled{io.NewSectionReader(f, 0, int64(p.read)), f}
	p.length, p.known, p.read = p.read, true, 0
	return p.resolve(flags)
}

type spooled struct {
	io.Reader
	file *durable.File
}

func (s spooled) Close() error {
	s.file.Abort()
	return nil
}

// A pieceReport is what is printed of a piece.
type pieceReport struct {
	CommP    porep.Commitment   `json:"comm_p"`
	PieceCID string             `json:"piece_cid"`
	Size     porep.UnpaddedSize `json:"unpadded_size"`
}

// A payloadReport is what is printed of a piece and its payload, behind what was printed
// before there was any padding.
type payloadReport struct {
	CIDv2   string             `json:"piece_cid_v2"`
	Payload porep.UnpaddedSize `json:"payload_size"`
	Padding porep.UnpaddedSize `json:"padding"`
}

func reportOf(p porep.Piece, payload porep.UnpaddedSize) (pieceReport, payloadReport, error) {
	v2, err := piececid.V2(p, said(payload, p.Size))
	return pieceReport{p.CommP, piececid.V1(p.CommP), p.Size}, payloadReport{v2, payload, p.Size - payload}, err
}

func (r pieceReport) text(of payloadReport) string {
	return fmt.Sprintf("comm_p         %s\npiece CID      %s\npiece CID v2   %s\npayload        %d\npadding        %d\nunpadded size  %d\npadded size    %d\n",
		r.CommP, r.PieceCID, of.CIDv2, of.Payload, of.Padding, r.Size, r.Size.Padded())
}

// checkExpected returns an error unless the piece is the one that was expected, if one was.
func (f *payloadFlags) checkExpected(p porep.Piece) error {
	switch e := f.expect; {
	case e == nil:
	case e.CommP != p.CommP:
		return &seal.OtherPieceError{Got: p, Want: e.CommP}
	case e.Size != 0 && e.Size != p.Size:
		return fmt.Errorf("--expect has %d bytes, the piece has %d", e.Size, p.Size)
	}
	return nil
}
