package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

type sdrFlags struct {
	proof    porep.SealProof
	cacheDir string
	id       porep.ReplicaID
	wait     bool
	engineFlags
}

func (a *app) sdr() *cobra.Command {
	var f sdrFlags
	cmd := &cobra.Command{
		Use:   "sdr",
		Short: "Label the layers of a replica id, nothing else",
		Long: `Sdr labels all layers of a replica id into the cache dir and prints the paths of
their files. It needs no staged data and builds no tree-d.`,
		Example: `  sdrbench sdr --proof StackedDrg32GiBV1_1 --cache-dir cache --replica-id $REPLICA_ID`,
		Args:    cobra.NoArgs,
		RunE:    work(func(ctx context.Context, _ []string) error { return a.runSDR(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().StringVar(&f.cacheDir, "cache-dir", "", "`DIR` for the layers")
	flagVar(cmd, &f.id, "replica-id", "HEX", "replica id", porep.ParseReplicaID)
	waitFlag(cmd, &f.wait)
	f.add(a, cmd)
	require(cmd, "proof", "cache-dir", "replica-id")
	_ = cmd.MarkFlagDirname("cache-dir")
	return cmd
}

func (a *app) runSDR(ctx context.Context, f sdrFlags) error {
	m, err := f.prepare(ctx, a, f.proof, 1)
	sector := seal.Sector{Proof: f.proof, CacheDir: f.cacheDir}
	err = errors.Join(err, seal.CheckPaths([]seal.Sector{sector}, append(a.printedFiles(), f.readFiles(f.proof)...)...))
	if err != nil {
		return err
	}
	progress := new(seal.Progress)
	job := sealer.Job{Name: "sdr", Wait: f.wait, Progress: progress}
	err = m.hold(ctx, f.proof, 1, job, func(h *sealer.Hold) error {
		return m.labelling(h, func() sample { return sealSample(progress, f.proof) }, func() error {
			_, err := h.GenerateSDR(ctx, []engine.Sector{{ReplicaID: f.id, CacheDir: f.cacheDir}})
			return err
		})
	})
	if err != nil {
		return err
	}
	for layer := 1; layer <= f.proof.Layers(); layer++ {
		if err := a.printText("%s\n", layers.Path(f.cacheDir, layer)); err != nil {
			return err
		}
	}
	return nil
}
