package graph

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

const degree = porep.Degree

var (
	graphsMu sync.Mutex
	graphs   = map[porep.SealProof]*Graph{}
)

// graphOf builds each graph once.
func graphOf(t testing.TB, p porep.SealProof) *Graph {
	t.Helper()
	graphsMu.Lock()
	defer graphsMu.Unlock()
	g := graphs[p]
	if g == nil {
		var err error
		if g, err = New(p); err != nil {
			t.Fatal(err)
		}
		graphs[p] = g
	}
	return g
}

// plainSpan is what the rules say, node by node.
func plainSpan(p porep.SealProof, first uint64, count int) []uint32 {
	span := make([]uint32, 0, count*porep.Degree)
	for node := first; node < first+uint64(count); node++ {
		span = append(span, plain.Parents(p, node)...)
	}
	return span
}

func mustParents(t testing.TB, g *Graph, first uint64, count int) []uint32 {
	t.Helper()
	dst := make([]uint32, count*degree)
	if err := g.Parents(dst, first); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestGolden(t *testing.T) {
	golden := golden.Graphs()
	if got, want := len(golden), len(porep.SealProofs()); got != want {
		t.Fatalf("golden data of %d proofs, want %d", got, want)
	}
	for _, c := range golden {
		t.Run(c.RegisteredProof, func(t *testing.T) {
			p, err := porep.ParseSealProof(c.RegisteredProof)
			if err != nil {
				t.Fatal(err)
			}
			g := graphOf(t, p)
			if len(c.Parents) == 0 {
				t.Fatal("no golden nodes")
			}
			for name, want := range c.Parents {
				node, err := strconv.ParseUint(name, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(want, mustParents(t, g, node, 1)); diff != "" {
					t.Errorf("parents of node %d (-want +got):\n%s", node, diff)
				}
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	for _, p := range porep.SealProofs() {
		g := graphOf(t, p)
		if g.Proof() != p || g.Nodes() != uint64(p.SectorSize())/32 || g.feistelKeys != FeistelKeys(p) {
			t.Errorf("%v: Proof %v, Nodes %d, keys %x", p, g.Proof(), g.Nodes(), g.feistelKeys)
		}
	}
}

func TestUnknownProof(t *testing.T) {
	for _, p := range []porep.SealProof{-1, 20} {
		_, err := New(p)
		var unknown *porep.UnknownProofError
		if !errors.As(err, &unknown) {
			t.Errorf("New(%d): error %v, want an UnknownProofError", int64(p), err)
		}
	}
}

func drawProof(t *rapid.T) porep.SealProof {
	return rapid.SampledFrom(porep.SealProofs()).Draw(t, "proof")
}

// drawNode prefers both ends of the layer and powers of two, where the number
// of buckets changes.
func drawNode(t *rapid.T, g *Graph) uint64 {
	last := g.Nodes() - 1
	return rapid.OneOf(
		rapid.Uint64Range(0, last),
		rapid.Uint64Range(0, min(300, last)),
		rapid.Uint64Range(last-min(300, last), last),
		rapid.Custom(func(t *rapid.T) uint64 {
			power := uint64(1) << rapid.IntRange(0, 33).Draw(t, "power") / sampled
			return min(power+rapid.Uint64Range(0, 3).Draw(t, "beyond"), last)
		}),
	).Draw(t, "node")
}

// Every span is what the slow reference says.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := graphOf(t, drawProof(rt))
		first := drawNode(rt, g)
		count := rapid.IntRange(0, int(min(3, g.Nodes()-first))).Draw(rt, "count")
		got := mustParents(t, g, first, count)
		if diff := gocmp.Diff(plainSpan(g.Proof(), first, count), got); diff != "" {
			rt.Fatalf("%v: %d nodes from %d on (-want +got):\n%s", g.Proof(), count, first, diff)
		}
	})
}

// A span is the concatenation of any spans that it is split into.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := graphOf(t, drawProof(rt))
		first := drawNode(rt, g)
		count := rapid.IntRange(1, int(min(3*batch, g.Nodes()-first))).Draw(rt, "count")
		whole := mustParents(t, g, first, count)
		var parts []uint32
		for done := 0; done < count; {
			n := rapid.IntRange(1, count-done).Draw(rt, "part")
			parts = append(parts, mustParents(t, g, first+uint64(done), n)...)
			done += n
		}
		if diff := gocmp.Diff(whole, parts); diff != "" {
			rt.Fatalf("%v: %d nodes from %d on (-whole +parts):\n%s", g.Proof(), count, first, diff)
		}
	})
}

