package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// TestCheckMachine: a job that no machine has the memory and the disks for is told both,
// before any work, and what it would take.
func TestCheckMachine(t *testing.T) {
	const n = 64
	c := engine.Config{Proof: porep.StackedDrg64GiBV1_1, Sectors: sectors(t, n), Hashers: n, Kernel: "generic/1"}
	other := engine.File{Path: filepath.Join(c.Sectors[0].CacheDir, "other"), Size: 1 << 40}
	err := c.CheckMachine(other)
	var memory *hugepages.AllocError
	if !errors.As(err, &memory) || memory.Size < 128<<30 {
		t.Errorf("error %v, want one of memory", err)
	}
	var space *engine.SpaceError
	if !errors.As(err, &space) || space.Files != n*11+1 || space.Want != n*11<<36+1<<40 || space.Free >= space.Want {
		t.Errorf("error %v, want one of space", err)
	}
	for _, s := range c.Sectors {
		if left := fileNames(t, s.CacheDir); len(left) > 0 {
			t.Errorf("left %q", left)
		}
	}
	c = engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3)}
	if err := c.CheckMachine(); err != nil {
		t.Errorf("small sectors: %v", err)
	}
	c.Sectors[1].CacheDir = c.Sectors[0].CacheDir
	if err := c.CheckMachine(); err == nil || !strings.Contains(err.Error(), "is also the cache dir of sector 0") {
		t.Errorf("what Validate says: %v", err)
	}
}

// TestGivesBack: what a file takes is free again when the job replaces it, unless it has
// another name, or is but a name of another.
func TestGivesBack(t *testing.T) {
	dir := t.TempDir()
	path := layers.Path(dir, 1)
	if n := engine.GivesBack(path); n != 0 {
		t.Errorf("no file: %d bytes", n)
	}
	const size = 1 << 20
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(make([]byte, size))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if n := engine.GivesBack(path); n < size/2 || n > 2*size {
		t.Errorf("a file of %d bytes: %d", size, n)
	}
	if err := os.Symlink(path, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if n := engine.GivesBack(filepath.Join(dir, "link")); n != 0 {
		t.Errorf("a link: %d bytes", n)
	}
	if err := os.Link(path, filepath.Join(dir, "snapshot")); err != nil {
		t.Skip(err)
	}
	if n := engine.GivesBack(path); n != 0 {
		t.Errorf("a file with two names: %d bytes", n)
	}
}

// TestSpaceErrorText: it names both numbers, and what to do.
func TestSpaceErrorText(t *testing.T) {
	e := &engine.SpaceError{Dir: "/mnt/a", Files: 12, Want: 12 << 30, Free: 5 << 30}
	const want = "engine: looking for room: 12 files on the file system of /mnt/a take 12 GiB, there is room for 5 GiB: free 7 GiB there, or label fewer sectors at a time"
	if got := fmt.Sprint(e); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
