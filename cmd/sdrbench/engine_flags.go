package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
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
	stride      int
	lookahead   int
	mode        engine.MemoryMode
	writing     engine.Writing
	budget      uint64
	policy      placePolicy
	lockDir     string
	hugeTLBFS   string
	raisePages  bool
	strictNUMA  bool
	parentCache string
	profile     string // "": where it is by default

	changed func(name string) bool // whether a flag was given
	tuned   *profile.Profile       // nil: none
	// What a profile says and no flag does.
	smt           placement.SMTUse
	bindProducers bool // producers get CPUs of their own, as many as there are
	tunedShape    bool // kernel and hashers are the profile's
}

const autoKernel = "auto"

// A placePolicy is what --policy says: auto, none, or one of placement's.
type placePolicy struct {
	mode placeMode
	policyValue
}

type placeMode int

const (
	placeAuto  placeMode = iota // bound to cores where that can be done
	placeNever                  // wherever the system puts threads
	placeFixed                  // as policyValue says, or not at all
)

func parsePlacePolicy(text string) (p placePolicy, err error) {
	switch text {
	case "auto":
		return p, nil
	case "none":
		return placePolicy{mode: placeNever}, nil
	}
	p.mode = placeFixed
	p.policy, p.only, err = placement.ParsePolicy(text)
	if none := (*placement.PolicyError)(nil); errors.As(err, &none) && none.Err == nil {
		err = fmt.Errorf("%w, auto or none", err)
	}
	return p, err
}

func (f *engineFlags) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	f.kernel = autoKernel
	kernelFlag(cmd, &f.kernel)
	flagVar(cmd, &f.hashers, "hashers", "N", "cores that hash, at most one for each sector (default: what takes the least time)", parseNumber)
	flagVar(cmd, &f.staging, "staging", "WAY", "how parents' labels get to a hasher: inline, producers, hybrid, or auto (default auto)", engine.ParseStaging)
	flagVar(cmd, &f.producers, "producers", "N", "producers for each hasher (default 1)", parseNumber)
	flagVar(cmd, &f.stride, "stride", "N", "nodes that a producer takes at a time (default 128)", parseNumber)
	flagVar(cmd, &f.lookahead, "lookahead", "N", "nodes that producers may be ahead (default 4096 to 32768, by staging and memory mode)", parseNumber)
	flagVar(cmd, &f.mode, "memory-mode", "MODE", "what of a sector is in memory: two-layers or one-layer (default two-layers)", engine.ParseMemoryMode)
	flagVar(cmd, &f.budget, "memory", "SIZE", "memory for all hashers together, like 256GiB (default: no limit)", parseBudget)
	flagVar(cmd, &f.writing, "writing", "WAY", "the way to the disk: direct, uncached or behind (default direct)", engine.ParseWriting)
	flagVar(cmd, &f.policy, "policy", "POLICY", "where hashers run: spread, pack, a list of CPUs like 0-3,8, none for wherever, or auto (default auto: spread, if cores can be had)", parsePlacePolicy)
	a.lockDirFlag(cmd, &f.lockDir)
	flags.StringVar(&f.hugeTLBFS, "hugetlbfs", "", "`DIR` on a mounted hugetlbfs to take layers' memory from")
	flags.BoolVar(&f.raisePages, "raise-huge-pages", false, "enlarge the kernel's pool of huge pages by what is missing, as root, and give them back")
	flags.BoolVar(&f.strictNUMA, "strict-numa", false, "a page on the wrong NUMA node is an error")
	flags.StringVar(&f.parentCache, "parent-cache", "", "`DIR` with a parent cache file to use (default: compute the parents)")
	_ = cmd.MarkFlagDirname("parent-cache")
	_ = cmd.MarkFlagDirname("hugetlbfs")
	profileFlag(cmd, &f.profile, "`FILE` that tune wrote, with what no flag says, or none")
	f.changed = flags.Changed
	// A bad profile shows before any work.
	cmd.PreRunE = work(func(ctx context.Context, _ []string) (err error) {
		f.tuned, err = a.loadProfile(ctx, f.profile)
		return err
	})
}

