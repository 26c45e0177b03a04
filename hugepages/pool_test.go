//go:build linux

package hugepages_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/testkit"
)

const pools = "/sys/kernel/mm/hugepages"

func directoryOf(p hugepages.Pages) string { return fmt.Sprintf("hugepages-%dkB", p.Size()>>10) }

// readPool reads one number of a pool, or skips the test.
func readPool(t *testing.T, directory, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Skipf("no pool of huge pages: %v", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pool keeps other tests, of other processes too, from the machine's pools, and
// looks in the end whether this one's is as it was.
func pool(t *testing.T, p hugepages.Pages) (directory string) {
	t.Helper()
	directory = filepath.Join(pools, directoryOf(p))
	f, err := os.OpenFile(filepath.Join(directory, "nr_hugepages"), os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("the pool of %v cannot be enlarged: %v", p, err)
	}
	f.Close()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "sdr-hugepages-test.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Skip(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Skip(err)
	}
	names := []string{"nr_hugepages", "free_hugepages", "surplus_hugepages", "resv_hugepages"}
	state := func() (s [4]int) {
		for i, name := range names {
			s[i] = readPool(t, directory, name)
		}
		return s
	}
	before := state()
	t.Cleanup(func() {
		if after := state(); after != before {
			t.Errorf("the pool of %v: %v was %d, is %d", p, names, before, after)
		}
		lock.Close()
	})
	return directory
}

// setPool enlarges or restores a pool, as an administrator would. The kernel
// breaks off for a signal, which the Go runtime may send.
func setPool(t *testing.T, directory string, pages int) {
	t.Helper()
	for range 10 {
		if err := os.WriteFile(filepath.Join(directory, "nr_hugepages"), []byte(strconv.Itoa(pages)), 0); err != nil {
			t.Fatal(err)
		}
		if readPool(t, directory, "nr_hugepages") == pages {
			return
		}
	}
	t.Fatalf("%s has %d pages, want %d", directory, readPool(t, directory, "nr_hugepages"), pages)
}

func only(p hugepages.Pages) []hugepages.Pages { return []hugepages.Pages{p} }

// use populates a region, writes all of it and reads it back.
func use(t *testing.T, r *hugepages.Region) {
	t.Helper()
	if err := r.Populate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := r.Bytes()
	for i := range b {
		b[i] = byte(i >> 8)
	}
	if n := bytes.Count(b[256:512], []byte{1}); n != 256 {
		t.Errorf("%d of 256 bytes are as they were written", n)
	}
}

func TestRaise(t *testing.T) {
	for _, p := range []hugepages.Pages{hugepages.Huge2M, hugepages.Huge1G} {
		for _, node := range []hugepages.Binding{{}, hugepages.OnNUMANode(0)} {
			for _, checked := range []bool{false, true} {
				if checked && (p == hugepages.Huge1G || hugepages.RaceEnabled) {
					continue // a GiB of poison; no huge pages of the heap
				}
				_, bound := node.Number()
				t.Run(fmt.Sprintf("%v bound %v checked %v", p, bound, checked), func(t *testing.T) {
					if p == hugepages.Huge1G && !testkit.Long() {
						t.Skip("seconds to clear a GiB: set SDR_LONG_TESTS=1")
					}
					directory := pool(t, p)
					before := readPool(t, directory, "nr_hugepages")
					o := hugepages.Options{Size: 2*p.Size() - 5, Pages: only(p), Binding: node, Raise: true, Strict: true}.WithChecks(checked)
					if p == hugepages.Huge1G {
						o.Size = 1 << 30
					}
					r, err := hugepages.Alloc(t.Context(), o)
					if p == hugepages.Huge1G && wantLimit(err, hugepages.LimitHugePages, 0) == nil {
						t.Skip(err)
					}
					if err != nil {
						t.Fatal(err)
					}
					defer free(t, r)
					if r.Pages() != p || uint64(len(r.Bytes())) != o.Size || uint64(start(r.Bytes()))%p.Size() != 0 {
						t.Errorf("%d bytes on %v at %#x", len(r.Bytes()), r.Pages(), start(r.Bytes()))
					}
					if p == hugepages.Huge2M {
						use(t, r)
					} else if err := r.Populate(t.Context()); err != nil {
						t.Error(err)
					}
					if n, err := r.HugeBytes(); err != nil || n < o.Size {
						t.Errorf("%d bytes on huge pages (%v)", n, err)
					}
					if locality := r.Locality(); node != (hugepages.Binding{}) && (locality.Local != locality.Pages || locality.Pages != (o.Size+p.Size()-1)/p.Size()) {
						t.Errorf("%+v", locality)
					}
					if now := readPool(t, directory, "nr_hugepages"); now <= before {
						t.Errorf("a pool of %d pages before, %d with the region", before, now)
					}
				})
			}
		}
	}
}

// A pool that an administrator has set up stays as large for everybody else while a
// region borrows more, and gets no smaller afterwards.
func TestRaiseConfiguredPool(t *testing.T) {
	directory := pool(t, hugepages.Huge2M)
	before := readPool(t, directory, "nr_hugepages")
	setPool(t, directory, before+3)
	t.Cleanup(func() { setPool(t, directory, before) })
	o := hugepages.Options{Pages: only(hugepages.Huge2M), Raise: true}
	o.Size = 5 << 21
	a := alloc(t, o)
	if n := readPool(t, directory, "nr_hugepages") - readPool(t, directory, "surplus_hugepages"); n < before+5 {
		t.Errorf("%d pages are kept, want %d", n, before+5)
	}
	o.Size = 4 << 21
	b := alloc(t, o)
	use(t, a)
	free(t, a)
	use(t, b)
	free(t, b)
	if n := readPool(t, directory, "nr_hugepages"); n != before+3 {
		t.Errorf("%d pages, want %d", n, before+3)
	}
}

// Several at once, so that they find the pool at all stages.
func TestRaiseConcurrently(t *testing.T) {
	pool(t, hugepages.Huge2M)
	var wg sync.WaitGroup
	for i := range uint64(6) {
		wg.Go(func() {
			for range 4 {
				o := hugepages.Options{Size: (i + 1) << 21, Pages: only(hugepages.Huge2M), Raise: true}
				if i%2 == 0 {
					o.Binding = hugepages.OnNUMANode(0)
				}
				r, err := hugepages.Alloc(t.Context(), o)
				if err != nil {
					t.Error(err)
					return
				}
				if err := r.Populate(t.Context()); err != nil {
					t.Error(err)
				}
				free(t, r)
			}
		})
	}
	wg.Wait()
}

// Nothing stays of a process that had no time to give back.
func TestRaiseKilled(t *testing.T) {
	directory := pool(t, hugepages.Huge2M)
	if readPool(t, directory, "nr_hugepages") > 0 {
		t.Skip("the pool is in use: what is lent to it is given back by Free")
	}
	c := child(t, "killed")
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Errorf("%q (%v)", line, err)
	}
	if n := readPool(t, directory, "nr_hugepages"); n != 4 {
		t.Errorf("%d pages while it runs, want 4", n)
	}
	if err := c.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = c.Wait() // pool looks
}

