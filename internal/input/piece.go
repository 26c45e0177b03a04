package input

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
)

// Unpadded reads a size that a piece can have, in bytes.
func Unpadded(text string) (porep.UnpaddedSize, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, noBytes(text)
	}
	size := porep.UnpaddedSize(n)
	return size, size.CheckPieceSize()
}

// noBytes is the error of a text that is no number of bytes. With a unit, it is a size of
// sectors perhaps.
func noBytes(text string) error {
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		digits, ok := strings.CutSuffix(text, unit)
		n, err := strconv.ParseUint(digits, 10, 9)
		padded := porep.PaddedSize(n) << (10 * (i + 1))
		if ok && err == nil && padded.Unpadded().CheckPieceSize() == nil {
			return fmt.Errorf("%q is not a number of bytes: %s, padded, is %d unpadded", text, text, padded.Unpadded())
		}
	}
	return fmt.Errorf("%q is not a number of bytes", text)
}

// A Name is what a text says of a piece: its commitment, and perhaps its size.
type Name struct {
	porep.Piece // Size is 0 if the text does not say it
	// Payload is how many bytes are in front of the zeros that fill the piece. HasPayload
	// is whether the text says it: version 2 of a piece CID.
	Payload    porep.UnpaddedSize
	HasPayload bool
}

// PieceName reads how people name a piece: comm_p in hex or as a piece CID of version 1, both
// with :UNPADDED behind or without, or a piece CID of version 2, where a size behind it must
// be its own.
func PieceName(text string) (Name, error) {
	commP, size, sized := strings.Cut(text, ":")
	name, err := pieceName(commP)
	if err != nil || !sized {
		return name, err
	}
	n, err := Unpadded(size)
	if err != nil {
		return Name{}, fmt.Errorf("%q: %w", text, err)
	}
	if name.Size != 0 && n != name.Size {
		return Name{}, fmt.Errorf("%q: the CID is of a piece of %d unpadded bytes, the size beside it is %d", text, name.Size, n)
	}
	name.Size = n
	return name, nil
}

// pieceName reads comm_p in hex, or a piece CID.
func pieceName(text string) (Name, error) {
	commP, hexErr := porep.ParseCommitment(text)
	if hexErr == nil {
		return Name{Piece: porep.Piece{CommP: commP}}, nil
	}
	c, err := piececid.Parse(text)
	if err != nil {
		if isCID(text, err) {
			return Name{}, err
		}
		return Name{}, hexErr
	}
	return Name{porep.Piece{CommP: c.CommP, Size: c.Size}, c.Payload, c.Version == 2}, nil
}

// isCID reports whether a text that is no piece CID was to be one, or is another CID.
func isCID(text string, err error) bool {
	bad := (*piececid.Error)(nil)
	return errors.As(err, &bad) && bad.Kind != "" || strings.HasPrefix(text, "baga") || strings.HasPrefix(text, "bafk")
}

// Piece reads a piece of a sector: COMM_P:UNPADDED, comm_p in hex or as a piece CID, or a
// piece CID of version 2 alone.
func Piece(text string) (porep.Piece, error) {
	name, err := PieceName(text)
	switch {
	case err != nil && !strings.Contains(text, ":") && !isCID(text, err):
		return porep.Piece{}, fmt.Errorf("%q is not COMM_P:UNPADDED, nor a piece CID of version 2", text)
	case err != nil:
		return porep.Piece{}, err
	case name.Size == 0:
		return porep.Piece{}, fmt.Errorf("%q is not COMM_P:UNPADDED: it has no size; of piece CIDs only version 2 (bafkzcib…) has", text)
	case name.HasPayload && name.Payload == 0:
		return porep.Piece{}, fmt.Errorf("%q is the CID of a payload of 0 bytes: no piece of a sector is", text)
	}
	return name.Piece, nil
}

// CommD reads a commitment to a sector's data: 64 hex digits or a piece CID. Its size is 0
// where the text has none: see CheckCommD.
func CommD(text string) (porep.Piece, error) {
	name, err := pieceName(text)
	return name.Piece, err
}

// CheckCommD refuses a comm_d whose text says that it is of less than a sector.
func CheckCommD(p porep.SealProof, commD porep.Piece) error {
	if whole := porep.PaddedSize(p.SectorSize()).Unpadded(); commD.Size != 0 && commD.Size != whole {
		return fmt.Errorf("comm_d %v: its CID is of a piece of %d unpadded bytes, a sector of %v holds %d", commD.CommP, commD.Size, p, whole)
	}
	return nil
}
