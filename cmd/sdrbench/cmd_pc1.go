package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

type pc1Flags struct {
	sector    seal.Sector
	output    string
	pieces    string
	sectors   string // a file, instead of all above
	overwrite bool
	engineFlags
}

func (a *app) pc1() *cobra.Command {
	var f pc1Flags
	cmd := &cobra.Command{
		Use:   "pc1",
		Short: "Do PreCommit phase 1 of a sector",
		Long: `Pc1 builds tree-d in the cache dir, checks the pieces against it, copies the
staged data to the sealed file and labels all layers into the cache dir. It
prints the phase 1 JSON, which phase 2 goes on from, and nothing else.

The cache dir and the sealed file must exist. Staged may be /dev/zero, a sector
without deals; then no piece is given. A sealed file that holds something else
than staged data or zeros, the replica that phase 2 makes of it for example, is
not touched without --overwrite.

With --staged-mode move, staged gets sealed's path when all labels are there, which takes
no time and no room. Whatever fails, the data is under one of the two names: before, under
staged's; after, under sealed's, and the same command, done again, goes on from there.

With --sectors it does so for all sectors of a file, in lock-step over the machine. Each
line is a JSON object with fields named as the flags are: proof, cache-dir, work-dir, staged,
sealed, miner or prover-id, sector, ticket, piece (a list) or pieces, staged-mode, tree-d, output. All of them
have one proof. All that is wrong with the file is told by line, before any work. As each
sector ends a line is printed, {"index":0,"phase1":{…}} or {"index":0,"error":"…"}, where index
counts the file's lines from 0. A sector that fails leaves the others alone; the exit
code is 1 then.

An output of an earlier run goes when labels begin. A result that cannot be
written at the end is printed on standard error, and the exit code is 1.
` + resumeHelp,
		Example: `  sdrbench pc1 --proof StackedDrg32GiBV1_1 --cache-dir cache --staged staged --sealed sealed \
    --miner 1000 --sector 7 --ticket $TICKET --piece $COMM_P:34091302912 --output p1.json

  # A sector without deals
  sdrbench pc1 --proof StackedDrg32GiBV1_1 --cache-dir cache --staged /dev/zero --sealed sealed \
    --miner f01000 --sector 8 --ticket $TICKET >p1.json

  # Many sectors together, when there is room for them
  sdrbench pc1 --sectors sectors.jsonl --wait >done.jsonl`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error {
			if f.sectors != "" {
				return a.runPC1Sectors(ctx, f)
			}
			return a.runPC1(ctx, f)
		}),
	}
	s := &f.sector
	proofFlag(cmd, &s.Proof, "registered seal proof")
	cmd.Flags().StringVar(&s.CacheDir, "cache-dir", "", "`DIR` for tree-d and the layers")
	cmd.Flags().StringVar(&s.Staged, "staged", "", "staged `FILE`, or /dev/zero")
	cmd.Flags().StringVar(&s.Sealed, "sealed", "", "sealed `FILE`")
	flagVar(cmd, &s.ProverID, "miner", "ACTOR", "the miner's actor number, 1000 or f01000", input.Miner)
	flagVar(cmd, &s.ProverID, "prover-id", "HEX", "prover id, instead of --miner", porep.ParseProverID)
	flagVar(cmd, &s.Number, "sector", "NUMBER", "the sector's number", input.SectorNumber)
	flagVar(cmd, &s.Ticket, "ticket", "HEX", "the chain's randomness", porep.ParseTicket)
	flagVar(cmd, &s.Pieces, "piece", "PIECE", "a piece: COMM_P:UNPADDED, comm_p in hex or as a CID, or a CID of version 2; once for each, in order",
		func(text string) ([]porep.Piece, error) {
			piece, err := input.Piece(text)
			return append(s.Pieces, piece), err
		})
	cmd.Flags().StringVar(&f.pieces, "pieces", "", "the record `FILE` of addpiece --record, instead of --piece")
	cmd.MarkFlagsMutuallyExclusive("piece", "pieces")
	flagVar(cmd, &s.StagedMode, "staged-mode", "MODE", "how sealed gets the staged data: copy (which shares blocks where it can), reflink (or an error) or move (staged is gone then) (default copy)", seal.ParseStagedMode)
	cmd.Flags().StringVar(&s.TreeD, "tree-d", "", "`FILE` that addpiece --tree-d has left: compared with staged and moved into the cache dir, unless that has one")
	cmd.Flags().StringVar(&f.output, "output", "", "`FILE` for the phase 1 JSON, - for standard output (default -)")
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "seal again, although the sealed file holds a replica, or the cache dir what phase 2 made of a finished sector")
	f.add(a, cmd)
	f.addTo(cmd)
	require(cmd, "proof", "cache-dir", "staged", "sealed", "sector", "ticket")
	cmd.MarkFlagsOneRequired("miner", "prover-id")
	cmd.MarkFlagsMutuallyExclusive("miner", "prover-id")
	_ = cmd.MarkFlagDirname("cache-dir")
	sectorsFlag(cmd, &f.sectors, "proof", "cache-dir", "work-dir", "staged", "sealed", "miner", "prover-id", "sector", "ticket", "piece", "pieces", "staged-mode", "tree-d", "output")
	return cmd
}

