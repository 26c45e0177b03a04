package main

import (
	"testing"

	"github.com/sdr-engine/sdr/topology"
)

// One is not many.
func TestGrammar(t *testing.T) {
	for got, want := range map[string]string{
		numbers("CPU", topology.NewCPUSet(5)):        "CPU 5",
		numbers("core", topology.NewCPUSet(5, 6, 8)): "cores 5-6,8",
		count(1, "sector"):                           "1 sector",
		count(0, "sector"):                           "0 sectors",
		verb(1, "takes", "take"):                     "takes",
		verb(2, "takes", "take"):                     "take",
		sectorsText(nil):                             "a sector",
		sectorsText([]int{1}):                        "1 sector",
		sectorsText([]int{1, 16}):                    "1 or 16 sectors",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
