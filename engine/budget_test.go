package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// randomCut is one of a sector of 2 KiB in Budget mode, whose segments need not divide a layer.
func randomCut(r *rand.Rand) memorymode.Cut {
	ring := uint64(8) << r.IntN(3)
	return memorymode.Cut{Ring: ring, Segment: 1 + r.Uint64N(ring/3), Block: 4096 << r.IntN(3)}
}

// maybeCut is one once in three times.
func maybeCut(r *rand.Rand) memorymode.Cut {
	if r.IntN(3) > 0 {
		return memorymode.Cut{}
	}
	return randomCut(r)
}

// TestBudgets: whatever the budget, from the smallest to two layers, the files are the same; the
// job takes no more than it; and what is less than the smallest is refused, with what that is.
func TestBudgets(t *testing.T) {
	t.Parallel()
	c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Hashers: 1, MemoryMode: engine.Budget, Budget: 1}
	var wrong *engine.ConfigError
	_, err := c.Resolve()
	if !errors.As(err, &wrong) || wrong.Part != "budget" {
		t.Fatalf("a budget of a byte: %v", err)
	}
	smallest := c.Requirements()[0].Total()
	if !strings.Contains(wrong.Reason, fmt.Sprintf("in budget mode takes %s", topology.SizeText(smallest))) {
		t.Errorf("the smallest is %d bytes: %v", smallest, err)
	}
	two := engine.Config{Proof: c.Proof, Sectors: c.Sectors, Hashers: 1}
	if _, err := engine.Run(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	want := digests(t, c.Proof, c.Sectors)
	modes := map[engine.MemoryMode]bool{}
	step := uint64(testkit.Rounds(4<<20, 1<<20))
	for budget := smallest; budget < two.Requirements()[0].Total()+step; budget += step {
		c.Budget = budget
		r, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		modes[r.Config().MemoryMode] = true
		if takes := r.Requirements()[0].Total(); takes > budget || r.Config().MemoryMode == engine.Budget && takes < budget/2 {
			t.Errorf("of %d bytes it takes %d", budget, takes)
		}
		c.Resume = engine.Restart
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, digests(t, c.Proof, c.Sectors)); diff != "" {
			t.Errorf("%d bytes: other files:\n%s", budget, diff)
		}
	}
	if len(modes) != 3 {
		t.Errorf("only %v were chosen", modes)
	}
}
