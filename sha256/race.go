//go:build race

package sha256

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// The race detector does not see what assembly reads and writes, so the code that calls it
// announces that.

func raceReadBytes(b []byte) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func raceWrites(b []byte) {
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

// raceSpan announces what labelling the first n nodes of r reads and writes: rows,
// with those that are read ahead, the labels that they stand for, and the labels
// made.
func raceSpan(k *Kernel, r *Span, n int) {
	addrs := r.Rows.addrs[:min(r.Rows.Len(), n+k.ahead)*degree]
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(addrs)), 8*len(addrs))
	for i, a := range addrs[:n*degree] {
		if i%degree < baseDegree || r.Layer > 1 {
			runtime.RaceReadRange(pointer(a), k.Pitch())
		}
	}
	raceWrites(r.Out)
}
