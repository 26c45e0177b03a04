package seal

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/workers"
)

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
	for i, p := range prepareAll(copying, sectors, o.Progress) {
		if p.err != nil {
			early[i] = p.err
			continue
		}
		ends.add(p.work, i)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
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
				if fault := failure.Caught(func() { w.err = w.finish(copying) }); fault != nil {
					w.err = fault
				}
				if w.err != nil && len(ends.works) == 1 {
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

// A prepared sector has a work, or an error.
type prepared struct {
	work *work
	err  error
}

// prepareAll prepares sectors, a few at a time: while the end of one tree-d is hashed, which is for one core, or one
// waits for the disk, cores have others. None is begun when ctx has ended.
func prepareAll(ctx context.Context, sectors []Sector, p *Progress) []prepared {
	all := make([]prepared, len(sectors))
	var next atomic.Int64
	var preparing sync.WaitGroup
	for range min(preparedAtOnce, workers.Most(), len(sectors)) {
		preparing.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(sectors)); i = next.Add(1) - 1 {
				if ctx.Err() != nil {
					all[i].err = context.Cause(ctx)
					continue
				}
				if fault := failure.Caught(func() { all[i].work, all[i].err = prepare(ctx, &sectors[i], p) }); fault != nil {
					all[i].err = fault // the others' affair it is not
				}
			}
		})
	}
	preparing.Wait()
	return all
}

// preparedAtOnce is how many tree-ds are built at a time: each of them has as many goroutines as there are CPUs.
const preparedAtOnce = 4

// finishedAtOnce is of how many sectors sealed and tree-d get to the disk at a time: a disk
// takes several requests at once as soon as one.
const finishedAtOnce = 4
