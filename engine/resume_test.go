package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// anyWay changes how labels are made, not what they are.
func anyWay(c engine.Config, r *rand.Rand, names []string) engine.Config {
	c.Kernel = names[r.IntN(len(names))]
	c.MemoryMode = []engine.MemoryMode{engine.TwoLayers, engine.OneLayer}[r.IntN(2)]
	c.Writing = engine.Writing(1 + r.IntN(3))
	c.Hashers = 1 + r.IntN(len(c.Sectors))
	c.Stride = []int{0, 64, 100, 128, 1000}[r.IntN(5)]
	c.CheckpointEvery = []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Hour}[r.IntN(3)]
	c.Progress = new(engine.Progress)
	return c
}

// copyDir copies the files of a directory as they are at the moment, one after another.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has got its name
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestResumeAnyWay: however often a job is cancelled, and in whatever way it goes on each time, the
// layers are those of a job that was not. So they are when it goes on from what was on the disk at
// any moment, as after a kill. What is on the disk is not made again.
func TestResumeAnyWay(t *testing.T) {
	r, _ := testkit.Seeded(t)
	names := usableKernels()
	if len(names) == 0 {
		t.Skip("no kernel to test")
	}
	small, large := testkit.Rounds(2, 30), testkit.Rounds(0, 2)
	for round := range small + large {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 1+r.IntN(3))}
		hooks := engine.Hooks{Layers: 2 + r.IntN(10)}
		if round >= small {
			c.Proof, hooks.Layers, c.Sectors = porep.StackedDrg8MiBV1_1, 3, c.Sectors[:1]
		}
		want := c
		want.Sectors = sectors(t, len(c.Sectors))
		want.Kernel = names[len(names)-1]
		if round >= small {
			want.Kernel = ""
		}
		if _, err := hooks.Run(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		spans := int(c.Proof.SectorSize().Nodes()) / 100 * hooks.Layers
		for try := 0; ; try++ {
			c := anyWay(c, r, names)
			hooks.Cut = maybeCut(r)
			if round >= small {
				c.Kernel, hooks.Cut = "", memorymode.Cut{}
			}
			ctx, cancel := context.WithCancel(t.Context())
			at, copies := r.IntN(spans+spans/4+1), make([]string, len(c.Sectors))
			snapshot := r.IntN(2) == 0
			var staged atomic.Int64
			var once sync.Once
			hooks.Stage = func(int, uint64) {
				if int(staged.Add(1)) < at {
					return
				}
				once.Do(func() {
					if !snapshot {
						cancel()
						return
					}
					for i, s := range c.Sectors {
						copies[i] = t.TempDir()
						copyDir(t, s.CacheDir, copies[i])
					}
				})
			}
			_, err := hooks.Run(ctx, c)
			cancel()
			if err == nil {
				if copies[0] == "" || try > 8 {
					break
				}
				for i := range copies {
					c.Sectors[i].CacheDir = copies[i]
				}
				continue
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("round %d, try %d, %+v, %+v: %v", round, try, c, hooks.Cut, err)
			}
		}
		for i, s := range c.Sectors {
			m, err := manifest.Read(t.Context(), s.CacheDir)
			if err != nil || len(m.Layers) != hooks.Layers || len(m.Parts) != 0 {
				t.Errorf("round %d: manifest %+v, %v", round, m, err)
			}
			for layer := 1; layer <= hooks.Layers; layer++ {
				a, b := testkit.Digest(t, layers.Path(want.Sectors[i].CacheDir, layer)), testkit.Digest(t, layers.Path(s.CacheDir, layer))
				if a != b {
					t.Errorf("round %d: layer %d of sector %d of %d differs", round, layer, i, len(c.Sectors))
				}
			}
			if left := fileNames(t, s.CacheDir); len(left) != hooks.Layers {
				t.Errorf("round %d: left %q", round, left)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// TestNothingMadeAgain: of a job that was done no label is made again; of one whose layer is
// wrong, from that layer on; and of one that was cancelled, what was not on the disk.
func TestNothingMadeAgain(t *testing.T) {
	const count = 6
	hooks := engine.Hooks{Layers: count}
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 2), Kernel: "generic/1", Hashers: 1}
	nodes := c.Proof.SectorSize().Nodes()
	run := func(what string, labels uint64) {
		t.Helper()
		c.Progress = new(engine.Progress)
		if _, err := hooks.Run(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if done, total := c.Progress.Labels(); done != labels || total != labels {
			t.Errorf("%s: %d of %d labels were made, want %d", what, done, total, labels)
		}
	}
	run("first", 2*count*nodes)
	want := digestsOf(t, c, count)
	run("again", 0)
	path := layers.Path(c.Sectors[1].CacheDir, 3)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[1000] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	run("a bit of layer 3 flipped", (count-2)*nodes)
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	run("layer 3 cut short", (count-2)*nodes)
	if runtime.GOOS == "linux" {
		other := filepath.Join(t.TempDir(), "other")
		if err := errors.Join(os.Rename(path, other), os.Symlink(other, path)); err != nil {
			t.Fatal(err)
		}
		run("layer 3 is a link", (count-2)*nodes)
	}
	c.Resume = engine.Restart
	run("restart", 2*count*nodes)
	if diff := cmp.Diff(want, digestsOf(t, c, count)); diff != "" {
		t.Error(diff)
	}
}

func digestsOf(t testing.TB, c engine.Config, count int) []string { return digestsFrom(t, c, 1, count) }

func digestsFrom(t testing.TB, c engine.Config, first, count int) (all []string) {
	for _, s := range c.Sectors {
		for layer := first; layer <= count; layer++ {
			all = append(all, testkit.Digest(t, layers.Path(s.CacheDir, layer)))
		}
	}
	return all
}

// TestRefused: what another sector, another proof or another version has left, or nobody can
// have, is refused with both sides named, and nothing is touched; unless the caller says that it goes.
func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(*engine.Config) error{
		"replica id": func(c *engine.Config) error { c.Sectors[0].ReplicaID[5]++; return nil },
		"proof":      func(c *engine.Config) error { c.Proof = porep.StackedDrg2KiBV1; return nil },
		"schema": func(c *engine.Config) error {
			return edit(manifest.Path(c.Sectors[0].CacheDir), `"schema": 1`, `"schema": 7`)
		},
		"torn": func(c *engine.Config) error {
			return os.Truncate(manifest.Path(c.Sectors[0].CacheDir), 100)
		},
	} {
		c := oneSector(t.TempDir())
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := spoil(&c); err != nil {
			t.Fatal(err)
		}
		dir := c.Sectors[0].CacheDir
		before := contents(t, dir)
		for _, c.Resume = range []engine.Resume{engine.ResumeSame, engine.ResumeSampled} {
			_, err := engine.Run(t.Context(), c)
			other, wrong := (*engine.OtherSectorError)(nil), (*engine.ManifestError)(nil)
			switch {
			case (name == "schema" || name == "torn") && errors.As(err, &wrong):
			case errors.As(err, &other) && strings.Contains(err.Error(), other.ReplicaID.String()) && strings.Contains(err.Error(), c.Sectors[0].ReplicaID.String()):
			default:
				t.Errorf("%s, %v: error %v", name, c.Resume, err)
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Errorf("%s, %v: %s", name, c.Resume, diff)
			}
		}
		for _, c.Resume = range []engine.Resume{engine.ResumeOrReplace, engine.Restart} {
			copied := c
			copied.Sectors = []engine.Sector{{ReplicaID: c.Sectors[0].ReplicaID, CacheDir: t.TempDir()}}
			copyDir(t, dir, copied.Sectors[0].CacheDir)
			if _, err := engine.Run(t.Context(), copied); err != nil {
				t.Errorf("%s, %v: %v", name, c.Resume, err)
			}
			m, err := manifest.Read(t.Context(), copied.Sectors[0].CacheDir)
			if err != nil || m.Of("", copied.Proof, copied.Sectors[0].ReplicaID) != nil || len(m.Layers) != 2 {
				t.Errorf("%s, %v: %+v, %v", name, c.Resume, m, err)
			}
		}
	}
}

func edit(path, old, new string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o666)
}

