package forward

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// A list is which labels a segment's parents are, in the order of what is read of the layers' files
// at a time. It is the same for all layers but the first, lanes and hashers: whose turn comes while
// another hasher has it, or is at it, copies it.
type list struct {
	of listed // under the mutex of lists

	mu        sync.RWMutex
	has       listed   // what follows is of
	expander  sorted   // of the layer before
	far       sorted   // of the segment's own layer
	farBefore []uint32 // by span of the segment: its far parents so far
	sum       uint64   // of all entries, when they were made
	parents   []uint32
}

// listed is what a list is of.
type listed struct {
	segment  int // from 1; 0 is none
	expander bool
}

// sorted are entries, a parent's node and, in the lower half, where its label belongs in the
// gathering: of one part that is read after another. Within a part they are in the order of where
// labels belong.
type sorted struct {
	entries []uint64
	ends    []uint32 // by part
}

const (
	belongs = 32      // bits
	atATime = 1 << 20 // entries that are sorted, or copied, before somebody looks whether all is stopped
)

// lists are those of a job's hashers.
type lists struct {
	mu  sync.Mutex
	all map[*list]bool
}

// parts is how many are read of a layer.
func (s *Shape) parts() int { return int(s.Nodes / s.Read) }

// spans is how many a segment has at most.
func (s *Shape) spans() uint64 { return roundup.Div(s.Segment, uint64(s.Stride)) }

func (s *Shape) listBytes() uint64 {
	words := s.slots() + s.far + roundup.Div(2*uint64(s.parts())+s.spans(), 2)
	return roundup.To(8*words, linux.DirectAlign)
}

// newList makes a list in memory of Shape.listBytes.
func (x *Index) newList(memory []byte) *list {
	words := wordsOf(memory)
	cut := func(n uint64) (part []uint64) {
		part, words = words[:0:n], words[n:]
		return part
	}
	l := &list{parents: make([]uint32, min(x.Nodes, listNodes)*porep.Degree)}
	l.expander.entries, l.far.entries = cut(x.slots()), cut(x.Shape.far)
	numbers, parts := numbersOf(words), x.parts()
	l.expander.ends, l.far.ends, l.farBefore = numbers[:parts], numbers[parts:2*parts], numbers[2*parts:][:0:x.spans()]
	x.lists.mu.Lock()
	defer x.lists.mu.Unlock()
	x.lists.all[l] = true
	return l
}

// drop ends a list, when nobody copies it any more.
func (x *Index) drop(l *list) {
	x.lists.mu.Lock()
	delete(x.lists.all, l)
	x.lists.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.has = listed{}
}

// list makes l the list of a segment, in room for as many words as it has parents, or copies it.
func (x *Index) list(l *list, of listed, room []uint64, stopped func() bool) error {
	x.withdraw(l)
	for {
		other := x.claim(l, of)
		if other == nil {
			break
		}
		other.mu.RLock() // when it is made
		if other.has == of {
			l.copy(other, stopped)
			other.mu.RUnlock()
			return nil
		}
		other.mu.RUnlock()
		if stopped() {
			return nil
		}
		x.lists.mu.Lock()
		if other.of == of { // it was not made, and will not be
			other.of = listed{}
		}
		x.lists.mu.Unlock()
	}
	defer l.mu.Unlock()
	return x.make(l, of, room, stopped)
}

// withdraw ends what l is the list of. From then on nobody reads its entries: who copies has ended, and who
// comes later finds nothing. A hasher that holds no other's list waits here, so no two wait for each other.
func (x *Index) withdraw(l *list) {
	x.lists.mu.Lock()
	l.of = listed{}
	x.lists.mu.Unlock()
	l.mu.Lock()
	l.has = listed{}
	l.mu.Unlock()
}

