package parentcache_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
)

// TestCopy: a copy has what the graph has, outlives the cache, and its memory is
// counted until it is closed.
func TestCopy(t *testing.T) {
	const proof = porep.StackedDrg8MiBV1_1
	c, err := parentcache.Ensure(t.Context(), proof, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var pool hugepages.Accounting
	m, err := c.Copy(t.Context(), hugepages.Options{Pool: &pool})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := graph.New(proof)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]uint32, 1000*porep.Degree), make([]uint32, 1000*porep.Degree)
	for first := uint64(0); first < g.Nodes(); first += 1000 {
		n := min(1000, g.Nodes()-first) * porep.Degree
		if err := errors.Join(m.Parents(got[:n], first), g.Parents(want[:n], first)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[:n], want[:n]) {
			t.Fatalf("nodes from %d on differ", first)
		}
	}
	var out *graph.RangeError
	if err := m.Parents(got, g.Nodes()-1); !errors.As(err, &out) {
		t.Errorf("past the layer: %v", err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if err := m.Parents(got[:14], 0); err == nil {
		t.Error("parents from a copy that is closed")
	}
	if _, err := c.Copy(t.Context(), hugepages.Options{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("copying a closed cache: %v", err)
	}
}
