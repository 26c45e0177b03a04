package topology

import (
	"fmt"
	"strings"
)

// machines are the dumps in testdata: made up, each after a kind of real machine. The
// files are what counts; TestDumpsAreGenerated rewrites them from here with -update.
var machines = map[string]func() *textSource{
	"epyc-2s-24ccx-smt":  epyc,
	"xeon-2s-interleave": interleaved,
	"xeon-2s-snc2":       subNUMA,
	"arm64-altra":        altra,
	"container-cut-ccx":  container,
	"hybrid":             hybrid,
	"offline-cpus":       offline,
	"odd-nodes":          oddNodes,
	"uneven-l3":          uneven,
	"vm-no-cache":        noCache,
	"arm64-two-designs":  func() *textSource { return arm([]int{718, 731, 1017, 1024}, "0xd87", "0xd87", "0xd85", "0xd85") },
	"hybrid-low-power": func() *textSource {
		return with(bigLittle(), "sys/devices/cpu_core/cpus", "0-3", "sys/devices/cpu_atom/cpus", "4-7")
	},
	"accelerated":          accelerated,
	"vm-own-sockets":       ownSockets,
	"node-offline":         nodeOffline,
	"container-two-mounts": twoMounts,
	"nothing":              newTextSource,
}

const (
	flagsAVX512 = "fpu sse sse2 ssse3 sse4_1 avx avx2 bmi2 avx512f avx512dq avx512bw avx512vl sha_ni"
	flagsSHA    = "fpu sse sse2 ssse3 sse4_1 avx avx2 bmi2 sha_ni"
	flagsPlain  = "fpu sse sse2 ssse3 sse4_1 avx avx2 bmi2"
)

// A builder writes a machine's files as a kernel shows them.
type builder struct{ *textSource }

func (b builder) file(name, format string, args ...any) {
	b.addFile(name, fmt.Sprintf(format, args...)+"\n")
}

func x86(online, model, flags string) builder {
	b := builder{newTextSource()}
	b.file(cpuDir+"/online", "%s", online)
	b.file(cpuDir+"/possible", "%s", online)
	var text strings.Builder
	set, _ := ParseCPUList(online)
	for cpu := range set.All() {
		fmt.Fprintf(&text, "processor\t: %d\n", cpu)
		if cpu == set.first() {
			fmt.Fprintf(&text, "model name\t: %s\nflags\t\t: %s\n", model, flags)
		}
	}
	b.file(cpuinfoFile, "%s", strings.TrimRight(text.String(), "\n"))
	return b
}

// allow writes the affinity mask and a cgroup of version 2 with these CPUs and nodes.
func (b builder) allow(cpus, mems string) builder {
	b.file(statusFile, "Cpus_allowed_list:\t%s\nMems_allowed_list:\t%s", cpus, mems)
	b.file(cgroupFile, "0::/system.slice/sealer.service")
	b.file(mountinfoFile, "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate")
	b.file("sys/fs/cgroup/system.slice/sealer.service/cpuset.cpus.effective", "%s", cpus)
	b.file("sys/fs/cgroup/system.slice/sealer.service/cpuset.mems.effective", "%s", mems)
	return b
}

// cpu writes a CPU. Caches are "level size sharers"; those of level 1 are the core's.
func (b builder) cpu(cpu, pkg, core int, siblings string, caches ...string) {
	dir := cpuDirectory(CPU(cpu))
	b.file(dir+"/topology/physical_package_id", "%d", pkg)
	b.file(dir+"/topology/core_id", "%d", core)
	b.file(dir+"/topology/core_cpus_list", "%s", siblings)
	b.file(dir+"/cache/index0/level", "1")
	b.file(dir+"/cache/index1/level", "1")
	for i, text := range caches {
		f := strings.Fields(text)
		index := fmt.Sprintf("%s/cache/index%d", dir, i+2)
		b.file(index+"/level", "%s", f[0])
		b.file(index+"/size", "%s", f[1])
		b.file(index+"/shared_cpu_list", "%s", f[2])
	}
}

