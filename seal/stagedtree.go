package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// TreeDName is the path of the tree-d that is kept beside a staged file.
func TreeDName(staged string) string { return staged + ".tree-d" }

// A StagedTree is the tree-d of a sector whose last pieces are being added: it takes the nodes
// above them while they are in the cache, and what else the sector holds it reads once, at the
// end. AppendPiece and FillSector are given it; Commit or Abort is its end.
type StagedTree struct {
	path   string // of staged, without links
	proof  porep.SealProof
	file   *durable.File
	tree   *merkle.Builder
	failed atomic.Bool // it has nodes that staged has not
}

// NewStagedTree takes the room for tree-d of a staged file, which may not be there yet. Another
// job that makes it is ErrBusy.
func NewStagedTree(ctx context.Context, p porep.SealProof, staged string) (_ *StagedTree, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	if err := p.Check(); err != nil {
		return nil, err
	}
	t := &StagedTree{path: durable.Target(staged), proof: p}
	if t.file, err = durable.Create(ctx, TreeDName(t.path)); err != nil {
		return nil, fmt.Errorf("seal: making tree-d beside staged: %w", err)
	}
	if err = t.file.Reserve(merkle.TreeSize(p.SectorSize())); err == nil {
		t.tree, err = merkle.NewBuilder(&treeDFile{File: t.file}, p.SectorSize())
	}
	if err != nil {
		t.file.Abort()
		return nil, fmt.Errorf("seal: making tree-d beside staged: %w", err)
	}
	return t, nil
}

// isOf makes sure that staged is the file that the tree is of.
func (t *StagedTree) isOf(staged *os.File) error {
	if err := durable.LeadsTo(t.path, staged); err != nil {
		return failure.Mark(ErrBadInput, fmt.Errorf("seal: adding piece to %q: its tree-d is to be of staged %q: %w", staged.Name(), t.path, err))
	}
	return nil
}

// A treePart is where a piece's nodes go.
type treePart struct {
	*merkle.Builder
	start porep.PaddedSize // of the piece
}

func (t *treePart) add(h *merkle.Hasher, padded []byte, off porep.PaddedSize) (porep.Commitment, error) {
	return t.Add(h, padded, t.start+off)
}

// part is that of a piece, if it consists of whole chunks.
func (t *StagedTree) part(start porep.PaddedSize, size porep.UnpaddedSize) *treePart {
	if t == nil {
		return nil
	}
	if chunk := t.tree.Chunk(); size.Padded() < chunk || start%chunk != 0 {
		return nil
	}
	return &treePart{t.tree, start}
}

// Commit completes tree-d and gives it its name, TreeDName of staged, if the sector is full:
// staged is as long as the sector. If it is not, nothing is left, and whole is false. It holds
// staged's lock meanwhile. What has the name is replaced.
func (t *StagedTree) Commit(ctx context.Context, progress *PieceProgress) (root porep.Commitment, whole bool, err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	defer t.file.Abort()
	size := t.proof.SectorSize()
	a := Append{Proof: t.proof, Staged: t.path}
	info, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() < int64(size) {
		return root, false, nil
	}
	if err != nil {
		return root, false, fmt.Errorf("seal: making tree-d beside staged: %w", err)
	}
	if t.failed.Load() {
		return root, false, errors.New("seal: making tree-d beside staged: a piece that it has nodes of was not added")
	}
	lock, _, err := a.openLocked(ctx)
	if err != nil {
		return root, false, err
	}
	defer lock.Close()
	s := &Sector{Proof: t.proof, Staged: t.path, CacheDir: filepath.Dir(t.path)}
	data, err := s.openStaged(ctx)
	if err != nil {
		return root, false, err
	}
	defer data.Close()
	progress.enter(StageTree, uint64(size))
	if root, err = t.tree.Finish(ctx, data, workers.Most(), progress.set); err != nil {
		return root, false, err
	}
	if err := t.check(root); err != nil {
		return root, false, err
	}
	if err := t.file.Replace(ctx); err != nil {
		return root, false, fmt.Errorf("seal: making tree-d beside staged: %w", err)
	}
	return root, true, nil
}

// check compares the root with the pieces that staged's record names, if there is one.
func (t *StagedTree) check(root porep.Commitment) error {
	pieces, err := ReadPieces(RecordName(t.path), t.proof)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	commD, covers, err := merkle.CommD(pieces)
	if err != nil || covers != porep.PaddedSize(t.proof.SectorSize()) {
		return err
	}
	s := &Sector{Proof: t.proof, Pieces: pieces}
	return s.checkPieces(io.NewSectionReader(t.file, 0, merkle.TreeSize(t.proof.SectorSize())), root, commD)
}

// Abort removes what was made. After Commit it does nothing.
func (t *StagedTree) Abort() { t.file.Abort() }
