package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// EngineFlags are the flags of every command that labels. What a flag leaves open
// is in the environment, then in the profile that tune made, then the engine's
// default.
type engineFlags struct {
	kernel      string // "auto": the best for the sectors at hand
	hashers     int
	staging     engine.Staging
	producers   int
	perProducer int // hashers
	stride      int
	lookahead   int
	mode        engine.MemoryMode
	writing     engine.Writing
	budget      uint64
	way         engine.MemoryWay
	disk        view.Rates
	limits      bool // a budget alone is a limit, for sectors that wait for each other, and no memory mode
	memoryNodes topology.MemoryNodes
	policy      policyFlag
	lockDir     string
	hugeTLBFS   string
	raisePages  bool
	strictNUMA  bool
	parentCache string
	profile     string // "": where it is by default
	wait        bool
	resumeFlags
	patience time.Duration // 0: the default; below: none
	sample   int           // labels of each layer at the end
	bare     bool          // no manifest, no labels recomputed meanwhile

	program string                 // the command, for those who look at its jobs
	changed func(name string) bool // whether a flag was given
	tuned   *sealer.Profile        // nil: none
}

const autoKernel = "auto"

// defaultSample is --verify-sample when nobody says otherwise: the engine's choice.
const defaultSample = 16

// A policyFlag is what --policy says.
type policyFlag struct {
	policy sealer.Policy
	only   topology.CPUSet
}

func parsePolicy(text string) (p policyFlag, err error) {
	p.policy, p.only, err = sealer.ParsePolicy(text)
	return p, err
}

func (f *engineFlags) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	f.kernel = autoKernel
	kernelFlag(cmd, &f.kernel)
	flagVar(cmd, &f.hashers, "hashers", "N", "cores that hash, at most one for each sector (default: what takes the least time)", parseNumber)
	flagVar(cmd, &f.staging, "staging", "WAY", "how parents' labels get to a hasher: inline, producers, hybrid, or auto (default auto)", engine.ParseStaging)
	flagVar(cmd, &f.producers, "producers", "N", "producers for each hasher (default 1)", parseNumber)
	flagVar(cmd, &f.perProducer, "hashers-per-producer", "N", "hashers of a core complex that one producer feeds, on a core of its own if there is one (default 1)", parseNumber)
	flagVar(cmd, &f.stride, "stride", "N", "nodes that a producer takes at a time (default 128)", parseNumber)
	flagVar(cmd, &f.lookahead, "lookahead", "N", "nodes that producers may be ahead (default 4096 to 32768, by staging and memory mode)", parseNumber)
	flagVar(cmd, &f.mode, "memory-mode", "MODE", "what of a sector is in memory: two-layers, one-layer, or budget, what --memory lets be (default budget with --memory, otherwise two-layers)", engine.ParseMemoryMode)
	flagVar(cmd, &f.budget, "memory", "SIZE", "memory for all hashers together, like 256GiB: less than two layers of each sector take needs a scratch file, or many times as much read (default: no limit)", parseBudget)
	flagVar(cmd, &f.way, "memory-way", "WAY", "how budget mode gets parents that are not in memory: forward, by way of a scratch file; passes, which read layers once for each segment; or auto (default auto: passes where there is no room for the scratch file)", engine.ParseMemoryWay)
	diskFlags(cmd, &f.disk)
	memoryNodesFlag(cmd, &f.memoryNodes)
	flagVar(cmd, &f.writing, "writing", "WAY", "the way to the disk: direct, uncached or behind (default direct)", engine.ParseWriting)
	flagVar(cmd, &f.policy, "policy", "POLICY", "where hashers run: spread, pack, a list of CPUs like 0-3,8, none for wherever, or auto (default auto: spread, if cores can be had)", parsePolicy)
	f.sample = defaultSample
	flagVar(cmd, &f.sample, "verify-sample", "N", "labels of each layer that are recomputed at the end, by way of the standard library; 0 is none (default 16)", input.NumberFrom(0, maxNumber))
	a.lockDirFlag(cmd, &f.lockDir)
	flags.BoolVar(&f.wait, "wait", false, "wait for cores and memory that other jobs hold, first come, first served, instead of failing")
	flagVar(cmd, &f.patience, "patience", "TIME", "for how long a job that is at work waits for room on a file system that is full, or for a disk with errors, like 10m; 0 not at all (default 1h)", parsePatience)
	flags.StringVar(&f.hugeTLBFS, "hugetlbfs", "", "`DIR` on a mounted hugetlbfs to take layers' memory from")
	flags.BoolVar(&f.raisePages, "raise-huge-pages", false, "enlarge the kernel's pool of huge pages by what is missing, as root, and give them back")
	flags.BoolVar(&f.strictNUMA, "strict-numa", false, "a page on the wrong NUMA node is an error")
	flags.StringVar(&f.parentCache, "parent-cache", "", "`DIR` with a parent cache file to use (default: compute the parents)")
	_ = cmd.MarkFlagDirname("parent-cache")
	_ = cmd.MarkFlagDirname("hugetlbfs")
	profileFlag(cmd, &f.profile, "`FILE` that tune wrote, with what no flag says, or none")
	f.program, f.changed = "sdrbench "+cmd.Name(), flags.Changed
	// A bad profile shows before any work.
	cmd.PreRunE = work(func(ctx context.Context, _ []string) (err error) {
		f.tuned, err = a.loadProfile(ctx, f.profile)
		return err
	})
}

