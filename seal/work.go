package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

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
// replica id.
func prepare(ctx context.Context, s *Sector, p *Progress) (w *work, err error) {
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
	var done uint64 // of this sector
	reach := func(now uint64) {
		p.done.Add(now - done)
		done = now
	}
	w.sums = durable.NewSums(int64(s.Proof.SectorSize()), int(min(uint64(s.Proof.SectorSize()), 1<<20)))
	w.treeD, err = s.treeD(ctx, w.data.summed(w.sums), commD, reach)
	reach(uint64(s.Proof.SectorSize())) // also where nothing was read
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
