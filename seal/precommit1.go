package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
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

// Is reports whether target is the kind ErrBadInput, unless Err is of another kind.
func (e *PathError) Is(target error) bool {
	return target == ErrBadInput && failure.IsInput(e.Err) && !errors.Is(e.Err, ErrBusy)
}

// A DataError says that the staged data is not what the pieces say.
type DataError struct {
	Root, CommD porep.Commitment // of the data and of the pieces
	// Piece is the first piece whose commitment is not the data's, or -1 if all
	// are and there is data outside the pieces.
	Piece        int
	CommP, Found porep.Commitment // the piece's and its data's
}

// Is reports whether target is the kind ErrBadInput.
func (e *DataError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *DataError) Error() string {
	s := fmt.Sprintf("seal: checking pieces: the data's root is %s, the pieces' comm_d %s: ", e.Root, e.CommD)
	if e.Piece < 0 {
		return s + "all pieces are right, but there is data outside of them"
	}
	return s + fmt.Sprintf("piece %d has comm_p %s, its data %s", e.Piece, e.CommP, e.Found)
}

// PreCommit1 is phase 1 of sealing: it builds tree-d and checks the pieces
// against it, derives the replica id, labels all layers and meanwhile copies
// staged to sealed. Of layers that exist it goes on from those that a manifest of this sector
// proves, and from what it counts of one that was not finished: see engine.Config.Resume. All
// others are made again, since their length says nothing about their labels, and what phase 2 made
// of them goes; an existing tree-d
// is kept if it is, node by node, the tree of the staged data, and an error if not.
//
// It returns when all files are on the disk and were read back: the layers and tree-d as
// they were made, sealed as the data that tree-d was made of, even if staged changed
// meanwhile. What it leaves under a final name
// after an error is complete and of this sector; sealed is then as it was, empty,
// or complete.
// The error is ErrBusy if another job has the sector.
func PreCommit1(ctx context.Context, s Sector, o Options) (*Output, error) {
	outs, err := PreCommit1Together(ctx, []Sector{s}, o)
	if err != nil {
		return nil, err
	}
	return outs[0].Output, nil
}

// An Outcome is what became of a sector.
//
// Invariant: Output is there if, and only if, sealed, tree-d and all layers are there,
// right and on the disk; otherwise Err says why not. It is decided in one place, endings.
type Outcome struct {
	Output *Output
	Err    error
}

// PreCommit1Together is PreCommit1 of several sectors of one seal proof, which are
// labelled together: see engine.Run. All sectors are checked, and their tree-ds
// built, before the first label. What the checks find, or Begin, is an error without
// outcomes, and so is ctx's until then. After that a sector that fails leaves the others
// alone. The error then is that of all Outcomes joined; there is one for each sector.
func PreCommit1Together(ctx context.Context, sectors []Sector, o Options) ([]Outcome, error) {
	outs, err := preCommit1Together(ctx, sectors, o)
	return outs, failure.Returned(ctx, err)
}

