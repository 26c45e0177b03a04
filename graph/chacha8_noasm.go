//go:build !amd64 || purego

package graph

// Kernel names the implementation of ChaCha8 that runs on this machine: "avx2"
// or "generic".
func Kernel() string { return "generic" }

func (c *chacha8) draw(d *draws, first uint32, count int) { c.drawGeneric(d, first, count) }
