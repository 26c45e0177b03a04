package coreclock

import "testing"

// Were a link optimised away, the clock would be a multiple of the real one.
func TestChainDoesEveryLink(t *testing.T) {
	const x, a, b = 0x0123456789abcdef, 0xfedcba9876543211, 0x0f1e2d3c4b5a6978
	want := uint64(x)
	for range 96 {
		want += a
		want ^= b
	}
	if got := chain(x, a, b, 96); got != want {
		t.Errorf("96 links give %#x, want %#x", got, want)
	}
}

// The bounds are far from every core's clock: they find a wrong number of cycles
// a link or a wrong unit, not a slow machine.
func TestMeasureIsPlausible(t *testing.T) {
	if testing.Short() {
		t.Skip("an emulator, under which the short tests run, has no clock of its own")
	}
	if hz := Measure(); hz < 0.5e9 || hz > 10e9 {
		t.Errorf("the core's clock is %.3g Hz, want 0.5 to 10 GHz", hz)
	}
}

func BenchmarkMeasure(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(Measure()/1e9, "GHz")
	}
}