func profileFlag(cmd *cobra.Command, to *string, usage string) {
	cmd.Flags().StringVar(to, "profile", "", usage+" (default: sdrbench/profile.toml in the user's configuration folder; SDR_PROFILE changes it)")
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

// config is what the flags, the environment and the profile say of the engine, for
// so many sectors; the error is a usageError.
func (f *engineFlags) config(a *app, p porep.SealProof, sectors int) (engine.Config, error) {
	c := engine.Config{
		Proof: p, Hashers: f.hashers, Staging: f.staging, MemoryMode: f.mode, Budget: f.budget,
		Writing: f.writing, HugeTLBFS: f.hugeTLBFS, RaisePages: f.raisePages, StrictNUMA: f.strictNUMA,
		Producers: f.producers, Stride: f.stride, Lookahead: f.lookahead,
		Memory: new(hugepages.Accounting),
	}
	if f.kernel != autoKernel {
		c.Kernel = f.kernel
	}
	var errs []error
	if !f.changed("kernel") && a.settings.kernel != "" {
		kernel, err := parseKernel(a.settings.kernel)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("SDR_KERNEL: %w", err))
		case kernel != autoKernel:
			c.Kernel = kernel
		}
	}
	for _, s := range []struct {
		flag, variable, text string
		to                   *int
	}{
		{"producers", "FIL_PROOFS_MULTICORE_SDR_PRODUCERS", a.settings.producers, &c.Producers},
		{"stride", "FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE", a.settings.stride, &c.Stride},
		{"lookahead", "FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD", a.settings.lookahead, &c.Lookahead},
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
	a.applyProfile(f, &c, sectors)
	if err := errors.Join(append(errs, f.validate(c, sectors))...); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// validate finds what is wrong with numbers before the job has files, or a place:
// wrong usage. The engine looks at everything again.
func (f *engineFlags) validate(c engine.Config, sectors int) error {
	var errs []error
	if sectors > engine.MaxSectors {
		// Before anything is worked out for each of them.
		return fmt.Errorf("%d sectors are more than one job takes, %d", sectors, engine.MaxSectors)
	}
	if f.hashers > sectors {
		errs = append(errs, fmt.Errorf("--hashers: %d, but there is work for %d: %s", f.hashers, sectors, count(sectors, "sector")))
	}
	c.Hashers = 0
	c.Sectors = []engine.Sector{{CacheDir: string(filepath.Separator)}} // a folder that is there
	return errors.Join(append(errs, c.Validate())...)
}

// prepare is config, and finds all else that is wrong and can be told without taking
// anything from the machine.
func (f *engineFlags) prepare(ctx context.Context, a *app, p porep.SealProof, sectors int) (engine.Config, error) {
	c, err := f.config(a, p, sectors)
	return c, errors.Join(err, a.checkReference(ctx), f.checkPlaces(ctx, a), f.checkHugeTLBFS(ctx))
}

// checkPlaces looks at the CPUs that --policy lists, and at the lock folder.
func (f *engineFlags) checkPlaces(ctx context.Context, a *app) error {
	if f.policy.mode == placeNever {
		return nil
	}
	var errs []error
	if m, err := topology.Read(); err == nil && f.policy.mode == placeFixed {
		q := placement.Request{SectorSize: porep.NodeSize, Policy: f.policy.policy, Only: f.policy.only}
		if _, err := placement.New(m, placement.Reserved{}, q); err != nil {
			errs = append(errs, usageError{fmt.Errorf("--policy: %w", err)})
		}
	}
	if f.needLocks() { // else place looks, and says what it could not
		if _, err := a.heldOn(ctx, "/", f.lockDir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// needLocks says whether a lock folder that cannot be used is an error: somebody named
// it, or cores.
func (f *engineFlags) needLocks() bool {
	return f.policy.mode != placeAuto || f.changed("lock-dir") || f.lockDir != reserve.DefaultDir
}

// checkHugeTLBFS makes sure that there is a hugetlbfs where one is named, be a page free
// there or not.
func (f *engineFlags) checkHugeTLBFS(ctx context.Context) error {
	if f.hugeTLBFS == "" {
		return nil
	}
	r, err := hugepages.Alloc(ctx, hugepages.Options{Size: 1, HugeTLBFS: f.hugeTLBFS, Purpose: "a look at the folder"})
	if err != nil {
		return fmt.Errorf("--hugetlbfs: %w", err)
	}
	return r.Free()
}

// withPlace takes the cores and the memory for so many sectors from the machine, and
// runs a job with what prepare returned. The job sets Sectors.
func (a *app) withPlace(ctx context.Context, f *engineFlags, c engine.Config, sectors int, what string, job func(engine.Config) error) error {
	return a.place(ctx, f, &c, sectors, what, func() error {
		// Hashers never leave their threads: the others need some of their own.
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), runtime.NumCPU()+max(1, c.Hashers)))
		closeParents, err := a.openParents(ctx, f, &c)
		if err != nil {
			return err
		}
		return errors.Join(job(c), closeParents())
	})
}

// openParents opens the parent cache that the flags ask for, and copies it to each
// NUMA node of the job if FIL_PROOFS_MAXIMIZE_CACHING says so.
func (a *app) openParents(ctx context.Context, f *engineFlags, c *engine.Config) (closeAll func() error, err error) {
	if f.parentCache == "" {
		return func() error { return nil }, nil
	}
	cache, err := parentcache.Open(ctx, c.Proof, f.parentCache)
	if err != nil {
		return nil, err
	}
	opened := []func() error{cache.Close}
	closeAll = func() (err error) {
		for _, f := range opened {
			err = errors.Join(err, f())
		}
		return err
	}
	c.Parents = cache
	if !a.settings.maximizeCaching {
		return closeAll, nil
	}
	nodes := map[int]hugepages.Node{}
	for _, p := range c.Places {
		if n, ok := p.Memory.Number(); ok {
			nodes[n] = p.Memory
		}
	}
	if len(nodes) == 0 {
		nodes[engine.NoCPU] = hugepages.Node{}
	}
	c.NodeParents = map[int]engine.ParentSource{}
	for n, node := range nodes {
		copied, err := cache.Copy(ctx, hugepages.Options{Node: node, HugeTLBFS: c.HugeTLBFS, Strict: c.StrictNUMA, Sample: 4096, Pool: c.Memory})
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		opened = append(opened, copied.Close)
		c.NodeParents[n] = copied
		c.Parents = copied
	}
	return closeAll, nil
}

// parentsCycles are what parents cost for each node, whoever hashes: they count
// where no core is left for their producers.
const parentsCycles = 450

// place chooses the cores, takes them from the machine, and calls run while they are
// held.
func (a *app) place(ctx context.Context, f *engineFlags, c *engine.Config, sectors int, what string, run func() error) error {
	if f.policy.mode == placeNever {
		return run()
	}
	m, err := topology.Read()
	if err != nil {
		if f.policy.mode == placeAuto {
			a.note("cores are not chosen: %v", err)
			return run()
		}
		return err
	}
	held, err := a.heldOn(ctx, "/", f.lockDir)
	if err != nil {
		if f.mayIgnore(err) {
			a.note("cores are neither chosen nor reserved, and those that other jobs hold cannot be seen: %v%s", err, forAll(err))
			return run()
		}
		return err
	}
	plan, err := choosePlan(m, held, f, c, sectors)
	if err != nil && f.forgetShape(c) {
		plan, err = choosePlan(m, held, f, c, sectors)
	}
	if err != nil {
		if none := (*noPlaceError)(nil); errors.As(err, &none) {
			err = fmt.Errorf("%w ('sdrbench plan' and 'sdrbench topo' show more; --policy none runs anywhere)", err)
		}
		return err
	}
	setPlaces(c, m, plan)
	if err := mayBind(m, plan); err != nil {
		a.note("threads are not bound to the CPUs that were chosen: %v", err)
	}
	request := reserve.Request{Job: what, Memory: map[topology.MemoryPool]uint64{}}
	for _, j := range plan.Jobs {
		request.Cores = append(request.Cores, j.Cores...)
		for _, share := range j.Memory {
			request.Memory[share.Pool] += share.Bytes
		}
	}
	dir, err := a.openLocks(f.lockDir)
	if err != nil {
		if f.mayIgnore(err) {
			// Those that others hold were seen, and the plan keeps off them.
			a.note("cores are not reserved, so other jobs do not see that this one takes %v: %v%s", topology.NewCPUSet(request.Cores...), err, forAll(err))
			return run()
		}
		return err
	}
	reservation, err := dir.Acquire(ctx, request)
	if err != nil {
		return err
	}
	defer reservation.Release()
	c.MemoryTaken = func() {
		for pool, bytes := range request.Memory {
			_ = reservation.Touched(ctx, pool, bytes) // a hint for other jobs
		}
	}
	return run()
}

// mayIgnore reports whether a job can go on without reserving cores: nobody asked for it,
// and the lock folder is not for this user. A guard that somebody holds is another matter.
func (f *engineFlags) mayIgnore(err error) bool {
	held := (*reserve.GuardError)(nil)
	return !f.needLocks() && !errors.As(err, &held)
}

// forAll is what to do about a lock folder that is not for this user.
func forAll(err error) string {
	if dir := (*reserve.DirError)(nil); errors.As(err, &dir) && errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf(" (as root, 'install -d -m 1777 %s' makes it a directory for all users)", dir.Path)
	}
	return ""
}

