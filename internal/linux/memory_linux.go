package linux

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const readWrite = unix.PROT_READ | unix.PROT_WRITE

func mapMemory(fd, size, protection, flags int) ([]byte, error) {
	p, err := unix.MmapPtr(fd, 0, nil, uintptr(size), protection, flags)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), size), nil
}

func start(mem []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(mem)) }

// Map returns size bytes of zeroed memory outside the Go heap, page-aligned.
func Map(size int) ([]byte, error) {
	return mapMemory(-1, size, readWrite, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// MapHidden is Map, but the memory is unreadable until it is shown.
func MapHidden(size int) ([]byte, error) {
	return mapMemory(-1, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// MapHuge is Map on pages from the kernel's pool, page bytes each, of which
// size is a multiple. They are reserved: touching them does not fail for want of pages.
func MapHuge(size int, page uint64) ([]byte, error) {
	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB | bits.TrailingZeros64(page)<<unix.MAP_HUGE_SHIFT
	return mapMemory(-1, size, readWrite, flags)
}

// MapFile maps the first size bytes of f, for reading and writing, shared.
func MapFile(f *os.File, size int) ([]byte, error) {
	return mapMemory(int(f.Fd()), size, readWrite, unix.MAP_SHARED)
}

// MapPart maps size bytes of f from off on, a multiple of PageSize, for reading, shared: they are
// what the file has, whenever one looks. Pages past the file's end, or that the disk does not
// yield, are a memory fault.
func MapPart(f *os.File, off int64, size int) ([]byte, error) {
	at, err := unix.MmapPtr(int(f.Fd()), off, nil, uintptr(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, unsupported(err)
	}
	return unsafe.Slice((*byte)(at), size), nil
}

// MapFileAt maps the first len(at) bytes of f at the addresses of at, which loses its own pages,
// for reading and writing, shared. Address and length are multiples of the file's pages.
func MapFileAt(f *os.File, at []byte) error {
	_, err := unix.MmapPtr(int(f.Fd()), 0, start(at), uintptr(len(at)), readWrite, unix.MAP_SHARED|unix.MAP_FIXED)
	return err
}

// Unmap gives back whole pages of what Map and its like returned; mem may not
// be touched any more. Without bytes it does nothing.
func Unmap(mem []byte) error {
	if len(mem) == 0 {
		return nil
	}
	return unix.MunmapPtr(start(mem), uintptr(len(mem)))
}

// Move puts the pages of mem at the addresses of to, which is as long and loses its own.
func Move(mem, to []byte) error {
	if len(mem) != len(to) {
		return unix.EINVAL
	}
	_, err := unix.MremapPtr(start(mem), uintptr(len(mem)), start(to), uintptr(len(to)), unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	return unsupported(err)
}

// Hide makes whole pages unreadable until they are shown.
func Hide(mem []byte) error { return unix.Mprotect(mem, unix.PROT_NONE) }

// Show makes whole pages readable and writable.
func Show(mem []byte) error { return unix.Mprotect(mem, readWrite) }

// Retire gives back whole pages, but keeps their addresses, unreadable.
func Retire(mem []byte) error {
	_, err := unix.MmapPtr(-1, 0, start(mem), uintptr(len(mem)), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err
}

// AdviseHuge asks for transparent huge pages behind mem.
func AdviseHuge(mem []byte) error { return unix.Madvise(mem, unix.MADV_HUGEPAGE) }

// AdviseSmall asks for no transparent huge pages behind mem.
func AdviseSmall(mem []byte) error { return unix.Madvise(mem, unix.MADV_NOHUGEPAGE) }

// Populate takes the pages behind mem from the machine, without changing what
// others may be writing there.
func Populate(mem []byte) error {
	return unsupported(retry(func() error { return unix.Madvise(mem, unix.MADV_POPULATE_WRITE) }))
}

// PopulateRead brings the pages of mem, which begins with one, within reach, from the disk if need
// be: one call in place of many faults. What would be a memory fault is an error.
func PopulateRead(mem []byte) error {
	return unsupported(retry(func() error { return unix.Madvise(mem, unix.MADV_POPULATE_READ) }))
}

// How the kernel chooses the NUMA node of pages that are yet to come.
const (
	PolicyDefault = unix.MPOL_DEFAULT
	PolicyPrefer  = unix.MPOL_PREFERRED // a node, or another if it has no room
	PolicyBind    = unix.MPOL_BIND      // one of some nodes, the nearest first, or the process is killed
)

// SetPolicy sets the policy for whole pages. PolicyDefault has no nodes, PolicyPrefer one.
func SetPolicy(mem []byte, policy int, nodes ...int) error {
	var mask []uint64
	for _, node := range nodes {
		if node < 0 || node >= 1<<16 {
			return unix.EINVAL
		}
		if more := node/64 + 1 - len(mask); more > 0 {
			mask = append(mask, make([]uint64, more)...)
		}
		mask[node/64] |= 1 << (node % 64)
	}
	// The kernel takes one from the number of bits.
	_, _, errno := unix.Syscall6(unix.SYS_MBIND, uintptr(start(mem)), uintptr(len(mem)), uintptr(policy),
		uintptr(unsafe.Pointer(unsafe.SliceData(mask))), uintptr(64*len(mask)+1), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// SetHome says which node the others of a policy are near to, for whole pages with PolicyBind, whatever thread
// touches them first. Kernels before 5.17 have no such call.
func SetHome(mem []byte, node int) error {
	_, _, errno := unix.Syscall6(unix.SYS_SET_MEMPOLICY_HOME_NODE, uintptr(start(mem)), uintptr(len(mem)), uintptr(node), 0, 0, 0)
	if errno != 0 {
		return unsupported(errno)
	}
	return nil
}

// NUMANodeUnknown stands for the NUMA node of a page that is not there yet.
const NUMANodeUnknown = -1

// PageNUMANodes writes to nodes on which NUMA node the page at each of the addresses is.
func PageNUMANodes(addresses []uintptr, nodes []int32) error {
	if len(addresses) == 0 {
		return nil
	}
	if len(nodes) != len(addresses) {
		return unix.EINVAL
	}
	_, _, errno := unix.Syscall6(unix.SYS_MOVE_PAGES, 0, uintptr(len(addresses)),
		uintptr(unsafe.Pointer(unsafe.SliceData(addresses))), 0, uintptr(unsafe.Pointer(unsafe.SliceData(nodes))), 0)
	switch errno {
	case 0:
		for i, n := range nodes {
			nodes[i] = max(n, NUMANodeUnknown) // less than 0 is an error number
		}
		return nil
	case unix.EPERM, unix.ENOSYS:
		// Containers may refuse one and allow the other.
		if err := pageNodesByPolicy(addresses, nodes); err == nil {
			return nil
		}
	}
	return unsupported(errno)
}

func pageNodesByPolicy(addresses []uintptr, nodes []int32) error {
	for i, a := range addresses {
		_, _, errno := unix.Syscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&nodes[i])), 0, 0, a, unix.MPOL_F_NODE|unix.MPOL_F_ADDR, 0)
		if errno != 0 {
			return errno
		}
	}
	return nil
}

// HugeBytes is how much of mem, whole pages, lies on huge pages: transparent ones that the
// processor maps as such, or of hugetlbfs. It looks at the page tables of mem alone, which
// takes a millisecond or so for each GiB of small pages. Kernels before 6.7 have no such call.
func HugeBytes(mem []byte) (n uint64, err error) {
	if len(mem) == 0 {
		return 0, nil
	}
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const pagemapScan, pageIsHuge = 0xc060_6610, 1 << 6 // PAGEMAP_SCAN, PAGE_IS_HUGE
	type region struct{ start, end, categories uint64 }
	found := new([64]region)
	var pinner runtime.Pinner // the kernel gets its address as a number
	pinner.Pin(found)
	defer pinner.Unpin()
	first := uint64(uintptr(start(mem)))
	scan := struct{ size, flags, start, end, walkEnd, found, length, maxPages, inverted, mask, any, want uint64 }{
		start: first, end: first + uint64(len(mem)), length: uint64(len(found)), mask: pageIsHuge, want: pageIsHuge,
	}
	scan.size = uint64(unsafe.Sizeof(scan))
	for scan.start < scan.end {
		scan.found = uint64(uintptr(unsafe.Pointer(&found[0])))
		got, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&scan)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, unsupported(errno)
		}
		for _, r := range found[:min(int(got), len(found))] {
			n += r.end - r.start
		}
		if scan.walkEnd <= scan.start {
			break // cannot be
		}
		scan.start = scan.walkEnd
	}
	return n, nil
}

// Unlimited is a limit that is none.
const Unlimited = ^uint64(0)

// MemoryLimits returns in bytes how large the process's address space and its
// writable private memory may become.
func MemoryLimits() (addressSpace, data uint64, err error) {
	var as, d unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &as); err != nil {
		return 0, 0, err
	}
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &d); err != nil {
		return 0, 0, err
	}
	return as.Cur, d.Cur, nil
}

// ErrNotHugeTLBFS says that a directory is on another kind of file system.
var ErrNotHugeTLBFS = errors.New("not on a hugetlbfs")

// HugeTLBFSPage is the size in bytes of the pages of the hugetlbfs that dir is
// on. The error wraps ErrNotHugeTLBFS if that is another file system.
func HugeTLBFSPage(dir string) (uint64, error) {
	return hugeTLBFSPage(func(fs *unix.Statfs_t) error { return unix.Statfs(dir, fs) })
}

// HugeTLBFSPageOf is HugeTLBFSPage of a file that is open.
func HugeTLBFSPageOf(f *os.File) (uint64, error) {
	return hugeTLBFSPage(func(fs *unix.Statfs_t) error { return unix.Fstatfs(int(f.Fd()), fs) })
}

func hugeTLBFSPage(stat func(*unix.Statfs_t) error) (uint64, error) {
	var fs unix.Statfs_t
	if err := retry(func() error { return stat(&fs) }); err != nil {
		return 0, err
	}
	if uint64(fs.Type)&0xffffffff != unix.HUGETLBFS_MAGIC {
		return 0, fmt.Errorf("%w but on a file system of type %#x", ErrNotHugeTLBFS, uint32(fs.Type))
	}
	return uint64(fs.Bsize), nil
}
