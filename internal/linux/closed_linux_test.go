package linux_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
)

// TestAtStart tells what the runtime opens from what a shell does; that the runtime
// still does so is tested with the command.
func TestAtStart(t *testing.T) {
	for _, tt := range []struct {
		path  string
		flags int
		want  linux.Stream
	}{
		{"/dev/null", os.O_RDWR, linux.StreamNull},
		{"/dev/null", os.O_WRONLY, linux.StreamOpen},
		{"/dev/null", os.O_RDONLY, linux.StreamOpen},
		{"/dev/zero", os.O_RDWR, linux.StreamOpen},
		{filepath.Join(t.TempDir(), "file"), os.O_RDWR | os.O_CREATE, linux.StreamOpen},
	} {
		f, err := os.OpenFile(tt.path, tt.flags, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := linux.AtStart(f); got != tt.want {
			t.Errorf("%s, opened with %#x: %v", tt.path, tt.flags, got)
		}
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	a := create(t, filepath.Join(dir, "a"), nil)
	create(t, filepath.Join(dir, "b"), nil)
	if err := os.Link(a.Name(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	id := map[string]linux.Identity{}
	for _, name := range []string{"a", "b", "link"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var ok bool
		if id[name], ok = linux.IdentityOf(info); !ok {
			t.Errorf("%s has none", name)
		}
	}
	if id["a"] != id["link"] || id["a"] == id["b"] {
		t.Errorf("%v, want those of a and link the same", id)
	}
}
