// Package topology reads what a machine consists of: packages, NUMA nodes, core
// complexes, cores and CPUs, what of it this process may use, and binds threads
// to CPUs.
//
// Everything comes from /sys, /proc, the cgroup's cpuset and the process's
// affinity. Whatever is missing or contradicts itself makes a machine poorer, with
// the reason in Degraded, and never fails: only a path that leads out of the
// root, a root that is none and a dump that is none are errors.
package topology

import "slices"

// A CPU is a Linux CPU number: a hardware thread. It is no position in any list.
type CPU int

// A NUMANodeID is the kernel's number of a NUMA node. Numbers may be sparse.
type NUMANodeID int

// Positions in a Machine's lists. They have nothing to do with the kernel's numbers.
type (
	PackageIndex int
	NUMAIndex    int
	ComplexIndex int
	CoreIndex    int
)

// A Package is a socket, or what the firmware takes for one.
type Package struct {
	ID   int // the kernel's physical_package_id, -1 if it is not known
	CPUs CPUSet
}

// A NUMANode is memory and the CPUs next to it. Either may be none.
type NUMANode struct {
	ID          NUMANodeID
	CPUs        CPUSet
	Distances   []int // to each of the machine's NUMANodes, in their order; 10 is here
	MemoryKind  MemoryKind
	MemoryTotal uint64 // bytes
	MemoryFree  uint64 // bytes that nothing uses
	// MemoryAvailable is what the kernel can give to somebody who asks, in bytes: MemoryFree, with clean
	// page cache and slabs, without what it keeps below its zones' watermarks.
	MemoryAvailable uint64
	HugePages       []HugePagePool // by size, ascending
}

// A HugePagePool counts the huge pages of one size on one NUMA node.
type HugePagePool struct {
	Size        uint64 // bytes of a page
	Total, Free uint64 // pages
}

// A Complex is the CPUs that share an L3 cache; where there is none, the last
// cache level that cores share; where no such cache is known, what is left of
// the package.
type Complex struct {
	CPUs     CPUSet
	NUMANode NUMAIndex // of its first CPU: with sub-NUMA clusters an L3 spans several nodes, see Core.NUMANode
	Package  PackageIndex
	// CacheLevel is 3, or the last shared level where there is no L3, or 0 for
	// a package.
	CacheLevel int
	CacheSize  uint64 // bytes, 0 if it is not known
	Cores      []CoreIndex
}

// A Core is a physical core: the CPUs that share its execution units.
type Core struct {
	CPUs     []CPU // SMT siblings that are online, ascending, at least one
	Complex  ComplexIndex
	NUMANode NUMAIndex
	Package  PackageIndex
	Kind     CoreKind
}

// A CoreKind tells the cores of a hybrid machine apart.
type CoreKind int

// On a machine whose cores are all alike, their kind is unknown. Low-power cores are efficiency
// cores that are slower still: Intel's of that name, which have no part in the L3, or the
// smallest of three of Arm's designs. They are the last to be used.
const (
	UnknownKind CoreKind = iota
	Performance
	Efficiency
	LowPower
)

func (k CoreKind) String() string {
	switch k {
	case Performance:
		return "performance"
	case Efficiency:
		return "efficiency"
	case LowPower:
		return "low-power"
	}
	return "unknown"
}

// A Machine is what was read, once: it does not change. Its lists are in the
// order of the kernel's numbers (NUMA nodes), of the package ids, and of their
// lowest CPU (complexes, those with an L3 before others, and cores). Each online CPU is in exactly one core, each core
// in exactly one complex and package. A machine has at least one NUMA node, and if
// it has a CPU, at least one of each of the others.
type Machine struct {
	root     string
	live     bool
	model    string
	features []string

	packages  []Package
	nodes     []NUMANode
	complexes []Complex
	cores     []Core
	coreOf    map[CPU]CoreIndex

	memory   uint64 // all of it, in bytes; 0 is not known
	online   CPUSet
	cgroup   CPUSet // what the cgroup's cpuset has; online, if that is not known
	affinity CPUSet // what the process's mask has; the same
	allowed  CPUSet
	mems     []NUMANodeID
	unsaid   []NUMANodeID // whose memory is a device's, for all that is known a GPU's
	degraded []string

	cpuModel CPUModel
}