func preCommit1Together(ctx context.Context, sectors []Sector, o Options) ([]Outcome, error) {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	o.Engine.Progress = &o.Progress.labels
	ctx = o.Engine.Patient(ctx)
	o.Progress.enter(StageChecks, 0)
	ends := endings{ctx: ctx, outs: make([]Outcome, len(sectors)), known: make([]bool, len(sectors)), tell: o.Done}
	o.Engine.Done = nil
	if o.Done != nil {
		o.Engine.Done = ends.labelled
	}
	o.Engine.Ready = ends.ready
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	o.Engine.Begun, ends.begin = begin, begin
	sectors, removeWorkDirs, err := withWorkDirs(sectors, o.WorkDirs)
	if err != nil {
		return nil, err
	}
	defer removeWorkDirs()
	resolved, err := checkAll(sectors, &o)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, w := range ends.works {
			w.close()
		}
	}()
	o.Progress.enter(StageTreeD, uint64(sectors[0].Proof.SectorSize())*uint64(len(sectors)))
	copying, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	early := map[int]error{} // of sectors that are not labelled
	for i := range sectors {
		w, err := prepare(copying, &sectors[i], o.Progress, i)
		if ctx.Err() != nil {
			w.close()
			return nil, context.Cause(ctx)
		}
		if err != nil {
			early[i] = err
			continue
		}
		ends.add(w, i)
	}
	if len(ends.works) > 0 {
		if resolved, err = ends.labelling(resolved); err != nil {
			return nil, err
		}
		if err := o.begin(); err != nil {
			return nil, err
		}
	}
	var errs []error
	for _, i := range slices.Sorted(maps.Keys(early)) {
		ends.end(i, Outcome{Err: early[i]})
		errs = append(errs, early[i])
	}
	if len(ends.works) == 0 {
		return ends.outs, errors.Join(errs...)
	}

	// Labels are the hashers' work. Meanwhile other goroutines copy staged to sealed, a few
	// sectors at a time, and see to it that sealed and tree-d reach the disk. They begin
	// when labels do: a job that goes on from others has the disk for itself until then.
	var finishing sync.WaitGroup
	var next atomic.Int64
	for range min(finishedAtOnce, len(ends.works)) {
		finishing.Go(func() {
			select {
			case <-begun:
			case <-copying.Done():
			}
			for i := next.Add(1) - 1; i < int64(len(ends.works)); i = next.Add(1) - 1 {
				w := ends.works[i]
				if w.err = w.finish(copying); w.err != nil && len(ends.works) == 1 {
					cancel(failure.Inner(w.err))
				}
				close(ends.copied[i])
			}
		})
	}
	o.Progress.enter(StageLabels, 0)
	result, err := resolved.Run(copying)
	begin()
	if err != nil && !slices.ContainsFunc(result.Sectors, func(s engine.SectorResult) bool { return s.Err == nil }) {
		cancel(failure.Inner(err)) // nobody needs the rest
	}
	finishing.Wait()
	outs := ends.all(result, err)
	errs = nil
	for _, out := range outs {
		errs = append(errs, out.Err)
	}
	if cause := context.Cause(copying); cause != nil {
		return outs, cause // the first failure: the others are its consequence
	}
	if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		if err != nil { // memory that could not be given back: no sector's fault
			return outs, err
		}
		o.Progress.enter(StageDone, 0)
	}
	return outs, errors.Join(errs...)
}

// finishedAtOnce is of how many sectors sealed and tree-d get to the disk at a time: a disk
// takes several requests at once as soon as one.
const finishedAtOnce = 4

// endings are where it is decided what became of each sector: early, for a caller who wants
// to know, or at the end.
type endings struct {
	ctx    context.Context
	works  []*work         // of those that are labelled, in the engine's order
	sector []int           // which of the job's they are
	copied []chan struct{} // closed when sealed was copied
	begin  func()          // has copying begin
	tell   func(int, Outcome)

	telling sync.WaitGroup
	mu      sync.Mutex
	outs    []Outcome // by the job's numbers, as known
	known   []bool
}

func (e *endings) add(w *work, sector int) {
	e.works, e.sector, e.copied = append(e.works, w), append(e.sector, sector), append(e.copied, make(chan struct{}))
}

// labelling is what the engine is to do for those that were added: all, or, on no more
// hashers than sectors, those that are left.
func (e *endings) labelling(all *engine.Resolved) (*engine.Resolved, error) {
	ids := make([]porep.ReplicaID, len(e.works))
	for i, w := range e.works {
		ids[i] = w.out.ReplicaID
	}
	if len(e.works) == len(e.outs) {
		return all.WithReplicaIDs(ids)
	}
	c := all.Config()
	c.Sectors = nil
	for i, w := range e.works {
		c.Sectors = append(c.Sectors, engine.Sector{ReplicaID: ids[i], CacheDir: w.sector.CacheDir, WorkDir: w.sector.WorkDir})
	}
	c.Hashers = min(c.Hashers, len(c.Sectors))
	c.Places = c.Places[:min(len(c.Places), len(c.Sectors))]
	return c.Resolve()
}

// ready waits until all of a sector but its labels is done, and right.
func (e *endings) ready(i int) error {
	e.begin() // if there was no label to make
	<-e.copied[i]
	if err := e.works[i].err; err != nil {
		return err
	}
	return e.works[i].recheck(e.ctx)
}

// labelled is told by the engine, whose next batch waits for it to return.
func (e *endings) labelled(i int, labels error) {
	e.begin() // as above
	e.telling.Go(func() {
		<-e.copied[i]
		out := e.works[i].outcome(e.ctx, e.own(i, labels))
		e.mu.Lock()
		defer e.mu.Unlock()
		e.end(e.sector[i], out)
	})
}

