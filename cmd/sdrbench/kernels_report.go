package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

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
		fmt.Fprintf(&b, "  %s not known: %s\n", words.Count(unknown[why], "figure"), why)
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
