package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// A benchReport is what bench prints. Its JSON is a contract with scripts:
// whatever changes the meaning of a field changes Schema.
type benchReport struct {
	Schema  int          `json:"schema"`
	Machine benchMachine `json:"machine"`
	Config  benchConfig  `json:"config"`
	GHz     float64      `json:"ghz"`   // the core's clock, 0 where it cannot be measured
	Steps   []benchStep  `json:"steps"` // besides labels; empty if there were none
	Layers  []benchLayer `json:"layers"`
	Window  *benchWindow `json:"window"` // null but for --window
	// PC1 is PreCommit 1, or as much of it as was done, from call to return.
	PC1           float64 `json:"pc1_seconds"`
	ParentsCycles float64 `json:"parents_cycles_per_node"`
	MemoryPeak    uint64  `json:"memory_peak_bytes"` // without huge pages that were reserved at boot; 0 where unknown
	// PerDay is how many 32 GiB sectors' labels these sectors' rates make in a day.
	PerDay float64 `json:"sectors_per_day_32GiB"`

	CommD   string            `json:"comm_d"`  // of the only sector; "" if it has no data
	Correct *bool             `json:"correct"` // null where nothing was checked
	Digest  string            `json:"digest"`  // of the only sector's last layer, or of the digests of all sectors'; "" if none was made
	Digests map[string]string `json:"digests"` // SHA-256 by file, of the only sector

	hz      float64
	proof   porep.SealProof
	hashing [][2]float64 // by layer: seconds of all hashers, labels
	wrong   []wrongFile
}

