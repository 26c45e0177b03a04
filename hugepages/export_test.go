package hugepages

import "maps"

// Available is what the machine can give without swapping, if it says so.
func Available() (uint64, bool) {
	n, _, ok := newSystem("/").available()
	return n, ok
}

// RaceEnabled says that the race detector watches.
const RaceEnabled = raceEnabled

// PoisonByte is what fresh bytes of a checked region are.
const PoisonByte = poisonByte

// An OverrunError is what Free finds in a checked region.
type OverrunError = overrunError

// WithCPUs has Populate's threads bound to CPUs.
func (o Options) WithCPUs(cpus ...int) Options {
	o.cpus = cpus
	return o
}

// WithThreads sets how many threads Populate uses.
func (o Options) WithThreads(n int) Options {
	o.threads = n
	return o
}

// WithChecks makes the region checked.
func (o Options) WithChecks(checked bool) Options {
	o.checked = checked
	return o
}

// HugeBytes is how much of the region is on huge pages by now.
func (r *Region) HugeBytes() (uint64, error) {
	b := r.Backing()
	return b.Huge, b.Err
}

// Refused says which kinds of page were tried before, and why they could not be had.
func (r *Region) Refused() []Refusal { return r.refused }

// ByPurpose is the usage of each purpose that ever had a region.
func (a *Accounting) ByPurpose() map[Purpose]Usage {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.by)
}
