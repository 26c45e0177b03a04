package topology

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/zoneinfo"
)

// Where things are.
const (
	cpuDir        = "sys/devices/system/cpu"
	nodeDir       = "sys/devices/system/node"
	hugeDir       = "sys/kernel/mm/hugepages"
	cpuinfoFile   = "proc/cpuinfo"
	meminfoFile   = "proc/meminfo"
	statusFile    = "proc/self/status"
	cgroupFile    = "proc/self/cgroup"
	mountinfoFile = "proc/self/mountinfo"
	mountsFile    = "proc/mounts"
	zoneinfoFile  = "proc/zoneinfo"
)

// Read reads the machine that we run on.
func Read() (*Machine, error) { return ReadRoot("/") }

// ReadRoot reads a directory that has a machine's sys and proc. Unless it is "/", it
// is a dump, whose Machine refuses to pin, and which is read strictly: a link out
// of it (*LinkError) and a list that no kernel writes (*ParseError) are errors.
func ReadRoot(dir string) (*Machine, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("topology: reading %s: %w", dir, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("topology: reading %s: not a directory", dir)
	}
	return readAny(dir)
}

// ReadDump reads a machine from a file that Dump wrote. It refuses to pin.
func ReadDump(path string) (*Machine, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("topology: reading %s: %w", path, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("topology: reading %s: a directory, want a dump file", path)
	}
	return readAny(path)
}

func readAny(root string) (*Machine, error) {
	src, err := open(root)
	if err != nil {
		return nil, err
	}
	defer src.close()
	return read(src, root)
}

func read(src source, root string) (*Machine, error) {
	r := &reader{src: src, m: &Machine{root: root, live: src.live()}, notes: notes{on: map[note]*[]CPU{}}}
	r.cpuinfo()
	r.online()
	r.numaNodes()
	if r.m.live {
		var whole NUMANode
		r.memory(&whole, meminfoFile)
		r.m.memory = whole.MemoryTotal
	}
	r.cores()
	r.complexes()
	r.kinds()
	r.allowed()
	r.m.degraded = r.notes.texts()
	if r.err != nil {
		return nil, fmt.Errorf("topology: reading %s: %w", root, r.err)
	}
	return r.m, nil
}

// A reader fills a Machine in, a step after the other.
type reader struct {
	src   source
	m     *Machine
	notes notes
	err   error // the first

	processors []CPU          // that cpuinfo lists
	x86        bool           // by what cpuinfo lists of them
	designs    map[CPU]design // arm64's, by cpuinfo
	nodeOf     map[CPU]NUMAIndex
	coreCaches [][]cache              // of each core
	zones      map[int]zoneinfo.Pages // by NUMA node

	parsedLists map[string]CPUSet // by their texts
}

// Notes are the reasons why a machine is degraded, in the order of the steps. One
// that holds for several CPUs or NUMA nodes is one.
type notes struct {
	list []note
	on   map[note]*[]CPU // whom a note is about
}

type note struct{ about, reason string }

func (n *notes) add(format string, args ...any) {
	n.list = append(n.list, note{reason: fmt.Sprintf(format, args...)})
}

func (n *notes) addCPU(cpu CPU, format string, args ...any) {
	n.addTo("CPU", int(cpu), format, args...)
}

func (n *notes) addNode(id NUMANodeID, format string, args ...any) {
	n.addTo("NUMA node", int(id), format, args...)
}

func (n *notes) addTo(about string, number int, format string, args ...any) {
	key := note{about, fmt.Sprintf(format, args...)}
	if n.on[key] == nil {
		n.list = append(n.list, key)
		n.on[key] = new([]CPU)
	}
	*n.on[key] = append(*n.on[key], CPU(number))
}

func (n *notes) texts() []string {
	texts := make([]string, 0, len(n.list))
	for _, note := range n.list {
		text := note.reason
		if on := n.on[note]; on != nil {
			set := NewCPUSet(*on...) // node numbers are within the same bounds
			plural := ""
			if set.Len() > 1 {
				plural = "s"
			}
			text = fmt.Sprintf("%s%s %s: %s", note.about, plural, set, text)
		}
		texts = append(texts, text)
	}
	return texts
}

