package lockstep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// zeroSector is a golden sector of 2 KiB without deals, before phase 1.
func zeroSector(t *testing.T) (seal.Sector, golden.Sector) {
	t.Helper()
	for _, g := range golden.ZeroSectors() {
		if g.RegisteredProof != porep.StackedDrg2KiBV1_1.String() {
			continue
		}
		dir := t.TempDir()
		s := seal.Sector{
			Proof: porep.StackedDrg2KiBV1_1, CacheDir: filepath.Join(dir, "cache"), Staged: seal.DevZero, Sealed: filepath.Join(dir, "sealed"),
			ProverID: must(porep.ParseProverID(g.ProverID)), Number: g.SectorID, Ticket: must(porep.ParseTicket(g.Ticket)),
		}
		if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
			t.Fatal(err)
		}
		return s, g
	}
	t.Fatal("no golden sector of 2 KiB without deals")
	return seal.Sector{}, golden.Sector{}
}

// right reports how a sector's last layer and sealed differ from the reference's.
func right(t *testing.T, s seal.Sector, g golden.Sector) {
	t.Helper()
	last := g.Layers[len(g.Layers)-1]
	if got := testkit.Digest(t, filepath.Join(s.CacheDir, "sc-02-data-layer-2.dat")); got != last.SHA256 {
		t.Errorf("layer 2 is %s, want %s", got, last.SHA256)
	}
	if s.Sealed != "" {
		if got := testkit.Digest(t, s.Sealed); got != g.SealedSHA256 {
			t.Errorf("sealed is %s, want %s", got, g.SealedSHA256)
		}
	}
}

// A noted joiner's machine tells what waits for cores.
type noted struct {
	*Joiner
	waiting chan sealer.Note
}

