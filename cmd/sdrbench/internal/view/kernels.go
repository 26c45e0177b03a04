package view

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/portlimits"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// Kernels is everything that was measured, in one run on one core.
type Kernels struct {
	Instructions portlimits.Figures
	Rows         []Kernel
	FR32         []Padding // the first is a plain copy; nil if it was not measured
}

// A Padding is how fast one core copies, pads or unpads so much padded data, in bytes of it
// for each second.
type Padding struct {
	Name              string
	Size              uint64
	Median, Low, High float64 // of several rounds
}

// A Kernel is about one kernel in one layer, or, as layer 0, above pairs.
type Kernel struct {
	Kernel *sha256.Kernel
	Layer  uint32
	Took   coreclock.Sample // cycles a label or tree node; zero if not measured
	Limit  portlimits.Limit
	Err    error // why it cannot run here
}

// Ratio is how many times the limit it took.
func (r *Kernel) Ratio() (ratio float64, ok bool) {
	limit, ok := r.Limit.Cycles()
	if !ok || r.Took.Median == 0 {
		return 0, false
	}
	return r.Took.Median / limit, true
}

// PerSecond is how many labels or tree nodes one core makes.
func (r *Kernel) PerSecond() float64 { return r.Took.Hz / r.Took.Median }

// Text is the report for people.
func (k *Kernels) Text(model string, cpu topology.CPU) string {
	if model == "" {
		model = "unknown model"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "CPU %d: %s\n\n", cpu, model)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kernel\tlanes\tlayer\tcycles\tspread\tlimit\tratio\ta second\tGHz\t")
	var reasons []string
	for _, r := range k.Rows {
		layer := strconv.Itoa(int(r.Layer))
		if r.Layer == 0 {
			layer = "tree"
		}
		cycles, spread, limit, ratio, perSecond, clock := "-", "-", "-", "-", "-", "-"
		if r.Took.Median > 0 {
			cycles = fmt.Sprintf("%.1f", r.Took.Median)
			spread = fmt.Sprintf("%.1f %%", 100*(r.Took.High-r.Took.Low)/r.Took.Median)
			perSecond = fmt.Sprintf("%.0f", r.PerSecond())
			clock = fmt.Sprintf("%.3f", r.Took.Hz/1e9)
		}
		if c, ok := r.Limit.Cycles(); ok && r.Err == nil {
			limit = fmt.Sprintf("%.1f", c)
		}
		if x, ok := r.Ratio(); ok {
			ratio = fmt.Sprintf("%.3f", x)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Kernel.Name, r.Kernel.Lanes, layer, cycles, spread, limit, ratio, perSecond, clock)
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
	b.WriteString(k.fr32())
	b.WriteString("\ninstructions, cycles for each (median, quartiles)\n")
	unknown := map[string]int{}
	for _, figure := range k.Instructions {
		if figure.Unknown != "" {
			unknown[figure.Unknown]++
			continue
		}
		fmt.Fprintf(&b, "  %7.3f  (%.3f to %.3f)  %s\n", figure.Cycles, figure.Low, figure.High, figure.Name)
	}
	for _, why := range slices.Sorted(maps.Keys(unknown)) {
		fmt.Fprintf(&b, "  %s not known: %s\n", words.Count(unknown[why], "figure"), why)
	}
	return b.String()
}

// fr32 is the table of padding beside a copy.
func (k *Kernels) fr32() string {
	if len(k.FR32) == 0 {
		return ""
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\nfr32, of %d MiB of padded data\n\n", k.FR32[0].Size>>20)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "what\tGB a second\tspread\tof a copy\t")
	for _, p := range k.FR32 {
		fmt.Fprintf(w, "%s\t%.2f\t%.1f %%\t%.2f\t\n", p.Name, p.Median/1e9, 100*(p.High-p.Low)/p.Median, p.Median/k.FR32[0].Median)
	}
	w.Flush()
	return b.String()
}

// reasons says where the limit comes from, or why there is none.
func (r *Kernel) reasons(layer string) []string {
	name := fmt.Sprintf("  %-11s %-5s", r.Kernel.Name, layer)
	var unusable *sha256.KernelError
	switch {
	case errors.As(r.Err, &unusable):
		if r.Layer > 0 {
			return nil
		}
		return []string{fmt.Sprintf("  %-11s cannot run here: this CPU lacks %s", r.Kernel.Name, strings.Join(unusable.Missing, ", "))}
	case r.Limit.Unknown != "":
		return []string{name + " no limit: " + r.Limit.Unknown}
	}
	var lines []string
	for _, bound := range r.Limit.Bounds {
		lines = append(lines, fmt.Sprintf("%s %7.1f  %s", name, bound.Cycles, bound.Text))
		name = strings.Repeat(" ", len(name))
	}
	return lines
}
