//go:build !purego

package graph

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// The kernel that should run here does.
func TestKernelChoice(t *testing.T) {
	want := "generic"
	if cpu.X86.HasAVX2 {
		want = "avx2"
	}
	if Kernel() != want {
		t.Errorf("kernel %s runs, want %s", Kernel(), want)
	}
}

func init() {
	if !useAVX2 {
		return
	}
	kernels["avx2"] = func(c *chacha8, d *draws, first uint32, _ int) { drawAVX2(d, c, first) }
}

// The draws of a whole span without the vector kernel.
func TestRunWithoutAVX2(t *testing.T) {
	defer func(use bool) { useAVX2 = use }(useAVX2)
	useAVX2 = false
	TestSingleNodesMakeARun(t)
}
