package forward

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
)

// TestLists: what hashers that come to a segment together work out once is, for each of them, its
// parents in the order of the parts that are read, and within a part in that of rows.
func TestLists(t *testing.T) {
	const proof, hashers = porep.StackedDrg8MiBV1_1, 4
	g, err := graph.New(proof)
	if err != nil {
		t.Fatal(err)
	}
	shape := ShapeOf(g.Nodes(), memorymode.Cut{Ring: 1 << 14, Segment: 5000}, 8, g.UsesOfLabel())
	for _, segment := range []int{1, 7, shape.Segments} {
		var asked atomic.Int64
		x := &Index{lists: lists{all: map[*list]bool{}}, Surroundings: Surroundings{
			Shape: shape, BaseParents: g.BaseParents,
			Parents: func(dst []uint32, first uint64) error {
				asked.Add(int64(len(dst) / porep.Degree))
				return g.Parents(dst, first)
			},
		}}
		first, n := uint64(segment-1)*shape.Segment, shape.nodesOf(segment-1)
		all := make([]*list, hashers)
		var wg sync.WaitGroup
		for i := range all {
			all[i] = x.newList(make([]byte, shape.listBytes()))
			wg.Go(func() {
				room := make([]uint64, shape.slots()+shape.far)
				if err := x.list(all[i], listed{segment, true}, room, func() bool { return false }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if asked := asked.Load(); asked != int64(n) {
			t.Errorf("segment %d: parents of %d nodes were worked out, want %d", segment, asked, n)
		}
		rows := make([]uint32, n*porep.Degree)
		if err := g.Parents(rows, first); err != nil {
			t.Fatal(err)
		}
		var expander, far []uint64
		for i := range n {
			row := rows[i*porep.Degree:][:porep.Degree]
			for _, p := range row[:porep.BaseDegree] {
				if shape.isFar(first+i, p) {
					far = append(far, uint64(p)<<belongs|(shape.slots()+uint64(len(far))))
				}
			}
			for _, p := range row[porep.BaseDegree:] {
				expander = append(expander, uint64(p)<<belongs|uint64(len(expander)))
			}
		}
		byPart := func(a, b uint64) int { return int(a>>belongs/shape.Read) - int(b>>belongs/shape.Read) }
		slices.SortStableFunc(expander, byPart)
		slices.SortStableFunc(far, byPart)
		for i, l := range all {
			var got [2][]uint64
			for part := range shape.parts() {
				got[0], got[1] = append(got[0], l.expander.part(part)...), append(got[1], l.far.part(part)...)
			}
			if !slices.Equal(got[0], expander) || !slices.Equal(got[1], far) {
				t.Errorf("segment %d, hasher %d: other parents", segment, i)
			}
			x.drop(l)
		}
		if len(x.lists.all) > 0 {
			t.Errorf("%d lists are left", len(x.lists.all))
		}
	}
}

// smallIndex is that of a sector of 2 KiB whose segments do not divide.
func smallIndex(t *testing.T) *Index {
	t.Helper()
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	shape := ShapeOf(g.Nodes(), memorymode.Cut{Ring: 16, Segment: 5}, 1, g.UsesOfLabel())
	return &Index{lists: lists{all: map[*list]bool{}}, Surroundings: Surroundings{Shape: shape, BaseParents: g.BaseParents, Parents: g.Parents}}
}

// TestListsStopped: a list that is stopped at any look is not had by anybody, and the next one is whole.
func TestListsStopped(t *testing.T) {
	x := smallIndex(t)
	shape := x.Shape
	l, other := x.newList(make([]byte, shape.listBytes())), x.newList(make([]byte, shape.listBytes()))
	room, of := make([]uint64, shape.slots()+shape.far), listed{shape.Segments, true}
	whole := false
	for looks := 0; !whole; looks++ {
		left := looks
		if err := x.list(l, of, room, func() bool { left--; return left < 0 }); err != nil {
			t.Fatal(err)
		}
		if whole = l.has == of; !whole && left >= 0 {
			t.Fatalf("after %d looks there is no list, though it was not stopped", looks)
		}
		if !whole && looks > 100 {
			t.Fatal("it never is whole")
		}
	}
	if err := x.list(other, of, room, func() bool { return false }); err != nil || other.sum != l.sum || other.sum == 0 {
		t.Errorf("copied: the sum %d, want %d: %v", other.sum, l.sum, err)
	}
}

// TestCheckListed: labels that are not those of the list are found.
func TestCheckListed(t *testing.T) {
	x := smallIndex(t)
	shape := x.Shape
	s := &Store{Surroundings: x.Surroundings, Batch: Batch{First: 2}, list: x.newList(make([]byte, shape.listBytes()))}
	n := shape.Segments - 1
	if err := x.list(s.list, listed{n + 1, true}, make([]uint64, shape.slots()+shape.far), func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	check := func() error {
		var read gathering
		for part := range shape.parts() {
			for _, e := range append(slices.Clone(s.list.expander.part(part)), s.list.far.part(part)...) {
				read.count.Add(1)
				read.sum.Add(e)
			}
		}
		return s.checkListed(&read, n)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	s.list.expander.entries[3] ^= 1 << belongs
	if check() == nil {
		t.Error("an entry that has changed is not found")
	}
}

// TestListsApart: hashers that come to segments each in its own time have the right list each time, whether
// they work it out or copy it, and nobody changes it while it is copied.
func TestListsApart(t *testing.T) {
	t.Parallel()
	const proof, hashers = porep.StackedDrg2KiBV1_1, 4
	g, err := graph.New(proof)
	if err != nil {
		t.Fatal(err)
	}
	shape := ShapeOf(g.Nodes(), memorymode.Cut{Ring: 16, Segment: 20}, 1, g.UsesOfLabel())
	newIndex := func() *Index {
		return &Index{lists: lists{all: map[*list]bool{}}, Surroundings: Surroundings{Shape: shape, BaseParents: g.BaseParents, Parents: g.Parents}}
	}
	never := func() bool { return false }
	room := func() []uint64 { return make([]uint64, shape.slots()+shape.far) }
	// content is what a list has.
	content := func(l *list) (all []uint64) {
		for part := range shape.parts() {
			all = append(append(all, l.expander.part(part)...), l.far.part(part)...)
		}
		for _, n := range l.farBefore {
			all = append(all, uint64(n))
		}
		return all
	}
	want := map[listed][]uint64{}
	for segment := range shape.Segments {
		for _, expander := range []bool{false, true} {
			x, of := newIndex(), listed{segment + 1, expander}
			l := x.newList(make([]byte, shape.listBytes()))
			if err := x.list(l, of, room(), never); err != nil {
				t.Fatal(err)
			}
			want[of] = content(l)
		}
	}
	x := newIndex()
	var wg sync.WaitGroup
	seed := rand.Uint64()
	for i := range hashers {
		l, r := x.newList(make([]byte, shape.listBytes())), rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range 3000 {
				of := listed{r.IntN(shape.Segments) + 1, r.IntN(2) == 0}
				if err := x.list(l, of, room(), never); err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(content(l), want[of]) {
					t.Errorf("seed %d, hasher %d: another list of %+v", seed, i, of)
					return
				}
			}
		})
	}
	wg.Wait()
}
