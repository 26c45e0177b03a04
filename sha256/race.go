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

// raceReads announces the parents' indices, with those that are read ahead, and
// the labels that they stand for.
func raceReads(l *Layer, parents []uint32, n int) {
	indices := parents[:min(len(parents)/degree, n+aheadNodes)*degree]
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(indices)), 4*len(indices))

	stride := nodeSize * len(l.ReplicaIDs)
	for i, p := range parents[:n*degree] {
		from := l.Labels
		if i%degree >= baseDegree {
			if l.Number == 1 {
				continue
			}
			from = l.Key
		}
		raceReadBytes(from[int(p)*stride:][:stride])
	}
}
