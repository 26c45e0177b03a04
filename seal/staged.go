package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// An Append says which staged file AppendPiece adds to, and how.
type Append struct {
	Proof  porep.SealProof
	Staged string // the file's path; a file that is not there is made

	// Existing are the unpadded sizes of the pieces that staged holds, in order. It
	// is not needed where there is a record, and must agree with it where it is not
	// nil. Nil without a record means none.
	Existing []porep.UnpaddedSize
	// NoAlignment puts the piece right behind the existing ones, which may have been
	// aligned, all of them, or put like this one.
	NoAlignment bool
	// Record begins a record, RecordName(Staged), with staged's first piece. One that
	// is there is always used and kept.
	Record bool
	// Expect, if not nil, is the comm_p that the piece has, or nothing is added: the error
	// is an *OtherPieceError then.
	Expect *porep.Commitment
	// Fill lets zeros follow the source's end up to the piece's size: they are neither read,
	// padded, hashed nor, at a file's end, written. A source of no byte at all is an error.
	Fill bool
	// Tree, if not nil, keeps the nodes above the piece. It is of this staged file.
	Tree *StagedTree
	// Progress, if not nil, is kept up to date.
	Progress *PieceProgress

	// NoSync leaves it to the system when the piece reaches the disk: after a power cut it may be
	// missing or in part. For a staged file that is made again then, or synced by the caller. A
	// record names only what is on the disk, so there may be none.
	NoSync bool
	// NoWait makes a staged file that another job adds to a *StagedBusyError, not
	// something to wait for.
	NoWait bool
	// Waiting, if not nil, is called when the wait begins.
	Waiting func()
}

// A StagedBusyError says that another job adds a piece to a staged file. It wraps ErrBusy.
type StagedBusyError struct{ Path string }

func (e *StagedBusyError) Unwrap() error { return ErrBusy }

func (e *StagedBusyError) Error() string {
	return fmt.Sprintf("seal: adding piece: staged %q is held by another job that adds a piece; try again when that has ended", e.Path)
}

// A StagedLengthError says that a staged file is longer or shorter than the pieces
// that it is said to hold.
type StagedLengthError struct {
	Path   string
	Length int64
	Pieces int
	End    porep.PaddedSize // of the last piece
	Packed porep.PaddedSize // the same if the pieces had been put without alignment
	Record string           // the record that says so; empty if the caller does
}

// Is reports whether target is the kind ErrBadInput.
func (e *StagedLengthError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *StagedLengthError) Error() string {
	s := fmt.Sprintf("seal: adding piece: staged %q has %d bytes; existing pieces that were named: ", e.Path, e.Length)
	if e.Record != "" {
		s = fmt.Sprintf("seal: adding piece: staged %q has %d bytes; pieces in its record %q: ", e.Path, e.Length, e.Record)
	}
	s += fmt.Sprintf("%d, which end at %d", e.Pieces, e.End)
	if e.Packed != e.End {
		s += fmt.Sprintf(" (without alignment at %d)", e.Packed)
	}
	length := porep.PaddedSize(e.Length)
	if length%porep.PaddedUnit != 0 {
		s += fmt.Sprintf("; no piece ends where staged does, it has no multiple of %d bytes", porep.PaddedUnit)
	}
	const cut = "cut off what a job that was killed has left (truncate -s %d)"
	switch {
	case e.Record != "" && length > e.End:
		s += fmt.Sprintf(": "+cut, e.End)
	case e.Record != "":
		s += ": if staged was begun again, remove the record; else data has been lost"
	case e.Pieces == 0:
		s += ": name all that it holds, in order; only if none was ever added, empty it (truncate -s 0)"
	case length == 0:
		s += ": it is empty: name none, if it is the right file"
	case length == e.Packed:
		s += ": behind pieces put without alignment one can be aligned only where there is a record"
	case length > e.End:
		s += fmt.Sprintf(": name all that it holds, in order; only if no other was ever added, "+cut, e.End)
	default:
		s += ": name only what it holds, in order"
	}
	return s
}

// lockPoll is how often a job that waits for staged looks for it.
const lockPoll = 10 * time.Millisecond

