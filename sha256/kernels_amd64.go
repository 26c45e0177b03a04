//go:build !purego

package sha256

import "github.com/klauspost/cpuid/v2"

func archKernels() []*Kernel {
	avx512 := []cpuid.FeatureID{cpuid.AVX512BW, cpuid.AVX512F, cpuid.AVX}
	return []*Kernel{{
		Name:  "avx512/32",
		Lanes: 32, Group: 16, Align: 64,
		Features: avx512,
		label:    func(r labelRun) { labelAVX512x32(&r) },
	}, {
		Name:  "avx512/16",
		Lanes: 16, Group: 16, Align: 64,
		Features: avx512,
		label:    func(r labelRun) { labelAVX512x16(&r) },
	}, {
		Name:  "sha-ni/1",
		Lanes: 1, Group: 1, Align: 1,
		// The list that stands above each function in asm_amd64.s.
		Features: []cpuid.FeatureID{cpuid.SHA, cpuid.SSE4, cpuid.SSSE3, cpuid.SSE2},
		label:    func(r labelRun) { labelSHANI(&r) },
		pairs:    func(dst, src *byte, n int) { pairsSHANI(dst, src, n, &padding) },
	}}
}

//go:noescape
func labelSHANI(r *labelRun)

//go:noescape
func pairsSHANI(dst, src *byte, n int, padding *schedule)

//go:noescape
func labelAVX512x16(r *labelRun)

//go:noescape
func labelAVX512x32(r *labelRun)
