package sha256

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkSpread labels nodes again whose parents lie anywhere in 256 MiB.
func BenchmarkSpread(b *testing.B) {
	const nodes, size = 1 << 23, 64
	labels := make([]byte, nodes*nodeSize)
	for i := range labels {
		labels[i] = byte(i * 7)
	}
	all := Layer{Number: 2, Labels: labels, Before: labels}
	for _, k := range Kernels() {
		if !k.Usable() || !k.Spreads() {
			continue
		}
		b.Run(k.Name, func(b *testing.B) {
			s, err := k.NewSpread([32]byte{1})
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			parents := make([]uint32, size*degree)
			rows := [2]Rows{s.Rows(), s.Rows()}
			dst := make([]byte, size*nodeSize)
			for i := range b.N {
				for j := range parents {
					if parents[j] = rng.Uint32N(nodes); j%degree < baseDegree {
						parents[j] = uint32(j / degree)
					}
				}
				if err := rows[i%2].Locate(generic, &all, parents); err != nil {
					b.Fatal(err)
				}
				if err := s.Label(dst, 2, size, rows[(i+1)%2].Slice(0, size), rows[i%2]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds()/1e6, "Mlabels/s")
		})
	}
}
