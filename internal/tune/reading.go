package tune

import (
	"slices"

	"github.com/sdr-engine/sdr/engine"
)

// A Measured is what one measurement of a trial came to.
type Measured struct {
	Rate   float64 // labels a second, of all sectors
	Cycles float64 // core cycles of the hashing cores, a label
	Spread float64 // of the rate within the measurement, a share of it
}

// A Figure is what all measurements of a trial came to.
type Figure struct {
	Measured     // medians; spread is between measurements, if there are several
	Samples  int // measurements
}

// figureOf sums up at least one reading.
func figureOf(all []Measured) Figure {
	var rates, cycles []float64
	for _, r := range all {
		rates, cycles = append(rates, r.Rate), append(cycles, r.Cycles)
	}
	f := Figure{Measured{median(rates), median(cycles), all[0].Spread}, len(all)}
	if len(rates) > 1 {
		f.Spread = (slices.Max(rates) - slices.Min(rates)) / f.Rate
	}
	return f
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// ReadingOf works out the rate of all sectors: the hasher with most to do decides.
func ReadingOf(m engine.Measurement, sectors int, hz float64) (r Measured, err error) {
	var slowest, low, high float64 // seconds a node, all batches; low and high are of slow and fast parts
	var together float64           // labels a second of all hashers at that time
	for _, h := range m.Hashers {
		if h.Nodes == 0 {
			return r, ErrTimeUp
		}
		rate := float64(h.Nodes) / h.Took.Seconds()
		slow, fast := rate, rate
		if n := len(h.Slices); n >= 4 {
			sorted := slices.Sorted(slices.Values(h.Slices))
			rate, slow, fast = median(sorted), sorted[n/4], sorted[n-1-n/4]
		}
		batches := float64(h.Batches)
		slowest, low, high = max(slowest, batches/rate), max(low, batches/slow), max(high, batches/fast)
		together += rate * float64(h.Lanes)
	}
	r.Rate = float64(sectors) / slowest
	r.Cycles = hz * float64(len(m.Hashers)) / together
	r.Spread = slowest/high - slowest/low
	return r, nil
}
