package verify_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/verify"
)

// TestCorruption: of 100 bits that flip in layers, tree-d, the manifest and a parent cache, one at
// a time, each is found: by a full check, or, of a parent cache, before it is used.
// Of scratch files and profiles engine.TestScratchBits and profile.TestFlippedBits say as much.
func TestCorruption(t *testing.T) {
	s := labelled(t, small)
	size := s.Proof.SectorSize()
	staged := filepath.Join(t.TempDir(), "staged")
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(17, 100))
	for i := range data {
		data[i] = byte(r.Uint32())
		if i%porep.NodeSize == porep.NodeSize-1 {
			data[i] &= 0x3f
		}
	}
	write(t, staged, data)
	treePath := filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")
	tree, err := os.Create(treePath)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	source, err := os.Open(staged)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if _, err := merkle.BuildTree(t.Context(), tree, source, size, 1, nil); err != nil {
		t.Fatal(err)
	}
	makeManifest(t, s)
	parents, err := parentcache.Generate(t.Context(), s.Proof, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}

	check := func() error {
		report, err := verify.Full(t.Context(), s, verify.Options{Workers: 1})
		_, treeErr := verify.TreeD(t.Context(), s, staged, verify.Options{Workers: 1})
		return errors.Join(err, report.Err(), treeErr)
	}
	checkParents := func() error { return parentcache.VerifyFor(t.Context(), s.Proof, parents, nil) }
	if err := errors.Join(check(), checkParents()); err != nil {
		t.Fatal(err)
	}
	files := []string{layers.Path(s.CacheDir, 1), layers.Path(s.CacheDir, 2), treePath, manifest.Path(s.CacheDir), parents}
	for i := range 100 {
		path := files[i%len(files)]
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after := append([]byte(nil), before...)
		bit := r.IntN(8 * len(after))
		after[bit/8] ^= 1 << (bit % 8)
		write(t, path, after)
		if path == parents {
			err = checkParents()
		} else {
			err = check()
			if err != nil && path != manifest.Path(s.CacheDir) && !errors.Is(err, verify.ErrWrong) {
				t.Errorf("%s, bit %d: %v is no ErrWrong", path, bit, err)
			}
		}
		if err == nil {
			t.Errorf("%s, bit %d: nobody finds it", path, bit)
		}
		write(t, path, before)
	}
	if err := errors.Join(check(), checkParents()); err != nil {
		t.Errorf("after all was put back: %v", err)
	}
}

// makeManifest writes the sector's manifest, as it is made with the layers.
func makeManifest(t *testing.T, s verify.Sector) {
	t.Helper()
	m := manifest.Manifest{Proof: s.Proof, ReplicaID: s.ReplicaID, Engine: "test"}
	for layer := 1; layer <= s.Proof.Layers(); layer++ {
		b, err := os.ReadFile(layers.Path(s.CacheDir, layer))
		if err != nil {
			t.Fatal(err)
		}
		tree := manifest.NewTree(s.Proof.SectorSize())
		if err := tree.Add(b, 0); err != nil {
			t.Fatal(err)
		}
		root, err := tree.Root()
		if err != nil {
			t.Fatal(err)
		}
		m.Layers = append(m.Layers, manifest.Layer{Number: layer, Hash: root, Kernel: "generic/1", Checked: manifest.CheckedReadBack})
	}
	dir, err := durable.OpenDir(t.Context(), s.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := m.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestManifest: a layer that was made again, with right labels of another sector for example,
// differs from the manifest's hash whichever way it is read; a manifest of another sector is
// named, and not taken for this one's.
func TestManifest(t *testing.T) {
	s := labelled(t, large)
	makeManifest(t, s)
	m, err := manifest.Read(t.Context(), s.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]verify.Options{"two layers": {}, "passes": {Memory: 16 * verify.MinMemory}} {
		r, err := verify.Full(t.Context(), s, o)
		if err := errors.Join(err, r.Err()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir, err := durable.OpenDir(t.Context(), s.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	m.Layers[1].Hash[0] ^= 1
	if err := m.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]verify.Options{"two layers": {Layers: []int{2}}, "passes": {Layers: []int{2}, Memory: 16 * verify.MinMemory}} {
		r, err := verify.Full(t.Context(), s, o)
		if wrong := (*verify.HashError)(nil); err != nil || !errors.As(r.Err(), &wrong) || r.Layers[0].Wrong != 0 {
			t.Errorf("%s: %v, %v", name, err, r.Err())
		}
	}
	other := s
	other.ReplicaID[0] ^= 1
	for name, run := range map[string]func() (verify.Report, error){
		"full":   func() (verify.Report, error) { return verify.Full(t.Context(), other, verify.Options{}) },
		"sample": func() (verify.Report, error) { return verify.Sample(t.Context(), other, 1, 1, verify.Options{}) },
	} {
		if _, err := run(); !errors.As(err, new(*manifest.OtherError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTreeD: it is compared with staged, with sealed before phase 2, and with a replica, whose
// key is taken off.
func TestTreeD(t *testing.T) {
	s := labelled(t, small)
	size := s.Proof.SectorSize()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7)
		if i%porep.NodeSize == porep.NodeSize-1 {
			data[i] &= 0x3f
		}
	}
	work := t.TempDir()
	staged, sealed := filepath.Join(work, "staged"), filepath.Join(work, "sealed")
	write(t, staged, data)
	treePath := filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")
	tree, err := os.Create(treePath)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	source, err := os.Open(staged)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	commD, err := merkle.BuildTree(t.Context(), tree, source, size, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(layers.Path(s.CacheDir, s.Proof.Layers()))
	if err != nil {
		t.Fatal(err)
	}
	write(t, sealed, encode(data, key))
	for path, replica := range map[string]bool{staged: false, sealed: true} {
		got, err := verify.TreeD(t.Context(), s, path, verify.Options{})
		if err != nil || got.CommD != commD || got.Replica != replica {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{staged, sealed} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[100] ^= 1
		write(t, path, b)
		if _, err := verify.TreeD(t.Context(), s, path, verify.Options{}); !errors.Is(err, verify.ErrWrong) {
			t.Errorf("%s with a flipped bit: %v", path, err)
		}
	}
	if _, err := verify.TreeD(t.Context(), s, work, verify.Options{}); err == nil || errors.Is(err, verify.ErrWrong) {
		t.Error(fmt.Sprint("a directory: ", err))
	}
}
