//go:build purego || (!amd64 && !arm64)

package fr32

func archKernels() []*kernel { return nil }
