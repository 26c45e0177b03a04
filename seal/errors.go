package seal

import (
	"errors"
	"fmt"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// The kinds of errors that a host tells apart, as errors.Is finds them in every error of this
// package, of an Outcome, and of the packages above and below. An error that is of none is one
// that nobody has foreseen: a host may try again a few times.
var (
	// ErrBadInput: what was asked for cannot be done as it was asked. Trying again changes
	// nothing; nothing of the sector was touched, unless the error says otherwise.
	ErrBadInput = engine.ErrBadInput
	// ErrBusy: another job, of this process or another, has the sector: its cache dir, its
	// sealed file, or a file that this job was about to make; or the cores or the memory. The
	// other job is not disturbed, and what it uses was not touched. Try again later.
	ErrBusy = engine.ErrBusy
	// ErrDrained: the job was asked to end with the layer that was being made, and has.
	ErrDrained = engine.ErrDrained
	// ErrNoSpace: a file system is full, or a quota or a limit of file sizes is used up. Free
	// something, or raise the limit, and try again.
	ErrNoSpace = engine.ErrNoSpace
	// ErrNoMemory: memory is not to be had, of the machine, a NUMA node, a pool of huge pages, a
	// limit or a cgroup. Free something, raise the limit, or ask for less, and try again.
	ErrNoMemory = engine.ErrNoMemory
	// ErrCancelled: the caller's context has ended, or the machine was closed. Try again when
	// it is wanted.
	ErrCancelled = engine.ErrCancelled
	// ErrLost: a file that the job made or was making was removed or replaced, or its
	// directory moved. Try again once, and find out who does that.
	ErrLost = engine.ErrLost
	// ErrChanged: a file does not yield what was written to it, or staged changed while it was
	// read. A failing disk, or another process, has changed it. Try again once, on another
	// disk if it comes again.
	ErrChanged = engine.ErrChanged
	// ErrCorrupt: a file that was there is not what it should be: a tree-d, a layer to go on
	// from, a parent cache. Trying again finds it again: make the file anew.
	ErrCorrupt = engine.ErrCorrupt
	// ErrHardwareSuspect: a core computes wrong, or a disk reports errors. Give up on this
	// machine, or this disk, and seal elsewhere.
	ErrHardwareSuspect = engine.ErrHardwareSuspect
)

// A Kind is a kind of error by name, for those who read text: "no-space".
type Kind string

// The kinds' names. The order is that in which KindOf looks: what the caller did, then what
// says most.
var kinds = []struct {
	name Kind
	err  error
}{
	{"cancelled", ErrCancelled},
	{"hardware-suspect", ErrHardwareSuspect},
	{"changed", ErrChanged},
	{"lost", ErrLost},
	{"corrupt", ErrCorrupt},
	{"no-space", ErrNoSpace},
	{"no-memory", ErrNoMemory},
	{"busy", ErrBusy},
	{"bad-input", ErrBadInput},
}

// Failed is the Kind of an error that is of no other.
const Failed Kind = "failed"

// KindOf is the kind of an error; of one that is of several, and so may consist of several, it
// is that of which Kinds are first: "cancelled", "hardware-suspect", "changed", "lost",
// "corrupt", "no-space", "no-memory", "busy", "bad-input". It is Failed if it is of none, and
// "" of nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return Failed
}

// A PathError says why a path of a Sector cannot be used.
type PathError struct {
	Role   string // "staged", "sealed" or "tree-d"
	Path   string
	Reason string
	Err    error // the system's, if any
}

func (e *PathError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("seal: checking %s: none given", e.Role)
	}
	if e.Err != nil {
		return fmt.Sprintf("seal: checking %s: %v", e.Role, e.Err)
	}
	return fmt.Sprintf("seal: checking %s: %s %s", e.Role, e.Path, e.Reason)
}

func (e *PathError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrBadInput, unless Err is of another kind.
func (e *PathError) Is(target error) bool {
	return target == ErrBadInput && failure.IsInput(e.Err) && !errors.Is(e.Err, ErrBusy)
}

// A DataError says that the staged data is not what the pieces say.
type DataError struct {
	Root, CommD porep.Commitment // of the data and of the pieces
	// Piece is the first piece whose commitment is not the data's, or -1 if all
	// are and there is data outside the pieces.
	Piece        int
	CommP, Found porep.Commitment // the piece's and its data's
}

// Is reports whether target is the kind ErrBadInput.
func (e *DataError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *DataError) Error() string {
	s := fmt.Sprintf("seal: checking pieces: the data's root is %s, the pieces' comm_d %s: ", e.Root, e.CommD)
	if e.Piece < 0 {
		return s + "all pieces are right, but there is data outside of them"
	}
	return s + fmt.Sprintf("piece %d has comm_p %s, its data %s", e.Piece, e.CommP, e.Found)
}
