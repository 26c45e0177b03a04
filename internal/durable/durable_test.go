package durable_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

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
	f, err := durable.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Reserve(size); err != nil {
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
	if err := f.Replace(t.Context()); err != nil {
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
		} else if !strings.Contains(err.Error(), "outside of its 8") {
			t.Errorf("3 bytes at %d of 8: %v", off, err)
		}
	}
}

func TestLocked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	path := filepath.Join(t.TempDir(), "data")
	f := create(t, path, 8)
	if _, err := durable.Create(t.Context(), path); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("second Create: %v", err)
	}
	if err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, path, 8).Abort()
}

// TestStaleNames: what stands under the temporary name is not written to, if it
// has another name as well.
func TestStaleNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	for name, link := range map[string]func(old, new string) error{"symbolic": os.Symlink, "hard": os.Link} {
		dir := t.TempDir()
		precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "data")
		if err := os.WriteFile(precious, []byte("precious"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := link(precious, filepath.Join(dir, durable.TempName("data"))); err != nil {
			t.Fatal(err)
		}
		f, err := durable.Create(t.Context(), path)
		if err != nil {
			t.Fatalf("%s link: %v", name, err)
		}
		if err := errors.Join(f.Reserve(8), f.Commit(t.Context())); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(precious); string(b) != "precious" {
			t.Errorf("%s link: the file it leads to is %q, %v", name, b, err)
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := durable.Create(t.Context(), filepath.Join(dir, "missing", "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	huge, err := durable.Create(t.Context(), filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := huge.Reserve(1 << 62); err == nil || !strings.Contains(err.Error(), "4611686018427387904 bytes") {
		t.Errorf("a file of 2^62 bytes: %v", err)
	}
	huge.Abort()
	// A directory has the name.
	path := filepath.Join(dir, "directory")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := create(t, path, 8).Replace(t.Context()); err == nil {
		t.Error("a directory was replaced")
	}
	if diff := cmp.Diff([]string{"directory"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestScratch: a scratch file has no name, is read as it was written, by any way and
// alignment, and cannot be committed.
func TestScratch(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.Scratch(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 * linux.DirectAlign
	if err := f.Reserve(size); err != nil {
		t.Fatal(err)
	}
	f.AllowDirect()
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("%q is there", left)
	}
	memory := make([]byte, size+linux.DirectAlign)
	skip := -int(uintptr(unsafe.Pointer(&memory[0]))) & (linux.DirectAlign - 1)
	want := memory[skip:][:size]
	for way := durable.Direct; way <= durable.Behind; way++ {
		for i := range want {
			want[i] = byte(i*7 + int(way))
		}
		if err := f.WriteVia(way, want, 0); err != nil {
			t.Fatal(err)
		}
		copied := string(want)
		for _, n := range []int{size, linux.DirectAlign, 100} {
			for _, off := range []int{0, linux.DirectAlign, 33} {
				n := min(n, size-off)
				if err := f.ReadVia(way, want[:n], int64(off)); err != nil || string(want[:n]) != copied[off:][:n] {
					t.Errorf("%v: %d bytes at %d read otherwise (%v)", way, n, off, err)
				}
			}
		}
		if err := f.ReadVia(way, want[:linux.DirectAlign], size); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: reading past the end: %v", way, err)
		}
	}
	if err := f.Commit(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("committed: %v", err)
	}
	f.Abort()
	f.Abort()
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if _, err := durable.Scratch(t.Context(), filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is missing: %v", err)
	}
}
