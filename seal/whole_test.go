package seal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// Pieces without alignment, one behind the other: what a golden sector that needs none has, and its
// tree-d.
func TestWriteStagedGolden(t *testing.T) {
	tried := 0
	for _, s := range golden.Sectors() {
		var pieces []seal.NewPiece
		aligned := s.SectorSize != 2<<10
		for _, p := range s.Pieces {
			aligned = aligned || p.Written != p.UnpaddedSize
			pieces = append(pieces, seal.NewPiece{Size: porep.UnpaddedSize(p.UnpaddedSize), Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(golden.Stream(p.Stream, p.UnpaddedSize)), nil
			}})
		}
		if aligned {
			continue
		}
		tried++
		proof, err := porep.ParseSealProof(s.RegisteredProof)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		staged := filepath.Join(dir, "staged")
		if err := os.WriteFile(staged, bytes.Repeat([]byte{1}, 5000), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := seal.WriteStaged(t.Context(), proof, staged, pieces)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got {
			if p.CommP.String() != s.Pieces[i].CommP {
				t.Errorf("%s: piece %d has %v, want %s", s.Name, i, p.CommP, s.Pieces[i].CommP)
			}
		}
		if d := testkit.Digest(t, staged); d != s.StagedSHA256 {
			t.Errorf("%s: staged is %s, want %s", s.Name, d, s.StagedSHA256)
		}
		if s.StagedLen != int64(s.SectorSize) {
			continue
		}
		root, err := seal.BuildTreeD(t.Context(), proof, staged, dir)
		if err != nil || root.String() != s.CommD {
			t.Errorf("%s: root %v, %v, want %s", s.Name, root, err, s.CommD)
		}
		if d := testkit.Digest(t, filepath.Join(dir, "sc-02-data-tree-d.dat")); d != s.TreeDSHA256 {
			t.Errorf("%s: tree-d is %s, want %s", s.Name, d, s.TreeDSHA256)
		}
	}
	if tried < 3 {
		t.Errorf("%d golden sectors need no alignment", tried)
	}
}

// What is refused beforehand leaves the file; what fails later leaves it empty, or none.
func TestWriteStagedFails(t *testing.T) {
	const proof = porep.StackedDrg2KiBV1_1
	enough := errors.New("enough")
	zero := func(size porep.UnpaddedSize) seal.NewPiece { return seal.NewPiece{Size: size} }
	failing := seal.NewPiece{Size: 127, Open: func(context.Context) (io.ReadCloser, error) { return nil, enough }}
	short := seal.NewPiece{Size: 127, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(make([]byte, 126))), nil
	}}
	for name, tt := range map[string]struct {
		pieces []seal.NewPiece
		want   func(error) bool
		kept   bool
	}{
		"no piece's size": {[]seal.NewPiece{zero(128)}, func(err error) bool { return errors.As(err, new(*porep.PieceSizeError)) }, true},
		"too many":        {[]seal.NewPiece{zero(1016), zero(1016), zero(127)}, func(err error) bool { return errors.As(err, new(*seal.SpaceError)) }, true},
		"the second":      {[]seal.NewPiece{zero(127), failing}, func(err error) bool { return errors.Is(err, enough) }, false},
		"too short":       {[]seal.NewPiece{short}, func(err error) bool { return errors.As(err, new(*seal.SourceError)) }, false},
	} {
		dir := t.TempDir()
		there, gone := filepath.Join(dir, "there"), filepath.Join(dir, "gone")
		if err := os.WriteFile(there, []byte("data"), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{there, gone} {
			if _, err := seal.WriteStaged(t.Context(), proof, path, tt.pieces); err == nil || !tt.want(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := ""
		if tt.kept {
			want = "data"
		}
		if got, err := os.ReadFile(there); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
		if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file is left: %v", name, err)
		}
	}
}

// TestBuildTreeDBusy: of jobs that make one tree-d at the same time each makes it, or is told that
// another does.
func TestBuildTreeDBusy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	dir := t.TempDir()
	staged := filepath.Join(dir, "staged")
	if err := os.WriteFile(staged, make([]byte, 2<<10), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		const jobs = 6
		errs := make(chan error, jobs)
		for range jobs {
			go func() {
				_, err := seal.BuildTreeD(t.Context(), porep.StackedDrg2KiBV1_1, staged, dir)
				errs <- err
			}()
		}
		for range jobs {
			if err := <-errs; err != nil && !errors.Is(err, seal.ErrBusy) {
				t.Error(err)
			}
		}
	}
}
