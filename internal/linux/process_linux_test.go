package linux

import (
	"runtime"
	"testing"
)

// The peak counts what was touched, and stays when that is given back.
func TestPeakMemory(t *testing.T) {
	const size = 64 << 20
	b := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		b[i] = 1
	}
	with := PeakMemory()
	if with < size || with > 64*size {
		t.Errorf("with %d bytes in use the peak is %d", size, with)
	}
	runtime.KeepAlive(b)
	if after := PeakMemory(); after < with {
		t.Errorf("the peak fell from %d to %d", with, after)
	}
}
