//go:build !purego

package sha256

import (
	"math/bits"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// The features stand above the assembly.
var useAVX2 = cpuid.CPU.Supports(cpuid.AVX2, cpuid.AVX)

// locateAll is locateGeneric, or the same by other means.
func (r Rows) locateAll(parents []uint32, labels, before, pitch uintptr) {
	if !useAVX2 || pitch&(pitch-1) != 0 {
		r.locateGeneric(parents, labels, before, pitch)
		return
	}
	n := len(parents) / degree
	if raceEnabled {
		raceReadBytes(unsafe.Slice((*byte)(unsafe.Pointer(&parents[0])), 4*len(parents)))
		raceWrites(unsafe.Slice((*byte)(unsafe.Pointer(&r.addrs[0])), 8*n*degree))
	}
	locateAVX2(&r.addrs[0], &parents[0], n, labels, before, bits.TrailingZeros64(uint64(pitch)))
}

// greatest is greatestGeneric, or the same by other means.
func greatest(numbers []uint32) (m uint32) {
	const eight = 8
	if eights := len(numbers) / eight; useAVX2 && eights > 0 {
		if raceEnabled {
			raceReadBytes(unsafe.Slice((*byte)(unsafe.Pointer(&numbers[0])), 4*len(numbers)))
		}
		m = greatestAVX2(&numbers[0], eights)
		numbers = numbers[eight*eights:]
	}
	return max(m, greatestGeneric(numbers))
}

// stageAll copies labels as Stage has promised.
func (r Rows) stageAll(k *Kernel, which []int32, memory []byte) {
	pitch := k.Pitch()
	if raceEnabled {
		for _, i := range which {
			raceReadBytes(unsafe.Slice((*byte)(pointer(r.addrs[i])), pitch))
			raceWrites(memory[int(i)*pitch:][:pitch])
			raceWrites(unsafe.Slice((*byte)(unsafe.Pointer(&r.addrs[i])), 8))
		}
	}
	// Fewer lines at a time leave the memory idle, more do not fit into what keeps track
	// of misses.
	const fetched = 24
	stageRows(&r.addrs[0], &which[0], len(which), &memory[0], pitch, max(1, 64*fetched/max(64, pitch)))
}

// locateAVX2 sets n rows to where the base parents lie in labels, and the expander
// parents in before: so many labels from there, of 1<<shift bytes.
//
//go:noescape
func locateAVX2(rows *uintptr, parents *uint32, n int, labels, before uintptr, shift int)

// greatestAVX2 is the greatest of eights·8 numbers.
//
//go:noescape
func greatestAVX2(numbers *uint32, eights int) uint32

// stageRows copies the n labels of pitch bytes that which lists, with so many of the
// next on their way from memory meanwhile.
//
//go:noescape
func stageRows(addrs *uintptr, which *int32, n int, memory *byte, pitch, ahead int)
