package seal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/seal"
)

// TestStagedChanges: staged is written to while a sector is sealed. Sealed is what tree-d is
// of, or the sector fails.
func TestStagedChanges(t *testing.T) {
	g := small(t)
	failed := 0
	for i := range 50 {
		s := newSector(t, g)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			f, err := os.OpenFile(s.Staged, os.O_RDWR, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for b := byte(0); ; b++ {
				select {
				case <-stop:
					return
				default:
				}
				// Now and then it is what it was: that may go well.
				if _, err := f.WriteAt([]byte{b % 4}, 100); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					runtime.Gosched()
				}
			}
		}()
		_, err := seal.PreCommit1(t.Context(), s, seal.Options{})
		close(stop)
		<-stopped
		if err != nil {
			failed++
			continue
		}
		sealed := must(os.ReadFile(s.Sealed))
		tree := must(os.ReadFile(filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")))
		if !bytes.Equal(sealed, tree[:len(sealed)]) {
			t.Fatalf("try %d: sealed is not what tree-d is of", i)
		}
	}
	if failed == 0 {
		t.Error("50 sectors were sealed while staged changed: it did not")
	}
}

// TestFilesChange: sealed and tree-d are changed when they are complete, while labels are
// still made.
func TestFilesChange(t *testing.T) {
	g := small(t)
	for _, name := range []string{"sealed", "sc-02-data-tree-d.dat"} {
		for _, existing := range []bool{false, true} {
			for range 10 {
				s := newSector(t, g)
				path := filepath.Join(s.CacheDir, name)
				if name == "sealed" {
					path = s.Sealed
				}
				if existing {
					first := s
					first.Sealed = filepath.Join(t.TempDir(), "sealed")
					if err := os.WriteFile(first.Sealed, nil, 0o666); err != nil {
						t.Fatal(err)
					}
					check(t, g, first, seal.Options{})
				}
				parents := must(graph.New(s.Proof))
				changed := false
				o := seal.Options{Engine: engine.Config{Producers: 1, Stride: 1, Hashers: 1, Kernel: "generic/1", Resume: engine.Restart}}
				o.Engine.Parents = parentsFunc(func(dst []uint32, first uint64) error {
					if first == parents.Nodes()-1 && !changed {
						changed = true
						// Tree-d is the last that is done beside the labels.
						testkit.WaitFor(t, func() bool {
							info, err := os.Stat(s.Sealed)
							_, treeErr := os.Stat(filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat"))
							return err == nil && uint64(info.Size()) == uint64(s.Proof.SectorSize()) && treeErr == nil
						})
						b := must(os.ReadFile(path))
						b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
						f := must(os.OpenFile(path, os.O_WRONLY, 0))
						_, err := f.WriteAt(b, 0)
						if err := errors.Join(err, f.Close()); err != nil {
							t.Error(err)
						}
					}
					return parents.Parents(dst, first)
				})
				if _, err := seal.PreCommit1(t.Context(), s, o); !errors.Is(err, seal.ErrChanged) {
					t.Fatalf("%s, tree-d there before %v: changed, and error %v", name, existing, err)
				}
			}
		}
	}
}

// TestStaleFiles: what phase 2 and earlier jobs left of another sector is gone when labels
// are there; before labels begin everything stays.
func TestStaleFiles(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	stale := []string{"sc-02-data-tree-c.dat", "sc-02-data-tree-c-0.dat", "sc-02-data-tree-r-last.dat", "p_aux", "t_aux", "sc-02-data-layer-7.dat"}
	for _, name := range stale {
		if err := os.WriteFile(filepath.Join(s.CacheDir, name), []byte("another sector's"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	wrong := s
	wrong.Pieces = nil
	if _, err := seal.PreCommit1(t.Context(), wrong, seal.Options{}); err == nil {
		t.Error("sealed without its pieces")
	}
	for _, name := range stale {
		if _, err := os.Stat(filepath.Join(s.CacheDir, name)); err != nil {
			t.Errorf("before labels begin: %v", err)
		}
	}
	check(t, g, s, seal.Options{})
	for _, name := range stale {
		if _, err := os.Stat(filepath.Join(s.CacheDir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

// TestOutcomes: of several sectors two fail, or one fails and then the job does: a sector
// has an output if its layers are there, else an error of its own.
func TestOutcomes(t *testing.T) {
	g := small(t)
	for name, tt := range map[string]struct {
		blocked []int
		job     error
	}{
		"two of four fail":                     {blocked: []int{1, 2}},
		"one fails, and parents cannot be had": {blocked: []int{1}, job: errors.New("no parents today")},
	} {
		var sectors []seal.Sector
		for range 4 {
			sectors = append(sectors, newSector(t, g))
		}
		for _, i := range tt.blocked {
			if err := os.Mkdir(filepath.Join(sectors[i].CacheDir, ".sc-02-data-layer-1.dat.tmp"), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		o := seal.Options{}
		if tt.job != nil {
			o.Engine.Parents = parentsFunc(func([]uint32, uint64) error { return tt.job })
		}
		outs, err := seal.PreCommit1Together(t.Context(), sectors, o)
		if err == nil || len(outs) != len(sectors) {
			t.Fatalf("%s: error %v, %d outcomes", name, err, len(outs))
		}
		for i, out := range outs {
			_, statErr := os.Stat(filepath.Join(sectors[i].CacheDir, "sc-02-data-layer-2.dat"))
			if there := statErr == nil; (out.Output != nil) != there || (out.Err == nil) != there {
				t.Errorf("%s: sector %d: output %v, error %v, layer 2: %v", name, i, out.Output, out.Err, statErr)
			}
		}
	}
}
