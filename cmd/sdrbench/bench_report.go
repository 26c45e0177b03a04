package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A benchReport is what bench prints, and what it is worked out from.
type benchReport struct {
	view.Bench

	hz      float64
	proof   porep.SealProof
	hashing [][2]float64 // by layer: seconds of all hashers, labels
	wrong   []wrongFile
}

func newBenchReport(f *benchFlags) *benchReport {
	r := &benchReport{proof: f.proof, Bench: view.Bench{
		Schema: 1,
		Machine: view.BenchMachine{
			CPU:  strings.TrimSpace(cpuid.CPU.BrandName),
			CPUs: runtime.NumCPU(),
			OS:   runtime.GOOS,
			Arch: runtime.GOARCH,
			Go:   runtime.Version(),
		},
		Config: view.BenchConfig{Bare: f.bare, Proof: f.proof.String(), Sectors: f.sectors, Layers: cmp.Or(f.layers, f.proof.Layers()), CPUs: []int{}},
		Steps:  []view.BenchStep{},
		Layers: []view.BenchLayer{},
		Nodes:  f.proof.SectorSize().Nodes(),
	}}
	if f.tuned != nil {
		r.Config.Profile = f.tuned.Path()
	}
	return r
}

func (r *benchReport) setConfig(c engine.Config) {
	c = c.WithDefaults()
	b := &r.Config
	b.Hashers, b.Producers, b.Sharing, b.Stride, b.Lookahead = c.Hashers, c.Producers, c.HashersPerProducer, c.Stride, c.Lookahead
	b.Staging, b.MemoryMode, b.Writing = c.Staging.String(), c.MemoryMode.String(), c.Writing.String()
	for _, p := range c.Places {
		b.CPUs = append(b.CPUs, int(p.Hasher))
	}
}

// setMemory notes the memory that the job got, and the way that budget mode went.
func (r *benchReport) setMemory(all []engine.MemoryStats, way engine.MemoryWay) {
	if r.Config.MemoryMode == engine.Budget.String() {
		r.Config.MemoryWay = way.String()
	}
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
		r.Steps = append(r.Steps, view.BenchStep{Name: name, Seconds: took.Seconds(), Rate: perTime(uint64(r.proof.SectorSize())*uint64(len(outs)), took)})
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
	r.setMemory(result.Memory, result.MemoryWay)
	r.Rechecked = view.BenchRecheck{Labels: result.Rechecked.Labels, Seconds: result.Rechecked.CPU.Seconds()}
	n := r.Config.Layers
	type sum struct {
		seconds, pause float64
		wait           engine.Waits
		read, written  float64
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
		s.read += float64(l.Read) / float64(l.Lanes)
		s.written += float64(l.Written) / float64(l.Lanes)
		for w, d := range l.Waited {
			s.wait[w] += d / time.Duration(l.Lanes)
		}
		if !slices.Contains(r.Config.Kernels, l.Kernel) {
			r.Config.Kernels = append(r.Config.Kernels, l.Kernel)
		}
	}
	for i := range n {
		layer := view.BenchLayer{Layer: i + 1, Wait: map[string]float64{}}
		var all, read, written float64
		for _, s := range sums[i] {
			read, written = read+s.read, written+s.written
			layer.Seconds = max(layer.Seconds, s.seconds)
			layer.Pause = max(layer.Pause, s.pause)
			all += s.seconds
			for w, d := range s.wait {
				layer.Wait[engine.Wait(w).String()] += d.Seconds() / float64(len(sums[i]))
			}
		}
		if layer.Seconds > 0 {
			layer.Rate = float64(labels[i]) / layer.Seconds
			layer.Disk = view.DiskOf(&layer, read/float64(labels[i]), written/float64(labels[i]))
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
	r.setMemory(m.Memory, m.MemoryWay)
	sectors := float64(r.Config.Sectors)
	layer := view.BenchLayer{Layer: 2, Wait: map[string]float64{}}
	var slowest view.BenchWindow
	var hashing, labels, read, written float64
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
		read, written = read+h.Read*float64(h.Nodes), written+h.Written*float64(h.Nodes)
		for w, d := range h.Waited {
			layer.Wait[engine.Wait(w).String()] += d.Seconds() / float64(len(m.Hashers))
		}
		if !slices.Contains(r.Config.Kernels, h.Kernel) {
			r.Config.Kernels = append(r.Config.Kernels, h.Kernel)
		}
	}
	slowest.Seconds = layer.Seconds
	layer.Disk = view.DiskOf(&layer, read/labels, written/labels)
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
