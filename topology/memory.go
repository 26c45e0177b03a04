package topology

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A MemoryKind is what a NUMA node's memory is.
type MemoryKind int

// The kinds. Layers lie in DRAM unless somebody asks for others, and never in a GPU's memory.
const (
	DRAM        MemoryKind = iota // the memory of the CPUs, or what nothing tells from it
	HBM                           // high-bandwidth memory beside the CPUs' own
	CXL                           // an expander, farther than the CPUs' own
	NVDIMM                        // persistent memory
	OtherMemory                   // a device's, or slower than the CPUs' own: which it is is not known
	GPUMemory
)

func (k MemoryKind) String() string {
	switch k {
	case DRAM:
		return "dram"
	case HBM:
		return "hbm"
	case CXL:
		return "cxl"
	case NVDIMM:
		return "nvdimm"
	case GPUMemory:
		return "gpu"
	}
	return "other"
}

// MemoryNodes says in which NUMA nodes' memory layers may lie. The zero value is those with DRAM.
type MemoryNodes struct {
	All  bool         // every node but GPUs', and those of which nobody says that they are not
	List []NUMANodeID // these
}

// ParseMemoryNodes reads "all" or a list of nodes in the kernel's format, "0-1,4". The error is a
// *ParseError.
func ParseMemoryNodes(text string) (MemoryNodes, error) {
	if text == "all" {
		return MemoryNodes{All: true}, nil
	}
	list, err := parseNodeList(text)
	if err == nil && len(list) == 0 {
		err = &ParseError{"NUMA node list", text, "no node is in it"}
	}
	return MemoryNodes{List: list}, err
}

func (n MemoryNodes) String() string {
	switch {
	case n.All:
		return "all"
	case len(n.List) == 0:
		return "dram"
	}
	return nodeList(n.List)
}

// nodeList writes nodes in the kernel's format. Their numbers are within the bounds of CPUs'.
func nodeList(ids []NUMANodeID) string {
	cpus := make([]CPU, len(ids))
	for i, id := range ids {
		cpus[i] = CPU(id)
	}
	return NewCPUSet(cpus...).String()
}

// A MemoryNodeError says which listed NUMA nodes can have no layers.
type MemoryNodeError struct {
	NUMANodes []NUMANodeID
	Reason    string
}

func (e *MemoryNodeError) Error() string {
	return fmt.Sprintf("topology: choosing memory: NUMA node %s %s", nodeList(e.NUMANodes), e.Reason)
}

// CheckMemoryNodes finds listed nodes that can have no layers: none of the machine's, with no memory,
// with memory that this process may not use, or a GPU's. The error is a *MemoryNodeError.
func (m *Machine) CheckMemoryNodes(which MemoryNodes) error {
	online := make([]NUMANodeID, len(m.nodes))
	for i, node := range m.nodes {
		online[i] = node.ID
	}
	for _, check := range []struct {
		reason string
		bad    func(id NUMANodeID, at int) bool
	}{
		{"is none of this machine's, which are " + nodeList(online), func(_ NUMANodeID, at int) bool { return at < 0 }},
		{"has no memory", func(_ NUMANodeID, at int) bool { return m.nodes[at].MemoryTotal == 0 }},
		{"is a GPU's memory, which layers never lie in", func(_ NUMANodeID, at int) bool { return m.nodes[at].MemoryKind == GPUMemory }},
		{"has memory that this process may not use, only that of " + nodeList(m.mems), func(id NUMANodeID, _ int) bool { return !slices.Contains(m.mems, id) }},
	} {
		var bad []NUMANodeID
		for _, id := range which.List {
			if check.bad(id, slices.Index(online, id)) {
				bad = append(bad, id)
			}
		}
		if len(bad) > 0 {
			return &MemoryNodeError{bad, check.reason}
		}
	}
	return nil
}

// chosen reports whether layers may lie in a node's memory.
func (m *Machine) chosen(which MemoryNodes, node *NUMANode) bool {
	switch {
	case !slices.Contains(m.mems, node.ID) || node.MemoryKind == GPUMemory:
		return false
	case len(which.List) > 0:
		return slices.Contains(which.List, node.ID)
	}
	return which.All && !slices.Contains(m.unsaid, node.ID) || node.MemoryKind == DRAM
}

