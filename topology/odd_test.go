package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// notesOn are the reasons that have a text.
func notesOn(m *Machine, text string) []string {
	return slices.DeleteFunc(m.Degraded(), func(note string) bool { return !strings.Contains(note, text) })
}

// TestOddMachines: what dumps of real machines, and some made by hand, taught us.
func TestOddMachines(t *testing.T) {
	const (
		cpu0, cpu1 = "sys/devices/system/cpu/cpu0/", "sys/devices/system/cpu/cpu1/"
		online     = "sys/devices/system/cpu/online"
		nodes      = "sys/devices/system/node/"
	)
	groups := map[string]string{
		online: "0-1", nodes + "online": "0-1", nodes + "node0/cpulist": "0", nodes + "node1/cpulist": "1",
		"proc/self/cpuset": "/job",
	}
	with := func(files map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		for name, text := range files {
			all[name] = text
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	allowed := func(m *Machine) string { return fmt.Sprint(m.Allowed(), m.AllowedMems()) }
	for name, c := range map[string]struct {
		files map[string]string
		get   func(m *Machine) string
		want  string
	}{
		"nothing but packages tells which CPUs there are": {
			map[string]string{cpu0 + "topology/physical_package_id": "0", cpu1 + "topology/physical_package_id": "0"},
			func(m *Machine) string { return m.CPUs().String() }, "0-1"},
		"a cache's list names other CPUs, its mask is right": {
			map[string]string{online: "0-1",
				cpu0 + "cache/index3/level": "3", cpu0 + "cache/index3/shared_cpu_list": "0", cpu0 + "cache/index3/shared_cpu_map": "1",
				cpu1 + "cache/index3/level": "3", cpu1 + "cache/index3/shared_cpu_list": "0", cpu1 + "cache/index3/shared_cpu_map": "2"},
			func(m *Machine) string { return fmt.Sprint(m.Complexes()[1].CPUs) }, "1"},
		"cpusets from before cgroups": {
			with(groups, "proc/mounts", "none /dev/cpuset cpuset rw 0 0", "dev/cpuset/job/cpus", "1", "dev/cpuset/job/mems", "1"), allowed, "1 [1]"},
		"cpusets without a prefix": {
			with(groups, "proc/mounts", "none /c cgroup rw,cpuset,noprefix 0 0", "c/job/cpus", "1", "c/job/mems", "1"), allowed, "1 [1]"},
		"a mount that does not show the group, then one that does": {
			with(groups, "proc/mounts", "a /a cgroup rw,cpuset 0 0\nb /b cgroup rw,cpuset 0 0", "b/job/cpuset.cpus", "1", "b/job/cpuset.mems", "1"), allowed, "1 [1]"},
		"the same of version 2": {
			with(groups, "proc/mounts", "a /a cgroup2 rw 0 0\nb /b cgroup2 rw 0 0", "b/job/cpuset.cpus.effective", "1", "b/job/cpuset.mems.effective", "1"), allowed, "1 [1]"},
		"a mount without a source": {
			with(groups, "proc/self/mountinfo", "30 20 0:9 / /c rw - cgroup  rw,cpuset", "c/job/cpuset.cpus", "1", "c/job/cpuset.mems", "1"), allowed, "1 [1]"},
		"the same of old kernels": {
			with(groups, "proc/mounts", " /c cpuset rw 0 0", "c/job/cpus", "1", "c/job/mems", "1"), allowed, "1 [1]"},
		// No process in a cpuset has such a mask: the two files are of two processes.
		"affinity outside of the cpuset": {
			with(groups, "proc/mounts", "a /c cpuset rw 0 0", "c/job/cpus", "1", "c/job/mems", "1", "proc/self/status", "Cpus_allowed_list: 0\nMems_allowed_list: 0"),
			func(m *Machine) string { return allowed(m) + strings.Join(notesOn(m, "cpuset"), "; ") },
			"1 [1]the affinity mask (0) has no CPU of the cgroup's cpuset (1), which no process in it can have, so they are of two processes: the cpuset counts; " +
				"the process's memory nodes (0) are none of the cgroup's cpuset's (1): those of the cpuset count"},
		"affinity and no cpuset, without contradiction": {
			map[string]string{online: "0-1", "proc/self/status": "Cpus_allowed_list: 0"},
			func(m *Machine) string { return fmt.Sprint(m.Allowed(), notesOn(m, "cgroup")) },
			"0 [no mounted cgroup hierarchy is known that may have cpusets: none is taken to leave out a CPU or a memory node]"},
		// Kernels before 2.6.24.
		"affinity as masks": {
			with(groups, "proc/self/status", "Cpus_allowed:\t00000000,00000002\nMems_allowed:\t1"), allowed, "1 [0]"},
		"affinity as lists and as masks of something else": {
			with(groups, "proc/self/status", "Cpus_allowed:\tx\nCpus_allowed_list:\t1\nMems_allowed:\tffffffff\nMems_allowed_list:\t0"), allowed, "1 [0]"},
		"a list of mounts without cgroups, and an older one with them": {
			with(groups, "proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw", "proc/mounts", "b /b cgroup2 rw 0 0", "b/job/cpuset.cpus.effective", "1", "b/job/cpuset.mems.effective", "1"), allowed, "1 [1]"},
		"a cpuset of version 2 without what is effective of it": {
			with(groups, "proc/mounts", "b /b cgroup2 rw 0 0", "b/job/cpuset.cpus", "1", "b/job/cpuset.mems", "1"), allowed, "1 [1]"},
		"no node of those allowed": {
			with(groups, "proc/self/status", "Mems_allowed_list:\t2-3"),
			func(m *Machine) string { return fmt.Sprint(m.AllowedMems(), notesOn(m, "memory node is online")) },
			"[] [no memory node is online (0-1), in the cgroup's cpuset (not known) and among the process's (2-3)]"},
		"a cache's list names other CPUs, and there is no mask": {
			map[string]string{online: "0-1", cpu0 + "cache/index3/level": "3", cpu0 + "cache/index3/shared_cpu_list": "0", cpu1 + "cache/index3/level": "3", cpu1 + "cache/index3/shared_cpu_list": "0"},
			func(m *Machine) string { return fmt.Sprint(len(m.Complexes()), notesOn(m, "does not name it")) },
			"2 [CPU 1: the list of CPUs that share its cache of level 3 does not name it, nor does a mask: left out]"},
		"siblings' list names other CPUs, its mask is right": {
			map[string]string{online: "0-1", cpu0 + "topology/core_cpus_list": "0", cpu0 + "topology/core_cpus": "1", cpu1 + "topology/core_cpus_list": "0", cpu1 + "topology/core_cpus": "2"},
			func(m *Machine) string { return fmt.Sprint(m.Cores()[1].CPUs, notesOn(m, "mask counts")) },
			"[1] [CPU 1: the list of CPUs that share its core does not name it: the mask counts]"},
		"nothing but directories": {
			map[string]string{cpu0 + "uevent": "", cpu1 + "online": "0", "sys/devices/system/cpu/cpu2/uevent": "", "sys/devices/system/cpu/cpufreq/x": ""},
			func(m *Machine) string { return m.CPUs().String() }, "0,2"},
		"packages without a number": {
			map[string]string{online: "0-1", cpu0 + "topology/physical_package_id": "-1", cpu0 + "topology/core_siblings": "1",
				cpu1 + "topology/physical_package_id": "-1", cpu1 + "topology/core_siblings": "2"},
			func(m *Machine) string { return fmt.Sprint(m.Packages(), notesOn(m, "package is not known")) }, "[{-1 0} {-1 1}] []"},
		// An old kernel, and what is more than the node has is that of one offline.
		"a node's own memory": {
			map[string]string{online: "0", nodes + "online": "1", nodes + "node1/cpulist": "0",
				nodes + "node1/meminfo": "Node 1 MemTotal: 1024 kB\nNode 1 MemFree: 512 kB\n", "proc/meminfo": "MemTotal: 4096 kB\nMemFree: 2048 kB\n"},
			func(m *Machine) string { return fmt.Sprint(m.NUMANodes()[0].MemoryTotal) }, "1048576"},
		"the only node there can be, which lags behind": {
			map[string]string{online: "0", nodes + "online": "0", nodes + "has_memory": "0", nodes + "possible": "0", nodes + "node0/cpulist": "0",
				nodes + "node0/meminfo": "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 512 kB\n", "proc/meminfo": "MemTotal: 4096 kB\nMemFree: 2048 kB\n"},
			func(m *Machine) string { return fmt.Sprint(m.NUMANodes()[0].MemoryTotal) }, "4194304"},
		// Pages of 64 KiB, as on POWER: 1 GiB is 16384 of them. 2048 are kept; of 256 MiB of files 16 MiB are
		// dirty, and of the others as many as are kept may be, but half at most; 768 + 240 − 120 − 128 MiB.
		"what lies below the watermarks": {
			map[string]string{online: "0", nodes + "online": "0", nodes + "node0/cpulist": "0",
				nodes + "node0/meminfo": "Node 0 MemTotal: 1048576 kB\nNode 0 MemFree: 786432 kB\nNode 0 Active(file): 262144 kB\nNode 0 Dirty: 16384 kB",
				"proc/zoneinfo":         "Node 0, zone   Normal\n  pages free     12288\n        high     2000\n        managed  16384\n        protection: (0, 48)\n    cpu: 0\n  high:  99999"},
			func(m *Machine) string {
				return fmt.Sprint(m.NUMANodes()[0].MemoryFree>>20, m.FreeMemory(MemoryNodes{})[MemoryPool{}]>>20)
			}, "768 760"},
		"a node whose memory is not all of the machine's": {
			map[string]string{online: "0", nodes + "online": "1", nodes + "has_memory": "0-1", nodes + "node1/cpulist": "0",
				nodes + "node1/meminfo": "Node 1 MemTotal: 1024 kB\nNode 1 MemFree: 512 kB\n", "proc/meminfo": "MemTotal: 4096 kB\nMemFree: 2048 kB\n"},
			func(m *Machine) string { return fmt.Sprint(m.NUMANodes()[0].MemoryTotal) }, "1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			src := newTextSource()
			for name, text := range c.files {
				src.addFile(name, text+"\n")
			}
			if got := c.get(readText(t, src)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestRareInDumps: what few kernels show is in a dump: masks of old ones, memory tiers of new ones.
func TestRareInDumps(t *testing.T) {
	masks := with(small(), statusFile, "Cpus_allowed:\t00000000,00000002\nMems_allowed:\t1")
	tiers := with(without(accelerated(), gpuDir, kmemDir), nodeDir+"/has_normal_memory", "0-4", tierDir+"/memory_tier4/nodelist", "0", tierDir+"/memory_tier22/nodelist", "1-4")
	for name, src := range map[string]*textSource{"masks": masks, "tiers": tiers} {
		m, rec := readText(t, src), &recorder{source: src, used: newTextSource()}
		if _, err := read(rec, "dump"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pictureOf(m), pictureOf(readText(t, rec.used))); diff != "" {
			t.Errorf("%s (-once +twice):\n%s", name, diff)
		}
		if m.Allowed().String() == "1" != (name == "masks") || m.NUMANodes()[len(m.NUMANodes())-1].MemoryKind == OtherMemory != (name == "tiers") {
			t.Errorf("%s: %+v", name, pictureOf(m))
		}
	}
}
