package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/topology"
)

type kernelsFlags struct {
	cpu  topology.CPU
	json bool
}

const anyCPU topology.CPU = -1

func (a *app) kernels() *cobra.Command {
	f := kernelsFlags{cpu: anyCPU}
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "Measure the label kernels, and what their instructions allow",
		Long: `Kernels measures, bound to one CPU, how many core cycles each label kernel takes
for a label, with all its data in the first two caches, and for a tree node. It
measures the instructions that kernels are made of, too. From these follows a
limit for each kernel; a ratio of 1.00 stands at the limit. Before, each kernel
is tested on that core: a wrong digest is an error.

Cycles are those of the core's clock, which is measured all along with a chain of
instructions. A figure is the median of many windows, each far shorter than a
scheduler's slice, in the middle one of five rounds. So the core need not be idle.

A label is 20 blocks of SHA-256, 9 of them with a schedule of their own (in layer 1:
5). All but the first block wait for another label. The limit is the greater of
two bounds:

  sha-ni   latency  19 × 32 × latency of sha256rnds2, over the lanes
           units    20 × 32 × its rate among many, and schedules if the unit
                    that does the rounds has to do them
  armv8    as sha-ni: 16 times sha256h and sha256h2 for a block
  avx512   latency  20 × 64 × (rotate, wait for the third rotate, ternary,
                    addition), over the lanes
           units    64 × 16 operations a block and 48 × 12 for a schedule, for 16
                    lanes; avx512/8, in half of each register, for 8
  avx2     latency  20 × 64 × (shift, 3 exclusive ors, addition), over the lanes
           units    64 × 34 operations a block and 48 × 22 for a schedule, for
                    8 lanes

A latency is a whole number of cycles. Units start an instruction every 1, 1½, 2,
3… cycles, or as many in a cycle. A figure between two of these is taken for the
lower one: what else runs on a core only makes it higher.

A tree node is two blocks, the second with a constant schedule; many at once, only
units bound it. Kernels of one instruction set have one figure for it, since they
share what makes tree nodes. There is no limit for compiled code, and none where instructions
cannot be measured, as under an emulator.

Padding (fr32) and unpadding are measured beside a copy of as much, 64 MiB: memory
bounds all three. Pieces are padded while they are in the cache, which is faster.

With --json it prints an array with an element for each kernel in layers 1 and 2.
Values that are not known are null, those of a kernel that cannot run here for
example. Tree nodes, which are in no layer, and fr32 are left out.`,
		Example: `  sdrbench kernels
  sdrbench kernels --cpu 5 --json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runKernels(ctx, f) }),
	}
	flagVar(cmd, &f.cpu, "cpu", "N", "measure on this CPU (default: the last one that no job holds)", parseCPU)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func parseCPU(text string) (topology.CPU, error) {
	n, err := input.NumberFrom(0, topology.MaxCPUs-1)(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of a CPU, from 0 to %d", text, topology.MaxCPUs-1)
	}
	return topology.CPU(n), nil
}

// A noCPUError says that there is no CPU to measure on.
type noCPUError struct{ allowed topology.CPUSet }

func (e *noCPUError) Error() string {
	if e.allowed.Len() == 0 {
		return "measuring kernels: no CPU is known that this process may use"
	}
	return fmt.Sprintf("measuring kernels: jobs hold all that this process may use, %s: --cpu measures beside one", view.Numbers("CPU", e.allowed))
}

func (a *app) runKernels(ctx context.Context, f kernelsFlags) (err error) {
	m, err := topology.Read()
	if err != nil {
		return err
	}
	if f.cpu == anyCPU {
		held, err := a.heldOn(ctx, "/", a.settings.lockDir)
		if err != nil {
			return err
		}
		if f.cpu, err = cpuToMeasure(m, heldCores(m, held)); err != nil {
			return err
		}
	}
	pin, err := topology.Pin(m, f.cpu)
	if err != nil {
		return refusedCPU(err)
	}
	defer func() { err = errors.Join(err, pin.Release()) }()
	k, err := measureKernels(ctx, measureRounds, measureWindows)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(kernelsJSON(k))
	}
	if k.FR32, err = measureFR32(ctx, measureRounds, fr32Bytes); err != nil {
		return err
	}
	return a.printText("%s", k.Text(m.Model(), f.cpu))
}

// cpuToMeasure is the last CPU, the furthest from where interrupts go, of those whose
// core no job holds; an efficiency core's only if there is no other.
func cpuToMeasure(m *topology.Machine, held view.Holder) (topology.CPU, error) {
	var free, efficient []topology.CPU
	for _, cpu := range m.Allowed().Slice() {
		core, ok := m.CoreOf(cpu)
		_, taken := held(cpu)
		switch {
		case !ok || taken:
		case m.Cores()[core].Kind == topology.Efficiency, m.Cores()[core].Kind == topology.LowPower:
			efficient = append(efficient, cpu)
		default:
			free = append(free, cpu)
		}
	}
	if len(free) == 0 {
		free = efficient
	}
	if len(free) == 0 {
		return 0, &noCPUError{m.Allowed()}
	}
	return free[len(free)-1], nil
}

// refusedCPU marks a pin's error as wrong usage where the CPU is none to choose.
func refusedCPU(err error) error {
	var pin *topology.PinError
	if errors.As(err, &pin) {
		switch pin.Reason {
		case topology.PinOffline, topology.PinCgroup, topology.PinAffinity:
			return usageError{err}
		}
	}
	return err
}
