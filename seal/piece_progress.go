package seal

import "sync/atomic"

// PieceProgress is where a piece stands that is committed to, or added. The job writes it,
// anybody may read it.
type PieceProgress struct {
	done, total atomic.Uint64
	stage       atomic.Int32
}

// PieceStage is a part of the work on a piece.
type PieceStage int32

// The stages, in the order in which they come.
const (
	StagePadding PieceStage = iota // unit: bytes of the payload
	StageSync                      // staged reaches the disk
	StageTree                      // tree-d beside staged is completed; unit: bytes of the sector
)

func (s PieceStage) String() string {
	if s < StagePadding || s > StageTree {
		return "unknown"
	}
	return [...]string{"padding", "sync", "tree-d"}[s]
}

// Stage is the current stage.
func (p *PieceProgress) Stage() PieceStage { return PieceStage(p.stage.Load()) }

// Units is how much of the stage is done, in its unit, and of how much: 0 as long as that is
// not known.
func (p *PieceProgress) Units() (done, total uint64) {
	done, total = p.done.Load(), p.total.Load()
	if total != 0 {
		done = min(done, total)
	}
	return done, total
}

func (p *PieceProgress) enter(s PieceStage, total uint64) {
	if p == nil {
		return
	}
	p.done.Store(0)
	p.total.Store(total)
	p.stage.Store(int32(s))
}

// sync is when all is padded.
func (p *PieceProgress) sync() {
	if p != nil {
		p.stage.Store(int32(StageSync))
	}
}

func (p *PieceProgress) add(n uint64) {
	if p != nil {
		p.done.Add(n)
	}
}

func (p *PieceProgress) set(done uint64) {
	if p != nil {
		p.done.Store(done)
	}
}
