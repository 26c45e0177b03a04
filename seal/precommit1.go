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
	Role   string // "staged", "sealed" or "tree-d"
	Path   string
	Reason string
	Err    error // the system's, if any
}

func (e *PathError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("seal: checking %s: none given", e.Role)
	}
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
// against it, derives the replica id, labels all layers and meanwhile places
// staged in sealed. Layer files that exist are made again, since their length
// says nothing about their labels; an existing tree-d is kept if it is, node by
// node, the tree of the staged data, and an error if not.
//
// It returns when all files are on the disk. What it leaves under a final name
// after an error is complete and of this sector; sealed is then as it was, empty,
// or complete.
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
	sealed, err := s.openSealed()
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
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

	// Labels are one core's work. Meanwhile another places staged in sealed and
	// sees to it that sealed and tree-d reach the disk.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	placed := make(chan error, 1)
	go func() {
		start := time.Now()
		err := s.placeSealed(ctx, sealed, data)
		out.Timings.Sealed = time.Since(start)
		if err == nil {
			err = errors.Join(s.syncSealed(sealed), treeD.Commit())
		}
		if err != nil {
			cancel(err)
		}
		placed <- err
	}()
	out.Timings.Labels, err = GenerateSDR(ctx, s.Proof, s.CacheDir, out.ReplicaID, o)
	if err != nil {
		cancel(err)
	}
	placeErr := <-placed
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause // the first failure: the other is its consequence
	}
	if err := errors.Join(err, placeErr); err != nil {
		return nil, err
	}
	return out, nil
}

// GenerateSDR labels all layers of the sector with that replica id: the part of
// phase 1 that needs no data. It is what PreCommit1 does last.
func GenerateSDR(ctx context.Context, p porep.SealProof, cacheDir string, id porep.ReplicaID, o Options) (engine.Result, error) {
	c := engineConfig(p, cacheDir, o)
	c.Sectors[0].ReplicaID = id
	if o.Progress == nil {
		return engine.Run(ctx, c)
	}
	o.Progress.enter(StageLabels, 0)
	result, err := engine.Run(ctx, c)
	if err == nil {
		o.Progress.enter(StageDone, 0)
	}
	return result, err
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
	errs = append(errs, checkUTF8(s.CacheDir), c.Validate())
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
// against it. What it returns waits for its Commit.
func (s *Sector) treeD(ctx context.Context, data staged, commD porep.Commitment, p *Progress) (pendingTree, error) {
	size := s.Proof.SectorSize()
	workers := runtime.GOMAXPROCS(0)
	existing, err := os.Open(s.treeDPath())
	if err == nil {
		root, err := merkle.CheckTree(ctx, existing, data, size, workers, p.done.Store)
		if err != nil {
			err = fmt.Errorf("seal: checking existing tree-d %s: %w", existing.Name(), err)
		} else {
			err = s.checkPieces(existing, root, commD)
		}
		if err != nil {
			existing.Close()
			return nil, err
		}
		return existingTree{existing}, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, &PathError{Role: "tree-d", Path: s.treeDPath(), Err: err}
	}

	f, err := durable.Create(s.treeDPath())
	if err != nil {
		return nil, fmt.Errorf("seal: building tree-d: %w", err)
	}
	if err := s.buildTreeD(ctx, f, data, commD, workers, p); err != nil {
		f.Abort()
		return nil, err
	}
	return f, nil
}

func (s *Sector) buildTreeD(ctx context.Context, f *durable.File, data staged, commD porep.Commitment, workers int, p *Progress) error {
	size := s.Proof.SectorSize()
	if err := f.Reserve(merkle.TreeSize(size)); err != nil {
		return fmt.Errorf("seal: building tree-d: %w", err)
	}
	root, err := merkle.BuildTree(ctx, f, data, size, workers, p.done.Store)
	if err != nil {
		return err
	}
	return s.checkPieces(f, root, commD)
}

// A pendingTree is a tree-d that is right but not on the disk yet.
type pendingTree interface {
	Commit() error
	Abort() // does nothing after Commit
}

// existingTree is one that somebody else put there.
type existingTree struct{ *os.File }

func (t existingTree) Commit() error {
	if err := errors.Join(linux.Datasync(t.File), linux.SyncDir(filepath.Dir(t.Name()))); err != nil {
		return fmt.Errorf("seal: syncing existing tree-d: %w", err)
	}
	return nil
}

func (t existingTree) Abort() { t.Close() }

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

// openSealed opens the sealed file, and locks it against another job.
func (s *Sector) openSealed() (*os.File, error) {
	sealed, err := os.OpenFile(s.Sealed, os.O_RDWR, 0)
	if err != nil {
		return nil, &PathError{Role: "sealed", Path: s.Sealed, Err: err}
	}
	if err := linux.TryLock(sealed); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		sealed.Close()
		return nil, &PathError{Role: "sealed", Path: s.Sealed, Err: fmt.Errorf("locking %s: %w", s.Sealed, err)}
	}
	return sealed, nil
}

// copyStep is how much is copied between two looks at whether to go on.
const copyStep = 64 << 20

// placeSealed makes sealed the staged data, extended with zeros to the sector's
// length: by sharing its blocks where the file system can, else by copying,
// which the kernel does by itself where it can. If it fails sealed is empty.
func (s *Sector) placeSealed(ctx context.Context, sealed *os.File, data staged) error {
	err := sealed.Truncate(0)
	if err == nil && data.file != nil {
		if err = linux.Clone(sealed, data.file); errors.Is(err, errors.ErrUnsupported) {
			err = copyFile(ctx, sealed, data.file)
		}
	}
	if err == nil {
		err = sealed.Truncate(int64(s.Proof.SectorSize()))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("seal: placing staged in sealed: %w", err), sealed.Truncate(0))
	}
	return nil
}

// syncSealed waits until sealed is on the disk; if it does not come there it is
// empty.
func (s *Sector) syncSealed(sealed *os.File) error {
	if err := linux.Datasync(sealed); err != nil {
		return errors.Join(fmt.Errorf("seal: syncing sealed: %w", err), sealed.Truncate(0))
	}
	return nil
}

// copyFile copies src, from where it stands, by copy_file_range: io.CopyN leaves
// it to the kernel between two files, and reads and writes where that fails.
func copyFile(ctx context.Context, dst, src *os.File) error {
	for {
		_, err := io.CopyN(dst, src, copyStep)
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
