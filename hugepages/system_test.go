package hugepages

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/linux"
)

var fileName = regexp.MustCompile(`(?m)^-- (.+) --\n`)

// machine reads testdata/name.txt, which holds /proc and /sys as "-- path --" and a
// file's lines, again and again.
func machine(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	heads := fileName.FindAllSubmatchIndex(text, -1)
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		files[string(text[h[2]:h[3]])] = &fstest.MapFile{Data: text[h[1]:end]}
	}
	if len(files) == 0 {
		t.Fatalf("no files in testdata/%s.txt", name)
	}
	return files
}

func systemOf(t testing.TB, name string) system { return system{FS: machine(t, name)} }

const (
	mib = 1 << 20
	gib = 1 << 30
)

// Each limit of each machine: the most that fits, in a file that is named, and
// not a byte more.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		machine string
		check   func(system, uint64) error
		most    uint64
		limit   Limit
		where   string
	}{
		// 64 GiB less 60 in use, of which 49 GiB are files' clean pages.
		{"v1-container", system.checkMemoryCgroup, 53 * gib, LimitMemoryCgroup, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		{"v1-container", huge2M, 2 * mib, LimitHugeCgroup, "/sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes"},
		{"v1-container", huge1G, 0, LimitHugeCgroup, "/sys/fs/cgroup/hugetlb/hugetlb.1GB.rsvd.limit_in_bytes"},
		// The unit's memory.high comes before its memory.max: 32 GiB less 12 in use, of which 3 are clean.
		{"v2-service", system.checkMemoryCgroup, 23 * gib, LimitMemoryCgroup, "/sys/fs/cgroup/system.slice/sealing jobs.service/memory.high"},
		{"v2-service", huge2M, 2 * mib, LimitHugeCgroup, "/sys/fs/cgroup/system.slice/sealing jobs.service/hugetlb.2MB.rsvd.max"},
		// No limit of huge pages, but this mount counts them as memory.
		{"v2-service", huge1G, 23 * gib, LimitMemoryCgroup, "/sys/fs/cgroup/system.slice/sealing jobs.service/memory.high"},
		{"v2-namespace", system.checkMemoryCgroup, 512 << 10, LimitMemoryCgroup, "/sys/fs/cgroup/memory.max"},
		{"hybrid", system.checkMemoryCgroup, 8192, LimitMemoryCgroup, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
		{"v1-container", anywhere, 53 * gib, LimitMemoryCgroup, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		{"two-nodes", anywhere, 400 * gib, LimitMemory, "/proc/meminfo"},
		// Of node 1, which has nothing to give, and of nodes 0 and 1 together.
		{"two-nodes", among(anywhere, 1), 0, LimitMemory, "/sys/devices/system/node/node[1]/meminfo"},
		{"two-nodes", among(anywhere, 0, 1), 141 * gib, LimitMemory, "/sys/devices/system/node/node[0,1]/meminfo"},
		{"two-nodes", among(pool2M(Binding{}), 0), 20 * 2 * mib, LimitHugePages, "/sys/devices/system/node/node[0]/hugepages"},
		// 2 GiB free, 139 of clean files, 3 of slabs, less 1 GiB for the kernel from each.
		{"two-nodes", onNode(0), 141 * gib, LimitNode, "/sys/devices/system/node/node0/meminfo"},
		{"two-nodes", onNode(1), 0, LimitNode, "/sys/devices/system/node/node1/meminfo"},
		{"two-nodes", onNode(3), 0, LimitNode, "/sys/devices/system/node/node3/meminfo"},
		// 60 free, of which 25 are reserved, and 15 more that may be had, of which 10 are.
		{"two-nodes", pool2M(Binding{}), 40 * 2 * mib, LimitHugePages, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"},
		{"two-nodes", pool2M(OnNUMANode(0)), 20 * 2 * mib, LimitHugePages, "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages"},
		{"two-nodes", pool2M(OnNUMANode(1)), 30 * 2 * mib, LimitHugePages, "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages"},
	} {
		s := systemOf(t, c.machine)
		if err := c.check(s, c.most); err != nil {
			t.Errorf("%s, %s: %d bytes should fit: %v", c.machine, c.limit, c.most, err)
		}
		err := c.check(s, c.most+1)
		var e *LimitError
		if !errors.As(err, &e) || e.Limit != c.limit || e.Where != c.where || e.Want != c.most+1 || e.Max-min(e.Max, e.Used) != c.most {
			t.Errorf("%s: one byte more than %d: got %v, want %s (%s)", c.machine, c.most, err, c.limit, c.where)
		}
	}
}

func huge2M(s system, n uint64) error   { return s.checkHugeCgroup(n, Huge2M.Size()) }
func huge1G(s system, n uint64) error   { return s.checkHugeCgroup(n, Huge1G.Size()) }
func anywhere(s system, n uint64) error { return s.checkMemory(n, Binding{}, n) }
func onNode(node int) func(system, uint64) error {
	return func(s system, n uint64) error { return s.checkMemory(n, OnNUMANode(node), n) }
}
func among(check func(system, uint64) error, nodes ...int) func(system, uint64) error {
	return func(s system, n uint64) error { return check(s.within(nodes), n) }
}
func pool2M(node Binding) func(system, uint64) error {
	return func(s system, n uint64) error { return s.checkPool(n, Huge2M.Size(), node) }
}

// What nothing is known about bounds nothing, one missing file at a time.
func TestOneFileMissing(t *testing.T) {
	for _, name := range []string{"v1-container", "v2-service", "v2-namespace", "hybrid", "two-nodes"} {
		for missing := range machine(t, name) {
			files := machine(t, name)
			delete(files, missing)
			s := system{FS: files}
			full := systemOf(t, name)
			for _, want := range []uint64{1, 8 * mib, 32 * gib, 1 << 60} {
				for _, check := range []func(system, uint64) error{anywhere, huge2M, huge1G, onNode(0), onNode(1)} {
					var e *LimitError
					if err := check(s, want); err != nil && !errors.As(err, &e) {
						t.Errorf("%s without %s: %v", name, missing, err)
					}
					// Nothing becomes scarcer, unless what was found to be reclaimable, or has no
					// known use any more.
					if check(full, want) == nil && check(s, want) != nil && !strings.HasSuffix(missing, "memory.stat") && !strings.HasSuffix(missing, "has_memory") {
						t.Errorf("%s without %s: %v", name, missing, check(s, want))
					}
				}
			}
		}
	}
	empty := system{FS: fstest.MapFS{}}
	for _, check := range []func(system, uint64) error{anywhere, huge2M, onNode(0)} {
		if err := check(empty, 1<<60); err != nil {
			t.Errorf("nothing readable: %v", err)
		}
	}
	if err := empty.checkPool(1, Huge2M.Size(), Binding{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no pool: %v", err)
	}
	if empty.transparent() != "" {
		t.Error("nothing says that there are no transparent huge pages")
	}
}

func TestTransparentSwitchedOff(t *testing.T) {
	if why := systemOf(t, "two-nodes").transparent(); !strings.Contains(why, "transparent_hugepage/enabled") {
		t.Errorf("%q", why)
	}
}

// Each size has a switch, which may leave it to the one for all; and a process has one.
func TestTransparentSwitches(t *testing.T) {
	const directory, never = "sys/kernel/mm/transparent_hugepage/", "always inherit madvise [never]\n"
	for _, c := range []struct{ all, size, status, want string }{
		{"always [madvise] never\n", "", "", ""},
		{"always [madvise] never\n", "always [inherit] madvise never\n", "THP_enabled:\t1\n", ""},
		{"always [madvise] never\n", never, "THP_enabled:\t1\n", "hugepages-2048kB/enabled"},
		{"always madvise [never]\n", "always [inherit] madvise never\n", "", directory + "enabled"},
		{"always madvise [never]\n", "[always] inherit madvise never\n", "", ""},
		{"[always] madvise never\n", "", "THP_enabled:\t0\n", "PR_SET_THP_DISABLE"},
	} {
		files := fstest.MapFS{directory + "enabled": {Data: []byte(c.all)}, "proc/self/status": {Data: []byte(c.status)}}
		if c.size != "" {
			files[directory+"hugepages-2048kB/enabled"] = &fstest.MapFile{Data: []byte(c.size)}
		}
		if why := (system{FS: files}).transparent(); !strings.Contains(why, c.want) || (why == "") != (c.want == "") {
			t.Errorf("all %q, size %q, process %q: %q, want %q", c.all, c.size, c.status, why, c.want)
		}
	}
}

// A single NUMA node with memory is the machine: its own figure is exact.
func TestOnlyNode(t *testing.T) {
	files := machine(t, "two-nodes")
	files[nodeDirectory+"/has_memory"] = &fstest.MapFile{Data: []byte("1\n")}
	n, file, ok := system{FS: files}.nodeAvailable(1, gib)
	if n != 400*gib || file != "/proc/meminfo" || !ok {
		t.Errorf("%d, %s, %v", n, file, ok)
	}
}

// What a node's zones keep: what lies below the high watermark, and what is protected
// from those who may have pages of other zones, but no more than a zone has.
func TestKept(t *testing.T) {
	s := systemOf(t, "two-nodes")
	if n := s.kept(0); n != gib {
		t.Errorf("without zones: %d bytes, want a guess of 1/256", n)
	}
	files := machine(t, "two-nodes")
	files["proc/zoneinfo"] = &fstest.MapFile{Data: []byte(zones)}
	s = system{FS: files}
	for node, pages := range []uint64{100 + 600 + 20000, 7000} {
		if n := s.kept(node); n != pages*uint64(linux.PageSize) {
			t.Errorf("node %d: %d bytes, want %d pages", node, n, pages)
		}
	}
	if n, _, _ := s.nodeAvailable(1, s.kept(1)); n != 512*mib-7000*uint64(linux.PageSize) {
		t.Errorf("%d bytes to be had on node 1", n)
	}
}

const zones = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 408
  pages free     2816
        boost    0
        min      10
        low      13
        high     16
        spanned  4095
        present  3998
        managed  100
        cma      0
        protection: (0, 3018, 24090, 24090, 24090)
      nr_free_pages 2816
  pagesets
    cpu: 0
              count:    3
              high:     99999
              batch:    1
              high_min: 6
Node 0, zone    DMA32
        high     500
        managed  77280
        protection: (0, 0, 100, 100)
Node 0, zone   Normal
        high     20000
        managed  5394266
        protection: (0, 0, 0, 0, 0)
Node 0, zone  Movable
        high     32
        managed  0
        protection: (0, 0, 0, 0, 0)
Node 1, zone   Normal
        high     7000
        managed  5394266
        protection: (0, 0, 0, 0, 0)
Node 10, zone   Normal
        high     9000
        managed  5394266
        protection: (0, 0, 0, 0, 0)
`

func TestPoolState(t *testing.T) {
	s := systemOf(t, "two-nodes")
	p, ok := s.pool(Huge2M.Size(), OnNUMANode(0))
	if !ok || p.persistent() != 60 || p.reserved != 25 || p.overcommit != 0 {
		t.Errorf("%+v, %v", p, ok)
	}
	p, ok = s.pool(Huge2M.Size(), Binding{})
	if !ok || p.persistent() != 90 || p.overcommit != 5 {
		t.Errorf("%+v, %v", p, ok)
	}
	if _, ok := s.pool(Huge1G.Size(), OnNUMANode(0)); ok {
		t.Error("a pool of 1 GiB pages on node 0")
	}
}

func TestHugeBytes(t *testing.T) {
	s := systemOf(t, "two-nodes")
	for _, c := range []struct{ first, end, want uint64 }{
		{0x7f0000000000, 0x7f0000600000, 4 * mib},
		{0x7f0000000000, 0x7f0000500000, 2 * mib}, // reaches across
		{0x7f0000600000, 0x7f0000800000, 1 * mib},
		{0x7f0000800000, 0x7f0000900000, 0},
	} {
		if n, err := s.hugeBytes(c.first, c.end); err != nil || n != c.want {
			t.Errorf("%x-%x: %d, want %d (%v)", c.first, c.end, n, c.want, err)
		}
	}
}

func TestDefaultKinds(t *testing.T) {
	for _, c := range []struct {
		size uint64
		want []Pages
	}{
		{1, []Pages{Small}},
		{mib, []Pages{Small}},
		{2 * mib, []Pages{Huge2M, Transparent, Small}},
		{2*mib + 1, []Pages{Transparent, Small}},
		{512 * mib, []Pages{Huge2M, Transparent, Small}},
		{gib, []Pages{Huge1G, Huge2M, Transparent, Small}},
		{3*gib + 1, []Pages{Huge2M, Transparent, Small}},
		{31*gib + 1, []Pages{Huge1G, Huge2M, Transparent, Small}},
	} {
		o := Options{Size: c.size}
		if got, file, err := o.kinds(); !slices.Equal(got, c.want) || file != 0 || err != nil {
			t.Errorf("%d bytes: %v, want %v", c.size, got, c.want)
		}
	}
}

func TestList(t *testing.T) {
	for text, want := range map[string][]int{
		"0": {0}, "0-3,7\n": {0, 1, 2, 3, 7}, "5": {5}, "65535": {65535},
		"": nil, "\n": nil, "5-4": nil, "99999": nil, "1,,2": nil, "-1": nil, "0-": nil, "a": nil, "0-65535,0-65535": nil, "0x1": nil,
	} {
		if got := parseList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Whatever there is to read, nothing panics, and a list holds what it says.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0-3,7,5-4", "99999", "Node 0 MemFree: 12 kB", "MemFree: 99999999999999999999 kB", `a\040b\`, "MemFree:", "7f-8 x", "1:memory:/a", "1 2 0:3 / / rw - cgroup cgroup memory"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range parseList(text) {
			if n < 0 || n >= maxNumber {
				t.Errorf("%q holds %d", text, n)
			}
		}
		if n, ok := field([]byte(text), "MemFree:"); ok && !strings.Contains(text, "MemFree:") {
			t.Errorf("%q: %d", text, n)
		}
		if len(unescape(text)) > len(text) {
			t.Errorf("%q became longer", text)
		}
		addresses([]byte(text))
		s := system{FS: fstest.MapFS{
			"proc/self/cgroup":    {Data: []byte(text)},
			"proc/self/mountinfo": {Data: []byte(text)},
			"proc/self/smaps":     {Data: []byte(text)},
			"proc/meminfo":        {Data: []byte(text)},
		}}
		_ = s.checkMemory(1, OnNUMANode(0), 1)
		_, _ = s.hugeBytes(0, 1<<63)
	})
}

func TestListProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 1, 60, rapid.ID).Draw(t, "numbers")
		slices.Sort(want)
		var b bytes.Buffer
		for i := 0; i < len(want); {
			j := i
			for j+1 < len(want) && want[j+1] == want[j]+1 {
				j++
			}
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(&b, want[i])
			if j > i {
				fmt.Fprintf(&b, "-%d", want[j])
			}
			i = j + 1
		}
		if got := parseList(b.String()); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", &b, got, want)
		}
	})
}
