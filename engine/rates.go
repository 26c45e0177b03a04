package engine

import "time"

// A Snapshot is where a job stood at a moment.
type Snapshot struct {
	At          time.Time
	Done, Total uint64 // labels
	Hashers     []HasherProgress
}

// Snapshot reads all of p. It costs those who write it nothing but the lines that
// it reads.
func (p *Progress) Snapshot() Snapshot {
	s := Snapshot{At: time.Now(), Hashers: p.Hashers()}
	s.Done, s.Total = p.Labels()
	return s
}

// Rates is how a job went between two snapshots.
type Rates struct {
	Labels  float64 // a second, of all hashers
	Hashing int     // hashers that had something to do
	Hashers []HasherRates
	// Left is how long the rest takes: that of the hasher that takes longest. 0 where
	// nothing tells it yet.
	Left time.Duration
}

// HasherRates is how one hasher went.
type HasherRates struct {
	Labels float64 // a second, of sectors
	Nodes  float64 // a second, with all lanes
	Waited Shares
}

// Total is the part of the time that the hasher waited for anything.
func (h HasherRates) Total() (sum float64) {
	for _, share := range h.Waited {
		sum += share
	}
	return sum
}

// Cycles is how many cycles a hashing core takes for a label, all lanes counted, at
// a clock of so many Hz; 0 where no label was made.
func (r Rates) Cycles(hz float64) float64 { return ratio(hz*float64(r.Hashing), r.Labels) }

// Cycles is how many cycles the hasher's core takes for a label.
func (h HasherRates) Cycles(hz float64) float64 { return ratio(hz, h.Labels) }

// Waited is the mean of what the hashers that had something to do waited.
func (r Rates) Waited() (mean Shares) {
	for _, h := range r.Hashers {
		for w, share := range h.Waited {
			mean[w] += ratio(share, float64(r.Hashing))
		}
	}
	return mean
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

func between(a, b *Snapshot) (r Rates) {
	r.Hashers = make([]HasherRates, len(b.Hashers))
	seconds := b.At.Sub(a.At).Seconds()
	if seconds <= 0 || len(a.Hashers) != len(b.Hashers) {
		return r
	}
	for i := range b.Hashers {
		was, is, h := &a.Hashers[i], &b.Hashers[i], &r.Hashers[i]
		if was.Left != (Left{}) {
			r.Hashing++
		}
		h.Labels = float64(is.Labels-min(was.Labels, is.Labels)) / seconds
		h.Nodes = float64(is.Nodes-min(was.Nodes, is.Nodes)) / seconds
		for w := range h.Waited {
			h.Waited[w] = min(1, max(0, (is.Waited[w]-was.Waited[w]).Seconds()/seconds))
		}
		r.Labels += h.Labels
	}
	return r
}

// A Watch makes rates of a job's snapshots: those of the last seconds, and, of each
// hasher, what it did in layer 1 and in later layers, which tell how long the rest
// takes. The zero Watch with Over is ready.
type Watch struct {
	Over time.Duration // what rates are the mean of

	recent []Snapshot
	first  []float64 // nodes a second in layer 1, by hasher; 0: not known
	later  []float64
}

// Add takes the next snapshot and returns the rates up to it.
func (w *Watch) Add(s Snapshot) Rates {
	if n := len(w.recent); n > 0 && (len(w.recent[n-1].Hashers) != len(s.Hashers) || s.Done < w.recent[n-1].Done) {
		w.recent = nil // another job
	}
	if len(w.recent) == 0 {
		w.first, w.later = make([]float64, len(s.Hashers)), make([]float64, len(s.Hashers))
	}
	w.recent = append(w.recent, s)
	for len(w.recent) > 2 && s.At.Sub(w.recent[1].At) >= w.Over {
		w.recent = w.recent[1:]
	}
	a := &w.recent[0]
	r := between(a, &s)
	for i, h := range s.Hashers {
		// Of layers with different rates, the one that has been left keeps the rate
		// that it had; the one that was entered has its own from there on.
		from := a
		for j := range w.recent {
			if isFirst(&w.recent[j].Hashers[i]) == isFirst(&h) {
				from = &w.recent[j]
				break
			}
		}
		seconds := s.At.Sub(from.At).Seconds()
		rate := ratio(float64(h.Nodes-min(from.Hashers[i].Nodes, h.Nodes)), seconds)
		switch {
		case seconds <= 0 || rate == 0:
		case isFirst(&h):
			w.first[i] = rate
		default:
			w.later[i] = rate
		}
		r.Left = max(r.Left, leftOf(h.Left, w.first[i], w.later[i]))
	}
	return r
}

func isFirst(h *HasherProgress) bool { return h.Layer <= 1 }

// leftOf is how long nodes take at these rates. Where one is not known, the other
// stands for it.
func leftOf(l Left, first, later float64) time.Duration {
	if first == 0 {
		first = later
	}
	if later == 0 {
		later = first
	}
	seconds := ratio(float64(l.First), first) + ratio(float64(l.Later), later)
	const most = 100 * 365 * 24 * 3600 // what a Duration holds
	return time.Duration(min(seconds, most) * float64(time.Second))
}