// node writes a NUMA node with its memory in GiB and its pages of 1 GiB, half of
// them, and all of 2 MiB, free.
func (b builder) node(id int, cpus string, total, free, gigantic int, distances string) {
	dir := fmt.Sprintf("%s/node%d", nodeDir, id)
	b.file(dir+"/cpulist", "%s", cpus)
	b.file(dir+"/distance", "%s", distances)
	b.file(dir+"/meminfo", "Node %[1]d MemTotal:       %[2]d kB\nNode %[1]d MemFree:        %[3]d kB\nNode %[1]d Active(file):   %[4]d kB\nNode %[1]d Inactive(file): %[4]d kB\nNode %[1]d SReclaimable:   %[5]d kB",
		id, total<<20, free<<20, total<<10, total<<8)
	if total > 0 { // as the kernel has it
		b.pools(dir+"/hugepages", gigantic)
	}
	b.addDir(hugeDir + "/hugepages-2048kB")
	b.addDir(hugeDir + "/hugepages-1048576kB")
}

func (b builder) pools(dir string, gigantic int) {
	b.file(dir+"/hugepages-1048576kB/nr_hugepages", "%d", gigantic)
	b.file(dir+"/hugepages-1048576kB/free_hugepages", "%d", gigantic/2)
	b.file(dir+"/hugepages-2048kB/nr_hugepages", "%d", 8*gigantic)
	b.file(dir+"/hugepages-2048kB/free_hugepages", "%d", 8*gigantic)
}

// Two EPYC 9654: 12 core complexes of 8 cores in each, SMT siblings 192 apart.
func epyc() *textSource {
	b := x86("0-383", "AMD EPYC 9654 96-Core Processor", flagsAVX512).allow("0-383", "0-1")
	for cpu := range 384 {
		core := cpu % 192
		ccx := core &^ 7
		b.cpu(cpu, core/96, core%96, fmt.Sprintf("%d,%d", core, core+192),
			fmt.Sprintf("2 1024K %d,%d", core, core+192), fmt.Sprintf("3 32768K %d-%d,%d-%d", ccx, ccx+7, ccx+192, ccx+199))
	}
	b.file(nodeDir+"/online", "0-1")
	b.node(0, "0-95,192-287", 768, 700, 64, "10 32")
	b.node(1, "96-191,288-383", 768, 751, 64, "32 10")
	return b.textSource
}

// Two Xeons that take CPU numbers in turns, with a cgroup of version 1 whose mount
// shows only a part of the hierarchy, as in a container.
func interleaved() *textSource {
	b := x86("0-31", "Intel(R) Xeon(R) Silver 4110 CPU @ 2.10GHz", flagsPlain)
	for cpu := range 32 {
		core := cpu % 16
		var l3 []string
		for other := cpu % 2; other < 32; other += 2 {
			l3 = append(l3, fmt.Sprint(other))
		}
		b.cpu(cpu, cpu%2, core/2, fmt.Sprintf("%d,%d", core, core+16),
			fmt.Sprintf("2 1024K %d,%d", core, core+16), "3 11264K "+strings.Join(l3, ","))
	}
	b.file(nodeDir+"/online", "0-1")
	b.node(0, "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30", 96, 80, 4, "10 21")
	b.node(1, "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31", 96, 90, 0, "21 10")
	b.file(statusFile, "Cpus_allowed_list:\t0-31\nMems_allowed_list:\t0-1")
	b.file(cgroupFile, "12:memory:/docker/4f6a\n4:cpuset,cpu:/docker/4f6a/sealers\n0::/system.slice/docker.service")
	b.file(mountinfoFile, "%s\n%s\n%s",
		"610 600 0:30 /docker/4f6a /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory",
		"611 600 0:31 /docker/4f6a /sys/fs/cgroup/cpuset,cpu ro,nosuid master:9 - cgroup cgroup rw,cpuset,cpu",
		"612 600 0:32 / /sys/fs/cgroup/unified ro,nosuid - cgroup2 cgroup rw")
	for directory, cpus := range map[string]string{"": "0-31", "/sealers": "0-15"} {
		b.file("sys/fs/cgroup/cpuset,cpu"+directory+"/cpuset.effective_cpus", "%s", cpus)
		b.file("sys/fs/cgroup/cpuset,cpu"+directory+"/cpuset.effective_mems", "0-1")
	}
	return b.textSource
}

// Two Xeons with two sub-NUMA clusters each: an L3 spans two nodes.
func subNUMA() *textSource {
	b := x86("0-23", "Intel(R) Xeon(R) Platinum 8253 CPU @ 2.20GHz", flagsPlain+" avx512f avx512dq avx512bw avx512vl").allow("0-23", "0-3")
	for cpu := range 24 {
		first := cpu / 12 * 12
		b.cpu(cpu, cpu/12, cpu%12, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu), fmt.Sprintf("3 22528K %d-%d", first, first+11))
	}
	b.file(nodeDir+"/online", "0-3")
	b.node(0, "0-2,6-8", 48, 40, 2, "10 11 21 21")
	b.node(1, "3-5,9-11", 48, 44, 2, "11 10 21 21")
	b.node(2, "12-14,18-20", 48, 45, 2, "21 21 10 11")
	b.node(3, "15-17,21-23", 48, 46, 2, "21 21 11 10")
	return b.textSource
}

