package engine_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// snapshot is where two hashers of two lanes each stand after some seconds.
func snapshot(seconds float64, layer int, nodes uint64, waited engine.Waits) engine.Snapshot {
	const inLayer, layers = 1000, 3
	s := engine.Snapshot{At: start.Add(time.Duration(seconds * float64(time.Second))), Total: 4 * layers * inLayer}
	for range 2 {
		h := engine.HasherProgress{Layer: layer, Nodes: nodes, Labels: 2 * nodes, Waited: waited}
		h.Left.First = inLayer - min(nodes, inLayer)
		h.Left.Later = layers*inLayer - nodes - h.Left.First
		s.Hashers = append(s.Hashers, h)
		s.Done += h.Labels
	}
	return s
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }

// ratesBetween is how a job went from one snapshot to a later one.
func ratesBetween(a, b engine.Snapshot) engine.Rates {
	w := engine.Watch{Over: b.At.Sub(a.At)}
	w.Add(a)
	return w.Add(b)
}

func TestRatesBetween(t *testing.T) {
	a := snapshot(10, 2, 1000, engine.Waits{})
	b := snapshot(14, 2, 1400, engine.Waits{engine.WaitParents: time.Second, engine.WaitDisk: 2 * time.Second})
	r := ratesBetween(a, b)
	if !near(r.Labels, 400) || r.Hashing != 2 || r.Left != 16*time.Second {
		t.Errorf("%+v, want 400 labels a second of 2 hashers and 16 s more", r)
	}
	for _, h := range r.Hashers {
		if !near(h.Labels, 200) || !near(h.Nodes, 100) || h.Waited != [3]float64{0.25, 0, 0.5} || !near(h.Total(), 0.75) {
			t.Errorf("%+v, want 200 labels and 100 nodes a second, a quarter for parents, half for the disk", h)
		}
		if got := h.Cycles(4e9); !near(got, 2e7) {
			t.Errorf("%v cycles a label, want 2e7", got)
		}
	}
	if got := r.Cycles(4e9); !near(got, 2e7) {
		t.Errorf("%v cycles a label, want 2e7: two cores make twice as many", got)
	}
	if got := r.Waited(); got != [3]float64{0.25, 0, 0.5} {
		t.Errorf("waited %v on average", got)
	}
}

// Snapshots that say nothing together give nothing, not an infinity.
func TestRatesOfNothing(t *testing.T) {
	a := snapshot(10, 1, 100, engine.Waits{})
	other := snapshot(12, 1, 200, engine.Waits{})
	other.Hashers = other.Hashers[:1]
	for _, b := range []engine.Snapshot{a, other, {At: a.At.Add(time.Second)}, {}} {
		r := ratesBetween(a, b)
		if r.Labels != 0 || r.Hashing != 0 || r.Left != 0 || r.Cycles(1e9) != 0 || r.Waited() != [3]float64{} || len(r.Hashers) != len(b.Hashers) {
			t.Errorf("%+v", r)
		}
	}
	done := snapshot(20, 3, 3000, engine.Waits{})
	after := done
	after.At = done.At.Add(time.Second)
	if r := ratesBetween(done, after); r.Hashing != 0 || r.Left != 0 {
		t.Errorf("of a job that is over: %+v", r)
	}
}

// TestWatch: rates are of the last seconds, and the estimate knows that layer 1
// goes faster.
func TestWatch(t *testing.T) {
	w := engine.Watch{Over: 4 * time.Second}
	left := func(seconds float64, layer int, nodes uint64, want float64) engine.Rates {
		t.Helper()
		r := w.Add(snapshot(seconds, layer, nodes, engine.Waits{}))
		if got := r.Left.Seconds(); math.Abs(got-want) > 1e-6 {
			t.Errorf("after %v s, node %d: %v s are left, want %v", seconds, nodes, got, want)
		}
		return r
	}
	left(0, 0, 0, 0)
	left(1, 1, 200, 14) // 2,800 nodes at 200 a second
	left(5, 1, 1000, 10)
	left(5, 2, 1000, 10)       // nothing known of layer 2 yet
	left(6, 2, 1100, 19)       // 1,900 at 100 a second, though most of the window was in layer 1
	left(10, 2, 1500, 15)      //
	r := left(14, 3, 1900, 11) //
	if r.Labels != 400 {       // the last 4 s
		t.Errorf("%v labels a second, want 400", r.Labels)
	}
	// The next batch begins with layer 1 again, whose rate is still known.
	s := snapshot(15, 2, 2000, engine.Waits{})
	for i := range s.Hashers {
		s.Hashers[i].Left.First = 1000
	}
	if got, want := w.Add(s).Left, 15*time.Second; got != want {
		t.Errorf("%v are left, want %v: 1,000 nodes at 100 a second, 1,000 at 200", got, want)
	}
	// Fewer labels than before are another job's.
	left(16, 1, 0, 0)
}

