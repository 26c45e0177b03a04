// Package view draws for people: where a job stands, on a terminal or in lines; a
// machine; a plan; what bench, tune and kernels found; and text from outside, with nothing
// in it that a terminal obeys.
package view

import (
	"fmt"

	"github.com/sdr-engine/sdr/topology"
)

// Numbers names CPUs or cores: "CPU 5", "cores 0-3,8".
func Numbers(what string, set topology.CPUSet) string {
	if set.Len() == 1 {
		return what + " " + set.String()
	}
	return what + "s " + set.String()
}

// Verb is the form that goes with so many.
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func plural(n int, one, many string) string {
	return fmt.Sprintf("%d %s", n, Verb(n, one, many))
}

// Thousands is a number with commas: 1,234,567.
func Thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
