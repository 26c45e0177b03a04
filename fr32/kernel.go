package fr32

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// PastCache is from how many bytes on a destination is written past the cache: it is not
// read into it first, and what lies there stays. Who wants to use it at once, such as
// to hash it, pads less at a time.
const PastCache = 4 << 20

const (
	// maxUnits is how many units a call of a kernel does, which cannot be preempted.
	maxUnits = 1 << 10

	line = 64 // bytes of the cache

	// lineUnits is how many units are whole cache lines padded or not.
	lineUnits = 64
)

// A kernel is one implementation. Its functions want at least one unit, or line.
type kernel struct {
	name string

	// features are the CPU features that the kernel's instructions need, no more and no
	// less.
	features []cpuid.FeatureID

	pad   func(dst, src *byte, n int)           // n units
	unpad func(dst, src *byte, n int) (ok bool) // of which none has a padding bit that is 1

	// These write past the cache, to whole lines. They are nil where no instruction does.
	padPast  func(dst, src *byte, n int)
	copyPast func(dst, src *byte, lines int)
	fence    func() // after the last of copyPast, whatever comes between
}

func (k *kernel) usable() bool {
	for _, f := range k.features {
		if !cpuid.CPU.Supports(f) {
			return false
		}
	}
	return true
}

var (
	kernels = append(archKernels(), generic) // the fastest first
	best    = fastest()
)

func fastest() *kernel {
	for _, k := range kernels {
		if k.usable() {
			return k
		}
	}
	return generic
}

// Kernel is the name of the instruction set that Pad and Unpad use here: avx512, avx2, neon or generic.
func Kernel() string { return best.name }

// padAll pads whole units, past the cache where that is asked for and can be.
func (k *kernel) padAll(dst, src []byte, past bool) {
	pad := k.pad
	if past && k.padPast != nil && toLine(dst) == 0 {
		pad = k.padPast
	}
	for len(src) > 0 {
		n := min(maxUnits, len(src)/unpaddedUnit)
		raceReads(src[:n*unpaddedUnit])
		raceWrites(dst[:n*paddedUnit])
		pad(&dst[0], &src[0], n)
		dst, src = dst[n*paddedUnit:], src[n*unpaddedUnit:]
	}
}

// unpadAll unpads whole units, past the cache where that is asked for and can be. It
// returns the offset of units in src among which is one with a padding bit that is 1, or
// -1 if there are none. Data on its way past the cache is unpadded into a few lines
// first, since units do not begin where lines do.
func (k *kernel) unpadAll(dst, src []byte, past bool) (bad int) {
	var lines []byte
	if past && k.copyPast != nil {
		lines = make([]byte, lineUnits*unpaddedUnit+line)
		lines = lines[toLine(lines):][:lineUnits*unpaddedUnit]
		defer k.fence()
	}
	for at := 0; at < len(src); {
		n, to := min(maxUnits, (len(src)-at)/paddedUnit), dst
		if lines != nil {
			n = min(n, lineUnits)
			switch before := toLine(dst); {
			case before > 0:
				n = min(n, line-before) // each unit is a byte less than two lines
			case n == lineUnits:
				to = lines
			}
		}
		from := src[at:][:n*paddedUnit]
		raceReads(from)
		raceWrites(dst[:n*unpaddedUnit])
		if !k.unpad(&to[0], &from[0], n) {
			return at
		}
		if lines != nil && &to[0] == &lines[0] {
			k.copyPast(&dst[0], &lines[0], len(lines)/line)
		}
		at, dst = at+len(from), dst[n*unpaddedUnit:]
	}
	return -1
}

// toLine is how many bytes there are from b to the next cache line, 0 where one begins.
func toLine(b []byte) int {
	return -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (line - 1)
}