// openLocks opens a lock folder to take locks in, and tells whom it waits for.
func (a *app) openLocks(lockDir string) (*reserve.Dir, error) {
	dir, err := reserve.Open(lockDir, "/")
	if err == nil {
		dir.Patience = a.patience()
	}
	return dir, err
}

func (a *app) patience() reserve.Patience {
	return reserve.Patience{Tell: func(e *reserve.GuardError) { a.note("%v", e) }}
}

// mayBind is why no thread can be bound to a plan's first CPU, if so.
func mayBind(m *topology.Machine, plan *placement.Plan) error {
	failed := make(chan error)
	go func() { // its thread ends with it if the mask cannot be restored
		p, err := topology.Pin(m, plan.Jobs[0].Hasher)
		if err == nil {
			err = p.Release()
		}
		failed <- err
	}()
	return <-failed
}

// setPlaces has hashers run where a plan says.
func setPlaces(c *engine.Config, m *topology.Machine, plan *placement.Plan) {
	c.Machine, c.Hashers, c.Places = m, len(plan.Jobs), nil
	for _, j := range plan.Jobs {
		place := engine.Place{Hasher: j.Hasher, Producers: j.Producers}
		if len(j.Memory) > 0 {
			place.Memory = hugepages.OnNode(int(j.Memory[0].Pool.Node))
		}
		c.Places = append(c.Places, place)
	}
}

