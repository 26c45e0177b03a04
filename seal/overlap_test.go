package seal_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/seal"
)

// A meeting has the first writes of several tree-ds wait for each other.
type meeting struct {
	mu   sync.Mutex
	seen map[string]bool
	all  sync.WaitGroup
}

func (m *meeting) Before(op *durable.Op) error {
	if op.Kind != durable.OpWrite || !strings.Contains(filepath.Base(op.Path), "tree-d") {
		return nil
	}
	m.mu.Lock()
	dir := filepath.Dir(op.Path)
	first := !m.seen[dir]
	m.seen[dir] = true
	m.mu.Unlock()
	if first {
		m.all.Done()
	}
	m.all.Wait()
	return nil
}

func (m *meeting) After(*durable.Op) error { return nil }

// Tree-ds of sectors that are labelled together are built at the same time: here none is written before
// as many as there may be have begun. Progress counts all of them.
func TestTreeDsOverlap(t *testing.T) {
	g := small(t)
	together := min(4, workers.Most())
	sectors := make([]seal.Sector, together)
	for i := range sectors {
		sectors[i] = newSector(t, g)
	}
	m := &meeting{seen: map[string]bool{}}
	m.all.Add(together)
	var p seal.Progress
	_, err := seal.PreCommit1Together(durable.WithInjector(t.Context(), m), sectors, seal.Options{Progress: &p, Begin: func() error {
		if done, total := p.Units(); done != total || total != uint64(together)*g.SectorSize {
			t.Errorf("%d of %d bytes are done, want all %d of %d", done, total, uint64(together)*g.SectorSize, uint64(together)*g.SectorSize)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sectors {
		if diff := cmp.Diff(wantFiles(g), files(t, sectors[i])); diff != "" {
			t.Errorf("sector %d (-want +got):\n%s", i, diff)
		}
	}
}

// faulty panics where a file of a directory whose name has that in it gets bytes.
type faulty struct{ dir, name string }

func (f faulty) Before(op *durable.Op) error {
	if (op.Kind == durable.OpWrite || op.Kind == durable.OpCopy) && filepath.Dir(op.Path) == f.dir && strings.Contains(filepath.Base(op.Path), f.name) {
		panic("a fault")
	}
	return nil
}

func (faulty) After(*durable.Op) error { return nil }

// A fault of the program in what is done beside the labels is that sector's error, and the others are sealed:
// its goroutine does not end the process.
func TestFaultsOfOne(t *testing.T) {
	g := small(t)
	for _, of := range []string{"tree-d", "sealed"} {
		sectors := []seal.Sector{newSector(t, g), newSector(t, g), newSector(t, g)}
		f := faulty{sectors[1].CacheDir, "tree-d"}
		if of == "sealed" {
			f = faulty{filepath.Dir(sectors[1].Sealed), filepath.Base(sectors[1].Sealed)}
		}
		outs := make([]*seal.Outcome, len(sectors))
		var mu sync.Mutex
		_, err := seal.PreCommit1Together(durable.WithInjector(t.Context(), f), sectors, seal.Options{Done: func(i int, o seal.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			outs[i] = &o
		}})
		if fault := (*failure.Fault)(nil); !errors.As(err, &fault) || fault.Value != "a fault" {
			t.Errorf("%s: %v", of, err)
		}
		for i, out := range outs {
			switch {
			case out == nil || (out.Err != nil) != (i == 1):
				t.Errorf("%s: sector %d: %+v", of, i, out)
			case i != 1:
				if diff := cmp.Diff(wantFiles(g), files(t, sectors[i])); diff != "" {
					t.Errorf("%s: sector %d (-want +got):\n%s", of, i, diff)
				}
			}
		}
	}
}
