package hugepages

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/zoneinfo"
)

// A system is what /proc and /sys say, below root: / or a directory of text files
// in tests. What it does not say bounds nothing.
type system struct {
	fs.FS
	root  string
	among map[int]uint64 // NUMA nodes that memory may be on, and what the kernel keeps of each; nil for all
}

func newSystem(root string) system { return system{FS: os.DirFS(root), root: root} }

// within is what the system says to somebody whose memory may be on these nodes only, nil for all.
func (s system) within(nodes []int) system {
	s.among = nil
	for _, node := range nodes {
		if s.among == nil {
			s.among = map[int]uint64{}
		}
		s.among[node] = s.kept(node)
	}
	return s
}

// read returns a file's content, or nothing.
func (s system) read(name string) []byte {
	content, err := fs.ReadFile(s, name)
	if err != nil {
		return nil
	}
	return content
}

// field finds the number behind a word at the start of a line, as in
// "MemFree: 12 kB", "Node 0 MemFree: 12 kB" and "inactive_file 12288", in bytes.
func field(text []byte, key string) (uint64, bool) {
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		i := slices.Index(words, key)
		if i < 0 || i+1 == len(words) {
			continue
		}
		n, err := strconv.ParseUint(words[i+1], 10, 64)
		if err != nil {
			return 0, false
		}
		if i+2 < len(words) && words[i+2] == "kB" {
			if n > 1<<54-1 {
				return 0, false
			}
			n <<= 10
		}
		return n, true
	}
	return 0, false
}

// number is a file that holds one number; "max", like no file, is no number.
func (s system) number(name string) (uint64, bool) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(s.read(name))), 10, 64)
	return n, err == nil
}

// list reads a list of numbers such as 0-3,8. What is no list is none.
func (s system) list(name string) []int { return parseList(string(s.read(name))) }

// maxNumber is more CPUs, or nodes, than any kernel is built for.
const maxNumber = 1 << 16

func parseList(text string) (numbers []int) {
	for item := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, isRange := strings.Cut(item, "-")
		a, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil
		}
		b := a
		if isRange {
			if b, err = strconv.ParseUint(last, 10, 16); err != nil || b < a {
				return nil
			}
		}
		if len(numbers)+int(b-a) >= maxNumber {
			return nil
		}
		for ; a <= b; a++ {
			numbers = append(numbers, int(a))
		}
	}
	return numbers
}

const nodeDirectory = "sys/devices/system/node"

func nodePath(node int, name string) string {
	return fmt.Sprintf("%s/node%d/%s", nodeDirectory, node, name)
}

// available is what the machine, or its nodes that memory may be on, can give without swapping.
func (s system) available() (n uint64, file string, ok bool) {
	n, ok = field(s.read("proc/meminfo"), "MemAvailable:")
	if s.among == nil {
		return n, "/proc/meminfo", ok
	}
	var sum uint64
	nodes := slices.Sorted(maps.Keys(s.among))
	for _, node := range nodes {
		here, _, known := s.nodeAvailable(node, s.among[node])
		if !known {
			return n, "/proc/meminfo", ok
		}
		sum += here
	}
	if ok && n <= sum { // it counts more than nodes do
		return n, "/proc/meminfo", true
	}
	return sum, fmt.Sprintf("/%s/node[%s]/meminfo", nodeDirectory, listText(nodes)), true
}

// nodeAvailable estimates the same for one NUMA node, the way in which the
// kernel does for the machine: what is free, and files' pages and caches that can
// be dropped, less what the kernel keeps for itself, as kept says.
func (s system) nodeAvailable(node int, kept uint64) (n uint64, file string, ok bool) {
	if s.onlyNode(node) {
		return s.within(nil).available() // all memory there is, known exactly
	}
	file = nodePath(node, "meminfo")
	text := s.read(file)
	free, ok := field(text, "MemFree:")
	if !ok {
		return 0, "/" + file, false
	}
	get := func(key string) uint64 {
		n, _ := field(text, key)
		return n
	}
	files := get("Active(file):") + get("Inactive(file):")
	files -= min(files, get("Dirty:")+get("Writeback:"))
	return zoneinfo.Available(free, files, get("SReclaimable:"), kept), "/" + file, true
}

// onlyNode reports whether no other NUMA node has memory.
func (s system) onlyNode(node int) bool {
	return slices.Equal(s.list(nodeDirectory+"/has_memory"), []int{node})
}

// kept is how many of a NUMA node's bytes the kernel does not let go of, see
// zoneinfo.Pages. Where nothing is known, 1/256 of the node is a guess.
func (s system) kept(node int) (n uint64) {
	if s.onlyNode(node) {
		return 0 // the machine's own figure is used
	}
	n = zoneinfo.Parse(string(s.read("proc/zoneinfo")))[node].Kept * uint64(linux.PageSize)
	if n == 0 {
		total, _ := field(s.read(nodePath(node, "meminfo")), "MemTotal:")
		n = total / 256
	}
	return n
}

// transparent says why there are no transparent huge pages of Transparent.Size bytes for
// this process, or "". Each size has a switch of its own since Linux 6.8, which may leave it
// to the one for all.
func (s system) transparent() string {
	const directory = "sys/kernel/mm/transparent_hugepage/"
	file := directory + "enabled"
	size := fmt.Sprintf("%shugepages-%dkB/enabled", directory, Transparent.Size()>>10)
	if text := s.read(size); len(text) > 0 && !bytes.Contains(text, []byte("[inherit]")) {
		file = size
	}
	if bytes.Contains(s.read(file), []byte("[never]")) {
		return "switched off in /" + file
	}
	if n, ok := field(s.read("proc/self/status"), "THP_enabled:"); ok && n == 0 {
		return "the process has them switched off (PR_SET_THP_DISABLE)"
	}
	return ""
}

