package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/tune"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

type tuneFlags struct {
	proof   porep.SealProof
	dir     string
	time    time.Duration
	sectors []int // none: as many as fit

	perProducer []int  // none: what is worth trying
	memory      uint64 // 0: two layers of each sector
	way         engine.MemoryWay
	profile     string
	lockDir     string
	json        bool
	dryRun      bool
	force       bool

	removeLeftovers bool
}

func (a *app) tune() *cobra.Command {
	f := tuneFlags{proof: porep.StackedDrg512MiBV1_1, time: 5 * time.Minute}
	cmd := &cobra.Command{
		Use:   "tune",
		Short: "Find the best settings for this machine, and use them from now on",
		Long: `Tune measures which settings label fastest on this machine: kernels, lanes, hashing
cores, ways of staging, producers, hashers that share one, strides, lookaheads, SMT siblings, kinds of page
and placement, whatever the machine has of them. First each kernel with the defaults,
then the better ones with each way of staging, then what one change makes better.
What is close is measured again and medians decide; what no change gains half
a percent stays as it is by default.

Each measurement labels a part of layer 2 with the memory, the graph, the parents and
the writing to files of a whole sector, two layers of it in memory, and a sample
of the labels is checked. With --memory, what is in memory is what it lets be, as in
jobs with the same --memory: one layer, or neither, by way of a scratch file in --dir.
The profile does not say how much memory that was.

It prints the best for latency (one sector) and for throughput (labels a second of
all sectors together), and for each what it loses with one thing changed. It writes
them to a profile, and every command that labels uses that from then on, wherever
neither a flag nor the environment says something else. A profile is for one kind of
hardware. --profile none writes none.

On a busy machine other settings may look best. So tune begins nothing if jobs hold
cores, or if others keep more than a quarter of a CPU busy, of all CPUs that tune may
use together, in the half second before. If they do so on average while it measures,
it prints what it found, writes no profile, and fails. --force measures and writes
all the same; without a profile to write, and with --dry-run, it only says so.

Tune takes --time, 5 minutes by default, whatever there is to measure; with more of it
more is measured. It holds all cores that are free. If it is interrupted, a profile
that is there stays.`,
		Example: `  sdrbench tune
  sdrbench tune --dry-run
  sdrbench tune --proof StackedDrg32GiBV1_1 --dir /mnt/nvme --time 30m --sectors 2,16,32`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runTune(ctx, f) }),
	}
	flags := cmd.Flags()
	proofFlag(cmd, &f.proof, "whose sectors are measured (default StackedDrg512MiBV1_1)")
	flags.StringVar(&f.dir, "dir", "", "`DIR` for the layer files (default: the temporary directory)")
	flagVar(cmd, &f.time, "time", "TIME", "how long it may take, like 30m (default 5m)", parseWhile)
	flagVar(cmd, &f.sectors, "sectors", "LIST", "numbers of sectors to find the best throughput of, like 2,16, or max (default max: as many as memory and disk allow)", parseSectorCounts)
	flagVar(cmd, &f.perProducer, "hashers-per-producer", "LIST", "numbers of hashers that one producer is tried with, like 1,7 (default: 1, powers of two, and all cores of a complex but one)", parseSharing)
	flagVar(cmd, &f.memory, "memory", "SIZE", "most memory for all sectors of a measurement together, like 8GiB (default: two layers of each)", parseBudget)
	flagVar(cmd, &f.way, "memory-way", "WAY", "how budget mode gets parents that are not in memory: forward, passes, or auto (default auto)", engine.ParseMemoryWay)
	profileFlag(cmd, &f.profile, "`FILE` to write, or none")
	a.lockDirFlag(cmd, &f.lockDir)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.force, "force", false, "write the profile although the machine is busy")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be measured, and measure nothing")
	flags.BoolVar(&f.removeLeftovers, "remove-leftovers", false, leftoversUsage)
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