type benchMachine struct {
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

type benchConfig struct {
	Proof      string   `json:"proof"`
	Sectors    int      `json:"sectors"`
	Layers     int      `json:"layers"`
	Kernels    []string `json:"kernels"` // those that ran
	Hashers    int      `json:"hashers"`
	CPUs       []int    `json:"cpus"` // of the hashers; empty if they were not bound
	Staging    string   `json:"staging"`
	Producers  int      `json:"producers"`
	Stride     int      `json:"stride"`
	Lookahead  int      `json:"lookahead"`
	MemoryMode string   `json:"memory_mode"`
	Memory     uint64   `json:"memory_bytes"`
	Writing    string   `json:"writing"`
	Pages      []string `json:"pages"`   // by hasher
	Profile    string   `json:"profile"` // the file; "" for none
}

type benchStep struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"bytes_per_second"` // bytes of the sectors
}

type benchLayer struct {
	Layer   int                `json:"layer"`
	Seconds float64            `json:"seconds"`           // of the hasher that took longest
	Rate    float64            `json:"labels_per_second"` // all lanes of all hashers
	Cycles  float64            `json:"cycles_per_label"`  // core cycles of the hashing cores
	Pause   float64            `json:"pause_seconds"`     // before it, the longest
	Wait    map[string]float64 `json:"wait"`              // seconds that hashers waited, by what for; the mean of all
}

// A benchWindow is what --window adds: an estimate, and between what it lies with a
// confidence of 95 %.
type benchWindow struct {
	Seconds  float64    `json:"seconds"`           // taken, less than asked for if the layer was at its end
	PC1      float64    `json:"pc1_seconds_32GiB"` // of all sectors together, labels only
	PC1Range [2]float64 `json:"pc1_seconds_32GiB_range"`
	PerDay   [2]float64 `json:"sectors_per_day_32GiB_range"`
}

func newBenchReport(f *benchFlags) *benchReport {
	r := &benchReport{
		Schema: 1,
		Machine: benchMachine{
			CPU:  strings.TrimSpace(cpuid.CPU.BrandName),
			CPUs: runtime.NumCPU(),
			OS:   runtime.GOOS,
			Arch: runtime.GOARCH,
			Go:   runtime.Version(),
		},
		Config: benchConfig{Proof: f.proof.String(), Sectors: f.sectors, Layers: cmp.Or(f.layers, f.proof.Layers()), CPUs: []int{}},
		Steps:  []benchStep{},
		Layers: []benchLayer{},
		proof:  f.proof,
	}
	if f.tuned != nil {
		r.Config.Profile = f.tuned.Path()
	}
	return r
}

func (r *benchReport) setConfig(c engine.Config) {
	c = c.WithDefaults()
	b := &r.Config
	b.Hashers, b.Producers, b.Stride, b.Lookahead = c.Hashers, c.Producers, c.Stride, c.Lookahead
	b.Staging, b.MemoryMode, b.Writing = c.Staging.String(), c.MemoryMode.String(), c.Writing.String()
	for _, p := range c.Places {
		b.CPUs = append(b.CPUs, int(p.Hasher))
	}
}

// setMemory notes the memory that the job got.
func (r *benchReport) setMemory(all []engine.MemoryStats) {
	for _, m := range all {
		r.Config.Memory += m.Bytes
		r.Config.Pages = append(r.Config.Pages, m.Backing.String())
	}
}

func (r *benchReport) setOutputs(outs []seal.Outcome, addPiece time.Duration) {
	var treeD, sealed time.Duration
	for _, out := range outs {
		treeD += out.Output.Timings.TreeD
		sealed += out.Output.Timings.Sealed
	}
	step := func(name string, took time.Duration) {
		r.Steps = append(r.Steps, benchStep{name, took.Seconds(), perTime(uint64(r.proof.SectorSize())*uint64(len(outs)), took)})
	}
	step("addpiece", addPiece)
	step("tree-d", treeD)
	step("sealed", sealed)
	if len(outs) == 1 {
		r.CommD = outs[0].Output.CommD.String()
	}
	r.setLayers(outs[0].Output.Timings.Labels)
}

// setLayers adds up what the engine says of each layer of each sector: sectors of
// one batch went together, batches of one hasher one after another.
func (r *benchReport) setLayers(result engine.Result) {
	r.setMemory(result.Memory)
	n := r.Config.Layers
	type sum struct {
		seconds, pause float64
		wait           engine.Waits
	}
	sums := make([]map[int]*sum, n) // by layer, then hasher
	labels := make([]uint64, n)
	for _, l := range result.Layers {
		i := l.Layer - 1
		labels[i] += l.Nodes
		if sums[i] == nil {
			sums[i] = map[int]*sum{}
		}
		s := sums[i][l.Hasher]
		if s == nil {
			s = &sum{}
			sums[i][l.Hasher] = s
		}
		// The entries of a batch's sectors are the same.
		s.seconds += l.Hashing.Seconds() / float64(l.Lanes)
		s.pause = max(s.pause, l.Pause.Seconds())
		for w, d := range l.Waited {
			s.wait[w] += d / time.Duration(l.Lanes)
		}
		if !slices.Contains(r.Config.Kernels, l.Kernel) {
			r.Config.Kernels = append(r.Config.Kernels, l.Kernel)
		}
	}
	for i := range n {
		layer := benchLayer{Layer: i + 1, Wait: map[string]float64{}}
		var all float64
		for _, s := range sums[i] {
			layer.Seconds = max(layer.Seconds, s.seconds)
			layer.Pause = max(layer.Pause, s.pause)
			all += s.seconds
			for w, d := range s.wait {
				layer.Wait[engine.Wait(w).String()] += d.Seconds() / float64(len(sums[i]))
			}
		}
		if layer.Seconds > 0 {
			layer.Rate = float64(labels[i]) / layer.Seconds
		}
		r.Layers = append(r.Layers, layer)
		r.hashing = append(r.hashing, [2]float64{all, float64(labels[i])})
	}
	last := r.Layers[n-1]
	r.PerDay = perDay(r.Layers[0].Rate, last.Rate*last.Seconds/(last.Seconds+last.Pause))
}

const (
	day        = 24 * 60 * 60
	nodes32GiB = 1 << 30
	layers32   = 11
)

// perDay is how many 32 GiB sectors' labels come in a day at the rates of layer 1
// and of later layers.
func perDay(first, later float64) float64 {
	if first <= 0 || later <= 0 {
		return 0
	}
	return day / (nodes32GiB/first + (layers32-1)*nodes32GiB/later)
}

// setWindow works out from a part of layer 2 what a whole phase 1 takes.
func (r *benchReport) setWindow(m engine.Measurement) {
	r.setMemory(m.Memory)
	sectors := float64(r.Config.Sectors)
	layer := benchLayer{Layer: 2, Wait: map[string]float64{}}
	var slowest benchWindow
	var hashing, labels float64
	for _, h := range m.Hashers {
		s := benchmath.AssumeNothing.Summary(benchmath.NewSample(h.Slices, &benchmath.DefaultThresholds), 0.95)
		// Nodes a second to seconds for all of a hasher's batches, and the pauses in between.
		pause := h.Pause.Seconds() / float64(r.proof.SectorSize().Nodes()) * (layers32 - 1) / layers32
		whole := func(rate float64) float64 { return layers32 * nodes32GiB * float64(h.Batches) * (1/rate + pause) }
		layer.Pause = max(layer.Pause, h.Pause.Seconds())
		if pc1 := whole(s.Center); pc1 > slowest.PC1 {
			slowest.PC1, slowest.PC1Range = pc1, [2]float64{whole(s.Hi), whole(s.Lo)}
		}
		layer.Seconds = max(layer.Seconds, h.Took.Seconds())
		rate := float64(h.Nodes) * float64(h.Lanes) / h.Took.Seconds()
		layer.Rate += rate
		hashing += h.Took.Seconds()
		labels += float64(h.Nodes) * float64(h.Lanes)
		for w, d := range h.Waited {
			layer.Wait[engine.Wait(w).String()] += d.Seconds() / float64(len(m.Hashers))
		}
		if !slices.Contains(r.Config.Kernels, h.Kernel) {
			r.Config.Kernels = append(r.Config.Kernels, h.Kernel)
		}
	}
	slowest.Seconds = layer.Seconds
	r.PerDay = sectors * day / slowest.PC1
	slowest.PerDay = [2]float64{sectors * day / slowest.PC1Range[1], sectors * day / slowest.PC1Range[0]}
	r.Window = &slowest
	r.Layers = append(r.Layers, layer)
	r.hashing = append(r.hashing, [2]float64{hashing, labels})
}

// perTime is a rate, 0 where the time is too short to tell.
func perTime(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func (r *benchReport) setClock(hz float64) {
	r.hz, r.GHz = hz, hz/1e9
	for i, h := range r.hashing {
		if h[1] > 0 {
			r.Layers[i].Cycles = hz * h[0] / h[1]
		}
	}
}

// text is the report for people.
func (r *benchReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s", name)
		fmt.Fprintf(&b, format, args...)
		b.WriteByte('\n')
	}
	cpu := r.Machine.CPU
	if cpu == "" {
		cpu = "unknown CPU"
	}
	c := &r.Config
	size := r.proof.SectorSize()
	line("machine", "%s, %s, %s/%s, %s", cpu, words.Count(r.Machine.CPUs, "CPU"), r.Machine.OS, r.Machine.Arch, r.Machine.Go)
	line("proof", "%s: %s of %s labels", c.Proof, words.Count(c.Layers, "layer"), view.Thousands(size.Nodes()))
	line("kernel", "%s at %.2f GHz", strings.Join(c.Kernels, ", "), r.GHz)
	where := "not bound to cores"
	if len(c.CPUs) > 0 {
		where = fmt.Sprintf("on %s %s", view.Verb(len(c.CPUs), "CPU", "CPUs"), strings.Trim(fmt.Sprint(c.CPUs), "[]"))
	}
	line("hashers", "%d %s; %s, %s staging, %s", c.Hashers, where, words.Count(c.Sectors, "sector"), c.Staging, c.MemoryMode)
	b.WriteByte('\n')
	for _, s := range r.Steps {
		line(s.Name, "%9.3f s  %9.2f GB/s", s.Seconds, s.Rate/1e9)
	}
	for _, l := range r.Layers {
		name := fmt.Sprintf("layer %d", l.Layer)
		if r.Window != nil {
			name = "window"
		}
		waited := ""
		for _, w := range slices.Sorted(maps.Keys(l.Wait)) {
			if share := l.Wait[w] / l.Seconds; share >= 0.001 {
				waited += fmt.Sprintf("  waited %.1f %% for %s", 100*share, w)
			}
		}
		if l.Pause >= 0.001 {
			waited += fmt.Sprintf("  after a pause of %.3f s", l.Pause)
		}
		line(name, "%9.3f s  %9.3f M labels/s  %7s cycles a label%s", l.Seconds, l.Rate/1e6, view.Thousands(uint64(l.Cycles+0.5)), waited)
	}
	if r.PC1 > 0 {
		name := "PreCommit 1"
		if len(r.Steps) == 0 {
			name = "all layers"
		}
		line(name, "%9.3f s", r.PC1)
	}
	if w := r.Window; w != nil {
		line("32 GiB", "%s for all labels of %s (%s to %s)", hours(w.PC1), words.Count(c.Sectors, "sector"), hours(w.PC1Range[0]), hours(w.PC1Range[1]))
	}
	line("a day", "%.1f sectors of 32 GiB, labels only", r.PerDay)
	b.WriteByte('\n')
	line("parents", "%s cycles a node", view.Thousands(uint64(r.ParentsCycles+0.5)))
	line("layers in", "%s of memory, %s", topology.SizeText(c.Memory), strings.Join(slices.Compact(slices.Clone(c.Pages)), ", "))
	if r.MemoryPeak > 0 {
		line("memory", "%s at the peak", topology.SizeText(r.MemoryPeak))
	}
	switch {
	case r.Correct == nil:
		line("result", "not checked: no known digests for %s", c.Proof)
	case !*r.Correct:
		line("result", "WRONG, not as the reference's: %s", wrongNames(r.wrong))
	case r.Digests != nil:
		line("result", "right, as the reference's: comm_d and %s", words.Count(len(r.Digests), "file"))
	default:
		line("result", "right: a sample of the labels was recomputed another way")
	}
	return b.String()
}

// hours writes a time of some hours.
func hours(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// printGobench prints the layers as Go benchmarks print their results.
func (r *benchReport) printGobench(w io.Writer) error {
	out := benchfmt.NewWriter(w)
	for _, l := range r.Layers {
		c := &r.Config
		name := fmt.Sprintf("Label/proof=%s/kernel=%s/sectors=%d/hashers=%d/staging=%s/memory=%s/layer=%d",
			c.Proof, strings.ReplaceAll(strings.Join(c.Kernels, "+"), "/", ":"), c.Sectors, c.Hashers, c.Staging, c.MemoryMode, l.Layer)
		labels := max(1, int(l.Rate*l.Seconds+0.5))
		result := benchfmt.Result{
			Name:  benchfmt.Name(name),
			Iters: labels,
			Values: []benchfmt.Value{
				{Value: 1 / l.Rate, Unit: "sec/op", OrigValue: 1e9 / l.Rate, OrigUnit: "ns/op"},
				{Value: l.Cycles, Unit: "cycles/label"},
				{Value: l.Rate, Unit: "labels/s"},
			},
		}
		if err := out.Write(&result); err != nil {
			return fmt.Errorf("writing to standard output: %w", err)
		}
	}
	return nil
}
