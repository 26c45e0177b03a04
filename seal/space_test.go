package seal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// TestSealedTakesRoom: sealed counts for the room that a sector needs, unless it can share staged's blocks, as
// a clone of the whole shows.
func TestSealedTakesRoom(t *testing.T) {
	dir := t.TempDir()
	s := Sector{Proof: porep.StackedDrg8MiBV1_1, CacheDir: dir, Staged: filepath.Join(dir, "staged"), Sealed: filepath.Join(dir, "sealed")}
	data := make([]byte, 2<<20)
	for i := range data {
		data[i] = byte(i%251) + 1
	}
	if err := errors.Join(os.WriteFile(s.Staged, data, 0o600), os.WriteFile(s.Sealed, nil, 0o600), os.WriteFile(filepath.Join(dir, "clone"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	staged, errStaged := os.OpenFile(s.Staged, os.O_RDWR, 0)
	clone, errClone := os.OpenFile(filepath.Join(dir, "clone"), os.O_RDWR, 0)
	if err := errors.Join(errStaged, errClone); err != nil {
		t.Fatal(err)
	}
	defer staged.Close()
	defer clone.Close()
	err := errors.Join(staged.Sync(), linux.Clone(clone, staged)) // synced, or its blocks are not taken yet
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	counts := slices.ContainsFunc(s.files(), func(f engine.File) bool { return f.Path == s.Sealed && f.Size > 0 })
	if shares := err == nil; counts == shares {
		t.Errorf("sealed counts: %v, and can share staged's blocks: %v", counts, shares)
	}
}
