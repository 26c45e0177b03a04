package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

type planFlags struct {
	proof   porep.SealProof
	policy  policyValue
	root    string
	lockDir string
	json    bool
	purpose string
	profile string
	compare bool
	way     engine.MemoryWay
	disk    view.Rates

	choose bool // the plan, as far as open
	open   open
	placement.Request
}

// A policyValue is what --policy says.
type policyValue struct {
	policy placement.Policy
	only   topology.CPUSet
}

func (a *app) plan() *cobra.Command {
	f := planFlags{root: "/", purpose: forThroughput, Request: placement.Request{Lanes: 1, Producers: 1}}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show how many sectors fit on a machine, and where they go",
		Long: `Plan shows how many sectors can be sealed at the same time on this machine, or on
one whose dump it is given: for each job the core that hashes, the CPUs that
produce parents for it in the same core complex, and which NUMA nodes its memory
is on. It says what keeps one sector more from fitting, and what would help. It
takes nothing.

On this machine, cores that other jobs hold are left out, and so is memory that
they have planned for and not yet touched.

Without --sectors it is the best plan: the one of all lanes, memory modes and
producers that seals the most sectors a day, or with --for latency, the one that
takes the least time for each. It shows the second best as well, and the price of
each limit: how many more sectors a day there would be without it. With --sectors
and --for, what no flag says is chosen for so many; with --sectors alone, it is
one sector on each hasher, with two layers in memory.

With --memory, what is in memory of each sector is what it lets be, as in jobs with the
same --memory: two layers, or one, or neither, in budget mode. Then the plan says how
much each job is to have, in how many segments of a layer parents are got from the disk
and by which way, what that asks of the disk at full speed, how much it writes for a
sector, and how many other cores it keeps at work. --disk-read and --disk-write say
what the disk gives in a second: then the plan says what that allows, and compares all
memory modes by it. Without them budget mode is chosen only where nothing else fits.

Times come from the cycles of the kernels that the machine's CPU features allow, and a
clock: both from a profile that tune wrote on this machine, or else from what was
measured on CPUs of the same design (AMD Zen 3, 4 and 5, Intel Emerald Rapids), or
else typical cycles at 3 GHz. The plan says which. They compare plans; what a
machine does is for bench to say. One layer in memory counts 5 % more, budget mode
15 %, and of other cores some 2,000 cycles for each label. The disk is counted as if it
read and wrote in turn. A producer that has several hashers counts with 450 cycles for
a node's parents, and for each hasher 350 and 330 more for each lane; where that is
more than a hasher takes, the hashers wait for it.

--compare shows two other layouts on the same machine, by these facts. One sector on
a group of four cores of one core complex, three of them for parents, with two layers
in memory, is the default of rust-fil-proofs' multicore SDR; on AMD Zen 4 it takes
3,840 cycles a label. Pairs are supra_seal's: two sectors on each of a core's two CPUs,
so four a core, on half of the cores, since it gives the others to disks and to the
rest of sealing; and layers on raw NVMe instead of in memory. Its authors seal 64
sectors of 32 GiB in 3.5 h on 32 cores, 1.87 million labels a second for each core that
was bought. A machine without SMT is counted as if it had it.

A job hashes one sector on its core, or several in lock-step (--lanes). Its core
and its producers' cores are its own. The policy says in which order core
complexes are used: spread, one after another; pack, one filled before the next;
or a list of CPUs, 0-7,64-71, which are then the only ones used.

Exit codes: 0 all fit, 1 not all that were asked for fit, 2 wrong usage.`,
		Example: `  sdrbench plan --proof StackedDrg32GiBV1_1
  sdrbench plan --sectors max --proof StackedDrg32GiBV1_1
  sdrbench plan --sectors 14 --proof StackedDrg32GiBV1_1 --memory 1.5TiB --policy pack
  sdrbench plan --sectors 1 --proof StackedDrg32GiBV1_1 --memory 8GiB
  sdrbench plan --proof StackedDrg32GiBV1_1 --disk-read 6GiB --disk-write 4GiB
  sdrbench plan --sectors max --proof StackedDrg32GiBV1_1 --root machine.txt --json`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	cmd.RunE = work(func(ctx context.Context, _ []string) error {
		f.choose = flags.Changed("for") || !flags.Changed("sectors")
		f.open = open{!flags.Changed("lanes"), !flags.Changed("memory-mode"), !flags.Changed("producers"), !flags.Changed("hashers-per-producer") && f.Producers <= 1}
		return a.runPlan(ctx, f)
	})
	flagVar(cmd, &f.Sectors, "sectors", "N", "how many sectors are to fit, or max for as many as do (default: as many as are best)", parseSectors)
	flagVar(cmd, &f.purpose, "for", "PURPOSE", "choose what is open for the most sectors a day, throughput, or for the least time for each, latency (default throughput)", parseFor)
	flags.BoolVar(&f.compare, "compare", false, "show what other engines' layouts would take on this machine")
	profileFlag(cmd, &f.profile, "`FILE` that tune wrote on this machine, with its kernels' cycles, or none")
	proofFlag(cmd, &f.proof, "registered seal proof")
	flagVar(cmd, &f.Budget, "memory", "SIZE", "memory for all jobs together, like 256GiB: less than two layers of each sector take needs a scratch file (default: all there is)", parseBudget)
	diskFlags(cmd, &f.disk)
	flagVar(cmd, &f.way, "memory-way", "WAY", "how budget mode gets parents that are not in memory: forward, passes, or auto (default auto)", engine.ParseMemoryWay)
	memoryNodesFlag(cmd, &f.MemoryNodes)
	flagVar(cmd, &f.policy, "policy", "POLICY", "spread, pack or a list of CPUs like 0-3,8 (default spread)", func(text string) (v policyValue, err error) {
		v.policy, v.only, err = placement.ParsePolicy(text)
		return v, err
	})
	flagVar(cmd, &f.Lanes, "lanes", "N", "sectors in lock-step on each hashing core: 1, 2, 4, 8, 16 or 32 (default 1)", parseLanes)
	flagVar(cmd, &f.Producers, "producers", "N", "CPUs that produce parents for each hashing core (default 1, or fewer where there is no room for it)", input.NumberFrom(0, topology.MaxCPUs))
	flagVar(cmd, &f.HashersPerProducer, "hashers-per-producer", "N", "hashers of a core complex that share one producer's core; their SMT siblings idle (default 1)", parseNumber)
	flagVar(cmd, &f.SMT, "smt", "USE", "what SMT siblings do: produce or idle (default produce)", placement.ParseSMTUse)
	flagVar(cmd, &f.Mode, "memory-mode", "MODE", "what of a sector is in memory: two-layers, one-layer, or budget, what --memory lets be (default what --memory lets be, otherwise two-layers)", placement.ParseMemoryMode)
	flagVar(cmd, &f.PageSize, "pages", "SIZE", "pages for layers: any, ordinary, or the size of huge pages, like 1GiB (default any)", parsePages)
	flags.StringVar(&f.root, "root", f.root, "plan for the machine of this `DIR`, which holds its sys and proc, or of a dump file")
	a.lockDirFlag(cmd, &f.lockDir)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	require(cmd, "proof")
	return cmd
}

