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
	cmd.Flags().StringVar(&h.dir, "hugepage_files_path", a.settings.worker.hugeFiles, "`DIR` on a mounted hugetlbfs, with directories numa_N, to take layers' memory from; HUGEPAGE_FILES_PATH changes the default")
	cmd.Flags().StringVar(&h.pattern, "hugepage_files_path_pattern", a.settings.worker.hugeFilesNamed, "`PATTERN` of such directories, in which $NUMA_NODE_INDEX stands for N, instead; HUGEPAGE_FILES_PATH_PATTERN changes the default")
	_ = cmd.MarkFlagDirname("hugepage_files_path")
}

func (h *hugeFiles) wanted() bool { return h.dir != "" || h.pattern != "" }

// directories are those that there are, by NUMA node.
func (h *hugeFiles) directories() (all []string, err error) {
	asked := h.pattern
	if asked == "" {
		asked = filepath.Join(globQuoted(h.dir), "numa_"+nodeVariable)
	}
	machine, err := topology.Read()
	if err != nil {
		return nil, err
	}
	for _, node := range machine.NUMANodes() {
		found, err := filepath.Glob(strings.ReplaceAll(asked, nodeVariable, strconv.Itoa(int(node.ID))))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", asked, err)
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				path = filepath.Dir(path) // the pattern is of files
			}
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no directory matches %q", asked)
	}
	return all, nil
}

// globQuoted is the pattern of one path.
func globQuoted(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// use is the directory whose mount layers' memory is to come from, "" if none serves. The error
// says what is not as damocles' variables want it, with a directory, too.
func (h *hugeFiles) use() (dir string, err error) {
	failed := func(err error) error { return fmt.Errorf("huge page files: they are not used: %w", err) }
	all, err := h.directories()
	if err != nil {
		return "", failed(err)
	}
	var wrong []error
	files, bytes := 0, uint64(0)
	for _, d := range all {
		if _, err := linux.HugeTLBFSPage(d); err != nil {
			wrong = append(wrong, fmt.Errorf("%q is %w", d, err))
			continue
		}
		if dir == "" {
			dir = d
		}
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				files, bytes = files+1, bytes+linux.Allocated(info)
			}
		}
	}
	if dir == "" {
		return "", failed(errors.Join(wrong...))
	}
	if files > 0 {
		wrong = append(wrong, fmt.Errorf("%s of huge pages are in files there (%d), and layers cannot use those, only what is free: remove the files, and all of it is",
			topology.SizeText(bytes), files))
	}
	if len(wrong) > 0 {
		return dir, fmt.Errorf("huge page files: memory comes from the mount of %q: %w", dir, errors.Join(wrong...))
	}
	return dir, nil
}
