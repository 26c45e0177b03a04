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
	MaxNUMANodes = 1024
)

// A CPUSet is an immutable set of CPUs. The zero value is empty.
type CPUSet struct {
	words []uint64 // a bit for each CPU; the last word is not 0
}

// NewCPUSet makes a set. Numbers outside of 0 … MaxCPUs-1 are left out: there are
// no such CPUs.
func NewCPUSet(cpus ...CPU) CPUSet {
	var words []uint64
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= MaxCPUs {
			continue
		}
		if need := int(cpu)/64 + 1; need > len(words) {
			words = append(words, make([]uint64, need-len(words))...)
		}
		words[cpu/64] |= 1 << (cpu % 64)
	}
	return trimmed(words)
}

// trimmed keeps the rule that the last word is not 0, so that equal sets are equal.
func trimmed(words []uint64) CPUSet {
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	return CPUSet{words}
}

// Len is the number of CPUs.
func (s CPUSet) Len() (n int) {
	for _, word := range s.words {
		n += bits.OnesCount64(word)
	}
	return n
}

// Contains reports whether cpu is in the set.
func (s CPUSet) Contains(cpu CPU) bool {
	return cpu >= 0 && int(cpu)/64 < len(s.words) && s.words[cpu/64]>>(cpu%64)&1 != 0
}

// All yields the CPUs, ascending.
func (s CPUSet) All() iter.Seq[CPU] {
	return func(yield func(CPU) bool) {
		for i, word := range s.words {
			for ; word != 0; word &= word - 1 {
				if !yield(CPU(64*i + bits.TrailingZeros64(word))) {
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
func (s CPUSet) Equal(t CPUSet) bool { return slices.Equal(s.words, t.words) }

// Union is the CPUs in either.
func (s CPUSet) Union(t CPUSet) CPUSet {
	return s.combine(t, func(a, b uint64) uint64 { return a | b })
}

// Intersect is the CPUs in both.
func (s CPUSet) Intersect(t CPUSet) CPUSet {
	return s.combine(t, func(a, b uint64) uint64 { return a & b })
}

// Minus is the CPUs of s that are not in t.
func (s CPUSet) Minus(t CPUSet) CPUSet {
	return s.combine(t, func(a, b uint64) uint64 { return a &^ b })
}

func (s CPUSet) filter(keep func(CPU) bool) CPUSet {
	words := slices.Clone(s.words)
	for cpu := range s.All() {
		if !keep(cpu) {
			words[cpu/64] &^= 1 << (cpu % 64)
		}
	}
	return trimmed(words)
}

func (s CPUSet) combine(t CPUSet, op func(a, b uint64) uint64) CPUSet {
	words := make([]uint64, max(len(s.words), len(t.words)))
	copy(words, s.words)
	for i := range words {
		var b uint64
		if i < len(t.words) {
			b = t.words[i]
		}
		words[i] = op(words[i], b)
	}
	return trimmed(words)
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
