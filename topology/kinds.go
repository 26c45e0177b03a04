package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A design is that of an arm64 core, as its main id register has it, in hexadecimal with 0x.
type design struct{ implementer, part string }

func (d design) String() string {
	return cmp.Or(armDesigns[d].name, fmt.Sprintf("implementer %s, part %s", d.implementer, d.part))
}

// A class is how fast a design is beside others that are sold in one machine, fastest first.
type class int

const (
	noClass     class = iota // it is sold alone
	primeClass               // Arm's X and C1-Ultra, made for speed
	bigClass                 // Arm's A7x and C1-Pro, made for speed and size
	littleClass              // Arm's A5x, made for power
)

// armDesigns are arm64's cores. Implementers and parts are those in Linux,
// arch/arm64/include/asm/cputype.h, whose commits name the section on MIDR_EL1 of each
// core's technical reference manual. Classes are the product lines of the makers.
var armDesigns = map[design]struct {
	name  string
	class class
}{
	{"0x41", "0xd03"}: {"Arm Cortex-A53", littleClass},
	{"0x41", "0xd04"}: {"Arm Cortex-A35", littleClass},
	{"0x41", "0xd05"}: {"Arm Cortex-A55", littleClass},
	{"0x41", "0xd07"}: {"Arm Cortex-A57", bigClass},
	{"0x41", "0xd08"}: {"Arm Cortex-A72", bigClass},
	{"0x41", "0xd09"}: {"Arm Cortex-A73", bigClass},
	{"0x41", "0xd0a"}: {"Arm Cortex-A75", bigClass},
	{"0x41", "0xd0b"}: {"Arm Cortex-A76", bigClass},
	{"0x41", "0xd0c"}: {"Arm Neoverse-N1", noClass},
	{"0x41", "0xd0d"}: {"Arm Cortex-A77", bigClass},
	{"0x41", "0xd40"}: {"Arm Neoverse-V1", noClass},
	{"0x41", "0xd41"}: {"Arm Cortex-A78", bigClass},
	{"0x41", "0xd44"}: {"Arm Cortex-X1", primeClass},
	{"0x41", "0xd46"}: {"Arm Cortex-A510", littleClass},
	{"0x41", "0xd47"}: {"Arm Cortex-A710", bigClass},
	{"0x41", "0xd48"}: {"Arm Cortex-X2", primeClass},
	{"0x41", "0xd49"}: {"Arm Neoverse-N2", noClass},
	{"0x41", "0xd4b"}: {"Arm Cortex-A78C", bigClass},
	{"0x41", "0xd4c"}: {"Arm Cortex-X1C", primeClass},
	{"0x41", "0xd4d"}: {"Arm Cortex-A715", bigClass},
	{"0x41", "0xd4e"}: {"Arm Cortex-X3", primeClass},
	{"0x41", "0xd4f"}: {"Arm Neoverse-V2", noClass},
	{"0x41", "0xd80"}: {"Arm Cortex-A520", littleClass},
	{"0x41", "0xd81"}: {"Arm Cortex-A720", bigClass},
	{"0x41", "0xd82"}: {"Arm Cortex-X4", primeClass},
	{"0x41", "0xd83"}: {"Arm Neoverse-V3AE", noClass},
	{"0x41", "0xd84"}: {"Arm Neoverse-V3", noClass},
	{"0x41", "0xd85"}: {"Arm Cortex-X925", primeClass},
	{"0x41", "0xd87"}: {"Arm Cortex-A725", bigClass},
	{"0x41", "0xd8b"}: {"Arm C1-Pro", bigClass},
	{"0x41", "0xd8c"}: {"Arm C1-Ultra", primeClass},
	{"0x41", "0xd8e"}: {"Arm Neoverse-N3", noClass},
	{"0x41", "0xd90"}: {"Arm C1-Premium", primeClass},
	{"0x43", "0x0af"}: {"Cavium ThunderX2", noClass},
	{"0x46", "0x001"}: {"Fujitsu A64FX", noClass},
	{"0x48", "0xd01"}: {"HiSilicon TaiShan v110", noClass},
	{"0x48", "0xd02"}: {"HiSilicon HIP09", noClass},
	{"0x48", "0xd06"}: {"HiSilicon HIP12", noClass},
	{"0x4e", "0x010"}: {"NVIDIA Olympus", noClass},
	{"0x50", "0x000"}: {"APM X-Gene", noClass},
	{"0x51", "0x001"}: {"Qualcomm Oryon", noClass},
	{"0x61", "0x022"}: {"Apple Icestorm", littleClass},
	{"0x61", "0x023"}: {"Apple Firestorm", primeClass},
	{"0x61", "0x024"}: {"Apple Icestorm", littleClass},
	{"0x61", "0x025"}: {"Apple Firestorm", primeClass},
	{"0x61", "0x028"}: {"Apple Icestorm", littleClass},
	{"0x61", "0x029"}: {"Apple Firestorm", primeClass},
	{"0x61", "0x032"}: {"Apple Blizzard", littleClass},
	{"0x61", "0x033"}: {"Apple Avalanche", primeClass},
	{"0x6d", "0xd49"}: {"Microsoft Azure Cobalt 100", noClass},
	{"0xc0", "0xac3"}: {"Ampere-1", noClass},
	{"0xc0", "0xac4"}: {"Ampere-1A", noClass},
}

