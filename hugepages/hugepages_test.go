package hugepages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/linux"
)

func alloc(t testing.TB, o hugepages.Options) *hugepages.Region {
	t.Helper()
	r, err := hugepages.Alloc(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { free(t, r) })
	return r
}

func free(t testing.TB, r *hugepages.Region) {
	t.Helper()
	for range 2 {
		if err := r.Free(); err != nil {
			t.Error(err)
		}
	}
}

func start(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// Whatever is asked for: zeroed bytes, as many, aligned, that can be
// written, read back and freed, and are counted as long.
func TestAnyOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pool hugepages.Accounting
		o := hugepages.Options{
			Size:    rapid.Uint64Range(1, 9<<20).Draw(t, "size"),
			Purpose: hugepages.Purpose(rapid.SampledFrom([]string{"layers", "rings", ""}).Draw(t, "purpose")),
			Sample:  rapid.IntRange(0, 3000).Draw(t, "sample"),
			Pool:    &pool,
		}.WithThreads(rapid.IntRange(0, 5).Draw(t, "threads"))
		checked := rapid.Bool().Draw(t, "checked")
		o = o.WithChecks(checked)
		if rapid.Bool().Draw(t, "bound") {
			o.Binding = hugepages.OnNUMANode(0)
		}
		o.Pages = rapid.SampledFrom([][]hugepages.Pages{nil, {hugepages.Transparent, hugepages.Small}, {hugepages.Small}}).Draw(t, "pages")
		r, err := hugepages.Alloc(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		b := r.Bytes()
		if uint64(len(b)) != o.Size || uint64(cap(b)) != o.Size {
			t.Fatalf("%d bytes, room for %d, want %d", len(b), cap(b), o.Size)
		}
		if start(b)%uintptr(r.Pages().Size()) != 0 {
			t.Errorf("%v begin at %#x", r.Pages(), start(b))
		}
		fresh := byte(0)
		if checked {
			fresh = hugepages.PoisonByte
		}
		if rapid.Bool().Draw(t, "populate") {
			b[0], b[len(b)-1] = fresh+1, fresh+1
			if err := r.Populate(context.Background()); err != nil {
				t.Fatal(err)
			}
			if b[0] != fresh+1 || b[len(b)-1] != fresh+1 {
				t.Error("Populate changed what was there")
			}
			b[0], b[len(b)-1] = fresh, fresh
		}
		if bytes.Count(b, []byte{fresh}) != len(b) {
			t.Errorf("not all of %d bytes are %#x", len(b), fresh)
		}
		for i := range b {
			b[i] = byte(i)
		}
		u := pool.ByPurpose()[o.Purpose]
		if u.Current < o.Size || u.Current > o.Size+2<<20 || u != pool.Total() {
			t.Errorf("%d bytes are counted as %+v", o.Size, u)
		}
		for range 2 {
			if err := r.Free(); err != nil {
				t.Error(err)
			}
		}
		if r.Bytes() != nil {
			t.Error("the region still has bytes")
		}
		if now := pool.ByPurpose()[o.Purpose]; now.Current != 0 || now.Peak != u.Current {
			t.Errorf("after Free: %+v", now)
		}
	})
}

