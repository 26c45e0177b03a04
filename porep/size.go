package porep

import (
	"fmt"
	"math/bits"
	"strconv"
)

// SectorSize is a sector's size in bytes, padded.
type SectorSize uint64

// Nodes is the number of nodes in a layer, of NodeSize bytes each.
func (s SectorSize) Nodes() uint64 { return uint64(s) / NodeSize }

// String is the size in the largest binary unit that divides it: "512MiB".
func (s SectorSize) String() string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if u := SectorSize(1) << (30 - 10*i); s >= u && s%u == 0 {
			return strconv.FormatUint(uint64(s/u), 10) + unit
		}
	}
	return strconv.FormatUint(uint64(s), 10) + "B"
}

// Fr32 padding turns UnpaddedUnit user bytes into PaddedUnit bytes, which is
// also the smallest piece.
const (
	UnpaddedUnit = 127
	PaddedUnit   = 128
)

// UnpaddedSize counts a piece's user bytes; PaddedSize counts the bytes that
// they take in a sector, 128 for each 127.
type (
	UnpaddedSize uint64
	PaddedSize   uint64
)

// Padded is the size in a sector, rounded down to a whole unit.
func (u UnpaddedSize) Padded() PaddedSize {
	return PaddedSize(u / UnpaddedUnit * PaddedUnit)
}

// Unpadded is the number of user bytes, rounded down to a whole unit.
func (p PaddedSize) Unpadded() UnpaddedSize {
	return UnpaddedSize(p / PaddedUnit * UnpaddedUnit)
}

// A PieceSizeError says why no piece can have a size, given as unpadded bytes.
type PieceSizeError struct {
	Size   UnpaddedSize
	Reason string
}

func (e *PieceSizeError) Error() string {
	return fmt.Sprintf("porep: checking piece size: %d unpadded bytes: %s", uint64(e.Size), e.Reason)
}

// maxPieceSize is far above any sector and keeps sums of sizes from overflowing.
const maxPieceSize = 1 << 50

// CheckPieceSize returns a *PieceSizeError unless u is a piece's size: 127
// bytes or more, and a power of two once padded.
func (u UnpaddedSize) CheckPieceSize() error {
	switch {
	case u < UnpaddedUnit:
		return &PieceSizeError{u, fmt.Sprintf("too small, the smallest piece has %d", UnpaddedUnit)}
	case u > maxPieceSize:
		return &PieceSizeError{u, "larger than any sector"}
	case bits.OnesCount64(uint64(u)) == 1:
		return &PieceSizeError{u, fmt.Sprintf("%d is padded; unpadded it is %d; the next piece size is %d", uint64(u), PaddedSize(u).Unpadded(), u.NextPieceSize())}
	case u%UnpaddedUnit != 0:
		return &PieceSizeError{u, fmt.Sprintf("not a multiple of %d; the next piece size is %d", UnpaddedUnit, u.NextPieceSize())}
	case bits.OnesCount64(uint64(u.Padded())) != 1:
		return &PieceSizeError{u, fmt.Sprintf("%d when padded, which is no power of two; the next piece size is %d", uint64(u.Padded()), u.NextPieceSize())}
	}
	return nil
}

// CheckPieceIn returns a *PieceSizeError unless u is a piece's size that fits
// into a sector of size s.
func (u UnpaddedSize) CheckPieceIn(s SectorSize) error {
	if err := u.CheckPieceSize(); err != nil {
		return err
	}
	if u.Padded() > PaddedSize(s) {
		return &PieceSizeError{u, fmt.Sprintf("%d when padded, larger than the sector of %d", uint64(u.Padded()), uint64(s))}
	}
	return nil
}

// NextPieceSize is the smallest piece size that holds u user bytes.
func (u UnpaddedSize) NextPieceSize() UnpaddedSize {
	if u > maxPieceSize {
		return 0
	}
	units := (max(u, 1) + UnpaddedUnit - 1) / UnpaddedUnit
	return UnpaddedUnit << bits.Len64(uint64(units-1))
}
