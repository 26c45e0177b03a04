package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unsafe"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/portlimits"
	"github.com/sdr-engine/sdr/sha256"
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
           units    64 × 17 operations a block and 48 × 12 for a schedule, at
                    their measured rate, for 16 lanes; avx512/8, in half of each
                    register, for 8
  avx2     latency  20 × 64 × (shift, 3 exclusive ors, addition), over the lanes
           units    64 × 34 operations a block and 48 × 22 for a schedule, for
                    8 lanes

A tree node is two blocks, the second with a constant schedule; many at once, only
units bound it. There is no limit for compiled code, and none where instructions
cannot be measured, as under an emulator.

With --json it prints an array with an element for each kernel in layers 1 and 2.
Values that are not known are null, those of a kernel that cannot run here for
example. Tree nodes, which are in no layer, are left out.`,
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
	n, err := numberFrom(0, topology.MaxCPUs-1)(text)
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
	k, err := measureKernels(ctx)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(k.json())
	}
	return a.printText("%s", k.text(m.Model(), f.cpu))
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
		case m.Cores()[core].Kind == topology.Efficiency:
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

// Each figure is the middle one of rounds, in which everything is measured once, in so
// many windows.
const (
	measureRounds  = 5
	measureWindows = 25
)

// What is measured: labels of so many nodes at a time, and tree nodes above so many
// pairs.
const (
	kernelNodes = 64
	kernelPairs = 256
)

// layerNodes is how many nodes a layer has, besides node 0: as many as leave two
// layers and the parents' addresses in the first two caches.
func layerNodes(k *sha256.Kernel) int { return max(kernelNodes, 1024/k.Lanes) }

// A kernelsReport is everything that was measured, in one run on one core.
type kernelsReport struct {
	instructions portlimits.Figures
	kernels      []kernelReport
}

// A kernelReport is about one kernel in one layer, or, as layer 0, above pairs.
type kernelReport struct {
	kernel *sha256.Kernel
	layer  uint32
	took   coreclock.Sample // cycles a label or tree node; zero if not measured
	limit  portlimits.Limit
	err    error // why it cannot run here
}

// ratio is how many times the limit it took.
func (r *kernelReport) ratio() (ratio float64, ok bool) {
	limit, ok := r.limit.Cycles()
	if !ok || r.took.Median == 0 {
		return 0, false
	}
	return r.took.Median / limit, true
}

// perSecond is how many labels or tree nodes one core makes.
func (r *kernelReport) perSecond() float64 { return r.took.Hz / r.took.Median }

// measureKernels measures on the CPU that the caller is bound to.
func measureKernels(ctx context.Context) (*kernelsReport, error) {
	for _, k := range sha256.Kernels() {
		if k.Usable() {
			if err := k.SelfTest(); err != nil {
				return nil, err
			}
		}
	}
	report := &kernelsReport{instructions: portlimits.Measure(measureRounds, measureWindows)}
	var tasks []kernelTask
	for _, k := range sha256.Kernels() {
		set, _, _ := strings.Cut(k.Name, "/")
		for _, layer := range []uint32{1, 2, 0} {
			r := kernelReport{kernel: k, layer: layer, limit: report.instructions.Tree(set)}
			if layer > 0 {
				r.limit = report.instructions.Label(set, k.Lanes, layer)
			}
			var task kernelTask
			if _, r.err = sha256.ByName(k.Name); r.err == nil {
				var err error
				if task, err = newKernelTask(k, layer); err != nil {
					return nil, err
				}
			}
			report.kernels = append(report.kernels, r)
			tasks = append(tasks, task)
		}
	}
	samples := make([][]coreclock.Sample, len(tasks))
	for range measureRounds {
		for i, task := range tasks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if task.step == nil {
				continue
			}
			s, err := task.measure()
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], s)
		}
	}
	for i := range samples {
		report.kernels[i].took = coreclock.Middle(samples[i])
	}
	return report, nil
}

// A kernelTask is some work of a kernel, short enough for a window.
type kernelTask struct {
	step  func() error  // nil if the kernel cannot run here
	units int           // labels or tree nodes that a step makes
	layer *sha256.Layer // what is labelled, which runs do not keep
}

// newKernelTask labels nodes in a layer or, in layer 0, makes tree nodes.
func newKernelTask(k *sha256.Kernel, layer uint32) (kernelTask, error) {
	if layer == 0 {
		src, dst := make([]byte, kernelPairs*64), make([]byte, kernelPairs*32)
		return kernelTask{func() error { return k.HashPairs(dst, src) }, kernelPairs, nil}, nil
	}
	l, runs, err := kernelRuns(k, layer)
	if err != nil {
		return kernelTask{}, err
	}
	next := 0
	return kernelTask{func() error {
		r := &runs[next%len(runs)]
		next++
		return k.LabelRun(r)
	}, kernelNodes * k.Lanes, l}, nil
}

// measure is how many cycles a label or tree node takes.
func (t kernelTask) measure() (coreclock.Sample, error) {
	defer runtime.KeepAlive(t.layer)
	var failed error
	s := coreclock.Cycles(measureWindows, func() {
		if err := t.step(); err != nil {
			failed = err
		}
	})
	for _, cycles := range []*float64{&s.Median, &s.Low, &s.High} {
		*cycles /= float64(t.units)
	}
	return s, failed
}

// kernelRuns is a layer, and its nodes but node 0 in runs. A node's first parent is the
// node before, as in a graph; the others are anywhere before it, and in the layer
// before.
func kernelRuns(k *sha256.Kernel, layer uint32) (*sha256.Layer, []sha256.Run, error) {
	const base, all = 6, 14
	n := 1 + layerNodes(k) + sha256.Ahead
	random := rand.New(rand.NewPCG(1, 2))
	parents := make([]uint32, n*all)
	for i := range parents {
		node, slot := i/all, i%all
		switch {
		case slot >= base:
			parents[i] = random.Uint32N(uint32(n))
		case node > 0 && slot == 0:
			parents[i] = uint32(node - 1)
		case node > 0:
			parents[i] = random.Uint32N(uint32(node))
		}
	}
	l := &sha256.Layer{ReplicaIDs: make([][32]byte, k.Lanes), Number: layer, Labels: alignedTo(k.Align, n*k.Stride())}
	if layer > 1 {
		l.Key = alignedTo(k.Align, n*k.Stride())
	}
	rows := sha256.NewRows(n)
	if err := rows.Locate(k, l, parents); err != nil {
		return nil, nil, err
	}
	var runs []sha256.Run
	for first := 1; first <= layerNodes(k); first += kernelNodes {
		runs = append(runs, sha256.Run{
			ReplicaIDs: l.ReplicaIDs, Layer: layer, First: uint64(first),
			Out:  l.Labels[first*k.Stride():][:kernelNodes*k.Stride()],
			Rows: rows.Slice(first, n),
		})
	}
	return l, runs, nil
}

// alignedTo is size bytes at a multiple of align, a power of two.
func alignedTo(align, size int) []byte {
	b := make([]byte, size+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip:][:size:size]
}

// kernelJSON is a contract with scripts. What is not known is null.
type kernelJSON struct {
	Kernel string   `json:"kernel"`
	Lanes  int      `json:"lanes"`
	Usable bool     `json:"usable"`
	Layer  uint32   `json:"layer"`
	Cycles *float64 `json:"cycles_per_label"` // of the core that hashes, for each lane's label
	Limit  *float64 `json:"limit_cycles_per_label"`
	Ratio  *float64 `json:"ratio"`
	Labels *float64 `json:"labels_per_second"` // one core, all lanes together
	GHz    *float64 `json:"ghz"`
}

func (k *kernelsReport) json() []kernelJSON {
	known := func(v float64, digits int, ok bool) *float64 {
		if !ok {
			return nil
		}
		scale := math.Pow10(digits)
		v = math.Round(v*scale) / scale
		return &v
	}
	out := []kernelJSON{}
	for _, r := range k.kernels {
		if r.layer == 0 {
			continue
		}
		measured := r.took.Median > 0
		limit, limited := r.limit.Cycles()
		ratio, compared := r.ratio()
		out = append(out, kernelJSON{
			Kernel: r.kernel.Name, Lanes: r.kernel.Lanes, Usable: r.err == nil, Layer: r.layer,
			Cycles: known(r.took.Median, 1, measured),
			Limit:  known(limit, 1, limited && r.err == nil),
			Ratio:  known(ratio, 4, compared),
			Labels: known(r.perSecond(), 0, measured),
			GHz:    known(r.took.Hz/1e9, 4, measured),
		})
	}
	return out
}

// text is the report for people.
func (k *kernelsReport) text(model string, cpu topology.CPU) string {
	if model == "" {
		model = "unknown model"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "CPU %d: %s\n\n", cpu, model)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kernel\tlanes\tlayer\tcycles\tspread\tlimit\tratio\ta second\tGHz\t")
	var reasons []string
	for _, r := range k.kernels {
		layer := strconv.Itoa(int(r.layer))
		if r.layer == 0 {
			layer = "tree"
		}
		cycles, spread, limit, ratio, perSecond, clock := "-", "-", "-", "-", "-", "-"
		if r.took.Median > 0 {
			cycles = fmt.Sprintf("%.1f", r.took.Median)
			spread = fmt.Sprintf("%.1f %%", 100*(r.took.High-r.took.Low)/r.took.Median)
			perSecond = fmt.Sprintf("%.0f", r.perSecond())
			clock = fmt.Sprintf("%.3f", r.took.Hz/1e9)
		}
		if c, ok := r.limit.Cycles(); ok && r.err == nil {
			limit = fmt.Sprintf("%.1f", c)
		}
		if x, ok := r.ratio(); ok {
			ratio = fmt.Sprintf("%.3f", x)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.kernel.Name, r.kernel.Lanes, layer, cycles, spread, limit, ratio, perSecond, clock)
		reasons = append(reasons, r.reasons(layer)...)
	}
	w.Flush()
	b.WriteString(`
