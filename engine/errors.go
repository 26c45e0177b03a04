package engine

import (
	"errors"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
)

// What a job is refused for, unless Config.Resume says otherwise.
type (
	// An OtherSectorError says that what is in a cache dir is of another sector or proof.
	OtherSectorError = manifest.OtherError
	// A ManifestSchemaError says that another version of the program has made what is there.
	ManifestSchemaError = manifest.SchemaError
	// A ManifestDamagedError says that the manifest there is not what was written.
	ManifestDamagedError = manifest.DamagedError
)

// What errors.Is finds in Run's errors, in those of its sectors too.
var (
	// ErrBusy: another job, of this process or another, has the sector's cache dir. The
	// sector was not touched.
	ErrBusy = linux.ErrLocked
	// ErrDrained: Config.Drain was closed, and layers are left to be made. Those that were begun
	// are there, and another job goes on from them.
	ErrDrained = errors.New("drained: the layers that were being made are done")
	// ErrLost: a file that the job made or was making was removed or replaced, or its
	// directory moved.
	ErrLost = durable.ErrLost
	// ErrChanged: a file does not yield what was written to it. A failing disk, or another
	// process, has changed it.
	ErrChanged = durable.ErrChanged
)
