package linux_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdr-engine/sdr/internal/linux"
)

func create(t *testing.T, path string, content []byte) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestClone: where the file system can share blocks, a clone is equal and takes
// no space; elsewhere Clone says so. SDR_REFLINK_DIR names a directory where it can
// (CI mounts one, see the Makefile).
func TestClone(t *testing.T) {
	dir := os.Getenv("SDR_REFLINK_DIR")
	can := dir != ""
	if !can {
		dir = t.TempDir()
	}
	content := make([]byte, 16<<20)
	rand.NewChaCha8([32]byte{}).Read(content)
	src := create(t, filepath.Join(dir, "src"), content)
	defer os.Remove(src.Name())
	dst := create(t, filepath.Join(dir, "dst"), nil)
	defer os.Remove(dst.Name())
	if err := src.Sync(); err != nil {
		t.Fatal(err)
	}
	before := free(t, dir)
	err := linux.Clone(dst, src)
	if !can && errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := dst.Sync(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dst.Name()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the clone differs (%v)", err)
	}
	if taken := before - free(t, dir); can && taken > 8<<20 {
		t.Errorf("a clone of 16 MiB took %d bytes", taken)
	}
}

func free(t *testing.T, dir string) int64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bfree) * fs.Bsize
}

func TestMap(t *testing.T) {
	mem, err := linux.Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	mem[0], mem[len(mem)-1] = 1, 2
	_ = linux.AdviseHuge(mem) // no huge pages is no failure
	if err := linux.Unmap(mem); err != nil {
		t.Error(err)
	}
	if _, err := linux.Map(0); err == nil {
		t.Error("a map of nothing")
	}
}

func TestReserve(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "file"), []byte("abc"))
	if err := linux.Reserve(f, 4096); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := linux.Reserve(f, 1<<60); err == nil {
		t.Error("2^60 bytes of disk")
	}
	if err := linux.StartWriteback(f, 0, 4096); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := linux.Datasync(f); err != nil {
		t.Error(err)
	}
}

func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	first, second := create(t, path, nil), create(t, path, nil)
	if err := linux.TryLock(first); err != nil {
		t.Fatal(err)
	}
	if err := linux.TryLock(second); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	first.Close()
	if err := linux.TryLock(second); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
}

func TestSharedLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	first, second, third := create(t, path, nil), create(t, path, nil), create(t, path, nil)
	if err := errors.Join(linux.TryLockShared(first), linux.LockShared(second)); err != nil {
		t.Fatal(err)
	}
	if err := linux.TryLock(third); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("alone, beside two that share: %v", err)
	}
	if err := errors.Join(linux.Unlock(first), linux.Unlock(second), linux.Lock(third)); err != nil {
		t.Fatal(err)
	}
	if err := linux.TryLockShared(first); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("shared, beside one who has it alone: %v", err)
	}
	// A copy of the descriptor, as a child has it for a moment, keeps nothing.
	dup, err := unix.Dup(int(third.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	if err := errors.Join(linux.Unlock(third), third.Close(), linux.TryLock(first)); err != nil {
		t.Errorf("after Unlock: %v", err)
	}
}

func TestOwner(t *testing.T) {
	dir := t.TempDir()
	f := create(t, filepath.Join(dir, "file"), nil)
	if err := os.Link(f.Name(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if uid, names, ok := linux.Owner(info); !ok || uid != os.Geteuid() || names != 2 {
		t.Errorf("owner %d, %d names, %t; want %d, 2", uid, names, ok, os.Geteuid())
	}
}

func TestSyncDir(t *testing.T) {
	if err := linux.SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := linux.SyncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}
