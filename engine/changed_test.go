package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// atSpan has do called by a producer before it stages a certain span.
func atSpan(at uint64, do func()) engine.Hooks {
	return engine.Hooks{Stage: func(_ int, span uint64) {
		if span == at {
			do()
		}
	}}
}

// TestLayerChanges: a layer that is not what was made of it any more, when the job ends, is
// the sector's failure, in every memory mode.
func TestLayerChanges(t *testing.T) {
	t.Parallel()
	r, _ := testkit.Seeded(t)
	flip := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(b, 0)
		return errors.Join(err, f.Close())
	}
	for name, change := range map[string]func(path string) error{
		"bit":     flip,
		"cut":     func(path string) error { return os.Truncate(path, r.Int64N(2048)) },
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, make([]byte, 2048), 0o666))
		},
	} {
		for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
			for range testkit.Rounds(3, 20) {
				c := oneSector(t.TempDir())
				c.MemoryMode, c.Stride, c.Producers = mode, 1, 1
				path := layers.Path(c.Sectors[0].CacheDir, 1)
				hooks := atSpan(c.Proof.SectorSize().Nodes()+1, func() {
					testkit.WaitFor(t, func() bool { _, err := os.Stat(path); return err == nil })
					if err := change(path); err != nil {
						t.Error(err)
					}
				})
				result, err := hooks.Run(t.Context(), c)
				if err == nil || len(result.Sectors) != 1 || result.Sectors[0].Err == nil {
					t.Fatalf("%s, %v: error %v, result %v", name, mode, err, result.Sectors)
				}
				if !errors.Is(err, engine.ErrChanged) && !errors.Is(err, engine.ErrLost) {
					t.Errorf("%s, %v: error %v", name, mode, err)
				}
			}
		}
	}
}

// TestWiped: a host removes what is in a cache dir, or the dir, and begins again while the
// old job is still at work. The old one ends, and what has the layers' names is the new one's.
func TestWiped(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	r, _ := testkit.Seeded(t)
	sector := func(dir string, id byte) engine.Config {
		c := oneSector(dir)
		c.Sectors[0].ReplicaID[0] = id
		c.Stride, c.Producers = 1, 1
		return c
	}
	alone := sector(t.TempDir(), 2)
	if _, err := engine.Run(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	want := digests(t, alone.Proof, alone.Sectors)
	for name, wipe := range map[string]func(dir string) error{
		"files removed": func(dir string) error {
			all, err := filepath.Glob(filepath.Join(dir, ".*"))
			for _, path := range all {
				err = errors.Join(err, os.Remove(path))
			}
			return err
		},
		"directory made anew": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777)) },
		"directory moved":     func(dir string) error { return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o777)) },
		"another host's files": func(dir string) error { // whose locks we do not see
			for layer := 1; layer <= 2; layer++ {
				temp := filepath.Join(dir, durable.TempName(layers.Name(layer)))
				if err := errors.Join(os.Remove(temp), os.WriteFile(temp, make([]byte, 2048), 0o666)); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		for range testkit.Rounds(6, 50) {
			dir := filepath.Join(t.TempDir(), "cache")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			old, again := sector(dir, 1), sector(dir, 2)
			sameDir := name == "files removed" || name == "another host's files"
			// Within the first layer: none has its name.
			hooks := atSpan(r.Uint64N(old.Proof.SectorSize().Nodes()), func() {
				if err := wipe(dir); err != nil {
					t.Error(err)
				}
				_, err := engine.Run(context.Background(), again)
				if sameDir && !errors.Is(err, engine.ErrBusy) || !sameDir && err != nil {
					t.Errorf("%s: beside the old job: %v", name, err)
				}
			})
			if _, err := hooks.Run(t.Context(), old); !errors.Is(err, engine.ErrLost) {
				t.Fatalf("%s: the old job: %v", name, err)
			}
			if name == "another host's files" {
				if diff := cmp.Diff([]string{".sc-02-data-layer-1.dat.tmp", ".sc-02-data-layer-2.dat.tmp"}, fileNames(t, dir)); diff != "" {
					t.Fatalf("%s: %s", name, diff)
				}
				continue
			}
			if sameDir {
				if _, err := engine.Run(t.Context(), again); err != nil {
					t.Fatalf("%s: after the old job: %v", name, err)
				}
			}
			if diff := cmp.Diff(want, digests(t, again.Proof, again.Sectors)); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
	}
}

// TestOutcomes: what became of each sector is said for each, whatever else fails.
func TestOutcomes(t *testing.T) {
	for _, jobFails := range []bool{false, true} {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 4), Hashers: 2, Kernel: "generic/1", Digests: true}
		for _, i := range []int{0, 2} {
			if err := os.Mkdir(filepath.Join(c.Sectors[i].CacheDir, ".sc-02-data-layer-2.dat.tmp"), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		why := errors.New("no parents today")
		if jobFails {
			c.Parents = failing{why}
		}
		result, err := engine.Run(t.Context(), c)
		if err == nil || errors.Is(err, why) != jobFails || len(result.Sectors) != 4 {
			t.Fatalf("error %v, %d sectors", err, len(result.Sectors))
		}
		for i, s := range result.Sectors {
			var one *engine.SectorError
			switch own := i%2 == 0; {
			case own && (!errors.As(s.Err, &one) || one.Sector != i):
				// With the job's failure, a batch that never had its turn has that.
				if !jobFails || !errors.Is(s.Err, why) {
					t.Errorf("sector %d, which cannot be made: %v", i, s.Err)
				}
			case !own && jobFails && !errors.Is(s.Err, why):
				t.Errorf("sector %d: %v", i, s.Err)
			case !own && !jobFails:
				if s.Err != nil || len(s.Digests) != 2 {
					t.Fatalf("sector %d: %v, %d digests", i, s.Err, len(s.Digests))
				}
				beginAt(t, &c.Sectors[i], 2)
				if c.Sectors[i].Before != s.Digests[0] {
					t.Errorf("sector %d: digest %x, want %x", i, s.Digests[0], c.Sectors[i].Before)
				}
			}
			names := fileNames(t, c.Sectors[i].CacheDir)
			if made := len(names) == 2 && names[0] == layers.Name(1); made != (s.Err == nil) {
				t.Errorf("sector %d: %v, and files %q", i, s.Err, names)
			}
		}
	}
}

type failing struct{ error }

func (f failing) Parents([]uint32, uint64) error { return f.error }
