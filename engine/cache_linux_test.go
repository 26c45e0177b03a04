package engine_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// cached is how many pages of a file are in the page cache.
func cached(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = syscall.Munmap(b) }()
	pages := make([]byte, (len(b)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Skip(errno)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}

// TestForget: nothing of a layer is in the page cache when nobody reads it again,
// whichever way it was written, and though it is on the disk at any time before or
// after it was read last.
func TestForget(t *testing.T) {
	testkit.OnDisk(t)
	path := filepath.Join(t.TempDir(), "control")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	_ = f.Sync()
	_ = linux.DropCache(f, 0, 1<<20)
	if n := cached(t, path); n > 0 {
		t.Skip("a file system that keeps what is to be forgotten")
	}
	const count = 6
	for mode := engine.TwoLayers; mode <= engine.OneLayer; mode++ {
		for writing := engine.WriteDefault; writing <= engine.WriteBehind; writing++ {
			c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 1), Hashers: 1, MemoryMode: mode, Writing: writing}
			hooks := engine.Hooks{Layers: count}
			if _, err := hooks.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for layer := 1; layer <= count; layer++ {
				if n := cached(t, layers.Path(c.Sectors[0].CacheDir, layer)); n > 0 {
					t.Errorf("%v, writing %v: %d pages of layer %d are in the page cache", mode, writing, n, layer)
				}
			}
		}
	}
}
