//go:build !purego

package sha256

import "github.com/klauspost/cpuid/v2"

func archKernels() []*Kernel {
	// The list that stands above each function in asm_amd64.s.
	sha := []cpuid.FeatureID{cpuid.SHA, cpuid.SSE4, cpuid.SSSE3, cpuid.SSE2}
	pairs := func(dst, src *byte, n int) { pairsSHANI(dst, src, n, &padding) }
	return []*Kernel{{
		Name:  "sha-ni/2",
		Lanes: 2, Group: 1, Align: 64,
		Features: sha,
		label:    func(r labelRun) { labelSHANIx2(&r) },
		pairs:    pairs,
	}, {
		Name:  "sha-ni/1",
		Lanes: 1, Group: 1, Align: 1,
		Features: sha,
		label:    func(r labelRun) { labelSHANI(&r) },
		pairs:    pairs,
	}, {
		Name:  "avx2/8",
		Lanes: 8, Group: 8, Align: 32,
		// The list that stands above each function in asm_avx2_amd64.s.
		Features: []cpuid.FeatureID{cpuid.AVX2, cpuid.AVX},
		label:    func(r labelRun) { labelAVX2x8(&r) },
		pairs:    func(dst, src *byte, n int) { pairsAVX2x8(dst, src, n, &padding) },
	}}
}

//go:noescape
func labelSHANI(r *labelRun)

//go:noescape
func labelSHANIx2(r *labelRun)

//go:noescape
func pairsSHANI(dst, src *byte, n int, padding *schedule)

//go:noescape
func labelAVX2x8(r *labelRun)

//go:noescape
func pairsAVX2x8(dst, src *byte, n int, padding *schedule)
