//go:build linux

package hugepages_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/linux"
)

// These tests need a machine with NUMA nodes 0 and 1, whose memory nobody else
// uses: the guest that `make test-numa` boots.

const nodes = "/sys/devices/system/node"

func guest(t *testing.T) {
	t.Helper()
	if os.Getenv("SDR_NUMA_GUEST") != "1" {
		t.Skip("only in the guest with two NUMA nodes: make test-numa sets SDR_NUMA_GUEST=1")
	}
	if _, err := os.Stat(nodes + "/node1"); err != nil {
		t.Fatal(err)
	}
}

func poolOfNode(node int, p hugepages.Pages) string {
	return filepath.Join(fmt.Sprintf("%s/node%d/hugepages", nodes, node), directoryOf(p))
}

// freeMemory is what a node has free, in bytes.
func freeMemory(t *testing.T, node int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("%s/node%d/meminfo", nodes, node))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "MemFree:")
	kib, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// mapsSay is how many bytes of a region /proc/self/numa_maps puts on a node, an
// account that does not come from move_pages.
func mapsSay(t *testing.T, r *hugepages.Region, node int) (n uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/numa_maps")
	if err != nil {
		t.Fatal(err)
	}
	first := uint64(start(r.Bytes()))
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		address, err := strconv.ParseUint(words[0], 16, 64)
		if err != nil {
			t.Fatal(line)
		}
		if address < first || address >= first+uint64(len(r.Bytes())) {
			continue
		}
		size, pages := uint64(4), uint64(0)
		for _, word := range words {
			if text, ok := strings.CutPrefix(word, fmt.Sprintf("N%d=", node)); ok {
				pages, _ = strconv.ParseUint(text, 10, 64)
			}
			if text, ok := strings.CutPrefix(word, "kernelpagesize_kB="); ok {
				size, _ = strconv.ParseUint(text, 10, 64)
			}
		}
		n += pages * size << 10
	}
	return n
}

func TestNUMAGuestBinding(t *testing.T) {
	guest(t)
	for node := range 2 {
		for _, p := range []hugepages.Pages{hugepages.Transparent, hugepages.Small} {
			o := hugepages.Options{Size: 24 << 20, Pages: only(p), Binding: hugepages.OnNUMANode(node), Strict: true}
			r := alloc(t, o)
			if err := r.Populate(t.Context()); err != nil {
				t.Errorf("node %d, %v: %v", node, p, err)
			}
			locality := r.Locality()
			if locality.Local != locality.Pages || locality.Checked != locality.Pages || locality.ByNUMANode[node] != locality.Pages {
				t.Errorf("node %d, %v: %+v", node, p, locality)
			}
			if n := mapsSay(t, r, node); n != o.Size {
				t.Errorf("node %d, %v: numa_maps says %d of %d bytes", node, p, n, o.Size)
			}
			// Touched without Populate, pages are rather there, too.
			lazy := alloc(t, o)
			for i := 0; i < len(lazy.Bytes()); i += linux.PageSize {
				lazy.Bytes()[i] = 1
			}
			if locality, err := lazy.Verify(t.Context()); err != nil {
				t.Errorf("node %d, %v, touched: %v (%v)", node, p, locality, err)
			}
		}
	}
}

// Pages that are elsewhere when Populate comes are found.
func TestNUMAGuestWrongNode(t *testing.T) {
	guest(t)
	for _, strict := range []bool{true, false} {
		r := alloc(t, hugepages.Options{Size: 8 << 20, Pages: only(hugepages.Small), Binding: hugepages.OnNUMANode(0), Strict: strict})
		half := r.Bytes()[:4<<20]
		if err := linux.SetPolicy(half, linux.PolicyBind, 1); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(half); i += linux.PageSize {
			half[i] = 1
		}
		err := r.Populate(t.Context())
		locality := r.Locality()
		if locality.Wrong != locality.Pages/2 || locality.Local != locality.Pages/2 || locality.ByNUMANode[1] != locality.Wrong {
			t.Errorf("strict %v: %+v", strict, locality)
		}
		var wrong *hugepages.LocalityError
		if errors.As(err, &wrong) != strict || strict && wrong.Locality.Wrong != locality.Wrong {
			t.Errorf("strict %v: %v", strict, err)
		}
		if strict && !strings.Contains(fmt.Sprint(err), "NUMA node 0") {
			t.Error(err)
		}
	}
}

