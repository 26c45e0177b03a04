package sealer

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// How often a call writes down where it stands: soon at first, so that a short one is seen, too.
const (
	tellFirst = time.Second / 4
	tellEvery = 2 * time.Second
	tellOver  = 10 * time.Second // what a rate is the mean of
)

// stageMeasure is what Measure does, which has no stage of package seal's.
const stageMeasure = "measure"

// JobName names sectors of one call for people, as Job.Name: "sector 17 of f01000".
func JobName(sectors []seal.Sector) string {
	if len(sectors) == 0 {
		return ""
	}
	what, id := words.Count(len(sectors), "sector"), sectors[0].ProverID
	if len(sectors) == 1 {
		what = fmt.Sprintf("sector %d", sectors[0].Number)
	}
	for _, s := range sectors {
		if s.ProverID != id {
			return what
		}
	}
	if actor, n := binary.Uvarint(id[:]); n > 0 && porep.ProverIDOf(actor) == id {
		return fmt.Sprintf("%s of f0%d", what, actor)
	}
	return what
}

// A teller writes down, for other processes, where a job stands.
type teller struct {
	h        *Hold
	progress *seal.Progress
	measures bool
	watch    engine.Watch
}

// tell writes down where a job stands until stop is called. What it does fails no job, and waits for
// nobody; and it keeps off the cores that hash, unless all cores do.
func (h *Hold) tell(c *engine.Config, p *seal.Progress, measures bool) (stop func()) {
	if h.reservation == nil {
		return func() {}
	}
	t := &teller{h: h, progress: p, measures: measures, watch: engine.Watch{Over: tellOver}}
	var hashing []topology.CPU
	for _, place := range c.Places {
		hashing = append(hashing, place.Hasher)
	}
	machine := c.Machine
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(tellFirst)
		defer timer.Stop()
		bound, every := false, tellFirst
		for {
			select {
			case <-timer.C:
			case <-done:
				if bound { // who holds cores for something else now is not at this work
					p := h.about
					p.At = time.Now().UTC()
					_ = h.reservation.Tell(p)
				}
				return
			}
			if !bound && machine != nil && len(hashing) > 0 {
				_, _ = topology.KeepOff(machine, hashing...) // the thread ends with this goroutine
			}
			bound = true
			if h.reservation.Tell(t.now()) == nil {
				every = min(2*every, tellEvery)
			} else { // others look just now
				every = tellFirst
			}
			timer.Reset(every)
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// now is where the job stands.
func (t *teller) now() reserve.Progress {
	p, stage := t.h.about, t.progress.Stage()
	p.At, p.Stage = time.Now().UTC(), stage.String()
	p.Done, p.Total = t.progress.Units()
	if stage != seal.StageLabels && !t.measures {
		return p
	}
	s := t.progress.Labelling().Snapshot()
	r := t.watch.Add(s)
	p.Done, p.Total, p.LabelsPerSecond, p.SecondsLeft = s.Done, s.Total, r.Labels, r.Left.Seconds()
	for i, h := range s.Hashers {
		if i == 0 || h.Layer < p.Layer || h.Layer == p.Layer && h.Node < p.Node {
			p.Layer, p.Node = h.Layer, h.Node
		}
	}
	waited := r.Waited()
	p.Waited = reserve.Waited{Parents: waited[engine.WaitParents], Memory: waited[engine.WaitMemory], Disk: waited[engine.WaitDisk]}
	if t.measures { // it ends when its time is over
		p.Stage, p.SecondsLeft = stageMeasure, 0
	}
	return p
}

// tellWaiting tells what a call waits for: its machine's owner, and, if it has a turn, other
// processes.
func (t *take) tellWaiting(ctx context.Context, turn *reserve.Turn, err error) {
	t.note(Note{Kind: NoteWaiting, Err: err})
	text := strings.TrimPrefix(err.Error(), "sealer: ")
	if turn == nil || text == t.waits {
		return
	}
	p := t.about
	p.At, p.WaitsFor = time.Now().UTC(), text
	if turn.Tell(ctx, p) == nil {
		t.waits = text
	}
}
