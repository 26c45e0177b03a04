package view

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/topology"
)

// A Holder says who holds the core of a CPU: "process 1234, job …".
type Holder func(topology.CPU) (who string, ok bool)

// A Machine is a picture of a machine, for people: packages, in them NUMA nodes, in them
// core complexes with a row of cores.
type Machine struct {
	Machine *topology.Machine
	Held    Holder // may be nil
	Columns int    // of the terminal
	Color   bool

	b         strings.Builder
	nodes     []topology.NUMANode
	complexes []topology.Complex
	cores     []topology.Core
	width     int // of the widest core's label

	notAllowed, efficiency, lowPower bool // whether such marks were drawn

	holders []string
	holds   map[string][]topology.CPU // by holder
}

// Text is the picture, lines with a newline each.
func (p *Machine) Text() string {
	p.nodes, p.complexes, p.cores = p.Machine.NUMANodes(), p.Machine.Complexes(), p.Machine.Cores()
	type part struct {
		pkg  topology.PackageIndex
		node topology.NUMAIndex
	}
	in := map[part][]topology.Core{}
	for _, core := range p.cores {
		p.width = max(p.width, len(p.label(core).text))
		at := part{core.Package, core.NUMANode}
		in[at] = append(in[at], core)
	}
	p.head()
	shown := make([]bool, len(p.nodes))
	for i, pkg := range p.Machine.Packages() {
		name := "package " + strconv.Itoa(pkg.ID)
		if pkg.ID < 0 {
			name = "package of unknown number"
		}
		fmt.Fprintf(&p.b, "\n%s\n", p.paint(name, bold))
		for n := range p.nodes {
			if cores := in[part{topology.PackageIndex(i), topology.NUMAIndex(n)}]; len(cores) > 0 {
				p.node(topology.NUMAIndex(n), cores, shown)
			}
		}
	}
	for n := range p.nodes {
		if !shown[n] {
			fmt.Fprintf(&p.b, "\n%s\n", p.nodeLine(topology.NUMAIndex(n))+"; no cores")
		}
	}
	p.legend()
	return p.b.String()
}

func (p *Machine) head() {
	model := Visible(p.Machine.Model())
	if model == "" {
		model = "unknown processor"
	}
	fmt.Fprintln(&p.b, p.paint(model, bold))
	cpus, allowed := p.Machine.CPUs().Len(), p.Machine.Allowed().Len()
	fmt.Fprintf(&p.b, "%s, %s, %s, %s, %s", words.Count(len(p.Machine.Packages()), "package"), words.Count(len(p.nodes), "NUMA node"),
		plural(len(p.complexes), "core complex", "core complexes"), words.Count(len(p.cores), "core"), words.Count(cpus, "CPU"))
	if allowed != cpus {
		fmt.Fprintf(&p.b, ", %d of them allowed", allowed)
	}
	p.b.WriteByte('\n')
	if features := p.Machine.Features(); len(features) > 0 {
		fmt.Fprintf(&p.b, "features: %s\n", Visible(strings.Join(features, " ")))
	}
}

// node draws what of a NUMA node is in a package: these cores.
func (p *Machine) node(n topology.NUMAIndex, cores []topology.Core, shown []bool) {
	if shown[n] {
		fmt.Fprintf(&p.b, "  NUMA node %d, as above\n", p.nodes[n].ID) // one node may hold several packages
	} else {
		fmt.Fprintf(&p.b, "  %s\n", p.nodeLine(n))
	}
	shown[n] = true
	slices.SortStableFunc(cores, func(a, b topology.Core) int { return cmp.Compare(a.Complex, b.Complex) })
	for len(cores) > 0 {
		n := slices.IndexFunc(cores, func(c topology.Core) bool { return c.Complex != cores[0].Complex })
		if n < 0 {
			n = len(cores)
		}
		p.row(p.complexes[cores[0].Complex], cores[:n])
		cores = cores[n:]
	}
}

func (p *Machine) nodeLine(n topology.NUMAIndex) string {
	node := p.nodes[n]
	text := fmt.Sprintf("NUMA node %d: ", node.ID)
	if node.MemoryTotal == 0 {
		text += "no memory"
	} else {
		text += fmt.Sprintf("%s of %s free", topology.SizeText(node.MemoryFree), topology.SizeText(node.MemoryTotal))
		if node.MemoryKind != topology.DRAM {
			text += "; " + MemoryKind(node)
		}
	}
	for _, pool := range slices.Backward(node.HugePages) {
		if pool.Total > 0 {
			text += fmt.Sprintf("; pages of %s: %d of %d free", topology.SizeText(pool.Size), pool.Free, pool.Total)
		}
	}
	if len(p.nodes) > 1 {
		text += "; distances " + strings.Trim(fmt.Sprint(node.Distances), "[]")
	}
	if node.MemoryTotal > 0 && !slices.Contains(p.Machine.AllowedMems(), node.ID) {
		text += "; its memory is not allowed"
	}
	return text
}