func parseSectors(text string) (int, error) {
	if text == "max" {
		return placement.Max, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > placement.MaxSectors {
		return 0, fmt.Errorf("%q is not a number of sectors, from 1 to %d, or max", text, placement.MaxSectors)
	}
	return n, nil
}

func parseLanes(text string) (int, error) {
	for _, n := range placement.Lanes() {
		if text == strconv.Itoa(n) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%q is not 1, 2, 4, 8, 16 or 32", text)
}

func parseBudget(text string) (uint64, error) {
	n, err := parseBytes(text)
	if err == nil && n == 0 {
		err = fmt.Errorf("%q is no memory at all", text)
	}
	return n, err
}

// diskFlags are what the disk gives.
func diskFlags(cmd *cobra.Command, to *view.Rates) {
	parse := func(text string) (float64, error) {
		n, err := parseBytes(text)
		if err == nil && n == 0 {
			err = fmt.Errorf("%q is nothing at all", text)
		}
		return float64(n), err
	}
	flagVar(cmd, &to.Read, "disk-read", "SIZE", "what the disk reads in a second, like 3GiB (default: not known, or as much as --disk-write)", parse)
	flagVar(cmd, &to.Written, "disk-write", "SIZE", "what the disk writes in a second, like 2GiB (default: not known, or as much as --disk-read)", parse)
}

func parsePages(text string) (uint64, error) {
	switch text {
	case "any":
		return placement.AnyPages, nil
	case "ordinary":
		return placement.OrdinaryPages, nil
	}
	n, err := parseBytes(text)
	if err == nil && n == placement.AnyPages {
		err = fmt.Errorf("%q is no size of a page", text)
	}
	return n, err
}

func (a *app) runPlan(ctx context.Context, f planFlags) error {
	if err := checkRoot(f.root); err != nil {
		return err
	}
	// Jobs before memory: what a job touches in between counts twice, not never.
	held, err := a.heldOn(ctx, f.root, f.lockDir)
	if err != nil {
		return err
	}
	m, err := readMachine(f.root)
	if err != nil {
		return err
	}
	reserved := placement.Reserved{Memory: reserve.Untouched(held)}
	for _, h := range held {
		reserved.Cores = append(reserved.Cores, h.Cores...)
	}
	q := f.Request
	q.SectorSize = uint64(f.proof.SectorSize())
	q.Policy, q.Only = f.policy.policy, f.policy.only
	q.FewerProducers = f.open.producers // as jobs that are not told either
	speed := speedOf(m, nil)
	if m.Live() && (f.choose || f.compare) {
		profile, err := a.loadProfile(ctx, f.profile)
		if err != nil {
			return err
		}
		speed = speedOf(m, profile)
	}
	best := view.Best{Purpose: f.purpose, Cycles: speed.source, Hz: speed.hz, Gives: f.disk}
	c := &chooser{planModel: newPlanModel(m, reserved, f.proof, q, speed, f.disk), m: m, reserved: reserved, way: f.way, purpose: f.purpose}
	if !f.choose && f.open.mode && q.Budget > 0 {
		q.Mode = modeFor(q)
	}
	if !f.choose {
		f.open = open{} // but for the size of a sector's part in budget mode
	}
	if f.choose || q.Mode == placement.Budget {
		if best.Choices, err = c.choices(q, f.open); err != nil {
			return usageError{err}
		}
		best.LeftOut = c.leftOut
		if best.Choices[0].Bound == view.BoundDisk {
			if best.Faster, err = c.withoutDisk(q, f.open); err != nil {
				return usageError{err}
			}
		}
		c := best.Choices[0]
		q.Lanes, q.Mode, q.Producers, q.HashersPerProducer, q.SectorBudget = c.Lanes, c.Mode, c.Producers, c.HashersPerProducer, c.SectorBudget
		if q.Mode == placement.Budget && q.Sectors == placement.Max && c.Sectors > 0 {
			q.Sectors = c.Sectors // more would gain nothing
		}
	}
	p, err := placement.New(m, reserved, q)
	if err != nil {
		return usageError{err}
	}
	if f.compare {
		if best.Others, err = others(m, reserved, f.proof, q, speed); err != nil {
			return usageError{err}
		}
	}
	if f.json {
		out := newPlanJSON(m, f.proof, p, held, best)
		if f.Sectors == placement.Max {
			out.Asked = nil // though a number was chosen
		}
		err = a.printJSON(out)
	} else {
		err = a.printText("%s", view.Plan(m, f.proof, p, held, best))
	}
	if err == nil && !p.Fits() {
		err = &noFitError{q.Sectors, p.Max}
	}
	return err
}

// A noFitError says that a machine has no room for what was asked for.
type noFitError struct {
	asked, fit int
}

func (e *noFitError) Error() string {
	if e.asked == placement.Max {
		return "planning: not even one sector fits"
	}
	return fmt.Sprintf("planning: %s asked for, there is room for %d", words.Count(e.asked, "sector"), e.fit)
}