func memoryNodesFlag(cmd *cobra.Command, to *topology.MemoryNodes) {
	flagVar(cmd, to, "memory-nodes", "NODES", "NUMA nodes whose memory layers may lie in: a list like 0-1,4, or all but GPUs' (default: those with DRAM)", topology.ParseMemoryNodes)
}

func profileFlag(cmd *cobra.Command, to *string, usage string) {
	cmd.Flags().StringVar(to, "profile", "", usage+" (default: sdrbench/profile.toml in the user's configuration directory; SDR_PROFILE changes it)")
	_ = cmd.MarkFlagFilename("profile", "toml")
}

func kernelFlag(cmd *cobra.Command, to *string) {
	flagVar(cmd, to, "kernel", "NAME", "label kernel, or auto (default auto: the best for the sectors at hand)", parseKernel)
	names := []string{autoKernel}
	for _, k := range sha256.Kernels() {
		if k.Usable() {
			names = append(names, k.Name)
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("kernel", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

func parseKernel(name string) (string, error) {
	if name == autoKernel {
		return name, nil
	}
	_, err := sha256.ByName(name)
	return name, err
}

// options are what the flags, the environment and the profile say; the error is of what
// they say wrong.
func (f *engineFlags) options(a *app) (o sealer.Options, err error) {
	o.Settings = sealer.Settings{
		Hashers: f.hashers, Staging: f.staging, Producers: f.producers, HashersPerProducer: f.perProducer, Stride: f.stride, Lookahead: f.lookahead,
		MemoryMode: f.mode, MemoryNodes: f.memoryNodes, Budget: f.budget, MemoryWay: f.way, DiskRead: uint64(f.disk.Read), DiskWrite: uint64(f.disk.Written), Writing: f.writing, Policy: f.policy.policy, CPUs: f.policy.only,
	}
	if f.budget > 0 && !f.limits && !f.changed("memory-mode") {
		o.MemoryMode = engine.Budget
	}
	if o.VerifySample = f.sample; f.sample == 0 {
		o.VerifySample = -1 // none, where 0 is the engine's choice
	}
	o.Program, o.Patience = f.program, f.patience
	o.Profile, o.ParentCache, o.ParentsInMemory = f.tuned, f.parentCache, a.settings.maximizeCaching
	o.HugeTLBFS, o.RaisePages, o.StrictNUMA = f.hugeTLBFS, f.raisePages, f.strictNUMA
	o.Resume, o.CheckpointEvery, o.Bare = f.resume(), f.checkpoint, f.bare
	if f.changed("lock-dir") || f.lockDir != reserve.DefaultDir {
		o.LockDir = f.lockDir
	}
	if f.kernel != autoKernel {
		o.Kernel = f.kernel
	}
	o.Untuned.Kernel = f.changed("kernel")
	o.Untuned.Staging = f.changed("staging")
	o.Untuned.Policy = f.changed("policy")
	var errs []error
	if !f.changed("kernel") && a.settings.kernel != "" {
		o.Untuned.Kernel = true
		kernel, err := parseKernel(a.settings.kernel)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("SDR_KERNEL: %w", err))
		case kernel != autoKernel:
			o.Kernel = kernel
		}
	}
	for _, s := range []struct {
		flag, variable, text string
		to                   *int
	}{
		{"producers", "FIL_PROOFS_MULTICORE_SDR_PRODUCERS", a.settings.producers, &o.Producers},
		{"stride", "FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE", a.settings.stride, &o.Stride},
		{"lookahead", "FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD", a.settings.lookahead, &o.Lookahead},
	} {
		if f.changed(s.flag) || s.text == "" {
			continue
		}
		n, err := parseNumber(s.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.variable, err))
			continue
		}
		*s.to = n
	}
	return o, errors.Join(errs...)
}