// modelOf names the processor by its cores' designs: "Arm Cortex-X925 and Arm Cortex-A725".
func modelOf(designs map[CPU]design) string {
	var names []string
	seen := map[design]bool{}
	for _, d := range slices.SortedFunc(maps.Values(designs), func(a, b design) int {
		return cmp.Or(cmp.Compare(armDesigns[a].class, armDesigns[b].class), cmp.Compare(a.part, b.part))
	}) {
		if d.part != "" && !seen[d] {
			seen[d] = true
			names = append(names, d.String())
		}
	}
	return strings.Join(slices.Compact(names), " and ")
}

// kinds tells fast cores from slow ones, where a machine has several kinds: by the kernel's lists
// of x86's kinds, by arm64's designs, else by what the kernel says of each core's capacity or
// base frequency.
func (r *reader) kinds() {
	if r.listedKinds() {
		r.lowPower()
		return
	}
	alike, differ := r.designKinds()
	if alike {
		return
	}
	for _, files := range [][]string{{"cpu_capacity"}, {"cpufreq/base_frequency", "acpi_cppc/nominal_freq"}} {
		if r.rank(clusters(r.ofCores(files...))) {
			r.lowPower()
			return
		}
	}
	if differ == "" {
		differ = r.difference()
	}
	if r.x86 && r.lowPower() {
		r.notes.add("cores without a part in the L3 that others of their package have are taken for low-power ones, and the kinds of the others are not known")
	}
	if differ != "" {
		r.notes.add("cores differ in %s, and nothing tells which are faster: their kinds are not known", differ)
	}
}

// listedKinds reads the lists of CPUs that go with each kind's counters.
func (r *reader) listedKinds() bool {
	lists := map[CoreKind]CPUSet{}
	for name, kind := range map[string]CoreKind{"cpu_core": Performance, "cpu_atom": Efficiency, "cpu_lowpower": LowPower} {
		if set, ok := parsed(r, "sys/devices/"+name+"/cpus", ParseCPUList); ok {
			lists[kind] = set
		}
	}
	if len(lists) == 0 {
		return false
	}
	if len(lists) == 1 {
		r.notes.add("of performance and efficiency cores, the CPUs of one kind alone are known")
	}
	for i := range r.m.cores {
		core := &r.m.cores[i]
		for _, kind := range []CoreKind{Performance, Efficiency, LowPower} {
			if lists[kind].Contains(core.CPUs[0]) {
				core.Kind = kind
				break
			}
		}
		if core.Kind == UnknownKind {
			r.notes.addCPU(core.CPUs[0], "its kind of core is not known")
		}
	}
	return true
}

// lowPower finds the efficiency cores that have no part in an L3 while others of their package do, or cores
// of no known kind where none is known. It reports whether there are any.
func (r *reader) lowPower() (found bool) {
	m := r.m
	hasL3 := func(core int) bool {
		return slices.ContainsFunc(r.coreCaches[core], func(c cache) bool { return c.level == 3 })
	}
	shared := map[PackageIndex]bool{}
	for i, core := range m.cores {
		shared[core.Package] = shared[core.Package] || hasL3(i)
	}
	kind := Efficiency
	if !slices.ContainsFunc(m.cores, func(c Core) bool { return c.Kind != UnknownKind }) {
		kind = UnknownKind
	}
	for i := range m.cores {
		core := &m.cores[i]
		if core.Kind == kind && shared[core.Package] && !hasL3(i) &&
			(m.complexes[core.Complex].CacheLevel == 2 || len(r.coreCaches[i]) > 0 && m.complexes[core.Complex].CacheLevel == 0) {
			core.Kind = LowPower
			found = true
		}
	}
	return found
}

