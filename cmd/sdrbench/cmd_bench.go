package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

type benchFlags struct {
	proof   porep.SealProof
	dir     string
	sectors int
	layers  int
	window  time.Duration
	full    bool
	json    bool
	gobench bool

	removeLeftovers bool
	engineFlags
}

func (f *benchFlags) check() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, usageError{fmt.Errorf(format, args...)})
		}
	}
	wrong(f.layers > f.proof.Layers(), "--layers: %d is not between 1 and the %d of %v", f.layers, f.proof.Layers(), f.proof)
	wrong(f.window > 0 && f.full, "--window measures a part of a layer: without --full")
	size := f.proof.SectorSize()
	wrong(f.window > 0 && size.Nodes() < engine.MinMeasured, "--window: sectors of %v are too small to measure a part of", size)
	wrong(f.window > 0 && f.layers == 1, "--layers: 1, but --window measures a part of layer 2")
	wrong(f.full && f.layers > 0, "--full is all layers: without --layers")
	wrong(f.bare && f.window > 0, "--bare is of whole layers: without --window, which has none of that but the hashes")
	wrong(f.json && f.gobench, "--json or --gobench, not both")
	return errors.Join(errs...)
}

func (a *app) bench() *cobra.Command {
	f := benchFlags{proof: porep.StackedDrg512MiBV1_1, sectors: 1}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Seal sectors, measure it, check the result",
		Long: `Bench measures how fast this machine seals.

With one sector it makes a piece of pseudo-random data that fills it, adds it to a
staged file and does PreCommit phase 1, and prints whether the files are those that
the reference implementation makes of the same piece, which is known for 2 KiB,
8 MiB and 512 MiB sectors. With more sectors, or with --layers, it makes up replica
ids and only labels, unless --full asks for the whole of it; the result is then
checked by recomputing a sample of each layer's labels another way.

With --window it labels only a part of layer 2 for that long, with the memory,
the graph, the parents and the writing to files that the whole would have, and
works out from it what a 32 GiB sector would take. With --memory this needs neither
layer in memory, nor the scratch file of a whole job; it says what the disk must give.

Like every job it holds its cores and its memory meanwhile (see plan), and finds
all that is wrong with its flags before any work.

All files are in a temporary directory that is removed at the end. What a bench or tune
that was killed has left is named, and removed with --remove-leftovers. Cycles are time
multiplied with the core's clock, as measured in the same run.`,
		Example: `  sdrbench bench
  sdrbench bench --proof StackedDrg8MiBV1_1 --json
  sdrbench bench --sectors 4 --staging producers
  sdrbench bench --proof StackedDrg32GiBV1_1 --window 60s --dir /mnt/nvme
  sdrbench bench --proof StackedDrg32GiBV1_1 --memory 8GiB --window 60s --dir /mnt/nvme`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runBench(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().Lookup("proof").DefValue = f.proof.String()
	cmd.Flags().StringVar(&f.dir, "dir", "", "`DIR` for the temporary directory (default: the system's)")
	flagVar(cmd, &f.sectors, "sectors", "N", "sectors at the same time (default 1)", input.NumberFrom(1, maxSectors))
	flagVar(cmd, &f.layers, "layers", "N", "label only the first N layers (default all)", parseNumber)
	flagVar(cmd, &f.window, "window", "TIME", "measure only a part of layer 2, for this time, like 60s, at most until the layer's end", parseWhile)
	cmd.Flags().BoolVar(&f.full, "full", false, "AddPiece and tree-d of all sectors, too")
	cmd.Flags().BoolVar(&f.bare, "bare", false, "label without a manifest, its hashes, checkpoints, and labels recomputed meanwhile, to see what these cost")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.gobench, "gobench", false, "print lines as Go benchmarks do, for benchstat")
	f.add(a, cmd)
	cmd.Flags().BoolVar(&f.removeLeftovers, "remove-leftovers", false, leftoversUsage)
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

func (a *app) runBench(ctx context.Context, f benchFlags) (err error) {
	if f.dir == "" {
		f.dir = os.TempDir()
	}
	// All before AddPiece, which takes minutes.
	m, err := f.prepare(ctx, a, f.proof, f.sectors)
	c := m.config
	if err == nil {
		c.Sectors = make([]engine.Sector, f.sectors)
		c = c.WithDefaults() // in Budget mode, what fits
	}
	if err = errors.Join(f.check(), err); err == nil {
		err = a.clearLeftovers(f.dir, f.removeLeftovers) // before the room that they take is counted
	}
	if err = errors.Join(err, f.checkRoom(&c, m.config.MemoryWay)); err != nil {
		return err
	}
	if size := f.proof.SectorSize(); size >= 1<<30 {
		fmt.Fprintf(a.err, "bench: %s of %v %s %s in %s\n", words.Count(f.sectors, "sector"), size, view.Verb(f.sectors, "takes", "take"), topology.SizeText(f.disk(&c)), f.dir)
	}
	var r *benchReport
	job := sealer.Job{Name: "bench", Wait: f.wait, Progress: new(seal.Progress), Layers: f.layers}
	err = m.hold(ctx, f.proof, f.sectors, job, func(h *sealer.Hold) (err error) {
		dir, remove, err := makeWorkDir(f.dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
		r, err = (&benching{a, m, h, job.Progress, &f, newBenchReport(&f)}).in(ctx, dir)
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case f.json:
		err = a.printJSON(r)
	case f.gobench:
		err = r.printGobench(view.TextWriter{To: a.out})
	default:
		r.Wrong = wrongNames(r.wrong)
		err = a.printText("%s", r.Text())
	}
	if err == nil && len(r.wrong) > 0 {
		err = &wrongResultError{f.proof, r.wrong}
	}
	return err
}

// labelsOnly reports whether the sectors have no data.
func (f *benchFlags) labelsOnly() bool {
	return !f.full && (f.sectors > 1 || f.layers > 0 || f.window > 0)
}

// disk is what the sectors' files take, in bytes.
func (f *benchFlags) disk(c *engine.Config) uint64 {
	feed, budget := c.Feed()
	if budget && f.window > 0 {
		return c.MeasureRoom()
	}
	files := uint64(f.proof.Layers())
	switch {
	case f.window > 0:
		files = 1
	case f.layers > 0:
		files = uint64(f.layers)
	case !f.labelsOnly():
		files += 4 // staged, sealed, tree-d twice as large
	}
	if c.MemoryMode == engine.OneLayer {
		files++ // far parents and the index of them are a little less
	}
	return (uint64(f.proof.SectorSize())*files + feed.Scratch) * uint64(f.sectors)
}

// checkRoom makes sure that the sectors' files fit into the directory. Where nobody says which way Budget
// mode goes, it goes by Passes, which take less, where the other has no room.
func (f *benchFlags) checkRoom(c *engine.Config, way engine.MemoryWay) error {
	free, ok, err := roomIn(f.dir)
	if err == nil && ok && free < f.disk(c) && way == engine.AutoWay && c.MemoryMode == engine.Budget {
		c.MemoryWay = engine.Passes
	}
	disk := f.disk(c)
	switch {
	case err != nil:
		return err
	case ok && free < disk:
		return fmt.Errorf("looking for room in %s: %s are free, %s of %v %s %s", f.dir, topology.SizeText(free), words.Count(f.sectors, "sector"), f.proof.SectorSize(), view.Verb(f.sectors, "takes", "take"), topology.SizeText(disk))
	}
	return nil
}
