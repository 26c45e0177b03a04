//go:build !purego

package sha256

import (
	"fmt"

	"github.com/klauspost/cpuid/v2"
)

// aheadSHANI is how far ahead kernels with SHA-NI prefetch. With 1, much comes too late
// for those of four lanes.
const aheadSHANI = 2

// shaNIWalks is how kernels with SHA-NI walk pages here, as pagewalk_amd64.h says: measured on Zen 4, and on Emerald
// Rapids with four lanes.
func shaNIWalks(lanes int) pageWalk {
	switch {
	case cpuid.CPU.IsVendor(cpuid.AMD):
		return walkSoon
	case cpuid.CPU.IsVendor(cpuid.Intel) && lanes == 4:
		return walkLate
	}
	return noWalk
}

func archKernels() []*Kernel {
	// The lists that stand above the assembly functions.
	sha := []cpuid.FeatureID{cpuid.SHA, cpuid.SSE4, cpuid.SSSE3, cpuid.SSE2}
	pairs := func(dst, src *byte, n int) { pairsSHANI(dst, src, n, &padding) }
	// Lanes in lock-step, nodes in a call: 0 is for atOnce to say.
	shaNI := func(lanes, align, nodes int, label func(labelSpan)) *Kernel {
		return &Kernel{
			Name:  fmt.Sprintf("sha-ni/%d", lanes),
			Lanes: lanes, Group: 1, Align: align,
			features: sha,
			label:    label,
			nodes:    nodes,
			ahead:    aheadSHANI,
			walk:     shaNIWalks(lanes),
			pairs:    pairs,
		}
	}
	avx512 := func(lanes int, label func(labelSpan), more ...cpuid.FeatureID) *Kernel {
		group := min(16, lanes)
		return &Kernel{
			Name:  fmt.Sprintf("avx512/%d", lanes),
			Lanes: lanes, Group: group, Align: 4 * group,
			features: append([]cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX2, cpuid.AVX}, more...),
			label:    label,
			pairs:    func(dst, src *byte, n int) { pairsAVX512(dst, src, n, &padding) },
			unpack:   unpackAVX2,
			gather:   gatherAVX2,
			ahead:    Ahead, // pages; lines a quarter of that, a whole number: see ROWSOON
		}
	}
	spreading := func(k *Kernel, spread func(labelSpan)) *Kernel {
		k.spreads, k.spread = true, spread
		return k
	}
	return []*Kernel{
		avx512(32, func(r labelSpan) { labelAVX512x32(&r) }),
		spreading(avx512(16, func(r labelSpan) { labelAVX512x16(&r) }), func(r labelSpan) { spreadAVX512x16(&r) }),
		spreading(avx512(8, func(r labelSpan) { labelAVX512x8(&r) }, cpuid.AVX512VL), nil),
		shaNI(4, 64, wideNodes, func(r labelSpan) { labelSHANIx4(&r) }),
		shaNI(8, 64, wideCall, func(r labelSpan) { labelSHANIWide(r, 8) }),
		shaNI(16, 64, wideCall, func(r labelSpan) { labelSHANIWide(r, 16) }),
		spreading(shaNI(2, 64, 0, func(r labelSpan) { labelSHANIx2(&r) }), nil),
		shaNI(1, 1, 0, func(r labelSpan) { labelSHANI(&r) }),
		{
			Name:  "avx2/8",
			Lanes: 8, Group: 8, Align: 32,
			features: []cpuid.FeatureID{cpuid.AVX2, cpuid.AVX},
			label:    func(r labelSpan) { labelAVX2x8(&r) },
			spreads:  true,
			ahead:    2,
			pairs:    func(dst, src *byte, n int) { pairsAVX2(dst, src, n, &padding) },
			unpack:   unpackAVX2,
			gather:   gatherAVX2,
		},
	}
}

//go:noescape
func labelSHANI(r *labelSpan)

//go:noescape
func labelSHANIx2(r *labelSpan)

//go:noescape
func labelSHANIx4(r *labelSpan)

//go:noescape
func labelAVX512x8(r *labelSpan)

//go:noescape
func labelAVX512x16(r *labelSpan)

//go:noescape
func spreadAVX512x16(r *labelSpan)

//go:noescape
func labelAVX512x32(r *labelSpan)

//go:noescape
func pairsSHANI(dst, src *byte, n int, padding *schedule)

//go:noescape
func labelAVX2x8(r *labelSpan)

//go:noescape
func pairsAVX2(dst, src *byte, n int, padding *schedule)

//go:noescape
func pairsAVX512(dst, src *byte, n int, padding *schedule)

//go:noescape
func gatherAVX2(dst *byte, addrs *uintptr, slots, step, row, pitch int)

//go:noescape
func unpackAVX2(dst, src *byte, nodes, size, row, pitch int)