cycles: of the core, for a label or, in the lines of "tree", for a tree node; the
median. spread: from the lower to the upper quartile. a second: on this core.

limits
`)
	for _, line := range reasons {
		fmt.Fprintln(&b, line)
	}
	b.WriteString("\ninstructions, cycles for each (median, quartiles)\n")
	unknown := map[string]int{}
	for _, figure := range k.instructions {
		if figure.Unknown != "" {
			unknown[figure.Unknown]++
			continue
		}
		fmt.Fprintf(&b, "  %7.3f  (%.3f to %.3f)  %s\n", figure.Cycles, figure.Low, figure.High, figure.Name)
	}
	for _, why := range slices.Sorted(maps.Keys(unknown)) {
		fmt.Fprintf(&b, "  %s not known: %s\n", view.Count(unknown[why], "figure"), why)
	}
	return b.String()
}

// reasons says where the limit comes from, or why there is none.
func (r *kernelReport) reasons(layer string) []string {
	name := fmt.Sprintf("  %-11s %-5s", r.kernel.Name, layer)
	var unusable *sha256.KernelError
	switch {
	case errors.As(r.err, &unusable):
		if r.layer > 0 {
			return nil
		}
		return []string{fmt.Sprintf("  %-11s cannot run here: this CPU lacks %s", r.kernel.Name, strings.Join(unusable.Missing, ", "))}
	case r.limit.Unknown != "":
		return []string{name + " no limit: " + r.limit.Unknown}
	}
	var lines []string
	for _, bound := range r.limit.Bounds {
		lines = append(lines, fmt.Sprintf("%s %7.1f  %s", name, bound.Cycles, bound.Text))
		name = strings.Repeat(" ", len(name))
	}
	return lines
}
