package verify_test

import (
	"errors"
	"testing"

	"github.com/sdr-engine/sdr/verify"
)

// BenchmarkFull checks the layers of 8 MiB.
func BenchmarkFull(b *testing.B) {
	s := labelled(b, large)
	b.ResetTimer()
	for range b.N {
		r, err := verify.Full(b.Context(), s, verify.Options{})
		if err := errors.Join(err, r.Err()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*2*large/32/b.Elapsed().Seconds()/1e6, "Mlabels/s")
}
