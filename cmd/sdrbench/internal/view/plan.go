package view

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// Plan is a plan for people: what fits on a machine on which jobs hold cores, and what it was chosen from.
func Plan(m *topology.Machine, proof porep.SealProof, p *placement.Plan, held []reserve.Holder, best Best) string {
	var b bytes.Buffer
	model := m.Model()
	if model == "" {
		model = "unknown CPU"
	}
	q := p.Request
	policy := q.Policy.String()
	if q.Policy == placement.List {
		policy = Numbers("CPU", q.Only)
	}
	fmt.Fprintf(&b, "%-10s%s\n", "machine", model)
	besides := ""
	if n := q.JobOverhead(); n > 0 {
		besides = fmt.Sprintf(", %s a job besides", topology.SizeText(n))
	}
	fmt.Fprintf(&b, "%-10s%v: %s each in memory (%v)%s\n", "proof", proof, topology.SizeText(p.SectorMemory), q.Mode, besides)
	fmt.Fprintf(&b, "%-10s%s, %s on each hasher, %s\n", "policy", policy, words.Count(q.Lanes, "sector"), producersText(q.Producers, q.HashersPerProducer))
	fmt.Fprintf(&b, "%-10s", "result")
	switch {
	case p.Max == 0:
		b.WriteString("nothing fits")
	case q.Sectors > p.Max:
		fmt.Fprintf(&b, "%d of %d sectors %s, in %s", p.Max, q.Sectors, Verb(p.Max, "fits", "fit"), topology.SizeText(p.Memory))
	case q.Sectors > 0 && q.Sectors < p.Max:
		fmt.Fprintf(&b, "%s, in %s; %d would fit", words.Count(p.Sectors, "sector"), topology.SizeText(p.Memory), p.Max)
	default:
		fmt.Fprintf(&b, "%s, in %s; not one more fits", words.Count(p.Sectors, "sector"), topology.SizeText(p.Memory))
		most := 0
		for _, h := range p.Helps {
			if h.FewerProducers {
				most = max(most, h.Sectors)
			}
		}
		if most > 0 {
			fmt.Fprintf(&b, " with %s, %d do with fewer producers", producersText(q.Producers, q.HashersPerProducer), most)
		}
	}
	b.WriteByte('\n')
	if len(p.Jobs) > 0 {
		b.WriteByte('\n')
		b.WriteString(planTable(p))
	}
	list := func(heading string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n  %s\n", heading, strings.Join(lines, "\n  "))
		}
	}
	var holders, limits, helps []string
	for _, h := range held {
		text := fmt.Sprintf("%s: %s", Numbers("core", topology.NewCPUSet(h.Cores...)), h.Who())
		if !h.Since.IsZero() {
			text += ", since " + h.Since.Format(time.DateTime)
		}
		holders = append(holders, text)
	}
	for _, l := range p.Limits {
		if perDay, ok := best.Without(l); ok {
			limits = append(limits, fmt.Sprintf("%s; without it %s a day", l.Text, amount(perDay)))
			continue
		}
		limits = append(limits, l.Text)
	}
	if text := best.DiskLimit(); text != "" {
		limits = append(limits, text)
	}
	for _, h := range p.Helps {
		helps = append(helps, fmt.Sprintf("%s: room for %s", h.Text, words.Count(h.Sectors, "sector")))
	}
	var out []string
	var outBytes uint64
	for _, n := range m.LeftOut(q.MemoryNodes) {
		outBytes += n.MemoryFree
		out = append(out, fmt.Sprintf("NUMA node %d: %s, %s free", n.ID, MemoryKind(n), topology.SizeText(n.MemoryFree)))
	}
	chosen, others := best.lines()
	list(fmt.Sprintf("for %s, at %.2f GHz (cycles: %s)", best.Purpose, best.Hz/1e9, best.Cycles), chosen)
	list("what it asks for", best.asks())
	list("other layouts", others)
	list("held by other jobs", holders)
	list(fmt.Sprintf("memory left out, %s free (--memory-nodes uses it, but for GPUs')", topology.SizeText(outBytes)), out)
	list("what limits it", limits)
	list("what would help", helps)
	list("what is not known of this machine", m.Degraded())
	return b.String()
}

// planTable has a line for each job. A core complex and a node are named as topo
// names them.
func planTable(p *placement.Plan) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "job\tsectors\thasher\tproducers\tcomplex\tnode\tmemory\t")
	var memories []string
	for i, j := range p.Jobs {
		producers := topology.NewCPUSet(j.Producers...).String()
		if producers == "" {
			producers = "-"
		}
		hasher := fmt.Sprint(j.Hasher)
		if j.Kind == topology.Efficiency || j.Kind == topology.LowPower {
			hasher += fmt.Sprintf(" (%v core)", j.Kind)
		}
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%d\t%d\t%s\t\n", i, j.Sectors, hasher, producers, j.Complex, j.NUMANode, topology.SizeText(j.Bytes()))
		memories = append(memories, memoryText(j))
	}
	w.Flush()
	// Where the memory is stands behind the table, not aligned to the right.
	lines := strings.SplitAfter(b.String(), "\n")
	for i, text := range memories {
		lines[i+1] = strings.TrimSuffix(lines[i+1], "\n") + "  " + text + "\n"
	}
	return strings.Join(lines, "")
}

// memoryText says where a job's memory is: "on node 0", or how much where.
func memoryText(j placement.Job) string {
	var parts []string
	for _, s := range j.Memory {
		text := fmt.Sprintf("on node %d", s.Pool.NUMANode)
		if len(j.Memory) > 1 {
			text = topology.SizeText(s.Bytes) + " " + text
		}
		if s.Pool.PageSize > 0 {
			text += fmt.Sprintf(" in pages of %s", topology.SizeText(s.Pool.PageSize))
		}
		if s.Pool.NUMANode != j.NUMANode {
			text += fmt.Sprintf(" (distance %d)", s.Distance)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