func TestSingleNodesMakeARun(t *testing.T) {
	g := graphOf(t, porep.StackedDrg8MiBV1_1)
	const first, count = 1000, 3*batch + 5
	var singles []uint32
	for i := range uint64(count) {
		singles = append(singles, mustParents(t, g, first+i, 1)...)
	}
	if diff := gocmp.Diff(mustParents(t, g, first, count), singles); diff != "" {
		t.Errorf("(-span +single nodes):\n%s", diff)
	}
}

// Base parents come before their node, one of them directly.
func TestBaseParents(t *testing.T) {
	for _, p := range porep.SealProofs() {
		g := graphOf(t, p)
		predecessor := 0
		if p.APIVersion() == porep.APIv1_0 {
			predecessor = 5
		}
		for _, first := range []uint64{0, g.Nodes() / 3, g.Nodes() - min(g.Nodes(), 2000)} {
			count := int(min(2000, g.Nodes()-first))
			parents := mustParents(t, g, first, count)
			for i := range count {
				node, base := first+uint64(i), parents[i*degree:][:porep.BaseDegree]
				if node < 2 {
					if slices.Max(base) != 0 {
						t.Errorf("%v: node %d has base parents %d, want all 0", p, node, base)
					}
					continue
				}
				if uint64(slices.Max(base)) >= node || uint64(base[predecessor]) != node-1 {
					t.Errorf("%v: node %d has base parents %d", p, node, base)
				}
			}
		}
	}
}

// usesOf is what appendUses must append for every label, from Parents.
func usesOf(t testing.TB, g *Graph) [][]use {
	uses := make([][]use, g.Nodes())
	parents := mustParents(t, g, 0, int(g.Nodes()))
	for node := range g.Nodes() {
		for slot, label := range parents[node*degree+porep.BaseDegree:][:porep.ExpDegree] {
			if uses[label] == nil {
				uses[label] = make([]use, 0, porep.ExpDegree)
			}
			uses[label] = append(uses[label], use{uint32(node), uint8(slot)})
		}
	}
	return uses
}

func TestEveryUseIsFound(t *testing.T) {
	for _, p := range porep.SealProofs() {
		if p.SectorSize() > 8<<20 || p.SectorSize() > 2<<10 && !testkit.Long() && (testing.Short() || p > porep.StackedDrg64GiBV1_1) {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			g := graphOf(t, p)
			var got []use
			for label, want := range usesOf(t, g) {
				got = g.appendUses(got[:0], uint32(label))
				if !slices.Equal(want, got) {
					t.Fatalf("uses of label %d: %v, want %v", label, got, want)
				}
				if len(got) != porep.ExpDegree {
					t.Fatalf("label %d has %d uses, want %d", label, len(got), porep.ExpDegree)
				}
			}
		})
	}
}

// Uses inverts Parents: what it finds is so, in order, appended, and as
// much as the API version says; and what Parents says is found.
func TestUses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawProof(rt)
		g := graphOf(t, p)
		label := uint32(drawNode(rt, g))

		before := []use{{7, 7}}
		uses := g.appendUses(before, label)
		if uses[0] != before[0] {
			rt.Fatalf("%v: appendUses changed what was there to %v", p, uses[0])
		}
		uses = uses[1:]
		want := porep.ExpDegree
		if over := int(g.Nodes() >> 29); p.APIVersion() == porep.APIv1_0 && over > 0 {
			want *= over
			if label >= 1<<29 {
				want = 0
			}
		}
		if len(uses) != want {
			rt.Fatalf("%v: label %d has %d uses, want %d", p, label, len(uses), want)
		}
		if !slices.IsSortedFunc(uses, compareUses) || len(slices.Compact(slices.Clone(uses))) != len(uses) {
			rt.Fatalf("%v: uses of label %d not in order or not unique: %v", p, label, uses)
		}
		for _, u := range uses {
			if got := mustParents(t, g, uint64(u.node), 1)[porep.BaseDegree+u.slot]; got != label {
				rt.Fatalf("%v: parent %d of node %d is %d, want %d", p, u.slot, u.node, got, label)
			}
		}

		node := uint32(drawNode(rt, g))
		for slot, parent := range mustParents(t, g, uint64(node), 1)[porep.BaseDegree:] {
			if u := (use{node, uint8(slot)}); !slices.Contains(g.appendUses(nil, parent), u) {
				rt.Fatalf("%v: use %v of label %d not found", p, u, parent)
			}
		}
	})
}

