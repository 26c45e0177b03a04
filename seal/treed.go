package seal

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
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
	if _, err := merkle.BuildTree(ctx, &treeDFile{File: t.File}, merkle.NoData{}, t.size, 1, nil); err != nil {
		return err
	}
	return t.File.Commit(ctx)
}

// A treeDFile takes tree-d. It lets one write into the file at a time, as the kernel does, and
// who waits there keeps a core busy; and the way to the disk begins at once.
type treeDFile struct {
	*durable.File
	mu sync.Mutex
}

func (t *treeDFile) WriteAt(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) < linux.PageSize {
		return t.File.WriteAt(b, off)
	}
	if err := t.WriteVia(durable.Behind, b, off); err != nil {
		return 0, err
	}
	return len(b), nil
}

// DataFrom implements merkle.Sparse.
func (d staged) DataFrom(off int64) int64 { return d.holes.DataFrom(off) }
