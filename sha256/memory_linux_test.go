//go:build amd64 || arm64

package sha256

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// mmap returns memory outside the heap, which costs nothing until it is
// touched, until the test ends.
func mmap(t testing.TB, size, protection int) []byte {
	t.Helper()
	b, err := syscall.Mmap(-1, 0, size, protection, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		t.Fatalf("mapping %d bytes: %v", size, err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(b); err != nil {
			t.Errorf("unmapping %d bytes: %v", size, err)
		}
	})
	return b
}

// A read or write one byte before or behind any buffer is a segmentation fault.
func TestUnreadablePages(t *testing.T) {
	page := os.Getpagesize()
	ends := map[string]func(size, room int) int{
		"first": func(size, room int) int { return 0 },
		"last":  func(size, room int) int { return room - size },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			a := func(size, align int) []byte {
				room := (size + page - 1) / page * page
				b := mmap(t, room+2*page, syscall.PROT_NONE)
				if err := syscall.Mprotect(b[page:][:room], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
					t.Fatal(err)
				}
				at := end(size, room)
				return b[page+at-at%align:][:size:size]
			}
			for _, k := range usableBothWays() {
				for _, number := range []uint32{1, 2} {
					for _, n := range []int{1, 2, Ahead, Ahead + 1, 30} {
						for _, slack := range []int{0, 1, Ahead} {
							if testing.Short() && n == 30 && slack > 0 {
								continue // most of the time that an emulator needs
							}
							j := newJob(uint64(n), k.Lanes, number, n+1, 1, n, slack)
							if err := j.check(k, a); err != nil {
								t.Errorf("%s, layer %d, %d nodes, %d more parents: %v", k.Name, number, n, slack, err)
							}
							// Rows lie there as well.
							l, parents := j.in(k, heap), j.parents[:n*degree]
							rows := Rows{unsafe.Slice((*uintptr)(unsafe.Pointer(&a(8*len(parents), 8)[0])), len(parents))}
							if err := rows.Locate(k, &l, parents); err != nil {
								t.Fatal(err)
							}
							r := Span{l.ReplicaIDs, number, 1, l.Labels[k.Pitch():], rows}
							if err := k.LabelSpan(&r); err != nil {
								t.Errorf("%s, layer %d, %d nodes: %v", k.Name, number, n, err)
							}
						}
					}
				}
				for n := 1; n <= 2*maxLanes+1; n++ {
					if err := checkPairs(k, a, newJob(uint64(n), 1, 1, 2*n, 0, 0, 0).Labels); err != nil {
						t.Errorf("%s, %d pairs: %v", k.Name, n, err)
					}
				}
			}
		})
	}
}

// Layers larger than those of a 64 GiB sector, so that nodes have 32 bits and
// offsets 37 or more, of which only the pages that hold a parent's label exist.
func TestLabelLargestLayers(t *testing.T) {
	const (
		nodes = 1<<31 + 1<<20
		n     = 40
	)
	for _, k := range usable() {
		t.Run(k.Name, func(t *testing.T) {
			for _, number := range []uint32{1, 2} {
				r := rand.New(rand.NewPCG(uint64(number), 0))
				layer := func() []byte {
					b := mmap(t, nodes*nodeSize*k.Lanes, syscall.PROT_READ|syscall.PROT_WRITE)
					// An error means that this machine has none of them anyway.
					_ = syscall.Madvise(b, syscall.MADV_NOHUGEPAGE)
					return b
				}
				l := &Layer{ReplicaIDs: make([][32]byte, k.Lanes), Number: number, Labels: layer()}
				if number > 1 {
					l.Before = layer()
				}
				for _, first := range []int{1<<16 - n/2, 1<<27 - n/2, 1<<31 - n/2, nodes - n} {
					var parents []uint32
					for node := first; node < first+n; node++ {
						parents = append(parents, randomParents(r, number, node, nodes)...)
					}
					fill := func(b []byte, parent uint32) {
						if b != nil && parent != noParent {
							label := b[int(parent)*nodeSize*k.Lanes:][:nodeSize*k.Lanes]
							for i := range label {
								label[i] = byte(r.Uint32())
							}
						}
					}
					for i, p := range parents {
						if i%14 < 6 {
							fill(l.Labels, p)
						} else {
							fill(l.Before, p)
						}
					}
					if err := k.Label(l, uint64(first), n, parents); err != nil {
						t.Fatal(err)
					}
					for i := range n {
						node := l.Labels[(first+i)*k.Pitch():][:k.Pitch()]
						plain := make([]byte, len(node))
						arrange(k, plain, node, true)
						for lane := range k.Lanes {
							want := referenceLabelIn(k, l, lane, uint64(first+i), parents[14*i:])
							got := plain[lane*nodeSize:][:nodeSize]
							if want != [nodeSize]byte(got) {
								t.Fatalf("layer %d, node %d: got %x, want %x", number, first+i, got, want)
							}
						}
					}
				}
			}
		})
	}
}

func TestLayerTooLarge(t *testing.T) {
	for _, k := range usable() {
		l := &Layer{
			ReplicaIDs: make([][32]byte, k.Lanes),
			Number:     1,
			Labels:     mmap(t, (maxNodes+1)*nodeSize*k.Lanes, syscall.PROT_NONE),
		}
		err := k.Label(l, maxNodes, 1, make([]uint32, 14))
		if _, ok := err.(*SpanError); !ok {
			t.Errorf("%s: got error %v, want a *SpanError", k.Name, err)
		}
	}
}
