package seal

import (
	"context"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// An Outcome is what became of a sector.
//
// Invariant: Output is there if, and only if, sealed, tree-d and all layers are there,
// right and on the disk; otherwise Err says why not. It is decided in one place, endings.
type Outcome struct {
	Output *Output
	Err    error
}

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
		var out Outcome
		if fault := failure.Caught(func() { out = e.works[i].outcome(e.ctx, e.own(i, labels)) }); fault != nil {
			out = Outcome{Err: fault}
		}
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
