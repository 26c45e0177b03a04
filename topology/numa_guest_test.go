//go:build linux

package topology_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/topology"
)

// What scripts/numa-guest.sh gave to QEMU.
type guestShape struct {
	Nodes []struct {
		CPUs      string
		MemoryMiB uint64 `json:"memory_mib"`
		Gigantic  uint64 // huge pages of 1 GiB
		Distances []int
	}
	L3    []string // the CPUs of each
	Cores []string
}

func inGuest(t *testing.T) guestShape {
	t.Helper()
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("changes the whole machine: make test-numa runs it in a guest")
	}
	var s guestShape
	if err := json.Unmarshal([]byte(os.Getenv("SDR_NUMA_SHAPE")), &s); err != nil {
		t.Fatalf("SDR_NUMA_SHAPE: %v", err)
	}
	return s
}

func guestRead(t *testing.T) *topology.Machine {
	t.Helper()
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func guestSet(t *testing.T, list string) topology.CPUSet {
	t.Helper()
	set, err := topology.ParseCPUList(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func guestWrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("writing %q: %v", text, err)
	}
}

// setOnline switches a CPU, for the time of the test.
func setOnline(t *testing.T, cpu topology.CPU, on bool) {
	t.Helper()
	file := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/online", cpu)
	if !on {
		guestWrite(t, file, "0")
		t.Cleanup(func() { guestWrite(t, file, "1") })
		return
	}
	guestWrite(t, file, "1")
}

func TestNUMAGuestMachine(t *testing.T) {
	want := inGuest(t)
	m := guestRead(t)
	if degraded := m.Degraded(); len(degraded) > 0 {
		t.Errorf("degraded: %q", degraded)
	}
	if !m.Live() || m.Root() != "/" || m.Model() == "" {
		t.Errorf("live %v, root %q, model %q", m.Live(), m.Root(), m.Model())
	}
	if features := m.Features(); slices.Contains(features, "sha_ni") || !slices.Contains(features, "avx2") {
		t.Errorf("features %q: want avx2, not sha_ni", features)
	}

	nodes, packages := m.NUMANodes(), m.Packages()
	if len(nodes) != len(want.Nodes) || len(packages) != len(want.Nodes) {
		t.Fatalf("%d NUMA nodes, %d packages, want %d", len(nodes), len(packages), len(want.Nodes))
	}
	var all []topology.CPU
	var mems []topology.NUMANodeID
	for i, w := range want.Nodes {
		cpus := guestSet(t, w.CPUs)
		all = append(all, cpus.Slice()...)
		mems = append(mems, topology.NUMANodeID(i))
		n := nodes[i]
		if n.ID != topology.NUMANodeID(i) || !n.CPUs.Equal(cpus) || !slices.Equal(n.Distances, w.Distances) {
			t.Errorf("NUMA node %d: id %d, CPUs %s, distances %d; want CPUs %s, distances %d", i, n.ID, n.CPUs, n.Distances, cpus, w.Distances)
		}
		// The kernel keeps some of the memory to itself.
		if size := w.MemoryMiB << 20; n.MemoryTotal > size || n.MemoryTotal < size-size/8 {
			t.Errorf("NUMA node %d: %d bytes of memory, of %d MiB given", i, n.MemoryTotal, w.MemoryMiB)
		}
		if ordinary := n.MemoryTotal - w.Gigantic<<30; n.MemoryFree > ordinary || n.MemoryFree < ordinary/2 {
			t.Errorf("NUMA node %d: %d bytes free of %d, %d pages of 1 GiB aside", i, n.MemoryFree, n.MemoryTotal, w.Gigantic)
		}
		pools := []topology.HugePagePool{{Size: 2 << 20}, {Size: 1 << 30, Total: w.Gigantic, Free: w.Gigantic}}
		if !slices.Equal(n.HugePages, pools) {
			t.Errorf("NUMA node %d: huge pages %v, want %v", i, n.HugePages, pools)
		}
		if p := packages[i]; p.ID != i || !p.CPUs.Equal(cpus) {
			t.Errorf("package %d: id %d, CPUs %s, want %s", i, p.ID, p.CPUs, cpus)
		}
		for cpu := range cpus.All() {
			if at, ok := m.NUMAOf(cpu); !ok || int(at) != i {
				t.Errorf("CPU %d: NUMA node %d %v, want %d", cpu, at, ok, i)
			}
		}
	}
	if set := topology.NewCPUSet(all...); !m.CPUs().Equal(set) || !m.Allowed().Equal(set) || !slices.Equal(m.AllowedMems(), mems) {
		t.Errorf("CPUs %s, allowed %s, nodes allowed %d, want %s and %d", m.CPUs(), m.Allowed(), m.AllowedMems(), set, mems)
	}

	complexes, cores := m.Complexes(), m.Cores()
	if len(complexes) != len(want.L3) || len(cores) != len(want.Cores) {
		t.Fatalf("%d core complexes, %d cores, want %d and %d", len(complexes), len(cores), len(want.L3), len(want.Cores))
	}
	for i, list := range want.L3 {
		c := complexes[i]
		if !c.CPUs.Equal(guestSet(t, list)) || c.CacheLevel != 3 || c.CacheSize == 0 || int(c.NUMANode) != i || int(c.Package) != i {
			t.Errorf("core complex %d: %+v, want an L3 of CPUs %s on node and package %[1]d", i, c, list)
		}
	}
	for i, list := range want.Cores {
		c, cpus := cores[i], guestSet(t, list)
		if !slices.Equal(c.CPUs, cpus.Slice()) || !complexes[c.Complex].CPUs.Contains(c.CPUs[0]) || int(c.NUMANode) != int(c.Package) {
			t.Errorf("core %d: %+v, want CPUs %s", i, c, list)
		}
	}
}

// TestNUMAGuestHugePages: the counts follow what a node really has, and only that node.
func TestNUMAGuestHugePages(t *testing.T) {
	inGuest(t)
	const size, pages = 2 << 20, 3
	file := fmt.Sprintf("/sys/devices/system/node/node1/hugepages/hugepages-%dkB/nr_hugepages", size>>10)
	pools := func() (pools [2]topology.HugePagePool) {
		for i, node := range guestRead(t).NUMANodes() {
			at := slices.IndexFunc(node.HugePages, func(p topology.HugePagePool) bool { return p.Size == size })
			if at < 0 {
				t.Fatalf("NUMA node %d: no huge pages of %d bytes in %v", i, size, node.HugePages)
			}
			pools[i] = node.HugePages[at]
		}
		return pools
	}
	before := pools()
	guestWrite(t, file, strconv.FormatUint(before[1].Total+pages, 10))
	defer guestWrite(t, file, strconv.FormatUint(before[1].Total, 10))
	want := before
	want[1].Total += pages
	want[1].Free += pages
	if got := pools(); got != want {
		t.Errorf("with %d pages more on node 1: %v, before %v", pages, got, before)
	}
}

// onThread runs f on a thread of its own, and ends that.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// threadMask is what the kernel says elsewhere than in the system call that package
// topology asks: the CPUs that this thread may run on.
func threadMask(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	mask, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(mask)
}

// threadCPU is the CPU that this thread runs on: field 39 of its stat.
func threadCPU(t *testing.T) string {
	t.Helper()
	stat, err := os.ReadFile("/proc/thread-self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from field 3
	if len(fields) < 37 {
		t.Fatalf("stat: %s", stat)
	}
	return fields[36]
}

// guestPin pins, looks, and releases.
func guestPin(t *testing.T, m *topology.Machine, cpu topology.CPU) error {
	t.Helper()
	before := threadMask(t)
	p, err := topology.Pin(m, cpu)
	if err != nil {
		if after := threadMask(t); after != before {
			t.Errorf("CPU %d, refused: mask %s, before %s", cpu, after, before)
		}
		return err
	}
	want := strconv.Itoa(int(cpu))
	if mask, on := threadMask(t), threadCPU(t); mask != want || on != want {
		t.Errorf("pinned to CPU %d: mask %s, on CPU %s", cpu, mask, on)
	}
	if err := p.Release(); err != nil {
		t.Error(err)
	}
	// No thread gets a CPU back that has gone offline meanwhile.
	if after := threadMask(t); after != before && !guestSet(t, after).Equal(guestSet(t, before).Intersect(guestRead(t).CPUs())) {
		t.Errorf("CPU %d, released: mask %s, before %s", cpu, after, before)
	}
	return nil
}

func TestNUMAGuestPin(t *testing.T) {
	inGuest(t)
	m := guestRead(t)
	onThread(func() {
		for cpu := range m.CPUs().All() {
			if err := guestPin(t, m, cpu); err != nil {
				t.Error(err)
			}
		}
	})
	if m := guestRead(t); !m.Allowed().Equal(m.CPUs()) {
		t.Errorf("afterwards allowed: %s of %s", m.Allowed(), m.CPUs())
	}
}

// wantPin checks that pinning is refused for this reason, or, with "", not refused.
func wantPin(t *testing.T, m *topology.Machine, cpu topology.CPU, want string) {
	t.Helper()
	onThread(func() {
		if got := pinReason(guestPin(t, m, cpu)); got != want {
			t.Errorf("pinning to CPU %d: %q, want %q", cpu, got, want)
		}
	})
}

var reasonNames = map[topology.PinReason]string{
	topology.PinOther: "other", topology.PinDump: "dump", topology.PinOffline: "offline", topology.PinCgroup: "cgroup",
	topology.PinAffinity: "affinity", topology.PinPermission: "permission", topology.PinUnverified: "unverified", topology.PinThread: "thread",
}

func pinReason(err error) string {
	var refused *topology.PinError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused) && reasonNames[refused.Reason] != "":
		return reasonNames[refused.Reason]
	}
	return fmt.Sprintf("%T: %[1]v", err)
}

