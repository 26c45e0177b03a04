package linux_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sdr-engine/sdr/internal/linux"
)

func mapped(t *testing.T, mem []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := linux.Unmap(mem); err != nil {
			t.Error(err)
		}
	})
	return mem
}

// faults reports whether reading a byte is a memory fault.
func faults(b *byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	_ = *(*byte)(unsafe.Pointer(b))
	runtime.KeepAlive(*b)
	return false
}

func TestHide(t *testing.T) {
	mem, err := linux.MapHidden(4 * linux.PageSize)
	mem = mapped(t, mem, err)
	page := func(i int) []byte { return mem[i*linux.PageSize:][:linux.PageSize] }
	if !faults(&page(1)[0]) {
		t.Error("hidden memory can be read")
	}
	if err := linux.Show(mem[linux.PageSize : 3*linux.PageSize]); err != nil {
		t.Fatal(err)
	}
	page(1)[0], page(2)[0] = 1, 2
	if !faults(&page(0)[linux.PageSize-1]) || !faults(&page(3)[0]) {
		t.Error("the pages beside what is shown can be read")
	}
	if err := linux.Hide(page(2)); err != nil {
		t.Fatal(err)
	}
	if !faults(&page(2)[0]) || page(1)[0] != 1 {
		t.Error("hiding one page")
	}
	if err := linux.Show(page(2)); err != nil || page(2)[0] != 2 {
		t.Errorf("shown again, the page has lost its bytes (%v)", err)
	}
	if err := linux.Retire(mem); err != nil {
		t.Fatal(err)
	}
	if !faults(&page(1)[0]) {
		t.Error("retired memory can be read")
	}
	if err := linux.Show(mem); err != nil || page(1)[0] != 0 {
		t.Errorf("retired pages still have their bytes (%v)", err)
	}
}

func TestUnmapParts(t *testing.T) {
	mem, err := linux.Map(3 * linux.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{mem[linux.PageSize : 2*linux.PageSize], mem[:linux.PageSize], mem[2*linux.PageSize:], nil} {
		if err := linux.Unmap(part); err != nil {
			t.Error(err)
		}
	}
	if !faults(&mem[0]) || !faults(&mem[len(mem)-1]) {
		t.Error("unmapped memory can be read")
	}
}

func TestMove(t *testing.T) {
	to, err := linux.MapHidden(2 * linux.PageSize)
	to = mapped(t, to, err)
	from, err := linux.Map(2 * linux.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	from[0], from[len(from)-1] = 1, 2
	if err := linux.Move(from, to[:linux.PageSize]); err == nil {
		t.Error("two pages moved to one")
	}
	if err := linux.Move(from, to); err != nil {
		t.Fatal(err)
	}
	if to[0] != 1 || to[len(to)-1] != 2 || !faults(&from[0]) {
		t.Error("the bytes have not moved")
	}
}

func TestMapFile(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "file"), make([]byte, 2*linux.PageSize))
	mem, err := linux.MapFile(f, 2*linux.PageSize)
	mem = mapped(t, mem, err)
	mem[linux.PageSize] = 7
	got := make([]byte, 1)
	if _, err := f.ReadAt(got, int64(linux.PageSize)); err != nil || got[0] != 7 {
		t.Errorf("the file has %d (%v)", got, err)
	}
}

// A pool without pages refuses at once, instead of when the memory is touched.
func TestMapHuge(t *testing.T) {
	for _, page := range []uint64{2 << 20, 1 << 30} {
		mem, err := linux.MapHuge(1<<50, page)
		if err == nil {
			t.Errorf("%d bytes of huge pages", len(mem))
		}
	}
}

// TestNodes: the kernel puts memory on the node that it is told to, and says so.
// Node 0 is on every machine.
func TestNodes(t *testing.T) {
	mem, err := linux.Map(8 * linux.PageSize)
	mem = mapped(t, mem, err)
	for _, policy := range []int{linux.PolicyPrefer, linux.PolicyBind} {
		if err := linux.SetPolicy(mem, policy, 0); errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skipf("this container may not place memory: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		for _, node := range []int{-1, 1 << 20, 1023} {
			if err := linux.SetPolicy(mem, policy, node); err == nil {
				t.Errorf("memory on NUMA node %d", node)
			}
		}
	}
	if err := linux.SetPolicy(mem, linux.PolicyBind, 0, 0); err != nil {
		t.Error(err)
	}
	if err := linux.SetPolicy(mem, linux.PolicyBind); err == nil {
		t.Error("memory on no node at all")
	}
	if err := linux.SetHome(mem, 0); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	addresses := make([]uintptr, 8)
	for i := range addresses {
		addresses[i] = uintptr(unsafe.Pointer(&mem[i*linux.PageSize]))
		if i != 3 {
			mem[i*linux.PageSize] = 1
		}
	}
	nodes := slices.Repeat([]int32{99}, 8)
	err = linux.PageNUMANodes(addresses, nodes)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if want := []int32{0, 0, 0, linux.NUMANodeUnknown, 0, 0, 0, 0}; err != nil || !slices.Equal(nodes, want) {
		t.Errorf("pages are on %v, want %v (%v)", nodes, want, err)
	}
	if err := linux.PageNUMANodes(addresses, nodes[:1]); err == nil {
		t.Error("eight pages, one node")
	}
	if err := linux.PageNUMANodes(nil, nil); err != nil {
		t.Error(err)
	}
	if err := linux.SetPolicy(mem, linux.PolicyDefault); err != nil {
		t.Error(err)
	}
}

func TestPopulate(t *testing.T) {
	mem, err := linux.Map(64 * linux.PageSize)
	mem = mapped(t, mem, err)
	mem[5] = 5
	if err := linux.Populate(mem); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	resident := make([]byte, 64)
	if err := mincore(mem, resident); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(resident, []byte{1}); n != 64 || mem[5] != 5 {
		t.Errorf("%d of 64 pages are there, byte 5 is %d", n, mem[5])
	}
	if err := linux.Hide(mem); err != nil {
		t.Fatal(err)
	}
	if err := linux.Populate(mem); err == nil {
		t.Error("unreadable memory is populated")
	}
}

func mincore(mem, resident []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&resident[0])))
	if errno != 0 {
		return errno
	}
	return nil
}

func TestMemoryLimits(t *testing.T) {
	addressSpace, data, err := linux.MemoryLimits()
	if err != nil || addressSpace == 0 || data == 0 {
		t.Errorf("%d, %d (%v)", addressSpace, data, err)
	}
}

func TestHugeTLBFSPage(t *testing.T) {
	if _, err := linux.HugeTLBFSPage(t.TempDir()); !errors.Is(err, linux.ErrNotHugeTLBFS) {
		t.Errorf("an ordinary directory: %v", err)
	}
	if _, err := linux.HugeTLBFSPage(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "hugetlbfs", 0, "pagesize=2M"); err != nil {
		t.Skipf("mounting a hugetlbfs: %v", err)
	}
	defer unix.Unmount(dir, 0)
	if page, err := linux.HugeTLBFSPage(dir); page != 2<<20 || err != nil {
		t.Errorf("pages of %d bytes (%v)", page, err)
	}
}
