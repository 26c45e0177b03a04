//go:build race && !purego

package graph

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// raceWrites announces what assembly writes, which the race detector does not see.
func raceWrites[E uint32 | uint64](written []E) {
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(written)), int(unsafe.Sizeof(written[0]))*len(written))
}