func TestLocality(t *testing.T) {
	for _, sample := range []int{0, 7, 1 << 20} {
		t.Run(fmt.Sprint(sample), func(t *testing.T) {
			o := hugepages.Options{Size: 20<<20 + 1, Pages: []hugepages.Pages{hugepages.Small}, Binding: hugepages.OnNUMANode(0), Sample: sample}
			r := alloc(t, o)
			pages := uint64(20<<20/linux.PageSize + 1)
			checked := pages
			if sample == 7 {
				checked = 7
			}
			before, err := r.Verify(t.Context())
			if err != nil || before.Unknown != checked || before.Pages != pages {
				t.Errorf("before any page is there: %v (%v)", before, err)
			}
			err = r.Populate(t.Context())
			if p := r.Locality(); p.Err != nil && errors.Is(p.Err, errors.ErrUnsupported) {
				t.Skipf("this system does not say where memory is: %v", p.Err)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := r.Locality()
			if p.Pages != pages || p.Checked != checked || p.Local != checked || p.Wrong+p.Unknown != 0 || p.ByNUMANode[0] != checked || p.Err != nil {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestAmong keeps memory to node 0, which is on every machine, whether it is bound there or not.
func TestAmong(t *testing.T) {
	for _, binding := range []hugepages.Binding{{}, hugepages.OnNUMANode(0)} {
		o := hugepages.Options{Size: 8<<20 + 1, Pages: []hugepages.Pages{hugepages.Small}, Binding: binding, Among: []int{0}}
		r := alloc(t, o)
		if err := r.Populate(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := r.Locality()
		if p.Err != nil {
			t.Skipf("this system does not let memory be bound, or say where it is: %v", p.Err)
		}
		if p.Local != p.Pages || p.Checked != p.Pages || p.ByNUMANode[0] != p.Pages || !strings.Contains(p.String(), "on NUMA node 0") {
			t.Errorf("%+v: %v", binding, p)
		}
		if err := hugepages.Check(o); err != nil {
			t.Error(err)
		}
	}
}

// Pages that are not there are not known to be on the node.
func TestStrictBeforePopulate(t *testing.T) {
	r := alloc(t, hugepages.Options{Size: 1 << 20, Binding: hugepages.OnNUMANode(0), Strict: true})
	var wrong *hugepages.LocalityError
	if _, err := r.Verify(t.Context()); !errors.As(err, &wrong) || wrong.Locality.Unknown != wrong.Locality.Pages {
		t.Errorf("before Populate: %v", err)
	}
	if err := r.Populate(t.Context()); err != nil {
		t.Error(err)
	}
}

// Populate and writers at once lose nothing, and Populate can be cut off and resumed.
func TestPopulateWhileInUse(t *testing.T) {
	r := alloc(t, hugepages.Options{Size: 300 << 20, Binding: hugepages.OnNUMANode(0)}.WithThreads(3))
	done, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("no more")
	cancel(cause)
	if err := r.Populate(done); !errors.Is(err, cause) {
		t.Errorf("after the context is done: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; i < len(r.Bytes()); i += 4096 {
			r.Bytes()[i] = byte(i>>12) | 1
		}
	})
	if err := r.Populate(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for i := 0; i < len(r.Bytes()); i += 4096 {
		if r.Bytes()[i] != byte(i>>12)|1 {
			t.Fatalf("byte %d is lost", i)
		}
	}
	if err := r.Populate(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestCPUs(t *testing.T) {
	allowed, err := linux.Affinity(0)
	if err != nil {
		t.Skip(err)
	}
	r := alloc(t, hugepages.Options{Size: 100 << 20}.WithCPUs(allowed[len(allowed)-1]).WithThreads(3))
	if err := r.Populate(t.Context()); err != nil {
		t.Error(err)
	}
	// No thread that other goroutines get stays bound.
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		after, err := linux.Affinity(id)
		if err == nil && !slices.Equal(after, allowed) { // else it has ended
			t.Errorf("thread %d may run on CPUs %v, want %v", id, after, allowed)
		}
	}
	r = alloc(t, hugepages.Options{Size: 1 << 20}.WithCPUs(8000))
	var e *hugepages.PopulateError
	if err := r.Populate(t.Context()); !errors.As(err, &e) || !strings.Contains(err.Error(), "8000") {
		t.Errorf("a CPU that is not there: %v", err)
	}
}

func TestAfterFree(t *testing.T) {
	r := alloc(t, hugepages.Options{Size: 1})
	free(t, r)
	_, errVerify := r.Verify(t.Context())
	_, errHuge := r.HugeBytes()
	for _, err := range []error{r.Populate(t.Context()), errVerify, errHuge} {
		if !errors.Is(err, hugepages.ErrFreed) {
			t.Errorf("after Free: %v", err)
		}
	}
}

func TestTransparent(t *testing.T) {
	r := alloc(t, hugepages.Options{Size: 8 << 20, Pages: []hugepages.Pages{hugepages.Transparent, hugepages.Small}})
	if r.Pages() != hugepages.Transparent {
		t.Skipf("no transparent huge pages: %v", r.Refused())
	}
	if err := r.Populate(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := r.HugeBytes()
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 || n > 8<<20 || n%(2<<20) != 0 {
		t.Errorf("%d of 8 MiB on huge pages", n)
	}
	if b := r.Backing(); b.Huge != n || b.Bytes != 8<<20 || b.String() != fmt.Sprintf("transparent huge pages, %d %% of it", 100*n>>23) {
		t.Errorf("%+v: %v, want %d of 8 MiB", b, b, n)
	}
}

// TestCheck: regions that fit one by one may not fit together, and nothing is taken.
func TestCheck(t *testing.T) {
	free, ok := hugepages.Available()
	if !ok {
		t.Skip("the machine does not say what is free")
	}
	small := []hugepages.Pages{hugepages.Transparent, hugepages.Small}
	part := hugepages.Options{Size: free / 5 * 3, Purpose: hugepages.Layers, Pages: small}
	var none *hugepages.AllocError
	if err := hugepages.Check(part); errors.As(err, &none) {
		t.Skipf("some other limit is lower: %v", err)
	}
	err := hugepages.Check(part, hugepages.Options{Size: 1, Pages: small}, part)
	var limit *hugepages.LimitError
	if !errors.As(err, &none) || !errors.As(err, &limit) || limit.Limit != hugepages.LimitMemory || limit.Want < 2*part.Size {
		t.Errorf("more than there is: %v", err)
	}
	if err := hugepages.Check(hugepages.Options{Size: 1 << 20}, hugepages.Options{Size: 3}); err != nil {
		t.Errorf("little: %v", err)
	}
	var option *hugepages.OptionError
	if err := hugepages.Check(hugepages.Options{}); !errors.As(err, &option) {
		t.Errorf("no size: %v", err)
	}
}

// TestBackingCounts: what is not on huge pages does not count, neither pages that are not
// there yet nor small ones.
func TestBackingCounts(t *testing.T) {
	r := alloc(t, hugepages.Options{Size: 16 << 20, Pages: []hugepages.Pages{hugepages.Transparent, hugepages.Small}})
	if r.Pages() != hugepages.Transparent {
		t.Skipf("no transparent huge pages: %v", r.Refused())
	}
	if b := r.Backing(); b.Err != nil || b.Huge != 0 || b.String() != "small pages: the kernel made no transparent huge pages of them" {
		t.Errorf("nothing touched: %v, %d bytes (%v)", b, b.Huge, b.Err)
	}
	if err := linux.AdviseSmall(r.Bytes()[:12<<20]); err != nil {
		t.Fatal(err)
	}
	if err := r.Populate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := r.Backing(); b.Err != nil || b.Huge > 4<<20 || b.Huge == 4<<20 && b.String() != "transparent huge pages, 25 % of it" {
		t.Errorf("a quarter: %v, %d bytes (%v)", b, b.Huge, b.Err)
	}
	small := alloc(t, hugepages.Options{Size: 4 << 20, Pages: []hugepages.Pages{hugepages.Small}})
	if b := small.Backing(); b.Huge != 0 || b.String() != "small pages" {
		t.Errorf("%v", b)
	}
	free(t, small)
	if b := small.Backing(); !errors.Is(b.Err, hugepages.ErrFreed) {
		t.Errorf("after Free: %+v", b)
	}
}

func TestBadOptions(t *testing.T) {
	for _, c := range []struct {
		o     hugepages.Options
		field string
	}{
		{hugepages.Options{}, "Size 0"},
		{hugepages.Options{Size: 1<<64 - 1}, "Size 18446744073709551615"},
		{hugepages.Options{Size: 1 << 63}, "Size"},
		{hugepages.Options{Size: 1, Sample: -1}, "Sample -1"},
		{hugepages.Options{Size: 1, Pages: []hugepages.Pages{}}, "Pages []"},
		{hugepages.Options{Size: 1, Pages: []hugepages.Pages{0}}, "Pages [Pages(0)]"},
		{hugepages.Options{Size: 1, Pages: []hugepages.Pages{hugepages.Small, 9}}, "Pages(9)"},
		{hugepages.Options{Size: 1, Binding: hugepages.OnNUMANode(-1)}, "Binding -1"},
		{hugepages.Options{Size: 1, Binding: hugepages.OnNUMANode(1000)}, "Binding 1000"},
		{hugepages.Options{Size: 1, Binding: hugepages.OnNUMANode(1 << 40)}, "Binding"},
		{hugepages.Options{Size: 1, Among: []int{0, -1}}, "Among [0 -1]"},
		{hugepages.Options{Size: 1, Among: []int{1 << 40}}, "Among"},
		{hugepages.Options{Size: 1, Among: []int{1}, Binding: hugepages.OnNUMANode(0)}, "Binding 0, want one of Among: [1]"},
	} {
		r, err := hugepages.Alloc(t.Context(), c.o)
		var e *hugepages.OptionError
		if r != nil || !errors.As(err, &e) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

func TestContextDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hugepages.Alloc(ctx, hugepages.Options{Size: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// More than any machine has is refused by name, for each kind of page.
func TestMoreThanTheMachine(t *testing.T) {
	const size = 1 << 60
	var pool hugepages.Accounting
	_, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: size, Purpose: hugepages.Parents, Pool: &pool})
	var e *hugepages.AllocError
	if !errors.As(err, &e) || e.Size != size || e.Purpose != hugepages.Parents || len(e.Refusals) != 4 {
		t.Fatal(err)
	}
	var limit *hugepages.LimitError
	if !errors.As(e.Refusals[3].Err, &limit) || limit.Limit != hugepages.LimitMemory || limit.Want != size || limit.Max == 0 {
		t.Errorf("small pages: %v", e.Refusals[3].Err)
	}
	if pool.Total().Current != 0 {
		t.Errorf("what could not be had is counted: %+v", pool.Total())
	}
}

func TestBudget(t *testing.T) {
	pool := hugepages.Accounting{Budget: 10 << 20}
	small := []hugepages.Pages{hugepages.Small}
	first := alloc(t, hugepages.Options{Size: 6 << 20, Purpose: hugepages.Layers, Pages: small, Pool: &pool})
	more := hugepages.Options{Size: 5 << 20, Purpose: hugepages.Rings, Pages: small, Pool: &pool}
	_, err := hugepages.Alloc(t.Context(), more)
	var limit *hugepages.LimitError
	if !errors.As(err, &limit) || *limit != (hugepages.LimitError{Limit: hugepages.LimitBudget, Want: 5 << 20, Max: 10 << 20, Used: 6 << 20}) {
		t.Errorf("5 MiB more: %v", err)
	}
	free(t, first)
	alloc(t, more)
	want := map[hugepages.Purpose]hugepages.Usage{hugepages.Layers: {Peak: 6 << 20}, hugepages.Rings: {Current: 5 << 20, Peak: 5 << 20}}
	if got := pool.ByPurpose(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := pool.Total(); got != (hugepages.Usage{Current: 5 << 20, Peak: 6 << 20}) {
		t.Errorf("total %+v", got)
	}
}

// What one region is promised and has not touched is not there for the next.
func TestPromisedMemory(t *testing.T) {
	n, ok := hugepages.Available()
	if !ok {
		t.Skip("this system does not say how much memory is available")
	}
	var pool hugepages.Accounting
	o := hugepages.Options{Size: n / 5 * 3, Pages: []hugepages.Pages{hugepages.Transparent}, Pool: &pool}
	r, err := hugepages.Alloc(t.Context(), o)
	if err != nil {
		t.Skip(err)
	}
	_, err = hugepages.Alloc(t.Context(), o)
	var limit *hugepages.LimitError
	if !errors.As(err, &limit) || limit.Want < 2*o.Size {
		t.Errorf("twice 3/5 of the available memory: %v", err)
	}
	free(t, r)
	again, err := hugepages.Alloc(t.Context(), o)
	if err != nil {
		t.Fatalf("after the first is freed: %v", err)
	}
	free(t, again)
}

func TestAccountingConcurrently(t *testing.T) {
	var pool hugepages.Accounting
	var wg sync.WaitGroup
	for _, p := range []hugepages.Purpose{hugepages.Layers, hugepages.Parents, hugepages.Rings} {
		for range 3 {
			wg.Go(func() {
				for i := range uint64(20) {
					r, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: (i + 1) << 12, Purpose: p, Pages: []hugepages.Pages{hugepages.Small}, Pool: &pool})
					if err != nil {
						t.Error(err)
						return
					}
					pool.ByPurpose()
					if u := pool.Total(); u.Current == 0 || u.Peak < u.Current {
						t.Errorf("with a region: %+v", u)
					}
					free(t, r)
				}
			})
		}
	}
	wg.Wait()
	total := pool.Total()
	if total.Current != 0 || total.Peak < 20<<12 || total.Peak > 9*20<<12 {
		t.Errorf("total %+v", total)
	}
	for p, u := range pool.ByPurpose() {
		if u.Current != 0 || u.Peak < 20<<12 || u.Peak > 3*20<<12 {
			t.Errorf("%s: %+v", p, u)
		}
	}
	var none *hugepages.Accounting
	if none.Total() != (hugepages.Usage{}) || none.ByPurpose() != nil {
		t.Error("no accounting counts")
	}
}

// A write behind the end, inside the last page, is found by Free; the region is
// freed all the same.
func TestOverrun(t *testing.T) {
	var pool hugepages.Accounting
	r, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: 100, Pool: &pool}.WithChecks(true))
	if err != nil {
		t.Fatal(err)
	}
	unsafe.Slice(unsafe.SliceData(r.Bytes()), 112)[111] = 1
	err = r.Free()
	var e *hugepages.OverrunError
	if !errors.As(err, &e) || e.At != 111 || e.Size != 100 {
		t.Errorf("after byte 111 of 100 was written: %v", err)
	}
	if pool.Total().Current != 0 || r.Free() != nil {
		t.Error("the region is not freed")
	}
}

func TestNotHugeTLBFS(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]error{dir: linux.ErrNotHugeTLBFS, filepath.Join(dir, "missing"): fs.ErrNotExist} {
		_, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: 1, HugeTLBFS: path})
		var e *hugepages.HugeTLBFSError
		if !errors.As(err, &e) || e.Path != path || !errors.Is(err, want) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
