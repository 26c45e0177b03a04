package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// AddedPiece is what AddPiece put into a sector.
type AddedPiece struct {
	porep.Piece
	// Offset is where the piece begins in the sector, in padded bytes.
	Offset porep.PaddedSize
	// Alignment are the zero bytes in front of the piece, Written those and the
	// piece, both unpadded.
	Alignment, Written porep.UnpaddedSize
	// Payload is how much of the piece its source yielded: zeros are behind, if it was to be
	// filled.
	Payload porep.UnpaddedSize
}

// A SourceError says that a piece's source yields fewer or more bytes than were
// announced, or fails.
type SourceError struct {
	Path string             // the source's, if it is a file
	Want porep.UnpaddedSize // 0: any number, but none, was
	Got  porep.UnpaddedSize // up to one more than wanted
	Err  error              // the source's own; nil if it ended, or did not
}

// Is reports whether target is the kind ErrBadInput, unless the source failed.
func (e *SourceError) Is(target error) bool { return target == failure.ErrBadInput && e.Err == nil }

func (e *SourceError) Unwrap() error { return e.Err }

func (e *SourceError) Error() string {
	s := "seal: reading piece"
	source := "the source"
	if e.Path != "" {
		source = fmt.Sprintf("%q", e.Path)
	}
	switch {
	case e.Err != nil && e.Want == 0:
		return fmt.Sprintf("%s: %s fails after %d bytes: %v", s, source, e.Got, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s: %s fails after %d bytes of %d: %v", s, source, e.Got, e.Want, e.Err)
	case e.Want > 0 && e.Got > e.Want:
		return fmt.Sprintf("%s: %s has more than the %d bytes announced", s, source, e.Want)
	case e.Want == 0:
		return fmt.Sprintf("%s: %s has 0 bytes: no piece of a sector is without any", s, source)
	}
	return fmt.Sprintf("%s: %s has %d bytes, %d were announced", s, source, e.Got, e.Want)
}

// A WriteError says where in a piece its writing failed.
type WriteError struct {
	Path           string           // of staged, if it is a file
	Offset, Length int64            // what was written, in the piece's padded bytes
	Size           porep.PaddedSize // the piece's
	Err            error            // never nil
}

func (e *WriteError) Unwrap() error { return e.Err }

func (e *WriteError) Error() string {
	to := "staged"
	if e.Path != "" {
		to = fmt.Sprintf("%q", e.Path)
	}
	return fmt.Sprintf("seal: writing piece to %s: %d bytes from %d on of the piece's %d: %v", to, e.Length, e.Offset, e.Size, e.Err)
}

// A SpaceError says that a piece does not fit behind those that a sector holds.
type SpaceError struct {
	Path               string // of staged, if it is a file
	Sector             porep.SectorSize
	Start, Size, Space porep.PaddedSize // of the piece, aligned; Space is left from Start on
}

// Is reports whether target is the kind ErrBadInput.
func (e *SpaceError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *SpaceError) Error() string {
	to := ""
	if e.Path != "" {
		to = fmt.Sprintf(" to %q", e.Path)
	}
	return fmt.Sprintf("seal: adding piece%s: %d padded bytes from %d on do not fit into the sector of %d, where %d are left",
		to, e.Size, e.Start, uint64(e.Sector), e.Space)
}

// AddPiece pads the piece that source yields and writes it to staged, behind as
// many zero bytes as align it to a multiple of its padded size. existing are the
// unpadded sizes of the pieces that the sector holds already, in order; staged
// must stand behind them. Memory does not grow with the piece.
//
// Ctx is looked at between reads: who has a source that may block for ever closes
// it. Source must yield exactly size bytes and then io.EOF, or the error is a
// *SourceError. If staged is an *os.File, it has its former length and position
// after an error. Nobody else may write to it meanwhile, and it is not synced: see
// AppendPiece.
func AddPiece(ctx context.Context, p porep.SealProof, source io.Reader, size porep.UnpaddedSize, staged io.Writer, existing []porep.UnpaddedSize) (AddedPiece, error) {
	if err := p.Check(); err != nil {
		return AddedPiece{}, err
	}
	if err := size.CheckPieceIn(p.SectorSize()); err != nil {
		return AddedPiece{}, err
	}
	end, _, err := ends(p, existing)
	if err != nil {
		return AddedPiece{}, err
	}
	return addPiece(ctx, p, source, size, staged, end, align(end, size.Padded()), adding{})
}

// WritePiece is AddPiece without alignment: the piece begins where staged stands.
func WritePiece(ctx context.Context, p porep.SealProof, source io.Reader, size porep.UnpaddedSize, staged io.Writer) (AddedPiece, error) {
	return AddPiece(ctx, p, source, size, staged, nil)
}

// align rounds n up to a multiple of size, a power of two.
func align(n, size porep.PaddedSize) porep.PaddedSize { return (n + size - 1) &^ (size - 1) }

// fits returns a *SpaceError if a piece at start, in staged of that path, goes past the sector's end.
func fits(p porep.SealProof, path string, start porep.PaddedSize, size porep.UnpaddedSize) error {
	sector := porep.PaddedSize(p.SectorSize())
	if start > sector || size.Padded() > sector-start {
		return &SpaceError{path, p.SectorSize(), start, size.Padded(), max(sector, start) - start}
	}
	return nil
}

// adding is how a piece is added.
type adding struct {
	waited   bool // the caller waits for the disk
	fill     bool // zeros may follow the source's end
	tree     *StagedTree
	progress *PieceProgress
}

// addPiece adds a piece at start to staged, which ends at end.
func addPiece(ctx context.Context, p porep.SealProof, source io.Reader, size porep.UnpaddedSize, staged io.Writer, end, start porep.PaddedSize, how adding) (_ AddedPiece, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	var to pieceSink = newStreamSink(staged)
	if err := fits(p, to.path(), start, size); err != nil {
		return AddedPiece{}, err
	}
	ended := false // and not by a panic of the source's
	f, isFile := staged.(*os.File)
	if isFile {
		pos, restore, statErr := remember(f)
		if statErr != nil {
			return AddedPiece{}, fmt.Errorf("seal: adding piece: %w", statErr)
		}
		if err := fits(p, to.path(), porep.PaddedSize(pos)+start-end, size); err != nil {
			return AddedPiece{}, err
		}
		defer func() {
			if err != nil || !ended {
				err = errors.Join(err, restore())
			}
		}()
	}
	if err := writeZeros(staged, int64(start-end)); err != nil {
		return AddedPiece{}, fmt.Errorf("seal: aligning piece: %w", err)
	}
	var commP porep.Commitment
	payload := size
	if zero, ok := source.(zeroPiece); ok {
		commP, err = zero.write(staged, size)
	} else {
		finish := func() error { return nil }
		if isFile {
			if to, finish, err = fileSink(ctx, f, size, how.waited); err != nil {
				return AddedPiece{}, fmt.Errorf("seal: adding piece: %w", err)
			}
		}
		fault := failure.Caught(func() {
			commP, payload, err = readPiece(ctx, source, size, passing{fill: how.fill, to: to, tree: how.tree.part(start, size), progress: how.progress})
		})
		if finishErr := finish(); err == nil && finishErr != nil {
			err = fmt.Errorf("seal: writing piece: %w", finishErr)
		}
		if fault != nil {
			panic(fault)
		}
	}
	ended = true
	if err != nil {
		return AddedPiece{}, err
	}
	alignment := (start - end).Unpadded()
	return AddedPiece{porep.Piece{CommP: commP, Size: size}, start, alignment, alignment + size, payload}, nil
}

// remember returns where a regular file stands and what puts it back to that
// position and its length; what is no such file has neither.
func remember(f *os.File) (pos int64, restore func() error, err error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	if !fi.Mode().IsRegular() {
		return 0, func() error { return nil }, nil
	}
	if pos, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, nil, err
	}
	if linux.Appends(f) {
		pos = fi.Size()
	}
	return pos, func() error {
		now, err := f.Stat()
		if err != nil {
			return err
		}
		end, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if _, err := f.Seek(pos, io.SeekStart); err != nil {
			return err
		}
		if most := max(fi.Size(), end); now.Size() > most {
			return fmt.Errorf("seal: putting staged back: it has %d bytes, %d at most are from here: somebody else writes to it, so it keeps them", now.Size(), most)
		}
		return f.Truncate(fi.Size())
	}, nil
}

