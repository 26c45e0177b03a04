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
	dir     string
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
unless told to write a dump. To learn how direct I/O in the sealing directory is to
be aligned it opens a file there that has no name, and is gone at once.

A dump is one text file with what topo reads of a machine and nothing else, no
serial numbers for example. It shows that machine on another one.`,
		Example: `  sdrbench topo
  sdrbench topo --dir /mnt/sealing
  sdrbench topo --dump machine.txt
  sdrbench topo --root machine.txt --json`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runTopo(ctx, f) }),
	}
	cmd.Flags().StringVar(&f.root, "root", f.root, "show the machine of this `DIR`, which holds its sys and proc, or of a dump file")
	cmd.Flags().StringVar(&f.dump, "dump", "", "write a dump of the machine to `FILE` and show nothing")
	cmd.Flags().StringVar(&f.dir, "dir", "", "show what disk this sealing `DIR` is on: file system, space, alignment for direct I/O")
	_ = cmd.MarkFlagDirname("dir")
	a.lockDirFlag(cmd, &f.lockDir)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("dump", "json")
	cmd.MarkFlagsMutuallyExclusive("dump", "dir")
	cmd.MarkFlagsMutuallyExclusive("root", "dir")
	return cmd
}

func (a *app) runTopo(ctx context.Context, f topoFlags) error {
	if err := checkRoot(f.root); err != nil {
		return err
	}
	if f.dump != "" {
		if err := a.checkReplaced("--dump", f.lockDir, f.dump); err != nil {
			return err
		}
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
	var disk *topology.Disk
	if f.dir != "" {
		d, err := topology.ReadDisk(f.dir)
		if err != nil {
			return err
		}
		disk = &d
	}
	if f.json {
		t := newTopoJSON(m)
		if disk != nil {
			t.Dir = newTopoDisk(f.dir, disk)
		}
		return a.printJSON(t)
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
	text := p.Text()
	if disk != nil {
		text += view.Disk(f.dir, disk)
	}
	return a.print("%s", text)
}

// topoJSON is a contract with scripts. Lists are never null; nodes are named by the
// kernel's numbers.
type topoJSON struct {
	Model     string         `json:"model"`
	Packages  []topoPackage  `json:"packages"`
	NUMANodes []topoNUMANode `json:"numa_nodes"`
	// Complexes are those with an L3, or all where there is none. Others, which low-power cores
	// have, follow; a plan counts through both.
	Complexes   []topoComplex             `json:"core_complexes"`
	Others      []topoComplex             `json:"other_complexes"`
	Cores       [][]topology.CPU          `json:"cores"`
	Kinds       map[string][]topology.CPU `json:"kinds"`     // those that there are: performance, efficiency
	LowPower    []topology.CPU            `json:"low_power"` // those of efficiency cores that are used last
	CPUs        []topology.CPU            `json:"cpus"`
	Allowed     []topology.CPU            `json:"allowed"`
	AllowedMems []topology.NUMANodeID     `json:"allowed_mems"`
	Degraded    []string                  `json:"degraded"`
	Dir         *topoDisk                 `json:"dir,omitempty"` // of --dir
}

// What is not known is null, "" or 0.
type topoDisk struct {
	Path             string `json:"path"`
	Device           string `json:"device"`
	Source           string `json:"source"`
	FileSystem       string `json:"file_system"`
	MountPoint       string `json:"mount_point"`
	Rotational       *bool  `json:"rotational"`
	FreeSpace        uint64 `json:"free_space"`              // bytes
	LogicalBlockSize uint64 `json:"logical_block_size"`      // bytes
	DirectMemory     uint64 `json:"direct_memory_alignment"` // bytes
	DirectOffset     uint64 `json:"direct_offset_alignment"` // bytes
}

func newTopoDisk(path string, d *topology.Disk) *topoDisk {
	return &topoDisk{path, d.Device, d.Source, d.FileSystem, d.MountPoint, d.Rotational, d.FreeSpace, d.LogicalBlockSize, d.DirectMemory, d.DirectOffset}
}

type topoPackage struct {
	ID   int            `json:"id"` // -1 if the kernel has no number
	CPUs []topology.CPU `json:"cpus"`
}

type topoNUMANode struct {
	ID          topology.NUMANodeID `json:"id"`
	CPUs        []topology.CPU      `json:"cpus"`
	Distances   []int               `json:"distances"`
	MemoryKind  string              `json:"memory_kind"`  // dram, hbm, cxl, nvdimm, gpu, other
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
	CPUs       []topology.CPU      `json:"cpus"`
	NUMANode   topology.NUMANodeID `json:"numa_node"`
	CacheLevel int                 `json:"cache_level"` // 0 if cores share none
	CacheSize  uint64              `json:"cache_size"`  // bytes, 0 if it is not known
}

func newTopoJSON(m *topology.Machine) topoJSON {
	t := topoJSON{
		Model:       m.Model(),
		Packages:    []topoPackage{},
		NUMANodes:   []topoNUMANode{},
		Complexes:   []topoComplex{},
		Others:      []topoComplex{},
		Cores:       [][]topology.CPU{},
		Kinds:       map[string][]topology.CPU{},
		LowPower:    []topology.CPU{},
		CPUs:        m.CPUs().Slice(),
		Allowed:     m.Allowed().Slice(),
		AllowedMems: append([]topology.NUMANodeID{}, m.AllowedMems()...),
		Degraded:    append([]string{}, m.Degraded()...),
	}
	for _, p := range m.Packages() {
		t.Packages = append(t.Packages, topoPackage{p.ID, p.CPUs.Slice()})
	}
	nodes := m.NUMANodes()
	for _, node := range nodes {
		pools := []topoHugePages{}
		for _, pool := range node.HugePages {
			pools = append(pools, topoHugePages(pool))
		}
		t.NUMANodes = append(t.NUMANodes, topoNUMANode{node.ID, node.CPUs.Slice(), node.Distances, node.MemoryKind.String(), node.MemoryTotal, node.MemoryFree, pools})
	}
	complexes := m.Complexes()
	for _, complex := range complexes {
		c := topoComplex{complex.CPUs.Slice(), nodes[complex.NUMANode].ID, complex.CacheLevel, complex.CacheSize}
		if complex.CacheLevel == 3 || complexes[0].CacheLevel != 3 {
			t.Complexes = append(t.Complexes, c)
		} else {
			t.Others = append(t.Others, c)
		}
	}
	for _, core := range m.Cores() {
		t.Cores = append(t.Cores, core.CPUs)
		switch core.Kind {
		case topology.LowPower:
			t.LowPower = append(t.LowPower, core.CPUs...)
			fallthrough
		case topology.Efficiency:
			t.Kinds["efficiency"] = append(t.Kinds["efficiency"], core.CPUs...)
		case topology.Performance:
			t.Kinds["performance"] = append(t.Kinds["performance"], core.CPUs...)
		}
	}
	return t
}
