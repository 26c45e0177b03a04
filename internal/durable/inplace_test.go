package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
)

// noted are operations, in order.
type noted []durable.Op

func (n *noted) Before(op *durable.Op) error { *n = append(*n, *op); return nil }
func (n *noted) After(*durable.Op) error     { return nil }

// TestInPlaceName: a file that somebody has just made for a job is on the disk with its name when
// the job has synced it, also where a link leads to it.
func TestInPlaceName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	link := filepath.Join(dir, "link")
	err = errors.Join(os.Mkdir(sub, 0o777), os.WriteFile(filepath.Join(sub, "sealed"), nil, 0o666), os.Symlink("sub/sealed", link))
	if err != nil {
		t.Fatal(err)
	}
	var ops noted
	f, err := durable.OpenInPlace(durable.WithInjector(t.Context(), &ops), link)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	file := slices.IndexFunc(ops, func(op durable.Op) bool { return op.Kind == durable.OpSync && op.Path == link })
	name := slices.IndexFunc(ops, func(op durable.Op) bool { return op.Kind == durable.OpSyncDir && op.Path == sub })
	if file < 0 || name < file {
		t.Errorf("operations %v, want a sync of the file and then of %s", ops, sub)
	}
}
