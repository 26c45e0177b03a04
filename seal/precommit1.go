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
	outs, err := PreCommit1Together(ctx, []Sector{s}, o)
	if err != nil {
		return nil, err
	}
	return outs[0], nil
}

// PreCommit1Together is PreCommit1 of several sectors of one seal proof, which are
// labelled together: see engine.Run. All sectors are checked, and their tree-ds
// built, before the first label. A sector that fails later leaves the others
// alone: its Output is nil, and the error names it.
func PreCommit1Together(ctx context.Context, sectors []Sector, o Options) ([]*Output, error) {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	o.Progress.enter(StageChecks, 0)
	c, err := checkAll(sectors, &o)
	if err != nil {
		return nil, err
	}
	works := make([]*work, len(sectors))
	defer func() {
		for _, w := range works {
			w.close()
		}
	}()
	o.Progress.enter(StageTreeD, uint64(sectors[0].Proof.SectorSize())*uint64(len(sectors)))
	for i := range sectors {
		if works[i], err = prepare(ctx, &sectors[i], o.Progress, i); err != nil {
			return nil, err
		}
		c.Sectors[i].ReplicaID = works[i].out.ReplicaID
	}

	if err := o.begin(); err != nil {
		return nil, err
	}

	// Labels are the hashers' work. Meanwhile another goroutine places staged in
	// sealed, sector by sector, and sees to it that sealed and tree-d reach the disk.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	placed := make(chan struct{})
	go func() {
		defer close(placed)
		for _, w := range works {
			if w.err = w.place(ctx); w.err != nil && len(works) == 1 {
				cancel(w.err)
			}
		}
	}()
	o.Progress.enter(StageLabels, 0)
	result, labelErr := engine.Run(ctx, c)
	if labelErr != nil && (len(works) == 1 || !onlySectors(labelErr)) {
		cancel(labelErr)
	}
	<-placed
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause // the first failure: the other is its consequence
	}
	outs, err := collect(works, result, labelErr)
	if err == nil {
		o.Progress.enter(StageDone, 0)
	}
	return outs, err
}

// checkAll looks at everything that may be wrong with the input, and returns what
// the engine is to do.
func checkAll(sectors []Sector, o *Options) (engine.Config, error) {
	if len(sectors) == 0 {
		return engine.Config{}, errors.New("seal: checking sectors: none given")
	}
	c := engineConfig(sectors[0].Proof, *o)
	var errs []error
	for i := range sectors {
		s := &sectors[i]
		if s.Proof != sectors[0].Proof {
			errs = append(errs, fmt.Errorf("seal: checking sectors: sector %d is of proof %v, sector 0 of %v: one job has one", i, s.Proof, sectors[0].Proof))
		}
		if err := s.check(); err != nil {
			errs = append(errs, err)
		}
		c.Sectors = append(c.Sectors, engine.Sector{CacheDir: s.CacheDir})
	}
	return c, errors.Join(append(errs, CheckPaths(sectors), c.Validate())...)
}

// onlySectors says whether err is nothing but failures of single sectors, while the
// job as a whole went on.
func onlySectors(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, e := range joined.Unwrap() {
		if failed := (*engine.SectorError)(nil); !errors.As(e, &failed) {
			return false
		}
	}
	return true
}

// collect puts together what became of each sector.
func collect(works []*work, result engine.Result, labelErr error) ([]*Output, error) {
	var errs []error
	failed := make(map[int]bool)
	if labelErr != nil {
		errs = append(errs, labelErr)
		for _, e := range labelErr.(interface{ Unwrap() []error }).Unwrap() {
			var one *engine.SectorError
			if errors.As(e, &one) {
				failed[one.Sector] = true
			}
		}
	}
	outs := make([]*Output, len(works))
	for i, w := range works {
		if w.err != nil {
			errs = append(errs, w.err)
		} else if !failed[i] {
			w.out.Timings.Labels = result
			outs[i] = w.out
		}
	}
	return outs, errors.Join(errs...)
}

// A work is a sector while it is sealed.
type work struct {
	sector *Sector
	data   staged
	sealed *os.File
	treeD  pendingTree
	out    *Output
	err    error
}

