package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/verify"
)

type verifyFlags struct {
	sector verify.Sector
	id     *porep.ReplicaID // nil: the manifest's
	sample int
	seed   uint64
	subset *verify.Subset
	full   bool
	layer  int
	staged string
	sealed string
	json   bool
	verify.Options
}

// sampledLabels of each layer are recomputed when nobody says how many: seconds on a disk that
// seeks.
const sampledLabels = 1000

func (a *app) verify() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Are the labels of a sector right?",
		Long: `Verify recomputes labels from what the layers' files hold, and compares: of a sample
by way of the standard library, which shares nothing with what made them; with --full
all of them, on all cores, by kernels that agreed with that before. It writes nothing.

A sample is --sample random nodes of each layer, its first and last ones, and those on
both sides of each 4 MiB boundary. --subset 3/8 is all of the third of eight stretches of
each layer; the eight together are all of it, so that a check can be done in goes.
--subset 5% is all of the beginning of each 4 MiB.

--full is also of the hashes in the manifest beside the layers, if there is one, which
names the replica id, too. With --staged or --sealed tree-d is computed anew from
them; sealed may be a replica.

With --memory for two layers each is read once. With less, each is gone through in
passes, and read anew for each: see docs/verify.md for what that takes.

Of each layer the first wrong node is named, with the parents of it that are wrong
themselves. Exit codes: 0 right, 1 it could not be told, 2 wrong usage, 3 wrong data.`,
		Example: `  sdrbench verify --proof StackedDrg32GiBV1_1 --cache-dir cache --replica-id $REPLICA_ID
  sdrbench verify --proof StackedDrg32GiBV1_1 --cache-dir cache --full --sealed sealed --json

  # All of it, in four nights
  sdrbench verify --proof StackedDrg32GiBV1_1 --cache-dir cache --subset 1/4`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runVerify(ctx, f) }),
	}
	flags := cmd.Flags()
	proofFlag(cmd, &f.sector.Proof, "registered seal proof")
	flags.StringVar(&f.sector.CacheDir, "cache-dir", "", "`DIR` with the layers")
	flagVar(cmd, &f.id, "replica-id", "HEX", "replica id (default: the manifest's)", func(text string) (*porep.ReplicaID, error) {
		id, err := porep.ParseReplicaID(text)
		return &id, err
	})
	f.sample = sampledLabels
	flagVar(cmd, &f.sample, "sample", "N", "random nodes of each layer (default 1000)", input.NumberFrom(0, maxNumber))
	f.seed = rand.Uint64() // #nosec G404 -- no secret: which labels are looked at
	flagVar(cmd, &f.seed, "seed", "N", "which nodes are the random ones (default: others each time)", input.SectorNumber)
	flagVar(cmd, &f.subset, "subset", "n/t|P%", "all nodes of a part of each layer", func(text string) (*verify.Subset, error) {
		s, err := verify.ParseSubset(text)
		return &s, err
	})
	flags.BoolVar(&f.full, "full", false, "all nodes")
	flagVar(cmd, &f.layer, "layer", "L", "one layer, from 1 (default: all)", parseNumber)
	flags.StringVar(&f.staged, "staged", "", "staged `FILE`, or /dev/zero, to check tree-d with")
	flags.StringVar(&f.sealed, "sealed", "", "sealed `FILE` to check tree-d with")
	flagVar(cmd, &f.Memory, "memory", "SIZE", "most memory for --full and --subset, like 8GiB (default: two layers, or what is free)", parseBudget)
	flagVar(cmd, &f.Workers, "workers", "N", "threads that check (default: one for each CPU)", parseNumber)
	kernelUse := "kernel of --full and --subset (default: the fastest that can)"
	flagVar(cmd, &f.Kernel, "kernel", "NAME", kernelUse, parseKernel)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof", "cache-dir")
	cmd.MarkFlagsMutuallyExclusive("sample", "subset", "full")
	cmd.MarkFlagsMutuallyExclusive("staged", "sealed")
	_ = cmd.MarkFlagDirname("cache-dir")
	return cmd
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (a *app) runVerify(ctx context.Context, f verifyFlags) error {
	if f.layer > 0 {
		f.Layers = []int{f.layer}
	}
	if f.Kernel == autoKernel {
		f.Kernel = ""
	}
	if f.id != nil {
		f.sector.ReplicaID = *f.id
	} else {
		m, err := manifest.Read(ctx, f.sector.CacheDir)
		if errors.Is(err, fs.ErrNotExist) && isDirectory(f.sector.CacheDir) {
			return usageError{fmt.Errorf("there is no %s that says a replica id: add --replica-id", manifest.Path(f.sector.CacheDir))}
		}
		if errors.As(err, new(*manifest.DamagedError)) {
			return fmt.Errorf("%w: %w: add --replica-id", verify.ErrWrong, err)
		}
		if err != nil {
			return err
		}
		f.sector.ReplicaID = m.ReplicaID
	}
	f.Progress = new(verify.Progress)
	r, err := f.check(ctx, a)
	if wrong := (*verify.OptionError)(nil); errors.As(err, &wrong) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if f.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else if err := a.printVerified(r); err != nil {
		return err
	}
	return r.err
}

