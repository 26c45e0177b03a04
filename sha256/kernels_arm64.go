//go:build !purego

package sha256

import "github.com/klauspost/cpuid/v2"

func archKernels() []*Kernel {
	return []*Kernel{{
		Name:  "armv8/1",
		Lanes: 1, Group: 1, Align: 1,
		// The list that stands above each function in asm_arm64.s.
		Features: []cpuid.FeatureID{cpuid.ASIMD, cpuid.SHA2},
		label:    func(r labelRun) { labelARMV8(&r) },
		pairs:    pairsARMV8,
	}}
}

//go:noescape
func labelARMV8(r *labelRun)

//go:noescape
func pairsARMV8(dst, src *byte, n int)
