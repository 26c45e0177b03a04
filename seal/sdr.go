package seal

import (
	"context"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

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
