package topology

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// MaxCPUs bounds CPU numbers: no kernel is built for more. MaxNUMANodes bounds
// the numbers of NUMA nodes.
const (
	MaxCPUs      = 8192
	MaxNUMANodes = 1024
)

// A CPUSet is an immutable set of CPUs. The zero value is empty.
type CPUSet struct {
	cpus []CPU // ascending
}

// NewCPUSet makes a set. Numbers outside of 0 … MaxCPUs-1 are left out: there are
// no such CPUs.
func NewCPUSet(cpus ...CPU) CPUSet {
	kept := make([]CPU, 0, len(cpus))
	for _, cpu := range cpus {
		if cpu >= 0 && cpu < MaxCPUs {
			kept = append(kept, cpu)
		}
	}
	slices.Sort(kept)
	return CPUSet{slices.Clip(slices.Compact(kept))}
}

// Len is the number of CPUs.
func (s CPUSet) Len() int { return len(s.cpus) }

// Contains says whether cpu is in the set.
func (s CPUSet) Contains(cpu CPU) bool {
	_, ok := slices.BinarySearch(s.cpus, cpu)
	return ok
}

// All yields the CPUs, ascending.
func (s CPUSet) All() iter.Seq[CPU] { return slices.Values(s.cpus) }

// Slice is a new list of the CPUs, ascending, never nil.
func (s CPUSet) Slice() []CPU { return append(make([]CPU, 0, len(s.cpus)), s.cpus...) }

// Equal says whether two sets hold the same CPUs.
func (s CPUSet) Equal(t CPUSet) bool { return slices.Equal(s.cpus, t.cpus) }

// Union is the CPUs in either.
func (s CPUSet) Union(t CPUSet) CPUSet {
	return NewCPUSet(slices.Concat(s.cpus, t.cpus)...)
}

// Intersect is the CPUs in both.
func (s CPUSet) Intersect(t CPUSet) CPUSet { return s.filter(t.Contains) }

// Minus is the CPUs of s that are not in t.
func (s CPUSet) Minus(t CPUSet) CPUSet {
	return s.filter(func(cpu CPU) bool { return !t.Contains(cpu) })
}

func (s CPUSet) filter(keep func(CPU) bool) (kept CPUSet) {
	for _, cpu := range s.cpus {
		if keep(cpu) {
			kept.cpus = append(kept.cpus, cpu)
		}
	}
	return kept
}

// String is the kernel's list format, "0-3,7"; "" for none.
func (s CPUSet) String() string {
	var b strings.Builder
	for i := 0; i < len(s.cpus); {
		first := s.cpus[i]
		last := first
		for i++; i < len(s.cpus) && s.cpus[i] == last+1; i++ {
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

// A ParseError says which part of a text is wrong.
type ParseError struct {
	What   string // what the text should have been
	Text   string
	Reason string
}

func (e *ParseError) Error() string {
	return "topology: parsing " + e.What + " " + strconv.Quote(e.Text) + ": " + e.Reason
}

// ParseCPUList reads the kernel's list format: numbers and ranges, in any order,
// "0-3,7". A range that runs backwards and a CPU that cannot be are errors; no
// text is no CPUs.
func ParseCPUList(text string) (CPUSet, error) { panic("not yet") }

// ParseCPUMask reads the kernel's mask format: hexadecimal words of 32 bits, the
// highest first, "3,ffffffff".
func ParseCPUMask(text string) (CPUSet, error) { panic("not yet") }

// ParseSize reads a number of bytes, with a unit or without: K, M, G, T, alone or
// with B or iB behind, in either case, always by powers of 1024 as the kernel
// means them.
func ParseSize(text string) (uint64, error) { panic("not yet") }
