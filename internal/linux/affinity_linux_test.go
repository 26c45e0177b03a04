package linux_test

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdr-engine/sdr/internal/linux"
)

func TestAffinity(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := linux.Affinity(0)
	if err != nil {
		t.Fatal(err)
	}
	var want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &want); err != nil {
		t.Skip("this machine may have more CPUs than unix.CPUSet")
	}
	if len(before) != want.Count() || !slices.IsSorted(before) || slices.ContainsFunc(before, func(cpu int) bool { return !want.IsSet(cpu) }) {
		t.Errorf("%d, want the %d of %v", before, want.Count(), want)
	}
	if byThread, err := linux.Affinity(linux.ThreadID()); err != nil || !slices.Equal(byThread, before) {
		t.Errorf("by its number, the thread has %d, %v", byThread, err)
	}
	last := before[len(before)-1:]
	if err := linux.SetAffinity(0, last); err != nil {
		t.Fatal(err)
	}
	if now, err := linux.Affinity(0); err != nil || !slices.Equal(now, last) {
		t.Errorf("set to %d, it is %d, %v", last, now, err)
	}
	if err := linux.SetAffinity(0, before); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]int{nil, {-1}, {8191}, {8192}} {
		if err := linux.SetAffinity(0, bad); !errors.Is(err, unix.EINVAL) {
			t.Errorf("set to %d: %v", bad, err)
		}
	}
	if _, err := linux.Affinity(1 << 30); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a thread that is not: %v", err)
	}
	if linux.ThreadID() < os.Getpid() {
		t.Errorf("thread %d", linux.ThreadID())
	}
}
