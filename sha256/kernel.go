// Package sha256 computes the two things that sealing hashes: labels, each a
// chain of 20 compressions over a node's parents, and two-to-one tree nodes.
// It has several kernels for them, generic and assembly, and knows no graph:
// which parents a node has is the caller's business.
//
// All digests are truncated to 254 bits (the last byte's two high bits are
// cleared), as the proofs' field asks.
package sha256

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

const (
	nodeSize   = 32 // bytes of a label and of a tree node
	baseDegree = 6  // parents in the same layer
	degree     = 14 // all parents
	aheadNodes = 8  // how far before its turn a node's parents are prefetched

	maxNodes = 1 << 32 // in a layer: parents are 32-bit indices
	maxPairs = 1 << 10 // tree nodes in one call of a kernel, which cannot be preempted
)

// Ahead is how many nodes' parents Label wants to see past the run that it
// labels, so that their labels are in the cache when the next run asks.
const Ahead = aheadNodes

// A Kernel is one implementation of label and tree hashing. Kernels are named
// by instruction set and lanes: "sha-ni/1".
type Kernel struct {
	// Name is unique: "sha-ni/1".
	Name string
	// Lanes is how many sectors one call labels in lock-step.
	Lanes int
	// Features are the CPU features that the kernel's instructions need, no
	// more and no less.
	Features []cpuid.FeatureID

	label func(labelRun) // by value: a pointer would escape to the heap
	pairs func(dst, src *byte, n int)
}

// Usable says whether this machine's CPU has all that the kernel needs.
func (k *Kernel) Usable() bool { return len(k.missing()) == 0 }

func (k *Kernel) missing() []string {
	var names []string
	for _, f := range k.Features {
		if !cpuid.CPU.Supports(f) {
			names = append(names, f.String())
		}
	}
	return names
}

// Kernels returns all kernels that were built into this program, best first,
// usable here or not. "generic/1" is last and always usable.
func Kernels() []*Kernel { return slices.Clone(kernels) }

var (
	generic = &Kernel{Name: "generic/1", Lanes: 1, label: labelGeneric, pairs: pairsGeneric}
	kernels = append(archKernels(), generic)
)

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

// A Layer is what stays the same while a layer is labelled. Node v's labels of
// all lanes lie together, at v·32·lanes, lane after lane.
type Layer struct {
	// ReplicaIDs has one replica id for each lane.
	ReplicaIDs [][32]byte
	// Number is the layer's number, from 1.
	Number uint32
	// Labels is this layer: nodes·32·lanes bytes. A node's base parents must
	// have been labelled before it.
	Labels []byte
	// Key is the layer before, of the same length; nil in layer 1.
	Key []byte
}

// A RunError says why a run of nodes cannot be labelled. Nothing was written.
type RunError struct {
	Kernel string
	Reason string
}

func (e *RunError) Error() string {
	return fmt.Sprintf("sha256: labelling with %s: %s", e.Kernel, e.Reason)
}

// ErrTreeBuffers is in the error of HashPairs for buffers that do not fit
// together. Nothing was written.
var ErrTreeBuffers = errors.New("want a source of whole 64-byte pairs and, apart from it, a destination half as long")

// labelRun is what a label kernel gets: checked once by Label, and laid out for
// assembly, which knows its fields by name.
type labelRun struct {
	labels   *byte     // node 0 of this layer
	key      *byte     // node 0 of the layer before; nil in layer 1
	parents  *uint32   // parents of the run's first node
	ahead    uint64    // bytes from a node's parents to those to prefetch
	node     uint64    // the run's first node, never 0
	count    uint64    // nodes in the run, never 0
	layer    uint64    // the layer's number
	replica  [8]uint32 // the replica id's big-endian words
	wantsKey uint64    // 1 from layer 2 on, 0 in layer 1
}

