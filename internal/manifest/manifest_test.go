package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"lukechampine.com/blake3"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// example is a manifest with everything in it.
func example() *manifest.Manifest {
	return &manifest.Manifest{
		Scheme: manifest.Scheme, Proof: porep.StackedDrg8MiBV1_1, ReplicaID: porep.ReplicaID{1, 2, 3}, Engine: "v1.2.3",
		Layers: []manifest.Layer{{1, manifest.Hash{4}, "sha-ni/1", manifest.CheckedReadBack}},
		Parts:  []manifest.Part{{2, 3 << 18, manifest.Hash{5}, "avx512/16"}},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func openDir(t testing.TB, path string) *durable.Dir {
	t.Helper()
	dir, err := durable.OpenDir(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return dir
}

// TestWrite: what is written is read, in the place of what was there, and nothing else is left.
func TestWrite(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	if _, err := manifest.Read(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: error %v, want %v", err, fs.ErrNotExist)
	}
	m := example()
	for range 2 {
		if err := m.Write(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		got, err := manifest.Read(t.Context(), path)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v, %v, want %+v", got, err, m)
		}
		m.Layers, m.Parts = append(m.Layers, manifest.Layer{2, manifest.Hash{6}, "generic/1", manifest.CheckedSample}), nil
	}
	if names := must(dir.Names()); len(names) != 1 || names[0] != manifest.Name {
		t.Errorf("left %q", names)
	}
}

// TestFlippedBits: no manifest with a bit flipped, or cut short, is believed.
func TestFlippedBits(t *testing.T) {
	text := must(example().Encode())
	for bit := range len(text) * 8 {
		wrong := bytes.Clone(text)
		wrong[bit/8] ^= 1 << (bit % 8)
		if m, err := manifest.Decode("m", wrong); err == nil {
			t.Fatalf("bit %d of byte %d (%q) flipped: %+v", bit%8, bit/8, text[bit/8], m)
		}
	}
	for n := range text {
		if _, err := manifest.Decode("m", text[:n]); !errors.As(err, new(*manifest.DamagedError)) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// TestBad: what is wrong is named, each with its type.
func TestBad(t *testing.T) {
	text := string(must(example().Encode()))
	damaged, schema := new(*manifest.DamagedError), new(*manifest.SchemaError)
	for _, c := range []struct {
		name, text string
		as         any
		says       string
	}{
		{"empty", "", damaged, "end of JSON"},
		{"zeros", string(make([]byte, 600)), damaged, "invalid character"},
		{"other schema", strings.Replace(text, `"schema": 1`, `"schema": 2`, 1), schema, "its schema is 2, this program knows 1"},
		{"no schema", "{}", damaged, "no schema"},
		{"other hashes", strings.Replace(text, manifest.Scheme, "blake3", 1), schema, `its hash_scheme is "blake3"`},
		{"other proof", strings.Replace(text, "StackedDrg8MiBV1_1", "StackedDrg9MiBV1_1", 1), damaged, "StackedDrg9MiBV1_1"},
		{"unknown field", strings.Replace(text, `"engine"`, `"extra": 1, "engine"`, 1), damaged, `unknown field "extra"`},
		{"field twice", strings.Replace(text, `"engine"`, `"engine": "v1.2.3", "engine"`, 1), damaged, "its sum"},
		{"another value", strings.Replace(text, "v1.2.3", "v1.2.4", 1), damaged, "its sum"},
		{"too long", text + strings.Repeat(" ", 64<<10), damaged, "want 65536 at most"},
		{"followed by more", text + text, damaged, "after top-level value"},
		{"layers out of order", strings.Replace(text, `"layer": 1`, `"layer": 0`, 1), damaged, "layer 0 follows layer 0"},
		{"finished and being made", strings.Replace(text, `"layer": 2`, `"layer": 1`, 1), damaged, "is being made"},
		{"length", strings.Replace(text, "8388608", "8388607", 1), damaged, "has 8388607 bytes, want 8388608"},
		{"no whole blocks", strings.Replace(text, "786432", "786431", 1), damaged, "layer 2 has 786431 bytes"},
	} {
		_, err := manifest.Decode("dir/m", []byte(c.text))
		if !errors.As(err, c.as) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "dir/m") {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// TestBlake3: blocks of a MiB have the digest that others' BLAKE3 gives them.
func TestBlake3(t *testing.T) {
	m := manifest.Manifest{Proof: porep.StackedDrg512MiBV1_1, Scheme: "sha256-of-block-blake3"}
	tree := m.NewTree()
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{8}).Read(block)
	if err := tree.Add(block, 0); err != nil {
		t.Fatal(err)
	}
	sum := blake3.Sum256(block)
	if got, want := must(tree.Sum(1<<20)), manifest.Hash(sha256.Sum256(sum[:])); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestOther: a manifest of another sector is refused, with both named.
func TestOther(t *testing.T) {
	m := example()
	if err := m.Of("dir", m.Proof, m.ReplicaID); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		m.Of("dir", porep.StackedDrg8MiBV1, m.ReplicaID),
		m.Of("dir", m.Proof, porep.ReplicaID{9}),
	} {
		if !errors.As(err, new(*manifest.OtherError)) || !strings.Contains(err.Error(), m.ReplicaID.String()) || !strings.Contains(err.Error(), "want replica id") {
			t.Errorf("error %v", err)
		}
	}
}

// TestNotAFile: links and pipes under the name are not followed, nor waited for.
func TestNotAFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("links are followed elsewhere")
	}
	path, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(other, must(example().Encode()), 0o666), os.Symlink(other, manifest.Path(path))); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Read(t.Context(), path); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("link: error %v", err)
	}
	if err := example().Write(t.Context(), openDir(t, path)); err != nil {
		t.Fatal(err)
	}
	if got := must(os.ReadFile(other)); !bytes.Equal(got, must(example().Encode())) {
		t.Error("what the link led to was written to")
	}
	if err := errors.Join(os.Remove(manifest.Path(path)), os.Mkdir(manifest.Path(path), 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Read(t.Context(), path); err == nil {
		t.Error("a directory was read")
	}
}

// TestTree: the hash does not depend on the order of blocks, nor on how many come at a time;
// and what it is, of a layer that is hashed block by block.
func TestTree(t *testing.T) {
	for scheme, digest := range map[string]func([]byte) [32]byte{"sha256-of-block-sha256": sha256.Sum256, "sha256-of-block-blake3": blake3.Sum256} {
		t.Run(scheme, func(t *testing.T) { testTree(t, scheme, digest) })
	}
}

func testTree(t *testing.T, scheme string, digest func([]byte) [32]byte) {
	const size = porep.SectorSize(2 << 10)
	block := manifest.BlockBytes(size)
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(content)
	plain := func(bytes int) manifest.Hash {
		all := sha256.New()
		for at := 0; at < bytes; at += block {
			sum := digest(content[at : at+block])
			all.Write(sum[:])
		}
		return manifest.Hash(all.Sum(nil))
	}
	m := manifest.Manifest{Proof: porep.StackedDrg2KiBV1_1, Scheme: scheme}
	rapid.Check(t, func(t *rapid.T) {
		tree := m.NewTree()
		var parts [][2]int
		for at := 0; at < len(content); {
			n := min(block*rapid.IntRange(1, 5).Draw(t, "blocks"), len(content)-at)
			parts = append(parts, [2]int{at, n})
			at += n
		}
		parts = rapid.Permutation(parts).Draw(t, "order")
		for i, p := range parts {
			if _, err := tree.Root(); err == nil {
				t.Fatalf("a hash after %d of %d parts", i, len(parts))
			}
			if err := tree.Add(content[p[0]:][:p[1]], int64(p[0])); err != nil {
				t.Fatal(err)
			}
		}
		bytes := block * rapid.IntRange(0, len(content)/block).Draw(t, "bytes")
		if got := must(tree.Sum(int64(bytes))); got != plain(bytes) {
			t.Fatalf("%d bytes: %v, want %v", bytes, got, plain(bytes))
		}
		if got := must(tree.Root()); got != plain(len(content)) {
			t.Fatalf("%v, want %v", got, plain(len(content)))
		}
	})
	tree := m.NewTree()
	read := func(b []byte, off int64) error { copy(b, content[off:]); return nil }
	if err := tree.AddFrom(t.Context(), int64(size), [][]byte{make([]byte, 3*block+1), make([]byte, block)}, read, nil); err != nil {
		t.Fatal(err)
	}
	if got := must(tree.Root()); got != plain(len(content)) {
		t.Errorf("%v, want %v", got, plain(len(content)))
	}
	failed := errors.New("failed")
	if err := tree.AddFrom(t.Context(), int64(size), [][]byte{make([]byte, block)}, func([]byte, int64) error { return failed }, nil); err != failed {
		t.Errorf("error %v", err)
	}
	for _, bad := range [][2]int{{1, block}, {block, block - 1}, {int(size), block}, {-block, block}} {
		if err := tree.Add(make([]byte, bad[1]), int64(bad[0])); err == nil {
			t.Errorf("%d bytes at %d were added", bad[1], bad[0])
		}
	}
}

// FuzzDecode: whatever is read, there is no panic, and what is accepted is what would be written.
func FuzzDecode(f *testing.F) {
	f.Add(must(example().Encode()))
	f.Add(must((&manifest.Manifest{Proof: porep.StackedDrg32GiBV1_1}).Encode()))
	f.Add([]byte(`{"schema":2}`))
	f.Add([]byte(`{"schema":1,"proof":"StackedDrg2KiBV1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Decode("m", text)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is read as %+v, and written as %q (%v)", text, m, again, err)
		}
	})
}