// AppendPiece is AddPiece for a staged file that others may add to at the same time,
// and that is to be there after a power cut. It holds the file's lock (where the
// system has locks: Linux) while it compares the file's length with what the
// existing pieces say, writes the piece, waits until that is on the disk, and notes
// it in the record if there is one. If another job holds the lock, it waits until
// that has ended or ctx is done.
//
// After an error staged and its record are as they were, unless the error says
// otherwise. It is a *StagedLengthError, *StagedBusyError or *RecordError where staged is
// not as it should be, and otherwise as AddPiece's.
func AppendPiece(ctx context.Context, a Append, source io.Reader, size porep.UnpaddedSize) (added AddedPiece, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	// Before a file is made.
	if err := a.Proof.Check(); err != nil {
		return added, err
	}
	if err := size.CheckPieceIn(a.Proof.SectorSize()); err != nil {
		return added, err
	}
	aligned, packed, err := ends(a.Proof, a.Existing)
	if err != nil {
		return added, err
	}
	if err := fits(a.Proof, a.Staged, a.start(packed, size), size); err != nil {
		return added, err
	}

	f, created, err := a.openLocked(ctx)
	if err != nil {
		return added, err
	}
	defer f.Close()
	// A length means something only under the lock.
	length, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return added, fmt.Errorf("seal: adding piece: going to the end of staged: %w", err)
	}
	_, restore, err := remember(f)
	if err != nil {
		return added, fmt.Errorf("seal: adding piece: %w", err)
	}
	written, ended := false, false // ended, and not by a panic of the source's
	defer func() {
		if err == nil && ended {
			return
		}
		if written {
			err = errors.Join(err, restore())
		}
		// Somebody may have added to the file between its making and its locking.
		if info, statErr := f.Stat(); created && statErr == nil && info.Size() == 0 && durable.LeadsTo(f.Name(), f) == nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()

	name := RecordName(f.Name())
	record, before, err := readRecord(name)
	switch {
	case err == nil:
		err = record.isOf(name, a.Proof)
		if err == nil && a.Existing != nil {
			err = record.agrees(name, a.Existing)
		}
		aligned, packed = record.End(), record.End()
	case errors.Is(err, fs.ErrNotExist):
		err = nil
		if a.Record {
			record = &PieceRecord{Proof: a.Proof}
		}
		if a.Record && len(a.Existing) > 0 {
			err = &RecordError{Path: name, Problem: fmt.Sprintf("it is to begin with staged's first piece, but existing ones were named: %d; go on without a record", len(a.Existing))}
		}
	}
	if err == nil && a.NoSync && record != nil {
		err = &RecordError{Path: name, Problem: "it names only what is on the disk, and no sync was asked for: add the piece with sync, or without a record"}
	}
	if err != nil {
		return added, err
	}
	end := porep.PaddedSize(length)
	if end != aligned && !(a.NoAlignment && end == packed) {
		wrong := &StagedLengthError{f.Name(), length, len(a.Existing), aligned, packed, ""}
		if before != nil {
			wrong.Pieces, wrong.Record = len(record.Pieces), name
		}
		return added, wrong
	}
	start := a.start(end, size)
	if err := fits(a.Proof, f.Name(), start, size); err != nil {
		return added, err
	}

	var write func([]byte) error
	if record != nil {
		_, text, err := record.with(name, PlacedPiece{start, porep.Piece{Size: size}})
		if err != nil {
			return added, err
		}
		var abort func()
		if write, abort, err = reserveRecord(ctx, name, len(text)); err != nil {
			return added, fmt.Errorf("seal: adding piece: its record: %w", err)
		}
		defer abort()
	}
	if a.Tree != nil {
		if err := a.Tree.isOf(f); err != nil {
			return added, err
		}
		defer func() {
			if err != nil || !ended {
				a.Tree.failed.Store(true)
			}
		}()
	}
	if added, err = addPiece(ctx, a.Proof, source, size, f, end, start, adding{!a.NoSync, a.Fill, a.Tree, a.Progress}); err != nil {
		return AddedPiece{}, err
	}
	written = true
	if !a.NoSync {
		a.Progress.sync()
	}
	if a.Expect != nil && added.CommP != *a.Expect {
		return AddedPiece{}, &OtherPieceError{added.Piece, *a.Expect}
	}
	if !a.NoSync {
		if err := reach(ctx, f, length); err != nil {
			return AddedPiece{}, err
		}
	}
	if err := isThere(f, int64(start+size.Padded())); err != nil {
		return AddedPiece{}, err
	}
	if write != nil {
		_, text, err := record.with(name, PlacedPiece{start, added.Piece})
		if err == nil {
			err = write(text)
		}
		if err != nil {
			err = fmt.Errorf("seal: adding piece: its record: %w", err)
			// It may have its name already, and only the directory not be on the disk.
			if back := putBack(ctx, name, text, before); back != nil {
				written = false
				err = errors.Join(err, fmt.Errorf("seal: adding piece: the record names the piece, so staged keeps it: putting the record back: %w", back))
			}
			return AddedPiece{}, err
		}
	}
	ended = true
	return added, nil
}

