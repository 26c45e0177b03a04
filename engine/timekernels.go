package engine

import (
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// TimeKernels is, for each kernel that runs here and may label so many sectors, the time in
// nanoseconds that it takes for a node with all its lanes, on this core: what it takes with all
// parents in the cache, and a share for memory. It is for Config.Cycles, where no profile has better.
// Which kernel is the best depends on how often a processor can start its SHA instructions,
// which no list of its features tells. It takes some milliseconds of the CPU for one sector
// and some tenths of a second for many, whatever else the core does meanwhile, and is nil if no measurements agree: then the typical order counts.
func TimeKernels(sectors int) map[string]float64 {
	runtime.LockOSThread() // whose time counts
	defer runtime.UnlockOSThread()
	clock := threadClock()
	const nodes = 64
	parents := make([]uint32, nodes*porep.Degree)
	for node := 1; node < nodes; node++ {
		row := parents[node*porep.Degree:][:porep.Degree]
		for slot := range row {
			row[slot] = uint32(node * (slot + 1) / (porep.Degree + 1)) // of nodes before, or any
		}
		row[0] = uint32(node - 1)
	}
	passes := map[string]func() time.Duration{}
	for _, k := range sha256.Kernels() {
		if !k.Usable() || !fitsLanes(k, max(1, sectors)) {
			continue
		}
		l := sha256.Layer{
			ReplicaIDs: make([][32]byte, k.Lanes),
			Number:     2,
			Labels:     linux.AlignedBuffer(nodes * k.Pitch()),
			Before:     linux.AlignedBuffer(nodes * k.Pitch()),
		}
		rows := sha256.NewRows(nodes)
		span := sha256.Span{ReplicaIDs: l.ReplicaIDs, Layer: l.Number, First: 1, Out: l.Labels[k.Pitch():], Rows: rows.Slice(1, nodes)}
		if rows.Locate(k, &l, parents) != nil {
			continue // cannot be: everything is in place
		}
		passes[k.Name] = func() time.Duration {
			began := clock()
			err := k.LabelSpan(&span)
			took := clock() - began
			runtime.KeepAlive(l) // the collector does not see that rows lead there
			if err != nil {
				return 0
			}
			return took
		}
	}
	times := shortest(passes)
	fastest := math.Inf(1)
	for _, took := range times {
		fastest = min(fastest, took)
	}
	for name := range times {
		times[name] = (times[name] + memoryShare*fastest) / (nodes - 1)
	}
	return times
}

// threadClock tells how much CPU time the calling thread has had: on a core that others want too, what
// they get of it does not count. Where that is not known, or only as of the last tick, it tells the time.
func threadClock() func() time.Duration {
	first, _ := linux.ThreadTime()
	if second, known := linux.ThreadTime(); known && second > first {
		return func() time.Duration { t, _ := linux.ThreadTime(); return t }
	}
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// How often each kernel is timed, at least and at most, how many times must agree, and how
// many shorter ones may be by luck, of a clock that ran faster for a moment, in the end.
const (
	fewestPasses = 9
	mostPasses   = 96
	agreeing     = 3
	lucky        = 2
)

// shortest is the shortest of each one's passes, in nanoseconds: a pass that was
// interrupted only seems slow. All have their turn in each round, so that what keeps a core busy
// for a while does not fall on one alone. A time counts only if others are as long: at best,
// but for a part of what is noise, and in the end, but for all of it. If there is none, nothing
// is known of any.
func shortest(passes map[string]func() time.Duration) map[string]float64 {
	took := map[string][]float64{} // ascending
	for round := 1; round <= mostPasses; round++ {
		for name, pass := range passes {
			n := float64(pass())
			if n <= 0 {
				delete(passes, name)
				delete(took, name)
				continue
			}
			i, _ := slices.BinarySearch(took[name], n)
			took[name] = slices.Insert(took[name], i, n)
		}
		if round < fewestPasses {
			continue
		}
		if times := agreed(took, 1+noise/4, 0); times != nil {
			return times
		}
	}
	return agreed(took, 1+noise, lucky)
}

// agreed is, of each one's times, which ascend, the first that the next ones are as long as,
// but for a few that were luck; nil if one has none.
func agreed(took map[string][]float64, same float64, lucky int) map[string]float64 {
	times := map[string]float64{}
	for name, all := range took {
		for i := range min(1+lucky, len(all)-agreeing+1) {
			if all[i+agreeing-1] <= same*all[i] {
				times[name] = all[i]
				break
			}
		}
		if times[name] == 0 {
			return nil
		}
	}
	return times
}

// memoryShare is what getting at a node's parents takes, as a share of what the fastest
// kernel takes for a node: on Zen 3, some 1,000 cycles of 2,500. It is much the same for
// a few lanes as for many, which share the pages that the parents lie in.
const memoryShare = 0.4
