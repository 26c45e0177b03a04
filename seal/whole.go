package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// A NewPiece is what WriteStaged writes.
type NewPiece struct {
	Size porep.UnpaddedSize
	// Open yields exactly Size bytes, then io.EOF; nil is a piece of zeros.
	Open func(context.Context) (io.ReadCloser, error)
}

// WriteStaged makes a staged file anew: what it held is gone, and pieces follow each other
// without alignment. Without pieces it is as long as the sector and holds one piece of zeros. It
// returns the pieces with their commitments when all is on the disk. Zeros may be holes.
//
// Another job that adds to the file at the same time is a *StagedBusyError. After any other error
// the file is empty, or gone if it was not there before; it is as it was if Size of a piece is no
// piece's or all together do not fit, a *SpaceError. A piece record beside it is of no account.
func WriteStaged(ctx context.Context, p porep.SealProof, staged string, pieces []NewPiece) (written []porep.Piece, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	if err := p.Check(); err != nil {
		return nil, err
	}
	sector := porep.PaddedSize(p.SectorSize())
	length := sector
	if len(pieces) == 0 {
		pieces = []NewPiece{{Size: sector.Unpadded()}}
	} else {
		length = 0
		for i, piece := range pieces {
			if err := piece.Size.CheckPieceIn(p.SectorSize()); err != nil {
				return nil, fmt.Errorf("seal: writing staged: piece %d: %w", i, err)
			}
			if err := fits(p, staged, length, piece.Size); err != nil {
				return nil, fmt.Errorf("seal: writing staged: piece %d: %w", i, err)
			}
			length += piece.Size.Padded()
		}
	}
	a := Append{Staged: staged, NoWait: true}
	f, created, err := a.openLocked(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ended := false // and not by a panic of a source's
	defer func() {
		if err == nil && ended {
			return
		}
		err = errors.Join(err, f.Truncate(0))
		if created && durable.LeadsTo(f.Name(), f) == nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("seal: writing staged: emptying it: %w", err)
	}
	for i, piece := range pieces {
		one, err := writeNew(ctx, p, f, piece)
		if err != nil {
			return nil, fmt.Errorf("seal: writing staged: piece %d: %w", i, err)
		}
		written = append(written, one)
	}
	if err := reach(ctx, f, 0); err != nil {
		return nil, err
	}
	if err := isThere(f, int64(length)); err != nil {
		return nil, err
	}
	ended = true
	return written, nil
}

func writeNew(ctx context.Context, p porep.SealProof, f *os.File, piece NewPiece) (porep.Piece, error) {
	if piece.Open == nil {
		commP, err := merkle.ZeroCommitment(piece.Size.Padded())
		if err == nil {
			err = writeZeros(f, int64(piece.Size.Padded()))
		}
		return porep.Piece{CommP: commP, Size: piece.Size}, err
	}
	source, err := piece.Open(ctx)
	if err != nil {
		return porep.Piece{}, err
	}
	defer source.Close()
	added, err := addPiece(ctx, p, source, piece.Size, f, 0, 0, adding{waited: true})
	return added.Piece, err
}

// BuildTreeD builds tree-d of a staged file that is as long as the sector into the cache dir, and
// returns its root. A tree-d that is there is replaced, when the new one is on the disk and was read
// back. The error is ErrBusy if another job makes it.
func BuildTreeD(ctx context.Context, p porep.SealProof, staged, cacheDir string) (root porep.Commitment, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	if err := p.Check(); err != nil {
		return root, err
	}
	s := &Sector{Proof: p, CacheDir: cacheDir, Staged: staged}
	if err := CheckPaths([]Sector{*s}); err != nil {
		return root, err
	}
	info, err := os.Stat(cacheDir)
	if err == nil && !info.IsDir() {
		return root, &PathError{Role: "cache dir", Path: cacheDir, Reason: "is not a directory"}
	}
	if err != nil {
		return root, &PathError{Role: "cache dir", Path: cacheDir, Err: err}
	}
	switch info, err = os.Stat(staged); {
	case err != nil:
		return root, &PathError{Role: "staged", Path: staged, Err: err}
	case !info.Mode().IsRegular():
		return root, &PathError{Role: "staged", Path: staged, Reason: "is not a file"}
	case uint64(info.Size()) != uint64(p.SectorSize()):
		return root, &PathError{Role: "staged", Path: staged, Reason: fmt.Sprintf("has %d bytes, want the sector's %d", info.Size(), uint64(p.SectorSize()))}
	}
	if err := s.checkFree(ctx); err != nil {
		return root, err
	}
	data, err := s.openStaged(ctx)
	if err != nil {
		return root, err
	}
	defer data.Close()
	f, err := durable.Create(ctx, s.treeDPath())
	if err != nil {
		return root, fmt.Errorf("seal: building tree-d: %w", err)
	}
	defer f.Abort()
	if err := f.Reserve(merkle.TreeSize(p.SectorSize())); err != nil {
		return root, fmt.Errorf("seal: building tree-d: %w", err)
	}
	root, err = merkle.BuildTree(ctx, &treeDFile{File: f}, data, p.SectorSize(), workers.Most(), nil)
	if err != nil {
		return root, err
	}
	if err := f.Replace(ctx); err != nil {
		return root, fmt.Errorf("seal: building tree-d: %w", err)
	}
	return root, nil
}
