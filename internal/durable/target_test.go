package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
)

// TestTarget: links are followed to where a file is, or will be.
func TestTarget(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return dir + "/" + name }
	err = errors.Join(
		os.MkdirAll(at("a/b"), 0o777),
		os.WriteFile(at("a/file"), nil, 0o666),
		os.Symlink("a/b", at("dir")),
		os.Symlink("a/file", at("there")),
		os.Symlink("dir/../new", at("new")), // a/new, since dir leads to a/b
		os.Symlink(at("new"), at("twice")),
		os.Symlink("loop", at("loop")),
	)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"plain": "plain", "a/file": "a/file", "there": "a/file", "dir/x": "a/b/x", "new": "a/new", "twice": "a/new",
		"dir/../file": "a/file", "missing/x": "missing/x", "loop": "loop",
	} {
		if got := durable.Target(at(path)); got != at(want) {
			t.Errorf("%s leads to %s, want %s", path, got, at(want))
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{"plain": "plain", "there": "a/file", "dir/x": "a/b/x"} {
		if got := durable.Target(path); got != want {
			t.Errorf("%s leads to %s, want %s", path, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	f := create(t, path, 100)
	defer f.Abort()
	if _, err := f.WriteAt([]byte("short"), 0); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{-1, 101} {
		if err := f.Cut(size); err == nil {
			t.Errorf("100 bytes cut to %d", size)
		}
	}
	if err := f.Cut(5); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 5); err == nil {
		t.Error("written past what was cut")
	}
	if err := f.Replace(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "short" {
		t.Errorf("%q, %v", got, err)
	}
}
