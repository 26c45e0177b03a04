package sealer

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// TestSectorBudget: what is planned for a sector is what a job takes of its budget: all of a small one,
// no more than two layers of one without end.
func TestSectorBudget(t *testing.T) {
	const g = 1 << 30
	for _, tt := range []struct{ budget, least, most uint64 }{
		{8 * g, 6 * g, 8*g + 2<<20},
		{40 * g, 38 * g, 40 * g},
		{1024 * g, 64 * g, 65 * g},
	} {
		c := &engine.Config{Proof: porep.StackedDrg32GiBV1_1, MemoryMode: engine.Budget, Budget: tt.budget}
		bytes, total := sectorBudget(c, 1, 1, 1)
		if bytes < tt.least || bytes > tt.most || total > tt.budget {
			t.Errorf("of %d bytes %d are planned, and %d are taken", tt.budget, bytes, total)
		}
	}
}
