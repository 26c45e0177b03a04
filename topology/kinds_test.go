package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A part of a machine is a file more, or another one.
func with(src *textSource, files ...string) *textSource {
	for i := 0; i < len(files); i += 2 {
		src.addFile(files[i], files[i+1]+"\n")
	}
	return src
}

// arm is a machine of one core for each capacity, of the design that goes with it.
func arm(capacities []int, parts ...string) *textSource {
	b := builder{newTextSource()}
	b.file(cpuDir+"/online", "0-%d", len(capacities)-1)
	var cpuinfo strings.Builder
	for cpu, capacity := range capacities {
		b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), fmt.Sprintf("2 1024K %d", cpu), fmt.Sprintf("3 16384K 0-%d", len(capacities)-1))
		if capacity > 0 {
			b.file(cpuDirectory(CPU(cpu))+"/cpu_capacity", "%d", capacity)
		}
		fmt.Fprintf(&cpuinfo, "processor\t: %d\nFeatures\t: asimd sha2\n", cpu)
		if parts != nil {
			fmt.Fprintf(&cpuinfo, "CPU implementer\t: 0x41\nCPU part\t: %s\n", parts[cpu])
		}
		cpuinfo.WriteByte('\n')
	}
	b.file(cpuinfoFile, "%s", cpuinfo.String())
	b.file(nodeDir+"/online", "0")
	b.node(0, fmt.Sprintf("0-%d", len(capacities)-1), 64, 60, 0, "10")
	return b.allow(fmt.Sprintf("0-%d", len(capacities)-1), "0").textSource
}

// bigLittle is a machine of twelve x86 CPUs without the kernel's lists of kinds: cores with two CPUs,
// with one, and with one and no L3.
func bigLittle(kHz ...int) *textSource {
	b := x86("0-7", "Intel(R) Core(TM) Ultra", flagsSHA).allow("0-7", "0")
	for cpu := range 8 {
		switch {
		case cpu < 4:
			pair := fmt.Sprintf("%d-%d", cpu&^1, cpu|1)
			b.cpu(cpu, 0, cpu/2, pair, "2 2048K "+pair, "3 12288K 0-5")
		case cpu < 6:
			b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), "2 2048K 4-5", "3 12288K 0-5")
		default:
			b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), "2 2048K 6-7")
		}
		if kHz != nil {
			b.file(cpuDirectory(CPU(cpu))+"/cpufreq/base_frequency", "%d", kHz[cpu])
		}
	}
	b.file(nodeDir+"/online", "0")
	b.node(0, "0-7", 64, 50, 0, "10")
	return b.textSource
}

func kindsOf(m *Machine) string {
	var text []string
	for _, c := range m.cores {
		text = append(text, fmt.Sprintf("%d%c", c.CPUs[0], c.Kind.String()[0]))
	}
	return strings.Join(text, " ")
}