// designKinds tells kinds by designs. Alike: there is one, or it has told; differ says what there is
// where that does not suffice.
func (r *reader) designKinds() (alike bool, differ string) {
	if r.x86 || len(r.m.cores) == 0 {
		return false, ""
	}
	designs := make([]design, len(r.m.cores))
	all := map[CPU]design{}
	classes := make([]int, len(designs))
	known, classed := 0, 0
	for i, core := range r.m.cores {
		cpu := core.CPUs[0]
		designs[i] = r.designs[cpu]
		if designs[i].part == "" {
			designs[i], _ = parsed(r, cpuDirectory(cpu)+"/regs/identification/midr_el1", parseMIDR)
		}
		if designs[i].part == "" {
			continue
		}
		known++
		all[cpu] = designs[i]
		if c := armDesigns[designs[i]].class; c != noClass {
			classes[i] = -int(c)
			classed++
		}
	}
	if r.m.model == "" && known > 0 {
		r.m.model = modelOf(all)
	}
	if known < len(designs) {
		return false, ""
	}
	if !slices.ContainsFunc(designs, func(d design) bool { return d != designs[0] }) {
		return true, ""
	}
	return classed == known && r.rank(distinct(classes)), "design (" + modelOf(all) + ")"
}

// parseMIDR reads an arm64 core's main id register.
func parseMIDR(text string) (design, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
	if err != nil || n == 0 {
		return design{}, &ParseError{"main id register", text, "not a hexadecimal number above 0"}
	}
	return design{fmt.Sprintf("0x%02x", n>>24&0xff), fmt.Sprintf("0x%03x", n>>4&0xfff)}, nil
}

// ofCores reads a number of each core, from the first of several files that has one above 0; 0
// is not known.
func (r *reader) ofCores(files ...string) []int {
	values := make([]int, len(r.m.cores))
	for i, core := range r.m.cores {
		for _, file := range files {
			if n, ok := parsed(r, cpuDirectory(core.CPUs[0])+"/"+file, parseInt); ok && n > 0 {
				values[i] = n
				break
			}
		}
	}
	return values
}

// distinct ranks values: 1 for the largest, 2 for the next. 0 stays 0.
func distinct(values []int) []int { return ranked(values, 0) }

// clusters ranks values in the same way, like ones alike: those within an eighth of the next larger
// one. Cores of one design differ by as much as their clocks, those of two by much more.
func clusters(values []int) []int { return ranked(values, 8) }

func ranked(values []int, part int) []int {
	order := slices.DeleteFunc(slices.Clone(values), func(v int) bool { return v == 0 })
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(b, a) })
	order = slices.Compact(order)
	rankOf := map[int]int{}
	rank := 0
	for i, v := range order {
		if i == 0 || part == 0 || order[i-1]-v > order[i-1]/part {
			rank++
		}
		rankOf[v] = rank
	}
	ranks := make([]int, len(values))
	for i, v := range values {
		ranks[i] = rankOf[v]
	}
	return ranks
}

// rank gives cores their kinds by ranks, where there are several of these.
func (r *reader) rank(ranks []int) bool {
	if len(ranks) == 0 || slices.Max(ranks) < 2 {
		return false
	}
	for i, rank := range ranks {
		switch rank {
		case 0:
			r.notes.addCPU(r.m.cores[i].CPUs[0], "its kind of core is not known")
		case 1:
			r.m.cores[i].Kind = Performance
		case 2:
			r.m.cores[i].Kind = Efficiency
		default:
			r.m.cores[i].Kind = LowPower
		}
	}
	return true
}

// difference is in what cores differ that only cores of several kinds differ in, "" for nothing.
func (r *reader) difference() string {
	var sizes []int // of each core's L2
	for _, caches := range r.coreCaches {
		for _, c := range caches {
			if c.level == 2 && c.size > 0 {
				sizes = append(sizes, int(c.size>>10))
				break
			}
		}
	}
	if ranks := distinct(sizes); len(ranks) > 0 && slices.Max(ranks) > 1 {
		return fmt.Sprintf("the size of their L2 (%s to %s)", SizeText(uint64(slices.Min(sizes))<<10), SizeText(uint64(slices.Max(sizes))<<10))
	}
	highest := slices.DeleteFunc(r.ofCores("cpufreq/cpuinfo_max_freq"), func(n int) bool { return n == 0 })
	if ranks := clusters(highest); len(ranks) > 0 && slices.Max(ranks) > 1 {
		return fmt.Sprintf("their highest frequency (%d to %d MHz)", slices.Min(highest)/1000, slices.Max(highest)/1000)
	}
	return ""
}
