package cabi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/lockstep"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// A sectorsRequest is one for PreCommit1 or Generate.
type sectorsRequest struct {
	name              string
	overwrite, noWait bool
	keep              engine.Keep // of Generate
	sectors           []sector
}

type sector struct {
	seal.Sector
	id     porep.ReplicaID // of Generate
	pieces string          // a record's path
}

// noProof is the proof of a sector that names none.
const noProof = porep.SealProof(-1)

func readSectors(f Function, request []byte) (*sectorsRequest, error) {
	q, r := &sectorsRequest{}, &reader{}
	fields := map[string]field{
		"name":      text(&q.name, asText),
		"no-wait":   flag(&q.noWait),
		"overwrite": flag(&q.overwrite),
		"sectors": list(func() field {
			return func(r *reader, at string, raw json.RawMessage) {
				if len(q.sectors) == engine.MaxSectors {
					r.at(at, "more sectors than one job takes, %d", engine.MaxSectors)
				}
				if len(q.sectors) < engine.MaxSectors {
					q.sectors = append(q.sectors, readSector(f, r, at, raw))
				}
			}
		}),
	}
	if f == Generate {
		fields["keep"] = text(&q.keep, engine.ParseKeep)
	}
	r.request(request, fields, "sectors")
	if len(r.problems) > 0 {
		return nil, r.err()
	}
	if len(q.sectors) == 0 {
		r.at("sectors", "there is none")
	}
	for i, s := range q.sectors {
		if first := q.sectors[0].Proof; s.Proof != first {
			r.at(fmt.Sprintf("sectors[%d].proof", i), "%v, sectors[0] has %v: one request has one", s.Proof, first)
		}
	}
	return q, r.err()
}

// readSector reads a sector. Its fields are those of a line of a file for sdrbench's
// --sectors.
func readSector(f Function, r *reader, at string, raw []byte) sector {
	s := sector{Sector: seal.Sector{Proof: noProof}}
	fields := map[string]field{
		"proof":     text(&s.Proof, porep.ParseSealProof),
		"cache-dir": text(&s.CacheDir, asText),
		"work-dir":  text(&s.WorkDir, asText),
	}
	if f == Generate {
		fields["replica-id"] = text(&s.id, porep.ParseReplicaID)
		r.object(at, raw, fields, "proof", "cache-dir", "replica-id")
		return s
	}
	fields["staged"] = text(&s.Staged, asText)
	fields["sealed"] = text(&s.Sealed, asText)
	fields["miner"] = text(&s.ProverID, input.Miner)
	fields["prover-id"] = text(&s.ProverID, porep.ParseProverID)
	fields["sector"] = text(&s.Number, input.SectorNumber)
	fields["ticket"] = text(&s.Ticket, porep.ParseTicket)
	fields["piece"] = texts(&s.Pieces, input.Piece)
	fields["pieces"] = text(&s.pieces, asText)
	fields["staged-mode"] = text(&s.StagedMode, seal.ParseStagedMode)
	fields["tree-d"] = text(&s.TreeD, asText)
	r.object(at, raw, fields, "proof", "cache-dir", "staged", "sealed", "miner|prover-id", "sector", "ticket", "piece|pieces|")
	return s
}

