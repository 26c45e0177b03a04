package linux_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
)

func TestAffinity(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	before, err := linux.Affinity(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := linux.SetAffinity(0, before[:1]); err != nil {
		t.Fatal(err)
	}
	if now, err := linux.Affinity(0); err != nil || !slices.Equal(now, before[:1]) {
		t.Errorf("bound to %v, want %v (%v)", now, before[:1], err)
	}
	for _, cpus := range [][]int{nil, {-1}, {8191}, {1 << 40}} {
		if err := linux.SetAffinity(0, cpus); err == nil {
			t.Errorf("bound to %v", cpus)
		}
	}
	if err := linux.SetAffinity(0, before); err != nil {
		t.Error(err)
	}
}