// KeepTo are the NUMA nodes, by the kernel's numbers, that memory must be kept to so that none of it
// lies elsewhere than on those chosen; nil where no other has any that this process may use, or
// where none is chosen.
func (m *Machine) KeepTo(which MemoryNodes) (nodes []int) {
	others := false
	for i := range m.nodes {
		node := &m.nodes[i]
		switch {
		case node.MemoryTotal == 0 || !slices.Contains(m.mems, node.ID):
		case m.chosen(which, node):
			nodes = append(nodes, int(node.ID))
		default:
			others = true
		}
	}
	if !others {
		return nil
	}
	return nodes
}

// LeftOut are the nodes whose memory this process may use, and which are not among those
// chosen.
func (m *Machine) LeftOut(which MemoryNodes) (out []NUMANode) {
	for i, node := range m.NUMANodes() {
		if node.MemoryTotal > 0 && slices.Contains(m.mems, node.ID) && !m.chosen(which, &m.nodes[i]) {
			out = append(out, node)
		}
	}
	return out
}

// Where devices say which NUMA node their memory is.
const (
	gpuDir  = "proc/driver/nvidia/gpus"
	kmemDir = "sys/bus/dax/drivers/kmem" // devices whose memory is a node's, a link for each
)

// memoryKinds tells the CPUs' memory from that of devices.
func (r *reader) memoryKinds() {
	nodes := map[NUMANodeID]*NUMANode{}
	memoryOnly := func(n *NUMANode) bool { return n.MemoryTotal > 0 && n.CPUs.Len() == 0 }
	anyMemoryOnly := false
	for i := range r.m.nodes {
		n := &r.m.nodes[i]
		nodes[n.ID] = n
		anyMemoryOnly = anyMemoryOnly || memoryOnly(n)
	}
	told := map[NUMANodeID]bool{}
	tell := func(id NUMANodeID, kind MemoryKind) {
		if n := nodes[id]; n != nil {
			n.MemoryKind, told[id] = kind, true
		}
	}
	r.daxKinds(tell)
	gpus, silent := r.gpuNodes()
	for _, id := range gpus {
		if n := nodes[id]; n != nil && n.CPUs.Len() > 0 {
			r.notes.addNode(id, "said to be a GPU's memory, but has CPUs: taken for theirs, which the system runs in")
			continue
		}
		tell(id, GPUMemory)
	}
	if silent && anyMemoryOnly {
		r.notes.add("%s names GPUs and no numa_status: memory without CPUs may be theirs", gpuDir)
	}

	normal, known := parsed(r, nodeDir+"/has_normal_memory", parseNodeList)
	own := r.ownBandwidth(told)
	tiers := r.tiers()
	ownTier := 0 // the fastest of CPUs' own memory; 0 is not known
	for _, n := range r.m.nodes {
		if t := tiers[n.ID]; n.CPUs.Len() > 0 && n.MemoryTotal > 0 && t > 0 {
			ownTier = min(cmp.Or(ownTier, t), t)
		}
	}
	for i := range r.m.nodes {
		n := &r.m.nodes[i]
		if told[n.ID] || !memoryOnly(n) {
			continue
		}
		bandwidth := r.bandwidth(n.ID)
		if !known || len(normal) == 0 {
			r.notes.addNode(n.ID, "memory without CPUs, and no has_normal_memory that would tell whether it is a device's")
		}
		switch {
		case silent:
			n.MemoryKind = OtherMemory
			r.m.unsaid = append(r.m.unsaid, n.ID)
		case r.m.cpuModel.besideHBM():
			n.MemoryKind = HBM
		case known && len(normal) > 0 && !slices.Contains(normal, n.ID):
			n.MemoryKind = OtherMemory
			r.m.unsaid = append(r.m.unsaid, n.ID)
			r.notes.addNode(n.ID, "memory without CPUs that has_normal_memory leaves out, of a GPU or another device: which one is not known")
		case own > 0 && bandwidth > 0:
			switch {
			case bandwidth/3 >= own/2:
				n.MemoryKind = HBM
			case bandwidth/2 <= own/3:
				n.MemoryKind = OtherMemory
			}
		case ownTier > 0 && tiers[n.ID] > ownTier:
			n.MemoryKind = OtherMemory
		case 0 < tiers[n.ID] && tiers[n.ID] < ownTier:
			n.MemoryKind = HBM
		default: // the kernel has what it knows nothing of in the tier of the CPUs' own
			if known && len(normal) > 0 { // or this is said above
				r.notes.addNode(n.ID, "memory without CPUs, and how fast it is is not known: taken for what CPUs have")
			}
		}
	}
}

