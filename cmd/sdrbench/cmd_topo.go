package main

import (
	"bytes"
	"context"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/topology"
)

type topoFlags struct {
	root    string
	dump    string
	lockDir string
	json    bool
}

func (a *app) topo() *cobra.Command {
	f := topoFlags{root: "/"}
	cmd := &cobra.Command{
		Use:   "topo",
		Short: "Show the machine: NUMA nodes, core complexes, cores, memory",
		Long: `Topo shows what the machine consists of and what of it this process may use:
packages, NUMA nodes with their memory and huge pages, core complexes (cores that
share an L3 cache), cores with their hardware threads. It says what it could not
find out. On this machine it marks the cores that jobs hold. It writes nothing,
unless told to write a dump.

A dump is one text file with what topo reads of a machine and nothing else, no
serial numbers for example. It shows that machine on another one.`,
		Example: `  sdrbench topo
  sdrbench topo --dump machine.txt
  sdrbench topo --root machine.txt --json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runTopo(ctx, f) }),
	}
	cmd.Flags().StringVar(&f.root, "root", f.root, "show the machine of this `DIR`, which holds its sys and proc, or of a dump file")
	cmd.Flags().StringVar(&f.dump, "dump", "", "write a dump of the machine to `FILE` and show nothing")
	a.lockDirFlag(cmd, &f.lockDir)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("dump", "json")
	return cmd
}

func (a *app) runTopo(ctx context.Context, f topoFlags) error {
	if err := checkRoot(f.root); err != nil {
		return err
	}
	if f.dump != "" {
		out, err := a.openOutput(ctx, f.dump, 0)
		if err != nil {
			return err
		}
		defer out.close()
		var text bytes.Buffer
		if err := topology.Dump(&text, f.root); err != nil {
			return err
		}
		return out.write(text.Bytes())
	}
	m, err := readMachine(f.root)
	if err != nil {
		return err
	}
	if f.json {
		return a.printJSON(newTopoJSON(m))
	}
	held, err := a.heldOn(ctx, f.root, f.lockDir)
	if err != nil {
		return err
	}
	p := view.Machine{Machine: m, Held: heldCores(m, held), Columns: 100}
	if out, ok := a.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		p.Color = !a.settings.noColor && !a.settings.plainTerminal
		if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			p.Columns = width
		}
	}
	return a.print("%s", p.Text())
}

// topoJSON is a contract with scripts. Lists are never null; nodes are named by the
// kernel's numbers.
type topoJSON struct {
	Model     string           `json:"model"`
	NUMANodes []topoNUMANode   `json:"numa_nodes"`
	Complexes []topoComplex    `json:"core_complexes"`
	Cores     [][]topology.CPU `json:"cores"`
	CPUs      []topology.CPU   `json:"cpus"`
	Allowed   []topology.CPU   `json:"allowed"`
	Degraded  []string         `json:"degraded"`
}

type topoNUMANode struct {
	ID          topology.NUMANodeID `json:"id"`
	CPUs        []topology.CPU      `json:"cpus"`
	Distances   []int               `json:"distances"`
	MemoryTotal uint64              `json:"memory_total"` // bytes
	MemoryFree  uint64              `json:"memory_free"`
	HugePages   []topoHugePages     `json:"hugepages"`
}

type topoHugePages struct {
	Size  uint64 `json:"size"`  // bytes
	Total uint64 `json:"total"` // pages
	Free  uint64 `json:"free"`
}

type topoComplex struct {
	CPUs     []topology.CPU      `json:"cpus"`
	NUMANode topology.NUMANodeID `json:"numa_node"`
}

func newTopoJSON(m *topology.Machine) topoJSON {
	t := topoJSON{
		Model:     m.Model(),
		NUMANodes: []topoNUMANode{},
		Complexes: []topoComplex{},
		Cores:     [][]topology.CPU{},
		CPUs:      m.CPUs().Slice(),
		Allowed:   m.Allowed().Slice(),
		Degraded:  append([]string{}, m.Degraded()...),
	}
	nodes := m.NUMANodes()
	for _, node := range nodes {
		pools := []topoHugePages{}
		for _, pool := range node.HugePages {
			pools = append(pools, topoHugePages(pool))
		}
		t.NUMANodes = append(t.NUMANodes, topoNUMANode{node.ID, node.CPUs.Slice(), node.Distances, node.MemoryTotal, node.MemoryFree, pools})
	}
	for _, complex := range m.Complexes() {
		t.Complexes = append(t.Complexes, topoComplex{complex.CPUs.Slice(), nodes[complex.NUMANode].ID})
	}
	for _, core := range m.Cores() {
		t.Cores = append(t.Cores, core.CPUs)
	}
	return t
}