// A verified is what verify prints.
type verified struct {
	Proof     string          `json:"proof"`
	CacheDir  string          `json:"cache_dir"`
	ReplicaID string          `json:"replica_id"`
	Checked   string          `json:"checked"` // "sample", "full" or the subset
	Seed      *uint64         `json:"seed,omitempty"`
	Right     bool            `json:"right"`
	Layers    []verifiedLayer `json:"layers"`
	TreeD     *verifiedTree   `json:"tree_d,omitempty"`
	Passes    int             `json:"passes"`
	Read      uint64          `json:"read_bytes"`
	Seconds   float64         `json:"seconds"`

	err error
}

type verifiedLayer struct {
	Layer   int         `json:"layer"`
	Path    string      `json:"path"`
	Checked uint64      `json:"checked_labels"`
	Wrong   uint64      `json:"wrong_labels"`
	First   *wrongLabel `json:"first_wrong,omitempty"`
	Length  *int64      `json:"wrong_length,omitempty"`
	Hash    *wrongHash  `json:"wrong_hash,omitempty"`
}

type wrongLabel struct {
	Node     uint64           `json:"node"`
	Offset   int64            `json:"offset"`
	Expected porep.Commitment `json:"expected"`
	Found    porep.Commitment `json:"found"`
	Parents  []wrongParent    `json:"wrong_parents"`
}

type wrongParent struct {
	Slot  int    `json:"slot"`
	Layer int    `json:"layer"`
	Node  uint64 `json:"node"`
}

type wrongHash struct {
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

type verifiedTree struct {
	Right   bool             `json:"right"`
	With    string           `json:"with"`
	Replica bool             `json:"replica"`
	CommD   porep.Commitment `json:"comm_d"`
	Error   string           `json:"error,omitempty"`
}

// check does what the flags say.
func (f *verifyFlags) check(ctx context.Context, a *app) (*verified, error) {
	r := &verified{Proof: f.sector.Proof.String(), CacheDir: f.sector.CacheDir, ReplicaID: f.sector.ReplicaID.String(), Layers: []verifiedLayer{}}
	stage := "verify"
	defer a.showProgress(func() view.Sample {
		s := view.Sample{Stage: stage, Unit: "labels"}
		s.Done, s.Total = f.Progress.Labels()
		if layer := f.Progress.Layer(); layer > 0 {
			s.Detail = fmt.Sprintf("layer %d/%d", layer, f.sector.Proof.Layers())
		}
		if passes := f.Progress.Passes(); passes > 1 {
			s.Detail += fmt.Sprintf(", %d passes each", passes)
		}
		return s
	})()
	start := time.Now()
	var report verify.Report
	var err error
	if f.full || f.subset != nil {
		if r.Checked = "full"; f.subset != nil {
			f.Subset, r.Checked = *f.subset, f.subset.String()
		}
		report, err = verify.Full(ctx, f.sector, f.Options)
	} else {
		r.Checked, r.Seed = "sample", &f.seed
		report, err = verify.Sample(ctx, f.sector, f.sample, f.seed, f.Options)
	}
	if err != nil {
		return nil, err
	}
	r.err = report.Err()
	for _, l := range report.Layers {
		r.Layers = append(r.Layers, printedLayer(l))
	}
	r.Read = f.Progress.Read()
	r.Passes = f.Progress.Passes()
	if data := f.staged + f.sealed; data != "" {
		tree, err := verify.TreeD(ctx, f.sector, data, verify.Options{Workers: f.Workers})
		if err != nil && !errors.Is(err, verify.ErrWrong) {
			return nil, errors.Join(r.err, err)
		}
		r.TreeD = &verifiedTree{Right: err == nil, With: data, Replica: tree.Replica, CommD: tree.CommD}
		if err != nil {
			r.TreeD.Error = err.Error()
		}
		r.err = errors.Join(r.err, err)
	}
	r.Seconds = time.Since(start).Seconds()
	r.Right = r.err == nil
	return r, nil
}

func printedLayer(l verify.Layer) verifiedLayer {
	v := verifiedLayer{Layer: l.Layer, Path: l.Path, Checked: l.Checked, Wrong: l.Wrong}
	if l.Length != nil {
		v.Length = &l.Length.Found
	}
	if l.Hash != nil {
		v.Hash = &wrongHash{l.Hash.Expected, l.Hash.Found}
	}
	if w := l.First; w != nil {
		v.First = &wrongLabel{w.Node, w.Offset, w.Expected, w.Found, []wrongParent{}}
		for _, p := range w.Parents {
			v.First.Parents = append(v.First.Parents, wrongParent(p))
		}
	}
	return v
}

// printVerified prints a line for each layer, and for tree-d; what is wrong is in the error.
func (a *app) printVerified(r *verified) error {
	for _, l := range r.Layers {
		result := "right"
		switch {
		case l.Length != nil:
			result = "wrong length"
		case l.Wrong > 0:
			result = words.Count(int(l.Wrong), "wrong label")
		case l.Hash != nil:
			result = "wrong hash"
		}
		if err := a.printText("layer %d: %d labels checked, %s\n", l.Layer, l.Checked, result); err != nil {
			return err
		}
	}
	if t := r.TreeD; t != nil {
		result := fmt.Sprintf("right, comm_d %v", t.CommD)
		if !t.Right {
			result = "wrong"
		}
		if err := a.printText("tree-d: %s\n", result); err != nil {
			return err
		}
	}
	return nil
}
