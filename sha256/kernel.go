// Package sha256 computes the two things that sealing hashes: labels, each a
// chain of 20 compressions over a node's parents, and two-to-one tree nodes.
// It has several kernels for them, generic and assembly, and knows no graph:
// which parents a node has is the caller's business.
//
// All digests are truncated to 254 bits (the last byte's two high bits are
// cleared), as the proofs' field asks.
package sha256

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/internal/failure"
)

const (
	nodeSize   = 32 // bytes of a label and of a tree node
	baseDegree = 6  // parents in the same layer
	degree     = 14 // all parents

	// rowBytes is the length of a row, the addresses of a node's parents. Assembly knows
	// this and the others by name.
	rowBytes = 8 * degree

	maxLanes = 32      // of any kernel
	maxNodes = 1 << 32 // in a layer: parents are 32-bit indices
	maxPairs = 1 << 10 // tree nodes in one call of a kernel, which cannot be preempted
)

// Ahead is how many nodes' parents Label wants to see past the span that it
// labels, so that their labels are in the cache when the next span asks.
const Ahead = 8

// A Kernel is one implementation of label and tree hashing. Kernels are named
// by instruction set and lanes: "sha-ni/1".
type Kernel struct {
	// Name is unique: "sha-ni/1".
	Name string
	// Lanes is how many sectors one call labels in lock-step.
	Lanes int
	// Group says how the labels of a node's lanes lie in its Pitch bytes. 1:
	// lane after lane, each label as layer files have it. More: Group lanes at a
	// time take 32·Group bytes, word 0 of each, then word 1 of each and so on,
	// words as numbers in the machine's byte order. Pack and Unpack translate.
	Group int
	// Align is what the address of labels in memory must be a multiple of.
	Align int

	// features are the CPU features that the kernel's instructions need, no
	// more and no less.
	features []cpuid.FeatureID

	label func(labelSpan) // by value: a pointer would escape to the heap
	nodes int             // for one call of label, if it is not for atOnce to say

	// ahead is how many nodes before its turn a node's parents are prefetched, at most
	// Ahead: measured, since what comes too early is gone from the first cache again.
	ahead int

	// walk is how the pages of the parents of the node after those are walked.
	walk pageWalk

	// spreads reports whether label asks for lanes' offsets.
	spreads bool

	// spread is label for a Spread, where there is a better one: it prefetches what comes soon.
	spread func(labelSpan)

	pairs func(dst, src *byte, n int)

	// unpack takes the labels of the next eight lanes of nodes apart, if a Group has
	// so many, to dst and every size bytes from there. In src words lie row bytes
	// apart, nodes pitch bytes.
	unpack func(dst, src *byte, nodes, size, row, pitch int)

	// gather is the inverse: labels of slots, of eight lanes whose addresses lie step bytes apart,
	// to dst and every pitch bytes from there.
	gather func(dst *byte, addrs *uintptr, slots, step, row, pitch int)
}

// Pitch is how many bytes there are from a node's labels to the next node's: 32 for each lane.
func (k *Kernel) Pitch() int { return nodeSize * k.Lanes }

// Usable reports whether this machine's CPU has all that the kernel needs.
func (k *Kernel) Usable() bool { return len(k.missing()) == 0 }

func (k *Kernel) missing() []string {
	var names []string
	for _, f := range k.features {
		if !cpuid.CPU.Supports(f) {
			names = append(names, f.String())
		}
	}
	return names
}

// Kernels returns all kernels that were built into this program, usable here or
// not: the fastest at tree hashes first, and of those with the same lanes the
// fastest at labels. "generic/1" is last and always usable.
func Kernels() []*Kernel { return slices.Clone(kernels) }

var (
	generic = &Kernel{
		Name: "generic/1", Lanes: 1, Group: 1, Align: 1,
		label: func(r labelSpan) { labelGeneric(&r, 1, 1) },
		pairs: pairsGeneric,
	}
	kernels = append(archKernels(), generic)
)

// BestTree is the usable kernel that is fastest at HashPairs.
func BestTree() *Kernel {
	for _, k := range kernels {
		if k.Usable() {
			return k
		}
	}
	return generic
}

// Best is the fastest usable kernel of so many lanes, or nil where there is none.
func Best(lanes int) *Kernel {
	for _, k := range kernels {
		if k.Lanes == lanes && k.Usable() {
			return k
		}
	}
	return nil
}

// A KernelError says that a kernel was asked for which this program does not
// have, or which this machine cannot run.
type KernelError struct {
	Name    string
	Missing []string // CPU features; empty where no kernel has the name
}

// Is reports whether target is the kind ErrBadInput.
func (e *KernelError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *KernelError) Error() string {
	if len(e.Missing) > 0 {
		return fmt.Sprintf("sha256: choosing kernel: %q needs CPU features that are missing here: %s", e.Name, strings.Join(e.Missing, ", "))
	}
	var names []string
	for _, k := range kernels {
		names = append(names, k.Name)
	}
	return fmt.Sprintf("sha256: choosing kernel: %q is not one of %s", e.Name, strings.Join(names, ", "))
}

// ByName returns the usable kernel of that name, or a *KernelError.
func ByName(name string) (*Kernel, error) {
	for _, k := range kernels {
		if k.Name == name {
			if missing := k.missing(); len(missing) > 0 {
				return nil, &KernelError{name, missing}
			}
			return k, nil
		}
	}
	return nil, &KernelError{Name: name}
}

// ErrTreeBuffers is in the error of HashPairs for buffers that do not fit
// together. Nothing was written.
var ErrTreeBuffers = errors.New("want a source of whole 64-byte pairs and, apart from it, a destination half as long")

// HashPairs writes the tree node above each two neighbours in src: dst[i] =
// SHA-256(src[2i] ‖ src[2i+1]), truncated. dst is half as long as src and does
// not overlap it, or the error is an ErrTreeBuffers.
func (k *Kernel) HashPairs(dst, src []byte) error {
	if len(src)%(2*nodeSize) != 0 || len(dst) != len(src)/2 || overlap(dst, src) {
		return fmt.Errorf("sha256: hashing tree nodes: %d bytes to %d: %w", len(src), len(dst), ErrTreeBuffers)
	}
	for len(dst) > 0 {
		n := min(maxPairs, len(dst)/nodeSize)
		raceReadBytes(src[:n*2*nodeSize])
		raceWrites(dst[:n*nodeSize])
		k.pairs(&dst[0], &src[0], n)
		dst, src = dst[n*nodeSize:], src[n*2*nodeSize:]
	}
	return nil
}

// overlap reports whether a and b share a byte.
func overlap(a, b []byte) bool {
	return len(a) > 0 && len(b) > 0 &&
		uintptr(unsafe.Pointer(&a[0])) <= uintptr(unsafe.Pointer(&b[len(b)-1])) &&
		uintptr(unsafe.Pointer(&b[0])) <= uintptr(unsafe.Pointer(&a[len(a)-1]))
}

// A pageWalk is how a kernel walks the pages of parents ahead of time: see pagewalk_amd64.h.
type pageWalk uint64

const (
	noWalk   pageWalk = iota
	walkSoon          // behind a branch whose misprediction shows at once
	walkLate          // or later; in kernels that know no such, the same
)
