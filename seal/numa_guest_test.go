package seal

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestNUMAGuestPiece: goroutines of a piece are spread over the NUMA nodes, each with memory of
// its own, as the kernel says; and the piece is the one that a single goroutine makes.
func TestNUMAGuestPiece(t *testing.T) {
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("wants several NUMA nodes: make test-numa runs it in a guest")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[topology.NUMAIndex]int{}
	for _, spot := range spotsOn(m, m.Allowed().Len()) {
		seen[spot.node]++
		done := make(chan struct{})
		go func() {
			defer close(done)
			memory, leave := spot.enter(3 << 20)
			defer leave()
			var addresses []uintptr
			for at := 0; at < len(memory); at += linux.PageSize {
				memory[at] = 1
				addresses = append(addresses, uintptr(unsafe.Pointer(&memory[at])))
			}
			nodes := make([]int32, len(addresses))
			if err := linux.PageNUMANodes(addresses, nodes); err != nil {
				t.Error(err)
				return
			}
			for i, node := range nodes {
				if want := m.NUMANodes()[spot.node].ID; node != int32(want) {
					t.Errorf("page %d is on NUMA node %d, want %d", i, node, want)
					return
				}
			}
		}()
		<-done
	}
	for i, node := range m.NUMANodes() {
		if want := node.CPUs.Intersect(m.Allowed()).Len(); seen[topology.NUMAIndex(i)] != want {
			t.Errorf("%d goroutines on NUMA node %d, which has %d CPUs", seen[topology.NUMAIndex(i)], node.ID, want)
		}
	}
	size := porep.PaddedSize(4 << 20).Unpadded()
	source := func() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{5}, int(size))) }
	want, err := CommP(t.Context(), source(), size)
	if err != nil {
		t.Fatal(err)
	}
	p := &pass{size: size, block: pieceBlock, stop: make(chan struct{})}
	p.from = sourceOf(source(), p, passing{})
	var wg sync.WaitGroup
	for _, spot := range spotsOn(m, m.Allowed().Len()) {
		wg.Go(func() { p.work(t.Context(), spot) })
	}
	wg.Wait()
	if p.err != nil {
		t.Fatal(p.err)
	}
	if root, err := p.finish(); err != nil || root != want.CommP {
		t.Errorf("comm_p %v on all NUMA nodes, %v anywhere, %v", root, want.CommP, err)
	}
}

// TestSpots: on one NUMA node nobody is bound.
func TestSpots(t *testing.T) {
	for _, spot := range append(spotsOn(nil, 3), spotsFor(2, 127)...) {
		if spot.machine != nil {
			t.Errorf("%v", spot)
		}
	}
}