// An arm64 server whose system cache the kernel does not list: no cache is shared.
func altra() *textSource {
	b := builder{newTextSource()}
	b.file(cpuDir+"/online", "0-31")
	b.file(cpuinfoFile, "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c")
	b.allow("0-31", "0")
	for cpu := range 32 {
		b.cpu(cpu, 0, 2*cpu, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu))
		b.file(cpuDirectory(CPU(cpu))+"/cpu_capacity", "1024")
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-31", 256, 240, 32, "10")
	return b.textSource
}

// A container with four cores of an EPYC, of which two are in one core complex and
// two in the next; the cgroup namespace hides the path.
func container() *textSource {
	b := x86("0-31", "AMD EPYC 7302P 16-Core Processor", flagsSHA)
	for cpu := range 32 {
		core := cpu % 16
		ccx := core &^ 3
		b.cpu(cpu, 0, core, fmt.Sprintf("%d,%d", core, core+16),
			fmt.Sprintf("2 512K %d,%d", core, core+16), fmt.Sprintf("3 16384K %d-%d,%d-%d", ccx, ccx+3, ccx+16, ccx+19))
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-31", 128, 64, 0, "10")
	b.file(statusFile, "Cpus_allowed_list:\t2-5,18-21\nMems_allowed_list:\t0")
	b.file(cgroupFile, "0::/")
	b.file(mountinfoFile, "1511 1500 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw")
	b.file("sys/fs/cgroup/cpuset.cpus.effective", "2-5,18-21")
	b.file("sys/fs/cgroup/cpuset.mems.effective", "0")
	return b.textSource
}

// Four performance cores with SMT, and two modules of four efficiency cores.
func hybrid() *textSource {
	b := x86("0-15", "12th Gen Intel(R) Core(TM) i5-12600K", flagsSHA).allow("0-15", "0")
	for cpu := range 16 {
		if cpu < 8 {
			pair := fmt.Sprintf("%d-%d", cpu&^1, cpu|1)
			b.cpu(cpu, 0, cpu/2*4, pair, "2 1280K "+pair, "3 20480K 0-15")
		} else {
			b.cpu(cpu, 0, 8+cpu, fmt.Sprint(cpu), fmt.Sprintf("2 2048K %d-%d", cpu&^3, cpu|3), "3 20480K 0-15")
		}
	}
	b.file("sys/devices/cpu_core/cpus", "0-7")
	b.file("sys/devices/cpu_atom/cpus", "8-15")
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-15", 64, 50, 0, "10")
	return b.textSource
}

// CPUs 3 and 8-11 are offline: half a core, and all of a core complex. The lists of who
// shares an L3 have them all the same, as some kernels show it.
func offline() *textSource {
	const online = "0-2,4-7,12-15"
	b := x86(online, "AMD EPYC 7232P 8-Core Processor", flagsSHA).allow("0-15", "0")
	b.file(cpuDir+"/offline", "3,8-11")
	set, _ := ParseCPUList(online)
	for cpu := range 16 {
		b.file(cpuDirectory(CPU(cpu))+"/online", "%d", map[bool]int{true: 1}[set.Contains(CPU(cpu))])
		if !set.Contains(CPU(cpu)) {
			continue
		}
		ccx, _ := ParseCPUList(fmt.Sprintf("%d-%d", cpu&^3, cpu|3))
		pair := NewCPUSet(CPU(cpu&^1), CPU(cpu|1)).Intersect(set)
		b.cpu(cpu, 0, cpu/2, pair.String(), "2 512K "+pair.String(), "3 8192K "+ccx.String())
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, online, 64, 60, 8, "10")
	return b.textSource
}

// Node 1 has CPUs and no memory, node 4 memory and no CPUs.
func oddNodes() *textSource {
	b := x86("0-7", "AMD EPYC 9124 16-Core Processor", flagsAVX512).allow("0-7", "0,4")
	for cpu := range 8 {
		b.cpu(cpu, cpu/4, cpu%4, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu), fmt.Sprintf("3 16384K %d-%d", cpu&^3, cpu|3))
	}
	b.file(nodeDir+"/online", "0-1,4")
	b.file(nodeDir+"/has_normal_memory", "0,4")
	b.node(0, "0-3", 64, 60, 4, "10 32 14")
	b.node(1, "4-7", 0, 0, 0, "32 10 28")
	b.node(4, "", 256, 255, 0, "14 28 10")
	return b.textSource
}