// Disk says what a directory is on.
func Disk(dir string, d *topology.Disk) string {
	known := func(text string) string {
		if text == "" {
			return "not known"
		}
		return Visible(text)
	}
	size := func(bytes uint64) string {
		if bytes == 0 {
			return "not known"
		}
		return topology.SizeText(bytes)
	}
	device := "not known"
	if d.Device != "" {
		device = Visible(d.Device)
		if d.Rotational != nil {
			device += map[bool]string{true: ", rotational", false: ", not rotational"}[*d.Rotational]
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\ndirectory %s\n", Visible(dir))
	for _, line := range [][2]string{
		{"device", device}, {"file system", known(d.FileSystem) + ", " + known(d.Source) + " on " + known(d.MountPoint)}, {"free", size(d.FreeSpace)},
		{"logical block", size(d.LogicalBlockSize)}, {"direct I/O", "aligned to " + size(d.DirectMemory) + " in memory, " + size(d.DirectOffset) + " in the file"},
	} {
		fmt.Fprintf(&b, "  %-14s%s\n", line[0], line[1])
	}
	return b.String()
}

// MemoryKind says what a NUMA node's memory is: "384 GiB of NVDIMM".
func MemoryKind(node topology.NUMANode) string {
	kind := map[topology.MemoryKind]string{topology.OtherMemory: "memory of a device", topology.GPUMemory: "memory of a GPU"}[node.MemoryKind]
	if kind == "" {
		kind = strings.ToUpper(node.MemoryKind.String())
	}
	return topology.SizeText(node.MemoryTotal) + " of " + kind
}

// row draws cores of a complex, on as many lines as they need.
func (p *Machine) row(complex topology.Complex, cores []topology.Core) {
	name := "none shared"
	if complex.CacheLevel > 0 {
		name = fmt.Sprintf("L%d", complex.CacheLevel)
		if complex.CacheSize > 0 {
			name += " " + topology.SizeText(complex.CacheSize)
		}
	}
	head := fmt.Sprintf("    %-13s", name)
	perLine := max(1, (p.Columns-len(head))/(p.width+1))
	if perLine > 8 {
		perLine -= perLine % 8 // the eye counts in eights
	}
	for line := range slices.Chunk(cores, perLine) {
		p.b.WriteString(head)
		for i, core := range line {
			label := p.label(core)
			p.b.WriteString(" " + p.paint(label.text, label.style))
			if i < len(line)-1 {
				p.b.WriteString(strings.Repeat(" ", p.width-len(label.text)))
			}
			p.count(core, label)
		}
		p.b.WriteByte('\n')
		head = strings.Repeat(" ", len(head))
	}
	if len(cores) < len(complex.Cores) {
		fmt.Fprintf(&p.b, "%s (%d of the %d cores that share it)\n", strings.Repeat(" ", len(head)), len(cores), len(complex.Cores))
	}
}

// A coreLabel is a core's CPUs, with marks: 0+64, e for an efficiency core, l for a low-power
// one, * for one that is held, in parentheses what is not allowed.
type coreLabel struct {
	text       string
	style      lipgloss.Style
	who        string // holds it
	notAllowed bool
}

func (p *Machine) label(core topology.Core) (l coreLabel) {
	allowed := p.Machine.Allowed()
	var cpus []string
	outside := 0
	for _, cpu := range core.CPUs {
		text := strconv.Itoa(int(cpu))
		if !allowed.Contains(cpu) {
			outside++
			text = "(" + text + ")"
		}
		cpus = append(cpus, text)
		if p.Held != nil && l.who == "" {
			if who, ok := p.Held(cpu); ok {
				l.who = Visible(who)
			}
		}
	}
	l.text = strings.Join(cpus, "+")
	if outside > 1 && outside == len(cpus) {
		l.text = "(" + strings.NewReplacer("(", "", ")", "").Replace(l.text) + ")"
	}
	l.notAllowed = outside > 0
	if l.notAllowed {
		l.style = faint
	}
	switch core.Kind {
	case topology.Efficiency:
		l.text += "e"
	case topology.LowPower:
		l.text += "l"
	}
	if l.who != "" {
		l.text += "*"
		l.style = strong
	}
	return l
}

// count remembers what the legend has to explain.
func (p *Machine) count(core topology.Core, label coreLabel) {
	p.notAllowed = p.notAllowed || label.notAllowed
	p.efficiency = p.efficiency || core.Kind == topology.Efficiency
	p.lowPower = p.lowPower || core.Kind == topology.LowPower
	if label.who != "" {
		if p.holds == nil {
			p.holds = map[string][]topology.CPU{}
		}
		if p.holds[label.who] == nil {
			p.holders = append(p.holders, label.who)
		}
		p.holds[label.who] = append(p.holds[label.who], core.CPUs...)
	}
}

func (p *Machine) legend() {
	var lines []string
	if p.notAllowed {
		lines = append(lines, "( ) not allowed by the cgroup or the affinity mask")
	}
	if p.efficiency {
		lines = append(lines, "e   efficiency core")
	}
	if p.lowPower {
		lines = append(lines, "l   low-power core, the last to be used")
	}
	for _, who := range p.holders {
		lines = append(lines, fmt.Sprintf("*   held: %s by %s", Numbers("CPU", topology.NewCPUSet(p.holds[who]...)), who))
	}
	if len(lines) > 0 {
		fmt.Fprintf(&p.b, "\n%s\n", strings.Join(lines, "\n"))
	}
	if degraded := p.Machine.Degraded(); len(degraded) > 0 {
		fmt.Fprintf(&p.b, "\n%s\n", p.paint("what could not be found out", bold))
		for _, reason := range degraded {
			fmt.Fprintf(&p.b, "  %s\n", Visible(reason))
		}
	}
}

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	strong = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
)

func (p *Machine) paint(text string, style lipgloss.Style) string {
	if !p.Color {
		return text
	}
	return style.Render(text)
}