func TestKinds(t *testing.T) {
	const core, atom, low = "sys/devices/cpu_core/cpus", "sys/devices/cpu_atom/cpus", "sys/devices/cpu_lowpower/cpus"
	midr := func(cpu int) string { return cpuDirectory(CPU(cpu)) + "/regs/identification/midr_el1" }
	for name, c := range map[string]struct {
		src   *textSource
		want  string // a core's first CPU, and p, e, l or u
		note  string // part of one, "" for none about kinds
		model string
	}{
		// All X925, whatever each one's clock makes of its capacity, and all A725.
		"two designs, four capacities": {arm([]int{718, 731, 1017, 1024}, "0xd87", "0xd87", "0xd85", "0xd85"), "0e 1e 2p 3p", "", "Arm Cortex-X925 and Arm Cortex-A725"},
		// The design counts: capacity says how fast a clock firmware allows today.
		"a design goes before capacity": {arm([]int{1024, 500}, "0xd87", "0xd85"), "0e 1p", "", ""},
		// One design has no kinds, and nothing is lacking then.
		"one design, two capacities": {arm([]int{900, 1024}, "0xd4f", "0xd4f"), "0u 1u", "", "Arm Neoverse-V2"},
		// The smallest of three is slower than both, without being out of order.
		"three designs": {arm([]int{0, 0, 0}, "0xd80", "0xd81", "0xd82"), "0l 1e 2p", "", ""},
		// Parts that no table has: values within an eighth are one kind, 1024 and 700 are two.
		"new designs, by capacity":    {arm([]int{700, 731, 997, 1024}, "0xfff", "0xfff", "0xffe", "0xffe"), "0e 1e 2p 3p", "", "implementer 0x41, part 0xffe and implementer 0x41, part 0xfff"},
		"new designs, no capacity":    {arm([]int{0, 0}, "0xfff", "0xffe"), "0u 1u", "cores differ in design (implementer 0x41, part 0xffe and implementer 0x41, part 0xfff)", ""},
		"no designs, by capacity":     {arm([]int{446, 770, 1024}), "0l 1e 2p", "", ""},
		"no designs, like capacities": {arm([]int{1008, 1024}), "0u 1u", "", ""},
		"a capacity is not known":     {arm([]int{0, 700, 1024}), "0u 1e 2p", "CPU 0: its kind of core is not known", ""},
		// Where cpuinfo has no ids, the kernel shows the register itself.
		"main id registers": {with(arm([]int{0, 0}), midr(0), "0x00000000410fd871", midr(1), "0x00000000410fd851"), "0e 1p", "", "Arm Cortex-X925 and Arm Cortex-A725"},

		"the kernel's lists": {with(bigLittle(), core, "0-3", atom, "4-5", low, "6-7"), "0p 2p 4e 5e 6l 7l", "", ""},
		// Kernels that have no list of low-power cores count them as atoms: they have no part in the L3.
		"low-power cores by their L3": {with(bigLittle(), core, "0-3", atom, "4-7"), "0p 2p 4e 5e 6l 7l", "", ""},
		// LP-E cores are the last to be used, also where nothing tells the others apart.
		"nothing but an L3": {bigLittle(), "0u 2u 4u 5u 6l 7l", "without a part in the L3 that others of their package have are taken for low-power ones", ""},
		"one list alone":    {with(bigLittle(), atom, "4-7"), "0u 2u 4e 5e 6l 7l", "of one kind alone", ""},
		// 1.5 and 1.3 GHz: Core Ultra 5 225U.
		"by base frequency":          {bigLittle(15e5, 15e5, 15e5, 15e5, 13e5, 13e5, 7e5, 7e5), "0p 2p 4e 5e 6l 7l", "", ""},
		"like base frequencies":      {bigLittle(20e5, 20e5, 20e5, 20e5, 19e5, 19e5, 19e5, 19e5), "0u 2u 4u 5u 6l 7l", "kinds of the others are not known", ""},
		"the lists go before clocks": {with(bigLittle(1e5, 1e5, 1e5, 1e5, 9e5, 9e5, 9e5, 9e5), core, "0-3", atom, "4-7"), "0p 2p 4e 5e 6l 7l", "", ""},
		"nothing but another L2":     {with(bigLittle(), cpuDirectory(4)+"/cache/index2/size", "4096K"), "0u 2u 4u 5u 6l 7l", "cores differ in the size of their L2 (2 MiB to 4 MiB), and nothing tells which are faster", ""},
		"nothing but another clock": {with(bigLittle(), cpuDirectory(0)+"/cpufreq/cpuinfo_max_freq", "5100000", cpuDirectory(4)+"/cpufreq/cpuinfo_max_freq", "3300000"),
			"0u 2u 4u 5u 6l 7l", "cores differ in their highest frequency (3300 to 5100 MHz)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := readText(t, c.src)
			if got := kindsOf(m); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			notes := strings.Join(m.Degraded(), "\n")
			if c.note != "" && !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "kind") {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if c.model != "" && m.Model() != c.model {
				t.Errorf("model %q, want %q", m.Model(), c.model)
			}
		})
	}
}