// text reads a file. What is there but cannot be read is noted.
func (r *reader) text(name string) (text string, ok bool) {
	data, err := r.src.read(name)
	if err == nil {
		return strings.Trim(string(data), " \t\r\n\x00"), true
	}
	r.failed(name, err)
	return "", false
}

func (r *reader) list(dir string) []string {
	names, err := r.src.list(dir)
	if err != nil {
		r.failed(dir, err)
	}
	return names
}

// failed deals with what a source reports.
func (r *reader) failed(name string, err error) {
	var link *LinkError
	var perr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.As(err, &link):
		r.err = cmp.Or(r.err, err)
	case errors.As(err, &perr):
		r.notes.add("%s: %v", name, perr.Err)
	default:
		r.notes.add("%s: %v", name, err)
	}
}

// wrong deals with a text that cannot be what name should have. In a dump it is
// bad input; a running kernel means something by it, so there it is as good as missing.
func (r *reader) wrong(name string, err error) {
	if r.m.live {
		r.notes.add("%s: %v", name, err)
	} else if r.err == nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}

// parsed reads and parses a file; not ok is as good as missing.
func parsed[T any](r *reader, name string, parse func(string) (T, error)) (value T, ok bool) {
	text, ok := r.text(name)
	if !ok {
		return value, false
	}
	value, err := parse(text)
	if err != nil {
		r.wrong(name, err)
	}
	return value, err == nil
}

func parseInt(text string) (int, error) {
	n, ok := parseNumber(strings.TrimPrefix(text, "-"))
	if !ok || n >= 1<<31 {
		return 0, &ParseError{"number", text, "not a number of 32 bits with a sign"}
	}
	if text[0] == '-' {
		return -int(n), nil
	}
	return int(n), nil
}

// cpuSet reads CPUs that the kernel shows in one of several files: lists in
// some, masks in others, by the kernel's age.
func (r *reader) cpuSet(dir string, lists, masks []string) (CPUSet, bool) {
	for _, name := range lists {
		if set, ok := parsed(r, dir+"/"+name, r.parseOnce); ok {
			return set, true
		}
	}
	for _, name := range masks {
		if set, ok := parsed(r, dir+"/"+name, parseCPUMask); ok {
			return set, true
		}
	}
	return CPUSet{}, false
}

// parseOnce parses a list of CPUs. Those who share something have the same text, and on a large
// machine most of the time went into reading it again.
func (r *reader) parseOnce(text string) (CPUSet, error) {
	if set, ok := r.parsedLists[text]; ok {
		return set, nil
	}
	set, err := ParseCPUList(text)
	if err == nil {
		if r.parsedLists == nil {
			r.parsedLists = map[string]CPUSet{}
		}
		r.parsedLists[text] = set
	}
	return set, err
}

// cpuSetOf reads a set that must name a CPU, such as those that share a core with it. A list that
// does not, as text made by hand may have one for all CPUs, gives way to a mask that does.
func (r *reader) cpuSetOf(cpu CPU, dir string, lists, masks []string, what string) (CPUSet, bool) {
	set, ok := r.cpuSet(dir, lists, masks)
	if ok && !set.Contains(cpu) && len(masks) > 0 {
		if mask, found := r.cpuSet(dir, nil, masks); found && mask.Contains(cpu) {
			r.notes.addCPU(cpu, "the list of CPUs that share its %s does not name it: the mask counts", what)
			return mask, true
		}
	}
	return set, ok
}

