//go:build !purego

package fr32

import "github.com/klauspost/cpuid/v2"

// Go's assembler has no instruction that stores past the cache (STNP). Cores tell a long
// row of stores by themselves, and stop to read lines before they are written.
func archKernels() []*kernel {
	return []*kernel{{
		name:     "neon",
		features: []cpuid.FeatureID{cpuid.ASIMD},
		pad:      padNEON, unpad: unpadNEON,
	}}
}

//go:noescape
func padNEON(dst, src *byte, n int)

//go:noescape
func unpadNEON(dst, src *byte, n int) (ok bool)
