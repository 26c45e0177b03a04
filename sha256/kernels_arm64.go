//go:build !purego

package sha256

import "github.com/klauspost/cpuid/v2"

func archKernels() []*Kernel {
	return []*Kernel{{
		Name:  "armv8/1",
		Lanes: 1, Group: 1, Align: 1,
		// The list that stands above each function in assembly.
		features: []cpuid.FeatureID{cpuid.ASIMD, cpuid.SHA2},
		label:    func(r labelSpan) { labelARMV8(&r) },
		ahead:    Ahead, // not measured yet, as the other one's
		pairs:    pairsARMV8,
	}, {
		Name:  "armv8/2",
		Lanes: 2, Group: 1, Align: 64,
		features: []cpuid.FeatureID{cpuid.ASIMD, cpuid.SHA2},
		label:    func(r labelSpan) { labelARMV8x2(&r) },
		ahead:    Ahead,
		pairs:    pairsARMV8, // two at once, too
	}}
}

//go:noescape
func labelARMV8(r *labelSpan)

//go:noescape
func labelARMV8x2(r *labelSpan)

//go:noescape
func pairsARMV8(dst, src *byte, n int)