// ends are where pieces end if they were aligned, and if they were not.
func ends(p porep.SealProof, pieces []porep.UnpaddedSize) (aligned, packed porep.PaddedSize, err error) {
	for _, e := range pieces {
		if err := e.CheckPieceIn(p.SectorSize()); err != nil {
			return 0, 0, fmt.Errorf("seal: counting existing pieces: %w", err)
		}
		aligned = align(aligned, e.Padded()) + e.Padded()
		packed += e.Padded()
	}
	return aligned, packed, nil
}

// start is where a piece of that size goes behind end.
func (a *Append) start(end porep.PaddedSize, size porep.UnpaddedSize) porep.PaddedSize {
	if a.NoAlignment {
		return end
	}
	return align(end, size.Padded())
}

// openLocked opens or makes staged and takes its lock. What it returns has that path
// while it is locked, unless somebody who takes no lock interferes.
func (a *Append) openLocked(ctx context.Context) (f *os.File, created bool, err error) {
	waiting := a.Waiting
	for {
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		f, created, err := openStaged(a.Staged)
		if err != nil {
			return nil, false, fmt.Errorf("seal: opening staged: %w", err)
		}
		if f == nil {
			continue // it came or went meanwhile
		}
		for {
			err = linux.TryLock(f)
			if errors.Is(err, errors.ErrUnsupported) {
				err = nil
			}
			if !errors.Is(err, linux.ErrLocked) {
				break
			}
			if a.NoWait {
				f.Close()
				return nil, false, &StagedBusyError{f.Name()}
			}
			if waiting != nil {
				waiting()
				waiting = nil
			}
			select {
			case <-time.After(lockPoll):
			case <-ctx.Done():
				f.Close()
				return nil, false, context.Cause(ctx)
			}
		}
		if err != nil {
			f.Close()
			return nil, false, fmt.Errorf("seal: locking staged %q: %w", f.Name(), err)
		}
		// Who held the lock before may have removed the file that it had made.
		if durable.LeadsTo(f.Name(), f) == nil {
			return f, created, nil
		}
		f.Close()
	}
}

// openStaged opens or makes a staged file, under the path that links lead to: its
// record is beside it. No file and no error means that it came or went meanwhile. One
// that is not regular, a device say, could not be put back after an error.
func openStaged(path string) (f *os.File, created bool, err error) {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	} else if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSymlink {
		return nil, false, failure.Mark(ErrBadInput, fmt.Errorf("%s is a link that leads nowhere", path))
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // #nosec G302 -- the umask decides, as for what any command makes
		if errors.Is(err, fs.ErrExist) {
			return nil, false, nil
		}
		return f, true, err
	case err != nil:
		return nil, false, err
	case !info.Mode().IsRegular():
		return nil, false, failure.Mark(ErrBadInput, fmt.Errorf("%s is not a regular file, its mode is %v", path, info.Mode()))
	}
	f, err = os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return f, false, err
}

// reach waits until staged, which had length bytes, is on the disk.
func reach(ctx context.Context, f *os.File, length int64) error {
	if err := durable.SyncFile(ctx, f); err != nil {
		return fmt.Errorf("seal: adding piece: syncing staged: %w", err)
	}
	// No matter who made the file, the first piece in it needs its name.
	if length == 0 {
		if err := durable.SyncDir(ctx, filepath.Dir(f.Name())); err != nil {
			return fmt.Errorf("seal: adding piece: syncing staged's directory: %w", err)
		}
	}
	return nil
}

// isThere makes sure that staged is still what its path leads to, and has so many bytes.
func isThere(f *os.File, want int64) error {
	info, err := f.Stat()
	if err == nil {
		err = durable.LeadsTo(f.Name(), f)
	}
	if err == nil && info.Size() != want {
		err = failure.Mark(ErrLost, fmt.Errorf("it has %d bytes, with the piece it should have %d: somebody else writes to it", info.Size(), want))
	}
	if err != nil {
		return fmt.Errorf("seal: adding piece: looking at staged %q again: %w", f.Name(), err)
	}
	return nil
}