func (a *app) runPC1(ctx context.Context, f pc1Flags) error {
	if f.pieces != "" {
		var err error
		if f.sector.Pieces, err = seal.ReadPieces(f.pieces, f.sector.Proof); err != nil {
			return err
		}
	}
	f.sector.WorkDir = f.workDir
	m, err := f.prepare(ctx, a, f.sector.Proof, 1)
	// Nothing is created before it is known to destroy nothing, and all that is wrong is
	// told at once; only a reader is not waited for in vain.
	filesErr := f.checkFiles(ctx, a)
	if f.wait { // else the job itself finds it, no later
		filesErr = errors.Join(filesErr, f.sector.Check())
	}
	var to *output
	if filesErr == nil && (err == nil || !isPipe(f.output)) {
		to, filesErr = f.openOutput(ctx, a)
	}
	defer to.close()
	if err := errors.Join(err, filesErr); err != nil {
		return err
	}
	progress := new(seal.Progress)
	if a.watch != nil {
		a.watch(progress)
	}
	ctx, drain, stop := f.draining(ctx, progress)
	defer stop()
	job := sealer.Job{Name: sealer.JobName([]seal.Sector{f.sector}), Wait: f.wait, Progress: progress, Drain: drain, Begin: to.begin}
	var outs []seal.Outcome
	err = m.hold(ctx, f.sector.Proof, 1, job, func(h *sealer.Hold) error {
		return m.labelling(h, func() view.Sample { return sealSample(progress, f.sector.Proof) }, func() (err error) {
			outs, err = h.PreCommit1(ctx, []seal.Sector{f.sector})
			return err
		})
	})
	if err != nil {
		return err
	}
	text, err := outs[0].Output.JSON()
	if err != nil {
		return err
	}
	return to.write(text)
}

// checkFiles finds what must not be written to, before anything is.
func (f *pc1Flags) checkFiles(ctx context.Context, a *app) error {
	others := slices.Concat(f.readFiles(f.sector.Proof), outputFile(f.output), a.printedFiles(), recordFiles(f.pieces, f.sector.Staged))
	if err := seal.CheckPaths([]seal.Sector{f.sector}, others...); err != nil {
		return err
	}
	return f.checkSealed(ctx, f.overwrite)
}

// checkSealed finds a replica that would be destroyed.
func (f *pc1Flags) checkSealed(ctx context.Context, overwrite bool) error {
	if overwrite {
		return nil
	}
	err := f.sector.CheckSealed(ctx)
	if replica := (*seal.ReplicaError)(nil); errors.As(err, &replica) {
		err = fmt.Errorf("%w (--overwrite destroys it and seals again)", err)
	}
	return errors.Join(err, checkCacheDir(f.sector.CacheDir, overwrite))
}

// checkCacheDir finds what a finished sector needs, and would lose.
func checkCacheDir(cacheDir string, overwrite bool) error {
	if overwrite {
		return nil
	}
	if err := seal.CheckCacheDir(cacheDir); err != nil {
		return fmt.Errorf("%w (--overwrite removes it)", err)
	}
	return nil
}

// openOutput takes the room that the result needs at most: of comm_d's numbers each has up
// to three digits.
func (f *pc1Flags) openOutput(ctx context.Context, a *app) (*output, error) {
	longest := seal.Output{Proof: f.sector.Proof, CacheDir: f.sector.CacheDir}
	for i := range longest.CommD {
		longest.CommD[i] = 255
	}
	text, err := longest.JSON()
	if err != nil {
		return nil, err
	}
	return a.openOutput(ctx, f.output, int64(len(text)))
}

// A pc1Line is a line of a sectors file.
type pc1Line struct {
	pc1Flags
	to *output
}

