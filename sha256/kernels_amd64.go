//go:build !purego

package sha256

import "github.com/klauspost/cpuid/v2"

func archKernels() []*Kernel {
	// The lists that stand above the functions in asm_amd64.s and
	// asm_avx512_amd64.s.
	sha := []cpuid.FeatureID{cpuid.SHA, cpuid.SSE4, cpuid.SSSE3, cpuid.SSE2}
	avx512 := []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX}
	return []*Kernel{{
		Name:  "avx512/32",
		Lanes: 32, Group: 16, Align: 64,
		Features: avx512,
		label:    func(r labelRun) { labelAVX512x32(&r) },
		pairs:    func(dst, src *byte, n int) { pairsAVX512(dst, src, n, &padding) },
	}, {
		Name:  "avx512/16",
		Lanes: 16, Group: 16, Align: 64,
		Features: avx512,
		label:    func(r labelRun) { labelAVX512x16(&r) },
		pairs:    func(dst, src *byte, n int) { pairsAVX512(dst, src, n, &padding) },
	}, {
		Name:  "sha-ni/1",
		Lanes: 1, Group: 1, Align: 1,
		Features: sha,
		label:    func(r labelRun) { labelSHANI(&r) },
		pairs:    func(dst, src *byte, n int) { pairsSHANI(dst, src, n, &padding) },
	}}
}

//go:noescape
func labelSHANI(r *labelRun)

//go:noescape
func labelAVX512x16(r *labelRun)

//go:noescape
func labelAVX512x32(r *labelRun)

//go:noescape
func pairsSHANI(dst, src *byte, n int, padding *schedule)

//go:noescape
func pairsAVX512(dst, src *byte, n int, padding *schedule)