// Uses of many labels are those of each: what is computed together is what is computed alone.
func TestUsesTogether(t *testing.T) {
	for _, p := range porep.SealProofs() {
		if p > porep.StackedDrg64GiBV1_1 && !testkit.Long() {
			continue // features change keys alone
		}
		g := graphOf(t, p)
		of := g.UsesOfLabel()
		for _, first := range []uint64{0, 3, g.Nodes() / 2, g.Nodes()/4 - min(g.Nodes()/4, 17), g.Nodes()/2 - min(g.Nodes()/2, 17), g.Nodes() - min(g.Nodes(), 131)} {
			for _, count := range []uint64{1, 2, 63, 64, 131} {
				if first+count > g.Nodes() {
					continue
				}
				together, alone := make([]uint64, int(count)*of), make([]uint64, of)
				if err := g.Uses(together, first); err != nil {
					t.Fatal(err)
				}
				for i := range count {
					if err := g.Uses(alone, first+i); err != nil {
						t.Fatal(err)
					}
					if got := together[int(i)*of:][:of]; !slices.Equal(alone, got) {
						t.Fatalf("%v: uses of label %d of %d from %d on: %v, alone %v", p, first+i, count, first, got, alone)
					}
				}
			}
		}
		for _, wrong := range []struct{ length, first uint64 }{{1, 0}, {uint64(of), g.Nodes()}, {uint64(2 * of), g.Nodes() - 1}, {uint64(of), 1 << 63}} {
			if err := g.Uses(make([]uint64, wrong.length), wrong.first); err == nil {
				t.Errorf("%v: no error for %d uses from node %d on", p, wrong.length, wrong.first)
			}
		}
	}
}

func TestUsesBeyondTheLayer(t *testing.T) {
	for _, p := range porep.SealProofs() {
		g := graphOf(t, p)
		for _, label := range []uint64{g.Nodes(), 1<<32 - 1} {
			if uses := g.appendUses(nil, uint32(label)); len(uses) != 0 {
				t.Errorf("%v: label %d beyond the layer has uses %v", p, label, uses)
			}
		}
	}
}

