package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/coreclock"
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
works out from it what a 32 GiB sector would take.

Like every job it holds its cores and its memory meanwhile (see plan), and finds
all that is wrong with its flags before any work.

All files are in a temporary directory that is removed at the end. What a bench or tune
that was killed has left is named, and removed with --remove-leftovers. Cycles are time
multiplied with the core's clock, as measured in the same run.`,
		Example: `  sdrbench bench
  sdrbench bench --proof StackedDrg8MiBV1_1 --json
  sdrbench bench --sectors 4 --staging producers
  sdrbench bench --proof StackedDrg32GiBV1_1 --window 60s --dir /mnt/nvme`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runBench(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().Lookup("proof").DefValue = f.proof.String()
	cmd.Flags().StringVar(&f.dir, "dir", "", "`DIR` for the temporary directory (default: the system's)")
	flagVar(cmd, &f.sectors, "sectors", "N", "sectors at the same time (default 1)", numberFrom(1, maxSectors))
	flagVar(cmd, &f.layers, "layers", "N", "label only the first N layers (default all)", parseNumber)
	flagVar(cmd, &f.window, "window", "TIME", "measure only a part of layer 2, for this time, like 60s, at most until the layer's end", parseWhile)
	cmd.Flags().BoolVar(&f.full, "full", false, "AddPiece and tree-d of all sectors, too")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.gobench, "gobench", false, "print lines as Go benchmarks do, for benchstat")
	f.add(a, cmd)
	cmd.Flags().BoolVar(&f.removeLeftovers, "remove-leftovers", false, leftoversUsage)
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

// The sector that bench seals. Testdata/digests.sh has the same inputs: digests
// are known for these alone.
var (
	benchSeed   = [32]byte([]byte("sdrbench bench piece v1\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	benchProver = porep.ProverIDOf(1000)
	benchTicket = porep.Ticket([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"))
)

const benchSector = 1

func (a *app) runBench(ctx context.Context, f benchFlags) (err error) {
	if f.dir == "" {
		f.dir = os.TempDir()
	}
	// All before AddPiece, which takes minutes.
	m, err := f.prepare(ctx, a, f.proof, f.sectors)
	mode := m.config.MemoryMode
	if err = errors.Join(f.check(), err); err == nil {
		err = a.clearLeftovers(f.dir, f.removeLeftovers) // before the room that they take is counted
	}
	if err = errors.Join(err, f.checkRoom(mode)); err != nil {
		return err
	}
	if size := f.proof.SectorSize(); size >= 1<<30 {
		fmt.Fprintf(a.err, "bench: %s of %v %s %s in %s\n", words.Count(f.sectors, "sector"), size, view.Verb(f.sectors, "takes", "take"), topology.SizeText(f.disk(mode)), f.dir)
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
		err = a.printText("%s", r.text())
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
func (f *benchFlags) disk(mode engine.MemoryMode) uint64 {
	files := uint64(f.proof.Layers())
	switch {
	case f.window > 0:
		files = 1
	case f.layers > 0:
		files = uint64(f.layers)
	case !f.labelsOnly():
		files += 4 // staged, sealed, tree-d twice as large
	}
	if mode == engine.OneLayer {
		files++ // far parents and the index of them are a little less
	}
	return uint64(f.proof.SectorSize()) * files * uint64(f.sectors)
}

// checkRoom makes sure that the sectors' files fit into the directory.
func (f *benchFlags) checkRoom(mode engine.MemoryMode) error {
	disk := f.disk(mode)
	free, ok, err := roomIn(f.dir)
	switch {
	case err != nil:
		return err
	case ok && free < disk:
		return fmt.Errorf("looking for room in %s: %s are free, %s of %v %s %s", f.dir, topology.SizeText(free), words.Count(f.sectors, "sector"), f.proof.SectorSize(), view.Verb(f.sectors, "takes", "take"), topology.SizeText(disk))
	}
	return nil
}

// roomIn is how much files in a directory may take; ok is false where nobody knows.
func roomIn(dir string) (free uint64, ok bool, err error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("it is not a directory (mode %v)", info.Mode())
	}
	if err == nil {
		free, ok, err = freeSpace(dir)
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for room in %s: %w", dir, err)
	}
	return free, ok, nil
}

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

// benchSectorOf is the sector that bench seals, or one of those beside it.
func benchSectorOf(dir string, p porep.SealProof, i int) (seal.Sector, error) {
	dir = filepath.Join(dir, fmt.Sprint(i))
	s := seal.Sector{
		Proof:    p,
		CacheDir: filepath.Join(dir, "cache"),
		Staged:   filepath.Join(dir, "staged"),
		Sealed:   filepath.Join(dir, "sealed"),
		ProverID: benchProver,
		Number:   benchSector + uint64(i),
		Ticket:   benchTicket,
	}
	if err := errors.Join(os.MkdirAll(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
		return s, fmt.Errorf("making the sector's files: %w", err)
	}
	return s, nil
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

// madeUpSectors are sectors with replica ids of their own and empty directories.
func madeUpSectors(dir string, n int) (all []engine.Sector, err error) {
	for i := range n {
		s := engine.Sector{CacheDir: filepath.Join(dir, fmt.Sprint(i))}
		s.ReplicaID = sha256.Sum256(fmt.Appendf(nil, "sdrbench bench sector %d", i))
		s.ReplicaID[porep.NodeSize-1] &= 0x3f
		if err := os.Mkdir(s.CacheDir, 0o777); err != nil {
			return nil, fmt.Errorf("making a sector's directory: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
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

// makePiece writes the piece to a file, so that AddPiece is not charged with
// making it: Go's ChaCha8 of a fixed seed, which Go promises not to change.
func (a *app) makePiece(ctx context.Context, path string, size porep.UnpaddedSize) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	source := io.LimitReader(rand.NewChaCha8(benchSeed), int64(size))
	return a.withCounter(ctx, "piece", source, uint64(size), func(source io.Reader) error {
		_, err := io.CopyBuffer(f, source, make([]byte, 1<<20))
		return err
	})
}

func (a *app) benchAddPiece(ctx context.Context, p porep.SealProof, path string, size porep.UnpaddedSize, stagedPath string) (added seal.AddedPiece, took time.Duration, err error) {
	piece, err := os.Open(path)
	if err != nil {
		return added, 0, fmt.Errorf("opening the piece: %w", err)
	}
	defer piece.Close()
	staged, err := os.Create(stagedPath)
	if err != nil {
		return added, 0, fmt.Errorf("creating staged: %w", err)
	}
	defer func() { err = errors.Join(err, staged.Close()) }()
	err = a.withCounter(ctx, "addpiece", piece, uint64(size), func(source io.Reader) error {
		began := time.Now()
		added, err = seal.AddPiece(ctx, p, source, size, staged, nil)
		took = time.Since(began)
		return err
	})
	return added, took, err
}

// withCounter runs a job that reads source to its end, shows how far it is and
// cancels it with ctx.
func (a *app) withCounter(ctx context.Context, stage string, source io.Reader, total uint64, job func(io.Reader) error) error {
	c := &counter{ctx: ctx, r: source}
	defer a.showProgress(func() view.Sample {
		return view.Sample{Stage: stage, Done: c.n.Load(), Total: total, Unit: "bytes"}
	})()
	return job(c)
}

type counter struct {
	ctx context.Context
	r   io.Reader
	n   atomic.Uint64
}

func (c *counter) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(b)
	c.n.Add(uint64(n))
	return n, err
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
