package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

type benchFlags struct {
	proof porep.SealProof
	dir   string
	json  bool
	engineFlags
}

func (a *app) bench() *cobra.Command {
	f := benchFlags{proof: porep.StackedDrg512MiBV1_1}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Seal a sector of pseudo-random data, measure it, check the result",
		Long: `Bench makes a piece of pseudo-random data that fills a sector, adds it to a
staged file and does PreCommit phase 1, all in a temporary folder that it removes
at the end. It prints the rate of each step, and whether the files are those that
the reference implementation makes of the same piece, which is known for 2 KiB,
8 MiB and 512 MiB sectors.

Cycles are time multiplied with the core's clock, as measured in the same run.`,
		Example: `  sdrbench bench
  sdrbench bench --proof StackedDrg8MiBV1_1 --json
  sdrbench bench --proof StackedDrg32GiBV1_1 --dir /mnt/nvme`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runBench(ctx, f) }),
	}
	proofFlag(cmd, &f.proof, "registered seal proof")
	cmd.Flags().Lookup("proof").DefValue = f.proof.String()
	cmd.Flags().StringVar(&f.dir, "dir", "", "`DIR` for the temporary folder (default: the system's)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	f.add(a, cmd)
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
	dir := f.dir
	if dir == "" {
		dir = os.TempDir()
	}
	if err := a.checkRoom(dir, f.proof); err != nil {
		return err
	}
	dir, err = os.MkdirTemp(dir, "sdrbench-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	r, err := a.benchIn(ctx, dir, f)
	if err != nil {
		return err
	}
	if f.json {
		err = a.printJSON(r)
	} else {
		err = a.print("%s", r.text())
	}
	if err == nil && len(r.wrong) > 0 {
		err = &wrongResultError{f.proof, r.wrong}
	}
	return err
}

// checkRoom makes sure that the sector's files fit into dir.
func (a *app) checkRoom(dir string, p porep.SealProof) error {
	size := uint64(p.SectorSize())
	disk := size * uint64(4+p.Layers()) // staged, sealed, tree-d twice as large, layers
	memory := 2*size + 256<<20          // two layers, and what the rest takes
	if size >= 1<<30 {
		fmt.Fprintf(a.err, "bench: a sector of %v takes %s in %s and %s of memory\n", p.SectorSize(), bytesText(disk), dir, bytesText(memory))
	}
	free, ok, err := freeSpace(dir)
	switch {
	case err != nil:
		return fmt.Errorf("looking for room in %s: %w", dir, err)
	case ok && free < disk:
		return fmt.Errorf("looking for room in %s: %s are free, a sector of %v takes %s", dir, bytesText(free), p.SectorSize(), bytesText(disk))
	}
	return nil
}

// benchIn does the main job in a folder of its own.
func (a *app) benchIn(ctx context.Context, dir string, f benchFlags) (*benchReport, error) {
	s := seal.Sector{
		Proof:    f.proof,
		CacheDir: filepath.Join(dir, "cache"),
		Staged:   filepath.Join(dir, "staged"),
		Sealed:   filepath.Join(dir, "sealed"),
		ProverID: benchProver,
		Number:   benchSector,
		Ticket:   benchTicket,
	}
	if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
		return nil, fmt.Errorf("making the sector's files: %w", err)
	}

	piece := filepath.Join(dir, "piece")
	size := porep.PaddedSize(f.proof.SectorSize()).Unpadded()
	if err := a.makePiece(ctx, piece, size); err != nil {
		return nil, fmt.Errorf("making the piece: %w", err)
	}
	clock := coreclock.Measure()
	added, addTime, err := a.benchAddPiece(ctx, f.proof, piece, size, s.Staged)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(piece); err != nil {
		return nil, fmt.Errorf("removing the piece: %w", err)
	}

	s.Pieces = []porep.Piece{added.Piece}
	var out *seal.Output
	began := time.Now()
	err = a.withLabelOptions(ctx, f.proof, 1, &f.engineFlags, "bench", func(o seal.Options) (err error) {
		began = time.Now() // a parent cache is open now
		out, err = seal.PreCommit1(ctx, s, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := newBenchReport(out, addTime, time.Since(began))
	// The clock of a busy core, and of one that was busy just now.
	r.setClock((clock + coreclock.Measure()) / 2)
	if err := r.measureParents(f.proof); err != nil {
		return nil, err
	}
	return r, a.check(ctx, r, s)
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
	defer a.showProgress(func() sample {
		return sample{stage: stage, done: c.n.Load(), total: total, unit: "bytes"}
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