func TestRangeErrors(t *testing.T) {
	g := graphOf(t, porep.StackedDrg2KiBV1_1)
	for _, c := range []struct {
		length int
		first  uint64
		want   string // "" for none
	}{
		{0, 0, ""},
		{0, 64, ""},
		{64 * degree, 0, ""},
		{degree, 63, ""},
		{13, 0, "graph: getting parents from node 0 on: the slice's length of 13 is no multiple of 14"},
		{15, 3, "graph: getting parents from node 3 on: the slice's length of 15 is no multiple of 14"},
		{0, 65, "graph: getting parents from node 65 on: a span of 0 nodes leaves the layer of 64 nodes"},
		{degree, 64, "graph: getting parents from node 64 on: a span of 1 nodes leaves the layer of 64 nodes"},
		{65 * degree, 0, "graph: getting parents from node 0 on: a span of 65 nodes leaves the layer of 64 nodes"},
		{2 * degree, 1<<64 - 1, "graph: getting parents from node 18446744073709551615 on: a span of 2 nodes leaves the layer of 64 nodes"},
	} {
		dst := slices.Repeat([]uint32{0xdeadbeef}, c.length)
		err := g.Parents(dst, c.first)
		if c.want == "" {
			if err != nil {
				t.Errorf("%d elements from node %d on: %v", c.length, c.first, err)
			}
			continue
		}
		var rangeErr *RangeError
		if !errors.As(err, &rangeErr) || err.Error() != c.want {
			t.Errorf("%d elements from node %d on: error %q, want %q", c.length, c.first, err, c.want)
		}
		for _, v := range dst {
			if v != 0xdeadbeef {
				t.Fatalf("%d elements from node %d on: written to in spite of an error", c.length, c.first)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, p := range []porep.SealProof{porep.StackedDrg512MiBV1_1, porep.StackedDrg32GiBV1} {
		g := graphOf(t, p)
		dst := make([]uint32, (batch+1)*degree)
		var failed error
		if n := testing.AllocsPerRun(10, func() { failed = g.Parents(dst, 12345) }); n != 0 || failed != nil {
			t.Errorf("%v: Parents allocates %v times, error %v", p, n, failed)
		}
		uses := make([]uint64, 100*g.UsesOfLabel())
		if n := testing.AllocsPerRun(10, func() {
			if err := g.Uses(uses, 12345); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: Uses allocates %v times", p, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	g := graphOf(t, porep.StackedDrg512MiBV1_1)
	const count = 1000
	want := mustParents(t, g, 0, 4*count)
	var wg sync.WaitGroup
	for i := range uint64(4) {
		wg.Go(func() {
			got := make([]uint32, count*degree)
			if err := g.Parents(got, i*count); err != nil {
				t.Error(err)
			}
			if !slices.Equal(got, want[i*count*degree:][:count*degree]) {
				t.Errorf("parents of %d nodes from %d on differ when computed at the same time", count, i*count)
			}
			if uses := g.appendUses(nil, uint32(i)); len(uses) != porep.ExpDegree {
				t.Errorf("%d uses of label %d", len(uses), i)
			}
		})
	}
	wg.Wait()
}

func TestDivisor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Uint64Min(1).Draw(t, "d")
		x := rapid.OneOf(rapid.Uint64(), rapid.Custom(func(t *rapid.T) uint64 {
			return d*rapid.Uint64().Draw(t, "multiple") - rapid.Uint64Range(0, 1).Draw(t, "less")
		})).Draw(t, "x")
		if got, want := newDivisor(d).mod(x), x%d; got != want {
			t.Fatalf("%d mod %d = %d, want %d", x, d, got, want)
		}
	})
}

// The fuzzer must find no span that panics, nor one that differs from the
// reference.
func FuzzParents(f *testing.F) {
	f.Add(int64(0), uint64(0), 28)
	f.Add(int64(5), uint64(63), 14)
	f.Add(int64(3), uint64(1<<30-1), 14)
	f.Add(int64(14), uint64(1<<31-2), 28)
	f.Add(int64(7), uint64(1<<24-1), 28)
	f.Add(int64(8), uint64(1<<64-1), 13)
	f.Fuzz(func(t *testing.T, proof int64, first uint64, length int) {
		p := porep.SealProof(proof)
		if p.Check() != nil {
			if _, err := New(p); err == nil {
				t.Fatalf("proof %d: no error", proof)
			}
			return
		}
		g := graphOf(t, p)
		dst := make([]uint32, min(max(length, 0), 8*degree))
		count := uint64(len(dst) / degree)
		valid := len(dst)%degree == 0 && first <= g.Nodes() && first+count <= g.Nodes()
		if err := g.Parents(dst, first); (err == nil) != valid {
			t.Fatalf("%v: %d elements from %d on: error %v", p, len(dst), first, err)
		}
		if valid {
			if diff := gocmp.Diff(plainSpan(p, first, int(count)), dst, gocmp.Transformer("", func(s []uint32) []uint32 { return append([]uint32{}, s...) })); diff != "" {
				t.Fatalf("%v: %d nodes from %d on (-want +got):\n%s", p, count, first, diff)
			}
		}
	})
}

func benchmarkProofs() []porep.SealProof {
	return []porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1_1, porep.StackedDrg32GiBV1_1, porep.StackedDrg64GiBV1_1}
}

// BenchmarkParents takes spans of 64 nodes from all of the layer, since a node
// costs more where more buckets are in use. An operation is a node.
func BenchmarkParents(b *testing.B) {
	for _, p := range benchmarkProofs() {
		b.Run(fmt.Sprintf("proof=%v", p.SectorSize()), func(b *testing.B) {
			g := graphOf(b, p)
			const stride = 64
			dst := make([]uint32, stride*degree)
			random := rand.New(rand.NewPCG(1, 2))
			clock := coreclock.Measure()
			b.ResetTimer()
			for done := 0; done < b.N; done += stride {
				if err := g.Parents(dst, random.Uint64N(g.Nodes()/stride)*stride); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(b.Elapsed().Seconds()*clock/float64(b.N), "cycles/op")
		})
	}
}

// BenchmarkUses is BenchmarkParents the other way round. An operation is a label.
func BenchmarkUses(b *testing.B) {
	for _, p := range benchmarkProofs() {
		b.Run(fmt.Sprintf("proof=%v", p.SectorSize()), func(b *testing.B) {
			g := graphOf(b, p)
			const stride = 64
			dst := make([]uint64, stride*g.UsesOfLabel())
			random := rand.New(rand.NewPCG(1, 2))
			clock := coreclock.Measure()
			b.ResetTimer()
			for done := 0; done < b.N; done += stride {
				if err := g.Uses(dst, random.Uint64N(g.Nodes()/stride)*stride); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(b.Elapsed().Seconds()*clock/float64(b.N), "cycles/op")
		})
	}
}
