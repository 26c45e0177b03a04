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
// whose blocks have from one entry on; or one without blocks, of passes.
func randomCut(r *rand.Rand) memorymode.Cut {
	ring := uint64(8) << r.IntN(3)
	c := memorymode.Cut{Ring: ring, Segment: 1 + r.Uint64N(ring/3), Block: 72 << r.IntN(7)}
	if r.IntN(2) == 0 {
		c.Block = 0
	}
	return c
}

// maybeCut is one once in three times.
func maybeCut(r *rand.Rand) memorymode.Cut {
	if r.IntN(3) > 0 {
		return memorymode.Cut{}
	}
	return randomCut(r)
}

// TestBudgets: whatever the budget, from the smallest to two layers, and whichever the way, the files
// are the same; the job takes no more than it, and scratch files only if it is to; and what is less
// than the smallest is refused, with what that is.
func TestBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("sectors of 8 MiB: others of 2 KiB have budgets, too")
	}
	t.Parallel()
	two := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Hashers: 1}
	if _, err := engine.Run(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	want := digests(t, two.Proof, two.Sectors)
	for _, way := range []engine.MemoryWay{engine.Forward, engine.Passes} {
		c := two
		c.MemoryMode, c.MemoryWay, c.Budget, c.Resume = engine.Budget, way, 1, engine.Restart
		var wrong *engine.ConfigError
		_, err := c.Resolve()
		if !errors.As(err, &wrong) || wrong.Part != "budget" {
			t.Fatalf("%v: a budget of a byte: %v", way, err)
		}
		smallest := c.Requirements()[0].Total()
		if !strings.Contains(wrong.Reason, fmt.Sprintf("in budget mode takes %s", topology.SizeText(smallest))) {
			t.Errorf("%v: the smallest is %d bytes: %v", way, smallest, err)
		}
		modes := map[engine.MemoryMode]bool{}
		const step = 1 << 20
		tries, run := testkit.Rounds(100, 1), 0 // of so many, which one is run
		if way == engine.Passes {
			tries, run = testkit.Rounds(100, 2), testkit.Rounds(2, 0) // by then segments are not too many, each of which is a layer read
		}
		for i, budget := 0, smallest; budget < two.Requirements()[0].Total()+step; i, budget = i+1, budget+step {
			c.Budget = budget
			r, err := c.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			modes[r.Config().MemoryMode] = true
			f, neither := r.Feed()
			if takes := r.Requirements()[0].Total(); takes > budget || neither && takes < budget/2 {
				t.Errorf("%v: of %d bytes it takes %d", way, budget, takes)
			}
			if neither && (f.Way != way || (f.Scratch == 0) != (way == engine.Passes)) {
				t.Errorf("%v: by %+v", way, f)
			}
			if i%tries != run || way == engine.Passes && !neither {
				continue
			}
			operations := &partOnly{in: isScratch}
			if _, err := r.Run(operations.With(t.Context())); err != nil {
				t.Fatal(err)
			}
			if n := operations.Operations(); neither && way == engine.Passes && n > 0 {
				t.Errorf("%v: %d operations on scratch files", way, n)
			}
			if diff := cmp.Diff(want, digests(t, c.Proof, c.Sectors)); diff != "" {
				t.Errorf("%v, %d bytes: other files:\n%s", way, budget, diff)
			}
		}
		if len(modes) != 3 {
			t.Errorf("%v: only %v were chosen", way, modes)
		}
	}
}

// TestBudgetFaults: whatever an operation on a scratch file does, or, without one, a read of a layer, no
// label is wrong: the job ends with an error, or the files are right; and the next one goes on to the
// right ones.
func TestBudgetFaults(t *testing.T) {
	t.Parallel()
	t.Run("forward", func(t *testing.T) { testBudgetFaults(t, 150, 64*8/5, 8, isScratch) })
	t.Run("passes", func(t *testing.T) { testBudgetFaults(t, 0, 64/5*8, 4, isLayerRead) })
}

func testBudgetFaults(t *testing.T, block, least, rounds int, in func(*durable.Op) bool) {
	const count = 3
	r, _ := testkit.Seeded(t)
	hooks := engine.Hooks{Layers: count, Cut: memorymode.Cut{Ring: 16, Segment: 5, Block: block}}
	c := oneSector(t.TempDir())
	c.Kernel, c.Resume = "generic/1", engine.Restart
	if _, err := (&engine.Hooks{Layers: count}).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := digestsOf(t, c, count)
	counting := &partOnly{in: in}
	if _, err := hooks.Run(counting.With(t.Context()), c); err != nil {
		t.Fatal(err)
	}
	n := counting.Operations()
	if n < least {
		t.Fatalf("%d operations, want %d at least", n, least)
	}
	failed, right := 0, 0
	// With many rounds each operation fails, in one of the ways.
	ways := 2 * len(errorfs.Faults)
	step := max(ways, n/testkit.Rounds(rounds, n))
	first, way := r.IntN(step), 0
	for _, again := range []bool{false, true} {
		for _, fault := range errorfs.Faults {
			way++
			for at := (first + way) % step; at < n; at += step {
				failing := &partOnly{Injector: errorfs.Injector{At: at, Fault: fault, Again: again}, in: in}
				c.Resume = engine.Restart
				_, err := hooks.Run(failing.With(t.Context()), c)
				if err == nil {
					right++
				} else {
					failed++
					c.Resume = engine.ResumeSame
					if _, err := hooks.Run(t.Context(), c); err != nil {
						t.Fatalf("after operation %d, %s: %v", at, failing.Struck(), err)
					}
				}
				if diff := cmp.Diff(want, digestsOf(t, c, count)); diff != "" {
					t.Fatalf("operation %d, %s, again %v: error %v, and other files:\n%s", at, failing.Struck(), again, err, diff)
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

// isLayerRead is of layers that are being made, and before.
func isLayerRead(op *durable.Op) bool {
	return op.Kind == durable.OpRead && strings.Contains(op.Path, "data-layer")
}

// partOnly injects only into a part of the operations.
type partOnly struct {
	errorfs.Injector
	in func(*durable.Op) bool
}

func (i *partOnly) With(ctx context.Context) context.Context { return durable.WithInjector(ctx, i) }

func (i *partOnly) Before(op *durable.Op) error {
	if !i.in(op) {
		return nil
	}
	return i.Injector.Before(op)
}

func (i *partOnly) After(op *durable.Op) error {
	if !i.in(op) {
		return nil
	}
	return i.Injector.After(op)
}
