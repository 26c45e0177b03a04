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
			o := hugepages.Options{Size: 24 << 20, Pages: only(p), Node: hugepages.OnNode(node), Strict: true}
			r := alloc(t, o)
			if err := r.Populate(t.Context()); err != nil {
				t.Errorf("node %d, %v: %v", node, p, err)
			}
			place := r.Placement()
			if place.Local != place.Pages || place.Checked != place.Pages || place.ByNode[node] != place.Pages {
				t.Errorf("node %d, %v: %+v", node, p, place)
			}
			if n := mapsSay(t, r, node); n != o.Size {
				t.Errorf("node %d, %v: numa_maps says %d of %d bytes", node, p, n, o.Size)
			}
			// Touched without Populate, pages are rather there, too.
			lazy := alloc(t, o)
			for i := 0; i < len(lazy.Bytes()); i += linux.PageSize {
				lazy.Bytes()[i] = 1
			}
			if place, err := lazy.Verify(t.Context()); err != nil {
				t.Errorf("node %d, %v, touched: %v (%v)", node, p, place, err)
			}
		}
	}
}

// Pages that are elsewhere when Populate comes are found.
func TestNUMAGuestWrongNode(t *testing.T) {
	guest(t)
	for _, strict := range []bool{true, false} {
		r := alloc(t, hugepages.Options{Size: 8 << 20, Pages: only(hugepages.Small), Node: hugepages.OnNode(0), Strict: strict})
		half := r.Bytes()[:4<<20]
		if err := linux.SetPolicy(half, linux.PolicyBind, 1); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(half); i += linux.PageSize {
			half[i] = 1
		}
		err := r.Populate(t.Context())
		place := r.Placement()
		if place.Wrong != place.Pages/2 || place.Local != place.Pages/2 || place.LocalShare() != 0.5 || place.ByNode[1] != place.Wrong {
			t.Errorf("strict %v: %+v", strict, place)
		}
		var wrong *hugepages.PlacementError
		if errors.As(err, &wrong) != strict || strict && wrong.Placement.Wrong != place.Wrong {
			t.Errorf("strict %v: %v", strict, err)
		}
		if strict && !strings.Contains(err.Error(), "NUMA node 0") {
			t.Error(err)
		}
	}
}

func TestNUMAGuestRaise(t *testing.T) {
	guest(t)
	folder := func(node int) string {
		return filepath.Join(fmt.Sprintf("%s/node%d/hugepages", nodes, node), folderOf(hugepages.Huge2M))
	}
	pool(t, hugepages.Huge2M)
	before := [2]int{readPool(t, folder(0), "nr_hugepages"), readPool(t, folder(1), "nr_hugepages")}
	o := hugepages.Options{Size: 6 << 21, Pages: only(hugepages.Huge2M), Node: hugepages.OnNode(1), Raise: true, Strict: true}
	r := alloc(t, o)
	use(t, r)
	if place := r.Placement(); place.Local != 6 || place.ByNode[1] != 6 {
		t.Errorf("%+v", place)
	}
	if n := mapsSay(t, r, 1); n != o.Size {
		t.Errorf("numa_maps says %d of %d bytes", n, o.Size)
	}
	if now := readPool(t, folder(1), "nr_hugepages"); now != before[1]+6 {
		t.Errorf("node 1 has %d pages, had %d", now, before[1])
	}
	if now := readPool(t, folder(0), "nr_hugepages"); now != before[0] {
		t.Errorf("node 0 has %d pages, had %d", now, before[0])
	}
	free(t, r)
	if now := readPool(t, folder(1), "nr_hugepages"); now != before[1] {
		t.Errorf("node 1 has %d pages left, had %d", now, before[1])
	}
}

