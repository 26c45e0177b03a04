package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// A PathError says why a path of a Sector cannot be used.
type PathError struct {
	Role   string // "cache dir", "staged", "sealed", "tree-d"
	Path   string
	Reason string
	Err    error // the system's, if any
}

func (e *PathError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("seal: checking %s: %v", e.Role, e.Err)
	}
	return fmt.Sprintf("seal: checking %s: %s %s", e.Role, e.Path, e.Reason)
}

func (e *PathError) Unwrap() error { return e.Err }

// A DataError says that the staged data is not what the pieces say.
type DataError struct {
	Root, CommD porep.Commitment // of the data and of the pieces
	// Piece is the first piece whose commitment is not the data's, or -1 if all
	// are and there is data outside the pieces.
	Piece        int
	CommP, Found porep.Commitment // the piece's and its data's
}

func (e *DataError) Error() string {
	s := fmt.Sprintf("seal: checking pieces: the data's root is %s, the pieces' comm_d %s: ", e.Root, e.CommD)
	if e.Piece < 0 {
		return s + "all pieces are right, but there is data outside of them"
	}
	return s + fmt.Sprintf("piece %d has comm_p %s, its data %s", e.Piece, e.CommP, e.Found)
}

// PreCommit1 is phase 1 of sealing: it builds tree-d and checks the pieces
// against it, places staged in sealed, derives the replica id and labels all
// layers. Layer files that exist are replaced, since their length says nothing
// about their labels; an existing tree-d is kept if it is, node by node, the
// tree of the staged data, and an error if not.
//
// It returns when all files are on the disk. What it leaves under a final name
// after an error is complete; sealed is then as it was, empty, or complete.
func PreCommit1(ctx context.Context, s Sector, o Options) (*Output, error) {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	o.Progress.enter(StageChecks, 0)
	commD, err := s.check(o)
	if err != nil {
		return nil, err
	}
	data, err := s.openStaged()
	if err != nil {
		return nil, err
	}
	defer data.Close()
	out := &Output{
		Proof:     s.Proof,
		CacheDir:  s.CacheDir,
		CommD:     commD,
		ReplicaID: porep.NewReplicaID(s.Proof, s.ProverID, s.Number, s.Ticket, commD),
	}

	start := time.Now()
	o.Progress.enter(StageTreeD, uint64(s.Proof.SectorSize()))
	treeD, err := s.treeD(ctx, data, commD, o.Progress)
	if err != nil {
		return nil, err
	}
	defer treeD.Abort()
	out.Timings.TreeD = time.Since(start)

	start = time.Now()
	o.Progress.enter(StageSealed, uint64(s.Proof.SectorSize()))
	sealed, err := s.placeSealed(ctx, data, o.Progress)
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	out.Timings.Sealed = time.Since(start)

	// Both reach the disk while the labels are made.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	synced := make(chan error, 1)
	go func() {
		err := errors.Join(treeD.Commit(), linux.Datasync(sealed))
		if err != nil {
			cancel(err)
		}
		synced <- err
	}()
	o.Progress.enter(StageLabels, 0)
	out.Timings.Labels, err = GenerateSDR(ctx, s.Proof, s.CacheDir, out.ReplicaID, o)
	if syncErr := <-synced; syncErr != nil {
		err = syncErr // also why the labels ended
	}
	if err != nil {
		return nil, err
	}
	o.Progress.enter(StageDone, 0)
	return out, nil
}

// GenerateSDR labels all layers of the sector with that replica id: the part of
// phase 1 that needs no data. It is what PreCommit1 does last.
func GenerateSDR(ctx context.Context, p porep.SealProof, cacheDir string, id porep.ReplicaID, o Options) (engine.Result, error) {
	c := engineConfig(p, cacheDir, o)
	c.Sectors[0].ReplicaID = id
	if o.Progress != nil {
		o.Progress.enter(StageLabels, 0)
	}
	return engine.Run(ctx, c)
}

func engineConfig(p porep.SealProof, cacheDir string, o Options) engine.Config {
	c := engine.Config{
		Proof:   p,
		Sectors: []engine.Sector{{CacheDir: cacheDir}},
		Kernel:  o.Kernel,
		Parents: o.Parents,
	}
	if o.Progress != nil {
		c.Progress = &o.Progress.labels
	}
	return c
}