func TestNUMAGuestRaise(t *testing.T) {
	guest(t)
	directory := func(node int) string { return poolOfNode(node, hugepages.Huge2M) }
	pool(t, hugepages.Huge2M)
	before := [2]int{readPool(t, directory(0), "nr_hugepages"), readPool(t, directory(1), "nr_hugepages")}
	o := hugepages.Options{Size: 6 << 21, Pages: only(hugepages.Huge2M), Binding: hugepages.OnNUMANode(1), Raise: true, Strict: true}
	r := alloc(t, o)
	use(t, r)
	if locality := r.Locality(); locality.Local != 6 || locality.ByNUMANode[1] != 6 {
		t.Errorf("%+v", locality)
	}
	if n := mapsSay(t, r, 1); n != o.Size {
		t.Errorf("numa_maps says %d of %d bytes", n, o.Size)
	}
	if now := readPool(t, directory(1), "nr_hugepages"); now != before[1]+6 {
		t.Errorf("node 1 has %d pages, had %d", now, before[1])
	}
	if now := readPool(t, directory(0), "nr_hugepages"); now != before[0] {
		t.Errorf("node 0 has %d pages, had %d", now, before[0])
	}
	free(t, r)
	if now := readPool(t, directory(1), "nr_hugepages"); now != before[1] {
		t.Errorf("node 1 has %d pages left, had %d", now, before[1])
	}
}

// The largest pages come first, from the pool or by enlarging it.
func TestNUMAGuestGigantic(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge1G)
	r := alloc(t, hugepages.Options{Size: 1 << 30, Binding: hugepages.OnNUMANode(1), Raise: true, Strict: true})
	if locality := r.Locality(); r.Pages() != hugepages.Huge1G || locality.Pages != 1 || locality.ByNUMANode[1] != 1 {
		t.Errorf("%v, refused %v, %+v", r.Pages(), r.Refused(), locality)
	}
	r.Bytes()[1<<30-1] = 1
}

// Huge pages that are free on the other node only are none.
func TestNUMAGuestPoolOfOtherNode(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	other := poolOfNode(0, hugepages.Huge2M)
	before := readPool(t, other, "nr_hugepages")
	setPool(t, other, before+4)
	t.Cleanup(func() { setPool(t, other, before) })
	o := hugepages.Options{Size: 4 << 21, Pages: only(hugepages.Huge2M), Binding: hugepages.OnNUMANode(1)}
	_, err := hugepages.Alloc(t.Context(), o)
	if wrong := wantLimit(err, hugepages.LimitHugePages, o.Size); wrong != nil {
		t.Error(wrong)
	} else if !strings.Contains(err.Error(), "/node1/") {
		t.Errorf("the error does not name the node: %v", err)
	}
	o.Binding = hugepages.OnNUMANode(0)
	use(t, alloc(t, o))
}

