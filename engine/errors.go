package engine

import (
	"errors"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// An OtherSectorError says that what is in a cache dir is of another sector or proof. The job is
// refused, unless Config.Resume says otherwise.
type OtherSectorError struct {
	Path              string // the manifest's
	Proof, WantProof  porep.SealProof
	ReplicaID, WantID porep.ReplicaID
}

func (e *OtherSectorError) Error() string {
	return (&manifest.OtherError{Path: e.Path, Proof: e.Proof, WantProof: e.WantProof, ReplicaID: e.ReplicaID, WantID: e.WantID}).Error()
}

// A ManifestError says that the manifest in a cache dir is damaged, or of another version. The job
// is refused, unless Config.Resume says otherwise.
type ManifestError struct {
	Path string
	Err  error
}

func (e *ManifestError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *ManifestError) Unwrap() error { return e.Err }

// What errors.Is finds in Run's errors, in those of its sectors too: package seal says what
// each is and what to do about it.
var (
	ErrBusy            = linux.ErrLocked
	ErrLost            = durable.ErrLost
	ErrChanged         = durable.ErrChanged
	ErrBadInput        = failure.ErrBadInput
	ErrNoSpace         = failure.ErrNoSpace
	ErrNoMemory        = failure.ErrNoMemory
	ErrHardwareSuspect = failure.ErrHardwareSuspect
	ErrCorrupt         = failure.ErrCorrupt
	ErrCancelled       = failure.ErrCancelled

	// ErrDrained: Config.Drain was closed, and layers are left to be made. Those that were begun
	// are there, and another job goes on from them.
	ErrDrained = errors.New("drained: the layers that were being made are done")
)
