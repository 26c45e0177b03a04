package sealer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// What a call does, and what one that has to wait waits for, other processes see.
func TestTold(t *testing.T) {
	machine, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		LockDir: filepath.Join(t.TempDir(), "locks"), Program: "host",
		Settings: Settings{Kernel: "generic/1", Hashers: 1, Policy: PolicyList, CPUs: topology.NewCPUSet(machine.Allowed().Slice()[0])},
	}
	m := openNoted(t, o)
	look := func() reserve.Jobs {
		t.Helper()
		j, err := reserve.Patience{}.Look(t.Context(), o.LockDir)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	h, err := m.Hold(t.Context(), porep.StackedDrg8MiBV1_1, 1, Job{Name: "first", Layers: 1})
	if err != nil {
		t.Fatal(err)
	}
	j := look()
	if len(j.Held) != 1 || j.Held[0].Program != "host" || j.Held[0].Job != "first" || j.Held[0].Progress == nil {
		t.Fatalf("%+v", j)
	}
	p := *j.Held[0].Progress
	if p.At.IsZero() || p.Proof != "StackedDrg8MiBV1_1" || p.Sectors != 1 || p.Layers != 1 || p.Stage != "" {
		t.Errorf("%+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := m.Hold(ctx, proof, 2, Job{Name: "second", Wait: true})
		waited <- err
	}()
	<-m.waiting
	for len(look().Waiting) == 0 || look().Waiting[0].Progress == nil { // it is told right after
	}
	w := look().Waiting[0]
	if w.Program != "host" || w.Job != "second" || w.Progress.Proof != proof.String() || w.Progress.Sectors != 2 ||
		!strings.Contains(w.Progress.WaitsFor, "no room") || !strings.Contains(w.Progress.WaitsFor, `"first"`) || strings.HasPrefix(w.Progress.WaitsFor, "sealer") {
		t.Errorf("%+v, %+v", w, w.Progress)
	}
	cancel()
	<-waited

	// Where a job at work stands is told again and again. On a busy machine one may end unseen.
	seen := func() bool {
		p := look().Held[0].Progress
		return p.Stage == "labels" && p.Layer == 1 && p.Layers == 1 && p.Done > 0 && p.Total > p.Done && p.LabelsPerSecond > 0 && p.SecondsLeft > 0
	}
	watch := func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := h.GenerateSDR(ctx, []engine.Sector{{CacheDir: t.TempDir()}})
			done <- err
			close(done)
		}()
		defer func() { cancel(); <-done }()
		for !seen() {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				return false
			case <-time.After(time.Millisecond): // under a guard that is never free nothing is written
			}
		}
		return true
	}
	tries := 20
	for ; tries > 0 && !watch(); tries-- {
	}
	if tries == 0 {
		t.Error("no job was seen at work")
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	if j := look(); len(j.Held)+len(j.Waiting) != 0 {
		t.Errorf("%+v", j)
	}
}

// Where a job stands is told by a thread that is bound to other cores than those that hash.
func TestTellKeepsOff(t *testing.T) {
	machine, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	first := machine.Allowed().Slice()[0]
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks"), Settings: Settings{Policy: PolicyList, CPUs: topology.NewCPUSet(first)}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.Hold(t.Context(), proof, 1, Job{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	c := h.Config()
	want := machine.Allowed()
	for _, core := range machine.Cores() {
		if slices.Contains(core.CPUs, c.Places[0].Hasher) {
			want = want.Minus(topology.NewCPUSet(core.CPUs...))
		}
	}
	if want.Len() == 0 {
		t.Skipf("CPUs %v are not two cores", machine.Allowed())
	}
	bound := func() (threads []string) {
		t.Helper()
		paths, err := filepath.Glob("/proc/self/task/*/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, _ := os.ReadFile(path) // a thread may have ended
			if strings.Contains(string(text), "\nCpus_allowed_list:\t"+want.String()+"\n") {
				threads = append(threads, path)
			}
		}
		return threads
	}
	before := bound()
	stop := h.tell(&c, new(seal.Progress), false)
	for told := false; !told; {
		j, err := reserve.Patience{}.Look(t.Context(), m.dir)
		if err != nil {
			t.Fatal(err)
		}
		told = j.Held[0].Progress.Stage != ""
		time.Sleep(time.Millisecond)
	}
	// Those before are ending; the process's first thread, if it was one, never does.
	now := slices.DeleteFunc(bound(), func(path string) bool { return slices.Contains(before, path) })
	if len(now) != 1 {
		t.Errorf("threads %v are bound to %v, want one", now, want)
	}
	stop()
}

func TestProgram(t *testing.T) {
	m, err := Open(t.Context(), Options{LockDir: filepath.Join(t.TempDir(), "locks")})
	if err != nil {
		t.Fatal(err)
	}
	if path, err := os.Executable(); err != nil || m.options.Program != filepath.Base(path) {
		t.Errorf("%q, want the base name of %s", m.options.Program, path)
	}
}

func TestJobName(t *testing.T) {
	a, b := seal.Sector{ProverID: porep.ProverIDOf(1000), Number: 17}, seal.Sector{ProverID: porep.ProverIDOf(1<<63 + 1), Number: 1<<64 - 1}
	other := seal.Sector{Number: 3}
	for i := range other.ProverID {
		other.ProverID[i] = 0xff
	}
	for _, c := range []struct {
		sectors []seal.Sector
		want    string
	}{
		{[]seal.Sector{a}, "sector 17 of f01000"},
		{[]seal.Sector{b}, "sector 18446744073709551615 of f09223372036854775809"},
		{[]seal.Sector{a, a}, "2 sectors of f01000"},
		{[]seal.Sector{a, b}, "2 sectors"},
		{[]seal.Sector{other}, "sector 3"},
		{nil, ""},
	} {
		if got := JobName(c.sectors); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