// check finds what would be destroyed, and all else that can be told before any work.
func (q *sectorsRequest) check(ctx context.Context, f Function) error {
	var errs []error
	var sectors []seal.Sector
	var others []seal.File
	wrong := func(i int, err error) {
		for _, one := range words.Errors(err) {
			errs = append(errs, fmt.Errorf("sdr: sector %d: %w", i, one))
		}
	}
	for i := range q.sectors {
		s := &q.sectors[i]
		if s.pieces != "" {
			var err error
			if s.Pieces, err = seal.ReadPieces(s.pieces, s.Proof); err != nil {
				wrong(i, err)
			}
			others = append(others, seal.File{Role: fmt.Sprintf("pieces of sector %d", i), Path: s.pieces})
		}
		if f == PreCommit1 {
			wrong(i, s.Check())
		} else if info, err := os.Stat(s.CacheDir); err != nil {
			wrong(i, &seal.PathError{Role: "cache dir", Path: s.CacheDir, Err: err})
		} else if !info.IsDir() {
			wrong(i, &seal.PathError{Role: "cache dir", Path: s.CacheDir, Reason: "is not a directory"})
		}
		if !q.overwrite {
			for _, err := range []error{s.checkSealed(ctx, f), seal.CheckCacheDir(s.CacheDir)} {
				if err != nil {
					wrong(i, fmt.Errorf("%w (overwrite destroys it and seals again)", err))
				}
			}
		}
		sectors = append(sectors, s.Sector)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(append(errs, seal.CheckPaths(sectors, others...))...)
}

func (s *sector) checkSealed(ctx context.Context, f Function) error {
	if f != PreCommit1 {
		return nil
	}
	return s.CheckSealed(ctx)
}

// A sectorResult is what became of a sector: one of Phase1, Layers and Error.
type sectorResult struct {
	Index  int             `json:"index"`
	Phase1 json.RawMessage `json:"phase1,omitempty"`
	Layers []string        `json:"layers,omitempty"`
	Code   Code            `json:"code"`
	Error  string          `json:"error,omitempty"`
	Kind   seal.Kind       `json:"kind,omitempty"` // of the error
}

type sectorsResult struct {
	Sectors []sectorResult `json:"sectors"`
	Kind    seal.Kind      `json:"kind,omitempty"` // of the request's error
	Notes   []string       `json:"notes"`
}

// outcomes are what became of a request's sectors, as far as is known.
type outcomes struct {
	mu  sync.Mutex
	all []*seal.Outcome
}

func (o *outcomes) done(i int, one seal.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[i] = &one
}

// seal does PreCommit1 or Generate.
func (c *Call) seal(ctx context.Context) (any, error) {
	q, err := readSectors(c.function, c.request)
	if err != nil {
		return nil, err
	}
	m, err := c.library.find(ctx, c.machine)
	if err != nil {
		return nil, err
	}
	if err := q.check(ctx, c.function); err != nil {
		return nil, err
	}
	c.name, c.joined = c.nameOf(q), m.joiner != nil && len(q.sectors) == 1 && !q.noWait
	c.where.Store(&where{sectors: len(q.sectors), layers: q.sectors[0].Proof.Layers()})
	defer m.add(c)()
	outs := &outcomes{all: make([]*seal.Outcome, len(q.sectors))}
	if c.joined {
		err = c.join(ctx, m.joiner, q, outs)
	} else {
		err = c.together(ctx, m, q, outs)
	}
	return c.result(q, outs, err)
}

func (c *Call) nameOf(q *sectorsRequest) string {
	what := "pc1"
	if c.function == Generate {
		what = "sdr"
	}
	switch {
	case q.name != "":
		return q.name
	case len(q.sectors) > 1:
		return fmt.Sprintf("%s of %s", what, words.Count(len(q.sectors), "sector"))
	case c.function == PreCommit1:
		return fmt.Sprintf("%s of sector %d", what, q.sectors[0].Number)
	}
	return what
}

// join has a sector labelled with those of other calls.
func (c *Call) join(ctx context.Context, j *lockstep.Joiner, q *sectorsRequest, outs *outcomes) error {
	s := q.sectors[0]
	ctx = lockstep.WithProgress(ctx, func(p *seal.Progress, sectors int) {
		c.where.Store(&where{sectors: sectors, layers: s.Proof.Layers(), job: p})
	})
	var o seal.Outcome
	if c.function == PreCommit1 {
		o.Output, o.Err = j.PreCommit1(ctx, s.Sector, c.name)
	} else {
		o.Err = j.GenerateSDR(ctx, s.Proof, engine.Sector{CacheDir: s.CacheDir, WorkDir: s.WorkDir, ReplicaID: s.id}, q.keep, c.name)
	}
	outs.done(0, o)
	return o.Err
}

// together labels a request's sectors in lock-step.
func (c *Call) together(ctx context.Context, m *machine, q *sectorsRequest, outs *outcomes) (err error) {
	job := sealer.Job{Name: c.name, Wait: !q.noWait, Progress: new(seal.Progress), Done: outs.done, Keep: q.keep}
	proof := q.sectors[0].Proof
	h, err := m.Hold(ctx, proof, len(q.sectors), job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	c.where.Store(&where{sectors: len(q.sectors), layers: proof.Layers(), job: job.Progress})
	if c.function == Generate {
		var sectors []engine.Sector
		for _, s := range q.sectors {
			sectors = append(sectors, engine.Sector{CacheDir: s.CacheDir, WorkDir: s.WorkDir, ReplicaID: s.id})
		}
		_, err = h.GenerateSDR(ctx, sectors)
		return err
	}
	var sectors []seal.Sector
	for _, s := range q.sectors {
		sectors = append(sectors, s.Sector)
	}
	_, err = h.PreCommit1(ctx, sectors)
	return err
}

// result is what became of each sector, if any was begun, and the request's error: of
// several sectors, their code if it is one, and what failed first.
func (c *Call) result(q *sectorsRequest, outs *outcomes, err error) (any, error) {
	outs.mu.Lock()
	defer outs.mu.Unlock()
	result := &sectorsResult{Sectors: []sectorResult{}}
	begun, failed := false, []error(nil)
	for i, o := range outs.all {
		if o == nil {
			o = &seal.Outcome{Err: err} // it was not begun
			if err == nil {
				o.Err = fmt.Errorf("sdr: sector %d: nothing is known of it", i)
			}
		} else {
			begun = true
		}
		r := sectorResult{Index: i}
		if o.Err == nil && c.function == PreCommit1 {
			r.Phase1, o.Err = o.Output.JSON()
		}
		switch {
		case o.Err != nil:
			r.Code, r.Error, r.Kind = codeOf(o.Err), clean(o.Err.Error()), seal.KindOf(o.Err)
			failed = append(failed, o.Err)
		case c.function == Generate:
			first, last := q.keep.Kept(q.sectors[i].Proof.Layers())
			for layer := first; layer <= last; layer++ {
				r.Layers = append(r.Layers, layers.Path(q.sectors[i].CacheDir, layer))
			}
		}
		result.Sectors = append(result.Sectors, r)
	}
	if !begun {
		return nil, err
	}
	if len(failed) == 0 && err != nil { // what could not be given back is no sector's fault
		c.note(err.Error())
	}
	result.Notes = c.noted()
	err = together(failed, len(outs.all))
	result.Kind = seal.KindOf(err)
	return result, err
}

// A sectorsError says how many sectors failed, and why the first did.
type sectorsError struct {
	failed, of int
	first      error
	same       bool // all for a reason of one code
}

func (e *sectorsError) Error() string {
	return fmt.Sprintf("sdr: %d of %s failed, first: %v", e.failed, words.Count(e.of, "sector"), e.first)
}

func (e *sectorsError) Unwrap() error {
	if e.same {
		return e.first
	}
	return nil
}

func together(failed []error, of int) error {
	switch {
	case len(failed) == 0:
		return nil
	case of == 1:
		return failed[0]
	}
	e := &sectorsError{failed: len(failed), of: of, first: failed[0], same: true}
	for _, err := range failed {
		e.same = e.same && codeOf(err) == codeOf(e.first)
	}
	return e
}
