package sha256

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/coreclock"
)

// Spans as a hasher labels them, over and over the same nodes: two layers and the
// rows of parents lie in the first two caches.
func BenchmarkLabel(b *testing.B) {
	for _, k := range usable() {
		for _, number := range []uint32{1, 2} {
			b.Run(fmt.Sprintf("impl=%s/layer=%d", implementation(k), number), func(b *testing.B) {
				nodes := max(64, 1024/k.Lanes)
				stride := min(64, nodes)
				j := newJob(1, k.Lanes, number, nodes, 0, nodes, 0)
				for node := 1; node < nodes; node++ {
					j.parents[14*node] = uint32(node - 1) // the chain of a real graph
				}
				l := j.in(k, heap)
				rows := NewRows(nodes)
				if err := rows.Locate(k, &l, j.parents); err != nil {
					b.Fatal(err)
				}
				r := Span{ReplicaIDs: l.ReplicaIDs, Layer: number}
				for b.Loop() {
					for first := 0; first < nodes; first += stride {
						r.First = uint64(first)
						r.Out = l.Labels[first*k.Pitch():][:stride*k.Pitch()]
						r.Rows = rows.Slice(first, nodes)
						if err := k.LabelSpan(&r); err != nil {
							b.Fatal(err)
						}
					}
				}
				perUnit(b, nodes*k.Lanes, "label")
			})
		}
	}
}

func BenchmarkLocate(b *testing.B) {
	const stride = 128
	k := generic
	l := Layer{Number: 2, Labels: make([]byte, stride*k.Pitch()), Before: make([]byte, stride*k.Pitch())}
	parents := make([]uint32, stride*degree)
	rows := NewRows(stride)
	for n := 0; n < b.N; n += stride {
		if err := rows.Locate(k, &l, parents); err != nil {
			b.Fatal(err)
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

// Each kernel's benchmarks have names that benchstat splits, and no other kernel's.
func TestBenchmarkNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kernels() {
		name := "impl=" + implementation(k)
		if !regexp.MustCompile(`^impl=[a-z0-9-]+/lanes=`+strconv.Itoa(k.Lanes)+`$`).MatchString(name) || seen[name] {
			t.Errorf("%s has benchmarks named %q", k.Name, name)
		}
		seen[name] = true
	}
}

// perUnit replaces a benchmark's time for a loop by that for each of n units, in
// nanoseconds and in cycles of the core's clock as measured now.
func perUnit(b *testing.B, n int, unit string) {
	seconds := b.Elapsed().Seconds() / float64(b.N) / float64(n)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(seconds*1e9, "ns/"+unit)
	b.ReportMetric(seconds*coreclock.Measure(), "cycles/"+unit)
}