// validate finds what is wrong with numbers before the job has files, or cores:
// wrong usage. The engine looks at everything again.
func (f *engineFlags) validate(c engine.Config, sectors int) error {
	var errs []error
	if sectors > engine.MaxSectors {
		// Before anything is worked out for each of them.
		return fmt.Errorf("%d sectors are more than one job takes, %d", sectors, engine.MaxSectors)
	}
	if f.hashers > sectors {
		errs = append(errs, fmt.Errorf("--hashers: %d, but there is work for %d: %s", f.hashers, sectors, words.Count(sectors, "sector")))
	}
	c.Hashers = 0
	return errors.Join(append(errs, c.CheckSettings(1))...)
}

// A machine is what commands seal with.
type machine struct {
	*sealer.Machine
	a      *app
	config engine.Config // what the flags say of the job at hand, but for sectors and places

	mu   sync.Mutex
	late []sealer.Note // of how a job went, for when nothing is drawn any more
}

// prepare opens a machine for jobs of so many sectors, and finds all that is wrong with the
// flags and can be told without taking anything from it. With an error, config is there
// all the same.
func (f *engineFlags) prepare(ctx context.Context, a *app, p porep.SealProof, sectors int) (*machine, error) {
	m := &machine{a: a}
	o, err := f.options(a)
	o.Notes = m.note
	m.config = o.Config(p, sectors)
	if err = errors.Join(err, f.validate(m.config, sectors)); err != nil {
		err = usageError{err}
	}
	opened, openErr := sealer.Open(ctx, o)
	m.Machine = opened
	return m, errors.Join(err, a.checkReference(ctx), optionErrors(openErr))
}

// optionErrors says which flags an error of sealer.Open is about.
func optionErrors(openErr error) error {
	var errs []error
	for _, err := range words.Errors(openErr) {
		wrong := (*sealer.OptionError)(nil)
		switch {
		case !errors.As(err, &wrong):
			errs = append(errs, err)
		case wrong.Option == "HugeTLBFS":
			errs = append(errs, fmt.Errorf("--hugetlbfs: %w", wrong.Err))
		case wrong.Option == "Policy":
			errs = append(errs, usageError{fmt.Errorf("--policy: %w", wrong.Err)})
		default:
			errs = append(errs, usageError{err})
		}
	}
	return errors.Join(errs...)
}

// note tells people what a machine notes.
func (m *machine) note(n sealer.Note) {
	switch n.Kind {
	case sealer.NoteSlowed, sealer.NoteRanAnywhere:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.late = append(m.late, n)
	default:
		m.a.note("%v%s", n, forAll(n.Err))
	}
}

// hold takes the cores and the memory for so many sectors from the machine, and does a job
// with them.
func (m *machine) hold(ctx context.Context, p porep.SealProof, sectors int, job sealer.Job, do func(*sealer.Hold) error) error {
	h, err := m.Hold(ctx, p, sectors, job)
	if err != nil {
		return holdError(err)
	}
	return errors.Join(do(h), h.Release())
}

// holdError says what to do about an error of Hold. What placement refuses are the flags.
func holdError(err error) error {
	busy, none := (*sealer.BusyError)(nil), (*sealer.NoRoomError)(nil)
	request, cpus, budget := (*placement.RequestError)(nil), (*placement.CPUError)(nil), (*placement.BudgetError)(nil)
	nodes, config := (*topology.MemoryNodeError)(nil), (*engine.ConfigError)(nil)
	const more = "'sdrbench plan' and 'sdrbench topo' show more; --policy none runs anywhere"
	switch {
	case errors.As(err, &busy):
		return fmt.Errorf("%w (%s; --wait waits)", err, more)
	case errors.As(err, &none):
		return fmt.Errorf("%w (%s)", err, more)
	case errors.As(err, &request), errors.As(err, &cpus), errors.As(err, &budget), errors.As(err, &nodes), errors.As(err, &config):
		return usageError{err}
	}
	return err
}

// labelling does a job that labels on the cores held, and shows how far it is.
func (m *machine) labelling(h *sealer.Hold, read func() view.Sample, job func() error) error {
	c := h.Config()
	stop := m.a.showLabels(&c, read)
	err := resumeError(job())
	stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.late {
		fmt.Fprintln(m.a.err, n)
	}
	m.late = nil
	return err
}

// forAll is what to do about a lock directory that is not for this user.
func forAll(err error) string {
	if dir := (*reserve.DirError)(nil); errors.As(err, &dir) && errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf(" (as root, 'install -d -m 1777 %s' makes it a directory for all users)", dir.Path)
	}
	return ""
}

// note tells what is not as it might be.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "sdrbench: "+format+"\n", args...)
}
