package zoneinfo

import (
	"testing"
)

// Two nodes, as a kernel of 6.x writes them: node 0 has three zones with pages.
const zones = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 408
  pages free     2816
        high     16
        managed  100
        protection: (0, 3018, 24090, 24090, 24090)
  pagesets
    cpu: 0
              high:     99999
              high_min: 6
Node 0, zone    DMA32
        high     500
        managed  77280
        protection: (0, 0, 100, 100)
Node 0, zone   Normal
        high     20000
        managed  5394266
        protection: (0, 0, 0, 0, 0)
Node 0, zone  Movable
        high     32
        managed  0
        protection: (0, 0, 0, 0, 0)
Node 10, zone   Normal
        high     9000
        managed  5394266
        protection: (0, 0, 0, 0, 0)
`

func TestParse(t *testing.T) {
	got := Parse(zones)
	// A zone keeps no more than it has: 100 of DMA, then 500 + 100, then 20000.
	if want := (Pages{100 + 77280 + 5394266, 100 + 600 + 20000}); got[0] != want {
		t.Errorf("node 0: %v, want %v", got[0], want)
	}
	if want := (Pages{5394266, 9000}); got[10] != want || len(got) != 2 {
		t.Errorf("node 10: %v of %v, want %v", got[10], got, want)
	}
	for _, text := range []string{"", "managed 5\nhigh 3\n", "Node x, zone DMA\n managed 5\n", "Node 0, zone DMA\n managed many\n"} {
		if got := Parse(text); len(got) != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAvailable(t *testing.T) {
	for _, c := range []struct{ free, files, slab, kept, want uint64 }{
		{100, 0, 0, 10, 90},
		{100, 50, 8, 10, 100 + 50 - 10 + 8 - 4 - 10}, // of caches, half at most is kept
		{5, 0, 0, 10, 0},
	} {
		if got := Available(c.free, c.files, c.slab, c.kept); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// FuzzParse: whatever is read, no node keeps more than it has.
func FuzzParse(f *testing.F) {
	f.Add(zones)
	f.Fuzz(func(t *testing.T, text string) {
		for node, p := range Parse(text) {
			if p.Kept > p.Managed || p.Managed == 0 {
				t.Errorf("%q: node %d: %+v", text, node, p)
			}
		}
	})
}
