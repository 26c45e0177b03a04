//go:build race

package sha256

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what assembly reads and writes, so Label and
// HashPairs announce it.

func raceReadBytes(b []byte) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func raceWrites(b []byte) {
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

func raceReads(parents []uint32, l *Layer, nodes uint64) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(parents)), 4*len(parents))
	stride := uint64(len(l.Labels)) / nodes
	for i, p := range parents {
		from := l.Labels
		if i%degree >= baseDegree {
			from = l.Key
		}
		if from != nil {
			raceReadBytes(from[uint64(p)*stride:][:stride])
		}
	}
}