// own is the engine's error with the job's number of the sector.
func (e *endings) own(i int, err error) error {
	if one, ok := err.(*engine.SectorError); ok {
		mine := *one
		mine.Sector = e.sector[i]
		return &mine
	}
	return err
}

// end notes, and tells, what became of a sector.
func (e *endings) end(sector int, out Outcome) {
	out.Err = failure.Returned(e.ctx, out.Err)
	e.outs[sector], e.known[sector] = out, true
	if e.tell == nil {
		return
	}
	if out.Output != nil {
		early := *out.Output // the labels' timings come later
		out.Output = &early
	}
	e.tell(sector, out)
}

// all are the outcomes of a job that the engine has ended with this result.
func (e *endings) all(result engine.Result, err error) []Outcome {
	e.telling.Wait()
	for i, w := range e.works {
		sector := e.sector[i]
		switch {
		case e.known[sector]:
		case len(result.Sectors) == 0: // the engine refused the job
			e.end(sector, Outcome{Err: err})
		default:
			e.end(sector, w.outcome(e.ctx, e.own(i, result.Sectors[i].Err)))
		}
		if out := e.outs[sector].Output; out != nil {
			out.Timings.Labels = result
		}
	}
	return e.outs
}

// checkAll looks at everything that may be wrong with the input, and returns what
// the engine is to do.
func checkAll(sectors []Sector, o *Options) (*engine.Resolved, error) {
	wrong := checkSectors(sectors, (*Sector).check)
	if len(sectors) == 0 {
		return nil, wrong
	}
	c := engineConfig(sectors[0].Proof, *o)
	if c.Keep != engine.KeepAll {
		wrong = errors.Join(wrong, &engine.ConfigError{Part: "layers to keep", Reason: fmt.Sprintf("%v, but phase 2 needs all: only GenerateSDR makes a key alone", c.Keep)})
	}
	var files []engine.File
	for i := range sectors {
		s := &sectors[i]
		files = append(files, s.files()...)
		c.Sectors = append(c.Sectors, engine.Sector{CacheDir: s.CacheDir, WorkDir: s.WorkDir, ReplicaID: s.replicaID()})
	}
	c.Others = files
	resolved, err := c.Resolve()
	if err == nil {
		err = resolved.CheckMachine(files...)
	}
	return resolved, errors.Join(wrong, err)
}

// replicaID is the sector's, which follows from its pieces; none if they are wrong.
func (s *Sector) replicaID() (id porep.ReplicaID) {
	if commD, err := CommD(s.Proof, s.Pieces); err == nil {
		id = porep.NewReplicaID(s.Proof, s.ProverID, s.Number, s.Ticket, commD)
	}
	return id
}

// CheckSectors reports all that is wrong with sectors that are to be one job, and can be told
// before any work, but for whether there is room for their files.
func CheckSectors(sectors []Sector) error { return checkSectors(sectors, (*Sector).Check) }

func checkSectors(sectors []Sector, check func(*Sector) error) error {
	if len(sectors) == 0 {
		return failure.Mark(ErrBadInput, errors.New("seal: checking sectors: none given"))
	}
	var errs []error
	for i := range sectors {
		s := &sectors[i]
		if s.Proof != sectors[0].Proof {
			errs = append(errs, failure.Mark(ErrBadInput, fmt.Errorf("seal: checking sectors: sector %d is of proof %v, sector 0 of %v: one job has one", i, s.Proof, sectors[0].Proof)))
		}
		errs = append(errs, check(s))
	}
	return errors.Join(append(errs, CheckPaths(sectors))...)
}

// A work is a sector while it is sealed.
type work struct {
	sector *Sector
	data   staged
	sums   *durable.Sums // of the data that tree-d is of
	sealed *durable.InPlace
	moving *durable.InPlace // staged, if it is to become sealed
	keeps  bool             // sealed is not written: it is staged, moved
	copied durable.Mark     // sealed, when it was right
	treeD  pendingTree
	out    *Output
	err    error
}

// outcome is what became of the sector, whose labels were made or not. It looks at
// what was finished long ago once more.
func (w *work) outcome(ctx context.Context, labels error) Outcome {
	for _, err := range []error{labels, w.err} {
		if err != nil {
			return Outcome{Err: err}
		}
	}
	if err := w.recheck(ctx); err != nil {
		return Outcome{Err: err}
	}
	if err := w.move(ctx); err != nil {
		return Outcome{Err: err}
	}
	return Outcome{Output: w.out}
}