// Who may not enlarge the pool, or cannot, is told so and goes on to other pages.
func TestFallBack(t *testing.T) {
	directory := pool(t, hugepages.Huge2M)
	size := uint64(readPool(t, directory, "free_hugepages")+2) << 21
	r := alloc(t, hugepages.Options{Size: size, Pages: []hugepages.Pages{hugepages.Huge2M, hugepages.Small}})
	if r.Pages() != hugepages.Small || len(r.Refused()) != 1 || r.Refused()[0].Pages != hugepages.Huge2M {
		t.Fatalf("%v, refused %v", r.Pages(), r.Refused())
	}
	if err := wantLimit(r.Refused()[0].Err, hugepages.LimitHugePages, size); err != nil {
		t.Error(err)
	}
	// More than the machine has.
	n, _ := hugepages.Available()
	_, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: n * 2, Pages: only(hugepages.Huge2M), Raise: true})
	if err := wantLimit(err, hugepages.LimitHugePages, n*2); err != nil {
		t.Error(err)
	}
}

// The kernel reserves at once: of two that want the same pages one is refused, and
// none is killed.
func TestReservation(t *testing.T) {
	directory := pool(t, hugepages.Huge2M)
	before := readPool(t, directory, "nr_hugepages")
	setPool(t, directory, before+2)
	t.Cleanup(func() { setPool(t, directory, before) })
	all := uint64(readPool(t, directory, "free_hugepages")-readPool(t, directory, "resv_hugepages")) << 21
	o := hugepages.Options{Size: all, Pages: only(hugepages.Huge2M)}
	first := alloc(t, o)
	_, err := hugepages.Alloc(t.Context(), o)
	if err := wantLimit(err, hugepages.LimitHugePages, all); err != nil {
		t.Error(err)
	}
	use(t, first)
	free(t, first)
	free(t, alloc(t, o))
}

