package engine

import (
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
)

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
)