func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// TestWithoutManifest: layers that nothing proves are made again, unless the caller wants them
// believed and a sample of them is right.
func TestWithoutManifest(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		for _, resume := range []engine.Resume{engine.ResumeSame, engine.ResumeSampled} {
			c := oneSector(t.TempDir())
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			want := digestsOf(t, c, 2)
			if err := os.Remove(manifest.Path(c.Sectors[0].CacheDir)); err != nil {
				t.Fatal(err)
			}
			if wrong { // layer 2 is another sector's
				other := oneSector(t.TempDir())
				other.Sectors[0].ReplicaID[0]++
				if _, err := engine.Run(t.Context(), other); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(layers.Path(other.Sectors[0].CacheDir, 2), layers.Path(c.Sectors[0].CacheDir, 2)); err != nil {
					t.Fatal(err)
				}
			}
			nodes := c.Proof.SectorSize().Nodes()
			labels := map[string]uint64{"same": 2 * nodes, "same wrong": 2 * nodes, "sampled wrong": nodes}
			key := resume.String()
			if wrong {
				key += " wrong"
			}
			c.Resume, c.Progress = resume, new(engine.Progress)
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if done, _ := c.Progress.Labels(); done != labels[key] {
				t.Errorf("%s: %d labels were made, want %d", key, done, labels[key])
			}
			if diff := cmp.Diff(want, digestsOf(t, c, 2)); diff != "" {
				t.Errorf("%s: %s", key, diff)
			}
			m, err := manifest.Read(t.Context(), c.Sectors[0].CacheDir)
			if err != nil || len(m.Layers) != 2 {
				t.Errorf("%s: %+v, %v", key, m, err)
			}
		}
	}
}

