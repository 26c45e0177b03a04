package seal_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/durable"
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
	together := min(4, runtime.NumCPU())
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
