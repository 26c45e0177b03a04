// Package seal is AddPiece and PreCommit phase 1: pieces in; staged, sealed,
// tree-d and layer files and the phase 1 JSON out, byte for byte those of the
// reference implementation.
package seal

import (
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// DevZero is the staged path of a sector without deals.
const DevZero = "/dev/zero"

// Options are choices that change how fast something is done and who watches,
// never its result. The zero value is a good one.
type Options struct {
	// Engine is how labels are made: kernel, places, memory and so on. Its Proof,
	// Sectors and Progress are not used, nor is PreCommit1's Done.
	Engine engine.Config
	// WorkDirs is an existing directory in which each sector that has no WorkDir has one, which is
	// made, named after the prover and the sector's number, or, in GenerateSDR, the replica id, and
	// removed when it is empty at the end. Default: none.
	WorkDirs string
	// Progress, if not nil, is kept up to date.
	Progress *Progress
	// Begin, if not nil, is called by PreCommit1 once, when all checks have passed, those
	// of the pieces too, and before the first layer of an earlier job goes. Its error
	// ends the job, and everything is as it was.
	Begin func() error
	// Done, if not nil, is called by PreCommit1 for each sector that was begun, once, when
	// it is known what became of it: while others are still at work, if there are several.
	// The labels' timings are missing then. Calls do not overlap.
	Done func(sector int, o Outcome)
}

func (o *Options) begin() error {
	if o.Begin == nil {
		return nil
	}
	return o.Begin()
}

// Stage is a part of PreCommit phase 1.
type Stage int32

// The stages, in the order in which they come.
const (
	StageChecks Stage = iota // of the input
	StageTreeD               // unit: bytes of the sector
	StageLabels              // unit: labels of all layers; staged is copied to sealed meanwhile
	StageDone
)

func (s Stage) String() string {
	if s < StageChecks || s > StageDone {
		return "unknown"
	}
	return [...]string{"checks", "tree-d", "labels", "done"}[s]
}

// Progress is where PreCommit1 or GenerateSDR stands. The job writes it,
// anybody may read it.
type Progress struct {
	stage       atomic.Int32
	done, total atomic.Uint64
	labels      engine.Progress
}

// Stage returns the current stage.
func (p *Progress) Stage() Stage { return Stage(p.stage.Load()) }

// Units returns how much of the current stage is done, and of how much, in the
// stage's unit.
func (p *Progress) Units() (done, total uint64) {
	if p.Stage() == StageLabels {
		return p.labels.Labels()
	}
	return p.done.Load(), p.total.Load()
}

// Labelling is what the engine reports of the labels.
func (p *Progress) Labelling() *engine.Progress { return &p.labels }

// Layer is the layer being labelled, from 1, and 0 before the first.
func (p *Progress) Layer() int { return p.labels.Layer() }

func (p *Progress) enter(s Stage, total uint64) {
	p.done.Store(0)
	p.total.Store(total)
	p.stage.Store(int32(s))
}

// Timings is how long the steps of PreCommit1 took.
type Timings struct {
	TreeD  time.Duration // built, or an existing one checked
	Sealed time.Duration // staged copied to sealed, while labels were made
	Labels engine.Result
}

// Sector is what PreCommit1 works on.
type Sector struct {
	Proof    porep.SealProof
	CacheDir string // an existing directory; tree-d and layer files appear in it
	// WorkDir is an existing directory of this sector alone, where layers are while they are made: see
	// engine.Sector. They get to CacheDir when sealed and tree-d are right, too, and all of them are
	// there. Default: CacheDir, or one in Options.WorkDirs.
	WorkDir  string
	Staged   string // the sector's padded pieces, or DevZero
	Sealed   string // an existing file; takes the staged data and the sector's length
	ProverID porep.ProverID
	Number   uint64
	Ticket   porep.Ticket
	Pieces   []porep.Piece

	// StagedMode is how sealed gets the staged data. Default: StagedCopy.
	StagedMode StagedMode
	// TreeD, if not empty, is a tree-d that a StagedTree has left beside staged. When it was
	// compared with staged, node by node, it is moved into the cache dir. If there is a tree-d,
	// this one is not looked at.
	TreeD string
}
