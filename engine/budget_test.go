package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// randomCut is one of a sector of 2 KiB in Budget mode, whose segments need not divide a layer, and
// whose blocks have from one entry on.
func randomCut(r *rand.Rand) memorymode.Cut {
	ring := uint64(8) << r.IntN(3)
	return memorymode.Cut{Ring: ring, Segment: 1 + r.Uint64N(ring/3), Block: 72 << r.IntN(7)}
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
	if testing.Short() {
		t.Skip("sectors of 8 MiB: others of 2 KiB have budgets, too")
	}
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
	step := uint64(testkit.Rounds(7<<20, 1<<20))
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

// TestBudgetFaults: whatever an operation on a scratch file does, no label is wrong: the job ends
// with an error, or the files are right; and the next one goes on to the right ones.
func TestBudgetFaults(t *testing.T) {
	t.Parallel()
	const count = 3
	r, _ := testkit.Seeded(t)
	hooks := engine.Hooks{Layers: count, Cut: memorymode.Cut{Ring: 16, Segment: 5, Block: 150}}
	c := oneSector(t.TempDir())
	c.Kernel, c.Resume = "generic/1", engine.Restart
	if _, err := (&engine.Hooks{Layers: count}).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := digestsOf(t, c, count)
	counting := &scratchOnly{Injector: errorfs.Injector{}}
	if _, err := hooks.Run(counting.With(t.Context()), c); err != nil {
		t.Fatal(err)
	}
	n := counting.Operations()
	if n < count*64*8/5 {
		t.Fatalf("%d operations on scratch files", n)
	}
	failed, right := 0, 0
	step := n / testkit.Rounds(4, n/3) // which of them, the seed says
	for _, again := range []bool{false, true} {
		for _, fault := range errorfs.Faults {
			for at := r.IntN(step); at < n; at += step {
				i := &scratchOnly{Injector: errorfs.Injector{At: at, Fault: fault, Again: again}}
				c.Resume = engine.Restart
				_, err := hooks.Run(i.With(t.Context()), c)
				if err == nil {
					right++
				} else {
					failed++
					c.Resume = engine.ResumeSame
					if _, err := hooks.Run(t.Context(), c); err != nil {
						t.Fatalf("after operation %d, %s: %v", at, i.Struck(), err)
					}
				}
				if diff := cmp.Diff(want, digestsOf(t, c, count)); diff != "" {
					t.Fatalf("operation %d, %s, again %v: error %v, and other files:\n%s", at, i.Struck(), again, err, diff)
				}
			}
		}
	}
	t.Logf("%d operations: %d jobs failed, %d were right", n, failed, right)
	if failed == 0 || right == 0 {
		t.Errorf("of %d operations %d jobs failed and %d did not: faults do not reach the job", n, failed, right)
	}
}

func isScratch(op *durable.Op) bool { return strings.HasPrefix(op.Path, "a scratch file") }

// scratchOnly injects only into what is done to scratch files.
type scratchOnly struct{ errorfs.Injector }

func (i *scratchOnly) With(ctx context.Context) context.Context {
	return durable.WithInjector(ctx, i)
}

func (i *scratchOnly) Before(op *durable.Op) error {
	if !isScratch(op) {
		return nil
	}
	return i.Injector.Before(op)
}

func (i *scratchOnly) After(op *durable.Op) error {
	if !isScratch(op) {
		return nil
	}
	return i.Injector.After(op)
}
