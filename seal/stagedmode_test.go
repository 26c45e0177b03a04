package seal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/errorfs"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// short is a golden sector with pieces whose staged file is shorter than the sector.
func short(t *testing.T) golden.Sector {
	t.Helper()
	for _, g := range golden.Sectors() {
		if g.SectorSize == 2<<10 && len(g.Pieces) > 0 && g.StagedLen < int64(g.SectorSize) {
			return g
		}
	}
	return small(t)
}

// TestStagedMove: staged gets sealed's path, and what it holds is the reference's sealed file.
func TestStagedMove(t *testing.T) {
	for name, g := range map[string]golden.Sector{"whole": small(t), "short": short(t)} {
		t.Run(name, func(t *testing.T) {
			s := newSector(t, g)
			s.StagedMode = seal.StagedMove
			staged := must(os.Stat(s.Staged))
			check(t, g, s, seal.Options{})
			if !os.SameFile(staged, must(os.Stat(s.Sealed))) {
				t.Error("sealed is another file than staged was")
			}
			if _, err := os.Stat(s.Staged); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("staged is there: %v", err)
			}
			// Once more: the data is under sealed's name.
			for _, name := range cacheFiles(t, s) {
				if err := os.Remove(filepath.Join(s.CacheDir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CheckSealed(t.Context()); err != nil {
				t.Error(err)
			}
			check(t, g, s, seal.Options{})
		})
	}
}

// TestStagedMoveRefused: what cannot be moved, or is not the data, is left as it is.
func TestStagedMoveRefused(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	s.StagedMode = seal.StagedMove
	data := must(os.ReadFile(s.Staged))
	if err := os.Remove(s.Staged); err != nil {
		t.Fatal(err)
	}
	_, err := seal.PreCommit1(t.Context(), s, seal.Options{})
	if bad := (*seal.PathError)(nil); !errors.As(err, &bad) || bad.Role != "staged" {
		t.Errorf("neither staged nor data in sealed: %v", err)
	}
	replica := append([]byte{data[0] ^ 1}, data[1:]...)
	if err := os.WriteFile(s.Sealed, replica, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = seal.PreCommit1(t.Context(), s, seal.Options{})
	if !errors.As(err, new(*seal.DataError)) || !strings.Contains(err.Error(), "to which an earlier job may have moved it") {
		t.Errorf("a replica in sealed: %v", err)
	}
	if !bytes.Equal(must(os.ReadFile(s.Sealed)), replica) {
		t.Error("sealed was written to")
	}
	s.StagedMode = 9
	if err := s.Check(); !errors.Is(err, seal.ErrBadInput) {
		t.Errorf("mode 9: %v", err)
	}
	two := []seal.Sector{newSector(t, g), newSector(t, g)}
	two[1].Staged = two[0].Staged
	if err := seal.CheckPaths(two); err != nil {
		t.Errorf("two sectors of one staged file: %v", err)
	}
	two[1].StagedMode = seal.StagedMove
	if err := seal.CheckPaths(two); !errors.As(err, new(*seal.SamePathError)) {
		t.Errorf("two sectors of one staged file that is moved: %v", err)
	}
}

// TestStagedReflink: blocks are shared, or it is an error before a file is there.
func TestStagedReflink(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	s.StagedMode = seal.StagedReflink
	a, b := must(os.Create(filepath.Join(t.TempDir(), "a"))), must(os.Create(filepath.Join(t.TempDir(), "b")))
	defer a.Close()
	defer b.Close()
	if linux.Clone(a, b) == nil {
		check(t, g, s, seal.Options{})
		return
	}
	_, err := seal.PreCommit1(t.Context(), s, seal.Options{})
	if bad := (*seal.PathError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), "cannot share its blocks with sealed") {
		t.Errorf("error %v", err)
	}
	if left := cacheFiles(t, s); len(left) > 0 || must(os.Stat(s.Sealed)).Size() != 0 {
		t.Errorf("left %v, and sealed has %d bytes", left, must(os.Stat(s.Sealed)).Size())
	}
}

// TestMoveFaults: whatever one file operation of a job that moves staged does, the user's data
// is whole under staged's name or sealed's, an error after the move says so, and the same job
// ends well then.
func TestMoveFaults(t *testing.T) {
	g := short(t)
	run := func(i *errorfs.Injector, s seal.Sector) error {
		ctx := context.Background()
		if i != nil {
			ctx = i.With(ctx)
		}
		_, err := seal.PreCommit1(ctx, s, seal.Options{})
		return err
	}
	ready := func() seal.Sector {
		s := newSector(t, g)
		s.StagedMode = seal.StagedMove
		return s
	}
	data := must(os.ReadFile(ready().Staged))
	want := append(bytes.Clone(data), make([]byte, int(g.SectorSize)-len(data))...)
	count := &errorfs.Injector{}
	if err := run(count, ready()); err != nil {
		t.Fatal(err)
	}
	n := count.Operations() + 2 // their order, and so their number, differs
	from := max(0, n-12)
	if testkit.Long() {
		from = 0
	}
	moved := 0
	for _, fault := range []errorfs.Fault{errorfs.Fail, errorfs.Lie} {
		// Where the disk is slow the move comes earlier.
		for at := n - 1; at >= from || at >= 0 && moved == 0; at-- {
			i := &errorfs.Injector{At: at, Fault: fault}
			s := ready()
			err := run(i, s)
			staged, stagedErr := os.ReadFile(s.Staged)
			sealed := must(os.ReadFile(s.Sealed))
			inSealed := bytes.Equal(sealed, data) || bytes.Equal(sealed, want)
			switch after := (*seal.MovedError)(nil); {
			case stagedErr == nil && !bytes.Equal(staged, data) || stagedErr != nil && !inSealed:
				t.Fatalf("%s: error %v, and the data is nowhere: staged %v, sealed has %d bytes", i.Struck(), err, stagedErr, len(sealed))
			case err == nil && !bytes.Equal(sealed, want):
				t.Errorf("%s: no error, and sealed has %d bytes", i.Struck(), len(sealed))
			case err != nil && stagedErr != nil && (!errors.As(err, &after) || after.Sealed != s.Sealed):
				t.Errorf("%s: staged was moved, and the error is %v", i.Struck(), err)
			case errors.As(err, &after):
				moved++
			}
			if err == nil {
				continue
			}
			if err := run(nil, s); err != nil {
				t.Errorf("%s, and then once more: %v", i.Struck(), err)
			} else if !bytes.Equal(must(os.ReadFile(s.Sealed)), want) {
				t.Errorf("%s, and then once more: sealed is wrong", i.Struck())
			}
			os.RemoveAll(filepath.Dir(s.CacheDir))
		}
	}
	if moved == 0 {
		t.Errorf("of %d operations none failed after the move", n)
	}
}

// TestTakenTree: a tree-d that was left beside staged becomes the sector's, if it is right.
func TestTakenTree(t *testing.T) {
	g := small(t)
	built := newSector(t, g)
	check(t, g, built, seal.Options{})
	tree := must(os.ReadFile(filepath.Join(built.CacheDir, "sc-02-data-tree-d.dat")))
	s := newSector(t, g)
	s.TreeD = seal.TreeDName(s.Staged)
	if err := s.Check(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none there: %v", err)
	}
	wrong := bytes.Clone(tree)
	wrong[len(wrong)-70] ^= 1
	if err := os.WriteFile(s.TreeD, wrong, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.PreCommit1(t.Context(), s, seal.Options{}); !errors.Is(err, seal.ErrCorrupt) || !strings.Contains(err.Error(), s.TreeD) {
		t.Errorf("a wrong one: %v", err)
	}
	if !bytes.Equal(must(os.ReadFile(s.TreeD)), wrong) {
		t.Error("a wrong one is gone")
	}
	if err := os.WriteFile(s.TreeD, tree, 0o666); err != nil {
		t.Fatal(err)
	}
	info := must(os.Stat(s.TreeD))
	check(t, g, s, seal.Options{})
	if now := must(os.Stat(filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat"))); !os.SameFile(info, now) {
		t.Error("it was made anew")
	}
	if _, err := os.Stat(s.TreeD); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is beside staged as well: %v", err)
	}
	check(t, g, s, seal.Options{}) // the cache dir has one: none is looked for
}

// TestStagedTree: whatever pieces make up a sector, and whichever of them is added with the
// tree, it is the whole sector's, and there is none before the sector is full.
func TestStagedTree(t *testing.T) {
	const proof = porep.StackedDrg8MiBV1_1
	source := func(seed byte, size porep.UnpaddedSize) io.Reader {
		return io.LimitReader(golden.Stream(string(rune('a'+seed)), uint64(size)), int64(size))
	}
	for name, sizes := range map[string][]porep.PaddedSize{
		"one":    {8 << 20},
		"many":   {2 << 20, 1 << 20, 128, 4096, 4 << 20},
		"filled": {2 << 20, 256 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			staged := filepath.Join(t.TempDir(), "staged")
			a := seal.Append{Proof: proof, Staged: staged, Record: true}
			var want, got porep.Commitment
			for i, size := range sizes {
				tree := must(seal.NewStagedTree(t.Context(), proof, staged))
				a.Tree = tree
				must(seal.AppendPiece(t.Context(), a, source(byte(i), size.Unpadded()), size.Unpadded()))
				last := i == len(sizes)-1
				if last {
					must(seal.FillSector(t.Context(), a))
				}
				root, whole, err := tree.Commit(t.Context(), new(seal.PieceProgress))
				if err != nil || whole != last {
					t.Fatalf("behind piece %d: whole %v, %v", i, whole, err)
				}
				if names := must(filepath.Glob(filepath.Join(filepath.Dir(staged), "*tree-d*"))); !last && len(names) > 0 {
					t.Errorf("behind piece %d there is %v", i, names)
				}
				got = root
			}
			want = must(seal.CommD(proof, must(seal.ReadPieces(seal.RecordName(staged), proof))))
			if got != want {
				t.Errorf("root %v, comm_d %v", got, want)
			}
			cache := t.TempDir()
			must(seal.BuildTreeD(t.Context(), proof, staged, cache))
			if testkit.Digest(t, seal.TreeDName(staged)) != testkit.Digest(t, filepath.Join(cache, "sc-02-data-tree-d.dat")) {
				t.Error("it is another file than tree-d of staged")
			}
		})
	}
}

// TestStagedTreeRefused: a tree that has nodes of a piece that was not added has no name.
func TestStagedTreeRefused(t *testing.T) {
	const proof = porep.StackedDrg8MiBV1_1
	staged := filepath.Join(t.TempDir(), "staged")
	size := porep.PaddedSize(8 << 20).Unpadded()
	tree := must(seal.NewStagedTree(t.Context(), proof, staged))
	a := seal.Append{Proof: proof, Staged: staged, Tree: tree, Expect: new(porep.Commitment)}
	if _, err := seal.AppendPiece(t.Context(), a, golden.Stream("x", uint64(size)), size); !errors.As(err, new(*seal.OtherPieceError)) {
		t.Fatal(err)
	}
	a.Expect, a.Tree = nil, nil
	must(seal.AppendPiece(t.Context(), a, golden.Stream("y", uint64(size)), size))
	if _, whole, err := tree.Commit(t.Context(), nil); err == nil || whole {
		t.Errorf("whole %v, %v", whole, err)
	}
	if _, err := seal.NewStagedTree(t.Context(), 99, staged); err == nil {
		t.Error("no proof, and no error")
	}
	other := must(seal.NewStagedTree(t.Context(), proof, staged+"2"))
	defer other.Abort()
	a.Tree = other
	if _, err := seal.AppendPiece(t.Context(), a, golden.Stream("y", 127), 127); err == nil {
		t.Error("the tree of another staged file was taken")
	}
	left := must(os.ReadDir(filepath.Dir(staged)))
	for _, e := range left {
		if strings.Contains(e.Name(), "tree-d") && !strings.Contains(e.Name(), "staged2") {
			t.Errorf("left %v", e.Name())
		}
	}
}
