//go:build !cgo

// Package cgo stands in for what filecoin-ffi has in C.
package cgo

// Version is one without C.
func Version() int { return 0 }
