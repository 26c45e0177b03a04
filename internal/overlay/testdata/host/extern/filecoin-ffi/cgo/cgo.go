//go:build cgo

package cgo

// static int version(void) { return 1; }
import "C"

// Version is one of C.
func Version() int { return int(C.version()) }
