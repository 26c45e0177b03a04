//go:build amd64 || arm64

package sha256

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// Runs whose parents lie where those of a real layer do: one the node before, five at
// distances of which half are near, eight anywhere in the layer before. A layer is as
// that of a 512 MiB sector for each lane, at most 2 GiB. What this takes longer than
// BenchmarkLabel is memory's part, and the TLB's.
func BenchmarkLabelFromMemory(b *testing.B) {
	const (
		run         = 128
		nodes       = 1 << 16 // their parents' labels are more than caches hold
		allNodes    = 1 << 24
		largest     = 2 << 30
		hugePages   = 14 // MADV_HUGEPAGE
		hugePage    = 2 << 20
		layerNumber = 2
	)
	for _, k := range usable() {
		lookups := []bool{k.lookup}
		if strings.HasPrefix(k.Name, "sha-ni/") {
			lookups = []bool{false, true}
		}
		for _, lookup := range lookups {
			k := *k
			k.lookup = lookup
			b.Run(fmt.Sprintf("impl=%s/lookup=%t", implementation(&k), lookup), func(b *testing.B) {
				layer := min(allNodes, largest/k.Stride())
				size := layer * k.Stride()
				memory := mmap(b, 2*size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE)
				memory = memory[-address(&memory[0])&(hugePage-1):][:2*size]
				if err := syscall.Madvise(memory, hugePages); err != nil {
					b.Logf("no huge pages: %v", err)
				}
				for at := 0; at < len(memory); at += 4096 {
					memory[at] = 1
				}
				l := Layer{make([][32]byte, k.Lanes), layerNumber, memory[:size], memory[size:]}
				r := rand.New(rand.NewPCG(1, 2))
				first := layer / 2
				parents := make([]uint32, 0, (nodes+Ahead)*degree)
				for node := uint64(first); len(parents) < cap(parents); node++ {
					parents = append(parents, uint32(node-1))
					for range baseDegree - 1 {
						distance := uint64(math.Exp2(r.Float64() * math.Log2(float64(node))))
						parents = append(parents, uint32(node-max(1, distance)))
					}
					for range degree - baseDegree {
						parents = append(parents, uint32(r.Uint64N(uint64(layer))))
					}
				}
				rows := NewRows(nodes + Ahead)
				if err := rows.Locate(&k, &l, parents); err != nil {
					b.Fatal(err)
				}
				job := Run{ReplicaIDs: l.ReplicaIDs, Layer: l.Number}
				at := 0
				for b.Loop() {
					job.First = uint64(first + at)
					job.Out = l.Labels[(first+at)*k.Stride():][:run*k.Stride()]
					job.Rows = rows.Slice(at, nodes+Ahead)
					if err := k.LabelRun(&job); err != nil {
						b.Fatal(err)
					}
					at = (at + run) % nodes
				}
				perUnit(b, run*k.Lanes, "label")
			})
		}
	}
}