// TestPlanted: what somebody put in the place of an unfinished layer is not written to.
func TestPlanted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("whose a file is is not known elsewhere")
	}
	for _, how := range []string{"link", "symlink", "other content"} {
		c := oneSector(t.TempDir())
		c.MemoryMode, c.CheckpointEvery = engine.OneLayer, time.Hour // cancelling makes one, too
		ctx, cancel := context.WithCancel(t.Context())
		hooks := engine.Hooks{Stage: func(_ int, span uint64) {
			if span == 20 {
				cancel()
			}
		}}
		if _, err := hooks.Run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		dir := c.Sectors[0].CacheDir
		m, err := manifest.Read(t.Context(), dir)
		if err != nil || len(m.Parts) != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
		temp := filepath.Join(dir, "."+layers.Name(m.Parts[0].Number)+".tmp")
		victim := filepath.Join(t.TempDir(), "victim")
		switch how {
		case "link":
			err = os.Link(temp, victim)
		case "symlink":
			err = errors.Join(os.Rename(temp, victim), os.Symlink(victim, temp))
		case "other content":
			err = os.WriteFile(temp, make([]byte, 2<<10), 0o666)
			victim = temp
		}
		if err != nil {
			t.Fatal(err)
		}
		was := testkit.Digest(t, victim)
		c.Progress = new(engine.Progress)
		if _, err := engine.Run(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		if victim != temp && testkit.Digest(t, victim) != was {
			t.Errorf("%s: the file was written to", how)
		}
		if done, _ := c.Progress.Labels(); done%c.Proof.SectorSize().Nodes() != 0 {
			t.Errorf("%s: %d labels were made, want whole layers", how, done)
		}
	}
}

func ExampleResume() {
	fmt.Println(engine.ResumeSame, engine.ResumeOrReplace, engine.ResumeSampled, engine.Restart)
	// Output: same or-replace sampled restart
}
