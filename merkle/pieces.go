package merkle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// An Accumulator folds the roots of subtrees, in order, into the root of the
// tree that they stand in. It holds one root for each level at most. The zero
// value is an empty tree.
//
// A subtree stands at the next multiple of its own size, and zeros fill the
// room between it and the one before, as between the pieces of a sector.
type Accumulator struct {
	stack   []subtree // from left to right, each higher than the next
	covered uint64    // bytes from the tree's start to the last subtree's end
}

type subtree struct {
	height int
	root   porep.Commitment
}

// ErrEmpty is the error of a tree that nothing was added to: it has no size.
var ErrEmpty = errors.New("merkle: folding subtrees: there are none, so the tree has no size")

// Add adds the subtree of that root and size. Its error is a *SizeError unless
// size is a power of two from 64 and the tree stays within 2^50 bytes; nothing
// was added then.
func (a *Accumulator) Add(root porep.Commitment, size porep.PaddedSize) error {
	const doing = "folding subtrees"
	s := uint64(size)
	if err := checkSize(doing, s, maxSize); err != nil {
		return err
	}
	start := (a.covered + s - 1) / s * s
	if start > maxSize-s {
		return &SizeError{doing, start + s, fmt.Sprintf("more than %d: too many subtrees", uint64(maxSize))}
	}
	for h := height(s); len(a.stack) > 0 && a.top().height < h; {
		a.pushZero()
	}
	a.push(subtree{height(s), root})
	a.covered = start + s
	return nil
}

func (a *Accumulator) top() subtree { return a.stack[len(a.stack)-1] }

// push puts s right of the others and unites subtrees of equal height.
func (a *Accumulator) push(s subtree) {
	for len(a.stack) > 0 && a.top().height == s.height {
		s = subtree{s.height + 1, parent(a.top().root, s.root)}
		a.stack = a.stack[:len(a.stack)-1]
	}
	a.stack = append(a.stack, s)
}

// pushZero doubles the last subtree by zeros.
func (a *Accumulator) pushZero() {
	h := a.top().height
	a.push(subtree{h, zeros[h]})
}

// Root returns the root of the smallest tree that holds all subtrees, zeros
// after the last of them, and that tree's size. More can be added afterwards.
// Its error is ErrEmpty when nothing was added.
func (a *Accumulator) Root() (porep.Commitment, porep.PaddedSize, error) {
	if len(a.stack) == 0 {
		return porep.Commitment{}, 0, ErrEmpty
	}
	whole := Accumulator{stack: slices.Clone(a.stack)}
	for len(whole.stack) > 1 {
		whole.pushZero()
	}
	top := whole.top()
	return top.root, nodeSize << top.height, nil
}

// RootOf is the root of the tree over size bytes that begins with the subtrees, zeros after the
// last of them. Its error is ErrEmpty when nothing was added, or a *SizeError if size is not a
// power of two that holds them.
func (a *Accumulator) RootOf(size porep.PaddedSize) (porep.Commitment, error) {
	const doing = "filling a tree with zeros"
	root, covered, err := a.Root()
	if err != nil {
		return porep.Commitment{}, err
	}
	if err := checkSize(doing, uint64(size), maxSize); err != nil {
		return porep.Commitment{}, err
	}
	if covered > size {
		return porep.Commitment{}, &SizeError{doing, uint64(size), fmt.Sprintf("less than the %d of the subtrees", covered)}
	}
	for h := height(uint64(covered)); h < height(uint64(size)); h++ {
		root = parent(root, zeros[h])
	}
	return root, nil
}

// A PieceError says which piece does not fit into a sector's tree.
type PieceError struct {
	Index int
	Piece porep.Piece
	Err   error // a *porep.PieceSizeError or a *SizeError
}

// Is reports whether target is the kind ErrBadInput.
func (e *PieceError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *PieceError) Error() string {
	return fmt.Sprintf("merkle: folding pieces: piece %d of %d bytes: %v", e.Index, uint64(e.Piece.Size), e.Err)
}

func (e *PieceError) Unwrap() error { return e.Err }

// CommD folds pieces, in order, into the root of the smallest tree that holds
// them, each aligned to its own size, and returns that tree's size as well. As
// in the reference this is comm_d of a sector of just that size: a caller whose
// sector is larger has pieces that leave it short, and one without pieces wants
// ZeroCommitment of the sector's size. The error is ErrEmpty or a *PieceError.
func CommD(pieces []porep.Piece) (porep.Commitment, porep.PaddedSize, error) {
	var a Accumulator
	for i, p := range pieces {
		err := p.Size.CheckPieceSize()
		if err == nil {
			err = a.Add(p.CommP, p.Size.Padded())
		}
		if err != nil {
			return porep.Commitment{}, 0, &PieceError{i, p, err}
		}
	}
	return a.Root()
}
