package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// TestFaults: whatever one file operation of a whole job does, the job never ends well with
// a wrong file, and never leaves one under its final name.
func TestFaults(t *testing.T) {
	g := small(t)
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for _, tree := range []string{"built", "existing"} {
			t.Run(fmt.Sprintf("%v/tree-d %s", mode, tree), func(t *testing.T) {
				t.Parallel()
				o := seal.Options{Engine: engine.Config{MemoryMode: mode, Kernel: "generic/1", Hashers: 1, Producers: 1}}
				files := faultsWanted(t, g, o)
				run := func(i *errorfs.Injector) (seal.Sector, error) {
					s := newSector(t, g)
					t.Cleanup(func() { os.RemoveAll(filepath.Dir(s.CacheDir)) })
					if tree == "existing" {
						if err := os.WriteFile(filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat"), files["sc-02-data-tree-d.dat"], 0o666); err != nil {
							t.Fatal(err)
						}
					}
					// What another sector left.
					for _, name := range []string{"sc-02-data-layer-2.dat", "p_aux"} {
						if err := os.WriteFile(filepath.Join(s.CacheDir, name), []byte(name), 0o666); err != nil {
							t.Fatal(err)
						}
					}
					_, err := seal.PreCommit1(i.With(context.Background()), s, o)
					return s, err
				}
				count := &errorfs.Injector{}
				if _, err := run(count); err != nil {
					t.Fatal(err)
				}
				n := count.Operations() + 4 // their order, and so their number, differs
				failed, right, step, first := 0, 0, 1, 0
				switch {
				case testkit.Long() && mode == engine.OneLayer && tree == "built": // it has the most files
				case testkit.Long() && mode == engine.TwoLayers:
					step = 2 // in each operation each fault, once or again and again
				default:
					step = n/4 + 1
				}
				for _, again := range []bool{false, true} {
					first++ // other operations than those of the time before
					for _, fault := range errorfs.Faults {
						first++ // and than those of the fault before
						for at := first % step; at < n; at += step {
							i := &errorfs.Injector{At: at, Fault: fault, Again: again}
							s, err := run(i)
							if err == nil {
								right++
							} else {
								failed++
							}
							if why := faultsWrong(s, files, i, err); why != nil {
								t.Errorf("operation %d, %s, again %v: error %v, but %v", at, i.Struck(), again, err, why)
							}
							os.RemoveAll(filepath.Dir(s.CacheDir))
						}
					}
				}
				t.Logf("%d operations: %d jobs failed, %d were right", n, failed, right)
				if failed == 0 || right == 0 {
					t.Errorf("of some %d operations %d jobs failed and %d did not: faults do not reach the job", n, failed, right)
				}
			})
		}
	}
}

// TestAppendFaults: whatever one file operation of AppendPiece does, after an error staged and
// its record are as they were, or say that they are not; and what a disk has changed in a
// staged file that was acknowledged never becomes a sector.
func TestAppendFaults(t *testing.T) {
	const proof, size = porep.StackedDrg2KiBV1_1, 2032
	piece := bytes.Repeat([]byte{3}, size)
	run := func(i *errorfs.Injector) (dir string, added seal.AddedPiece, err error) {
		dir = t.TempDir()
		added, err = seal.AppendPiece(i.With(t.Context()), seal.Append{Proof: proof, Staged: filepath.Join(dir, "staged"), Record: true}, bytes.NewReader(piece), size)
		return dir, added, err
	}
	count := &errorfs.Injector{}
	dir, want, err := run(count)
	if err != nil {
		t.Fatal(err)
	}
	right := must(os.ReadFile(filepath.Join(dir, "staged")))
	failed, refused := 0, 0
	for _, fault := range errorfs.Faults {
		for at := range count.Operations() {
			i := &errorfs.Injector{At: at, Fault: fault}
			dir, added, err := run(i)
			staged := filepath.Join(dir, "staged")
			if err != nil {
				failed++
				// A name that was given, and then taken away behind our back, is not ours to clear.
				if left := must(os.ReadDir(dir)); len(left) > 0 && !i.Tampered() {
					t.Errorf("%s: error %v, and left %v", i.Struck(), err, left)
				}
				continue
			}
			if added != want {
				t.Errorf("%s: %v, want %v", i.Struck(), added, want)
			}
			if got := must(os.ReadFile(staged)); bytes.Equal(got, right) {
				continue
			}
			refused++
			s := seal.Sector{Proof: proof, CacheDir: t.TempDir(), Staged: staged, Sealed: filepath.Join(dir, "sealed"), Pieces: []porep.Piece{added.Piece}}
			if err := os.WriteFile(s.Sealed, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := seal.PreCommit1(t.Context(), s, seal.Options{}); !errors.As(err, new(*seal.DataError)) {
				t.Errorf("%s: sealed from a wrong staged: %v", i.Struck(), err)
			}
		}
	}
	if failed == 0 || refused == 0 {
		t.Errorf("%d failed, %d were refused later: faults do not reach the job", failed, refused)
	}
}

// faultsWanted are a sector's files, by name.
func faultsWanted(t *testing.T, g golden.Sector, o seal.Options) map[string][]byte {
	s := newSector(t, g)
	check(t, g, s, o)
	files := map[string][]byte{}
	for _, path := range []string{s.Sealed, filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat"), layers.Path(s.CacheDir, 1), layers.Path(s.CacheDir, 2)} {
		files[filepath.Base(path)] = must(os.ReadFile(path))
	}
	return files
}

// faultsWrong says what a job left that it must not, after an error or none.
func faultsWrong(s seal.Sector, files map[string][]byte, i *errorfs.Injector, err error) error {
	var wrong []error
	for name, want := range files {
		path := filepath.Join(s.CacheDir, name)
		if name == filepath.Base(s.Sealed) {
			path = s.Sealed
		}
		got, readErr := os.ReadFile(path)
		switch {
		case err == nil && (readErr != nil || !bytes.Equal(got, want)):
			wrong = append(wrong, fmt.Errorf("%s is wrong (%d bytes, want %d; %v)", name, len(got), len(want), readErr))
		case err != nil && readErr == nil && !bytes.Equal(got, want) && name != filepath.Base(s.Sealed) && string(got) != name && !i.Tampered():
			wrong = append(wrong, fmt.Errorf("%s is there and wrong", name))
		}
	}
	if _, statErr := os.Stat(filepath.Join(s.CacheDir, "p_aux")); err == nil && statErr == nil && !i.Tampered() {
		wrong = append(wrong, errors.New("what phase 2 made of another sector is there"))
	}
	return errors.Join(wrong...)
}
