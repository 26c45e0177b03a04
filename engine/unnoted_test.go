package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/manifest"
)

// TestUnnoted: a manifest that cannot be written is told, once, and so is that it can be again; the job
// goes on.
func TestUnnoted(t *testing.T) {
	var mu sync.Mutex
	failed := 0
	ctx := durable.WithInjector(t.Context(), refusing(func(op *durable.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == durable.OpCreate && filepath.Base(op.Path) == manifest.Name || strings.HasSuffix(op.Path, manifest.Name+".tmp") && op.Kind == durable.OpCreate {
			if failed++; failed <= 3 {
				return syscall.EROFS
			}
		}
		return nil
	}))
	c := oneSector(t.TempDir())
	c.CheckpointEvery = time.Hour
	var told []error
	c.Unnoted = func(sector int, err error) {
		if sector != 0 {
			t.Errorf("sector %d", sector)
		}
		told = append(told, err)
	}
	if _, err := (&engine.Hooks{Layers: 5}).Run(ctx, c); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !errors.Is(told[0], syscall.EROFS) || told[1] != nil {
		t.Errorf("told %v", told)
	}
}

// TestDirectoryAsManifest: a directory that has the manifest's name is somebody's: no job removes it, empty
// or not, whatever it is told of what is there.
func TestDirectoryAsManifest(t *testing.T) {
	for _, resume := range []engine.Resume{engine.ResumeSame, engine.ResumeOrReplace, engine.ResumeSampled, engine.Restart} {
		c := oneSector(t.TempDir())
		c.Resume = resume
		if err := errors.Join(os.Mkdir(manifest.Path(c.Sectors[0].CacheDir), 0o777), os.WriteFile(filepath.Join(c.Sectors[0].CacheDir, "sc-02-data-layer-1.dat"), []byte("mine"), 0o666)); err != nil {
			t.Fatal(err)
		}
		before := contentsOf(t, c.Sectors[0].CacheDir)
		_, err := engine.Run(t.Context(), c)
		if !errors.As(err, new(*engine.ManifestError)) || !strings.Contains(err.Error(), manifest.Path(c.Sectors[0].CacheDir)+": it is a directory") {
			t.Errorf("%v: error %v", resume, err)
		}
		if diff := cmp.Diff(before, contentsOf(t, c.Sectors[0].CacheDir)); diff != "" {
			t.Errorf("%v: %s", resume, diff)
		}
	}
}
