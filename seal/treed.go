package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

func (s *Sector) treeDPath() string { return filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat") }

// onlyHole reports whether data is known to be zeros without being read.
func onlyHole(data io.ReaderAt) bool {
	s, ok := data.(merkle.Sparse)
	return ok && s.DataFrom(0) == math.MaxInt64
}

// treeD builds tree-d, or checks the one that exists, and checks the pieces
// against it. What it returns waits for its Commit.
func (s *Sector) treeD(ctx context.Context, data io.ReaderAt, commD porep.Commitment, progress func(done uint64)) (pendingTree, error) {
	from := s.treeDPath()
	if s.takes() {
		from = s.TreeD
	}
	existing, err := durable.Open(ctx, from)
	if err == nil {
		tree, err := s.existingTree(ctx, from, existing, data, commD, progress)
		if err != nil {
			existing.Close()
			return nil, err
		}
		if from != s.treeDPath() {
			return &takenTree{tree, from}, nil
		}
		return tree, nil
	}
	if !errors.Is(err, os.ErrNotExist) || from != s.treeDPath() {
		return nil, &PathError{Role: "tree-d", Path: from, Err: err}
	}

	f, err := durable.Create(ctx, s.treeDPath())
	if err != nil {
		return nil, fmt.Errorf("seal: building tree-d: %w", err)
	}
	if onlyHole(data) {
		tree, err := s.zeroTreeD(f, commD)
		if err != nil {
			f.Abort()
			return nil, err
		}
		return tree, nil
	}
	if err := s.buildTreeD(ctx, f, data, commD, progress); err != nil {
		f.Abort()
		return nil, err
	}
	return builtTree{f}, nil
}

func (s *Sector) buildTreeD(ctx context.Context, f *durable.File, data io.ReaderAt, commD porep.Commitment, progress func(done uint64)) error {
	size := s.Proof.SectorSize()
	if err := f.Reserve(merkle.TreeSize(size)); err != nil {
		return fmt.Errorf("seal: building tree-d: %w", err)
	}
	root, err := merkle.BuildTree(ctx, &treeDFile{File: f}, data, size, workers.Most(), progress)
	if err != nil {
		return err
	}
	return s.checkPieces(f, root, commD)
}

// A pendingTree is a tree-d that is right but not on the disk yet.
type pendingTree interface {
	Commit(context.Context) error
	// Recheck makes sure that it is still there, as it was. Data is the sector's.
	Recheck(ctx context.Context, data io.ReaderAt) error
	Abort() // does nothing after Commit
}

// builtTree is one that we have made.
type builtTree struct{ *durable.File }

func (t builtTree) Recheck(ctx context.Context, _ io.ReaderAt) error { return t.File.Recheck(ctx) }

// existingTree is one that somebody else put there.
type existingTree struct {
	*durable.Reader
	path string
	size porep.SectorSize
	mark durable.Mark // before it was read
}

func (s *Sector) existingTree(ctx context.Context, path string, r *durable.Reader, data io.ReaderAt, commD porep.Commitment, progress func(done uint64)) (*existingTree, error) {
	mark, err := durable.MarkOf(path, r.File())
	if err != nil {
		return nil, err
	}
	root, err := merkle.CheckTree(ctx, r, data, s.Proof.SectorSize(), workers.Most(), progress)
	if err != nil {
		return nil, fmt.Errorf("seal: checking existing tree-d %s: %w", path, err)
	}
	return &existingTree{r, s.treeDPath(), s.Proof.SectorSize(), mark}, s.checkPieces(r, root, commD)
}

func (t *existingTree) Commit(ctx context.Context) error {
	if err := errors.Join(durable.SyncFile(ctx, t.File()), durable.SyncDir(ctx, filepath.Dir(t.path))); err != nil {
		return fmt.Errorf("seal: syncing existing tree-d: %w", err)
	}
	return nil
}

func (t *existingTree) Recheck(ctx context.Context, data io.ReaderAt) error {
	same, err := t.mark.Same()
	if err == nil && !same {
		_, err = merkle.CheckTree(ctx, t, data, t.size, workers.Most(), nil)
		if errors.As(err, new(*merkle.TreeError)) { // it was right when the job began
			err = fmt.Errorf("%s: %w: %w", t.path, ErrChanged, err)
		}
	}
	return err
}

func (t *existingTree) Abort() { t.Close() }

// checkPieces compares the data's root with comm_d and, if they differ, finds
// out which piece is wrong: a piece's commitment is a node of the tree.
func (s *Sector) checkPieces(tree io.ReaderAt, root, commD porep.Commitment) error {
	if root == commD {
		return nil
	}
	e := &DataError{Root: root, CommD: commD, Piece: -1}
	var start porep.PaddedSize
	for i, piece := range s.Pieces {
		size := piece.Size.Padded()
		start = align(start, size)
		var found porep.Commitment
		off := merkle.NodeOffset(s.Proof.SectorSize(), start, size)
		if _, err := tree.ReadAt(found[:], off); err != nil {
			return errors.Join(e, fmt.Errorf("seal: looking for the piece: %w", err))
		}
		if found != piece.CommP {
			e.Piece, e.CommP, e.Found = i, piece.CommP, found
			break
		}
		start += size
	}
	return e
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
