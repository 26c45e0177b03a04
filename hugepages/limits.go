package hugepages

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/linux"
)

// checkProcess returns a *LimitError if the process may not have so many more
// bytes of addresses, and of private writable memory.
func (s system) checkProcess(addresses, data uint64) error {
	maxAddresses, maxData, err := linux.MemoryLimits()
	if err != nil || maxAddresses == linux.Unlimited && maxData == linux.Unlimited {
		return nil
	}
	status := s.read("proc/self/status")
	usedAddresses, _ := field(status, "VmSize:")
	usedData, _ := field(status, "VmData:")
	if err := fits(LimitAddressSpace, "", addresses, maxAddresses, usedAddresses); err != nil {
		return err
	}
	return fits(LimitData, "", data, maxData, usedData)
}

func fits(limit Limit, where string, want, max, used uint64) error {
	if want > max-min(max, used) {
		return &LimitError{Limit: limit, Where: where, Want: want, Max: max, Used: used}
	}
	return nil
}

// checkMemory returns a *LimitError if the machine, a memory cgroup or, if there
// is one, the NUMA node has no room for so many bytes more of ordinary memory.
func (s system) checkMemory(want uint64, node Binding, wantOnNode uint64) error {
	if n, file, ok := s.available(); ok {
		if err := fits(LimitMemory, file, want, n, 0); err != nil {
			return err
		}
	}
	if err := s.checkMemoryCgroup(want); err != nil {
		return err
	}
	return s.checkNode(wantOnNode, node)
}

// checkNode returns a *LimitError if the NUMA node, if there is one, has no room for so
// many bytes more of ordinary memory.
func (s system) checkNode(want uint64, node Binding) error {
	number, bound := node.Number()
	if !bound {
		return nil
	}
	return s.checkNodeKeeping(s.kept(number), want, number)
}

func (s system) checkNodeKeeping(kept, want uint64, node int) error {
	n, file, ok := s.nodeAvailable(node, kept)
	if !ok {
		return nil
	}
	return fits(LimitNode, file, want, n, 0)
}

// checkMemoryCgroup looks at the process's memory cgroup and all above it.
// Beyond memory.high nobody is killed, but every page is waited for.
func (s system) checkMemoryCgroup(want uint64) error {
	c, ok := s.cgroup("memory")
	if !ok {
		return nil
	}
	usage, limits, prefix, dirty, writeback := "memory.usage_in_bytes", []string{"memory.limit_in_bytes"}, "total_", "total_dirty", "total_writeback"
	if c.v2 {
		usage, limits, prefix, dirty, writeback = "memory.current", []string{"memory.max", "memory.high"}, "", "file_dirty", "file_writeback"
	}
	for _, directory := range c.directories {
		for _, name := range limits {
			limit := directory + "/" + name
			max, ok := s.number(limit)
			if !ok {
				continue
			}
			used, _ := s.number(directory + "/" + usage)
			if want <= max-min(max, used) {
				continue
			}
			// Files' pages count as used, and are dropped for ours.
			stat := s.read(directory + "/memory.stat")
			get := func(key string) uint64 {
				n, _ := field(stat, key)
				return n
			}
			files := get(prefix+"active_file") + get(prefix+"inactive_file")
			files -= min(files, get(dirty)+get(writeback))
			if err := fits(LimitMemoryCgroup, "/"+limit, want, max, used-min(used, files)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkHugeCgroup looks at the process's hugetlb cgroup and all above it, at
// what is taken and at what is reserved.
func (s system) checkHugeCgroup(want, page uint64) error {
	if c, ok := s.cgroup("memory"); ok && c.v2 && strings.Contains(c.options, "memory_hugetlb_accounting") {
		if err := s.checkMemoryCgroup(want); err != nil {
			return err
		}
	}
	c, ok := s.cgroup("hugetlb")
	if !ok {
		return nil
	}
	size := fmt.Sprintf("hugetlb.%dMB.", page>>20)
	if page == Huge1G.Size() {
		size = "hugetlb.1GB."
	}
	limit, usage := "limit_in_bytes", "usage_in_bytes"
	if c.v2 {
		limit, usage = "max", "current"
	}
	for _, directory := range c.directories {
		for _, kind := range []string{"", "rsvd."} {
			name := directory + "/" + size + kind
			max, ok := s.number(name + limit)
			if !ok {
				continue
			}
			used, _ := s.number(name + usage)
			if err := fits(LimitHugeCgroup, "/"+name+limit, want, max, used); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPool returns a *LimitError if fewer than so many bytes of huge pages are free.
func (s system) checkPool(want, page uint64, node Binding) error {
	p, ok := s.pool(page, node)
	if !ok {
		return fmt.Errorf("no pool of them in /%s: %w", p.directory, fs.ErrNotExist)
	}
	if err := fits(LimitHugePages, "/"+p.directory+"/free_hugepages", want, p.usable()*page, 0); err != nil || s.among == nil {
		return err
	}
	if _, bound := node.Number(); bound {
		return nil
	}
	var left uint64
	for n := range s.among {
		if on, ok := s.pool(page, OnNUMANode(n)); ok {
			left += on.usable() * page
		}
	}
	return fits(LimitHugePages, fmt.Sprintf("/%s/node[%s]/hugepages", nodeDirectory, listText(slices.Sorted(maps.Keys(s.among)))), want, left, 0)
}
