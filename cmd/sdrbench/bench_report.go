package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A benchReport is what bench prints. Its JSON is a contract with scripts:
// whatever changes the meaning of a field changes Schema.
type benchReport struct {
	Schema  int          `json:"schema"`
	Machine benchMachine `json:"machine"`
	Proof   string       `json:"proof"`
	Kernel  string       `json:"kernel"`
	GHz     float64      `json:"ghz"` // the core's clock, 0 where it cannot be measured
	Steps   []benchStep  `json:"steps"`
	Layers  []benchLayer `json:"layers"`
	// PC1 is PreCommit 1 from call to return, its steps and layers included.
	PC1           float64 `json:"pc1_seconds"`
	ParentsCycles float64 `json:"parents_cycles_per_node"`
	MemoryPeak    uint64  `json:"memory_peak_bytes"` // without huge pages that were reserved at boot; 0 where unknown

	CommD   string            `json:"comm_d"`
	Correct *bool             `json:"correct"` // null where no digests are known
	Digests map[string]string `json:"digests"` // SHA-256 by file

	hz    float64
	proof porep.SealProof
	wrong []wrongFile
}

type benchMachine struct {
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

type benchStep struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"bytes_per_second"` // bytes of the sector
}

type benchLayer struct {
	Layer   int     `json:"layer"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"labels_per_second"`
	Cycles  float64 `json:"cycles_per_label"`
}

func newBenchReport(out *seal.Output, addPiece, pc1 time.Duration) *benchReport {
	r := &benchReport{
		Schema: 1,
		Machine: benchMachine{
			CPU:  strings.TrimSpace(cpuid.CPU.BrandName),
			CPUs: runtime.NumCPU(),
			OS:   runtime.GOOS,
			Arch: runtime.GOARCH,
			Go:   runtime.Version(),
		},
		Proof:      out.Proof.String(),
		Kernel:     out.Timings.Labels.Kernel,
		PC1:        pc1.Seconds(),
		MemoryPeak: peakMemory(),
		CommD:      out.CommD.String(),
		proof:      out.Proof,
	}
	step := func(name string, took time.Duration) {
		r.Steps = append(r.Steps, benchStep{name, took.Seconds(), perTime(uint64(out.Proof.SectorSize()), took)})
	}
	step("addpiece", addPiece)
	step("tree-d", out.Timings.TreeD)
	step("sealed", out.Timings.Sealed)
	for _, l := range out.Timings.Labels.Layers {
		r.Layers = append(r.Layers, benchLayer{Layer: l.Layer, Seconds: l.Hashing.Seconds(), Rate: perTime(l.Nodes, l.Hashing)})
	}
	return r
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
	for i := range r.Layers {
		if l := &r.Layers[i]; l.Rate > 0 {
			l.Cycles = hz / l.Rate
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
	size := r.proof.SectorSize()
	line("machine", "%s, %d CPUs, %s/%s, %s", cpu, r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go)
	line("proof", "%s: %d layers of %s labels", r.Proof, len(r.Layers), thousands(size.Nodes()))
	line("kernel", "%s at %.2f GHz", r.Kernel, r.GHz)
	b.WriteByte('\n')
	for _, s := range r.Steps {
		line(s.Name, "%9.3f s  %9.2f GB/s", s.Seconds, s.Rate/1e9)
	}
	for _, l := range r.Layers {
		line(fmt.Sprintf("layer %d", l.Layer), "%9.3f s  %9.3f M labels/s  %7s cycles a label", l.Seconds, l.Rate/1e6, thousands(uint64(l.Cycles+0.5)))
	}
	line("PreCommit 1", "%9.3f s", r.PC1)
	b.WriteByte('\n')
	line("parents", "%s cycles a node", thousands(uint64(r.ParentsCycles+0.5)))
	if r.MemoryPeak > 0 {
		line("memory", "%s at the peak", bytesText(r.MemoryPeak))
	}
	switch {
	case r.Correct == nil:
		line("result", "not checked: no known digests for %s", r.Proof)
	case *r.Correct:
		line("result", "right, as the reference's: comm_d and all %d files", len(r.Digests))
	default:
		line("result", "WRONG, not as the reference's: %s", wrongNames(r.wrong))
	}
	return b.String()
}

// thousands writes 16777216 as 16,777,216.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText is an amount of memory or disk.
func bytesText(n uint64) string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if u := uint64(1) << (30 - 10*i); n >= u {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u), unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
