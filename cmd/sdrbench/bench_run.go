package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// A benching is bench at work.
type benching struct {
	*app
	*machine
	held     *sealer.Hold
	progress *seal.Progress
	f        *benchFlags
	r        *benchReport
}

// in does the job in a directory of its own.
func (b *benching) in(ctx context.Context, dir string) (*benchReport, error) {
	r, f := b.r, b.f
	clock := coreclock.Measure()
	var err error
	switch {
	case f.window > 0:
		err = b.benchWindow(ctx, dir)
	case f.labelsOnly():
		err = b.benchLabels(ctx, dir)
	default:
		err = b.benchFull(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	// The clock of a busy core, and of one that was busy just now.
	r.setClock((clock + coreclock.Measure()) / 2)
	r.MemoryPeak = peakMemory()
	return r, r.measureParents(f.proof)
}

// benchFull does AddPiece and PreCommit 1.
func (b *benching) benchFull(ctx context.Context, dir string) error {
	f, r := b.f, b.r
	var sectors []seal.Sector
	var toLabel []engine.Sector
	for i := range f.sectors {
		s, err := benchSectorOf(dir, f.proof, i)
		if err != nil {
			return err
		}
		sectors = append(sectors, s)
		toLabel = append(toLabel, engine.Sector{CacheDir: s.CacheDir})
	}
	if err := b.setSectors(toLabel); err != nil {
		return err
	}
	piece := filepath.Join(dir, "piece")
	size := porep.PaddedSize(f.proof.SectorSize()).Unpadded()
	if err := b.makePiece(ctx, piece, size); err != nil {
		return fmt.Errorf("making the piece: %w", err)
	}
	var addTime time.Duration
	for i := range sectors {
		s := &sectors[i]
		added, took, err := b.benchAddPiece(ctx, f.proof, piece, size, s.Staged)
		if err != nil {
			return err
		}
		addTime += took
		s.Pieces = []porep.Piece{added.Piece}
	}
	if err := os.Remove(piece); err != nil {
		return fmt.Errorf("removing the piece: %w", err)
	}
	var outs []seal.Outcome
	var began time.Time
	err := b.labelling(b.held, b.sample, func() (err error) {
		began = time.Now()
		outs, err = b.held.PreCommit1(ctx, sectors)
		return err
	})
	if err != nil {
		return err
	}
	r.PC1 = time.Since(began).Seconds()
	r.setOutputs(outs, addTime)
	if f.sectors == 1 {
		return b.check(ctx, r, sectors[0])
	}
	var labelled []engine.Sector
	for i, s := range sectors {
		labelled = append(labelled, engine.Sector{ReplicaID: outs[i].Output.ReplicaID, CacheDir: s.CacheDir})
	}
	return b.checkSamples(ctx, r, labelled)
}

func (b *benching) sample() view.Sample { return sealSample(b.progress, b.f.proof) }

// setSectors refuses, before any work, what only all sectors together exceed, a budget: what is
// wrong is the flags. The report then knows the configuration.
func (b *benching) setSectors(sectors []engine.Sector) error {
	c := b.held.Config()
	c.Sectors = sectors
	c.Layers = b.f.layers
	if err := c.CheckSettings(len(sectors)); err != nil {
		return usageError{err}
	}
	b.r.setConfig(c)
	return nil
}

// benchLabels only labels.
func (b *benching) benchLabels(ctx context.Context, dir string) error {
	sectors, err := madeUpSectors(dir, b.f.sectors)
	if err != nil {
		return err
	}
	if err := b.setSectors(sectors); err != nil {
		return err
	}
	var result engine.Result
	err = b.labelling(b.held, b.sample, func() (err error) {
		began := time.Now()
		result, err = b.held.GenerateSDR(ctx, sectors)
		b.r.PC1 = time.Since(began).Seconds()
		return err
	})
	if err != nil {
		return err
	}
	b.r.setLayers(result)
	return b.checkSamples(ctx, b.r, sectors)
}

// benchWindow labels a part of layer 2.
func (b *benching) benchWindow(ctx context.Context, dir string) error {
	sectors, err := madeUpSectors(dir, b.f.sectors)
	if err != nil {
		return err
	}
	if err := b.setSectors(sectors); err != nil {
		return err
	}
	var m engine.Measurement
	err = b.labelling(b.held, windowSample(b.progress.Labelling(), b.f.window), func() (err error) {
		m, err = b.measureWindow(ctx, sectors)
		return err
	})
	if err != nil {
		return err
	}
	right := true // or Measure says which label is not
	b.r.Correct = &right
	b.r.setWindow(m)
	return nil
}

// minSlices is how many parts of a window it takes for an interval of 95 %.
const minSlices = 6

// measureWindow measures for a window. Where a layer is at its end before there is a
// spread it measures again for the time that the layer takes, and where others had
// the core, for longer.
func (b *benching) measureWindow(ctx context.Context, sectors []engine.Sector) (m engine.Measurement, err error) {
	const tries = 4
	next := b.f.window
	for range tries {
		if m, err = b.held.Measure(ctx, sectors, next); err != nil {
			return m, err
		}
		shortest, slices := m.Hashers[0].Took, len(m.Hashers[0].Slices)
		for _, h := range m.Hashers {
			shortest, slices = min(shortest, h.Took), min(slices, len(h.Slices))
		}
		if slices >= minSlices {
			return m, nil
		}
		if next = 2 * next; shortest < next/2 {
			next = shortest * 3 / 4
		}
	}
	return m, fmt.Errorf("measuring: the window of %v is too short for a spread, or a layer of %v", b.f.window, b.f.proof.SectorSize())
}

// measureParents computes the parents of some nodes in one goroutine.
func (r *benchReport) measureParents(p porep.SealProof) error {
	g, err := graph.New(p)
	if err != nil {
		return err
	}
	nodes := min(g.Nodes(), 1<<16)
	parents := make([]uint32, 1024*porep.Degree)
	began := time.Now()
	for first := uint64(0); first < nodes; first += 1024 {
		n := min(1024, nodes-first)
		if err := g.Parents(parents[:n*porep.Degree], g.Nodes()-nodes+first); err != nil {
			return err
		}
	}
	r.ParentsCycles = time.Since(began).Seconds() * r.hz / float64(nodes)
	return nil
}
