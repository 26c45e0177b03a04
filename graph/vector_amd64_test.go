//go:build !purego

package graph

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// withoutAVX512 is the graph of p as machines without have it.
func withoutAVX512(t testing.TB, p porep.SealProof) *Graph {
	defer func(use bool) { useAVX512 = use }(useAVX512)
	useAVX512 = false
	g, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Spans around nodes from which on there is a bucket more, of the first and last nodes,
// and some in between, are those that a machine without AVX-512 computes.
func TestVectorParents(t *testing.T) {
	if !useAVX512 {
		t.Skip("this machine has no AVX-512")
	}
	for _, p := range porep.SealProofs() {
		if p > porep.StackedDrg64GiBV1_1 && !testkit.Long() {
			continue // features change keys and seeds alone
		}
		vector, scalar := graphOf(t, p), withoutAVX512(t, p)
		firsts := []uint64{0, 1, 2, 3, vector.Nodes()/3 + 1}
		for end := uint64(1); end/sampled < vector.Nodes(); end *= 2 {
			firsts = append(firsts, end/sampled-min(40, end/sampled))
		}
		firsts = append(firsts, vector.Nodes()-min(130, vector.Nodes()))
		for _, first := range firsts {
			for _, count := range []uint64{16, 17, 63, 130} {
				if first+count > vector.Nodes() {
					continue
				}
				got := mustParents(t, vector, first, int(count))
				func() {
					defer func(use bool) { useAVX512 = use }(useAVX512)
					useAVX512 = false
					want := mustParents(t, scalar, first, int(count))
					if !slices.Equal(want, got) {
						t.Fatalf("%v: %d nodes from %d on (-scalar +vector):\n%s", p, count, first, gocmp.Diff(want, got))
					}
				}()
			}
		}
	}
}

// Draws that no node has are no exception: multiples of what they are divided by, one
// less, the least and the greatest.
func TestVectorSamples(t *testing.T) {
	if !useAVX512 {
		t.Skip("this machine has no AVX-512")
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]porep.SealProof{porep.StackedDrg32GiBV1, porep.StackedDrg64GiBV1_1}).Draw(t, "proof")
		s := newBaseSampler([32]byte{}, p.APIVersion())
		buckets := rapid.IntRange(7, maxBuckets-1).Draw(t, "buckets") // before the last
		first := rapid.Uint64Range(1<<buckets/sampled+1, 2<<buckets/sampled-lanes).Draw(t, "first")
		var d draws
		for i := range len(d) / 2 {
			for lane := range lanes {
				divisor := rapid.SampledFrom([]uint64{uint64(buckets + 1), 1<<(i*3) + 1, 1<<buckets + 1}).Draw(t, "divisor")
				draw := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, ^uint64(0), 1 << 32, 1<<32 - 1}), rapid.Uint64(), rapid.Custom(func(t *rapid.T) uint64 {
					return divisor*rapid.Uint64Range(0, ^uint64(0)/divisor).Draw(t, "times") - rapid.Uint64Range(0, 1).Draw(t, "less")
				})).Draw(t, "draw")
				d[2*i][lane], d[2*i+1][lane] = uint32(draw), uint32(draw>>32)
			}
		}
		got, want := make([]uint32, lanes*porep.Degree), make([]uint32, lanes*porep.Degree)
		for lane := range lanes {
			s.row((*[porep.BaseDegree]uint32)(want[lane*porep.Degree:]), uint32(first)+uint32(lane), &d, lane)
		}
		if !s.rowsTogether(got, uint32(first), &d) {
			t.Fatalf("no vectors for nodes from %d on, which have %d buckets", first, buckets+1)
		}
		if !slices.Equal(want, got) {
			t.Fatalf("%d nodes from %d on (-row +vector):\n%s", lanes, first, gocmp.Diff(want, got))
		}
	})
}