// claim finds who has a list, or is at it. If nobody is, l is from now on, and locked.
func (x *Index) claim(l *list, of listed) (other *list) {
	x.lists.mu.Lock()
	defer x.lists.mu.Unlock()
	for other := range x.lists.all {
		if other != l && other.of == of {
			return other
		}
	}
	l.of = of
	l.mu.Lock() // who looks whether it is theirs is soon done
	return nil
}

// copy makes l, which was withdrawn, another's list. It is nobody else's to copy.
func (l *list) copy(other *list, stopped func() bool) {
	for _, s := range [][2]*sorted{{&l.expander, &other.expander}, {&l.far, &other.far}} {
		s[0].entries = s[0].entries[:0]
		for some := range slices.Chunk(s[1].entries, atATime) {
			if stopped() {
				return
			}
			s[0].entries = append(s[0].entries, some...)
		}
		copy(s[0].ends, s[1].ends)
	}
	l.sum = other.sum
	l.farBefore = append(l.farBefore[:0], other.farBefore...)
}

// make makes a list.
func (x *Index) make(l *list, of listed, room []uint64, stopped func() bool) error {
	first := uint64(of.segment-1) * x.Segment
	end := first + x.nodesOf(of.segment-1)
	slots := x.slots()
	expander, far := room[:0:slots], room[slots:][:0:x.Shape.far]
	l.farBefore = l.farBefore[:0]
	parentsOf := x.BaseParents
	if of.expander {
		parentsOf = x.Parents
	}
	for node := first; node < end; {
		if stopped() {
			return nil
		}
		rows := l.parents[:min(uint64(len(l.parents)/porep.Degree), end-node)*porep.Degree]
		if err := parentsOf(rows, node); err != nil {
			return err
		}
		for ; len(rows) > 0; rows = rows[porep.Degree:] {
			if node%uint64(x.Stride) == 0 {
				l.farBefore = append(l.farBefore, uint32(len(far)))
			}
			for _, p := range rows[:porep.BaseDegree] {
				if !x.isFar(node, p) {
					continue
				}
				if len(far) == cap(far) {
					return fmt.Errorf("engine: listing far parents: more than %d from node %d to %d", cap(far), first, node)
				}
				far = append(far, uint64(p)<<belongs|(slots+uint64(len(far))))
			}
			if of.expander {
				for _, p := range rows[porep.BaseDegree:porep.Degree] {
					if uint64(p) >= x.Nodes {
						return fmt.Errorf("engine: listing expander parents of node %d: %d, want less than %d", node, p, x.Nodes)
					}
					expander = append(expander, uint64(p)<<belongs|uint64(len(expander)))
				}
			}
			node++
		}
	}
	shift := belongs + bits.TrailingZeros64(x.Read)
	l.sum = 0
	for _, s := range []struct {
		to   *sorted
		from []uint64
	}{{&l.expander, expander}, {&l.far, far}} {
		sum, ok := s.to.sort(s.from, shift, stopped)
		if !ok {
			return nil
		}
		l.sum += sum
	}
	l.has = of
	return nil
}

// sort puts entries in the order of their parts, and adds them up; false means that it was stopped.
func (s *sorted) sort(entries []uint64, shift int, stopped func() bool) (sum uint64, ok bool) {
	clear(s.ends)
	s.entries = s.entries[:len(entries)]
	for some := range slices.Chunk(entries, atATime) {
		if stopped() {
			return 0, false
		}
		for _, e := range some {
			s.ends[e>>shift]++
		}
	}
	var at uint32
	for i, n := range s.ends {
		s.ends[i] = at
		at += n
	}
	for some := range slices.Chunk(entries, atATime) {
		if stopped() {
			return 0, false
		}
		for _, e := range some {
			end := &s.ends[e>>shift]
			s.entries[*end] = e
			*end++
			sum += e
		}
	}
	return sum, true
}

// part is the entries of one.
func (s *sorted) part(i int) []uint64 {
	first := uint32(0)
	if i > 0 {
		first = s.ends[i-1]
	}
	return s.entries[first:s.ends[i]]
}