func (w *work) recheck(ctx context.Context) error {
	same, err := w.copied.Same()
	if err == nil && !same {
		err = w.compare(ctx)
	}
	if err != nil {
		return fmt.Errorf("seal: comparing sealed with tree-d: %w", err)
	}
	if err := w.treeD.Recheck(ctx, w.dataFile()); err != nil {
		return fmt.Errorf("seal: looking at tree-d once more: %w", err)
	}
	return nil
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
	if w.data, err = s.openStaged(ctx); err != nil {
		return w, err
	}
	if w.sealed, err = durable.OpenInPlace(ctx, s.Sealed); err != nil {
		return w, &PathError{Role: "sealed", Path: s.Sealed, Err: err}
	}
	if err := w.openMode(ctx); err != nil {
		return w, err
	}
	if err := s.checkFree(ctx); err != nil {
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
	w.sums = durable.NewSums(int64(s.Proof.SectorSize()), int(min(uint64(s.Proof.SectorSize()), 1<<20)))
	w.treeD, err = s.treeD(ctx, w.data.summed(w.sums), commD, func(done uint64) { p.done.Store(before + done) })
	w.out.Timings.TreeD = time.Since(start)
	if err != nil && w.keeps && w.moving == nil {
		err = fmt.Errorf("seal: staged %q is not there, and sealed %q, to which an earlier job may have moved it, is not its data: %w", s.Staged, s.Sealed, err)
	}
	return w, err
}

// checkFree makes sure that no other job has the cache dir, before work that would be in
// vain: the engine takes it when labels begin.
func (s *Sector) checkFree(ctx context.Context) error {
	dir, err := durable.OpenDir(ctx, s.CacheDir)
	if err != nil {
		return &PathError{Role: "cache dir", Path: s.CacheDir, Err: err}
	}
	defer dir.Close()
	if err := dir.Lock(); err != nil {
		return &PathError{Role: "cache dir", Path: s.CacheDir, Err: err}
	}
	return nil
}

// finish makes sealed, and gets it and tree-d to the disk.
func (w *work) finish(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	start := time.Now()
	if w.keeps {
		err := w.keep(ctx)
		w.out.Timings.Sealed = time.Since(start)
		if err != nil {
			return err
		}
		return w.treeD.Commit(ctx)
	}
	err := w.copySealed(ctx)
	w.out.Timings.Sealed = time.Since(start)
	if err != nil {
		return errors.Join(err, w.sealed.Resize(0))
	}
	return w.treeD.Commit(ctx)
}

func (w *work) close() {
	if w == nil {
		return
	}
	w.data.Close()
	for _, f := range []*durable.InPlace{w.sealed, w.moving} {
		if f != nil {
			f.Close()
		}
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
	var err error
	var removeWorkDirs func()
	if c.Sectors, removeWorkDirs, err = keyWorkDirs(sectors, o.WorkDirs); err != nil {
		return engine.Result{}, err
	}
	defer removeWorkDirs()
	resolved, err := c.Resolve()
	if err != nil {
		return engine.Result{}, err
	}
	if err := resolved.CheckMachine(); err != nil {
		return engine.Result{}, failure.Returned(ctx, err)
	}
	if o.Progress == nil {
		return resolved.Run(ctx)
	}
	o.Progress.enter(StageLabels, 0)
	result, err := resolved.Run(ctx)
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

// Check reports all that is wrong with a sector and can be told before any work, but for
// what CheckPaths compares, and whether there is room for its files: PreCommit1 does all three.
func (s *Sector) Check() error {
	err := errors.Join(s.Proof.Check(), s.check())
	switch info, statErr := os.Stat(s.CacheDir); {
	case statErr != nil:
		return errors.Join(err, &PathError{Role: "cache dir", Path: s.CacheDir, Err: statErr})
	case !info.IsDir():
		return errors.Join(err, &PathError{Role: "cache dir", Path: s.CacheDir, Reason: "is not a directory"})
	}
	if s.WorkDir != "" {
		if _, statErr := os.Stat(s.WorkDir); statErr != nil {
			return errors.Join(err, &PathError{Role: "work dir", Path: s.WorkDir, Err: statErr})
		}
	}
	return err
}

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
	case s.wasMoved():
	case err != nil:
		fail("staged", s.Staged, err, "")
	case s.Staged == DevZero:
	case !staged.Mode().IsRegular():
		fail("staged", s.Staged, nil, "is not a file, nor "+DevZero)
	case uint64(staged.Size()) > size:
		fail("staged", s.Staged, nil, fmt.Sprintf("has %d bytes, the sector only %d", staged.Size(), size))
	default:
		if err := mayOpen(s.Staged, os.O_RDONLY); err != nil {
			fail("staged", s.Staged, err, "")
		}
	}
	sealed, err := os.Stat(s.Sealed)
	switch {
	case err != nil:
		fail("sealed", s.Sealed, err, "")
	case !sealed.Mode().IsRegular():
		fail("sealed", s.Sealed, nil, "is not a file")
	case s.wasMoved() && uint64(sealed.Size()) > uint64(s.Proof.SectorSize()):
		fail("sealed", s.Sealed, nil, fmt.Sprintf("has %d bytes, the sector only %d", sealed.Size(), uint64(s.Proof.SectorSize())))
	default:
		if err := mayOpen(s.Sealed, os.O_RDWR); err != nil {
			fail("sealed", s.Sealed, err, "")
		}
	}
	errs = append(errs, s.checkMode(), s.checkTaken())
	if fi, err := os.Stat(s.treeDPath()); err == nil && !fi.Mode().IsRegular() {
		fail("tree-d", s.treeDPath(), nil, "is there and is not a file")
	} else if _, linkErr := os.Lstat(s.treeDPath()); err != nil && linkErr == nil {
		fail("tree-d", s.treeDPath(), nil, "is there and leads nowhere: remove it, or put back what it links to")
	}
	errs = append(errs, checkUTF8(s.CacheDir))
	return errors.Join(errs...)
}

// mayOpen opens a file as a job will, and changes nothing.
func mayOpen(path string, flags int) error {
	f, err := os.OpenFile(path, flags|linux.NoWait, 0)
	if err == nil {
		err = f.Close()
	}
	return err
}

// files are those that take room besides the layers: tree-d, unless it is there, and the
// staged data in sealed, unless the two can share their blocks.
func (s *Sector) files() (all []engine.File) {
	if s.Proof.Check() != nil {
		return nil
	}
	if _, err := os.Lstat(s.treeDPath()); errors.Is(err, os.ErrNotExist) && !s.takes() {
		all = append(all, engine.File{Path: s.treeDPath(), Size: uint64(merkle.TreeSize(s.Proof.SectorSize()))})
	}
	if staged, err := os.Stat(s.Staged); err == nil && staged.Mode().IsRegular() && s.StagedMode == StagedCopy {
		from, fromOK := linux.IdentityOf(staged)
		sealed, err := os.Stat(s.Sealed)
		if err == nil && fromOK {
			if to, ok := linux.IdentityOf(sealed); ok && (to.Device != from.Device || !canClone(s.Staged, filepath.Dir(s.Sealed))) {
				all = append(all, engine.File{Path: s.Sealed, Size: min(linux.Allocated(staged), uint64(s.Proof.SectorSize()))})
			}
		}
	}
	return all
}

// canClone reports whether files in dir can share a file's blocks.
func canClone(path, dir string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|linux.NoWait, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return linux.CanClone(f, dir)
}

// staged is the sector's data, which zeros follow to the sector's length.
type staged struct {
	io.ReaderAt
	file  *os.File // nil: only zeros
	holes *durable.Holes
	close func()
}

func (s *Sector) openStaged(ctx context.Context) (staged, error) {
	if s.Staged == DevZero {
		return staged{ReaderAt: merkle.NoData{}}, nil
	}
	path := s.Staged
	if s.wasMoved() {
		path = s.Sealed
	}
	r, err := durable.Open(ctx, path)
	if err != nil {
		return staged{}, &PathError{Role: "staged", Path: path, Err: err}
	}
	return staged{r, r.File(), durable.HolesOf(r.File()), r.Close}, nil
}

// summed is the data, of which sums are taken as it is read; where it is known to be zeros it
// need not be.
func (d staged) summed(sums *durable.Sums) io.ReaderAt {
	if d.file == nil {
		return merkle.NoData{}
	}
	return durable.Summed(d, sums, d.holes)
}

func (d staged) Close() {
	if d.close != nil {
		d.holes.Close()
		d.close()
	}
}