// The guest is booted with one page of 1 GiB, on node 1.
func TestNUMAGuestGigantic(t *testing.T) {
	guest(t)
	folder := filepath.Join(nodes, "node1/hugepages", folderOf(hugepages.Huge1G))
	if total, free := readPool(t, folder, "nr_hugepages"), readPool(t, folder, "free_hugepages"); total != 1 || free != 1 {
		t.Fatalf("node 1 has %d pages of 1 GiB, %d free, want 1", total, free)
	}
	o := hugepages.Options{Size: 1<<30 - 1<<20, Node: hugepages.OnNode(1), Strict: true}
	r := alloc(t, o)
	if err := r.Populate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if place := r.Placement(); r.Pages() != hugepages.Huge1G || place.Local != 1 || place.ByNode[1] != 1 {
		t.Errorf("%v: %+v", r.Pages(), place)
	}
	if n := mapsSay(t, r, 1); n != 1<<30 {
		t.Errorf("numa_maps says %d bytes", n)
	}
	if free := readPool(t, folder, "free_hugepages"); free != 0 {
		t.Errorf("the page is used, and the pool has %d free", free)
	}
	// The next one gets the next smaller kind, or, if it wants this one, an error.
	second := alloc(t, hugepages.Options{Size: 8 << 20, Node: o.Node, Pages: []hugepages.Pages{hugepages.Huge1G, hugepages.Small}})
	if second.Pages() != hugepages.Small {
		t.Errorf("a second region is on %v", second.Pages())
	}
	free(t, second)
	o.Pages = only(hugepages.Huge1G)
	_, err := hugepages.Alloc(t.Context(), o)
	if wrong := wantLimit(err, hugepages.LimitHugePages, 1<<30); wrong != nil {
		t.Error(wrong)
	}
	free(t, r)
	if free := readPool(t, folder, "free_hugepages"); free != 1 {
		t.Errorf("the region is freed, and the pool has %d free, want 1", free)
	}
}

// Huge pages that are free on the other node only are none.
func TestNUMAGuestPoolOfOtherNode(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	other := filepath.Join(nodes, "node0/hugepages", folderOf(hugepages.Huge2M))
	before := readPool(t, other, "nr_hugepages")
	setPool(t, other, before+4)
	defer setPool(t, other, before)
	o := hugepages.Options{Size: 4 << 21, Pages: only(hugepages.Huge2M), Node: hugepages.OnNode(1)}
	_, err := hugepages.Alloc(t.Context(), o)
	if wrong := wantLimit(err, hugepages.LimitHugePages, o.Size); wrong != nil {
		t.Error(wrong)
	} else if !strings.Contains(err.Error(), "/node1/") {
		t.Errorf("the error does not name the node: %v", err)
	}
	o.Node = hugepages.OnNode(0)
	use(t, alloc(t, o))
}