// One core complex has more cache, the other more cores.
func uneven() *textSource {
	b := x86("0-13", "AMD Ryzen 9 7900X3D 12-Core Processor", flagsAVX512).allow("0-13", "0")
	for cpu := range 14 {
		if cpu < 6 {
			b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu), "3 98304K 0-5")
		} else {
			b.cpu(cpu, 0, 2+cpu, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu), "3 32768K 6-13")
		}
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-13", 128, 100, 0, "10")
	return b.textSource
}

// A virtual machine as libvirt makes them unless told otherwise: each CPU is a socket, with an L3 of its own.
func ownSockets() *textSource {
	b := x86("0-7", "AMD EPYC-Milan Processor", flagsSHA).allow("0-7", "0")
	for cpu := range 8 {
		b.cpu(cpu, cpu, 0, fmt.Sprint(cpu), fmt.Sprintf("2 512K %d", cpu), fmt.Sprintf("3 16384K %d", cpu))
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-7", 256, 250, 0, "10")
	return b.textSource
}

// Two packages that take CPU numbers in turns; node 0, with the even ones, is offline.
func nodeOffline() *textSource {
	b := x86("4-11", "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", flagsPlain).allow("4-11", "1")
	for cpu := 4; cpu < 12; cpu++ {
		l3 := fmt.Sprintf("3 30720K %d,%d,%d,%d", 4+cpu%2, 6+cpu%2, 8+cpu%2, 10+cpu%2)
		b.cpu(cpu, cpu%2, cpu/2, fmt.Sprint(cpu), fmt.Sprintf("2 256K %d", cpu), l3)
	}
	b.file(nodeDir+"/online", "1")
	b.file(nodeDir+"/has_memory", "1")
	b.file(nodeDir+"/possible", "0-1")
	b.node(1, "5,7,9,11", 64, 60, 0, "21 10") // as dumps have it, of nodes that went offline later
	return b.textSource
}

// A container of the old way: its cpuset's hierarchy is mounted twice, first where the group does not show.
func twoMounts() *textSource {
	b := x86("0-7", "AMD Opteron(TM) Processor 6276", flagsPlain)
	for cpu := range 8 {
		b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), fmt.Sprintf("2 2048K %d", cpu), fmt.Sprintf("3 6144K %d-%d", cpu&^3, cpu|3))
	}
	b.file(nodeDir+"/online", "0-1")
	b.node(0, "0-3", 16, 15, 0, "10 16")
	b.node(1, "4-7", 16, 15, 0, "16 10")
	b.file(statusFile, "Cpus_allowed_list:\t4-7\nMems_allowed_list:\t1")
	b.file(cgroupFile, "2:cpuset:/lxc/sealer")
	b.file(mountsFile, "none /cgroup cgroup rw,relatime,cpuset 0 0\nnone /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0")
	b.file("cgroup/cpuset.cpus", "0-7")
	b.file("cgroup/cpuset.mems", "0-1")
	b.file("sys/fs/cgroup/cpuset/lxc/sealer/cpuset.cpus", "4-6")
	b.file("sys/fs/cgroup/cpuset/lxc/sealer/cpuset.mems", "1")
	return b.textSource
}

// The least with everything, for tests that lay it out on a disk many times.
func small() *textSource {
	b := x86("0-1", "AMD EPYC", flagsSHA).allow("0-1", "0")
	for cpu := range 2 {
		b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), "3 8192K 0-1")
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-1", 8, 7, 0, "10")
	return b.textSource
}

// A virtual machine without caches, NUMA nodes or cgroups.
func noCache() *textSource {
	b := x86("0-7", "QEMU Virtual CPU version 2.5+", "fpu sse sse2")
	for cpu := range 8 {
		dir := cpuDirectory(CPU(cpu))
		b.file(dir+"/topology/physical_package_id", "%d", cpu/4)
		b.file(dir+"/topology/core_id", "%d", cpu%4)
		b.file(dir+"/topology/thread_siblings", "%x", 1<<cpu)
	}
	b.file(meminfoFile, "MemTotal: 8388608 kB\nMemFree: 6291456 kB\nActive(file): 1024 kB\nInactive(file): 1024 kB\nSReclaimable: 64 kB")
	b.pools(hugeDir, 2)
	return b.textSource
}