func (s *Sector) treeDPath() string { return filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat") }

// check looks at all of the input and reports everything that is wrong with it.
func (s *Sector) check(o Options) (porep.Commitment, error) {
	if err := s.Proof.Check(); err != nil {
		return porep.Commitment{}, err
	}
	commD, err := CommD(s.Proof, s.Pieces)
	errs := []error{err}
	fail := func(role, path string, err error, reason string) {
		errs = append(errs, &PathError{role, path, reason, err})
	}

	staged, err := os.Stat(s.Staged)
	switch size := uint64(s.Proof.SectorSize()); {
	case err != nil:
		fail("staged", s.Staged, err, "")
	case s.Staged == DevZero:
	case !staged.Mode().IsRegular():
		fail("staged", s.Staged, nil, "is not a file, nor "+DevZero)
	case uint64(staged.Size()) > size:
		fail("staged", s.Staged, nil, fmt.Sprintf("has %d bytes, the sector only %d", staged.Size(), size))
	}
	sealed, err := os.Stat(s.Sealed)
	switch {
	case err != nil:
		fail("sealed", s.Sealed, err, "")
	case !sealed.Mode().IsRegular():
		fail("sealed", s.Sealed, nil, "is not a file")
	case staged != nil && os.SameFile(staged, sealed):
		fail("sealed", s.Sealed, nil, "is also staged")
	}
	if fi, err := os.Stat(s.treeDPath()); err == nil && !fi.Mode().IsRegular() {
		fail("tree-d", s.treeDPath(), nil, "is there and is not a file")
	}
	c := engineConfig(s.Proof, s.CacheDir, o)
	errs = append(errs, c.Validate())
	return commD, errors.Join(errs...)
}

// staged is the sector's data, which zeros follow to the sector's length.
type staged struct {
	io.ReaderAt
	file *os.File // nil: only zeros
}

func (s *Sector) openStaged() (staged, error) {
	if s.Staged == DevZero {
		return staged{ReaderAt: bytes.NewReader(nil)}, nil
	}
	f, err := os.Open(s.Staged)
	if err != nil {
		return staged{}, &PathError{Role: "staged", Path: s.Staged, Err: err}
	}
	return staged{f, f}, nil
}

func (d staged) Close() {
	if d.file != nil {
		d.file.Close()
	}
}

// treeD builds tree-d, or checks the one that exists, and checks the pieces
// against it. The file that it returns waits for its Commit.
func (s *Sector) treeD(ctx context.Context, data staged, commD porep.Commitment, p *Progress) (pendingTree, error) {
	size := s.Proof.SectorSize()
	workers := runtime.GOMAXPROCS(0)
	existing, err := os.Open(s.treeDPath())
	if err == nil {
		defer existing.Close()
		root, err := merkle.CheckTree(ctx, existing, data, size, workers, p.done.Store)
		if err != nil {
			return pendingTree{}, fmt.Errorf("seal: checking existing tree-d %s: %w", existing.Name(), err)
		}
		return pendingTree{}, s.checkPieces(existing, root, commD)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return pendingTree{}, &PathError{Role: "tree-d", Path: s.treeDPath(), Err: err}
	}

	f, err := durable.Create(s.treeDPath(), merkle.TreeSize(size))
	if err != nil {
		return pendingTree{}, fmt.Errorf("seal: building tree-d: %w", err)
	}
	root, err := merkle.BuildTree(ctx, f, data, size, workers, p.done.Store)
	if err == nil {
		err = s.checkPieces(f, root, commD)
	}
	if err != nil {
		f.Abort()
		return pendingTree{}, err
	}
	return pendingTree{f}, nil
}

// pendingTree is a tree-d without its name yet, or none, where one existed.
type pendingTree struct{ file *durable.File }

func (t pendingTree) Commit() error {
	if t.file == nil {
		return nil
	}
	return t.file.Commit()
}

func (t pendingTree) Abort() {
	if t.file != nil {
		t.file.Abort()
	}
}

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

// copyStep is how much is copied between two looks at whether to go on.
const copyStep = 64 << 20

// placeSealed makes sealed the staged data, extended with zeros to the sector's
// length: by sharing its blocks where the file system can, else by copying,
// which the kernel does by itself where it can. If it fails sealed is empty.
func (s *Sector) placeSealed(ctx context.Context, data staged, p *Progress) (_ *os.File, err error) {
	sealed, err := os.OpenFile(s.Sealed, os.O_RDWR, 0)
	if err != nil {
		return nil, &PathError{Role: "sealed", Path: s.Sealed, Err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("seal: placing staged in sealed: %w", err), sealed.Truncate(0))
			sealed.Close()
		}
	}()
	if err := sealed.Truncate(0); err != nil {
		return nil, err
	}
	if data.file != nil {
		err := linux.Clone(sealed, data.file)
		if errors.Is(err, errors.ErrUnsupported) {
			err = copyFile(ctx, sealed, data.file, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return sealed, sealed.Truncate(int64(s.Proof.SectorSize()))
}

// copyFile copies src, from where it stands, by copy_file_range: io.CopyN leaves
// it to the kernel between two files, and reads and writes where that fails.
func copyFile(ctx context.Context, dst, src *os.File, p *Progress) error {
	for {
		n, err := io.CopyN(dst, src, copyStep)
		p.done.Add(uint64(n))
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}
