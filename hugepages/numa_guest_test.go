//go:build linux

package hugepages_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
