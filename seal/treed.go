package seal

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// onlyHole reports whether data is known to be zeros without being read.
func onlyHole(data io.ReaderAt) bool {
	s, ok := data.(merkle.Sparse)
	return ok && s.DataFrom(0) == math.MaxInt64
}

// A zeroTree is the tree-d of a sector of zeros, which holds no data. It is known without
// being made, so it is written while labels are made.
type zeroTree struct {
	builtTree
	size porep.SectorSize
}

// zeroTreeD takes the room for such a tree-d, and checks the pieces against it.
func (s *Sector) zeroTreeD(f *durable.File, commD porep.Commitment) (pendingTree, error) {
	size := s.Proof.SectorSize()
	root, err := merkle.ZeroCommitment(porep.PaddedSize(size))
	if err != nil {
		return nil, err
	}
	if err := s.checkPieces(merkle.ZeroTree(size), root, commD); err != nil {
		return nil, err
	}
	if err := f.ReserveFrom(int64(size), merkle.TreeSize(size)); err != nil {
		return nil, fmt.Errorf("seal: building tree-d: %w", err)
	}
	return zeroTree{builtTree{f}, size}, nil
}

func (t zeroTree) Commit(ctx context.Context) error {
	// One worker: it only writes, and cores are for labels.
	if _, err := merkle.BuildTree(ctx, t.File, merkle.NoData{}, t.size, 1, nil); err != nil {
		return err
	}
	return t.File.Commit(ctx)
}
