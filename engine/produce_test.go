package engine_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/porep"
)

// TestLate: where the hasher has less than an eighth of the ring before it, labels stay
// where they are.
func TestLate(t *testing.T) {
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		span, released uint64
		want           bool
	}{
		{0, 0, false},
		{7, 0, false},
		{8, 0, true},
		{63, 0, true},
		{17, 10, false},
		{18, 10, true},
		{40, 40, false},
	} {
		got, err := engine.LabelsStaged(tt.span, tt.released, g)
		if err != nil || got != tt.want {
			t.Errorf("span %d when %d are hashed: labels copied: %t (%v), want %t", tt.span, tt.released, got, err, tt.want)
		}
	}
}