// hugeBytes is how much of the process's memory between two addresses is on
// transparent huge pages; maps that reach across them do not count.
func (s system) hugeBytes(first, end uint64) (n uint64, err error) {
	text, err := fs.ReadFile(s, "proc/self/smaps")
	if err != nil {
		return 0, err
	}
	inside := false
	for line := range bytes.Lines(text) {
		if a, b, ok := addresses(line); ok {
			inside = a >= first && b <= end
		} else if inside {
			bytes, _ := field(line, "AnonHugePages:")
			n += bytes
		}
	}
	return n, nil
}

// addresses reads the start of a line of /proc/self/maps, as in 7f00-7f80 rw-p.
func addresses(line []byte) (first, end uint64, ok bool) {
	word, _, _ := bytes.Cut(line, []byte(" "))
	a, b, _ := strings.Cut(string(word), "-")
	first, errA := strconv.ParseUint(a, 16, 64)
	end, errB := strconv.ParseUint(b, 16, 64)
	return first, end, errA == nil && errB == nil
}

// A poolState is the kernel's pool of huge pages of one size, on a NUMA node or
// on all of them.
type poolState struct {
	directory  string
	page       uint64
	total      uint64
	free       uint64
	surplus    uint64 // of total: pages that go away when they are free again
	reserved   uint64 // of free, on all nodes: mapped, not touched yet
	overcommit uint64 // surplus pages that may be had, on all nodes
}

// pool reads a pool's files until they agree: others free pages meanwhile, and a
// surplus of now with a total of before would be pages that nobody ever had.
func (s system) pool(page uint64, node Binding) (p poolState, ok bool) {
	p, ok = s.poolOnce(page, node)
	for ok {
		before := p
		p, ok = s.poolOnce(page, node)
		if p.total == before.total && p.surplus == before.surplus {
			break
		}
	}
	return p, ok
}

func (s system) poolOnce(page uint64, node Binding) (p poolState, ok bool) {
	name := fmt.Sprintf("hugepages-%dkB", page>>10)
	all := "sys/kernel/mm/hugepages/" + name
	p = poolState{directory: all, page: page}
	number, bound := node.Number()
	if bound {
		p.directory = nodePath(number, "hugepages/"+name)
	}
	ok = true
	get := func(directory, name string) uint64 {
		n, readable := s.number(path.Join(directory, name))
		ok = ok && readable
		return n
	}
	p.total = get(p.directory, "nr_hugepages")
	p.free = get(p.directory, "free_hugepages")
	p.surplus = get(p.directory, "surplus_hugepages")
	p.reserved = get(all, "resv_hugepages")
	if overcommit := get(all, "nr_overcommit_hugepages"); !bound {
		p.overcommit = overcommit - min(overcommit, p.surplus)
	}
	return p, ok
}

// usable is how many pages a new region can have. On a node, nobody knows where
// pages that are reserved by others will come from: all that are free count, and
// the kernel decides by its own reservations.
func (p poolState) usable() uint64 {
	return p.free - min(p.free, p.reservedHere()) + p.overcommit
}

func (p poolState) reservedHere() uint64 {
	if strings.HasPrefix(p.directory, nodeDirectory) {
		return 0
	}
	return p.reserved
}

// persistent is what has to be written to nr_hugepages to leave the pool as it is.
func (p poolState) persistent() uint64 { return p.total - min(p.total, p.surplus) }

// A cgroup is the process's own in the hierarchy of one controller.
type cgroup struct {
	v2          bool
	options     string   // of the mount
	directories []string // from its own to the root of what is visible
}

// cgroup finds the process's cgroup of a controller, in version 1 if that is
// mounted, else in version 2, where the directories may lack the controller's files.
func (s system) cgroup(controller string) (c cgroup, ok bool) {
	own := map[string]string{} // path by controller; "" is version 2
	for line := range bytes.Lines(s.read("proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			own[name] = parts[2]
		}
	}
	for line := range bytes.Lines(s.read("proc/self/mountinfo")) {
		before, after, found := strings.Cut(string(line), " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(mount) < 5 || len(kind) < 3 {
			continue
		}
		v2 := kind[0] == "cgroup2"
		key := controller
		if v2 {
			key = ""
		}
		ownPath, has := own[key]
		if !has || !v2 && (kind[0] != "cgroup" || !slices.Contains(strings.Split(kind[2], ","), controller)) {
			continue
		}
		if ok && v2 {
			continue // the first mount is the one
		}
		c, ok = cgroup{v2: v2, options: kind[2]}, true
		root, point := unescape(mount[3]), strings.TrimPrefix(unescape(mount[4]), "/")
		// A namespace shows paths outside of it as /../…: what can be seen is the mount.
		below, inside := strings.CutPrefix(path.Clean(ownPath), strings.TrimSuffix(root, "/"))
		if !inside || strings.HasPrefix(ownPath, "/..") || below != "" && below[0] != '/' {
			below = ""
		}
		for below != "" && below != "/" {
			c.directories = append(c.directories, point+below)
			below = path.Dir(below)
		}
		c.directories = append(c.directories, point)
		if !v2 {
			return c, true
		}
	}
	return c, ok
}

// unescape undoes mountinfo's \040 for a space and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
