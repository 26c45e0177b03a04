package main

import (
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/topology"
)

// One is not many.
func TestGrammar(t *testing.T) {
	for got, want := range map[string]string{
		view.Numbers("CPU", topology.NewCPUSet(5)):        "CPU 5",
		view.Numbers("core", topology.NewCPUSet(5, 6, 8)): "cores 5-6,8",
		words.Count(1, "sector"):                          "1 sector",
		words.Count(0, "sector"):                          "0 sectors",
		view.Verb(1, "takes", "take"):                     "takes",
		view.Verb(2, "takes", "take"):                     "take",
		sectorsText(nil):                                  "a sector",
		sectorsText([]int{1}):                             "1 sector",
		sectorsText([]int{1, 16}):                         "1 or 16 sectors",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
