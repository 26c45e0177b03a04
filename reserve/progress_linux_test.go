package reserve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

func look(t *testing.T, dir string) reserve.Jobs {
	t.Helper()
	j, err := reserve.Patience{}.Look(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestTell: others see where a job stands, and where it stood last once it says no more.
func TestTell(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	d.Program = "host"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	began := reserve.Progress{At: at, Proof: "StackedDrg2KiBV1_1", Sectors: 2}
	r := acquire(t, d, reserve.Request{Cores: cores(3, 1), Job: "first", Progress: began})
	acquire(t, d, reserve.Request{Cores: cores(2), Job: "silent"})
	j := look(t, dir)
	if len(j.Held) != 2 || j.Held[0].Program != "host" || j.Held[1].Progress != nil {
		t.Fatalf("%+v", j)
	}
	if diff := cmp.Diff(&began, j.Held[0].Progress); diff != "" {
		t.Error(diff)
	}
	p := reserve.Progress{
		At: at.Add(time.Second), Proof: "p", Sectors: 2, Stage: "labels", Layer: 1, Layers: 11, Node: 7, Done: 14, Total: 1 << 40,
		LabelsPerSecond: 1.5e6, SecondsLeft: 3600.5, Waited: reserve.Waited{Parents: 0.25, Memory: 0.125, Disk: 1}, WaitsFor: "nothing",
	}
	if err := r.Tell(p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&p, look(t, dir).Held[0].Progress); diff != "" {
		t.Error(diff)
	}
	if err := r.Touched(t.Context(), topology.MemoryPool{}, 1); err == nil {
		t.Error("memory that was not planned")
	}
	// What no record can hold is not written.
	if err := r.Tell(reserve.Progress{At: at, LabelsPerSecond: math.NaN(), SecondsLeft: math.Inf(1), Layer: -1, Waited: reserve.Waited{Disk: math.Inf(-1)}}); err != nil {
		t.Fatal(err)
	}
	got := look(t, dir).Held[0].Progress
	if got.LabelsPerSecond != 0 || got.SecondsLeft < 1e9 || got.Layer != 0 || got.Waited.Disk != 0 {
		t.Errorf("%+v", got)
	}
	r.Release()
	if err := r.Tell(p); err == nil {
		t.Error("told after the release")
	}
	if j := look(t, dir); len(j.Held) != 1 || j.Held[0].Job != "silent" {
		t.Errorf("after the release: %+v", j)
	}
}

// TestTellWhileOthersLook: nobody sees a record that is half an old and half a new one.
func TestTellWhileOthersLook(t *testing.T) {
	dir := t.TempDir()
	pool := topology.MemoryPool{}
	d := open(t, dir, machine(t, map[int]uint64{0: 100}))
	r := acquire(t, d, reserve.Request{Cores: cores(0, 1), Job: "job", Memory: map[topology.MemoryPool]uint64{pool: 4096}})
	var told, looked atomic.Int64
	const rounds = 200 // without the guard it takes less than that
	var wg sync.WaitGroup
	wg.Go(func() {
		for told.Load() < rounds || looked.Load() < rounds {
			j, err := reserve.Patience{}.Look(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			if len(j.Held) != 1 || j.Held[0].Job != "job" || reserve.Untouched(j.Held)[pool] != 4096 {
				t.Errorf("%+v", j)
				return
			}
			if p := j.Held[0].Progress; p != nil {
				looked.Add(1)
				if want := strings.Repeat(fmt.Sprint(p.Layer%10), p.Layer); p.Stage != want || p.WaitsFor != want {
					t.Errorf("%+v", p)
					return
				}
			}
		}
	})
	for layer := 0; (told.Load() < rounds || looked.Load() < rounds) && !t.Failed(); layer = (layer + 7) % 400 {
		text := strings.Repeat(fmt.Sprint(layer%10), layer)
		if r.Tell(reserve.Progress{At: time.Now(), Layer: layer, Stage: text, WaitsFor: text}) == nil {
			told.Add(1)
		}
	}
	wg.Wait()
}

// TestTellWaitsForNobody: a job that finds the guard taken goes on.
func TestTellWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	r := acquire(t, d, reserve.Request{Cores: cores(0), Job: "job"})
	guard, err := os.Open(filepath.Join(dir, "guard.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Close()
	p := reserve.Progress{At: time.Now()}
	for _, lock := range []func(*os.File) error{linux.TryLock, linux.TryLockShared} {
		if err := lock(guard); err != nil {
			t.Fatal(err)
		}
		if err := r.Tell(p); err == nil {
			t.Error("told beside others")
		}
		if err := linux.Unlock(guard); err != nil {
			t.Fatal(err)
		}
		if err := r.Tell(p); err != nil {
			t.Error(err)
		}
	}
	// A directory that is gone is not made again.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := r.Tell(p); err == nil {
		t.Error("told where nobody looks")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

// TestHostileProgress: whatever a record says of progress, its cores and its memory count.
func TestHostileProgress(t *testing.T) {
	dir := t.TempDir()
	root := machine(t, map[int]uint64{0: 100})
	d := open(t, dir, root)
	pool := topology.MemoryPool{}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	acquire(t, d, reserve.Request{Cores: cores(1), Job: "job", Memory: map[topology.MemoryPool]uint64{pool: 4096}, Progress: reserve.Progress{At: at}})
	path := filepath.Join(dir, "core-1.lock")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		progress string
		want     *reserve.Progress
	}{
		{`null`, nil},
		{`7`, nil},
		{`[]`, nil},
		{`{}`, nil},
		{`{"at":"yesterday"}`, nil},
		{`{"at":"0001-01-01T00:00:00Z","layer":1}`, nil},
		{`{"at":"2026-01-02T03:04:05Z","labels_per_second":1e999}`, nil},
		{`{"at":"2026-01-02T03:04:05Z","layer":1e9999}`, nil},
		{`{"at":"2026-01-02T03:04:05Z","layer":"2"}`, nil},
		{`{"at":"2026-01-02T03:04:05Z","done":-1}`, nil},
		{`{"at":"2026-01-02T03:04:05Z","layer":-3,"layers":-9223372036854775808,"sectors":-1,"labels_per_second":-1e300,"seconds_left":-1,"waited":{"disk":-1}}`,
			&reserve.Progress{At: at}},
		{`{"at":"2026-01-02T03:04:05Z","done":18446744073709551615,"seconds_left":1e308,"waited":{"disk":1e308},"new":{"of":"another version"}}`,
			&reserve.Progress{At: at, Done: math.MaxUint64, SecondsLeft: 100 * 365 * 24 * 3600, Waited: reserve.Waited{Disk: 1}}},
		{`{"at":"2026-01-02T03:04:05Z","stage":"` + strings.Repeat("é", 400) + `"}`,
			&reserve.Progress{At: at, Stage: strings.Repeat("é", 248) + "…"}},
	} {
		record["progress"] = json.RawMessage(c.progress)
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		got := look(t, dir).Held
		if len(got) != 1 || got[0].Job != "job" || reserve.Untouched(got)[pool] != 4096 {
			t.Fatalf("%s: %+v", c.progress, got)
		}
		if diff := cmp.Diff(c.want, got[0].Progress); diff != "" {
			t.Errorf("%s: %s", c.progress, diff)
		}
	}
}

// TestLook: who waits is listed in the queue's order, with what he waits for, and what cannot be
// looked at hides nothing else.
func TestLook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	if _, err := (reserve.Patience{}).Look(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	d := open(t, dir, "/")
	if j := look(t, dir); len(j.Held)+len(j.Waiting)+len(j.Unreadable) != 0 {
		t.Errorf("nobody there: %+v", j)
	}
	d.Program = "host"
	acquire(t, d, reserve.Request{Cores: cores(0), Job: "runs"})
	for i := range 3 {
		turn, err := d.Queue(t.Context(), fmt.Sprint(i), "")
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			turn.Leave()
			continue
		}
		defer turn.Leave()
		if err := turn.Tell(t.Context(), reserve.Progress{At: time.Now(), WaitsFor: fmt.Sprint("core ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"core-7.lock", "turn-7.lock"} {
		if err := os.Symlink("/etc/hostname", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	j := look(t, dir)
	if len(j.Held) != 1 || j.Held[0].Job != "runs" {
		t.Errorf("%+v", j.Held)
	}
	var waiting []string
	for _, h := range j.Waiting {
		waiting = append(waiting, fmt.Sprint(h.Turn, h.Program, h.Job, h.Progress.WaitsFor))
	}
	if diff := cmp.Diff([]string{"1host0core 0", "2host2core 2"}, waiting); diff != "" {
		t.Error(diff)
	}
	if len(j.Unreadable) != 2 || !strings.Contains(fmt.Sprint(j.Unreadable), "core-7.lock") || !strings.Contains(fmt.Sprint(j.Unreadable), "turn-7.lock") {
		t.Errorf("%v", j.Unreadable)
	}
}
