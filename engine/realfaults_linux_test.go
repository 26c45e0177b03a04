package engine_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// loopMounted is a directory on an ext4 of so many bytes, which it has for itself.
func loopMounted(t *testing.T, size int64) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	dir := t.TempDir()
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
	if err := errors.Join(os.WriteFile(image, nil, 0o666), os.Truncate(image, size), os.Mkdir(at, 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, at}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", args[0], err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return at
}

// fill writes a file until its file system is full.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err == nil {
		for part := int64(1 << 20); err == nil && part >= 512; part /= 2 {
			for err == nil {
				_, err = io.CopyN(f, zeroes{}, part)
			}
			if errors.Is(err, syscall.ENOSPC) && part > 512 {
				err = nil
			}
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("filling the file system: %v", err)
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestFullFileSystem: an ext4 that is full in the middle, and gets room again: the job waits, and its
// key is what it is elsewhere. If no room comes, the error says which file there is none for, what is
// finished stays, and a later job goes on.
func TestFullFileSystem(t *testing.T) {
	testkit.NeedsLong(t, "makes a file system")
	const count = 4
	hooks := engine.Hooks{Layers: count}
	p := porep.StackedDrg8MiBV1_1
	all := sectors(t, 1)
	if _, err := hooks.Run(t.Context(), engine.Config{Proof: p, Sectors: all}); err != nil {
		t.Fatal(err)
	}
	want := testkit.Digest(t, layers.Path(all[0].CacheDir, count))
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		dir := loopMounted(t, 48<<20) // three layers, and the scratch of one
		filler := filepath.Join(dir, "filler")
		for _, comes := range []bool{true, false}[:2-mode] { // both with two layers in memory
			s := engine.Sector{ReplicaID: all[0].ReplicaID, CacheDir: filepath.Join(dir, "cache")}
			if err := errors.Join(os.RemoveAll(s.CacheDir), os.Mkdir(s.CacheDir, 0o777)); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			ctx := durable.WithInjector(t.Context(), atOps(func(op *durable.Op) {
				if op.Kind == durable.OpReserve && op.Path == layers.Path(s.CacheDir, 4) {
					once.Do(func() { fill(t, filler) })
				}
			}))
			paused := false
			c := engine.Config{Proof: p, Sectors: []engine.Sector{s}, MemoryMode: mode, Keep: engine.KeepLast, Patience: time.Millisecond}
			if comes {
				c.Patience = time.Hour
				c.Paused = func(err error) {
					if paused = paused || errors.Is(err, syscall.ENOSPC); err != nil {
						os.Remove(filler)
					}
				}
			}
			_, err := hooks.Run(ctx, c)
			if comes {
				if err != nil || !paused {
					t.Errorf("%v: %v, paused: %v", mode, err, paused)
				} else if got := testkit.Digest(t, layers.Path(s.CacheDir, count)); got != want {
					t.Errorf("%v: the key is %s, want %s", mode, got, want)
				}
				continue
			}
			if !errors.Is(err, engine.ErrNoSpace) || !strings.Contains(err.Error(), layers.Name(4)) || !strings.Contains(err.Error(), "reserving") {
				t.Errorf("%v: %v", mode, err)
			}
			if whole, growing := layerFiles(t, s.CacheDir); !slices.Contains(whole, layers.Name(3)) || len(growing) > 0 {
				t.Errorf("%v: left %q %q, want layer 3 at least", mode, whole, growing)
			}
			os.Remove(filler)
			if _, err := hooks.Run(t.Context(), c); err != nil {
				t.Errorf("%v, and again: %v", mode, err)
			} else if got := testkit.Digest(t, layers.Path(s.CacheDir, count)); got != want {
				t.Errorf("%v, and again: the key is %s, want %s", mode, got, want)
			}
		}
	}
}

// TestFileSizeLimit: a limit of the process, RLIMIT_FSIZE, is no room: the error says so at once, and
// when it is raised the sector can be made.
func TestFileSizeLimit(t *testing.T) {
	const child = "SDR_TEST_FILE_SIZE_LIMIT"
	if os.Getenv(child) == "" { // the limit is a process's, and this one writes a log
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.count=1")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("an emulated program cannot be begun by its own name")
		}
		if err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	c := oneSector(t.TempDir())
	c.Proof, c.Patience = porep.StackedDrg8MiBV1_1, time.Hour // what the test writes itself is shorter
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4 << 20, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Run(t.Context(), c)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, engine.ErrNoSpace) || !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), layers.Name(1)) {
		t.Errorf("%v", err)
	}
	if got := fileNames(t, c.Sectors[0].CacheDir); len(got) > 0 {
		t.Errorf("left %q", got)
	}
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
}
