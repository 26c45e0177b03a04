package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
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
	inputs    replicaInputs
	derived   bool // of a line: from inputs
	keep      engine.Keep
	sectors   string // a file, instead of all above
	engineFlags
}

// replicaInputs are what a replica id is made of.
type replicaInputs struct {
	prover porep.ProverID
	number uint64
	ticket porep.Ticket
	commD  porep.Piece
}

// Fields of a replica id: it alone, or all that it is made of.
var (
	idFields    = []string{"replica-id", "miner", "prover-id"}
	inputFields = []string{"sector", "ticket", "comm-d"}
)

func (r *replicaInputs) id(p porep.SealProof) (porep.ReplicaID, error) {
	return porep.NewReplicaID(p, r.prover, r.number, r.ticket, r.commD.CommP), input.CheckCommD(p, r.commD)
}

func (a *app) sdr() *cobra.Command {
	var f sdrFlags
	cmd := &cobra.Command{
		Use:   "sdr",
		Short: "Label the layers of a replica id, nothing else",
		Long: `Sdr labels all layers of a replica id into the cache dir and prints the paths of
their files. It needs no staged data and builds no tree-d. What the replica id is made of
can be given in its place: --miner, --sector, --ticket and --comm-d.

With --keep last it makes a key: a layer is removed as soon as the next one is on the disk
and was read back, so two at most are there at a time, and, while that is done, an eighth of the
next: 68 GiB of a 32 GiB sector. At the end there are two, 64 GiB instead of 352: the last, which
is the key, and the one before it, by which the key can be verified.

With --sectors it does so for all of a file, in lock-step over the machine. Each line is a
JSON object with the fields proof, cache-dir, perhaps work-dir, and replica-id, or, in the place of that, miner
or prover-id, sector, ticket and comm-d. As each ends a line is printed,
{"index":0,"layers":["…"]} or {"index":0,"error":"…"}: see pc1.
` + resumeHelp,
		Example: `  sdrbench sdr --proof StackedDrg32GiBV1_1 --cache-dir cache --replica-id $REPLICA_ID
  sdrbench sdr --proof StackedDrg32GiBV1_1 --cache-dir cache --keep last \
    --miner 1000 --sector 7 --ticket $TICKET --comm-d $COMM_D
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
	flagVar(cmd, &f.inputs.prover, "miner", "ACTOR", "the miner's actor number, 1000 or f01000, instead of a replica id", input.Miner)
	flagVar(cmd, &f.inputs.prover, "prover-id", "HEX", "prover id, instead of --miner", porep.ParseProverID)
	flagVar(cmd, &f.inputs.number, "sector", "NUMBER", "the sector's number, with --miner", input.SectorNumber)
	flagVar(cmd, &f.inputs.ticket, "ticket", "HEX", "the chain's randomness, with --miner", porep.ParseTicket)
	flagVar(cmd, &f.inputs.commD, "comm-d", "COMM_D", "the data's commitment in hex or as a CID, with --miner", input.CommD)
	flagVar(cmd, &f.keep, "keep", "LAYERS", "which layers stay: all, or last, the key and the layer before it (default all)", engine.ParseKeep)
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "label although the cache dir holds what phase 2 made of a finished sector")
	f.add(a, cmd)
	f.addTo(cmd)
	require(cmd, "proof", "cache-dir")
	_ = cmd.MarkFlagDirname("cache-dir")
	of := slices.Concat(idFields, inputFields)
	cmd.MarkFlagsMutuallyExclusive(idFields...)
	for _, name := range inputFields {
		cmd.MarkFlagsMutuallyExclusive("replica-id", name)
	}
	sectorsFlag(cmd, &f.sectors, append([]string{"proof", "cache-dir", "work-dir"}, of...)...)
	next := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		changed := cmd.Flags().Changed
		if changed("sectors") || changed("replica-id") {
			return next(cmd, args)
		}
		if !slices.ContainsFunc(idFields, changed) && !slices.ContainsFunc(inputFields, changed) {
			return errors.New("want --replica-id, or what it is made of: --miner or --prover-id, --sector, --ticket and --comm-d")
		}
		if !changed("miner") && !changed("prover-id") {
			return errors.New("a replica id is made of --miner or --prover-id, too")
		}
		for _, name := range inputFields {
			if !changed(name) {
				return fmt.Errorf("a replica id is made of --%s, too", name)
			}
		}
		return next(cmd, args)
	}
	return cmd
}

func (a *app) runSDR(ctx context.Context, f sdrFlags) error {
	if !f.changed("replica-id") {
		var err error
		if f.id, err = f.inputs.id(f.proof); err != nil {
			return usageError{err}
		}
	}
	m, err := f.prepare(ctx, a, f.proof, 1)
	sector := seal.Sector{Proof: f.proof, CacheDir: f.cacheDir, WorkDir: f.workDir}
	err = errors.Join(err, seal.CheckPaths([]seal.Sector{sector}, append(a.printedFiles(), f.readFiles(f.proof)...)...), checkCacheDir(f.cacheDir, f.overwrite))
	if f.wait { // else the job itself finds it, no later
		_, statErr := os.Stat(f.cacheDir)
		if f.workDir != "" && statErr == nil {
			_, statErr = os.Stat(f.workDir)
		}
		err = errors.Join(err, statErr)
	}
	if err != nil {
		return err
	}
	progress := new(seal.Progress)
	ctx, drain, stop := f.draining(ctx, progress)
	defer stop()
	job := sealer.Job{Name: "sdr", Wait: f.wait, Progress: progress, Drain: drain, Keep: f.keep}
	err = m.hold(ctx, f.proof, 1, job, func(h *sealer.Hold) error {
		return m.labelling(h, func() view.Sample { return sealSample(progress, f.proof) }, func() error {
			_, err := h.GenerateSDR(ctx, []engine.Sector{{ReplicaID: f.id, CacheDir: f.cacheDir, WorkDir: f.workDir}})
			return err
		})
	})
	if err != nil {
		return err
	}
	first, last := f.keep.Kept(f.proof.Layers())
	for layer := first; layer <= last; layer++ {
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
		derived := func(read sectorField) sectorField {
			return func(text string) error {
				l.derived = true
				return read(text)
			}
		}
		in := &l.inputs
		line := &sectorLine{
			fields: map[string]sectorField{
				"proof": set(&l.proof, porep.ParseSealProof), "cache-dir": set(&l.cacheDir, asText), "work-dir": set(&l.workDir, asText), "replica-id": set(&l.id, porep.ParseReplicaID),
				"miner": derived(set(&in.prover, input.Miner)), "prover-id": derived(set(&in.prover, porep.ParseProverID)),
				"sector": set(&in.number, input.SectorNumber), "ticket": set(&in.ticket, porep.ParseTicket), "comm-d": set(&in.commD, input.CommD),
			},
			need: [][]string{{"proof"}, {"cache-dir"}, idFields},
		}
		for _, name := range inputFields {
			line.need = append(line.need, []string{"replica-id", name})
		}
		return line
	})
	if err != nil {
		return err
	}
	var sectors []seal.Sector
	var toLabel []engine.Sector
	var proofs []porep.SealProof
	for i, l := range lines {
		if l.derived && l.proof.Check() == nil {
			var err error
			if l.id, err = l.inputs.id(l.proof); err != nil {
				r.fail(i+1, "comm-d: %v", err)
			}
		}
		if info, err := os.Stat(l.cacheDir); l.cacheDir != "" && err != nil {
			r.fail(i+1, "cache-dir: %v", err)
		} else if err == nil && !info.IsDir() {
			r.fail(i+1, "cache-dir: %s is not a directory", l.cacheDir)
		} else if err := checkCacheDir(l.cacheDir, f.overwrite); l.cacheDir != "" && err != nil {
			r.fail(i+1, "%v", err)
		}
		sectors = append(sectors, seal.Sector{Proof: l.proof, CacheDir: l.cacheDir, WorkDir: l.workDir})
		toLabel = append(toLabel, engine.Sector{ReplicaID: l.id, CacheDir: l.cacheDir, WorkDir: l.workDir})
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
		Name: fmt.Sprintf("sdr of %s", words.Count(len(sectors), "sector")), Wait: f.wait, Progress: progress, Drain: drain, Keep: f.keep,
		Done: func(i int, o seal.Outcome) {
			if o.Err != nil {
				w.write(i, "", nil, o.Err)
				return
			}
			var paths []string
			first, last := f.keep.Kept(proof.Layers())
			for layer := first; layer <= last; layer++ {
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
