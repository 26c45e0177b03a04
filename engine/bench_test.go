package engine_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// BenchmarkRun labels a whole sector, parents and layer files included. Run it
// with -benchtime=1x: a sector of 512 MiB takes tens of seconds.
func BenchmarkRun(b *testing.B) {
	for _, proof := range []porep.SealProof{porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1_1} {
		b.Run("proof="+proof.String(), func(b *testing.B) {
			var seconds [2]float64
			for b.Loop() {
				result, err := engine.Run(b.Context(), engine.Config{
					Proof:   proof,
					Sectors: []engine.Sector{{ReplicaID: porep.ReplicaID{1}, CacheDir: b.TempDir()}},
				})
				if err != nil {
					b.Fatal(err)
				}
				for i, l := range result.Layers {
					seconds[i] += l.Hashing.Seconds()
				}
			}
			labels := float64(b.N) * float64(proof.SectorSize().Nodes())
			b.ReportMetric(seconds[0]*1e9/labels, "ns/label-layer-1")
			b.ReportMetric(seconds[1]*1e9/labels, "ns/label-layer-2")
		})
	}
}
