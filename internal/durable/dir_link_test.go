package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A link to a file of the same directory is not that file, though os.Root would follow it.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("what it holds"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("file", filepath.Join(dir, "link")), os.Symlink("file", filepath.Join(dir, TempName("begun")))); err != nil {
		t.Skip(err)
	}
	d, err := OpenDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if r, err := d.Open("file"); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
	if r, err := d.Open("link"); err == nil {
		r.Close()
		t.Error("a link is opened as if it were the file")
	}
	if f, err := d.Adopt("begun", 13, 13); err == nil {
		f.Abort()
		t.Error("a link is gone on with")
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "what it holds" {
		t.Errorf("%q, %v", got, err)
	}
}
