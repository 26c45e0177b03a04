package linux_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
)

func TestNameThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name := func() string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/comm", linux.ThreadID()))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	before := name()
	restore := linux.NameThread("sdr-test")
	if got := name(); got != "sdr-test" {
		t.Errorf("it is called %q, want sdr-test", got)
	}
	inner := linux.NameThread("sdr-with-a-long-name")
	if got := name(); got != "sdr-with-a-long" {
		t.Errorf("it is called %q, want sdr-with-a-long", got)
	}
	inner()
	if got := name(); got != "sdr-test" {
		t.Errorf("it is called %q again, want sdr-test", got)
	}
	restore()
	if got := name(); got != before {
		t.Errorf("it is called %q in the end, want %q", got, before)
	}
}
