package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
)

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func create(t *testing.T, path string, size int64) *durable.File {
	t.Helper()
	f, err := durable.Create(path, size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	// What a crash left: longer than the file that comes.
	if err := os.WriteFile(filepath.Join(dir, durable.TempName("data")), []byte("rubbish of a crash"), 0o666); err != nil {
		t.Fatal(err)
	}
	f := create(t, path, 8)
	if _, err := f.WriteAt([]byte("new"), 2); err != nil {
		t.Fatal(err)
	}
	f.StartWriteback(0, 8)
	back := make([]byte, 3)
	if _, err := f.ReadAt(back, 2); err != nil || string(back) != "new" {
		t.Errorf("read back %q, %v", back, err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("before Commit the file is %q", b)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	if b, _ := os.ReadFile(path); string(b) != "\x00\x00new\x00\x00\x00" {
		t.Errorf("the file is %q", b)
	}
	if diff := cmp.Diff([]string{"data"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	f := create(t, filepath.Join(dir, "data"), 8)
	f.Abort()
	f.Abort()
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left %q", got)
	}
}

func TestWritePastEnd(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "data"), 8)
	defer f.Abort()
	for _, off := range []int64{-1, 6, 8, 1 << 62, 1<<63 - 1} {
		if _, err := f.WriteAt([]byte("abc"), off); err == nil {
			t.Errorf("3 bytes at %d of 8: no error", off)
		}
	}
}

func TestLocked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	path := filepath.Join(t.TempDir(), "data")
	f := create(t, path, 8)
	if _, err := durable.Create(path, 8); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("second Create: %v", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	create(t, path, 8).Abort()
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := durable.Create(filepath.Join(dir, "missing", "data"), 8); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := durable.Create(filepath.Join(dir, "huge"), 1<<62); err == nil {
		t.Error("a file of 2^62 bytes: no error")
	}
	// A folder has the name.
	path := filepath.Join(dir, "folder")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := create(t, path, 8).Commit(); err == nil {
		t.Error("a folder was replaced")
	}
	if diff := cmp.Diff([]string{"folder"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}