// besideHBM reports whether what a CPU has of memory without CPUs is its package's high-bandwidth memory: Intel's Xeon Phi, Knights
// Landing and Knights Mill (Linux, arch/x86/include/asm/intel-family.h), whose firmware tells no bandwidths.
func (c CPUModel) besideHBM() bool {
	return c.Vendor == "GenuineIntel" && c.Family == 6 && (c.Model == 0x57 || c.Model == 0x85)
}

// gpuNodes are the NUMA nodes of NVIDIA GPUs. Silent: there are GPUs, and none says whether it has
// one.
func (r *reader) gpuNodes() (ids []NUMANodeID, silent bool) {
	names := slices.Sorted(slices.Values(r.list(gpuDir)))
	silent = len(names) > 0
	for _, name := range names {
		text, ok := r.text(path.Join(gpuDir, name, "numa_status"))
		if !ok {
			continue
		}
		silent = false
		for field, value := range fields(text) {
			// A GPU without a node says -1.
			if n, ok := parseNumber(value); field == "Node" && ok && n < maxNUMANodes {
				ids = append(ids, NUMANodeID(n))
			}
		}
	}
	return ids, silent
}

// isDAX reports whether an entry of kmemDir is a device.
func isDAX(name string) bool {
	return strings.HasPrefix(name, "dax") && !strings.HasSuffix(name, linkSuffix)
}

// daxKinds tells the kinds of memory that the kernel took over from devices: each one's place in the
// tree of devices says what it is.
func (r *reader) daxKinds(tell func(NUMANodeID, MemoryKind)) {
	for _, name := range slices.Sorted(slices.Values(r.list(kmemDir))) {
		if !isDAX(name) {
			continue
		}
		id, ok := parsed(r, path.Join(kmemDir, name, "target_node"), parseInt)
		if !ok || id < 0 {
			continue
		}
		target, err := r.src.link(path.Join(kmemDir, name))
		if err != nil {
			r.failed(path.Join(kmemDir, name), err)
		}
		kind := OtherMemory
		switch {
		case strings.Contains(target, "/ndbus"):
			kind = NVDIMM
		case strings.Contains(target, "/decoder"), strings.Contains(target, "/cxl"):
			kind = CXL
		case strings.Contains(target, "/hmem"): // memory that firmware sets aside for a purpose
			kind = HBM
			if own, bandwidth := r.ownBandwidth(nil), r.bandwidth(NUMANodeID(id)); bandwidth > 0 && bandwidth < own {
				kind = CXL
			}
		}
		if kind == OtherMemory {
			r.notes.addNode(NUMANodeID(id), "memory of a device, %s: which kind it is is not known", name)
		}
		tell(NUMANodeID(id), kind)
	}
}

// Where the kernel has nodes by how fast their memory is, since Linux 6.1: a tier with a larger number is slower.
const (
	tierDir    = "sys/devices/virtual/memory_tiering"
	tierPrefix = "memory_tier"
)

// tiers are those of nodes, as far as they are known.
func (r *reader) tiers() map[NUMANodeID]int {
	of := map[NUMANodeID]int{}
	for _, n := range numbered(r.list(tierDir), tierPrefix, "") {
		ids, _ := parsed(r, fmt.Sprintf("%s/%s%d/nodelist", tierDir, tierPrefix, n), parseNodeList)
		for _, id := range ids {
			of[id] = int(min(n, 1<<30))
		}
	}
	return of
}

// bandwidth is what firmware says that CPUs near a node read its memory with, in MB/s; 0 is not known.
func (r *reader) bandwidth(id NUMANodeID) int {
	for _, access := range []string{"access1", "access0"} { // of CPUs, of anything
		if n, ok := parsed(r, fmt.Sprintf("%s/node%d/%s/initiators/read_bandwidth", nodeDir, id, access), parseInt); ok && n > 0 {
			return n
		}
	}
	return 0
}

// ownBandwidth is the least that CPUs read their own memory with, but for nodes that are told to be
// other memory; 0 is not known.
func (r *reader) ownBandwidth(told map[NUMANodeID]bool) (least int) {
	for _, n := range r.m.nodes {
		if b := r.bandwidth(n.ID); n.CPUs.Len() > 0 && n.MemoryTotal > 0 && !told[n.ID] && b > 0 {
			least = min(cmp.Or(least, b), b)
		}
	}
	return least
}
