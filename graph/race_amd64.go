//go:build race && !purego

package graph

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// raceWrites announces what assembly writes, which the race detector does not see.
func raceWrites(parents []uint32) {
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(parents)), 4*len(parents))
}
