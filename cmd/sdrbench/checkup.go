package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

// A checkup is what `processor --check` finds.
type checkup struct {
	mu    sync.Mutex
	lines []string
	wrong int
}

func (c *checkup) line(verdict, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf("%-6s"+format, append([]any{verdict}, args...)...))
	if verdict == "wrong" {
		c.wrong++
	}
}

func (c *checkup) ok(format string, args ...any)   { c.line("ok", format, args...) }
func (c *checkup) note(format string, args ...any) { c.line("note", format, args...) }
func (c *checkup) fail(format string, args ...any) { c.line("wrong", format, args...) }

// checkProcessor prints whether a processor would do.
func (a *app) checkProcessor(ctx context.Context, stage string, check func(context.Context, *checkup)) error {
	c := &checkup{}
	for _, item := range a.settings.worker.apply() {
		if item.done != "" {
			c.ok("%s: %s", item.what, item.done)
		}
		if item.err != nil {
			c.fail("%s: %s", item.what, oneLine(item.err))
		}
	}
	if a.settings.worker.group != "" {
		c.note("VC_CG_NAME=%s: it is not joined; what matters of it here is VC_CG_CPUSET", a.settings.worker.group)
	}
	if check != nil {
		check(ctx, c)
	} else if m, err := topology.Read(); err != nil {
		c.note("the machine cannot be read: %v", err)
	} else {
		c.ok("%s, all of which a task may use", words.Count(m.Allowed().Len(), "CPU"))
	}
	for _, text := range c.lines {
		if err := a.printText("%s\n", text); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.wrong > 0 {
		return fmt.Errorf("checking processor %s: this will not do: %s", stage, words.Count(c.wrong, "wrong line"))
	}
	return a.printText("processor %s will do\n", stage)
}

// checkMachine finds whether sectors can be sealed as the options have it, with which this is wrong
// already.
func (f *pc1Processor) checkMachine(ctx context.Context, c *checkup, o sealer.Options, wrong error) {
	for _, err := range words.Errors(wrong) {
		c.fail("%s", oneLine(err))
	}
	if f.hugeFiles.wanted() {
		found := f.hugeFiles.find()
		o.HugeFiles = found.files
		if found.err != nil {
			c.fail("%s", oneLine(found.err))
		} else {
			if len(found.usable) > 0 {
				c.ok("huge page files: %s, for layers", hugepages.FilesText(found.usable))
			}
			for _, why := range hugepages.RefusalTexts(found.refused) {
				c.note("huge page files: %s", why)
			}
		}
	}
	switch {
	case f.tuned != nil:
		c.ok("profile %q", f.tuned.Path())
	case f.wrongProfile == nil:
		c.note("no profile: kernels are timed when the first sector comes; 'sdrbench tune' makes one")
	}
	o.Notes = func(n sealer.Note) { c.note("%v%s", n, forAll(n.Err)) }
	m, err := sealer.Open(ctx, o)
	opened := err == nil
	if !opened {
		for _, err := range words.Errors(optionErrors(err)) {
			c.fail("%s%s", oneLine(err), forAll(err))
		}
		// What there is on the machine can be told without what is wrong.
		o = sealer.Options{Settings: sealer.Settings{MemoryMode: o.MemoryMode, MemoryNodes: o.MemoryNodes, Budget: o.Budget}, HugeFiles: o.HugeFiles, Notes: o.Notes}
		if m, err = sealer.Open(ctx, o); err != nil {
			return
		}
	}
	defer m.Close()
	view, err := m.Look(ctx)
	if err != nil {
		c.fail("%s", oneLine(err))
		return
	}
	switch {
	case o.Policy == sealer.PolicyNone:
		c.note("--policy none: cores are neither chosen nor reserved")
	case opened:
		f.checkLocks(c, &o)
	}
	cores, freeCores := len(view.Machine.Cores()), view.FreeCores()
	if freeCores == 0 {
		c.note("no core is free now, of the machine's %d: sectors wait until one is", cores)
	} else {
		c.ok("%s for sectors, which nobody holds, of the machine's %d", words.Count(freeCores, "core"), cores)
	}
	for _, h := range view.Held {
		c.note("held: %s", h.Who())
	}
	free := view.Machine.FreeMemory(o.MemoryNodes)
	for _, pool := range topology.SortedPools(free) {
		kind, bytes := "memory", free[pool]
		if pool.PageSize > 0 {
			kind = "huge pages of " + topology.SizeText(pool.PageSize)
		}
		if bytes > 0 {
			c.ok("NUMA node %d: %s of %s free", pool.NUMANode, topology.SizeText(bytes), kind)
		}
	}
	if f.proof != noProof {
		c.room(view, f.proof, f.batch, o, true)
		return
	}
	for _, p := range []porep.SealProof{porep.StackedDrg64GiBV1_1, porep.StackedDrg32GiBV1_1, porep.StackedDrg512MiBV1_1} {
		c.room(view, p, f.batch, o, false)
	}
}

// checkLocks finds whether this user can hold cores in the lock directory, which is made, as a job
// would make it.
func (f *pc1Processor) checkLocks(c *checkup, o *sealer.Options) {
	_, err := reserve.Open(f.lockDir, "/")
	switch {
	case err == nil:
		c.ok("lock directory %q: jobs see which cores the others hold", f.lockDir)
	case o.LockDir != "":
		c.fail("%s%s", oneLine(err), forAll(err))
	default:
		c.note("cores will not be reserved: %s%s", oneLine(err), forAll(err))
	}
}

// room finds how many sectors of a proof there is room for, together.
func (c *checkup) room(view *sealer.View, p porep.SealProof, batch int, o sealer.Options, must bool) {
	settings := o.Settings
	if settings.Policy == sealer.PolicyNone {
		settings.Policy = sealer.PolicySpread
	}
	most := min(batch, 1<<8) // that many would be planned in vain
	fits := 0
	var plan *placement.Plan
	var refused error
	for low, high := 1, most; low <= high; {
		n := (low + high) / 2
		settings := settings
		settings.Hashers = min(settings.Hashers, n)
		found, err := view.Plan(p, n, settings)
		if err == nil && len(found.Jobs)*found.Request.Lanes < n {
			err = fmt.Errorf("%d of %d would be labelled after the others", n-len(found.Jobs)*found.Request.Lanes, n)
		}
		if err != nil {
			refused, high = err, n-1
			continue
		}
		fits, plan, low = n, found, n+1
	}
	size := p.SectorSize()
	explicit := batch != engine.MaxSectors
	switch {
	case fits == 0 && must:
		c.fail("%v sectors: no room: %s", size, oneLine(refused))
	case fits == 0:
		c.note("%v sectors: no room: %s", size, oneLine(refused))
	case must && explicit && fits < batch:
		c.fail("%v sectors: room for %d together, --batch wants %d: %s", size, fits, batch, oneLine(refused))
	default:
		with := ""
		if explicit && fits < batch {
			with = fmt.Sprintf(", of the %d that --batch wants", batch)
		}
		files := ""
		if len(plan.Request.InFiles) > 0 {
			files = ", layers in huge page files"
		}
		c.ok("%v sectors: room for %d together%s, hashed on %s, with %s of memory%s", size, fits, with, words.Count(len(plan.Jobs), "core"), topology.SizeText(plan.Memory), files)
	}
}
