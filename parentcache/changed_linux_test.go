package parentcache

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// TestChangedMeanwhile: bytes that change while they are read are as they were, or an
// error; they are not looked at again once they were checked.
func TestChangedMeanwhile(t *testing.T) {
	c, f := openChanging(t)
	mem, err := linux.MapFile(f, sumBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = linux.Unmap(mem) }()
	// The last bytes: once all are compared, there are none that change sooner.
	const at = sumBytes - 4
	word := (*uint32)(unsafe.Pointer(&mem[at]))
	good := atomic.LoadUint32(word)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for range 1000 {
				atomic.StoreUint32(word, good^1)
				atomic.StoreUint32(word, good)
			}
		}
	})
	g, err := graph.New(changing)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint32, sumNodes*porep.Degree)
	if err := g.Parents(want, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]uint32, len(want))
	// Until both have happened often, if the machine lets the two run at the same time.
	for right, wrong := 0, 0; min(right, wrong) < 20 && right < 1<<17 && wrong < 1000; {
		err := c.Parents(got, 0)
		var e *ReadError
		switch {
		case errors.As(err, &e):
			wrong++
		case err != nil:
			t.Fatal(err)
		case !slices.Equal(got, want):
			t.Fatal("other parents than those that were verified, without an error")
		default:
			right++
		}
	}
}
