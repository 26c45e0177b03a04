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

// A chain of known length takes that many cycles, whatever the clock. The bounds
// are those of a machine that others use at the same time.
func TestCyclesOfAChain(t *testing.T) {
	if testing.Short() {
		t.Skip("an emulator, under which the short tests run, has no clock of its own")
	}
	const links = 1 << 16
	x := uint64(1)
	s := Cycles(64, func() { x = chain(x, 3, 5, links) })
	if want := float64(links * cyclesPerLink); s.Median < want/2 || s.Median > want*2 {
		t.Errorf("%d links take %+v, want about %.0f cycles", links, s, want)
	}
	if !(s.Low <= s.Median && s.Median <= s.High) {
		t.Errorf("quartiles %+v are out of order", s)
	}
}

func TestCyclesOfNoWindow(t *testing.T) {
	if s := Cycles(0, func() { t.Error("called") }); s != (Sample{}) {
		t.Errorf("no window says %+v", s)
	}
}

func TestMiddle(t *testing.T) {
	samples := []Sample{{Median: 90, Hz: 1}, {Median: 3, Hz: 2}, {Median: 2, Hz: 3}, {Median: 4, Hz: 4}, {Median: 80, Hz: 5}}
	if got, want := Middle(samples), samples[3]; got != want {
		t.Errorf("the middle of %v is %v, want %v", samples, got, want)
	}
	if samples[0].Median != 90 {
		t.Error("the samples were sorted in place")
	}
	if got := Middle(nil); got != (Sample{}) {
		t.Errorf("the middle of nothing is %v", got)
	}
}

func BenchmarkMeasure(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(Measure()/1e9, "GHz")
	}
}