// Label labels n nodes from node first on. parents holds 14 indices for each of
// them, base parents first, and should go on for Ahead nodes more, whose labels
// are then prefetched; the graph that they come from must be acyclic in the
// order of the nodes. The error is a *RunError. Label takes about n·20·lanes
// compressions and cannot be preempted: callers keep n in the tens.
func (k *Kernel) Label(l *Layer, first uint64, n int, parents []uint32) error {
	fail := func(format string, args ...any) error {
		return &RunError{k.Name, fmt.Sprintf(format, args...)}
	}
	stride := nodeSize * k.Lanes
	nodes := uint64(len(l.Labels) / stride)
	switch {
	case len(l.ReplicaIDs) != k.Lanes:
		return fail("%d replica ids for %d lanes", len(l.ReplicaIDs), k.Lanes)
	case l.Number < 1:
		return fail("layer %d, the first is 1", l.Number)
	case len(l.Labels)%stride != 0:
		return fail("a layer of %d bytes is no multiple of %d", len(l.Labels), stride)
	case nodes > maxNodes:
		return fail("a layer of %d nodes, at most %d", nodes, uint64(maxNodes))
	case l.Number > 1 && len(l.Key) != len(l.Labels):
		return fail("the layer before has %d bytes, this one %d", len(l.Key), len(l.Labels))
	case n < 0 || first > nodes || uint64(n) > nodes-first:
		return fail("%d nodes from %d in a layer of %d", n, first, nodes)
	case len(parents) < n*degree:
		return fail("%d parents for %d nodes, want %d", len(parents), n, n*degree)
	}
	if n == 0 {
		return nil
	}
	// One comparison a run: the kernels load at these indices unchecked.
	if m := maxParent(parents[:n*degree], l.Number); uint64(m) >= nodes {
		return fail("parent %d in a layer of %d nodes", m, nodes)
	}
	if first == 0 {
		for lane, id := range l.ReplicaIDs {
			label := labelNodeZero(id, l.Number)
			copy(l.Labels[lane*nodeSize:], label[:])
		}
		if first, n, parents = 1, n-1, parents[degree:]; n == 0 {
			return nil
		}
	}

	run := labelRun{
		labels: &l.Labels[0],
		node:   first,
		layer:  uint64(l.Number),
	}
	for i := range run.replica {
		run.replica[i] = binary.BigEndian.Uint32(l.ReplicaIDs[0][4*i:])
	}
	if l.Number > 1 {
		run.key, run.wantsKey = &l.Key[0], 1
	}
	raceReads(l, parents, n)
	raceWrites(l.Labels[first*uint64(stride):][:n*stride])

	// Nodes whose parents ahead are in the slice, then those at its end.
	if ahead := min(n, len(parents)/degree-aheadNodes); ahead > 0 {
		run.parents, run.count, run.ahead = &parents[0], uint64(ahead), aheadNodes*degree*4
		k.label(run)
		run.node += uint64(ahead)
		if n, parents = n-ahead, parents[ahead*degree:]; n == 0 {
			return nil
		}
	}
	run.parents, run.count, run.ahead = &parents[0], uint64(n), 0
	k.label(run)
	return nil
}

// maxParent is the greatest parent that a kernel will load: layer 1 has no
// expander parents.
func maxParent(parents []uint32, layer uint32) (m uint32) {
	used := degree
	if layer == 1 {
		used = baseDegree
	}
	for ; len(parents) > 0; parents = parents[degree:] {
		for _, p := range parents[:used] {
			m = max(m, p)
		}
	}
	return m
}

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

// overlap says whether a and b share a byte.
func overlap(a, b []byte) bool {
	return len(a) > 0 && len(b) > 0 &&
		uintptr(unsafe.Pointer(&a[0])) <= uintptr(unsafe.Pointer(&b[len(b)-1])) &&
		uintptr(unsafe.Pointer(&b[0])) <= uintptr(unsafe.Pointer(&a[len(a)-1]))
}
