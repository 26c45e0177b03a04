package workers

import (
	"runtime"
	"testing"
)

// A higher GOMAXPROCS makes no more of them, a lower one makes fewer.
func TestMost(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]int{1: 1, runtime.NumCPU() + 10: runtime.NumCPU()} {
		runtime.GOMAXPROCS(procs)
		if got := Most(); got != want {
			t.Errorf("GOMAXPROCS %d: %d, want %d", procs, got, want)
		}
	}
}