// A report is what a child process sees.
type report struct {
	CPUs, Allowed string
	Mems          []topology.NUMANodeID
	Degraded      []string
	Pins          map[topology.CPU]string // the reason for a refusal, "" for none
}

const childVariable = "SDR_GUEST_CHILD"

// reportAsChild makes the report if this is a child process.
func reportAsChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == "" {
		return false
	}
	m := guestRead(t)
	r := report{m.CPUs().String(), m.Allowed().String(), m.AllowedMems(), m.Degraded(), map[topology.CPU]string{}}
	onThread(func() {
		for cpu := range m.CPUs().All() {
			r.Pins[cpu] = pinReason(guestPin(t, m, cpu))
			r.Pins[cpu+1] = pinReason(guestPin(t, m, cpu+1)) // beyond the last, too
		}
	})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("report %s\n", text)
	return true
}

// child runs this test in a process of its own, which a shell first moves into
// a cgroup, if one is given.
func child(t *testing.T, cgroup string) (r report) {
	t.Helper()
	move := ":"
	if cgroup != "" {
		move = "echo $$ >" + cgroup + "/cgroup.procs"
	}
	cmd := exec.Command("/bin/sh", "-c", move+` && exec "$0" "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), "report ")
	line, _, _ := strings.Cut(rest, "\n")
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return r
}

// wantReport compares all of a report. The CPUs that are allowed are those that can
// be pinned to; the others are refused for this reason.
func wantReport(t *testing.T, r report, allowed string, mems []topology.NUMANodeID, refused string) {
	t.Helper()
	cpus := guestRead(t).CPUs()
	if r.CPUs != cpus.String() || r.Allowed != allowed || !slices.Equal(r.Mems, mems) || len(r.Degraded) > 0 {
		t.Errorf("a child sees CPUs %s, allowed %s, nodes allowed %d, degraded %q; want %s, %s, %d",
			r.CPUs, r.Allowed, r.Mems, r.Degraded, cpus, allowed, mems)
	}
	may := guestSet(t, allowed)
	want := map[topology.CPU]string{}
	for cpu := range cpus.All() {
		want[cpu+1] = "offline" // there is none
	}
	for cpu := range cpus.All() {
		if want[cpu] = refused; may.Contains(cpu) {
			want[cpu] = ""
		}
	}
	if !maps.Equal(r.Pins, want) {
		t.Errorf("a child pins to %v, want %v", r.Pins, want)
	}
}

// newCgroup makes a cgroup for the time of the test.
func newCgroup(t *testing.T, dir, cpus, mems string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	guestWrite(t, dir+"/cpuset.cpus", cpus)
	guestWrite(t, dir+"/cpuset.mems", mems)
}

const cgroupRoot = "/sys/fs/cgroup"

// TestNUMAGuestCpuset: a cpuset that cuts through cores and core complexes.
func TestNUMAGuestCpuset(t *testing.T) {
	inGuest(t)
	if reportAsChild(t) {
		return
	}
	wantReport(t, child(t, ""), guestRead(t).CPUs().String(), []topology.NUMANodeID{0, 1}, "")
	newCgroup(t, cgroupRoot+"/outer", "1-2,5", "1")
	wantReport(t, child(t, cgroupRoot+"/outer"), "1-2,5", []topology.NUMANodeID{1}, "cgroup")

	// A child without the controller has its parent's cpuset.
	inner := cgroupRoot + "/outer/inner"
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(inner)
	wantReport(t, child(t, inner), "1-2,5", []topology.NUMANodeID{1}, "cgroup")
}

func runCommand(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args, err, out)
	}
	return nil
}

// eventually tries until the kernel has done what it does on its own time.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// TestNUMAGuestCpusetVersion1: the same with the controller in a hierarchy of its own.
func TestNUMAGuestCpusetVersion1(t *testing.T) {
	inGuest(t)
	if reportAsChild(t) {
		return
	}
	control := cgroupRoot + "/cgroup.subtree_control"
	dir := t.TempDir()
	// The kernel moves a controller only when the cgroups that were removed are
	// really gone.
	t.Cleanup(func() {
		eventually(t, func() error { return os.WriteFile(control, []byte("+cpuset"), 0o600) })
	})
	guestWrite(t, control, "-cpuset")
	eventually(t, func() error { return runCommand("mount", "-t", "cgroup", "-o", "cpuset", "cpuset", dir) })
	t.Cleanup(func() {
		eventually(t, func() error {
			counts, err := os.ReadFile("/proc/cgroups") // "cpuset", hierarchy, number of cgroups
			if _, rest, _ := strings.Cut(string(counts), "\ncpuset\t"); err == nil && strings.Fields(rest)[1] != "1" {
				err = fmt.Errorf("the hierarchy has more than its root: %s", counts)
			}
			return err
		})
		if err := runCommand("umount", dir); err != nil {
			t.Error(err)
		}
	})
	newCgroup(t, dir+"/outer", "1-2,5", "1")
	wantReport(t, child(t, dir+"/outer"), "1-2,5", []topology.NUMANodeID{1}, "cgroup")
}

// TestNUMAGuestCpusetChanges: the Machine was read before the process came into
// the cpuset, and so was a thread pinned.
func TestNUMAGuestCpusetChanges(t *testing.T) {
	inGuest(t)
	m := guestRead(t)
	newCgroup(t, cgroupRoot+"/late", "1-2,5", "0-1")
	self := strconv.Itoa(os.Getpid())
	moved := false
	move := func(group string) { guestWrite(t, filepath.Join(cgroupRoot, group, "cgroup.procs"), self) }
	defer func() {
		if moved {
			move("")
		}
		wantPin(t, m, 0, "")
	}()
	onThread(func() {
		p, err := topology.Pin(m, 0)
		if err != nil {
			t.Error(err)
			return
		}
		move("late")
		moved = true
		if got, mask := pinReason(p.Release()), threadMask(t); got != "unverified" || mask != "1-2,5" {
			t.Errorf("released: %q, mask %s; want it to say that the old mask cannot be had, and what the cpuset has of it", got, mask)
		}
	})
	wantPin(t, m, 0, "cgroup")
	wantPin(t, m, 5, "")
}

// TestNUMAGuestAffinity: a process keeps to the mask that it was started with.
func TestNUMAGuestAffinity(t *testing.T) {
	inGuest(t)
	if reportAsChild(t) {
		return
	}
	m := guestRead(t)
	onThread(func() {
		p, err := topology.Pin(m, 6)
		if err != nil {
			t.Error(err)
			return
		}
		wantReport(t, child(t, ""), "6", []topology.NUMANodeID{0, 1}, "affinity") // a process starts with its parent thread's mask
		if err := p.Release(); err != nil {
			t.Error(err)
		}
	})
}

func TestNUMAGuestOffline(t *testing.T) {
	want := inGuest(t)
	before := guestRead(t)
	all := before.CPUs().Slice()
	sibling, cpu := all[len(all)-2], all[len(all)-1]
	setOnline(t, cpu, false)
	rest := topology.NewCPUSet(all[:len(all)-1]...)
	m := guestRead(t)
	if degraded := m.Degraded(); len(degraded) > 0 {
		t.Errorf("degraded: %q", degraded)
	}
	if !m.CPUs().Equal(rest) || !m.Allowed().Equal(rest) {
		t.Errorf("CPUs %s, allowed %s, want %s", m.CPUs(), m.Allowed(), rest)
	}
	if _, ok := m.CoreOf(cpu); ok {
		t.Error("a CPU that is offline has a core")
	}
	cores := m.Cores()
	if last := cores[len(cores)-1]; len(cores) != len(want.Cores) || !slices.Equal(last.CPUs, []topology.CPU{sibling}) {
		t.Errorf("cores %+v, want %d, the last of CPU %d alone", cores, len(want.Cores), sibling)
	}
	wantPin(t, m, cpu, "offline")
	wantPin(t, before, cpu, "offline") // online when the Machine was read
	wantPin(t, m, sibling, "")

	setOnline(t, cpu, true)
	if m := guestRead(t); !m.CPUs().Equal(before.CPUs()) || !m.Allowed().Equal(before.CPUs()) {
		t.Errorf("online again: CPUs %s, allowed %s, want %s", m.CPUs(), m.Allowed(), before.CPUs())
	}
	wantPin(t, before, cpu, "")
}

// TestNUMAGuestMemoryOnly: a node without CPUs is memory, and its socket is gone.
func TestNUMAGuestMemoryOnly(t *testing.T) {
	want := inGuest(t)
	for cpu := range guestSet(t, want.Nodes[1].CPUs).All() {
		setOnline(t, cpu, false)
	}
	m := guestRead(t)
	nodes := m.NUMANodes()
	if len(nodes) != 2 || nodes[1].CPUs.Len() != 0 || nodes[1].MemoryTotal == 0 || !slices.Equal(nodes[1].Distances, want.Nodes[1].Distances) {
		t.Errorf("NUMA nodes %+v, want two, the second without CPUs", nodes)
	}
	if m.CPUs().String() != want.Nodes[0].CPUs || len(m.Packages()) != 1 || len(m.Complexes()) != 1 || len(m.Cores()) != len(want.Cores)/2 {
		t.Errorf("CPUs %s, %d packages, %d complexes, %d cores, want one socket's", m.CPUs(), len(m.Packages()), len(m.Complexes()), len(m.Cores()))
	}
	if mems := m.AllowedMems(); !slices.Equal(mems, []topology.NUMANodeID{0, 1}) {
		t.Errorf("nodes allowed %d, want both", mems)
	}
}

// TestNUMAGuestAnyShape: nodes are what they are, whether an L3 spans several of them, or one has no CPU; a core
// is on its own.
func TestNUMAGuestAnyShape(t *testing.T) {
	want := inGuest(t)
	m := guestRead(t)
	nodes := m.NUMANodes()
	if len(nodes) != len(want.Nodes) {
		t.Fatalf("%d NUMA nodes, want %d", len(nodes), len(want.Nodes))
	}
	for i, w := range want.Nodes {
		cpus := topology.CPUSet{}
		if w.CPUs != "" {
			cpus = guestSet(t, w.CPUs)
		}
		n := nodes[i]
		if !n.CPUs.Equal(cpus) || !slices.Equal(n.Distances, w.Distances) || n.MemoryTotal == 0 {
			t.Errorf("NUMA node %d: %+v, want CPUs %s, distances %d", i, n, cpus, w.Distances)
		}
		for cpu := range cpus.All() {
			at, _ := m.CoreOf(cpu)
			if core := m.Cores()[at]; int(core.NUMANode) != i {
				t.Errorf("CPU %d: a core on NUMA node %d, want %d", cpu, core.NUMANode, i)
			}
		}
	}
	var l3 []string
	for _, c := range m.Complexes() {
		l3 = append(l3, c.CPUs.String())
	}
	if !slices.Equal(l3, want.L3) {
		t.Errorf("core complexes of CPUs %q, want %q", l3, want.L3)
	}
}

// TestNUMAGuestDump: a dump of this machine is this machine, but for pinning.
func TestNUMAGuestDump(t *testing.T) {
	inGuest(t)
	var text bytes.Buffer
	if err := topology.Dump(&text, "/"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dump")
	guestWrite(t, file, text.String())
	dump, err := topology.ReadDump(file)
	if err != nil {
		t.Fatal(err)
	}
	describe := func(m *topology.Machine) string {
		nodes := m.NUMANodes()
		for i := range nodes { // these change from one moment to the next
			nodes[i].MemoryFree, nodes[i].MemoryAvailable = 0, 0
		}
		return fmt.Sprint(m.Model(), m.Features(), m.Packages(), nodes, m.Complexes(), m.Cores(), m.CPUs(), m.Allowed(), m.AllowedMems(), m.Degraded())
	}
	if got, want := describe(dump), describe(guestRead(t)); got != want {
		t.Errorf("the dump is\n%s\nthe machine is\n%s", got, want)
	}
	wantPin(t, dump, 0, "dump")
}
