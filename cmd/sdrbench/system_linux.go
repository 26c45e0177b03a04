package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// freeSpace is how much a file in dir may take. Ok is false where nobody knows.
func freeSpace(dir string) (free uint64, ok bool, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return fs.Bavail * uint64(fs.Bsize), true, nil
}

// peakMemory is the most memory that this process had so far, 0 if unknown.
// Getrusage would tell that of the process it was forked from, if that had more.
func peakMemory() uint64 {
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