// TestSnapshots: what others read while a job runs fits together: nothing goes back,
// what is left and what was done are all there is, and layers follow one another.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	kernel := "generic/1"
	for _, k := range sha256.Kernels() {
		if k.Usable() && k.Lanes == 1 && k.Name != kernel {
			kernel = k.Name
			break
		}
	}
	proof := porep.StackedDrg8MiBV1_1
	if testing.Short() {
		proof = porep.StackedDrg2KiBV1_1
	}
	c := engine.Config{Proof: proof, Sectors: sectors(t, 2), Hashers: 1, Kernel: kernel, Layers: 2}
	for _, first := range []int{1, 2}[:testkit.Rounds(1, 2)] { // the layers of the first time are there the second time
		for i := range c.Sectors {
			beginAt(t, &c.Sectors[i], first)
		}
		c.Progress = new(engine.Progress)
		ended := make(chan error, 1)
		go func() {
			_, err := engine.Run(t.Context(), c)
			ended <- err
		}()
		nodes := c.Proof.SectorSize().Nodes()
		total := 2 * nodes * uint64(3-first)
		var before engine.HasherProgress
		check := func(s engine.Snapshot) {
			if len(s.Hashers) == 0 {
				return
			}
			h := s.Hashers[0]
			if h.Labels < before.Labels || h.Waited.Total() < before.Waited.Total()-time.Millisecond {
				t.Errorf("%+v after %+v", h, before)
			}
			if left := h.Left.First + h.Left.Later; left+h.Nodes > total+nodes {
				t.Errorf("%d nodes are left and %d done, of %d", left, h.Nodes, total)
			}
			if h.Kernel != "" && (h.Layer < first || h.Layer > 2 || h.Node > nodes || len(h.Sectors) != 1) {
				t.Errorf("%+v", h)
			}
			before = h
		}
		poll := time.NewTicker(time.Millisecond)
		for over := false; !over; {
			select {
			case <-poll.C:
			case err := <-ended:
				if err != nil {
					t.Fatal(err)
				}
				over = true
			}
			check(c.Progress.Snapshot())
		}
		if before.Left != (engine.Left{}) || before.Layer != 2 || before.Node != nodes || before.Nodes != total || before.Sectors[0] != 1 {
			t.Errorf("at the end %+v", before)
		}
	}
}

// TestWaitMemory: where each page must be known to be on its NUMA node, no label is
// made before it is, and the hasher says that it waits for memory.
func TestWaitMemory(t *testing.T) {
	for _, strict := range []bool{true, false} {
		c := engine.Config{Proof: porep.StackedDrg8MiBV1_1, Sectors: sectors(t, 1), Layers: 1, StrictNUMA: strict, Progress: new(engine.Progress)}
		release := make(chan struct{})
		hooks := engine.Hooks{Memory: func(int) { <-release }}
		ended := make(chan error, 1)
		go func() {
			_, err := hooks.Run(t.Context(), c)
			ended <- err
		}()
		var h engine.HasherProgress
		for h.Waited[engine.WaitMemory] < 20*time.Millisecond && h.Labels == 0 {
			if all := c.Progress.Hashers(); len(all) > 0 {
				h = all[0]
			}
		}
		if waits := h.Labels == 0; waits != strict {
			t.Errorf("strict %v: %+v before the memory is there", strict, h)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		h = c.Progress.Hashers()[0]
		if waited := h.Waited[engine.WaitMemory] > 0; waited != strict || h.Labels != c.Proof.SectorSize().Nodes() {
			t.Errorf("strict %v: at the end %+v", strict, h)
		}
	}
}

// A job that waits for memory can be canceled.
func TestWaitMemoryCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 1), StrictNUMA: true, Progress: new(engine.Progress)}
	woken := make(chan struct{})
	hooks := engine.Hooks{Memory: func(int) { <-woken }}
	ended := make(chan error, 1)
	go func() {
		_, err := hooks.Run(ctx, c)
		ended <- err
	}()
	for all := c.Progress.Hashers(); len(all) == 0 || all[0].Waited[engine.WaitMemory] == 0; all = c.Progress.Hashers() {
	}
	cancel()
	// The memory comes no sooner than the hasher has given up, which shows in that its
	// wait grows no more.
	for before := time.Duration(-1); ; time.Sleep(5 * time.Millisecond) {
		now := c.Progress.Hashers()[0].Waited[engine.WaitMemory]
		if now == before {
			break
		}
		before = now
	}
	close(woken)
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}