func TestHugeTLBFS(t *testing.T) {
	directory := pool(t, hugepages.Huge2M)
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "hugetlbfs", 0, "pagesize=2M"); err != nil {
		t.Skipf("mounting a hugetlbfs: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, checked := range []bool{false, true} {
		o := hugepages.Options{Size: 3<<21 + 7, HugeTLBFS: sub, Raise: true, Binding: hugepages.OnNUMANode(0), Strict: true}.WithChecks(checked)
		r := alloc(t, o)
		if hugepages.RaceEnabled && checked {
			continue
		}
		if r.Pages() != hugepages.Huge2M || len(r.Refused()) != 0 {
			t.Fatalf("%v, refused %v", r.Pages(), r.Refused())
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil || !bytes.Contains(maps, []byte(sub+"/sdr-")) {
			t.Errorf("no file of %s is mapped (%v)", sub, err)
		}
		if left, err := os.ReadDir(sub); len(left) != 0 {
			t.Errorf("a name is left: %v (%v)", left, err)
		}
		use(t, r)
		free(t, r)
	}
	// The mount is out of pages: others serve.
	r := alloc(t, hugepages.Options{Size: uint64(readPool(t, directory, "free_hugepages")+2) << 21, HugeTLBFS: sub})
	if r.Pages() == hugepages.Huge2M || r.Refused()[0].Pages != hugepages.Huge2M {
		t.Errorf("%v, refused %v", r.Pages(), r.Refused())
	}
	file := filepath.Join(sub, "file")
	if f, err := os.Create(file); err != nil {
		t.Fatal(err)
	} else {
		f.Close()
	}
	var e *hugepages.HugeTLBFSError
	_, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: 1, HugeTLBFS: file, Raise: true})
	if !errors.As(err, &e) || e.Path != file {
		t.Errorf("a file for a directory: %v", err)
	}
}

// Nothing stays mapped, whichever way a region came and went.
func TestFreedOnEveryPath(t *testing.T) {
	pool(t, hugepages.Huge2M)
	// A size that nobody else has.
	const size = 3<<21 + 5<<12
	mapped := func() (regions []string) {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			a, b, _ := strings.Cut(strings.Fields(line)[0], "-")
			first, errA := strconv.ParseUint(a, 16, 64)
			end, errB := strconv.ParseUint(b, 16, 64)
			if errA != nil || errB != nil {
				t.Fatal(line)
			}
			if n := end - first; n == size || n == 4<<21 {
				regions = append(regions, line)
			}
		}
		return regions
	}
	before := len(mapped())
	budget := &hugepages.Accounting{Budget: 1}
	for name, o := range map[string]hugepages.Options{
		"small":         {Pages: only(hugepages.Small)},
		"transparent":   {Pages: only(hugepages.Transparent)},
		"huge":          {Pages: only(hugepages.Huge2M), Raise: true},
		"not to be had": {Pages: only(hugepages.Huge1G), Binding: hugepages.OnNUMANode(0)},
		"over budget":   {Pool: budget},
	} {
		o.Size = size
		r, err := hugepages.Alloc(t.Context(), o)
		if (name == "not to be had" || name == "over budget") != (err != nil) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if len(mapped()) == before {
			t.Errorf("%s: the map is not found", name)
		}
		if err := r.Populate(t.Context()); err != nil {
			t.Error(err)
		}
		free(t, r)
		if left := mapped(); len(left) != before {
			t.Errorf("%s: still mapped:\n%s", name, left)
		}
	}
	if budget.Total() != (hugepages.Usage{}) {
		t.Errorf("%+v", budget.Total())
	}
}
