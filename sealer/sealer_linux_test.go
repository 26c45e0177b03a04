package sealer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// A noted machine tells, by job, when calls wait.
type noted struct {
	*Machine
	waiting chan Note
}

func openNoted(t *testing.T, o Options) noted {
	t.Helper()
	waiting := make(chan Note, 100)
	o.Notes = func(n Note) {
		if n.Kind == NoteWaiting {
			waiting <- n
		}
	}
	m, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return noted{m, waiting}
}

// allCores holds all cores of a machine.
func allCores(t *testing.T, m *Machine) *Hold {
	t.Helper()
	v, err := m.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.HoldFree(t.Context(), v, Job{Name: "all"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const proof = porep.StackedDrg2KiBV1_1

// Calls that wait are served in the order in which they were made, and who gives up is
// passed over.
func TestFirstComeFirstServed(t *testing.T) {
	rounds, calls := testkit.Rounds(8, 50), 5
	dir := filepath.Join(t.TempDir(), "locks")
	m := openNoted(t, Options{LockDir: dir})
	// Where nobody may take locks, the order is the machine's own.
	unlocked := openNoted(t, Options{})
	unlocked.dir = t.TempDir()
	if err := os.Chmod(unlocked.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		serveInOrder(t, calls, m)
		serveInOrder(t, calls, unlocked)
	}
	// Two machines are as two processes. Each looks four times a second.
	serveInOrder(t, calls, m, openNoted(t, Options{LockDir: dir}))
}

func serveInOrder(t *testing.T, calls int, machines ...noted) {
	t.Helper()
	for _, m := range machines {
		// Two may be served at a time, and the test of the first one's cores take longer.
		m.testCores = func(context.Context, engine.Config, int) error { return nil }
	}
	all := allCores(t, machines[0].Machine)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const quits = 2
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range calls {
		m := machines[i%len(machines)]
		wg.Go(func() {
			ctx := ctx
			if i != quits {
				ctx = t.Context()
			}
			h, err := m.Hold(ctx, proof, 1, Job{Name: fmt.Sprint(i), Wait: true})
			if i == quits {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("who gave up: %v", err)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		})
		if n := <-m.waiting; n.Job != fmt.Sprint(i) {
			t.Fatalf("call %d is told to wait as %v", i, n)
		}
	}
	// Who does not wait is refused, whatever is free, and told who is before.
	busy := (*BusyError)(nil)
	if _, err := machines[0].Hold(t.Context(), proof, 1, Job{Name: "hasty"}); !errors.As(err, &busy) || len(busy.Ahead) == 0 || busy.Ahead[0].Job != "0" {
		t.Errorf("%v", err)
	}
	cancel()
	if err := all.Release(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if want := []int{0, 1, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("served in the order %v, want %v", order, want)
	}
	if left, err := filepath.Glob(filepath.Join(machines[0].dir, "turn-*")); err != nil || len(left) > 0 {
		t.Errorf("left in the queue: %v, %v", left, err)
	}
}

// Who does not wait is told what is short, and who has it.
func TestBusy(t *testing.T) {
	locks := filepath.Join(t.TempDir(), "locks")
	readOnly := t.TempDir() // where nobody can take locks
	if err := os.Chmod(readOnly, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{locks, readOnly} {
		var notes []Note
		m, err := Open(t.Context(), Options{Notes: func(n Note) { notes = append(notes, n) }})
		if err != nil {
			t.Fatal(err)
		}
		m.dir = dir // as if it were the machine's
		all := allCores(t, m)
		_, err = m.Hold(t.Context(), proof, 1, Job{Name: "second"})
		busy := (*BusyError)(nil)
		if !errors.As(err, &busy) || len(busy.Held) != 1 || busy.Held[0].Job != "all" || busy.Held[0].PID != os.Getpid() ||
			!slices.ContainsFunc(busy.Limits, func(l placement.Limit) bool { return l.Kind == placement.LimitCores }) {
			t.Errorf("%s: %v", dir, err)
		}
		if err := all.Release(); err != nil {
			t.Error(err)
		}
		h, err := m.Hold(t.Context(), proof, 1, Job{})
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if err := errors.Join(h.Release(), h.Release(), m.Close()); err != nil {
			t.Error(err)
		}
		told := slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == NoteNotReserved && len(n.Cores) > 0 })
		if told != (dir == readOnly) {
			t.Errorf("%s: notes %v", dir, notes)
		}
		if _, err := m.Hold(t.Context(), proof, 1, Job{}); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed machine: %v", err)
		}
	}
}

// What no job can give back is not waited for.
func TestNoRoom(t *testing.T) {
	machine, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	one := topology.NewCPUSet(machine.Allowed().Slice()[0])
	m := openNoted(t, Options{LockDir: filepath.Join(t.TempDir(), "locks"), Settings: Settings{Policy: PolicyList, CPUs: one, Hashers: 2}})
	// One sector has one hasher.
	h, err := m.Hold(t.Context(), proof, 1, Job{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	for _, held := range []bool{false, true} {
		if held {
			all := allCores(t, m.Machine)
			defer all.Release()
		}
		_, err := m.Hold(t.Context(), proof, 2, Job{Wait: true})
		if none := (*NoRoomError)(nil); !errors.As(err, &none) || len(none.Limits) == 0 {
			t.Errorf("two hashers on one core, held %v: %v", held, err)
		}
	}
}

// forOneAndAHalf is the memory that a sector of 8 MiB takes, and half as much again.
func (n noted) forOneAndAHalf(t *testing.T) uint64 {
	t.Helper()
	h, err := n.Hold(t.Context(), porep.StackedDrg8MiBV1_1, 1, Job{})
	if err != nil {
		t.Fatal(err)
	}
	budget := h.bytes * 3 / 2
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	return budget
}

// All calls of a machine share its budget.
func TestMemoryShort(t *testing.T) {
	for _, policy := range []Policy{PolicyAuto, PolicyNone} {
		o := Options{LockDir: filepath.Join(t.TempDir(), "locks"), Settings: Settings{Policy: policy, Kernel: "generic/1", Hashers: 1}}
		o.Budget = openNoted(t, o).forOneAndAHalf(t)
		m := openNoted(t, o)
		first, err := m.Hold(t.Context(), porep.StackedDrg8MiBV1_1, 1, Job{Name: "first"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Hold(t.Context(), porep.StackedDrg8MiBV1_1, 1, Job{Name: "second"})
		if busy := (*BusyError)(nil); !errors.As(err, &busy) || !slices.ContainsFunc(busy.Held, func(h reserve.Holder) bool { return h.Job == "first" }) ||
			len(busy.Limits) == 0 {
			t.Errorf("%v: memory for one: %v", policy, err)
		}
		got := make(chan error)
		go func() {
			h, err := m.Hold(t.Context(), porep.StackedDrg8MiBV1_1, 1, Job{Name: "third", Wait: true})
			if err == nil {
				err = h.Release()
			}
			got <- err
		}()
		<-m.waiting
		if err := first.Release(); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Errorf("%v: who waited for memory: %v", policy, err)
		}
	}
}

// A machine that is closed lets nobody wait.
func TestCloseEndsWaiting(t *testing.T) {
	m := openNoted(t, Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	all := allCores(t, m.Machine)
	defer all.Release()
	got := make(chan error)
	for range 2 {
		go func() {
			_, err := m.Hold(t.Context(), proof, 1, Job{Wait: true})
			got <- err
		}()
		<-m.waiting
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// Calls at the same time have cores of their own, and GOMAXPROCS is what it was when
// all have ended.
func TestCallsAtTheSameTime(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	if err != nil {
		t.Fatal(err)
	}
	g := golden.ZeroSectors()[0]
	p, err := porep.ParseSealProof(g.RegisteredProof)
	if err != nil {
		t.Fatal(err)
	}
	id, err := porep.ParseReplicaID(g.ReplicaID)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	taken := map[topology.CPU]bool{}
	var wg sync.WaitGroup
	for range 8 {
		dir := t.TempDir()
		wg.Go(func() {
			h, err := m.Hold(t.Context(), p, 1, Job{Wait: true})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			for _, place := range h.Config().Places {
				if taken[place.Hasher] {
					t.Errorf("CPU %d hashes for two calls", place.Hasher)
				}
				taken[place.Hasher] = true
			}
			mu.Unlock()
			r, err := h.GenerateSDR(t.Context(), []engine.Sector{{ReplicaID: id, CacheDir: dir}})
			if err != nil || len(r.Sectors) != 1 || r.Sectors[0].Err != nil {
				t.Errorf("%+v, %v", r.Sectors, err)
			}
			mu.Lock()
			for _, place := range h.Config().Places {
				delete(taken, place.Hasher)
			}
			mu.Unlock()
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("GOMAXPROCS is %d, was %d", after, before)
	}
}

func TestGOMAXPROCS(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	lower := raiseProcs(3)
	second := raiseProcs(2)
	if got, want := runtime.GOMAXPROCS(0), max(before, runtime.NumCPU()+5); got != want {
		t.Errorf("with 5 threads %d, want %d", got, want)
	}
	lower()
	lower() // once is enough
	if got, want := runtime.GOMAXPROCS(0), max(before, runtime.NumCPU()+2); got != want {
		t.Errorf("with 2 threads %d, want %d", got, want)
	}
	second()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("at the end %d, want %d", got, before)
	}
	lower = raiseProcs(1)
	runtime.GOMAXPROCS(before + 7) // somebody else decides
	lower()
	if got := runtime.GOMAXPROCS(0); got != before+7 {
		t.Errorf("at the end %d, want what was set meanwhile, %d", got, before+7)
	}
}

// Wrong options are told all at once.
func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{LockDir: dir, HugeTLBFS: t.TempDir(), Settings: Settings{Kernel: "sse2/3", Policy: PolicyPack, CPUs: topology.NewCPUSet(1)}})
	for _, want := range []string{"world-writable", "HugeTLBFS", "Kernel", "CPUs"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	if wrong := (*OptionError)(nil); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.PreCommit1(t.Context(), nil, Job{}); err == nil {
		t.Error("no sectors")
	}
	if _, err := m.GenerateSDR(t.Context(), 77, make([]engine.Sector, 1), Job{}); err == nil {
		t.Error("no proof")
	}
	if _, err := m.Measure(t.Context(), proof, make([]engine.Sector, 1), time.Second, Job{}); err == nil {
		t.Error("too small to measure")
	}
	// Wrong sectors are refused before they wait, all of them.
	all := allCores(t, m)
	defer all.Release()
	_, err = m.PreCommit1(t.Context(), []seal.Sector{{Proof: proof, Staged: "none"}, {Proof: porep.StackedDrg8MiBV1}}, Job{Wait: true})
	for _, want := range []string{"stat none", "sealed", "cache dir", "sector 1 is of proof StackedDrg8MiBV1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// Calls share a parent cache and its copies in memory, which go with the last of them.
func TestSharedParents(t *testing.T) {
	dir := t.TempDir()
	if _, err := parentcache.Generate(t.Context(), proof, dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, inMemory := range []bool{false, true} {
		m, err := Open(t.Context(), Options{ParentCache: dir, ParentsInMemory: inMemory, Settings: Settings{Policy: PolicyNone}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := m.Hold(t.Context(), proof, 1, Job{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := m.Hold(t.Context(), proof, 1, Job{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := first.Config(), second.Config()
		if a.Parents == nil || a.Parents != b.Parents || (len(a.NUMAParents) > 0) != inMemory || m.parents.open[proof].users != 2 {
			t.Errorf("in memory %v: %v, %v", inMemory, a.Parents, b.Parents)
		}
		if err := errors.Join(first.Release(), first.Release()); err != nil {
			t.Error(err)
		}
		row := make([]uint32, porep.Degree)
		if err := b.Parents.Parents(row, 1); err != nil {
			t.Errorf("in memory %v: the other call's parents: %v", inMemory, err)
		}
		if err := second.Release(); err != nil || len(m.parents.open) != 0 {
			t.Errorf("in memory %v: %v, left %v", inMemory, err, m.parents.open)
		}
	}
	m, err := Open(t.Context(), Options{ParentCache: t.TempDir(), LockDir: filepath.Join(t.TempDir(), "locks")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // what fails gives its cores back
		if _, err := m.Hold(t.Context(), proof, 1, Job{}); err == nil || errors.As(err, new(*BusyError)) {
			t.Errorf("no parent cache: %v", err)
		}
	}
}

// The package talks to its caller alone.
func TestNoStreams(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	forbidden := regexp.MustCompile(`os\.(Getenv|LookupEnv|Environ|Args|Std|User)|fmt\.Print|"log"|"flag"`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %s", path, found)
		}
	}
}
