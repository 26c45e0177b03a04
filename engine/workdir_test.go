package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// workDirs are new directories for work, on the file system of other tests' files and, where there is
// one, on another.
func workDirs(t *testing.T) map[string]func() string {
	t.Helper()
	all := map[string]func() string{"one file system": t.TempDir}
	const memory = "/dev/shm"
	_, here, ok := linux.FreeSpace(t.TempDir())
	_, there, known := linux.FreeSpace(memory)
	if ok && known && here != there {
		all["two file systems"] = func() string {
			dir, err := os.MkdirTemp(memory, "sdr-test-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return all
}

func wipe(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func isEmpty(t testing.TB, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// TestWorkDir: layers that are made in a work dir are in the cache dir at the end, with their manifest, and
// nothing is left in the work dir. However often the job is cancelled, and its cache dir emptied, no
// label is made twice that was on the disk; nor is one when the work dir is given up, or begun with,
// in between.
func TestWorkDir(t *testing.T) {
	r, _ := testkit.Seeded(t)
	names := usableKernels()
	if len(names) == 0 {
		t.Skip("no kernel to test")
	}
	const count = 4
	hooks := engine.Hooks{Layers: count}
	p := porep.StackedDrg2KiBV1_1
	nodes := p.SectorSize().Nodes()
	want := engine.Config{Proof: p, Sectors: sectors(t, 2)}
	if _, err := hooks.Run(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for where, newDir := range workDirs(t) {
		for round := range testkit.Rounds(2, 40) {
			c := engine.Config{Proof: p, Sectors: sectors(t, 2)}
			for i := range c.Sectors {
				c.Sectors[i].WorkDir = newDir()
			}
			for done := false; !done; {
				c = anyWay(c, r, names)
				ctx, cancel := context.WithCancel(t.Context())
				at := int64(r.IntN(2 * count))
				var staged atomic.Int64
				hooks.Stage = func(int, uint64) {
					if staged.Add(1) > at {
						cancel()
					}
				}
				_, err := hooks.Run(ctx, c)
				cancel()
				if done = err == nil; !done && !errors.Is(err, context.Canceled) {
					t.Fatalf("%s, round %d: %v", where, round, err)
				}
				if !done {
					for _, s := range c.Sectors { // one may be done
						if len(layerNames(t, s.CacheDir)) < count {
							wipe(t, s.CacheDir)
						}
					}
				}
			}
			if diff := cmp.Diff(digestsOf(t, want, count), digestsOf(t, c, count)); diff != "" {
				t.Fatalf("%s, round %d: %s", where, round, diff)
			}
			for _, s := range c.Sectors {
				if m, err := manifest.Read(t.Context(), s.CacheDir); err != nil || len(m.Layers) != count || len(m.Parts) > 0 || !isEmpty(t, s.WorkDir) {
					t.Errorf("%s, round %d: manifest %+v, %v; the work dir is empty: %v", where, round, m, err, isEmpty(t, s.WorkDir))
				}
			}
			hooks.Stage = nil
			madeAgain(t, &hooks, c, "with the cache dir's layers", 0)
			if !isEmpty(t, c.Sectors[0].WorkDir) {
				t.Errorf("%s, round %d: something is in the work dir of a job that had nothing to do", where, round)
			}
			if err := os.Remove(layers.Path(c.Sectors[1].CacheDir, 3)); err != nil {
				t.Fatal(err)
			}
			madeAgain(t, &hooks, c, "without layer 3 of one sector", (count-2)*nodes)
			for i := range c.Sectors {
				c.Sectors[i].WorkDir = ""
			}
			madeAgain(t, &hooks, c, "without a work dir", 0)
			if diff := cmp.Diff(digestsOf(t, want, count), digestsOf(t, c, count)); diff != "" {
				t.Fatalf("%s, round %d: %s", where, round, diff)
			}
			if t.Failed() {
				return
			}
		}
	}
}

// madeAgain has a job go on, which is to make so many labels.
func madeAgain(t *testing.T, hooks *engine.Hooks, c engine.Config, what string, labels uint64) {
	t.Helper()
	c.Progress = new(engine.Progress)
	if _, err := hooks.Run(t.Context(), c); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if done, _ := c.Progress.Labels(); done != labels {
		t.Errorf("%s: %d labels were made, want %d", what, done, labels)
	}
}

func layerNames(t testing.TB, dir string) []string {
	whole, growing := layerFiles(t, dir)
	return append(whole, growing...)
}

// TestWorkDirRefused: what cannot be a work dir is named, with what it is, and nothing is touched.
func TestWorkDirRefused(t *testing.T) {
	others := t.TempDir() // another sector's work
	other, notReady := oneSector(t.TempDir()), errors.New("not ready")
	other.Sectors[0].WorkDir, other.Sectors[0].ReplicaID = others, porep.ReplicaID{7}
	other.Ready = func(int) error { return notReady }
	if _, err := engine.Run(t.Context(), other); !errors.Is(err, notReady) {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		edit func(*engine.Config) (named []string)
		is   func(error) bool
	}{
		"the cache dir": {func(c *engine.Config) []string {
			c.Sectors[0].WorkDir = c.Sectors[0].CacheDir + "/."
			return []string{"work dir of sector 0", "cache dir of sector 0"}
		}, isConfig},
		"the cache dir through a link": {func(c *engine.Config) []string {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(c.Sectors[0].CacheDir, link); err != nil {
				t.Skip(err)
			}
			c.Sectors[0].WorkDir = link
			return []string{"work dir of sector 0", "cache dir of sector 0"}
		}, isConfig},
		"inside the cache dir": {func(c *engine.Config) []string {
			dir := filepath.Join(c.Sectors[0].CacheDir, "work")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			c.Sectors[0].WorkDir = dir
			return []string{dir, "lies in the cache dir"}
		}, isConfig},
		"another sector's cache dir": {func(c *engine.Config) []string {
			c.Sectors = append(c.Sectors, engine.Sector{CacheDir: t.TempDir(), ReplicaID: porep.ReplicaID{3}})
			c.Sectors[0].WorkDir = c.Sectors[1].CacheDir
			return []string{"work dir of sector 0", "cache dir of sector 1"}
		}, isConfig},
		"two sectors of a job": {func(c *engine.Config) []string {
			c.Sectors = append(c.Sectors, engine.Sector{CacheDir: t.TempDir(), ReplicaID: porep.ReplicaID{3}})
			c.Sectors[0].WorkDir, c.Sectors[1].WorkDir = t.TempDir(), ""
			c.Sectors[1].WorkDir = c.Sectors[0].WorkDir
			return []string{"work dir of sector 0", "work dir of sector 1"}
		}, isConfig},
		"none": {func(c *engine.Config) []string {
			c.Sectors[0].WorkDir = filepath.Join(t.TempDir(), "none")
			return []string{c.Sectors[0].WorkDir}
		}, isConfig},
		"digests": {func(c *engine.Config) []string {
			c.Sectors[0].WorkDir, c.Digests = t.TempDir(), true
			return []string{"digests"}
		}, isConfig},
		"another sector's": {func(c *engine.Config) []string {
			c.Sectors[0].WorkDir = others
			return []string{manifest.Path(others), porep.ReplicaID{7}.String(), c.Sectors[0].ReplicaID.String()}
		}, func(err error) bool { return errors.As(err, new(*engine.OtherSectorError)) }},
		"another proof's": {func(c *engine.Config) []string {
			c.Sectors[0].WorkDir, c.Sectors[0].ReplicaID, c.Proof = others, porep.ReplicaID{7}, porep.StackedDrg2KiBV1
			return []string{manifest.Path(others), "StackedDrg2KiBV1_1", "StackedDrg2KiBV1:"}
		}, func(err error) bool { return errors.As(err, new(*engine.OtherSectorError)) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := oneSector(t.TempDir())
			if err := os.WriteFile(layers.Path(c.Sectors[0].CacheDir, 2), []byte("mine"), 0o666); err != nil {
				t.Fatal(err)
			}
			named := tt.edit(&c)
			before := contentsOf(t, others, c.Sectors[0].CacheDir)
			_, err := engine.Run(t.Context(), c)
			if !tt.is(err) {
				t.Errorf("error %v", err)
			}
			for _, part := range named {
				if !strings.Contains(fmt.Sprint(err), part) {
					t.Errorf("error %v, want %q in it", err, part)
				}
			}
			if diff := cmp.Diff(before, contentsOf(t, others, c.Sectors[0].CacheDir)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if runtime.GOOS != "linux" {
		return // without locks
	}
	busy := oneSector(t.TempDir())
	busy.Sectors[0].WorkDir = t.TempDir()
	hooks := engine.Hooks{Stage: func(_ int, span uint64) {
		if span != 1 {
			return
		}
		second := oneSector(t.TempDir())
		second.Sectors[0].WorkDir, second.Resume = busy.Sectors[0].WorkDir, engine.Restart
		_, err := engine.Run(t.Context(), second)
		if !errors.Is(err, engine.ErrBusy) || !strings.Contains(err.Error(), busy.Sectors[0].WorkDir) || !isEmpty(t, second.Sectors[0].CacheDir) {
			t.Errorf("two jobs in one work dir: %v", err)
		}
	}}
	if _, err := hooks.Run(t.Context(), busy); err != nil {
		t.Error(err)
	}
}

func isConfig(err error) bool { return errors.As(err, new(*engine.ConfigError)) }

func contentsOf(t testing.TB, dirs ...string) map[string]string {
	all := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				all[path] = "directory"
				return err
			}
			b, err := os.ReadFile(path)
			all[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestDeliveryFails: whatever operation in the cache dir fails while layers get there, nothing is lost: when
// that is emptied, another job has no label to make. So it is if the caller is not ready.
func TestDeliveryFails(t *testing.T) {
	for where, newDir := range workDirs(t) {
		want := oneSector(t.TempDir())
		if _, err := engine.Run(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for at := 0; ; at += testkit.Rounds(3, 1) {
			c := oneSector(t.TempDir())
			c.Sectors[0].WorkDir = newDir()
			ready, seen := false, 0
			c.Ready = func(int) error { ready = true; return nil }
			ctx := durable.WithInjector(t.Context(), refusing(func(op *durable.Op) error {
				if ready && (filepath.Dir(op.Path) == c.Sectors[0].CacheDir || op.Path == c.Sectors[0].CacheDir) {
					if seen++; seen == at+1 {
						return syscall.EIO
					}
				}
				return nil
			}))
			_, err := engine.Run(ctx, c)
			if err == nil {
				break
			}
			failed++
			if left := layerNames(t, c.Sectors[0].WorkDir); len(left) != 2 {
				t.Errorf("%s, operation %d, %v: %q are in the work dir", where, at, err, left)
			}
			wipe(t, c.Sectors[0].CacheDir)
			madeAgain(t, new(engine.Hooks), c, fmt.Sprintf("%s, operation %d", where, at), 0)
			if diff := cmp.Diff(digestsOf(t, want, 2), digestsOf(t, c, 2)); diff != "" {
				t.Errorf("%s, operation %d: %s", where, at, diff)
			}
		}
		if failed < 3 {
			t.Errorf("%s: only %d operations failed", where, failed)
		}
		c := oneSector(t.TempDir())
		c.Sectors[0].WorkDir = newDir()
		notReady := errors.New("sealed is wrong")
		c.Ready = func(int) error { return notReady }
		if _, err := engine.Run(t.Context(), c); !errors.Is(err, notReady) || !isEmpty(t, c.Sectors[0].CacheDir) {
			t.Errorf("%s: not ready: %v", where, err)
		}
		c.Ready = nil
		madeAgain(t, new(engine.Hooks), c, where+", ready at last", 0)
	}
}

// refusing has operations fail.
type refusing func(op *durable.Op) error

func (f refusing) Before(op *durable.Op) error { return f(op) }
func (f refusing) After(*durable.Op) error     { return nil }

// TestWorkDirPowerCut: whatever a power cut leaves in both directories, the next job ends with the right
// layers, also if the cache dir is emptied: then, until all of them were there and on the disk, with
// no more labels made than without.
func TestWorkDirPowerCut(t *testing.T) {
	r, _ := testkit.Seeded(t)
	for where, newDir := range workDirs(t) {
		const count, page = 3, 512
		hooks := engine.Hooks{Layers: count}
		c := oneSector(t.TempDir())
		c.Sectors[0].WorkDir, c.Kernel, c.CheckpointEvery = newDir(), "generic/1", time.Millisecond
		both := &twoRecorders{}
		for i, dir := range []string{c.Sectors[0].WorkDir, c.Sectors[0].CacheDir} {
			rec, err := errorfs.NewRecorder(dir)
			if err != nil {
				t.Fatal(err)
			}
			both.of[i] = rec
		}
		if _, err := hooks.Run(durable.WithInjector(t.Context(), both), c); err != nil {
			t.Fatal(err)
		}
		want := digestsOf(t, c, count)
		for at := 0; at < len(both.at); at += testkit.Rounds(1+len(both.at)/6, 1) {
			for how, keep := range errorfs.Keeps(r) {
				cut := c
				cut.Sectors = []engine.Sector{{ReplicaID: c.Sectors[0].ReplicaID, CacheDir: t.TempDir(), WorkDir: newDir()}}
				s := cut.Sectors[0]
				if err := errors.Join(both.of[0].Cut(s.WorkDir, both.at[at][0], page, keep), both.of[1].Cut(s.CacheDir, both.at[at][1], page, keep)); err != nil {
					t.Fatal(err)
				}
				delivered := len(layerNames(t, s.CacheDir))
				if r.IntN(2) == 0 {
					wipe(t, s.CacheDir)
				}
				if _, err := hooks.Run(t.Context(), cut); err != nil {
					t.Fatalf("%s: cut after operation %d of %d, %s, %d layers delivered: %v", where, at, len(both.at), how, delivered, err)
				}
				if diff := cmp.Diff(want, digestsOf(t, cut, count)); diff != "" {
					t.Fatalf("%s: cut after operation %d of %d, %s: %s", where, at, len(both.at), how, diff)
				}
				if !isEmpty(t, s.WorkDir) {
					t.Errorf("%s: cut after operation %d of %d, %s: the work dir is not empty", where, at, len(both.at), how)
				}
			}
		}
		t.Logf("%s: %d operations", where, len(both.at))
	}
}

// twoRecorders record two directories, and how far each was after each operation.
type twoRecorders struct {
	of [2]*errorfs.Recorder
	mu sync.Mutex
	at [][2]int
}

func (r *twoRecorders) Before(op *durable.Op) error {
	return errors.Join(r.of[0].Before(op), r.of[1].Before(op))
}

func (r *twoRecorders) After(op *durable.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := errors.Join(r.of[0].After(op), r.of[1].After(op))
	r.at = append(r.at, [2]int{r.of[0].Steps(), r.of[1].Steps()})
	return err
}
