package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/topology"
)

// An applied variable of damocles-worker's has changed the process, or has not.
type applied struct {
	what string // the variable with its value
	done string
	err  error
}

// apply makes the process what damocles-worker's variables say, as far as it can be.
func (w *workerSettings) apply() (all []applied) {
	if w.cpus != "" {
		all = append(all, w.applyCPUs())
	}
	if w.numaNode != "" {
		all = append(all, w.applyNode())
	}
	return all
}

func (w *workerSettings) applyCPUs() (item applied) {
	item.what = "VC_CG_CPUSET=" + w.cpus
	set, err := topology.ParseCPUList(w.cpus)
	if err == nil && set.Len() == 0 {
		err = errors.New("it names no CPU")
	}
	if err != nil {
		item.err = err
		return item
	}
	before, err := linux.Affinity(0)
	if err != nil {
		item.err = fmt.Errorf("asking which CPUs the process may use: %w", err)
		return item
	}
	var cpus []int
	lacking := set
	for cpu := range set.All() {
		if slices.Contains(before, int(cpu)) {
			cpus = append(cpus, int(cpu))
			lacking = lacking.Minus(topology.NewCPUSet(cpu))
		}
	}
	switch {
	case len(cpus) == 0:
		item.err = fmt.Errorf("the process may use none of these CPUs, only %s", cpuText(before))
		return item
	case lacking.Len() > 0:
		item.err = fmt.Errorf("the process may not use the CPUs %v", lacking)
	}
	if err := linux.SetProcessAffinity(cpus); err != nil {
		item.err = errors.Join(item.err, fmt.Errorf("binding the process to the CPUs %s: %w", cpuText(cpus), err))
		return item
	}
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), len(cpus)))
	item.done = "the process runs on the CPUs " + cpuText(cpus)
	return item
}

func cpuText(cpus []int) string {
	all := make([]topology.CPU, len(cpus))
	for i, cpu := range cpus {
		all[i] = topology.CPU(cpu)
	}
	return topology.NewCPUSet(all...).String()
}

func (w *workerSettings) applyNode() (item applied) {
	item.what = "VENUS_WORKER_NUMA_PREFERRED=" + w.numaNode
	node, err := parseNode(w.numaNode)
	if err == nil {
		machine, readErr := topology.Read()
		switch {
		case readErr != nil:
		case !slices.Contains(machine.AllowedMems(), topology.NUMANodeID(node)):
			err = fmt.Errorf("the process may not use this NUMA node's memory, only that of %v", machine.AllowedMems())
		case len(machine.NUMANodes()) == 1:
			// A kernel without NUMA, or a container's filter, would refuse to prefer it.
			item.done = fmt.Sprintf("all memory is NUMA node %d's", node)
			return item
		}
	}
	if err == nil {
		if err = linux.PreferNode(node); err != nil {
			err = fmt.Errorf("preferring NUMA node %d: %w", node, err)
		}
	}
	if item.err = err; err == nil {
		item.done = fmt.Sprintf("memory comes from NUMA node %d first; a sector's layers come from that of its hasher", node)
	}
	return item
}

func parseNode(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not the number of a NUMA node", text)
	}
	return int(n), nil
}

// HugeFiles are where damocles' files on a hugetlbfs are.
type hugeFiles struct {
	dir     string // has directories numa_N
	pattern string // for glob, with nodeVariable; it goes before dir
}

const nodeVariable = "$NUMA_NODE_INDEX"

func (h *hugeFiles) add(a *app, cmd *cobra.Command) {
	// Named as damocles' own processor has them.
	cmd.Flags().StringVar(&h.dir, "hugepage_files_path", a.settings.worker.hugeFiles, "`DIR` on a mounted hugetlbfs; files in its directories numa_N become layers' memory, as many whole ones as a job needs; HUGEPAGE_FILES_PATH changes the default")
	cmd.Flags().StringVar(&h.pattern, "hugepage_files_path_pattern", a.settings.worker.hugeFilesNamed, "`PATTERN` of such directories, or files, in which $NUMA_NODE_INDEX stands for N, instead; HUGEPAGE_FILES_PATH_PATTERN changes the default")
	_ = cmd.MarkFlagDirname("hugepage_files_path")
}

func (h *hugeFiles) wanted() bool { return h.dir != "" || h.pattern != "" }

// files are those that there are, with the NUMA nodes that their directories are for, and the
// directories that are of no use.
func (h *hugeFiles) files() (all []hugepages.File, refused []hugepages.FileRefusal, err error) {
	asked := h.pattern
	if asked == "" {
		asked = filepath.Join(globQuoted(h.dir), "numa_"+nodeVariable)
	}
	machine, err := topology.Read()
	if err != nil {
		return nil, nil, err
	}
	var found []string
	for _, node := range machine.NUMANodes() {
		file := hugepages.File{NUMANode: hugepages.OnNUMANode(int(node.ID))}
		if !strings.Contains(asked, nodeVariable) {
			file.NUMANode = hugepages.Binding{}
		}
		names, err := filepath.Glob(strings.ReplaceAll(asked, nodeVariable, strconv.Itoa(int(node.ID))))
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", asked, err)
		}
		for _, name := range names {
			if slices.Contains(found, name) {
				continue
			}
			found = append(found, name)
			info, err := os.Stat(name)
			if err != nil || !info.IsDir() { // the pattern is of files
				file.Path = name
				all = append(all, file)
				continue
			}
			if _, err := linux.HugeTLBFSPage(name); err != nil {
				refused = append(refused, hugepages.FileRefusal{Path: name, Err: fmt.Errorf("it is %w", err)})
				continue
			}
			entries, err := os.ReadDir(name)
			if err != nil {
				refused = append(refused, hugepages.FileRefusal{Path: name, Err: err})
			}
			for _, e := range entries {
				file.Path = filepath.Join(name, e.Name())
				all = append(all, file)
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil, fmt.Errorf("no directory matches %q", asked)
	case len(all)+len(refused) == 0:
		return nil, nil, fmt.Errorf("there are none in %q", found)
	}
	return all, refused, nil
}

// globQuoted is the pattern of one path.
func globQuoted(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// A hugeFilesFound is what is there of damocles' files.
type hugeFilesFound struct {
	files   []hugepages.File
	usable  []hugepages.FileInfo // of these, now
	refused []hugepages.FileRefusal
	err     error // why there is none that is of use now or later
}

// find looks at the files that layers' memory is to come from.
func (h *hugeFiles) find() (found hugeFilesFound) {
	found.files, found.refused, found.err = h.files()
	if found.err == nil {
		usable, refused := hugepages.LookAtFiles(found.files)
		found.usable, found.refused = usable, append(found.refused, refused...)
		inUse := func(r hugepages.FileRefusal) bool { return errors.Is(r.Err, hugepages.ErrFileInUse) }
		if len(found.usable) == 0 && !slices.ContainsFunc(found.refused, inUse) {
			found.err = errors.New(strings.Join(hugepages.RefusalTexts(found.refused), "; "))
		}
	}
	if found.err != nil {
		found.err = fmt.Errorf("huge page files: they are not used: %w", found.err)
	}
	return found
}