// Huge pages that others have reserved and not touched come from the other node
// when theirs are taken: nobody gets a SIGBUS.
func TestNUMAGuestReservedByOthers(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	for node := range 2 {
		directory := poolOfNode(node, hugepages.Huge2M)
		before := readPool(t, directory, "nr_hugepages")
		setPool(t, directory, before+4)
		t.Cleanup(func() { setPool(t, directory, before) })
	}
	other, err := linux.MapHuge(4<<21, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer linux.Unmap(other)
	r := alloc(t, hugepages.Options{Size: 4 << 21, Pages: only(hugepages.Huge2M), Binding: hugepages.OnNUMANode(1), Strict: true})
	if locality := r.Locality(); locality.ByNUMANode[1] != 4 {
		t.Errorf("%+v", locality)
	}
	for i := range other {
		other[i] = 1
	}
	free(t, r)
}

// A node without enough memory is refused before anything is touched.
func TestNUMAGuestExhausted(t *testing.T) {
	guest(t)
	before := freeMemory(t, 1)
	for _, p := range []hugepages.Pages{hugepages.Transparent, hugepages.Small} {
		o := hugepages.Options{Size: before + 64<<20, Pages: only(p), Binding: hugepages.OnNUMANode(1)}
		_, err := hugepages.Alloc(t.Context(), o)
		if wrong := wantLimit(err, hugepages.LimitNode, o.Size); wrong != nil {
			t.Error(wrong)
		} else if !strings.Contains(err.Error(), "/node1/") {
			t.Errorf("the error does not name the node: %v", err)
		}
	}
	if after := freeMemory(t, 1); before-min(before, after) > 16<<20 {
		t.Errorf("%d bytes of node 1 are gone", before-after)
	}
}

// What others take between Alloc and Populate: an error in strict mode, another
// node's pages otherwise. Nobody is killed, neither when threads find each other
// short of room nor when one thread goes on to the last page there is.
func TestNUMAGuestExhaustedLater(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	for _, threads := range []int{1, 4} {
		exhaustLater(t, threads)
	}
}

func exhaustLater(t *testing.T, threads int) {
	o := hugepages.Options{Size: 256 << 20, Pages: only(hugepages.Small), Binding: hugepages.OnNUMANode(1), Strict: true}.WithThreads(threads)
	strict := alloc(t, o)
	o.Strict = false
	lax := alloc(t, o)
	if n := freeMemory(t, 0); n < 2*o.Size {
		t.Fatalf("node 0 has %d bytes free: too few to help out", n)
	}
	// A pool takes memory without clearing it: sooner than a region does.
	taken := poolOfNode(1, hugepages.Huge2M)
	before := readPool(t, taken, "nr_hugepages")
	t.Cleanup(func() { setPool(t, taken, before) })
	setPool(t, taken, before+int((freeMemory(t, 1)-128<<20)>>21))

	err := strict.Populate(t.Context())
	var e *hugepages.PopulateError
	if !errors.As(err, &e) {
		t.Errorf("%d threads, strict: %v", threads, err)
	}
	if err := wantLimit(err, hugepages.LimitNode, 1); err != nil {
		t.Errorf("%d threads: %v", threads, err)
	}
	err = lax.Populate(t.Context())
	if locality := lax.Locality(); err != nil || locality.Wrong == 0 || locality.ByNUMANode[0] != locality.Wrong || locality.Unknown != 0 {
		t.Errorf("%d threads: %+v (%v)", threads, locality, err)
	}
	free(t, strict)
	free(t, lax)
	setPool(t, taken, before)
}

// The limits of version 2 cgroups, by the kernel that keeps them.
func TestNUMAGuestCgroups(t *testing.T) {
	guest(t)
	c := child(t, "cgroup", cgroupVariable+"="+memoryCgroup(t))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	pool(t, hugepages.Huge2M)
	directory := filepath.Join("/sys/fs/cgroup", fmt.Sprintf("sdr-hugetlb-%d", os.Getpid()))
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(directory)
	for _, limit := range []string{"hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"} {
		if err := os.WriteFile(filepath.Join(directory, limit), []byte(strconv.Itoa(4<<21)), 0); err != nil {
			t.Fatal(err)
		}
		c := child(t, "huge cgroup", cgroupVariable+"="+directory)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", limit, err, out)
		}
		if err := os.WriteFile(filepath.Join(directory, limit), []byte("max"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// A cpuset that has no memory of a node: strict mode says so at once.
func TestNUMAGuestCpuset(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	enlarged := poolOfNode(0, hugepages.Huge2M)
	before := readPool(t, enlarged, "nr_hugepages")
	setPool(t, enlarged, before+2)
	t.Cleanup(func() { setPool(t, enlarged, before) })
	directory := filepath.Join("/sys/fs/cgroup", fmt.Sprintf("sdr-cpuset-%d", os.Getpid()))
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(directory)
	if err := os.WriteFile(filepath.Join(directory, "cpuset.mems"), []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, "cpuset", cgroupVariable+"="+directory).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// inCpuset joins a cgroup that may have memory of node 0 only, and asks for both nodes'.
func inCpuset() error {
	if err := joinCgroup(); err != nil {
		return err
	}
	ctx := context.Background()
	for _, p := range []hugepages.Pages{hugepages.Huge2M, hugepages.Transparent, hugepages.Small} {
		o := hugepages.Options{Size: 2 << 21, Pages: only(p), Binding: hugepages.OnNUMANode(1), Strict: true}
		_, err := hugepages.Alloc(ctx, o)
		var refused *hugepages.BindError
		var none *hugepages.LimitError // node 1 has no huge pages either
		if !errors.As(err, &refused) && !(p == hugepages.Huge2M && errors.As(err, &none)) {
			return fmt.Errorf("%v, strictly on a node that is not allowed: %v", p, err)
		}
		o.Binding = hugepages.OnNUMANode(0)
		r, err := hugepages.Alloc(ctx, o)
		if err != nil {
			return err
		}
		if err := r.Populate(ctx); err != nil {
			return err
		}
		if locality := r.Locality(); locality.ByNUMANode[0] != locality.Pages {
			return fmt.Errorf("%v: %v", p, locality)
		}
		if err := r.Free(); err != nil {
			return err
		}
		if p == hugepages.Huge2M {
			continue
		}
		o.Binding, o.Strict = hugepages.OnNUMANode(1), false
		if r, err = hugepages.Alloc(ctx, o); err != nil {
			return err
		}
		if err := r.Populate(ctx); err != nil {
			return err
		}
		if locality := r.Locality(); locality.Wrong != locality.Pages || locality.ByNUMANode[0] != locality.Pages {
			return fmt.Errorf("%v, rather on a node that is not allowed: %v", p, locality)
		}
		if err := r.Free(); err != nil {
			return err
		}
	}
	return nil
}

// hugeTLBFS mounts one, and fills numa_0 and numa_1 with files of so many pages each, whose bytes
// are 0xA5.
func hugeTLBFS(t *testing.T, pages ...int) (dir string, files []hugepages.File) {
	t.Helper()
	pool(t, hugepages.Huge2M)
	sum := 0
	for _, n := range pages {
		sum += n
	}
	for node := range 2 {
		directory := poolOfNode(node, hugepages.Huge2M)
		before := readPool(t, directory, "nr_hugepages")
		setPool(t, directory, before+sum)
		t.Cleanup(func() { setPool(t, directory, before) })
	}
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "hugetlbfs", 0, "pagesize=2M"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for node := range 2 {
		sub := filepath.Join(dir, fmt.Sprintf("numa_%d", node))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, n := range pages {
			file := hugepages.File{Path: filepath.Join(sub, strconv.Itoa(i)), NUMANode: hugepages.OnNUMANode(node)}
			fillFile(t, file.Path, n<<21, node)
			files = append(files, file)
		}
	}
	return dir, files
}

func fillFile(t *testing.T, path string, size, node int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	mem, err := linux.MapFile(f, size)
	if err != nil {
		t.Fatal(err)
	}
	defer linux.Unmap(mem)
	if err := linux.SetPolicy(mem, linux.PolicyBind, node); err != nil {
		t.Fatal(err)
	}
	for i := range mem {
		mem[i] = 0xA5
	}
}

// paths are a region's files, below the mount.
func paths(dir string, files []hugepages.FileInfo) string {
	var all []string
	for _, f := range files {
		all = append(all, strings.TrimPrefix(f.Path, dir+"/"))
	}
	return strings.Join(all, " ")
}

// A region is made of whole files, those on its NUMA node first, and takes nothing from the
// pool. Nobody else can have them meanwhile, and they stay as long as they were.
func TestNUMAGuestFiles(t *testing.T) {
	guest(t)
	dir, files := hugeTLBFS(t, 2, 1)
	free0 := readPool(t, filepath.Join(pools, directoryOf(hugepages.Huge2M)), "free_hugepages")
	one := hugepages.OnNUMANode(1)
	o := hugepages.Options{Size: 3<<21 - 5, Binding: one, Strict: true}
	for _, checked := range []bool{false, true} {
		taken, err := hugepages.TakeFiles(t.Context(), files, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(dir, taken.Infos()); got != "numa_1/0 numa_1/1" {
			t.Errorf("took %s", got)
		}
		o := o.WithChecks(checked)
		o.Files = taken
		if err := hugepages.Check(o); err != nil {
			t.Error(err)
		}
		r := alloc(t, o)
		b := r.Backing()
		if got := paths(dir, b.Files); got != "numa_1/0 numa_1/1" || r.Pages() != hugepages.Huge2M || r.NotInFiles() != nil ||
			b.String() != "2 MiB pages, in 1 file of 4 MiB on NUMA node 1, 1 file of 2 MiB on NUMA node 1" {
			t.Errorf("checked %v: %s: %v", checked, got, b)
		}
		if l := r.Locality(); l.Local != 3 || l.ByNUMANode[1] != 3 {
			t.Errorf("%v", l)
		}
		if n := mapsSay(t, r, 1); n != 3<<21 {
			t.Errorf("numa_maps says %d bytes", n)
		}
		if !checked && (r.Bytes()[0] != 0xA5 || r.Bytes()[5<<20] != 0xA5) {
			t.Errorf("the bytes are %x and %x, want what the files had", r.Bytes()[0], r.Bytes()[5<<20])
		}
		use(t, r)
		if free := readPool(t, filepath.Join(pools, directoryOf(hugepages.Huge2M)), "free_hugepages"); free != free0 {
			t.Errorf("%d pages are free, were %d", free, free0)
		}
		// Another region of these files, or another taker, gets none: also when they are closed,
		// as long as they are mapped.
		other := o
		other.Pages, other.Strict = only(hugepages.Small), false
		if second := alloc(t, other); second.NotInFiles() == nil {
			t.Error("two regions share files")
		}
		for range 2 {
			none := (*hugepages.FilesError)(nil)
			if _, err := hugepages.TakeFiles(t.Context(), files, o); !errors.As(err, &none) || !none.InUse() || !errors.Is(none.Refused[0].Err, hugepages.ErrFileInUse) {
				t.Errorf("files in use: %v", err)
			}
			usable, refused := hugepages.LookAtFiles(files)
			if paths(dir, usable) != "numa_0/0 numa_0/1" || len(refused) != 2 {
				t.Errorf("usable %v, refused %v", usable, refused)
			}
			if err := taken.Close(); err != nil {
				t.Error(err)
			}
		}
		// What is left is on the other node.
		o.Files, o.Strict = nil, false
		elsewhere, err := hugepages.TakeFiles(t.Context(), files, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Files = elsewhere
		far := alloc(t, o)
		if l := far.Locality(); l.Wrong != 3 || l.ByNUMANode[0] != 3 {
			t.Errorf("%v", l)
		}
		if err := elsewhere.Close(); err != nil {
			t.Error(err)
		}
		free(t, far)
		free(t, r)
	}
	for _, f := range files {
		info, err := os.Stat(f.Path)
		if err != nil || linux.Allocated(info) != uint64(info.Size()) || info.Size() != map[string]int64{"0": 2 << 21, "1": 1 << 21}[filepath.Base(f.Path)] {
			t.Errorf("%s: %v, %v", f.Path, info, err)
		}
	}
}

// Which files are taken: the nearest, of these as few and as small as will do, never one without
// all its pages; and where a name is wrong, the kernel says so.
func TestNUMAGuestWhichFiles(t *testing.T) {
	guest(t)
	dir, files := hugeTLBFS(t, 4, 2, 2)
	for name, size := range map[string]int64{"empty": 0, "sparse": 1 << 21} {
		path := filepath.Join(dir, "numa_0", name)
		f, err := os.Create(path)
		if err == nil {
			err = errors.Join(f.Truncate(size), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, hugepages.File{Path: path, NUMANode: hugepages.OnNUMANode(0)})
	}
	zero, anywhere := hugepages.OnNUMANode(0), hugepages.Binding{}
	sized := func(pages uint64, node hugepages.Binding) hugepages.Options {
		return hugepages.Options{Size: pages << 21, Binding: node}
	}
	for _, c := range []struct {
		regions []hugepages.Options
		want    string
	}{
		{[]hugepages.Options{sized(1, zero)}, "numa_0/1"},
		{[]hugepages.Options{sized(3, zero)}, "numa_0/0"},
		{[]hugepages.Options{sized(5, zero)}, "numa_0/0 numa_0/1"},
		{[]hugepages.Options{sized(2, zero), sized(2, zero)}, "numa_0/1 numa_0/2"},
		{[]hugepages.Options{sized(8, zero), sized(1, zero)}, "numa_0/0 numa_0/1 numa_0/2 numa_1/1"},
		{[]hugepages.Options{sized(16, anywhere)}, "numa_0/0 numa_0/1 numa_0/2 numa_1/0 numa_1/1 numa_1/2"},
		{[]hugepages.Options{sized(17, anywhere)}, ""},
		{[]hugepages.Options{sized(16, anywhere), sized(1, anywhere)}, ""},
	} {
		taken, err := hugepages.TakeFiles(t.Context(), files, c.regions...)
		if got := paths(dir, taken.Infos()); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v: took %q, want %q (%v)", c.regions, got, c.want, err)
		}
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}
	strict := sized(9, zero)
	strict.Strict = true
	_, err := hugepages.TakeFiles(t.Context(), files, strict)
	for _, want := range []string{"18874368 bytes wanted in whole files, 16777216 to be had", "it has 0 bytes", "it has pages for 0 of its 2097152 bytes", "it is on NUMA node 1, want node 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}

	wrong := hugepages.Options{Size: 4 << 21, Binding: hugepages.OnNUMANode(1), Strict: true, Pages: only(hugepages.Small)}
	taken, err := hugepages.TakeFiles(t.Context(), []hugepages.File{{Path: files[0].Path, NUMANode: wrong.Binding}}, wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	wrong.Files = taken
	r := alloc(t, wrong)
	e := (*hugepages.LocalityError)(nil)
	if !errors.As(r.NotInFiles(), &e) || e.Locality.ByNUMANode[0] != 4 || r.Pages() != hugepages.Small {
		t.Errorf("%v, on %v", r.NotInFiles(), r.Pages())
	}
	// Too short: no region is made of thousands of files.
	taken, err = hugepages.TakeFiles(t.Context(), files, sized(3<<9, anywhere))
	if err == nil || !strings.Contains(err.Error(), "it has 4194304 bytes, want at least 12582912 for a region of 3221225472") {
		t.Errorf("%v, %v", taken, err)
	}
}

// However many take files at the same time, nobody has another's.
func TestNUMAGuestFilesTakenConcurrently(t *testing.T) {
	guest(t)
	_, files := hugeTLBFS(t, 1, 1, 1)
	for range 50 {
		var mu sync.Mutex
		owners := map[string]int{}
		var all []*hugepages.Files
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				taken, err := hugepages.TakeFiles(t.Context(), files, hugepages.Options{Size: 2 << 21})
				none := (*hugepages.FilesError)(nil)
				if err != nil && (!errors.As(err, &none) || !none.InUse()) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, taken)
				for _, f := range taken.Infos() {
					owners[f.Path]++
				}
			})
		}
		wg.Wait()
		for path, n := range owners {
			if n != 1 {
				t.Fatalf("%s was taken %d times", path, n)
			}
		}
		for _, taken := range all {
			if err := taken.Close(); err != nil {
				t.Error(err)
			}
		}
		if usable, refused := hugepages.LookAtFiles(files); len(usable) != len(files) {
			t.Fatalf("refused %v", refused)
		}
	}
}

// cpuOf is the first CPU of a node, if it has one.
func cpuOf(t *testing.T, node int) (cpu int, ok bool) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("%s/node%d/cpulist", nodes, node))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "-")
	cpu, err = strconv.Atoi(first)
	return cpu, err == nil
}

// onlineNodes are those of the guest, from 0 on.
func onlineNodes(t *testing.T) (all []int) {
	t.Helper()
	for n := 0; ; n++ {
		if _, err := os.Stat(fmt.Sprintf("%s/node%d", nodes, n)); err != nil {
			return all
		}
		all = append(all, n)
	}
}

// TestNUMAGuestAnyShapeAmong leaves out one node after another: none of its pages becomes a region's, bound
// elsewhere or nowhere, be it the node of the CPU that touches them, and whether by Populate or before.
func TestNUMAGuestAnyShapeAmong(t *testing.T) {
	guest(t)
	all := onlineNodes(t)
	for _, out := range all {
		among := slices.DeleteFunc(slices.Clone(all), func(n int) bool { return n == out })
		for _, binding := range []hugepages.Binding{{}, hugepages.OnNUMANode(among[len(among)-1])} {
			for _, p := range []hugepages.Pages{hugepages.Transparent, hugepages.Small} {
				o := hugepages.Options{Size: 24 << 20, Pages: only(p), Binding: binding, Among: among, Strict: true}
				lazy := alloc(t, o)
				if cpu, ok := cpuOf(t, out); ok {
					o = o.WithCPUs(cpu)
					onCPU(t, cpu, func() {
						for i := 0; i < len(lazy.Bytes()); i += linux.PageSize {
							lazy.Bytes()[i] = 1
						}
					})
				} else if err := lazy.Populate(t.Context()); err != nil {
					t.Error(err)
				}
				r := alloc(t, o)
				if err := r.Populate(t.Context()); err != nil {
					t.Errorf("without node %d, %v, %+v: %v", out, p, binding, err)
				}
				for how, r := range map[string]*hugepages.Region{"populated": r, "touched": lazy} {
					if l, err := r.Verify(t.Context()); err != nil || l.Local != l.Pages || l.ByNUMANode[out] != 0 {
						t.Errorf("without node %d, %v, %s, %+v: %v (%v)", out, p, how, binding, l, err)
					}
					if n := mapsSay(t, r, out); n != 0 {
						t.Errorf("without node %d, %v, %s, %+v: numa_maps says %d bytes there", out, p, how, binding, n)
					}
					free(t, r)
				}
			}
		}
	}
}

// TestNUMAGuestAnyShapeAmongExhausted: where the nodes that memory may be on have no room, that is an error, as soon as it
// is known, and what others have is not touched.
func TestNUMAGuestAnyShapeAmongExhausted(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	all := onlineNodes(t)
	out := all[len(all)-1]
	among := all[:len(all)-1]
	o := hugepages.Options{Size: uint64(len(among))*(128<<20) + 64<<20, Pages: only(hugepages.Small), Among: among}
	bound := o
	bound.Binding = hugepages.OnNUMANode(among[0])
	before := freeMemory(t, out)
	if before < o.Size+64<<20 {
		t.Fatalf("node %d has %d bytes free: too few to show that none are taken", out, before)
	}
	regions := []*hugepages.Region{alloc(t, o), alloc(t, bound)}
	for _, node := range among {
		taken := poolOfNode(node, hugepages.Huge2M)
		was := readPool(t, taken, "nr_hugepages")
		t.Cleanup(func() { setPool(t, taken, was) })
		free := freeMemory(t, node)
		setPool(t, taken, was+int((free-min(free, 128<<20))>>21))
	}
	_, err := hugepages.Alloc(t.Context(), o)
	if err := wantLimit(err, hugepages.LimitMemory, o.Size); err != nil {
		t.Error(err)
	}
	for _, r := range regions {
		err := r.Populate(t.Context())
		if err := wantLimit(err, hugepages.LimitMemory, 1); err != nil {
			t.Error(err)
		}
		if n := mapsSay(t, r, out); n != 0 {
			t.Errorf("numa_maps says %d bytes on node %d", n, out)
		}
		free(t, r)
	}
}

// onCPU does something on a thread bound to a CPU.
func onCPU(t *testing.T, cpu int, do func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		err := linux.SetAffinity(0, []int{cpu})
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
