//go:build !purego

package fr32

import "github.com/klauspost/cpuid/v2"

// The features are the lists that stand above the assembly functions.
func archKernels() []*kernel {
	return []*kernel{{
		name:     "avx512",
		features: []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX},
		pad:      padAVX512, unpad: unpadAVX512, padPast: padPastAVX512, copyPast: copyPastAVX512, fence: fence,
	}, {
		name:     "avx2",
		features: []cpuid.FeatureID{cpuid.AVX2, cpuid.AVX},
		pad:      padAVX2, unpad: unpadAVX2, padPast: padPastAVX2, copyPast: copyPastAVX2, fence: fence,
	}}
}

//go:noescape
func padAVX512(dst, src *byte, n int)

//go:noescape
func padPastAVX512(dst, src *byte, n int)

//go:noescape
func unpadAVX512(dst, src *byte, n int) (ok bool)

//go:noescape
func copyPastAVX512(dst, src *byte, lines int)

//go:noescape
func padAVX2(dst, src *byte, n int)

//go:noescape
func padPastAVX2(dst, src *byte, n int)

//go:noescape
func unpadAVX2(dst, src *byte, n int) (ok bool)

//go:noescape
func copyPastAVX2(dst, src *byte, lines int)

func fence()
