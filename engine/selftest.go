package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A CoreError says that a core computes wrong.
type CoreError struct {
	CPU  topology.CPU // NoCPU: not known
	What string       // a kernel, or parents
	Err  error
}

func (e *CoreError) Error() string {
	where := fmt.Sprintf("CPU %d", e.CPU)
	if e.CPU == NoCPU {
		where = "a CPU that is not known, since the thread is not bound"
	}
	return fmt.Sprintf("engine: testing %s: %s: %v", where, e.What, e.Err)
}

// Unwrap returns what was wrong.
func (e *CoreError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrHardwareSuspect.
func (e *CoreError) Is(target error) bool { return target == failure.ErrHardwareSuspect }

// TestCores tests, on each CPU of Places, every kernel that so many sectors will be labelled
// with, the one for trees, and what computes parents, all against the standard library. It
// takes some milliseconds. The error joins a *CoreError for each CPU that computes wrong, and
// ctx's cause. CPUs that threads cannot be bound to are not tested: nothing will run there.
func (c Config) TestCores(ctx context.Context, sectors int) error {
	if c.Proof.Check() != nil || len(c.Places) == 0 {
		return nil
	}
	c.Sectors = make([]Sector, sectors)
	r := c.settle()
	trees := []*sha256.Kernel{sha256.BestTree()}
	kernels := map[topology.CPU][]*sha256.Kernel{}
	for h, place := range r.c.Places {
		kernels[place.Hasher] = append(kernels[place.Hasher], trees...)
		if h < len(r.split) {
			for _, b := range r.split[h] {
				kernels[place.Hasher] = append(kernels[place.Hasher], b.kernel)
			}
		}
		for _, cpu := range place.Producers {
			kernels[cpu] = append(kernels[cpu], trees...)
		}
	}
	g, err := graph.New(c.Proof)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs []error
	for cpu, all := range kernels {
		wg.Go(func() {
			pinned, err := topology.Pin(c.Machine, cpu)
			if err != nil {
				return
			}
			defer func() { _ = pinned.Release() }() // if it fails, the thread ends with its goroutine
			if err := testCore(ctx, cpu, all, g); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// testCore tests the core that it runs on.
func testCore(ctx context.Context, cpu topology.CPU, kernels []*sha256.Kernel, g *graph.Graph) error {
	var done []*sha256.Kernel
	for _, k := range kernels {
		if ctx.Err() != nil || slices.Contains(done, k) {
			continue
		}
		done = append(done, k)
		if err := k.SelfTest(); err != nil {
			return &CoreError{cpu, k.Name, err}
		}
	}
	// As many as are computed together, at the layer's end, where distances are longest.
	const nodes = 64
	parents := make([]uint32, nodes*porep.Degree)
	first := g.Nodes() - nodes
	if err := g.Parents(parents, first); err != nil {
		return err
	}
	for i := range uint64(nodes) {
		want, got := plain.Parents(g.Proof(), first+i), parents[i*porep.Degree:][:porep.Degree]
		if !slices.Equal(want, got) {
			return &CoreError{cpu, "parents", fmt.Errorf("those of node %d are %d, want %d: this core, or its memory, cannot be trusted", first+i, got, want)}
		}
	}
	return nil
}
