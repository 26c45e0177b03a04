package linux

import (
	"bytes"
	"os"
	"strconv"
)

// PeakMemory is the most memory that this process had in use so far, in bytes, without
// huge pages that were reserved at boot; 0 if unknown. Getrusage would tell that of the
// process it was forked from, if that had more.
func PeakMemory() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "VmHWM:" && string(f[2]) == "kB" {
			n, _ := strconv.ParseUint(string(f[1]), 10, 54)
			return n << 10
		}
	}
	return 0
}
