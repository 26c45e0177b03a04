package onelayer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/porep"
)

// TestStopListing: listing a segment's parents, which takes seconds in a large sector, ends
// when it is stopped: nobody asks for parents after those that he is asking for.
func TestStopListing(t *testing.T) {
	g, err := graph.New(porep.StackedDrg8MiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	s := spillGraph{"", porep.StackedDrg8MiBV1_1, g}.surroundings(128)
	var asked atomic.Int64
	var stop func()
	counted := func(get onelayer.Source) onelayer.Source {
		return func(dst []uint32, first uint64) error {
			asked.Add(1)
			stop()
			return get(dst, first)
		}
	}
	s.BaseParents, s.Parents = counted(g.BaseParents), counted(g.Parents)

	ctx, cancel := context.WithCancel(t.Context())
	stop = cancel
	if err := onelayer.IndexErr(ctx, s, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("index: error %v", err)
	}
	if n := asked.Load(); n < 1 || n > onelayer.Indexers {
		t.Errorf("index: asked for parents %d times", n)
	}
	for name, list := range map[string]func(*onelayer.Store) error{"far parents": onelayer.List, "put aside": onelayer.PutAside} {
		asked.Store(0)
		st := onelayer.Empty(s)
		stop = st.Flow.Stop
		if err := list(st); err != nil {
			t.Errorf("%s: error %v", name, err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%s: asked for parents %d times, want once", name, n)
		}
	}
}
