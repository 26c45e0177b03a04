//go:build race

package fr32

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what assembly reads and writes, so the code that calls it
// announces that.

func raceReads(b []byte) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func raceWrites(b []byte) {
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}
