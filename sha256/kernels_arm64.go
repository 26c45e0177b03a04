//go:build !purego

package sha256

func archKernels() []*Kernel { return nil }