// Root is the directory or file that was read: "/" for the live machine.
func (m *Machine) Root() string { return m.root }

// Live reports whether this is the machine that we run on, and not a dump.
func (m *Machine) Live() bool { return m.live }

// Memory is how much the machine has, in bytes. The sum of its nodes', which is all that a
// dump is asked for, is smaller for a while when the kernel moves memory around.
func (m *Machine) Memory() (sum uint64) {
	if m.memory > 0 {
		return m.memory
	}
	for _, node := range m.nodes {
		sum += node.MemoryTotal
	}
	return sum
}

// Model is the processor's name, "" if it is not known.
func (m *Machine) Model() string { return m.model }

// A CPUModel is what CPUID says of an x86 CPU's design: "AuthenticAMD", 25, 17 is one of AMD's Zen 4.
type CPUModel struct {
	Vendor        string
	Family, Model int
}

// CPUModel is the first CPU's, zero if it is not known.
func (m *Machine) CPUModel() CPUModel { return m.cpuModel }

// Features are those CPU features that label kernels need and that all CPUs
// have, by their names in /proc/cpuinfo, sorted.
func (m *Machine) Features() []string { return slices.Clone(m.features) }

// Packages are the sockets with at least one CPU online.
func (m *Machine) Packages() []Package { return slices.Clone(m.packages) }

// NUMANodes are the nodes that are online. Where nothing is known, there is one,
// number 0, with all CPUs.
func (m *Machine) NUMANodes() []NUMANode {
	nodes := slices.Clone(m.nodes)
	for i := range nodes {
		nodes[i].Distances = slices.Clone(nodes[i].Distances)
		nodes[i].HugePages = slices.Clone(nodes[i].HugePages)
	}
	return nodes
}

// Complexes are the core complexes.
func (m *Machine) Complexes() []Complex {
	complexes := slices.Clone(m.complexes)
	cores := make([]CoreIndex, 0, len(m.cores)) // of all of them, so that a large machine is copied in a moment
	for i := range complexes {
		cores = append(cores, complexes[i].Cores...)
		complexes[i].Cores = slices.Clip(cores[len(cores)-len(complexes[i].Cores):])
	}
	return complexes
}

// Cores are the physical cores.
func (m *Machine) Cores() []Core {
	cores := slices.Clone(m.cores)
	cpus := make([]CPU, 0, len(m.coreOf))
	for i := range cores {
		cpus = append(cpus, cores[i].CPUs...)
		cores[i].CPUs = slices.Clip(cpus[len(cpus)-len(cores[i].CPUs):])
	}
	return cores
}

// CPUs are the ones online.
func (m *Machine) CPUs() CPUSet { return m.online }

// Allowed are the CPUs that this process may use: those online that are in its
// cgroup's cpuset and in its affinity mask.
func (m *Machine) Allowed() CPUSet { return m.allowed }

// AllowedMems are the nodes whose memory this process may use, ascending.
func (m *Machine) AllowedMems() []NUMANodeID { return slices.Clone(m.mems) }

// Degraded says what could not be read, and what was assumed instead.
func (m *Machine) Degraded() []string { return slices.Clone(m.degraded) }

// CoreOf is the core of a CPU that is online.
func (m *Machine) CoreOf(cpu CPU) (CoreIndex, bool) {
	i, ok := m.coreOf[cpu]
	return i, ok
}

// NUMAOf is the NUMA node of a CPU that is online. A CPU that the kernel puts
// into no node counts for the first node that has memory, and Degraded says so.
func (m *Machine) NUMAOf(cpu CPU) (NUMAIndex, bool) {
	if i, ok := m.coreOf[cpu]; ok {
		return m.cores[i].NUMANode, true
	}
	return 0, false
}
