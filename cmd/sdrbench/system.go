package main

import (
	"os"

	"github.com/sdr-engine/sdr/internal/linux"
)

// freeSpace is how much a file in dir may take. Ok is false where nobody knows.
func freeSpace(dir string) (free uint64, ok bool, err error) {
	if _, err := os.Stat(dir); err != nil {
		return 0, false, err
	}
	free, _, ok = linux.FreeSpace(dir)
	return free, ok, nil
}

func peakMemory() uint64 { return linux.PeakMemory() }