// Huge pages that others have reserved and not touched come from the other node
// when theirs are taken: nobody gets a SIGBUS.
func TestNUMAGuestReservedByOthers(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	for node := range 2 {
		folder := filepath.Join(fmt.Sprintf("%s/node%d/hugepages", nodes, node), folderOf(hugepages.Huge2M))
		before := readPool(t, folder, "nr_hugepages")
		setPool(t, folder, before+4)
		defer setPool(t, folder, before)
	}
	other, err := linux.MapHuge(4<<21, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer linux.Unmap(other)
	r := alloc(t, hugepages.Options{Size: 4 << 21, Pages: only(hugepages.Huge2M), Node: hugepages.OnNode(1), Strict: true})
	if place := r.Placement(); place.ByNode[1] != 4 {
		t.Errorf("%+v", place)
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
		o := hugepages.Options{Size: before + 64<<20, Pages: only(p), Node: hugepages.OnNode(1)}
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
// node's pages otherwise. Nobody is killed.
func TestNUMAGuestExhaustedLater(t *testing.T) {
	guest(t)
	// Small pages are slow to touch in the guest: nearly all of the node goes to
	// the kernel's pool of huge pages, which nobody touches.
	pool(t, hugepages.Huge2M)
	folder := filepath.Join(nodes, "node1/hugepages", folderOf(hugepages.Huge2M))
	before := readPool(t, folder, "nr_hugepages")
	defer setPool(t, folder, before)
	setPool(t, folder, before+int((freeMemory(t, 1)-min(256<<20, freeMemory(t, 1)))>>21))
	for _, strict := range []bool{true, false} {
		o := hugepages.Options{Size: freeMemory(t, 1) / 3 * 2, Pages: only(hugepages.Small), Node: hugepages.OnNode(1), Strict: strict}
		if freeMemory(t, 0) < o.Size {
			t.Fatalf("node 0 has %d bytes free: too few to help out with %d", freeMemory(t, 0), o.Size)
		}
		r := alloc(t, o)
		o.Strict = true
		thief := alloc(t, o)
		if err := thief.Populate(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := r.Populate(t.Context())
		place := r.Placement()
		if strict {
			var e *hugepages.PopulateError
			if !errors.As(err, &e) {
				t.Errorf("strict: %v", err)
			}
			if err := wantLimit(err, hugepages.LimitNode, 1); err != nil {
				t.Error(err)
			}
		} else if err != nil || place.Wrong == 0 || place.Local == 0 || place.Unknown != 0 {
			t.Errorf("%+v (%v)", place, err)
		}
		free(t, r)
		free(t, thief)
	}
}

// guestCgroup makes a cgroup with these settings, for the time of the test.
func guestCgroup(t *testing.T, settings map[string]string) (folder string) {
	t.Helper()
	folder = "/sys/fs/cgroup/hugepages"
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(folder); err != nil {
			t.Error(err)
		}
	})
	for name, text := range settings {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// The limits of cgroups are errors of Alloc, and nobody gets a SIGBUS or is
// killed.
func TestNUMAGuestCgroups(t *testing.T) {
	guest(t)
	pool(t, hugepages.Huge2M)
	for name, c := range map[string]struct {
		child    string
		settings map[string]string
	}{
		"memory":              {"cgroup", map[string]string{"memory.max": strconv.Itoa(cgroupLimit)}},
		"huge pages":          {"hugetlb cgroup", map[string]string{"hugetlb.2MB.max": strconv.Itoa(hugeCgroupLimit)}},
		"huge pages reserved": {"hugetlb cgroup", map[string]string{"hugetlb.2MB.rsvd.max": strconv.Itoa(hugeCgroupLimit)}},
		"memory nodes":        {"cpuset cgroup", map[string]string{"cpuset.mems": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(pools, folderOf(hugepages.Huge2M))
			before := readPool(t, folder, "nr_hugepages")
			setPool(t, folder, before+8)
			defer setPool(t, folder, before)
			if out, err := child(t, c.child, cgroupVariable+"="+guestCgroup(t, c.settings)).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func join() error {
	return os.WriteFile(filepath.Join(os.Getenv(cgroupVariable), "cgroup.procs"), []byte("0"), 0)
}

const hugeCgroupLimit = 4 << 20

// inHugeCgroup joins a cgroup that may have hugeCgroupLimit bytes of huge pages,
// fewer than there are.
func inHugeCgroup() error {
	if err := join(); err != nil {
		return err
	}
	ctx := context.Background()
	o := hugepages.Options{Size: 2 * hugeCgroupLimit, Pages: only(hugepages.Huge2M)}
	_, err := hugepages.Alloc(ctx, o)
	if err := wantLimit(err, hugepages.LimitHugeCgroup, o.Size); err != nil {
		return err
	}
	o.Size = hugeCgroupLimit
	r, err := hugepages.Alloc(ctx, o)
	if err != nil {
		return err
	}
	for i := range r.Bytes() {
		r.Bytes()[i] = 1
	}
	return errors.Join(r.Populate(ctx), r.Free())
}

// inCpuset joins a cgroup that may have the memory of node 0.
func inCpuset() error {
	if err := join(); err != nil {
		return err
	}
	ctx := context.Background()
	for _, p := range []hugepages.Pages{hugepages.Huge2M, hugepages.Transparent, hugepages.Small} {
		o := hugepages.Options{Size: 4 << 20, Pages: only(p), Node: hugepages.OnNode(1), Strict: true}
		var bind *hugepages.BindError
		if _, err := hugepages.Alloc(ctx, o); !errors.As(err, &bind) {
			return fmt.Errorf("%v, strictly on a node that is not allowed: %v", p, err)
		}
		o.Strict = false
		for _, node := range []int{0, 1} {
			o.Node = hugepages.OnNode(node)
			r, err := hugepages.Alloc(ctx, o)
			if err != nil {
				return err
			}
			if err := r.Populate(ctx); err != nil {
				return err
			}
			for i := range r.Bytes() {
				r.Bytes()[i] = 1
			}
			if place := r.Placement(); place.ByNode[0] != place.Pages {
				return fmt.Errorf("%v, rather on node %d: %v", p, node, place)
			}
			if err := r.Free(); err != nil {
				return err
			}
		}
	}
	return nil
}
