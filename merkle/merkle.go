// Package merkle computes the binary tree of SHA-256 hashes over 32-byte leaves
// that commits to data: comm_p of a piece, comm_d of a sector, and the file
// tree-d that holds all of a sector's tree.
//
// Levels count from the leaves, which are level 0. A node above is the hash of
// the two nodes below it, with the two highest bits cleared.
package merkle

import (
	"bytes"
	stdsha256 "crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

const (
	nodeSize  = porep.NodeSize
	minSize   = 2 * nodeSize // a tree has leaves and a root
	maxHeight = 45
	maxSize   = nodeSize << maxHeight // 1 PiB: far above any sector, and sums cannot overflow

	// chunkSize is how many bytes of leaves are hashed before anything else
	// happens. Measured with two workers on a Zen 4 server: sizes from 128 KiB
	// to 2 MiB hash equally fast, 1 MiB is the fastest to write to a file, and
	// 2 MiB takes twice as long.
	chunkSize = 1 << 20
)

// A SizeError says why there is no tree over so many bytes.
type SizeError struct {
	Doing  string // "building tree"
	Size   uint64
	Reason string
}

// Is reports whether target is the kind ErrBadInput.
func (e *SizeError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *SizeError) Error() string {
	return fmt.Sprintf("merkle: %s: %d bytes: %s", e.Doing, e.Size, e.Reason)
}

func checkSize(doing string, size, largest uint64) error {
	switch {
	case size < minSize:
		return &SizeError{doing, size, fmt.Sprintf("less than %d, two leaves", minSize)}
	case size > largest:
		return &SizeError{doing, size, fmt.Sprintf("more than %d", largest)}
	case bits.OnesCount64(size) != 1:
		return &SizeError{doing, size, "not a power of two"}
	}
	return nil
}

// height is the level of the root of a tree over size bytes.
func height(size uint64) int { return bits.Len64(size/nodeSize) - 1 }

// parent is the node above left and right.
func parent(left, right porep.Commitment) porep.Commitment {
	var pair [2 * nodeSize]byte
	copy(pair[:], left[:])
	copy(pair[nodeSize:], right[:])
	sum := stdsha256.Sum256(pair[:])
	porep.TruncateToField(&sum)
	return sum
}

// zeros holds the root of the all-zero tree of each height.
var zeros = func() (roots [maxHeight + 1]porep.Commitment) {
	for h := range maxHeight {
		roots[h+1] = parent(roots[h], roots[h])
	}
	return roots
}()

// ZeroCommitment is the root of the tree over size zero bytes: comm_p of an
// all-zero piece, comm_d of a sector without pieces. Its error is a *SizeError
// unless size is a power of two from 64 to 2^50.
func ZeroCommitment(size porep.PaddedSize) (porep.Commitment, error) {
	if err := checkSize("looking up zero commitment", uint64(size), maxSize); err != nil {
		return porep.Commitment{}, err
	}
	return zeros[height(uint64(size))], nil
}

// A Hasher hashes trees that are in memory. It keeps up to 1 MiB of scratch
// from call to call, so each goroutine has its own. The zero value is ready.
type Hasher struct {
	kernel *sha256.Kernel
	above  []byte
}

// Use has the hasher keep its scratch in b, as long as that is large enough: as many bytes as
// the leaves of a call.
func (h *Hasher) Use(b []byte) { h.above = b }

// levels returns all levels of the tree over leaves except the leaves, one
// after the other, the root last. They are valid until the next call.
func (h *Hasher) levels(leaves []byte) ([]byte, error) {
	if h.kernel == nil {
		h.kernel = sha256.BestTree()
	}
	size := len(leaves) - nodeSize
	if len(h.above) < size {
		h.above = make([]byte, size)
	}
	free := h.above[:size]
	zero := isZero(leaves)
	for level := 1; len(free) > 0; level++ {
		nodes := free[:len(leaves)/2]
		if zero {
			fill(nodes, zeros[level])
		} else if err := h.kernel.HashPairs(nodes, leaves); err != nil {
			return nil, err
		}
		leaves, free = nodes, free[len(nodes):]
	}
	return h.above[:size], nil
}

// isZero reports whether the nodes in b are all zero. Other data hardly ever
// takes it past the first of them.
func isZero(b []byte) bool {
	n := len(b) - nodeSize
	// When the first node is zero and each is equal to the next, all are zero.
	return *(*porep.Commitment)(b) == porep.Commitment{} && bytes.Equal(b[:n], b[nodeSize:])
}

func fill(nodes []byte, node porep.Commitment) {
	for n := copy(nodes, node[:]); n < len(nodes); n *= 2 {
		copy(nodes[n:], nodes[:n])
	}
}

// last is the last node in b.
func last(b []byte) porep.Commitment { return porep.Commitment(b[len(b)-nodeSize:]) }

// Root is the root of the tree over data. Its error is a *SizeError unless data
// has a power of two of bytes, 64 or more.
func (h *Hasher) Root(data []byte) (porep.Commitment, error) {
	const doing = "hashing data"
	if err := checkSize(doing, uint64(len(data)), maxSize); err != nil {
		return porep.Commitment{}, err
	}
	var a Accumulator
	for len(data) > 0 {
		n := min(len(data), chunkSize)
		levels, err := h.levels(data[:n])
		if err != nil {
			return porep.Commitment{}, fmt.Errorf("merkle: %s: %w", doing, err)
		}
		if err := a.Add(last(levels), porep.PaddedSize(n)); err != nil {
			return porep.Commitment{}, err
		}
		data = data[n:]
	}
	root, _, err := a.Root()
	return root, err
}