// choosePlan is the plan that takes the least time for all sectors, as far as the
// flags leave it open how many cores hash.
func choosePlan(m *topology.Machine, held []reserve.Holder, f *engineFlags, c *engine.Config, sectors int) (*placement.Plan, error) {
	reserved := placement.Reserved{Memory: reserve.Untouched(held)}
	for _, h := range held {
		reserved.Cores = append(reserved.Cores, h.Cores...)
	}
	cores, cpus := freeCores(m, held, f.policy)
	if f.smt == placement.IdleSiblings {
		cpus = cores
	}
	counts := []int{f.hashers}
	if f.hashers == 0 {
		counts = nil
		for n := 1; n <= max(1, min(sectors, cores)); n++ {
			counts = append(counts, n)
		}
	}
	var best, short *placement.Plan
	var bestCycles float64
	for _, n := range counts {
		try := *c
		try.Hashers = n
		try.Sectors = make([]engine.Sector, sectors)
		q := placement.Request{
			SectorSize: uint64(c.Proof.SectorSize()),
			Lanes:      try.LanesInMemory(),
			Policy:     f.policy.policy,
			Only:       f.policy.only,
			Mode:       c.MemoryMode,
			Budget:     c.Budget,
			SMT:        f.smt,
		}
		q.Sectors = n * q.Lanes
		cycles := try.CyclesPerNode()
		if c.Producers > 0 && (f.bindProducers || f.changed("producers")) && n*(1+c.Producers) <= cpus {
			q.Producers = c.Producers
		} else if 2*n <= cpus {
			q.Producers = 1
		}
		plan, err := placement.New(m, reserved, q)
		if err == nil && !plan.Fits() && q.Producers > 0 { // there are CPUs, but not next to the hashers
			q.Producers = 0
			plan, err = placement.New(m, reserved, q)
		}
		if err != nil {
			return nil, usageError{err}
		}
		if q.Producers == 0 && n >= cores {
			cycles += parentsCycles / float64(n)
		}
		if !plan.Fits() {
			short = plan
			continue
		}
		if best == nil || cycles < bestCycles {
			best, bestCycles = plan, cycles
		}
	}
	if best == nil {
		return nil, &noPlaceError{sectors, short, held}
	}
	return best, nil
}

// freeCores is how many cores a job can have, and how many CPUs they are.
func freeCores(m *topology.Machine, held []reserve.Holder, p placePolicy) (cores, cpus int) {
	taken := map[topology.CPU]bool{}
	for _, h := range held {
		for _, core := range h.Cores {
			taken[core] = true
		}
	}
	for _, core := range m.Cores() {
		number, _ := m.CoreNumber(core.CPUs[0])
		if taken[number] {
			continue
		}
		usable := 0
		for _, cpu := range core.CPUs {
			if m.Allowed().Contains(cpu) && (p.mode != placeFixed || p.policy != placement.List || p.only.Contains(cpu)) {
				usable++
			}
		}
		cpus += usable
		cores += min(usable, 1)
	}
	return cores, cpus
}

// A noPlaceError says why sectors cannot go anywhere on this machine now.
type noPlaceError struct {
	sectors int
	plan    *placement.Plan
	held    []reserve.Holder
}

func (e *noPlaceError) Error() string {
	s := fmt.Sprintf("placing %s: no room", count(e.sectors, "sector"))
	for _, l := range e.plan.Limits {
		s += "; " + l.Text
	}
	for _, h := range e.held {
		s += "; held: " + h.Who()
	}
	return s
}

// note tells what is not as it might be.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "sdrbench: "+format+"\n", args...)
}
