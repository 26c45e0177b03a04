package cabi

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

func (c *Call) commP(ctx context.Context) (any, error) {
	var path string
	var size porep.UnpaddedSize
	r := &reader{}
	r.request(c.request, map[string]field{
		"piece":      text(&path, asText),
		"piece-size": text(&size, input.Unpadded),
	}, "piece")
	if err := r.err(); err != nil {
		return nil, err
	}
	source, err := c.openPiece(ctx, path, size)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	piece, _, err := seal.CommPOf(ctx, source.reader(), seal.Payload{Size: porep.UnpaddedSize(source.size), Progress: source.progress})
	if err != nil {
		return nil, err
	}
	v2, err := piececid.V2(piece, piece.Size)
	return struct {
		CommP    porep.Commitment   `json:"comm_p"`
		PieceCID string             `json:"piece_cid"`
		Size     porep.UnpaddedSize `json:"unpadded_size"`
		Padded   porep.PaddedSize   `json:"padded_size"`
		CIDv2    string             `json:"piece_cid_v2"`
	}{piece.CommP, piececid.V1(piece.CommP), piece.Size, piece.Size.Padded(), v2}, err
}

func (c *Call) addPiece(ctx context.Context) (any, error) {
	a := seal.Append{Proof: noProof, Waiting: func() { c.note("waiting for another job that adds a piece to staged") }}
	var path string
	var size porep.UnpaddedSize
	r := &reader{}
	r.request(c.request, map[string]field{
		"proof":        text(&a.Proof, porep.ParseSealProof),
		"piece":        text(&path, asText),
		"piece-size":   text(&size, input.Unpadded),
		"staged":       text(&a.Staged, asText),
		"existing":     texts(&a.Existing, input.Unpadded),
		"no-alignment": flag(&a.NoAlignment),
		"record":       flag(&a.Record),
		"no-wait":      flag(&a.NoWait),
	}, "proof", "piece", "piece-size", "staged")
	if err := r.err(); err != nil {
		return nil, err
	}
	others := []seal.File{
		{Role: "piece", Path: path},
		{Role: "staged", Path: a.Staged, Use: seal.Writes},
		{Role: "piece record", Path: seal.RecordName(durable.Target(a.Staged)), Use: seal.Replaces},
	}
	if err := seal.CheckPaths(nil, others...); err != nil {
		return nil, err
	}
	source, err := c.openPiece(ctx, path, size)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	a.Progress = source.progress
	added, err := seal.AppendPiece(ctx, a, source.reader(), size)
	if err != nil {
		return nil, err
	}
	v2, err := piececid.V2(added.Piece, added.Size)
	return struct {
		CommP    porep.Commitment   `json:"comm_p"`
		PieceCID string             `json:"piece_cid"`
		Size     porep.UnpaddedSize `json:"unpadded_size"`
		Written  porep.UnpaddedSize `json:"written"`
		Padded   porep.PaddedSize   `json:"padded_size"`
		CIDv2    string             `json:"piece_cid_v2"`
		Offset   porep.PaddedSize   `json:"offset"`
	}{added.CommP, piececid.V1(added.CommP), added.Size, added.Written, added.Size.Padded(), v2, added.Offset}, err
}

// A pieceReader is a piece that is read. A Read that waits, of a pipe, ends with its call.
type pieceReader struct {
	*os.File
	ctx      context.Context
	stop     func() bool
	progress *seal.PieceProgress
	size     uint64
	regular  bool
}

// reader is the file itself, where it can be read in several places at a time.
func (r *pieceReader) reader() io.Reader {
	if r.regular {
		return r.File
	}
	return r
}

func (r *pieceReader) Read(b []byte) (n int, err error) {
	n, err = r.File.Read(b)
	if err != nil && err != io.EOF && r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	return n, err
}

func (r *pieceReader) Close() error {
	r.stop()
	return r.File.Close()
}

// openPiece opens a piece of the size announced; 0 asks for the file's.
func (c *Call) openPiece(ctx context.Context, path string, announced porep.UnpaddedSize) (*pieceReader, error) {
	f, err := input.OpenUntil(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sdr: opening the piece: %w", err)
	}
	info, err := f.Stat()
	size := uint64(announced)
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a directory", path)
	case !info.Mode().IsRegular() && announced == 0:
		f.Close()
		return nil, &RequestError{[]string{fmt.Sprintf("piece-size is missing: the size of %s is not known before its end", path)}}
	case info.Mode().IsRegular() && announced != 0 && info.Size() != int64(announced):
		err = fmt.Errorf("%s has %d bytes, piece-size announced %d", path, info.Size(), announced)
	case info.Mode().IsRegular():
		size = uint64(info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("sdr: opening the piece: %w", err)
	}
	r := &pieceReader{File: f, ctx: ctx, size: size, regular: info.Mode().IsRegular(), progress: new(seal.PieceProgress)}
	r.stop = context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) }) // of a file that waits for nobody, an error
	c.where.Store(&where{piece: r.progress})
	return r, nil
}
