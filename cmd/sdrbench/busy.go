package main

import (
	"fmt"
	"strings"
)

// mostOthers is how many CPUs others may keep busy while tune measures. A program
// that never rests takes more, even beside hashers; what a machine does by itself,
// and for our files, takes less.
const mostOthers = 0.25

// A busyError says why no profile was written.
type busyError struct{ reasons []string }

func (e *busyError) Error() string {
	return fmt.Sprintf("tuning: no profile is written, the machine is busy: %s (--force writes one all the same, --profile none goes without)", strings.Join(e.reasons, "; "))
}
