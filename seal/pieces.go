package seal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
)

// A PlacedPiece is a piece and where it lies in staged.
type PlacedPiece struct {
	Offset porep.PaddedSize
	porep.Piece
}

// A PieceRecord says which pieces a staged file holds. AppendPiece keeps it in a
// file beside staged, and writes it when the piece is on the disk: a staged file
// that is longer than its record has the rest from somebody who was killed.
type PieceRecord struct {
	Proof  porep.SealProof
	Pieces []PlacedPiece // at least one, in the order of their offsets
}

// RecordName is the path of a staged file's piece record.
func RecordName(staged string) string { return staged + ".pieces" }

const (
	recordSchema = 1
	maxRecord    = 1 << 20 // bytes; some 7000 pieces
)

// The file's form. A field that is added or read otherwise is another schema.
type recordJSON struct {
	Schema int         `json:"schema"`
	Proof  string      `json:"proof"`
	Pieces []pieceJSON `json:"pieces"`
}

type pieceJSON struct {
	Offset porep.PaddedSize   `json:"offset"` // in staged, padded bytes
	Size   porep.UnpaddedSize `json:"unpadded_size"`
	CommP  string             `json:"comm_p"` // or a piece CID, which people may put there
}

// A RecordError says why a piece record cannot be used.
type RecordError struct {
	Path    string // empty for a text that came from no file
	Problem string
	Err     error // what was wrong with a proof, a size or a commitment, or the system's; or nil
}

func (e *RecordError) Error() string {
	s := "seal: reading piece record"
	if e.Path != "" {
		s += fmt.Sprintf(" %q", e.Path)
	}
	s += ": " + e.Problem
	if e.Err != nil {
		s += ": " + clip(e.Err.Error())
	}
	return s
}

func (e *RecordError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrBadInput, unless Err is of another kind.
func (e *RecordError) Is(target error) bool {
	return target == ErrBadInput && failure.IsInput(e.Err)
}

// clip shortens what may hold any amount of a bad file's text.
func clip(s string) string {
	const most = 1000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// End is where the last piece ends.
func (r *PieceRecord) End() porep.PaddedSize {
	if len(r.Pieces) == 0 {
		return 0
	}
	last := r.Pieces[len(r.Pieces)-1]
	return last.Offset + last.Size.Padded()
}

// Aligned returns the pieces, or a *RecordError if one of them lies elsewhere than
// alignment puts it: comm_d says nothing of such a sector.
func (r *PieceRecord) Aligned() ([]porep.Piece, error) {
	var end porep.PaddedSize
	pieces := make([]porep.Piece, len(r.Pieces))
	for i, p := range r.Pieces {
		start := align(end, p.Size.Padded())
		if p.Offset != start {
			return nil, &RecordError{Problem: fmt.Sprintf(
				"piece %d, of %d padded bytes, is at %d, where no alignment put it: comm_d wants it at %d; add the sector's pieces again with alignment",
				i, p.Size.Padded(), p.Offset, start)}
		}
		pieces[i], end = p.Piece, start+p.Size.Padded()
	}
	return pieces, nil
}

// ParsePieceRecord reads a record's text, which must say what AppendPiece writes
// and nothing else; only the space between is free, and comm_p may be a piece CID. Its
// error is a *RecordError.
func ParsePieceRecord(text []byte) (*PieceRecord, error) {
	failed := func(err error, format string, args ...any) (*PieceRecord, error) {
		return nil, &RecordError{Problem: fmt.Sprintf(format, args...), Err: err}
	}
	if len(text) > maxRecord {
		return failed(nil, "more than %d bytes, which no record has", maxRecord)
	}
	// The schema first: fields that another one has are not what is wrong.
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return failed(err, "no piece record")
	}
	if version.Schema == nil {
		return failed(nil, "no piece record: it has no schema, want %d", recordSchema)
	}
	if *version.Schema != recordSchema {
		return failed(nil, "schema %d, only %d is known here", *version.Schema, recordSchema)
	}
	var in recordJSON
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return failed(err, "no piece record of schema %d", recordSchema)
	}

	proof, err := porep.ParseSealProof(clip(in.Proof))
	if err != nil {
		return failed(err, "proof")
	}
	if len(in.Pieces) == 0 {
		return failed(nil, "no pieces: a record has one at least")
	}
	r := &PieceRecord{Proof: proof}
	canonical := recordJSON{Schema: recordSchema, Proof: proof.String()}
	for i, p := range in.Pieces {
		if err := p.Size.CheckPieceIn(proof.SectorSize()); err != nil {
			return failed(err, "piece %d", i)
		}
		name, err := input.PieceName(clip(p.CommP))
		switch {
		case err != nil:
			return failed(err, "piece %d", i)
		case strings.Contains(p.CommP, ":"):
			return failed(nil, "piece %d: comm_p %q has a size, which unpadded_size is for", i, clip(p.CommP))
		case name.Size != 0 && name.Size != p.Size:
			return failed(nil, "piece %d: the CID is of a piece of %d unpadded bytes, unpadded_size is %d", i, name.Size, p.Size)
		}
		if _, err := porep.ParseCommitment(p.CommP); err == nil { // else it stays the CID that it is
			p.CommP = name.CommP.String()
		}
		canonical.Pieces = append(canonical.Pieces, p)
		sector := porep.PaddedSize(proof.SectorSize())
		switch {
		case p.Offset < r.End():
			return failed(nil, "piece %d begins at %d, before the end at %d of the one before it", i, p.Offset, r.End())
		case p.Offset%porep.PaddedUnit != 0:
			return failed(nil, "piece %d begins at %d, which is no multiple of %d", i, p.Offset, porep.PaddedUnit)
		case p.Offset > sector-p.Size.Padded():
			return failed(nil, "piece %d, of %d padded bytes from %d on, does not fit into the sector of %d", i, p.Size.Padded(), p.Offset, sector)
		}
		r.Pieces = append(r.Pieces, PlacedPiece{p.Offset, porep.Piece{CommP: name.CommP, Size: p.Size}})
	}

	// What the decoder is generous about: fields that are missing, there twice or
	// spelt in another case.
	canonicalText, err := json.Marshal(canonical)
	if err != nil {
		return nil, err
	}
	var got, want bytes.Buffer
	if err := errors.Join(json.Compact(&got, text), json.Compact(&want, canonicalText)); err != nil {
		return failed(err, "no piece record")
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		same := 0
		for same < min(got.Len(), want.Len()) && got.Bytes()[same] == want.Bytes()[same] {
			same++
		}
		return failed(nil, "a field is missing, there twice, or otherwise than it is written here: it differs from byte %d on, spaces not counted", same)
	}
	return r, nil
}

