package seal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// TestWorkDirGolden: a sector with a work dir, of its own or one of many, is the reference's, and the work
// dir is empty, or gone.
func TestWorkDirGolden(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	s.WorkDir = t.TempDir()
	check(t, g, s, seal.Options{})
	if left := must(os.ReadDir(s.WorkDir)); len(left) > 0 {
		t.Errorf("the work dir has %v", left)
	}
	s, parent := newSector(t, g), t.TempDir()
	check(t, g, s, seal.Options{WorkDirs: parent})
	if left := must(os.ReadDir(parent)); len(left) > 0 {
		t.Errorf("the work dirs' directory has %v", left)
	}
}

// afterOps looks at each file operation when it is done.
type afterOps func(op *durable.Op)

func (f afterOps) Before(*durable.Op) error { return nil }

func (f afterOps) After(op *durable.Op) error {
	f(op)
	return nil
}

// TestWorkDirWaits: what else fails of a sector leaves its layers in the work dir, also when the host
// empties the cache dir then: only tree-d and sealed are made again.
func TestWorkDirWaits(t *testing.T) {
	g := small(t)
	s, parent := newSector(t, g), t.TempDir()
	o := seal.Options{WorkDirs: parent, Progress: new(seal.Progress)}
	// Tree-d goes when it has just got its name.
	treeD := filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")
	ctx := durable.WithInjector(t.Context(), afterOps(func(op *durable.Op) {
		if op.Kind == durable.OpPublish && op.Path == treeD {
			if err := os.Remove(treeD); err != nil {
				t.Error(err)
			}
		}
	}))
	if _, err := seal.PreCommit1(ctx, s, o); !errors.Is(err, seal.ErrLost) {
		t.Fatalf("tree-d was removed: %v", err)
	}
	if _, err := os.Stat(layers.Path(s.CacheDir, 1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("layers are in the cache dir of a sector that is not right: %v", err)
	}
	o.Progress = new(seal.Progress)
	check(t, g, s, o)
	if done, _ := o.Progress.Labelling().Labels(); done != 0 {
		t.Errorf("%d labels were made again", done)
	}
}

// TestWorkDirPaths: a work dir is compared with all that a job uses; one that somebody has put where it
// is to be is not used.
func TestWorkDirPaths(t *testing.T) {
	g := small(t)
	for name, edit := range map[string]func(s *seal.Sector){
		"the cache dir": func(s *seal.Sector) { s.WorkDir = s.CacheDir },
		"sealed in the work dir": func(s *seal.Sector) {
			s.WorkDir = t.TempDir()
			if err := os.Rename(s.Sealed, layers.Path(s.WorkDir, 1)); err != nil {
				t.Fatal(err)
			}
			s.Sealed = layers.Path(s.WorkDir, 1)
		},
	} {
		s := newSector(t, g)
		edit(&s)
		if _, err := seal.PreCommit1(t.Context(), s, seal.Options{}); !errors.As(err, new(*seal.SamePathError)) || !strings.Contains(err.Error(), s.WorkDir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, parent, elsewhere := newSector(t, g), t.TempDir(), t.TempDir()
	o := seal.Options{WorkDirs: parent}
	hold := o
	hold.Begin = func() error { return errors.New("not now") } // by then it is there
	_, _ = seal.PreCommit1(t.Context(), s, hold)
	if left := must(os.ReadDir(parent)); len(left) > 0 {
		t.Errorf("a job that did not begin left %v", left)
	}
	planted := filepath.Join(parent, "sector-"+g.ProverID+"-"+fmt.Sprint(g.SectorID))
	if err := os.Symlink(elsewhere, planted); err != nil {
		t.Skip(err)
	}
	if _, err := seal.PreCommit1(t.Context(), s, o); !errors.Is(err, seal.ErrBadInput) || !strings.Contains(err.Error(), planted) {
		t.Errorf("a link in the place of the work dir: %v", err)
	}
	if left := must(os.ReadDir(elsewhere)); len(left) > 0 {
		t.Errorf("something was written through the link: %v", left)
	}
}

// TestKeyWorkDirs: labels alone, too, have work dirs, by their replica id.
func TestKeyWorkDirs(t *testing.T) {
	g := small(t)
	id, parent, cache := must(porep.ParseReplicaID(g.ReplicaID)), t.TempDir(), t.TempDir()
	o := seal.Options{WorkDirs: parent, Engine: engine.Config{Keep: engine.KeepLast}}
	if _, err := seal.GenerateSDR(t.Context(), must(porep.ParseSealProof(g.RegisteredProof)), cache, id, o); err != nil {
		t.Fatal(err)
	}
	if left := must(os.ReadDir(parent)); len(left) > 0 {
		t.Errorf("the work dirs' directory has %v", left)
	}
	for layer := 1; layer <= 2; layer++ {
		if _, err := os.Stat(layers.Path(cache, layer)); err != nil {
			t.Error(err)
		}
	}
}