// fields yields a file's "name: value" lines.
func fields(text string) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(line, ":"); ok && !yield(strings.TrimSpace(name), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

// online finds out which CPUs there are, from the first of several files that
// says so.
func (r *reader) online() {
	if set, ok := parsed(r, cpuDir+"/online", ParseCPUList); ok && set.Len() > 0 {
		r.m.online = set
		return
	}
	set, from := r.listedCPUs(), "those that list their core's siblings"
	if set.Len() == 0 {
		set, from = NewCPUSet(r.processors...), "those in "+cpuinfoFile
	}
	if set.Len() == 0 {
		set, from = r.packagedCPUs(), "those whose package is known"
	}
	if set.Len() == 0 && r.m.live {
		set, _ = processAffinity(r.src)
		from = "those in this process's affinity mask"
	}
	if set.Len() == 0 {
		set, from = r.cpusWith(func(CPU) bool { return true }), "those that have a directory"
	}
	if set.Len() == 0 {
		from = "none"
	}
	r.notes.add("no list of the CPUs online: taken to be %s", from)
	r.m.online = set
}

// packagedCPUs are the CPUs of which the system says at least which package they are in.
func (r *reader) packagedCPUs() CPUSet {
	return r.cpusWith(func(cpu CPU) bool {
		_, ok := r.text(cpuDirectory(cpu) + "/topology/physical_package_id")
		return ok
	})
}

// listedCPUs are the CPUs with a topology. One that is offline keeps its directory, but not
// what is in it.
func (r *reader) listedCPUs() CPUSet {
	return r.cpusWith(func(cpu CPU) bool {
		_, ok := r.siblings(cpu)
		return ok
	})
}

// cpusWith are the CPUs that are not known to be offline and have what is asked for.
func (r *reader) cpusWith(it func(CPU) bool) CPUSet {
	var cpus []CPU
	for _, n := range numbered(r.list(cpuDir), "cpu", "") {
		if n >= MaxCPUs {
			continue
		}
		cpu := CPU(n)
		if state, ok := r.text(cpuDirectory(cpu) + "/online"); ok && state != "1" {
			continue
		}
		if it(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return NewCPUSet(cpus...)
}

// The fields of cpuinfo that we use: x86's, and arm64's.
var cpuinfoFields = []string{"vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU implementer", "CPU part"}

// Features that label kernels, or the arithmetic around them, look at.
var wantedFeatures = []string{
	"avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl", "bmi2", "sha_ni", "sse4_1", "ssse3",
	"asimd", "sha2",
}

// cpuinfo finds out the processor's name and features.
func (r *reader) cpuinfo() {
	text, ok := r.text(cpuinfoFile)
	if !ok {
		r.notes.add("no %s: model and features are not known", cpuinfoFile)
		return
	}
	var latest design
	var have []string // of all CPUs so far
	seen := false
	r.designs = map[CPU]design{}
	for name, value := range fields(text) {
		switch name {
		case "processor":
			if n, ok := parseNumber(value); ok && n < MaxCPUs {
				r.processors = append(r.processors, CPU(n))
				r.designs[CPU(n)] = latest // if nothing else follows: a dump says what is the same once
			}
		case "model name":
			r.m.model = cmp.Or(r.m.model, strings.Join(strings.Fields(value), " "))
		case "vendor_id":
			r.m.cpuModel.Vendor = cmp.Or(r.m.cpuModel.Vendor, value)
		case "cpu family":
			n, _ := parseNumber(value)
			r.m.cpuModel.Family = cmp.Or(r.m.cpuModel.Family, int(n))
		case "model":
			n, _ := parseNumber(value)
			r.m.cpuModel.Model = cmp.Or(r.m.cpuModel.Model, int(n))
		case "CPU implementer":
			latest = design{implementer: strings.ToLower(value)}
		case "CPU part":
			latest.part = strings.ToLower(value)
			if len(r.processors) > 0 {
				r.designs[r.processors[len(r.processors)-1]] = latest
			}
		case "flags", "Features":
			r.x86 = r.x86 || name == "flags"
			flags := strings.Fields(value)
			if !seen {
				have, seen = slices.Clone(wantedFeatures), true
			}
			have = slices.DeleteFunc(have, func(f string) bool { return !slices.Contains(flags, f) })
		}
	}
	slices.Sort(have)
	r.m.features = have
	if r.m.model == "" {
		r.m.model = modelOf(r.designs)
	}
	if r.m.model == "" {
		r.notes.add("%s names no model", cpuinfoFile)
	}
	if !seen {
		r.notes.add("%s lists no features", cpuinfoFile)
	}
}

// numaNodes reads the nodes, or makes one of the whole machine.
func (r *reader) numaNodes() {
	ids, ok := parsed(r, nodeDir+"/online", parseNodeList)
	if !ok || len(ids) == 0 {
		ids = nil
		for _, n := range numbered(r.list(nodeDir), "node", "") {
			if n < maxNUMANodes {
				ids = append(ids, NUMANodeID(n))
			}
		}
	}
	if len(ids) == 0 {
		r.notes.add("no NUMA nodes are listed: the machine is taken for one, node 0")
		node := NUMANode{ID: 0, CPUs: r.m.online, Distances: []int{10}}
		r.memory(&node, meminfoFile)
		node.HugePages = r.hugePages(hugeDir)
		r.m.nodes = []NUMANode{node}
	}
	for i, id := range ids {
		r.m.nodes = append(r.m.nodes, r.numaNode(id, i, ids))
	}
	r.soleMemory()
	r.memoryKinds()
	r.comparePools()
	r.nodeOf = map[CPU]NUMAIndex{}
	for i := range r.m.nodes {
		node := &r.m.nodes[i]
		for cpu := range node.CPUs.All() {
			if _, ok := r.nodeOf[cpu]; ok {
				r.notes.addCPU(cpu, "in several NUMA nodes: the first counts")
				node.CPUs = node.CPUs.Minus(NewCPUSet(cpu))
				continue
			}
			r.nodeOf[cpu] = NUMAIndex(i)
		}
	}
	first := max(0, slices.IndexFunc(r.m.nodes, func(n NUMANode) bool { return n.MemoryTotal > 0 }))
	for cpu := range r.m.online.All() {
		if _, ok := r.nodeOf[cpu]; !ok {
			r.notes.addCPU(cpu, "in no NUMA node: node %d counts", r.m.nodes[first].ID)
			r.nodeOf[cpu] = NUMAIndex(first)
		}
	}
}

// numaNode reads the i-th of the nodes ids.
func (r *reader) numaNode(id NUMANodeID, i int, ids []NUMANodeID) NUMANode {
	node := NUMANode{ID: id}
	dir := fmt.Sprintf("%s/node%d", nodeDir, id)
	cpus, ok := r.cpuSet(dir, []string{"cpulist"}, []string{"cpumap"})
	if !ok {
		r.notes.addNode(id, "its CPUs are not known")
	}
	node.CPUs = cpus.Intersect(r.m.online)
	node.Distances = r.distances(dir, id, i, ids)
	r.memory(&node, dir+"/meminfo")
	node.HugePages = r.hugePages(dir + "/hugepages")
	return node
}

// soleMemory takes the machine's memory for that of the only node that has any, if
// it is more: where memory comes after the boot, in a virtual machine, a node's
// numbers may lag behind. Unless the kernel says that there is and was no other node, the
// node's own numbers count: what is more may be of a node that is offline.
func (r *reader) soleMemory() {
	sole := -1
	for i, node := range r.m.nodes {
		if node.MemoryTotal == 0 {
			continue
		}
		if sole >= 0 {
			return
		}
		sole = i
	}
	if sole < 0 {
		return
	}
	for _, list := range []string{"has_memory", "possible"} {
		if ids, ok := parsed(r, nodeDir+"/"+list, parseNodeList); !ok || len(ids) != 1 {
			return
		}
	}
	if text, ok := r.text(meminfoFile); !ok || !strings.Contains(text, meminfoFields[0]) {
		return
	}
	node, whole := &r.m.nodes[sole], NUMANode{ID: r.m.nodes[sole].ID}
	r.memory(&whole, meminfoFile)
	if whole.MemoryTotal > node.MemoryTotal {
		node.MemoryTotal, node.MemoryFree, node.MemoryAvailable = whole.MemoryTotal, whole.MemoryFree, whole.MemoryAvailable
	}
}

// distances reads a node's distance to each of the nodes ids. The kernel shows one
// for each node that is online; in some dumps nodes went offline afterwards, and
// there is one for each that is possible.
func (r *reader) distances(dir string, id NUMANodeID, i int, ids []NUMANodeID) []int {
	all, ok := parsed(r, dir+"/distance", func(text string) (all []int, err error) {
		for _, number := range strings.Fields(text) {
			n, err := parseInt(number)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		return all, nil
	})
	if ok && len(all) == len(ids) {
		return all
	}
	if possible, _ := parsed(r, nodeDir+"/possible", parseNodeList); ok && len(all) == len(possible) {
		var chosen []int
		for at, p := range possible {
			if slices.Contains(ids, p) {
				chosen = append(chosen, all[at])
			}
		}
		if len(chosen) == len(ids) {
			return chosen
		}
	}
	if ok {
		r.notes.addNode(id, "%d distances for %d nodes: 10 to itself and 20 to others are assumed", len(all), len(ids))
	} else {
		r.notes.addNode(id, "distances are not known: 10 to itself and 20 to others are assumed")
	}
	assumed := slices.Repeat([]int{20}, len(ids))
	assumed[i] = 10
	return assumed
}

// The fields of a meminfo file that we use; a node's have "Node 0 " before them.
var meminfoFields = []string{"MemTotal", "MemFree", "Active(file)", "Inactive(file)", "SReclaimable", "Dirty", "Writeback"}

// memory reads a node's memory, or the machine's, whose file has the same fields.
func (r *reader) memory(node *NUMANode, file string) {
	text, _ := r.text(file)
	found := map[string]uint64{}
	for name, value := range fields(text) {
		name = name[strings.LastIndexByte(name, ' ')+1:]
		if !slices.Contains(meminfoFields, name) {
			continue
		}
		if size, err := ParseSize(value); err != nil {
			r.wrong(file, err)
		} else {
			found[name] = size
		}
	}
	node.MemoryTotal, node.MemoryFree = found["MemTotal"], found["MemFree"]
	const most = 1 << 60 // bytes, so that sums do not overflow
	files := min(found["Active(file)"], most) + min(found["Inactive(file)"], most)
	files -= min(files, min(found["Dirty"], most)+min(found["Writeback"], most))
	node.MemoryAvailable = zoneinfo.Available(min(node.MemoryFree, most), files, min(found["SReclaimable"], most), r.kept(node))
	for _, name := range meminfoFields[:2] {
		if _, ok := found[name]; !ok {
			r.notes.addNode(node.ID, "%s is not known, and taken for 0", name)
		}
	}
}

// kept is how many of a NUMA node's bytes the kernel does not let go of; 0 if that is not known.
func (r *reader) kept(node *NUMANode) uint64 {
	if r.zones == nil {
		text, _ := r.text(zoneinfoFile)
		r.zones = zoneinfo.Parse(text)
	}
	zones := r.zones[int(node.ID)]
	if zones.Managed == 0 {
		return 0
	}
	// A node's memory is its managed pages, so it tells their size, which a dump of another machine
	// does not say.
	page := uint64(4 << 10)
	for page < 64<<10 && node.MemoryTotal/zones.Managed > page*3/2 {
		page *= 2
	}
	return min(zones.Kept*page, node.MemoryTotal)
}

// hugePages reads the pools in a directory.
func (r *reader) hugePages(dir string) (pools []HugePagePool) {
	for _, kb := range numbered(r.list(dir), "hugepages-", "kB") {
		if kb == 0 || kb > 1<<40 {
			continue
		}
		pool := HugePagePool{Size: kb << 10}
		name := fmt.Sprintf("%s/hugepages-%dkB", dir, kb)
		pool.Total = r.pages(name + "/nr_hugepages")
		pool.Free = r.pages(name + "/free_hugepages")
		pools = append(pools, pool)
	}
	return pools
}

func (r *reader) pages(file string) uint64 {
	n, ok := parsed(r, file, func(text string) (uint64, error) {
		n, ok := parseNumber(text)
		if !ok {
			return 0, &ParseError{"number of huge pages", text, "not a number"}
		}
		return n, nil
	})
	if !ok {
		r.notes.add("no %s: taken for 0", file)
	}
	return n
}

// comparePools notes which nodes with memory lack pools that others, or the whole
// machine, have.
func (r *reader) comparePools() {
	var sizes []uint64
	for _, kb := range numbered(r.list(hugeDir), "hugepages-", "kB") {
		if kb > 0 && kb <= 1<<40 {
			sizes = append(sizes, kb<<10)
		}
	}
	for _, node := range r.m.nodes {
		for _, pool := range node.HugePages {
			sizes = append(sizes, pool.Size)
		}
	}
	if len(sizes) == 0 {
		r.notes.add("no huge pages are listed")
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	for _, node := range r.m.nodes {
		for _, size := range sizes {
			listed := slices.ContainsFunc(node.HugePages, func(p HugePagePool) bool { return p.Size == size })
			if node.MemoryTotal > 0 && !listed {
				r.notes.addNode(node.ID, "huge pages of %d KiB are not listed", size>>10)
			}
		}
	}
}

// allowed intersects what is online with the cgroup's cpuset and the affinity mask.
func (r *reader) allowed() {
	m := r.m
	cpus, mems := r.cpuset()
	m.cgroup = m.online
	if cpus != nil {
		m.cgroup = *cpus
	}

	status, _ := r.text(statusFile)
	var affinity *CPUSet
	var statusMems []NUMANodeID
	lists := strings.Contains(status, "_allowed_list:") // kernels before 2.6.24 have masks only
	for name, value := range fields(status) {
		var err error
		switch name {
		case "Cpus_allowed_list":
			var set CPUSet
			if set, err = ParseCPUList(value); err == nil {
				affinity = &set
			}
		case "Cpus_allowed":
			var set CPUSet
			if lists {
				continue
			}
			if set, err = parseCPUMask(value); err == nil {
				affinity = &set
			}
		case "Mems_allowed_list":
			statusMems, err = parseNodeList(value)
		case "Mems_allowed":
			var set CPUSet // node numbers are within the same bounds
			if lists {
				continue
			}
			set, err = parseCPUMask(value)
			for n := range set.All() {
				statusMems = append(statusMems, NUMANodeID(n))
			}
		}
		if err != nil {
			r.wrong(statusFile, err)
		}
	}
	if m.live {
		if set, err := processAffinity(r.src); err == nil {
			affinity = &set
		} else {
			r.notes.add("the system does not tell this process's affinity mask: %v", err)
		}
	}
	m.affinity = m.online
	if affinity != nil {
		m.affinity = *affinity
		if both := m.online.Intersect(m.cgroup); !m.live && both.Len() > 0 && both.Intersect(*affinity).Len() == 0 {
			r.notes.add("the affinity mask (%s) has no CPU of the cgroup's cpuset (%s), which no process in it can have, so they are of two processes: the cpuset counts", affinity, m.cgroup)
			m.affinity = m.online
		}
	} else {
		r.notes.add("no affinity mask is known: all CPUs online are taken to be in it")
	}
	m.allowed = m.online.Intersect(m.cgroup).Intersect(m.affinity)
	if m.allowed.Len() == 0 && m.online.Len() > 0 {
		r.notes.add("no CPU is online (%s), in the cgroup's cpuset (%s) and in the affinity mask (%s)", m.online, m.cgroup, m.affinity)
	}

	if common := slices.DeleteFunc(slices.Clone(mems), func(id NUMANodeID) bool { return !slices.Contains(statusMems, id) }); !m.live && mems != nil && statusMems != nil && len(common) == 0 {
		r.notes.add("the process's memory nodes (%s) are none of the cgroup's cpuset's (%s): those of the cpuset count", nodeList(statusMems), nodeList(mems))
		statusMems = nil
	}
	if statusMems == nil && mems == nil {
		r.notes.add("which NUMA nodes' memory is allowed is not known: all is taken to be")
	}
	for _, node := range m.nodes {
		if (statusMems == nil || slices.Contains(statusMems, node.ID)) && (mems == nil || slices.Contains(mems, node.ID)) {
			m.mems = append(m.mems, node.ID)
		}
	}
	if len(m.mems) == 0 && len(m.nodes) > 0 {
		ids := make([]NUMANodeID, len(m.nodes))
		for i, node := range m.nodes {
			ids[i] = node.ID
		}
		of := func(ids []NUMANodeID) string {
			if ids == nil {
				return "not known"
			}
			return nodeList(ids)
		}
		r.notes.add("no memory node is online (%s), in the cgroup's cpuset (%s) and among the process's (%s)", nodeList(ids), of(mems), of(statusMems))
	}
}

// processAffinity is the CPUs that the process may use. It asks for all threads
// and takes what any of them may: those that the process itself has bound, with Pin
// for example, have masks of their own.
func processAffinity(src source) (CPUSet, error) {
	tids := []uint64{0}
	if names, err := src.list("proc/self/task"); err == nil {
		tids = append(tids, numbered(names, "", "")...)
	}
	var cpus []CPU
	var failed error
	for _, tid := range tids {
		mask, err := linux.Affinity(int(tid))
		if err != nil { // a thread may be gone
			failed = err
		}
		for _, cpu := range mask {
			cpus = append(cpus, CPU(cpu))
		}
	}
	if len(cpus) > 0 {
		failed = nil
	}
	return NewCPUSet(cpus...), failed
}