// text is what the record's file holds. It has the same length whatever the commitments.
func (r *PieceRecord) text() ([]byte, error) {
	out := recordJSON{Schema: recordSchema, Proof: r.Proof.String()}
	for _, p := range r.Pieces {
		out.Pieces = append(out.Pieces, pieceJSON{p.Offset, p.Size, p.CommP.String()})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("seal: writing piece record: %w", err)
	}
	return append(text, '\n'), nil
}

// readRecord reads a record's file, and returns its text, too. Its error is a
// *RecordError, which is os.ErrNotExist if there is no file.
func readRecord(path string) (*PieceRecord, []byte, error) {
	failed := func(problem string, err error) (*PieceRecord, []byte, error) {
		return nil, nil, &RecordError{path, problem, err}
	}
	// Opening a pipe could wait for ever.
	if info, err := os.Stat(path); err != nil {
		return failed("looking at it", err)
	} else if !info.Mode().IsRegular() {
		return failed(fmt.Sprintf("it is not a regular file, its mode is %v", info.Mode()), nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return failed("opening it", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err != nil {
		return failed("reading it", err)
	}
	r, err := ParsePieceRecord(text)
	if bad := (*RecordError)(nil); errors.As(err, &bad) {
		bad.Path = path
	}
	return r, text, err
}

// ReadPieces returns the pieces of a sector of that proof from the record's file
// that path leads to, for Sector.Pieces. Its error is a *RecordError, also if the
// pieces are not where comm_d wants them.
func ReadPieces(path string, p porep.SealProof) ([]porep.Piece, error) {
	r, _, err := readRecord(path)
	if err != nil {
		return nil, err
	}
	if err := r.isOf(path, p); err != nil {
		return nil, err
	}
	pieces, err := r.Aligned()
	if bad := (*RecordError)(nil); errors.As(err, &bad) {
		bad.Path = path
	}
	return pieces, err
}

// isOf returns a *RecordError if the record's sector is of another proof.
func (r *PieceRecord) isOf(path string, p porep.SealProof) error {
	if r.Proof == p {
		return nil
	}
	return &RecordError{Path: path, Problem: fmt.Sprintf("its sector is of proof %v, this one of %v: is it the record of another sector?", r.Proof, p)}
}

// agrees returns a *RecordError if the record's pieces have other sizes.
func (r *PieceRecord) agrees(path string, existing []porep.UnpaddedSize) error {
	for i, p := range r.Pieces {
		if i < len(existing) && existing[i] != p.Size {
			return &RecordError{Path: path, Problem: fmt.Sprintf("its piece %d has %d bytes, the existing piece that was named has %d: name none, or those of the record", i, p.Size, existing[i])}
		}
	}
	if len(r.Pieces) != len(existing) {
		return &RecordError{Path: path, Problem: fmt.Sprintf("pieces in the record: %d, existing ones that were named: %d; name none, or those of the record", len(r.Pieces), len(existing))}
	}
	return nil
}

// with is the record with one more piece, and the text of the whole. Its error is a
// *RecordError if that is longer than a record may be.
func (r *PieceRecord) with(path string, p PlacedPiece) (*PieceRecord, []byte, error) {
	next := &PieceRecord{r.Proof, append(slices.Clone(r.Pieces), p)}
	text, err := next.text()
	if err == nil && len(text) > maxRecord {
		err = &RecordError{Path: path, Problem: fmt.Sprintf("with a piece more it would have %d bytes, %d are the most: remove it and name the pieces instead", len(text), maxRecord)}
	}
	return next, text, err
}

// reserveRecord takes the space on the disk for a record of size bytes, so that a
// disk that is full shows before a piece is written. Write gives it its name,
// durably; without it abort leaves nothing.
func reserveRecord(ctx context.Context, path string, size int) (write func(text []byte) error, abort func(), err error) {
	f, err := durable.Create(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Reserve(int64(size)); err != nil {
		f.Abort()
		return nil, nil, err
	}
	return func(text []byte) error {
		if _, err := f.WriteAt(text, 0); err != nil {
			return err
		}
		return f.Replace(ctx)
	}, f.Abort, nil
}

// putBack sees to it that a record's file that holds text, which could not be written
// as it should be, holds what it held before; nil is no file.
func putBack(ctx context.Context, path string, text, before []byte) error {
	holds := func() (bool, error) {
		now, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return bytes.Equal(now, text), err
	}
	if held, err := holds(); err != nil || !held {
		return err
	}
	if before == nil {
		return os.Remove(path)
	}
	write, abort, err := reserveRecord(ctx, path, len(before))
	if err != nil {
		return err
	}
	defer abort()
	err = write(before)
	if held, readErr := holds(); readErr == nil && !held {
		return nil // whether on the disk or not: staged is never shorter than it says
	}
	return err
}