// prepare opens the sector's files, builds or checks tree-d, and derives the
// replica id. Number is how many sectors were prepared before.
func prepare(ctx context.Context, s *Sector, p *Progress, number int) (w *work, err error) {
	w = &work{sector: s}
	defer func() {
		if err != nil {
			w.close()
			w = nil
		}
	}()
	commD, err := CommD(s.Proof, s.Pieces)
	if err != nil {
		return w, err
	}
	if w.data, err = s.openStaged(); err != nil {
		return w, err
	}
	if w.sealed, err = s.openSealed(); err != nil {
		return w, err
	}
	w.out = &Output{
		Proof:     s.Proof,
		CacheDir:  s.CacheDir,
		CommD:     commD,
		ReplicaID: porep.NewReplicaID(s.Proof, s.ProverID, s.Number, s.Ticket, commD),
	}
	start := time.Now()
	before := uint64(s.Proof.SectorSize()) * uint64(number)
	w.treeD, err = s.treeD(ctx, w.data, commD, func(done uint64) { p.done.Store(before + done) })
	w.out.Timings.TreeD = time.Since(start)
	return w, err
}

// place makes sealed, and gets it and tree-d to the disk.
func (w *work) place(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	start := time.Now()
	err := w.sector.placeSealed(ctx, w.sealed, w.data)
	w.out.Timings.Sealed = time.Since(start)
	if err == nil && ctx.Err() != nil {
		// Getting it to the disk takes long.
		err = errors.Join(context.Cause(ctx), w.sealed.Truncate(0))
	}
	if err != nil {
		return err
	}
	return errors.Join(w.sector.syncSealed(w.sealed), w.treeD.Commit())
}

func (w *work) close() {
	if w == nil {
		return
	}
	w.data.Close()
	if w.sealed != nil {
		w.sealed.Close()
	}
	if w.treeD != nil {
		w.treeD.Abort()
	}
}

// GenerateSDR labels all layers of the sector with that replica id: the part of
// phase 1 that needs no data. It is what PreCommit1 does last.
func GenerateSDR(ctx context.Context, p porep.SealProof, cacheDir string, id porep.ReplicaID, o Options) (engine.Result, error) {
	return GenerateSDRTogether(ctx, p, []engine.Sector{{ReplicaID: id, CacheDir: cacheDir}}, o)
}

// GenerateSDRTogether is GenerateSDR of several sectors, which are labelled
// together.
func GenerateSDRTogether(ctx context.Context, p porep.SealProof, sectors []engine.Sector, o Options) (engine.Result, error) {
	c := engineConfig(p, o)
	c.Sectors = sectors
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

func engineConfig(p porep.SealProof, o Options) engine.Config {
	c := o.Engine
	c.Proof, c.Sectors = p, nil
	if o.Progress != nil {
		c.Progress = &o.Progress.labels
	}
	return c
}

func (s *Sector) treeDPath() string { return filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat") }

// check looks at all of the input and reports everything that is wrong with it,
// but for what the engine and CheckPaths check.
func (s *Sector) check() error {
	if s.Proof.Check() != nil {
		return nil // the engine says so
	}
	_, err := CommD(s.Proof, s.Pieces)
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
	}
	if fi, err := os.Stat(s.treeDPath()); err == nil && !fi.Mode().IsRegular() {
		fail("tree-d", s.treeDPath(), nil, "is there and is not a file")
	}
	errs = append(errs, checkUTF8(s.CacheDir))
	return errors.Join(errs...)
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
func (s *Sector) treeD(ctx context.Context, data staged, commD porep.Commitment, progress func(done uint64)) (pendingTree, error) {
	size := s.Proof.SectorSize()
	workers := runtime.GOMAXPROCS(0)
	existing, err := os.Open(s.treeDPath())
	if err == nil {
		root, err := merkle.CheckTree(ctx, existing, data, size, workers, progress)
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
	if err := s.buildTreeD(ctx, f, data, commD, workers, progress); err != nil {
		f.Abort()
		return nil, err
	}
	return f, nil
}

func (s *Sector) buildTreeD(ctx context.Context, f *durable.File, data staged, commD porep.Commitment, workers int, progress func(done uint64)) error {
	size := s.Proof.SectorSize()
	if err := f.Reserve(merkle.TreeSize(size)); err != nil {
		return fmt.Errorf("seal: building tree-d: %w", err)
	}
	root, err := merkle.BuildTree(ctx, f, data, size, workers, progress)
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