// accelerated is a machine with a NUMA node of CPUs and four of memory: GPUs', NVDIMM, an expander's.
func accelerated() *textSource {
	b := x86("0-1", "AMD EPYC", flagsSHA).allow("0-1", "0-4")
	for cpu := range 2 {
		b.cpu(cpu, 0, cpu, fmt.Sprint(cpu), "3 8192K 0-1")
	}
	b.file(nodeDir+"/online", "0-4")
	b.file(nodeDir+"/has_normal_memory", "0")
	b.node(0, "0-1", 8, 7, 0, "10 40 40 40 40")
	for id, distances := range []string{"", "40 10 80 80 80", "40 80 10 80 80", "40 80 80 10 80", "40 80 80 80 10"} {
		if id > 0 {
			b.node(id, "", 16, 16, 0, distances)
		}
	}
	b.file(gpuDir+"/0004:05:00.0/numa_status", "Node:      1\nStatus:    online\nAddress:   40000000000\nSize:      3f0000000")
	b.file(gpuDir+"/0006:00:00.0/numa_status", "Node:      -1\nStatus:    offline")
	b.addDir(kmemDir)
	for id, at := range map[int]string{
		2: "../../../../devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region5/dax5.1/dax2.0",
		3: "../../../../devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax3.0",
		4: "../../../../devices/platform/hmem.1/dax4.0",
	} {
		name := fmt.Sprintf("%s/dax%d.0", kmemDir, id)
		b.file(name+linkSuffix, "%s", at)
		b.file(name+"/target_node", "%d", id)
	}
	return b.textSource
}

// without is a machine that lacks some files and directories.
func without(src *textSource, names ...string) *textSource {
	left := newTextSource()
	for dir := range src.dirs {
		if !slices.ContainsFunc(names, func(name string) bool { return within(dir, name) }) {
			left.addDir(dir)
		}
	}
	for file, text := range src.files {
		if !slices.ContainsFunc(names, func(name string) bool { return within(file, name) }) {
			left.addFile(file, text)
		}
	}
	return left
}

