package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
)

// A StagedMode is how sealed gets the staged data.
type StagedMode int

// The modes.
const (
	// StagedCopy shares staged's blocks where the file system can, and copies its data
	// otherwise. Holes stay holes.
	StagedCopy StagedMode = iota
	// StagedReflink shares them. Where that cannot be, it is an error before any work.
	StagedReflink
	// StagedMove gives the staged file sealed's path, when the labels are there and right:
	// it takes no time and no room, and staged is gone then. What was at sealed's path is
	// replaced. Where staged is not there and sealed holds data, an earlier job has moved it:
	// the job goes on from there.
	StagedMove
)

func (m StagedMode) String() string {
	if m < StagedCopy || m > StagedMove {
		return fmt.Sprintf("StagedMode(%d)", int(m))
	}
	return [...]string{"copy", "reflink", "move"}[m]
}

// ParseStagedMode reads a mode by its name.
func ParseStagedMode(text string) (StagedMode, error) {
	for m := StagedCopy; m <= StagedMove; m++ {
		if m.String() == text {
			return m, nil
		}
	}
	return 0, failure.Mark(ErrBadInput, fmt.Errorf("%q is not copy, reflink or move", text))
}

// A MovedError says that a job failed when it had moved staged: the data is under sealed's name,
// and the same job, done again, goes on from there.
type MovedError struct {
	Staged, Sealed string
	Err            error // never nil
}

func (e *MovedError) Unwrap() error { return e.Err }

func (e *MovedError) Error() string {
	return fmt.Sprintf("seal: moving staged to sealed: %v; the data of staged %q is under sealed's name, %q, by now: the same job, done again with that mode, goes on from there", e.Err, e.Staged, e.Sealed)
}

// wasMoved reports whether an earlier job has moved staged to sealed.
func (s *Sector) wasMoved() bool {
	if s.StagedMode != StagedMove || s.Staged == DevZero {
		return false
	}
	if _, err := os.Stat(s.Staged); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	info, err := os.Stat(s.Sealed)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// checkMode refuses what a mode cannot do and can be told before any work.
func (s *Sector) checkMode() error {
	if s.StagedMode < StagedCopy || s.StagedMode > StagedMove {
		return failure.Mark(ErrBadInput, fmt.Errorf("seal: checking the mode of staged: %v, want copy, reflink or move", s.StagedMode))
	}
	if s.StagedMode != StagedMove || s.Staged == DevZero || s.wasMoved() {
		return nil
	}
	if other, err := otherFileSystem(s.Staged, filepath.Dir(durable.Target(s.Sealed))); err == nil && other {
		return &PathError{Role: "staged", Path: s.Staged, Reason: fmt.Sprintf("is on another file system than sealed, %s: it cannot be moved there", s.Sealed)}
	}
	return nil
}

// otherFileSystem reports whether two files are known to be on different ones.
func otherFileSystem(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	two, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	x, ok := linux.IdentityOf(one)
	y, ok2 := linux.IdentityOf(two)
	return ok && ok2 && x.Device != y.Device, nil
}

// openMode opens or tries what the mode needs of staged, before work that would be in vain.
func (w *work) openMode(ctx context.Context) (err error) {
	s := w.sector
	if w.data.file == nil {
		return nil // nothing to be copied
	}
	switch s.StagedMode {
	case StagedReflink:
		if err := durable.CanShare(ctx, filepath.Dir(durable.Target(s.Sealed)), w.data.file); err != nil {
			return &PathError{Role: "staged", Path: s.Staged, Err: fmt.Errorf("%s cannot share its blocks with sealed, %s: %w", s.Staged, s.Sealed, err)}
		}
	case StagedMove:
		w.keeps = true
		if s.wasMoved() {
			return nil
		}
		if w.moving, err = durable.OpenInPlace(ctx, s.Staged); err != nil {
			return &PathError{Role: "staged", Path: s.Staged, Err: err}
		}
	}
	return nil
}

// copySealed makes sealed the staged data, extended with zeros to the sector's length,
// gets it to the disk, and compares what is there with the data that tree-d is of: staged
// may have changed since that was read.
func (w *work) copySealed(ctx context.Context) error {
	const doing = "seal: copying staged to sealed: %w"
	err := w.sealed.Resize(0)
	switch {
	case err != nil || w.data.file == nil:
	case w.sector.StagedMode == StagedReflink:
		err = w.sealed.Share(w.data.file)
	default:
		err = w.sealed.Copy(ctx, w.data.file)
	}
	if err == nil {
		err = w.sealed.Resize(int64(w.sector.Proof.SectorSize()))
	}
	if err != nil {
		return fmt.Errorf(doing, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // getting it to the disk takes long
	}
	if err := w.sealed.Sync(); err != nil {
		return fmt.Errorf("seal: syncing sealed: %w", err)
	}
	if err := w.compare(ctx); err != nil {
		return fmt.Errorf("seal: comparing sealed with tree-d, which is of what staged was before: %w", err)
	}
	return nil
}

// dataFile is the file that is sealed, or is to be moved there.
func (w *work) dataFile() *durable.InPlace {
	if w.moving != nil {
		return w.moving
	}
	return w.sealed
}

// keep gets staged, which is to be moved, to the disk, and compares what is there with the data
// that tree-d is of.
func (w *work) keep(ctx context.Context) error {
	if err := w.dataFile().Sync(); err != nil {
		return fmt.Errorf("seal: syncing staged: %w", err)
	}
	return w.compare(ctx)
}

// compare holds sealed, or what is to become it, against the data that tree-d is of.
func (w *work) compare(ctx context.Context) (err error) {
	if w.keeps {
		w.copied, err = w.dataFile().CompareStart(ctx, w.sums)
	} else {
		w.copied, err = w.sealed.Compare(ctx, w.sums)
	}
	return err
}

// move is the last of a sector's work: staged becomes sealed. All that is left then is its
// length.
func (w *work) move(ctx context.Context) error {
	if !w.keeps {
		return nil
	}
	f, s := w.dataFile(), w.sector
	if w.moving != nil {
		moved, err := w.moving.Move(s.Sealed)
		if err != nil && moved {
			return &MovedError{s.Staged, s.Sealed, err}
		}
		if err != nil {
			return fmt.Errorf("seal: moving staged to sealed: %w; the data is under staged's name, %q, as it was", err, s.Staged)
		}
	}
	size := int64(s.Proof.SectorSize())
	err := f.Resize(size)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		var info os.FileInfo
		if info, err = f.File().Stat(); err == nil && info.Size() != size {
			err = failure.Mark(ErrChanged, fmt.Errorf("it has %d bytes, want %d", info.Size(), size))
		}
	}
	if err != nil {
		return &MovedError{s.Staged, s.Sealed, err}
	}
	return nil
}