func open(t *testing.T, o Options, settings sealer.Settings) noted {
	t.Helper()
	waiting := make(chan sealer.Note, 100)
	m, err := sealer.Open(t.Context(), sealer.Options{Settings: settings, LockDir: filepath.Join(t.TempDir(), "locks"), Notes: func(n sealer.Note) {
		if n.Kind == sealer.NoteWaiting {
			waiting <- n
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	// A job whose calls have all left may still be taking cores, in a directory that goes.
	t.Cleanup(j.work.Wait)
	return noted{j, waiting}
}

// allCores holds all cores, so that other calls wait.
func (j noted) allCores(t *testing.T) *sealer.Hold {
	t.Helper()
	h, err := j.machine.HoldFree(t.Context(), must(j.machine.Look(t.Context())), sealer.Job{Name: "all"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// joined waits until so many calls are under way.
func (j noted) joined(t *testing.T, calls int) {
	t.Helper()
	testkit.WaitFor(t, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.calls) == calls
	})
}

// Calls that come one at a time are one job, and their files the reference's.
func TestJoined(t *testing.T) {
	const sectors = 6
	j := open(t, Options{Wait: time.Hour, Sectors: sectors}, sealer.Settings{})
	all := j.allCores(t)
	var calls sync.WaitGroup
	var names []string
	for i := range sectors {
		s, g := zeroSector(t)
		names = append(names, fmt.Sprint("sector ", i))
		calls.Go(func() {
			var progress *seal.Progress
			of := 0
			out, err := j.PreCommit1(WithProgress(t.Context(), func(p *seal.Progress, sectors int) { progress, of = p, sectors }), s, names[i])
			if err != nil {
				t.Error(err)
				return
			}
			if of != sectors || progress.Stage() < seal.StageLabels {
				t.Errorf("it was watched with %d sectors, want %d, at %v, want labels", of, sectors, progress.Stage())
			}
			if want := strings.ReplaceAll(g.P1Output, "$CACHE", s.CacheDir); string(must(out.JSON())) != want {
				t.Errorf("%s, want %s", must(out.JSON()), want)
			}
			right(t, s, g)
		})
		j.joined(t, i+1)
	}
	if n, want := <-j.waiting, strings.Join(names[:4], ", ")+", 2 more"; n.Job != want {
		t.Errorf("%q waits, want %q", n.Job, want)
	}
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
	if len(j.waiting) > 0 {
		t.Errorf("%v waits, too", <-j.waiting)
	}
}

// What there is no room for together goes apart.
func TestApart(t *testing.T) {
	const sectors = 5
	// Two sectors are to have two cores; there is one.
	one := topology.NewCPUSet(must(topology.Read()).Allowed().Slice()[0])
	j := open(t, Options{Wait: time.Hour, Sectors: sectors}, sealer.Settings{Policy: sealer.PolicyList, CPUs: one, Hashers: 2})
	all := j.allCores(t) // or the first would not wait for the others
	var calls sync.WaitGroup
	for i := range sectors {
		s, g := zeroSector(t)
		calls.Go(func() {
			if _, err := j.PreCommit1(t.Context(), s, fmt.Sprint(i)); err != nil {
				t.Error(err)
				return
			}
			right(t, s, g)
		})
	}
	j.joined(t, sectors)
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
}

// A job waits for no more sectors than there is room for.
func TestNoMoreFit(t *testing.T) {
	one := topology.NewCPUSet(must(topology.Read()).Allowed().Slice()[0])
	for _, j := range []noted{
		open(t, Options{Wait: time.Hour}, sealer.Settings{Kernel: "generic/1", Hashers: 1}),                              // one lane
		open(t, Options{Wait: time.Hour, Sectors: 5}, sealer.Settings{Policy: sealer.PolicyList, CPUs: one, Hashers: 5}), // one core
	} {
		if most, err := j.machine.Most(t.Context(), porep.StackedDrg2KiBV1_1, 1); most == 0 {
			t.Skipf("how many sectors there is room for cannot be told here, so a job waits for its hour: %v", err)
		}
		for range 2 {
			s, g := zeroSector(t)
			if _, err := j.PreCommit1(t.Context(), s, "one"); err != nil {
				t.Fatal(err)
			}
			right(t, s, g)
		}
	}
}

// A sector that can never have its memory does not wait for others, nor for who has it now.
func TestNeverFits(t *testing.T) {
	for _, policy := range []sealer.Policy{sealer.PolicyAuto, sealer.PolicyNone} {
		for _, wait := range []time.Duration{0, time.Hour} {
			j := open(t, Options{Wait: wait}, sealer.Settings{Policy: policy, Budget: 1 << 20})
			all := j.allCores(t)
			s, _ := zeroSector(t)
			s.Proof = porep.StackedDrg8MiBV1_1
			if err := os.Truncate(s.Sealed, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := j.PreCommit1(t.Context(), s, "large"); err == nil || errors.Is(err, seal.ErrBusy) || !strings.Contains(err.Error(), "budget") {
				t.Errorf("%v, %v: %v, want that it does not fit the budget", policy, wait, err)
			}
			if err := all.Release(); err != nil {
				t.Error(err)
			}
		}
	}
}

// What is wrong with one call is its own affair.
func TestWrongAmongRight(t *testing.T) {
	j := open(t, Options{Wait: time.Hour, Sectors: 2}, sealer.Settings{})
	s, g := zeroSector(t)
	first := make(chan error, 1)
	go func() {
		_, err := j.PreCommit1(t.Context(), s, "first")
		first <- err
	}()
	lacking, _ := zeroSector(t)
	lacking.Staged = filepath.Join(t.TempDir(), "missing")
	if _, err := j.PreCommit1(t.Context(), lacking, "lacking"); !errors.As(err, new(*seal.PathError)) {
		t.Errorf("%v, want a PathError", err)
	}
	// Its pieces are not what its data is: that shows when the job has begun.
	other, _ := zeroSector(t)
	other.Pieces = []porep.Piece{{CommP: porep.Commitment{1}, Size: 2032}}
	if _, err := j.PreCommit1(t.Context(), other, "other"); !errors.As(err, new(*seal.DataError)) {
		t.Errorf("%v, want a DataError", err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	right(t, s, g)
}

func TestSDR(t *testing.T) {
	j := open(t, Options{Wait: time.Hour, Sectors: 2}, sealer.Settings{})
	var calls sync.WaitGroup
	for range 2 {
		s, g := zeroSector(t)
		s.Sealed = ""
		calls.Go(func() {
			if err := j.GenerateSDR(t.Context(), s.Proof, engine.Sector{CacheDir: s.CacheDir, ReplicaID: must(porep.ParseReplicaID(g.ReplicaID))}, engine.KeepLast, "sdr"); err != nil {
				t.Error(err)
				return
			}
			right(t, s, g)
		})
	}
	calls.Wait()
	if err := j.GenerateSDR(t.Context(), porep.StackedDrg2KiBV1_1, engine.Sector{CacheDir: "/nowhere/at/all"}, engine.KeepAll, "sdr"); !errors.As(err, new(*seal.PathError)) {
		t.Errorf("%v, want a PathError", err)
	}
}

var errEnough = errors.New("enough")

// A call that leaves before its job has cores is gone at once, and the others go on. Who
// uses another's files is refused.
func TestLeaves(t *testing.T) {
	for _, began := range []bool{false, true} { // the job waits for others, or for cores
		j := open(t, Options{Wait: time.Hour, Sectors: 3}, sealer.Settings{})
		all := j.allCores(t)
		s, g := zeroSector(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := j.PreCommit1(ctx, s, "leaves")
			left <- err
		}()
		j.joined(t, 1)
		if _, err := j.PreCommit1(t.Context(), s, "the same"); !errors.Is(err, seal.ErrBusy) {
			t.Errorf("the same sector: %v, want %v", err, seal.ErrBusy)
		}
		var calls sync.WaitGroup
		stay := func() {
			s, _ := zeroSector(t)
			calls.Go(func() {
				if _, err := j.PreCommit1(t.Context(), s, "stays"); err != nil {
					t.Error(err)
				}
				right(t, s, g)
			})
		}
		stay()
		if began {
			stay()
			<-j.waiting
		}
		cancel(errEnough)
		if err := <-left; !errors.Is(err, errEnough) {
			t.Errorf("%v, want %v", err, errEnough)
		}
		if !began {
			stay()
			stay()
		}
		if err := all.Release(); err != nil {
			t.Error(err)
		}
		calls.Wait()
		if entries, err := os.ReadDir(s.CacheDir); err != nil || len(entries) > 0 {
			t.Errorf("who left has %v, %v", entries, err)
		}
		// What it used is free again.
		ctx, cancel = context.WithCancelCause(t.Context())
		cancel(errEnough)
		if _, err := j.PreCommit1(ctx, s, "late"); !errors.Is(err, errEnough) {
			t.Errorf("%v, want %v", err, errEnough)
		}
		if len(j.calls) > 0 || len(j.next) > 0 {
			t.Errorf("left: %v, %v", j.calls, j.next)
		}
	}
}

// When nobody waits for a job any more, it ends, at work or not, and leaves nothing unfinished.
func TestAllLeave(t *testing.T) {
	j := open(t, Options{Wait: time.Hour, Sectors: 2}, sealer.Settings{})
	all := j.allCores(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var calls sync.WaitGroup
	for i := range 2 {
		s, g := zeroSector(t)
		calls.Go(func() {
			_, err := j.PreCommit1(ctx, s, fmt.Sprint(i))
			if err == nil {
				right(t, s, g)
			} else if !errors.Is(err, errEnough) {
				t.Error(err)
			}
			for _, e := range must(os.ReadDir(s.CacheDir)) {
				if strings.Contains(e.Name(), "tmp") {
					t.Errorf("left: %s", e.Name())
				}
			}
		})
	}
	j.joined(t, 2)
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	cancel(errEnough)
	calls.Wait()
}

// A call that returns because its context has ended has left nothing unfinished: a host's process may
// end then.
func TestNothingLeft(t *testing.T) {
	j := open(t, Options{}, sealer.Settings{Kernel: "generic/1"})
	for range 50 {
		s, g := zeroSector(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := j.PreCommit1(ctx, s, "one")
			ended <- err
		}()
		unfinished := func(of string) (names []string) {
			names, _ = filepath.Glob(filepath.Join(s.CacheDir, "."+of+"*"))
			return names
		}
		for len(unfinished("sc-02-data-layer")) == 0 && len(ended) == 0 { // labels have begun
			runtime.Gosched()
		}
		cancel(errEnough)
		if err := <-ended; err == nil {
			right(t, s, g)
		} else if !errors.Is(err, errEnough) {
			t.Error(err)
		}
		if left := unfinished(""); len(left) > 0 {
			t.Fatalf("left: %v", left)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Wait: -1}, {Sectors: -1}, {Sectors: engine.MaxSectors + 1}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v are taken", o)
		}
	}
}

// A fault of ours is an error of the job, whose caller is nobody.
func TestPanic(t *testing.T) {
	b := newJob(t.Context(), kind{})
	if err := b.seal(nil, []*call{{name: "mine"}}); err == nil || !strings.Contains(err.Error(), "sealing mine: a fault of the program: ") || !strings.Contains(err.Error(), "lockstep.go") {
		t.Errorf("%v, want the fault and where it was", err)
	}
}
