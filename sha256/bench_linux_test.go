//go:build amd64 || arm64

package sha256

import (
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
)

// Spans whose parents lie where those of a real layer do, in memory. What this takes longer
// than BenchmarkLabel is memory's part, and the TLB's.
func BenchmarkLabelFromMemory(b *testing.B) {
	const (
		stride = 128
		nodes  = 1 << 16 // their parents' labels are more than caches hold
	)
	for _, k := range usableBothWays() {
		b.Run(fmt.Sprintf("impl=%s/walk=%s", implementation(k), [...]string{"no", "soon", "late"}[k.walk]), func(b *testing.B) {
			l := layerInMemory(b, k)
			size := len(l.Labels) / k.Pitch()
			first := size / 2
			rows := NewRows(nodes + Ahead)
			if err := rows.Locate(k, &l, scatteredParents(first, nodes+Ahead, size)); err != nil {
				b.Fatal(err)
			}
			r := Span{ReplicaIDs: l.ReplicaIDs, Layer: l.Number}
			at := 0
			for b.Loop() {
				r.First = uint64(first + at)
				r.Out = l.Labels[(first+at)*k.Pitch():][:stride*k.Pitch()]
				r.Rows = rows.Slice(at, nodes+Ahead)
				if err := k.LabelSpan(&r); err != nil {
					b.Fatal(err)
				}
				at = (at + stride) % nodes
			}
			perUnit(b, stride*k.Lanes, "label")
		})
	}
}

// layerInMemory is a layer of as many nodes as a 512 MiB sector has, or as fit 2 GiB, on
// huge pages that are there.
func layerInMemory(b *testing.B, k *Kernel) Layer {
	const (
		hugePage = 2 << 20
		page     = 4 << 10
	)
	size := min(1<<24, (2<<30)/k.Pitch()) * k.Pitch()
	memory := mmap(b, 2*size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE)
	memory = memory[-address(&memory[0])&(hugePage-1):][:2*size]
	if err := syscall.Madvise(memory, syscall.MADV_HUGEPAGE); err != nil {
		b.Logf("no huge pages: %v", err)
	}
	for at := 0; at < len(memory); at += page {
		memory[at] = 1
	}
	return Layer{make([][32]byte, k.Lanes), 2, memory[:size], memory[size:]}
}

// scatteredParents are those of n nodes in a layer of so many: the node before, five at
// distances of which half are near, and eight anywhere in the layer before.
func scatteredParents(first, n, nodes int) (parents []uint32) {
	r := rand.New(rand.NewPCG(1, 2))
	for node := first; node < first+n; node++ {
		parents = append(parents, uint32(node-1))
		for range baseDegree - 1 {
			distance := int(math.Exp2(r.Float64() * math.Log2(float64(node))))
			parents = append(parents, uint32(node-max(1, distance)))
		}
		for range degree - baseDegree {
			parents = append(parents, uint32(r.IntN(nodes)))
		}
	}
	return parents
}