// parseSharing reads "1,7".
func parseSharing(text string) (all []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := parseNumber(part)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// parseSectorCounts reads "max", which is none, or "2,16".
func parseSectorCounts(text string) (all []int, err error) {
	if text == "max" {
		return nil, nil
	}
	const most = 1 << 10
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is not a number of sectors, from 1 to %d, or max", part, most)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (a *app) runTune(ctx context.Context, f tuneFlags) (err error) {
	began := time.Now()
	var errs []error
	if size := f.proof.SectorSize(); size.Nodes() < engine.MinMeasured {
		errs = append(errs, usageError{fmt.Errorf("--proof: sectors of %v are too small to measure a part of", size)})
	}
	if f.dir == "" {
		f.dir = os.TempDir()
	}
	if _, _, err := roomIn(f.dir); err != nil {
		errs = append(errs, err)
	}
	path, named := a.profilePath(f.profile)
	if path == "" && !named {
		errs = append(errs, errors.New("tuning: there is no configuration directory of the user: name a file, or none, with --profile"))
	}
	if path != "" {
		errs = append(errs, a.checkReplaced("--profile", f.lockDir, path))
	}
	t := &tuning{app: a, tuneFlags: f}
	o := sealer.Options{Notes: t.withoutLocks, Program: "sdrbench tune"}
	if f.lockDir != reserve.DefaultDir {
		o.LockDir = f.lockDir
	}
	if t.sealing, err = sealer.Open(ctx, o); err == nil {
		t.view, err = t.sealing.Look(ctx)
	}
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := a.clearLeftovers(f.dir, f.removeLeftovers && !f.dryRun); err != nil {
		return err
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	space, err := t.space()
	if err != nil {
		return err
	}
	s := &tune.Search{Space: space, Window: t.windowOf(), Budget: f.time, Note: t.addNote}
	r := &view.Tune{Schema: 1, Machine: profile.MachineOf(t.view.Machine), Proof: f.proof.String(), Window: s.Window.Seconds(), Profile: path}
	r.Fingerprint = r.Machine.Fingerprint()
	if f.dryRun {
		r.Notes = append([]string{}, t.notes...)
		return a.printTunePlan(r, &s.Space, f)
	}
	write := func([]byte) error { return nil }
	if err := t.refused(path); err != nil {
		return err
	}
	if path != "" {
		if !named {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil { // #nosec G301 -- the umask decides, as for what any command makes
				return fmt.Errorf("writing the profile: %w", err)
			}
		}
		out, err := a.openOutput(ctx, path, 64<<10) // far more than a profile has
		if err != nil {
			return err
		}
		defer out.close()
		write = out.write
	}
	for _, note := range t.notes {
		a.note("%s", note)
	}
	held, err := t.sealing.HoldFree(ctx, t.view, sealer.Job{Name: "tune"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	t.cores = held
	dir, remove, err := makeWorkDir(f.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if t.made, err = madeUpSectors(dir, space.MostSectors()); err != nil {
		return err
	}

	t.hz = coreclock.Measure()
	s.Measure = t.measure
	s.Now = func() time.Duration { return time.Since(began) }
	s.Say = func(stage string, tr tune.Trial, f tune.Figure) {
		fmt.Fprintf(a.err, "tune: %3.0f %%  %s: %s cycles a label, %s: %v\n", min(100, 100*s.Now().Seconds()/s.Budget.Seconds()),
			stage, view.Thousands(uint64(f.Cycles+0.5)), view.PerSecond(f.Rate, "labels"), tr)
	}
	before, known := topology.ReadCPUUse("/proc", t.view.Machine.Allowed())
	timed, cancel := context.WithDeadlineCause(ctx, began.Add(f.time), tune.ErrTimeUp)
	defer cancel()
	latency, throughput, err := s.Run(timed)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	if known {
		t.addOthers(before, "while it measured")
	}
	setFound(r, s, latency, throughput)
	r.Seconds, r.Notes = time.Since(began).Seconds(), append([]string{}, t.notes...)
	refused := t.refused(path)
	if refused != nil {
		r.Profile = ""
	} else if err := t.writeProfile(r, write); err != nil {
		return err
	}
	if f.json {
		err = a.printJSON(r)
	} else {
		err = a.printText("%s", r.Text())
	}
	return errors.Join(err, refused)
}
