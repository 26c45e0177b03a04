//go:build linux

package sealer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// Calls have files on a hugetlbfs for their layers' memory as long as there are any, each its
// own, in whichever process they are made, and go on without when there are none; and labels are
// right whatever is in the files.
func TestNUMAGuestHugeFiles(t *testing.T) {
	if os.Getenv("SDR_NUMA_GUEST") == "" {
		t.Skip("wants a hugetlbfs of its own: make test-numa runs it in a guest")
	}
	const pool, node, size = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", 1, 2 << 20
	setPool := func(pages string) {
		if err := os.WriteFile(pool, []byte(pages), 0); err != nil {
			t.Fatal(err)
		}
	}
	setPool("2")
	defer setPool("0")
	var files []hugepages.File
	for i := range 2 {
		f, err := os.Create(fmt.Sprintf("/dev/hugepages/layers%d", i))
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		mem, err := linux.MapFile(f, size)
		if err != nil {
			t.Fatal(err)
		}
		for i := range mem {
			mem[i] = 0xA5
		}
		if err := linux.Unmap(mem); err != nil {
			t.Fatal(err)
		}
		files = append(files, hugepages.File{Path: f.Name(), NUMANode: hugepages.OnNUMANode(node)})
	}
	locks := filepath.Join(t.TempDir(), "locks")
	var notes []Note
	open := func() *Machine {
		m, err := Open(t.Context(), Options{LockDir: locks, HugeFiles: files, Settings: Settings{Kernel: "generic/1"}, Notes: func(n Note) { notes = append(notes, n) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	m, other := open(), open() // as two processes are, to each other
	hold := func(m *Machine, kind NoteKind, says string) *Hold {
		t.Helper()
		notes = nil
		h, err := m.Hold(t.Context(), porep.StackedDrg2KiBV1_1, 1, Job{})
		if err != nil {
			t.Fatal(err)
		}
		if len(notes) != 1 || notes[0].Kind != kind || !strings.Contains(notes[0].String(), says) {
			t.Errorf("notes %v, want %q", notes, says)
		}
		return h
	}
	first := hold(m, NoteInFiles, "layers lie in huge page files: 1 file of 2 MiB on NUMA node 1")
	second := hold(other, NoteInFiles, "1 file of 2 MiB on NUMA node 1")
	third := hold(m, NoteNotInFiles, "layers lie in no huge page files: 2097152 bytes wanted in whole files, 0 to be had; \"/dev/hugepages/layers0\" and 1 more: in use by another job")
	for _, h := range []*Hold{first, second} {
		if n := h.config.Places[0].Memory; n != hugepages.OnNUMANode(node) {
			t.Errorf("its other memory is on %v", n)
		}
	}
	var sector golden.Sector
	for _, s := range golden.Sectors() {
		if s.RegisteredProof == porep.StackedDrg2KiBV1_1.String() {
			sector = s
		}
	}
	id, err := porep.ParseReplicaID(sector.ReplicaID)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []*Hold{first, third} {
		dir := t.TempDir()
		r, err := h.GenerateSDR(t.Context(), []engine.Sector{{ReplicaID: id, CacheDir: dir}})
		if err != nil {
			t.Fatal(err)
		}
		if b := r.Memory[0].Backing; len(b.Files) != 1-i {
			t.Errorf("call %d: layers lay in %v", i, b)
		}
		for l, want := range sector.Layers {
			if got := testkit.Digest(t, layers.Path(dir, l+1)); got != want.SHA256 {
				t.Errorf("call %d: layer %d has digest %s, want %s", i, l+1, got, want.SHA256)
			}
		}
	}
	if err := errors.Join(first.Release(), third.Release()); err != nil {
		t.Error(err)
	}
	err = errors.Join(hold(m, NoteInFiles, "1 file").Release(), second.Release())
	if err != nil {
		t.Error(err)
	}
}
