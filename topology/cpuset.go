package topology

import (
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the kernel's numbers: none is built for more.
const (
	MaxCPUs      = 8192
	maxNUMANodes = 1024
)

// A CPUSet is an immutable set of CPUs. The zero value is empty.
type CPUSet struct {
	base  int      // the first of words has CPUs from 64*base on
	words []uint64 // a bit for each CPU; neither the first word nor the last is 0
}

// NewCPUSet makes a set. Numbers outside of 0 … MaxCPUs-1 are left out: there are
// no such CPUs.
func NewCPUSet(cpus ...CPU) CPUSet {
	first, last := CPU(MaxCPUs), CPU(-1)
	for _, cpu := range cpus {
		if cpu >= 0 && cpu < MaxCPUs {
			first, last = min(first, cpu), max(last, cpu)
		}
	}
	if last < 0 {
		return CPUSet{}
	}
	base := int(first) / 64
	words := make([]uint64, int(last)/64+1-base)
	for _, cpu := range cpus {
		if cpu >= 0 && cpu < MaxCPUs {
			words[int(cpu)/64-base] |= 1 << (cpu % 64)
		}
	}
	return CPUSet{base, words}
}

// trimmed keeps the rule that neither end is 0, so that equal sets are equal.
func trimmed(base int, words []uint64) CPUSet {
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	for len(words) > 0 && words[0] == 0 {
		base, words = base+1, words[1:]
	}
	if len(words) == 0 {
		return CPUSet{}
	}
	return CPUSet{base, words}
}

// word is the bits of CPUs from 64*i on.
func (s CPUSet) word(i int) uint64 {
	if i -= s.base; i >= 0 && i < len(s.words) {
		return s.words[i]
	}
	return 0
}

func (s CPUSet) end() int { return s.base + len(s.words) }

// Len is the number of CPUs.
func (s CPUSet) Len() (n int) {
	for _, word := range s.words {
		n += bits.OnesCount64(word)
	}
	return n
}

// Contains reports whether cpu is in the set.
func (s CPUSet) Contains(cpu CPU) bool {
	return cpu >= 0 && s.word(int(cpu)/64)>>(cpu%64)&1 != 0
}

// All yields the CPUs, ascending.
func (s CPUSet) All() iter.Seq[CPU] {
	return func(yield func(CPU) bool) {
		for i, word := range s.words {
			for ; word != 0; word &= word - 1 {
				if !yield(CPU(64*(s.base+i) + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// Slice is a new list of the CPUs, ascending, never nil.
func (s CPUSet) Slice() []CPU { return slices.AppendSeq(make([]CPU, 0, s.Len()), s.All()) }

// first is the lowest CPU of a set that is not empty.
func (s CPUSet) first() CPU {
	for cpu := range s.All() {
		return cpu
	}
	return -1
}

// Equal reports whether two sets hold the same CPUs.
func (s CPUSet) Equal(t CPUSet) bool { return s.base == t.base && slices.Equal(s.words, t.words) }

// union is the CPUs in either.
func (s CPUSet) union(t CPUSet) CPUSet {
	switch {
	case len(s.words) == 0:
		return t
	case len(t.words) == 0:
		return s
	}
	return combine(min(s.base, t.base), max(s.end(), t.end()), func(i int) uint64 { return s.word(i) | t.word(i) })
}

// Intersect is the CPUs in both.
func (s CPUSet) Intersect(t CPUSet) CPUSet {
	return combine(max(s.base, t.base), min(s.end(), t.end()), func(i int) uint64 { return s.word(i) & t.word(i) })
}

// Minus is the CPUs of s that are not in t.
func (s CPUSet) Minus(t CPUSet) CPUSet {
	return combine(s.base, s.end(), func(i int) uint64 { return s.word(i) &^ t.word(i) })
}

func (s CPUSet) filter(keep func(CPU) bool) CPUSet {
	words := slices.Clone(s.words)
	for cpu := range s.All() {
		if !keep(cpu) {
			words[int(cpu)/64-s.base] &^= 1 << (cpu % 64)
		}
	}
	return trimmed(s.base, words)
}

// combine makes a set of words from base on, up to end.
func combine(base, end int, word func(i int) uint64) CPUSet {
	words := make([]uint64, max(0, end-base))
	for i := range words {
		words[i] = word(base + i)
	}
	return trimmed(base, words)
}

// String is the kernel's list format, "0-3,7"; "" for none.
func (s CPUSet) String() string {
	var b strings.Builder
	for first := range s.All() {
		if s.Contains(first - 1) {
			continue // told already
		}
		last := first
		for s.Contains(last + 1) {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(first)))
		if last > first {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(last)))
		}
	}
	return b.String()
}
