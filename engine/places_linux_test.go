package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestKeepOff: who writes and reads files does not run where a hasher is.
func TestKeepOff(t *testing.T) {
	m := machine()
	if m == nil || len(m.Cores()) < 2 {
		t.Skip("needs two cores")
	}
	c := oneSector(t.TempDir())
	c.Machine = m
	c.MemoryMode = engine.OneLayer
	hasher := m.Allowed().Slice()[0]
	c.Places = []engine.Place{{Hasher: hasher}}
	off, err := topology.KeepOff(m, hasher)
	if err != nil {
		t.Skip(err)
	}
	mine, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_ = off.Release()
	want := allowed(string(mine))
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	c.Parents = hooked{g, func() {
		once.Do(func() {
			testkit.WaitFor(t, func() bool { // two writers, and the gatherer
				n := 0
				tasks, _ := filepath.Glob("/proc/self/task/*/status")
				for _, path := range tasks {
					if b, err := os.ReadFile(path); err == nil && allowed(string(b)) == want {
						n++
					}
				}
				return n >= 3
			})
		})
	}}
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func allowed(status string) string {
	_, list, _ := strings.Cut(status, "Cpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	return strings.TrimSpace(list)
}

// TestThreadNames: top and debuggers show which threads hash; when the job has ended, none is
// called so any more.
func TestThreadNames(t *testing.T) {
	m := machine()
	if m == nil || len(m.Cores()) < 2 {
		t.Skip("needs two cores")
	}
	cpus := m.Allowed().Slice()
	pin, err := topology.Pin(m, cpus[0])
	if err != nil {
		t.Skip(err)
	}
	_ = pin.Release()
	for _, test := range []struct {
		places []engine.Place
		want   []string
	}{
		{[]engine.Place{{Hasher: cpus[0], Producers: cpus[1:2]}}, []string{"sdr-files", "sdr-hash-0", "sdr-produce-0"}},
		{nil, []string{"sdr-hash-0"}},
	} {
		c := oneSector(t.TempDir())
		c.Machine, c.Places = m, test.places
		if c.Places == nil {
			c.Machine = nil
		}
		g, err := graph.New(porep.StackedDrg2KiBV1_1)
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		c.Parents = hooked{g, func() {
			once.Do(func() { testkit.WaitFor(t, func() bool { return slices.Equal(threadNames(), test.want) }) })
		}}
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := threadNames(); len(got) > 0 {
			t.Errorf("%d places: afterwards there are %q", len(test.places), got)
		}
	}
}

// threadNames are ours of the process's threads, each once.
func threadNames() (names []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, path := range tasks {
		if b, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(b), "sdr-") {
			names = append(names, strings.TrimSuffix(string(b), "\n"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
