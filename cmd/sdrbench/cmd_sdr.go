package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

type sdrFlags struct {
	overwrite bool
	proof     porep.SealProof
	cacheDir  string
	id        porep.ReplicaID
	sectors   string // a file, instead of all above
	engineFlags
}

func (a *app) sdr() *cobra.Command {
	var f sdrFlags
	cmd := &cobra.Command{
		Use:   "sdr",
		Short: "Label the layers of a replica id, nothing else",
		Long: `Sdr labels all layers of a replica id into the cache dir and prints the paths of
their files. It needs no staged data and builds no tree-d.

With --sectors it does so for all of a file, in lock-step over the machine. Each line is a
JSON object with the fields proof, cache-dir and replica-id. As each ends a line is printed,
{"index":0,"layers":["…"]} or {"index":0,"error":"…"}: see pc1.
` + resumeHelp,
		Example: `  sdrbench sdr --proof StackedDrg32GiBV1_1 --cache-dir cache --replica-id $REPLICA_ID
  sdrbench sdr --sectors sectors.jsonl --wait`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error {
			if f.sectors != "" {
				return a.runSDRSectors(ctx, f)
			}
			return a.runSDR(ctx, f)
		}),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().StringVar(&f.cacheDir, "cache-dir", "", "`DIR` for the layers")
	flagVar(cmd, &f.id, "replica-id", "HEX", "replica id", porep.ParseReplicaID)
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "label although the cache dir holds what phase 2 made of a finished sector")
	f.add(a, cmd)
	f.addTo(cmd)
	require(cmd, "proof", "cache-dir", "replica-id")
	_ = cmd.MarkFlagDirname("cache-dir")
	sectorsFlag(cmd, &f.sectors, "proof", "cache-dir", "replica-id")
	return cmd
}

func (a *app) runSDR(ctx context.Context, f sdrFlags) error {
	m, err := f.prepare(ctx, a, f.proof, 1)
	sector := seal.Sector{Proof: f.proof, CacheDir: f.cacheDir}
	err = errors.Join(err, seal.CheckPaths([]seal.Sector{sector}, append(a.printedFiles(), f.readFiles(f.proof)...)...), checkCacheDir(f.cacheDir, f.overwrite))
	if f.wait { // else the job itself finds it, no later
		_, statErr := os.Stat(f.cacheDir)
		err = errors.Join(err, statErr)
	}
	if err != nil {
		return err
	}
	progress := new(seal.Progress)
	ctx, drain, stop := f.draining(ctx, progress)
	defer stop()
	job := sealer.Job{Name: "sdr", Wait: f.wait, Progress: progress, Drain: drain}
	err = m.hold(ctx, f.proof, 1, job, func(h *sealer.Hold) error {
		return m.labelling(h, func() view.Sample { return sealSample(progress, f.proof) }, func() error {
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

// runSDRSectors labels all sectors of a file together.
func (a *app) runSDRSectors(ctx context.Context, f sdrFlags) error {
	r := &sectorsReader{path: f.sectors}
	var lines []*sdrFlags
	err := r.lines(ctx, a, func() *sectorLine {
		l := &sdrFlags{proof: noProof}
		lines = append(lines, l)
		return &sectorLine{
			fields: map[string]sectorField{
				"proof": set(&l.proof, porep.ParseSealProof), "cache-dir": set(&l.cacheDir, asText), "replica-id": set(&l.id, porep.ParseReplicaID),
			},
			need: [][]string{{"proof"}, {"cache-dir"}, {"replica-id"}},
		}
	})
	if err != nil {
		return err
	}
	var sectors []seal.Sector
	var toLabel []engine.Sector
	var proofs []porep.SealProof
	for i, l := range lines {
		if info, err := os.Stat(l.cacheDir); l.cacheDir != "" && err != nil {
			r.fail(i+1, "cache-dir: %v", err)
		} else if err == nil && !info.IsDir() {
			r.fail(i+1, "cache-dir: %s is not a directory", l.cacheDir)
		} else if err := checkCacheDir(l.cacheDir, f.overwrite); l.cacheDir != "" && err != nil {
			r.fail(i+1, "%v", err)
		}
		sectors = append(sectors, seal.Sector{Proof: l.proof, CacheDir: l.cacheDir})
		toLabel = append(toLabel, engine.Sector{ReplicaID: l.id, CacheDir: l.cacheDir})
		proofs = append(proofs, l.proof)
	}
	r.sameProof(proofs)
	if len(sectors) > 0 {
		r.paths(sectors, append(append(a.printedFiles(), a.sectorsFile(f.sectors)), f.readFiles(proofs[0])...)...)
	}
	if err := r.err(); err != nil {
		return err
	}
	proof := proofs[0]
	m, err := f.prepare(ctx, a, proof, len(sectors))
	if err != nil {
		return err
	}
	w := &lineWriter{a: a}
	progress := new(seal.Progress)
	ctx, drain, stop := f.draining(ctx, progress)
	defer stop()
	job := sealer.Job{
		Name: fmt.Sprintf("sdr of %s", words.Count(len(sectors), "sector")), Wait: f.wait, Progress: progress, Drain: drain,
		Done: func(i int, o seal.Outcome) {
			if o.Err != nil {
				w.write(i, "", nil, o.Err)
				return
			}
			var paths []string
			for layer := 1; layer <= proof.Layers(); layer++ {
				paths = append(paths, layers.Path(lines[i].cacheDir, layer))
			}
			text, err := json.Marshal(paths)
			w.write(i, "layers", []byte(view.VisibleJSON(string(text))), err)
		},
	}
	err = m.hold(ctx, proof, len(sectors), job, func(h *sealer.Hold) error {
		return m.labelling(h, func() view.Sample { return sealSample(progress, proof) }, func() error {
			_, err := h.GenerateSDR(ctx, toLabel)
			return err
		})
	})
	return w.err(ctx, len(sectors), err)
}
