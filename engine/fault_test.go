package engine_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// A fault of the program, or of what its caller gave it, is the job's error: a host has more to do
// than this job.
func TestFaultsAreErrors(t *testing.T) {
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(c *engine.Config, fault func()){
		"parents": func(c *engine.Config, fault func()) { c.Parents = faultySource{g, new(atomic.Int64), fault} },
		"parents of one layer": func(c *engine.Config, fault func()) {
			c.MemoryMode, c.Parents = engine.OneLayer, faultySource{g, new(atomic.Int64), fault}
		},
		"parents of passes": func(c *engine.Config, fault func()) {
			c.MemoryMode, c.MemoryWay, c.Budget = engine.Budget, engine.Passes, 4<<20
			c.Parents = faultySource{g, new(atomic.Int64), fault}
		},
		"parents of several hashers": func(c *engine.Config, fault func()) {
			c.Sectors = append(c.Sectors, sectors(t, 2)...)
			c.Hashers, c.HashersPerProducer, c.Parents = 3, 3, faultySource{g, new(atomic.Int64), fault}
		},
		"memory is taken": func(c *engine.Config, fault func()) { c.MemoryTaken = fault },
		"done":            func(c *engine.Config, fault func()) { c.Done = func(int, error) { fault() } },
	} {
		t.Run(name, func(t *testing.T) {
			c := oneSector(t.TempDir())
			c.Proof, c.CheckpointEvery = porep.StackedDrg8MiBV1_1, -1
			if name == "done" {
				c.Proof = porep.StackedDrg2KiBV1_1
			}
			set(&c, func() { panic("faulty") })
			c.Progress = new(engine.Progress)
			_, err := engine.Run(t.Context(), c)
			if slowed := c.Progress.Slowed(); err == nil && c.MemoryMode == engine.OneLayer {
				err = slowed // without an index of far parents a job goes on, and says so
			}
			if fault := (*failure.Fault)(nil); !errors.As(err, &fault) || fault.Value != "faulty" || !strings.Contains(string(fault.Stack), "TestFaultsAreErrors") {
				t.Errorf("%v, want the fault", err)
			}
		})
	}
}

// A faultySource panics when it is asked for the hundredth time.
type faultySource struct {
	*graph.Graph
	asked *atomic.Int64
	fault func()
}

func (s faultySource) Parents(dst []uint32, first uint64) error {
	s.count()
	return s.Graph.Parents(dst, first)
}

func (s faultySource) BaseParents(dst []uint32, first uint64) error {
	s.count()
	return s.Graph.BaseParents(dst, first)
}

func (s faultySource) count() {
	if s.asked.Add(1) == 100 {
		s.fault()
	}
}
