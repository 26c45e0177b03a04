package seal

import "github.com/sdr-engine/sdr/engine"

// What errors.Is finds in the errors of this package, in an Outcome's too.
var (
	// ErrBusy: another job, of this process or another, has the sector: its cache dir, its
	// sealed file, or a file that this job was about to make. The other job is not disturbed,
	// and what it uses was not touched.
	ErrBusy = engine.ErrBusy
	// ErrDrained: the job was asked to end with the layer that was being made, and has.
	ErrDrained = engine.ErrDrained
	// ErrLost: a file that the job made or was making was removed or replaced, or its
	// directory moved.
	ErrLost = engine.ErrLost
	// ErrChanged: a file does not yield what was written to it, or staged changed while it was
	// read. A failing disk, or another process, has changed it.
	ErrChanged = engine.ErrChanged
)