func TestMemoryKinds(t *testing.T) {
	bandwidth := func(id int) string {
		return fmt.Sprintf("%s/node%d/access1/initiators/read_bandwidth", nodeDir, id)
	}
	const gpu = gpuDir + "/0004:05:00.0/numa_status"
	for name, c := range map[string]struct {
		src  *textSource
		want string
		note string
	}{
		"all told": {accelerated(), "dram gpu nvdimm cxl hbm", ""},
		// Memory set aside by firmware that is slower than the CPUs' own is no HBM.
		"slow memory of a purpose": {with(accelerated(), bandwidth(0), "1000", bandwidth(4), "400"), "dram gpu nvdimm cxl cxl", ""},
		// The kernel has no normal memory there: whose it is, nobody says.
		"GPUs that say nothing":     {without(accelerated(), gpu, gpuDir+"/0006:00:00.0/numa_status"), "dram other nvdimm cxl hbm", "names GPUs and no numa_status"},
		"no driver":                 {without(accelerated(), gpuDir), "dram other nvdimm cxl hbm", "of a GPU or another device"},
		"a device of no known kind": {with(accelerated(), kmemDir+"/dax4.0"+linkSuffix, "../../../../devices/x/dax4.0"), "dram gpu nvdimm cxl other", "NUMA node 4: memory of a device, dax4.0"},
		// arm64 may put a GPU's memory into a normal zone: numa_status says what it is.
		"a GPU's normal memory":      {with(accelerated(), nodeDir+"/has_normal_memory", "0-1"), "dram gpu nvdimm cxl hbm", ""},
		"silent GPUs' normal memory": {with(without(accelerated(), gpu, gpuDir+"/0006:00:00.0/numa_status"), nodeDir+"/has_normal_memory", "0-4"), "dram other nvdimm cxl hbm", "memory without CPUs may be theirs"},
		// A machine whose GPU has a part in the CPUs' memory: the system runs in it.
		"a GPU with the CPUs' memory": {with(accelerated(), gpu, "Node: 0"), "dram other nvdimm cxl hbm", "NUMA node 0: said to be a GPU's memory, but has CPUs"},
		// Without devices, firmware's bandwidths tell: twice that of the CPUs', and half.
		"by bandwidth": {with(without(accelerated(), gpuDir, kmemDir), nodeDir+"/has_normal_memory", "0-4", bandwidth(0), "1000", bandwidth(1), "2000", bandwidth(2), "500", bandwidth(3), "1100", bandwidth(4), "900"),
			"dram hbm other dram dram", ""},
		// By default a node is in the tier of the CPUs' own, so that tells nothing.
		"by the kernel's tiers": {with(without(accelerated(), gpuDir, kmemDir), nodeDir+"/has_normal_memory", "0-4", tierDir+"/memory_tier4/nodelist", "0,3-4", tierDir+"/memory_tier22/nodelist", "1", tierDir+"/memory_tier2/nodelist", "2"),
			"dram other hbm dram dram", "NUMA nodes 3-4: memory without CPUs, and how fast it is is not known"},
		"a bandwidth is not known": {with(without(accelerated(), gpuDir, kmemDir), nodeDir+"/has_normal_memory", "0-4", bandwidth(0), "1000"), "dram dram dram dram dram", "how fast it is is not known"},
		"a Xeon Phi": {with(without(accelerated(), gpuDir, kmemDir), nodeDir+"/has_normal_memory", "0-4", cpuinfoFile, "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 87\nmodel name : Xeon Phi\nflags : avx2"),
			"dram hbm hbm hbm hbm", ""},
		"an old kernel": {without(accelerated(), gpuDir, kmemDir, nodeDir+"/has_normal_memory"), "dram dram dram dram dram", "NUMA nodes 1-4: memory without CPUs, and no has_normal_memory"},
	} {
		t.Run(name, func(t *testing.T) {
			m := readText(t, c.src)
			var kinds []string
			for _, n := range m.NUMANodes() {
				kinds = append(kinds, n.MemoryKind.String())
			}
			if got := strings.Join(kinds, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			notes := strings.Join(m.Degraded(), "\n")
			if c.note != "" && !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "memory") {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestMemoryNodes: which nodes' memory is used follows what is asked for, and never a GPU's.
func TestMemoryNodes(t *testing.T) {
	m := readText(t, with(accelerated(), statusFile, "Cpus_allowed_list:\t0-1\nMems_allowed_list:\t0-3"))
	for text, c := range map[string]struct {
		used string // nodes
		out  string
		err  string
	}{
		"":      {"0", "1-3", ""},
		"all":   {"0,2-3", "1", ""},
		"2":     {"2", "0-1,3", ""},
		"0,2":   {"0,2", "1,3", ""},
		"1":     {err: "NUMA node 1 is a GPU's memory"},
		"0,4":   {err: "NUMA node 4 has memory that this process may not use, only that of 0-3"},
		"0,7-8": {err: "NUMA node 7-8 is none of this machine's, which are 0-4"},
	} {
		var which MemoryNodes
		if text != "" {
			var err error
			if which, err = ParseMemoryNodes(text); err != nil || which.String() != text {
				t.Fatalf("%q: %v, %v", text, which, err)
			}
		}
		err := m.CheckMemoryNodes(which)
		var wrong *MemoryNodeError
		if c.err != "" {
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want %q", text, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var used, out []NUMANodeID
		for _, pool := range SortedPools(m.FreeMemory(which)) {
			used = append(used, pool.NUMANode)
		}
		for _, n := range m.LeftOut(which) {
			out = append(out, n.ID)
		}
		var kept []NUMANodeID
		for _, id := range m.KeepTo(which) {
			kept = append(kept, NUMANodeID(id))
		}
		if nodeList(kept) != c.used {
			t.Errorf("%q: memory is kept to %v, want %s", text, kept, c.used)
		}
		if got := nodeList(used) + " " + nodeList(out); got != c.used+" "+c.out {
			t.Errorf("%q: used and left out %s, want %s %s", text, got, c.used, c.out)
		}
	}
	// What may be a GPU's is used if it is named, and not with all.
	noDriver := readText(t, without(accelerated(), gpuDir))
	for text, want := range map[string]string{"all": "[0 2 3 4]", "0-1": "[0 1]"} {
		which, err := ParseMemoryNodes(text)
		if err != nil || noDriver.CheckMemoryNodes(which) != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(noDriver.KeepTo(which)); got != want {
			t.Errorf("%s, without a driver: %s, want %s", text, got, want)
		}
	}
	// Where nothing is left out, memory may be anywhere, as it may where there is none to be kept to.
	for name, src := range map[string]*textSource{"one node": bigLittle(), "only a GPU's memory allowed": with(accelerated(), statusFile, "Cpus_allowed_list:\t0-1\nMems_allowed_list:\t1")} {
		if nodes := readText(t, src).KeepTo(MemoryNodes{}); nodes != nil {
			t.Errorf("%s: memory is kept to %v", name, nodes)
		}
	}
	for _, text := range []string{"", "x", "5-4", "1024", "all,0"} {
		if which, err := ParseMemoryNodes(text); err == nil {
			t.Errorf("%q: %v", text, which)
		}
	}
}