var zeros [1 << 20]byte

// writeZeros writes n zero bytes: where w stands at a file's end, as a hole.
func writeZeros(w io.Writer, n int64) error {
	if f, ok := w.(*os.File); ok && n > 0 {
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if pos, err := f.Seek(0, io.SeekCurrent); err == nil && fi.Mode().IsRegular() && pos == fi.Size() {
			if err := f.Truncate(pos + n); err != nil {
				return err
			}
			_, err := f.Seek(pos+n, io.SeekStart)
			return err
		}
	}
	for n > 0 {
		k := min(n, int64(len(zeros)))
		if _, err := w.Write(zeros[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// CommP is the commitment of the piece that source yields, which must be exactly
// size bytes, a piece's size. Memory does not grow with the piece.
func CommP(ctx context.Context, source io.Reader, size porep.UnpaddedSize) (porep.Piece, error) {
	if err := size.CheckPieceSize(); err != nil {
		return porep.Piece{}, err
	}
	commP, _, err := readPiece(ctx, source, size, passing{})
	return porep.Piece{CommP: commP, Size: size}, failure.Returned(ctx, err)
}

// A Payload says how CommPOf makes a piece of what a source yields.
type Payload struct {
	// Size is the piece's; 0 is the smallest that holds the payload, whatever its length.
	Size porep.UnpaddedSize
	// Fill lets zeros follow the source's end up to Size.
	Fill bool
	// Progress, if not nil, is kept up to date.
	Progress *PieceProgress
}

// CommPOf is the commitment of the piece that begins with what source yields, and how much that
// was. Memory is up to 128 MiB, whatever its length, and 32 bytes for each 256 KiB.
//
// The error is a *SourceError if source yields more than Size, or less without Fill. Nothing at
// all is a payload too.
func CommPOf(ctx context.Context, source io.Reader, p Payload) (porep.Piece, porep.UnpaddedSize, error) {
	if p.Size != 0 {
		if err := p.Size.CheckPieceSize(); err != nil {
			return porep.Piece{}, 0, err
		}
	}
	commP, payload, err := readPiece(ctx, source, p.Size, passing{fill: p.Fill, empty: true, progress: p.Progress})
	if err != nil {
		return porep.Piece{}, 0, failure.Returned(ctx, err)
	}
	if p.Size == 0 {
		p.Size = payload.NextPieceSize()
	}
	return porep.Piece{CommP: commP, Size: p.Size}, payload, nil
}

// A CommDError says that pieces do not make up a sector.
type CommDError struct {
	Sector porep.SectorSize
	Covers porep.PaddedSize // by the pieces' root
}

// Is reports whether target is the kind ErrBadInput.
func (e *CommDError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *CommDError) Error() string {
	if e.Covers < porep.PaddedSize(e.Sector) {
		return fmt.Sprintf("seal: computing comm_d: the pieces' root covers %d bytes of the sector's %d; %d are missing: add a piece of zeros, of %d unpadded bytes, at the end",
			e.Covers, uint64(e.Sector), porep.PaddedSize(e.Sector)-e.Covers, (porep.PaddedSize(e.Sector) / 2).Unpadded())
	}
	return fmt.Sprintf("seal: computing comm_d: the pieces take %d bytes, the sector has %d", e.Covers, uint64(e.Sector))
}

// CommD is the commitment to a sector's data, from its pieces in order; without
// pieces, that of a sector of zeros. Like the reference, it does not fill up a
// sector of which the pieces leave half or more: that is a *CommDError.
func CommD(p porep.SealProof, pieces []porep.Piece) (porep.Commitment, error) {
	if err := p.Check(); err != nil {
		return porep.Commitment{}, err
	}
	if len(pieces) == 0 {
		return merkle.ZeroCommitment(porep.PaddedSize(p.SectorSize()))
	}
	var errs []error
	for i, piece := range pieces {
		if err := piece.Size.CheckPieceIn(p.SectorSize()); err != nil {
			errs = append(errs, fmt.Errorf("seal: computing comm_d: piece %d: %w", i, err))
		}
	}
	if len(errs) > 0 {
		return porep.Commitment{}, errors.Join(errs...)
	}
	commD, covers, err := merkle.CommD(pieces)
	if err != nil {
		return porep.Commitment{}, err
	}
	if covers != porep.PaddedSize(p.SectorSize()) {
		return porep.Commitment{}, &CommDError{p.SectorSize(), covers}
	}
	return commD, nil
}
