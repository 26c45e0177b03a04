//go:build race

package hugepages

import (
	"runtime"
	"unsafe"
)

// raceEnabled says that the race detector watches. It sees the Go heap only.
const raceEnabled = true

// raceWrite announces a write of all of b, so that an access that is not ordered
// before it is reported.
func raceWrite(b []byte) { runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(b)), len(b)) }
