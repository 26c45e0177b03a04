package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// An OtherPieceError says that data is not the piece that it was said to be.
type OtherPieceError struct {
	Got  porep.Piece
	Want porep.Commitment
}

func (e *OtherPieceError) Error() string {
	return fmt.Sprintf("seal: checking piece: comm_p of its %d bytes is %v, %v was expected: the data is not that piece's", e.Got.Size, e.Got.CommP, e.Want)
}

// FillSector completes a.Staged with pieces of zeros, so that comm_d of the sector's pieces is
// that of a whole sector: the largest that are aligned, one behind the other. They are holes,
// whatever their size. It is AppendPiece for each of them, with its errors; those that were
// added before an error stay, and are returned as well. A sector that is full gets none.
// A staged file that holds no piece becomes one zero piece.
func FillSector(ctx context.Context, a Append) (added []AddedPiece, err error) {
	if err := a.Proof.Check(); err != nil {
		return nil, err
	}
	end, _, err := ends(a.Proof, a.Existing)
	if err != nil {
		return nil, err
	}
	path := a.Staged
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	name := RecordName(path)
	record, _, err := readRecord(name)
	switch {
	case err == nil:
		if a.Existing != nil {
			err = record.agrees(name, a.Existing)
		}
		end, a.Existing = record.End(), nil
		if _, unaligned := record.Aligned(); err == nil {
			err = unaligned // no pieces make up its comm_d
		}
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return nil, err
	}
	a.Expect, a.NoAlignment, a.Fill = nil, false, false
	for sector := porep.PaddedSize(a.Proof.SectorSize()); end < sector; {
		size := end & -end // the largest that is aligned here
		if end == 0 {
			size = sector
		}
		piece, err := AppendPiece(ctx, a, zeroPiece{}, size.Unpadded())
		if err != nil {
			return added, err
		}
		added = append(added, piece)
		if end = piece.Offset + size; record == nil && !a.Record {
			a.Existing = append(a.Existing[:len(a.Existing):len(a.Existing)], size.Unpadded())
		}
	}
	return added, nil
}

// A zeroPiece is the source of a piece of zeros, which is not read: its commitment is known.
type zeroPiece struct{}

func (zeroPiece) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func (zeroPiece) write(staged io.Writer, size porep.UnpaddedSize) (porep.Commitment, error) {
	if err := writeZeros(staged, int64(size.Padded())); err != nil {
		return porep.Commitment{}, fmt.Errorf("seal: writing piece: %w", err)
	}
	return merkle.ZeroCommitment(size.Padded())
}