func (l *pc1Line) fields() *sectorLine {
	s := &l.sector
	return &sectorLine{
		fields: map[string]sectorField{
			"proof":     set(&s.Proof, porep.ParseSealProof),
			"cache-dir": set(&s.CacheDir, asText),
			"work-dir":  set(&s.WorkDir, asText),
			"staged":    set(&s.Staged, asText),
			"sealed":    set(&s.Sealed, asText),
			"miner":     set(&s.ProverID, input.Miner),
			"prover-id": set(&s.ProverID, porep.ParseProverID),
			"sector":    set(&s.Number, input.SectorNumber),
			"ticket":    set(&s.Ticket, porep.ParseTicket),
			"piece": func(text string) error {
				piece, err := input.Piece(text)
				s.Pieces = append(s.Pieces, piece)
				return err
			},
			"pieces":      set(&l.pieces, asText),
			"staged-mode": set(&s.StagedMode, seal.ParseStagedMode),
			"tree-d":      set(&s.TreeD, asText),
			"output":      set(&l.output, asText),
		},
		list:   "piece",
		need:   [][]string{{"proof"}, {"cache-dir"}, {"staged"}, {"sealed"}, {"miner", "prover-id"}, {"sector"}, {"ticket"}},
		either: [][]string{{"piece", "pieces"}},
	}
}

// runPC1Sectors does all sectors of a file together.
func (a *app) runPC1Sectors(ctx context.Context, f pc1Flags) error {
	lines, err := f.readLines(ctx, a)
	if err != nil {
		return err
	}
	sectors := make([]seal.Sector, len(lines))
	for i, l := range lines {
		sectors[i] = l.sector
	}
	proof := sectors[0].Proof
	m, err := f.prepare(ctx, a, proof, len(sectors))
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.to, err = l.openOutput(ctx, a); err != nil {
			return err
		}
		defer l.to.close()
	}
	w := &lineWriter{a: a}
	progress := new(seal.Progress)
	ctx, drain, stop := f.draining(ctx, progress)
	defer stop()
	job := sealer.Job{
		Name: sealer.JobName(sectors), Wait: f.wait, Progress: progress, Drain: drain,
		Begin: func() error {
			var errs []error
			for _, l := range lines {
				errs = append(errs, l.to.begin())
			}
			return errors.Join(errs...)
		},
		Done: func(i int, o seal.Outcome) { lines[i].done(w, i, o) },
	}
	err = m.hold(ctx, proof, len(sectors), job, func(h *sealer.Hold) error {
		return m.labelling(h, func() view.Sample { return sealSample(progress, proof) }, func() error {
			_, err := h.PreCommit1(ctx, sectors)
			return err
		})
	})
	return w.err(ctx, len(sectors), err)
}

// readLines reads the sectors file, and says all that is wrong with it and with the files
// that it names.
func (f *pc1Flags) readLines(ctx context.Context, a *app) (lines []*pc1Line, err error) {
	r := &sectorsReader{path: f.sectors}
	err = r.lines(ctx, a, func() *sectorLine {
		l := &pc1Line{}
		l.sector.Proof = noProof
		lines = append(lines, l)
		return l.fields()
	})
	if err != nil {
		return nil, err
	}
	var sectors []seal.Sector
	var proofs []porep.SealProof
	others := append(a.printedFiles(), a.sectorsFile(f.sectors))
	for i, l := range lines {
		if l.pieces != "" && l.sector.Proof.Check() == nil {
			if l.sector.Pieces, err = seal.ReadPieces(l.pieces, l.sector.Proof); err != nil {
				r.fail(i+1, "pieces: %v", err)
			}
		}
		if l.output == "-" || l.output != "" && isStandardOutput(l.output) {
			r.fail(i+1, "output: standard output has a line for each sector anyway")
			l.output = ""
		} else if l.output != "" && isPipe(l.output) {
			r.fail(i+1, "output: %q is a pipe, want a file", l.output)
		}
		if !r.bad(i + 1) { // what else is wrong follows from what is missing
			r.failAll(i+1, l.sector.Check())
			if err := l.checkSealed(ctx, f.overwrite); err != nil {
				r.fail(i+1, "%v", err)
			}
		}
		others = append(others, recordFiles(l.pieces, l.sector.Staged)...)
		for _, file := range outputFile(l.output) {
			file.Role = fmt.Sprintf("output of sector %d", i)
			others = append(others, file)
		}
		sectors, proofs = append(sectors, l.sector), append(proofs, l.sector.Proof)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.sameProof(proofs)
	if len(sectors) > 0 {
		r.paths(sectors, append(others, f.readFiles(proofs[0])...)...)
	}
	return lines, r.err()
}

// done writes a sector's result to its own output, if it has one, and says that it has ended.
func (l *pc1Line) done(w *lineWriter, i int, o seal.Outcome) {
	if o.Err != nil {
		w.write(i, "", nil, o.Err)
		return
	}
	text, err := o.Output.JSON()
	if err == nil && l.output != "" {
		err = l.to.put(text)
	}
	w.write(i, "phase1", text, err)
}
