package sha256

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/coreclock"
)

// Runs as a hasher does them, over and over the same 1024 nodes: two layers and
// the parents lie in the first two caches.
func BenchmarkLabel(b *testing.B) {
	const nodes, run = 1024, 64
	for _, k := range usable() {
		for _, number := range []uint32{1, 2} {
			b.Run(fmt.Sprintf("impl=%s/layer=%d", implementation(k), number), func(b *testing.B) {
				j := newJob(1, k.Lanes, number, nodes, 0, nodes, Ahead)
				for node := 1; node < nodes; node++ {
					j.parents[14*node] = uint32(node - 1) // the chain of a real graph
				}
				for b.Loop() {
					for first := 0; first < nodes; first += run {
						if err := k.Label(&j.Layer, uint64(first), run, j.parents[14*first:]); err != nil {
							b.Fatal(err)
						}
					}
				}
				perUnit(b, nodes*k.Lanes, "label")
			})
		}
	}
}

func BenchmarkHashPairs(b *testing.B) {
	const nodes = 1024
	for _, k := range usable() {
		b.Run(fmt.Sprintf("impl=%s", implementation(k)), func(b *testing.B) {
			src := newJob(1, 1, 1, nodes, 0, 0, 0).Labels
			dst := make([]byte, len(src)/2)
			for b.Loop() {
				if err := k.HashPairs(dst, src); err != nil {
					b.Fatal(err)
				}
			}
			perUnit(b, nodes/2, "hash")
		})
	}
}

// implementation is a kernel's name as parts of a benchmark's: "sha-ni/lanes=1".
func implementation(k *Kernel) string { return strings.Replace(k.Name, "/", "/lanes=", 1) }

// perUnit replaces a benchmark's time for a loop by that for each of n units, in
// nanoseconds and in cycles of the core's clock as measured now.
func perUnit(b *testing.B, n int, unit string) {
	seconds := b.Elapsed().Seconds() / float64(b.N) / float64(n)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(seconds*1e9, "ns/"+unit)
	b.ReportMetric(seconds*coreclock.Measure(), "cycles/"+unit)
}
