package seal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// must is for what cannot fail in a test that has come so far.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newSector is a golden sector before phase 1: its staged file has its pieces,
// and cache dir and sealed are there and empty.
func newSector(t testing.TB, g golden.Sector) seal.Sector {
	t.Helper()
	dir := t.TempDir()
	s := seal.Sector{
		Proof:    must(porep.ParseSealProof(g.RegisteredProof)),
		CacheDir: filepath.Join(dir, "cache"),
		Staged:   filepath.Join(dir, "staged"),
		Sealed:   filepath.Join(dir, "sealed"),
		ProverID: must(porep.ParseProverID(g.ProverID)),
		Number:   g.SectorID,
		Ticket:   must(porep.ParseTicket(g.Ticket)),
	}
	if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if len(g.Pieces) == 0 {
		s.Staged = seal.DevZero
		return s
	}
	staged := must(os.Create(s.Staged))
	defer staged.Close()
	var existing []porep.UnpaddedSize
	var end porep.PaddedSize
	for i, p := range g.Pieces {
		size := porep.UnpaddedSize(p.UnpaddedSize)
		added, err := seal.AddPiece(t.Context(), s.Proof, golden.Stream(p.Stream, p.UnpaddedSize), size, staged, existing)
		if err != nil {
			t.Fatal(err)
		}
		want := seal.AddedPiece{
			Piece:     porep.Piece{CommP: must(porep.ParseCommitment(p.CommP)), Size: size},
			Offset:    end + porep.UnpaddedSize(p.Written-p.UnpaddedSize).Padded(),
			Alignment: porep.UnpaddedSize(p.Written - p.UnpaddedSize),
			Written:   porep.UnpaddedSize(p.Written),
			Payload:   size,
		}
		if diff := cmp.Diff(want, added); diff != "" {
			t.Errorf("piece %d: %s", i, diff)
		}
		existing = append(existing, size)
		end = want.Offset + size.Padded()
		s.Pieces = append(s.Pieces, added.Piece)
	}
	if fi := must(staged.Stat()); fi.Size() != g.StagedLen {
		t.Errorf("staged has %d bytes, want %d", fi.Size(), g.StagedLen)
	}
	return s
}

// files are digests of all that phase 1 leaves.
func files(t testing.TB, s seal.Sector) map[string]string {
	t.Helper()
	digests := map[string]string{"sealed": testkit.Digest(t, s.Sealed)}
	for _, name := range cacheFiles(t, s) {
		digests[name] = testkit.Digest(t, filepath.Join(s.CacheDir, name))
	}
	return digests
}

func cacheFiles(t testing.TB, s seal.Sector) (names []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(s.CacheDir)) {
		if e.Name() != manifest.Name {
			names = append(names, e.Name())
		}
	}
	return names
}

func wantFiles(g golden.Sector) map[string]string {
	want := map[string]string{"sealed": g.SealedSHA256, "sc-02-data-tree-d.dat": g.TreeDSHA256}
	for i, l := range g.Layers {
		want["sc-02-data-layer-"+string(rune('1'+i))+".dat"] = l.SHA256
	}
	return want
}

// check seals s and compares all that is left with the reference.
func check(t *testing.T, g golden.Sector, s seal.Sector, o seal.Options) {
	t.Helper()
	out, err := seal.PreCommit1(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantFiles(g), files(t, s)); diff != "" {
		t.Errorf("files: %s", diff)
	}
	if out.CommD.String() != g.CommD || out.ReplicaID.String() != g.ReplicaID {
		t.Errorf("comm_d %v, replica id %v, want %v, %v", out.CommD, out.ReplicaID, g.CommD, g.ReplicaID)
	}
	want := strings.ReplaceAll(g.P1Output, "$CACHE", s.CacheDir)
	if diff := cmp.Diff(want, string(must(out.JSON()))); diff != "" {
		t.Errorf("output: %s", diff)
	}
}

func TestGolden(t *testing.T) {
	for _, g := range append(golden.Sectors(), golden.ZeroSectors()...) {
		t.Run(g.Name, func(t *testing.T) {
			switch {
			case g.SectorSize > 8<<20:
				t.Skip("512 MiB take half a minute, once: the command's long test has them")
			case g.SectorSize > 2<<10 && g.Name != "visible-8MiB-1.1-13" && !testkit.Long():
				t.Skip("engine labels it: only if SDR_LONG_TESTS is set")
			case g.SectorSize > 2<<10 && testing.Short():
				t.Skip("short")
			}
			s := newSector(t, g)
			if s.Staged != seal.DevZero && testkit.Digest(t, s.Staged) != g.StagedSHA256 {
				t.Error("staged differs")
			}
			check(t, g, s, seal.Options{})
		})
	}
}

// small is a 2 KiB sector of three pieces.
func small(t testing.TB) golden.Sector {
	t.Helper()
	for _, g := range golden.Sectors() {
		if g.Name == "visible-2KiB-1.1-4" {
			return g
		}
	}
	t.Fatal("no such golden sector")
	panic("unreachable")
}

// TestKernels: a sector's files do not depend on the kernel.
func TestKernels(t *testing.T) {
	for _, k := range kernels.Kernels() {
		if k.Usable() {
			t.Run(k.Name, func(t *testing.T) {
				g := small(t)
				check(t, g, newSector(t, g), seal.Options{Engine: engine.Config{Kernel: k.Name}})
			})
		}
	}
}

// TestAgain seals the same sector twice, the second time with everything there.
func TestAgain(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	check(t, g, s, seal.Options{})
	progress := new(seal.Progress)
	check(t, g, s, seal.Options{Progress: progress})
	if done, total := progress.Units(); progress.Stage() != seal.StageDone || done != 0 || total != 0 || progress.Layer() != 2 {
		t.Errorf("progress: stage %v, %d of %d, layer %d", progress.Stage(), done, total, progress.Layer())
	}
}

func TestGenerateSDR(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	if _, err := seal.GenerateSDR(t.Context(), s.Proof, s.CacheDir, must(porep.ParseReplicaID(g.ReplicaID)), seal.Options{}); err != nil {
		t.Fatal(err)
	}
	want := wantFiles(g)
	delete(want, "sc-02-data-tree-d.dat")
	want["sealed"] = hex.EncodeToString(sha256.New().Sum(nil)) // still empty
	if diff := cmp.Diff(want, files(t, s)); diff != "" {
		t.Error(diff)
	}
}

// TestChunks: neither comm_p nor staged depend on how the piece was read.
func TestChunks(t *testing.T) {
	piece := make([]byte, porep.PaddedSize(testkit.Rounds(2, 4)<<20).Unpadded())
	rand.NewChaCha8([32]byte{1}).Read(piece)
	proof := porep.StackedDrg8MiBV1_1
	var want bytes.Buffer
	first := must(seal.AddPiece(t.Context(), proof, bytes.NewReader(piece), porep.UnpaddedSize(len(piece)), &want, nil))
	read := func(t interface{ Fatal(...any) }, r io.Reader) {
		var staged bytes.Buffer
		added, err := seal.AddPiece(context.Background(), proof, r, porep.UnpaddedSize(len(piece)), &staged, nil)
		if err != nil {
			t.Fatal(err)
		}
		if added != first || !bytes.Equal(staged.Bytes(), want.Bytes()) {
			t.Fatal("the piece differs")
		}
	}
	read(t, iotest.HalfReader(bytes.NewReader(piece)))
	read(t, iotest.DataErrReader(bytes.NewReader(piece)))
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 2<<20), 1, 8).Draw(rt, "sizes")
		read(rt, &chunked{r: bytes.NewReader(piece), sizes: sizes})
	})
}

// chunked is a reader that yields so many bytes at a time, over and over.
type chunked struct {
	r     io.Reader
	sizes []int
	calls int
}

func (c *chunked) Read(b []byte) (int, error) {
	n := min(c.sizes[c.calls%len(c.sizes)], len(b))
	c.calls++
	return c.r.Read(b[:n])
}

// TestCommP covers pieces of one chunk, of many, and of less.
func TestCommP(t *testing.T) {
	for _, g := range golden.CommPs() {
		p, err := seal.CommP(t.Context(), golden.Stream(g.Stream, g.UnpaddedSize), porep.UnpaddedSize(g.UnpaddedSize))
		if err != nil || p.CommP.String() != g.CommP || uint64(p.Size) != g.UnpaddedSize {
			t.Errorf("%s: %v, %v", g.Stream, p, err)
		}
	}
}

// TestMemory: memory does not grow with the piece.
func TestMemory(t *testing.T) {
	allocated := func(size porep.PaddedSize) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		must(seal.CommP(t.Context(), io.LimitReader(zeroReader{}, int64(size.Unpadded())), size.Unpadded()))
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1 << 20) // what is made once
	// Not every goroutine need come to hash a part of a small piece, and then to memory
	// of its own.
	small := uint64(0)
	for range 5 {
		small = max(small, allocated(16<<20))
	}
	if large := allocated(128 << 20); large > small+1<<20 {
		t.Errorf("%d bytes allocated for 16 MiB, %d for 128 MiB", small, large)
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestZeroPieces: sectors of zeros, as pieces and without, are the same.
func TestZeroPieces(t *testing.T) {
	p := porep.StackedDrg8MiBV1
	want := must(seal.CommD(p, nil))
	piece := must(seal.CommP(t.Context(), io.LimitReader(zeroReader{}, 8323072), 8323072))
	if piece.CommP != want {
		t.Errorf("comm_p of zeros %v, comm_d of no pieces %v", piece.CommP, want)
	}
	half := must(seal.CommP(t.Context(), io.LimitReader(zeroReader{}, 4161536), 4161536))
	if got := must(seal.CommD(p, []porep.Piece{half, half})); got != want {
		t.Errorf("comm_d of two halves %v, want %v", got, want)
	}
}

// TestWritePiece puts pieces one behind the other, and zeros where asked to.
func TestWritePiece(t *testing.T) {
	p := porep.StackedDrg2KiBV1
	data := bytes.Repeat([]byte{0xab}, 254)
	var packed bytes.Buffer
	for _, size := range []int{127, 254} {
		added, err := seal.WritePiece(t.Context(), p, bytes.NewReader(data[:size]), porep.UnpaddedSize(size), &packed)
		if err != nil || added.Alignment != 0 || int(added.Written) != size {
			t.Errorf("%+v, %v", added, err)
		}
	}
	// To a file and to a writer, the zeros are the same.
	f := must(os.Create(filepath.Join(t.TempDir(), "staged")))
	defer f.Close()
	var aligned bytes.Buffer
	for _, w := range []io.Writer{f, &aligned} {
		var existing []porep.UnpaddedSize
		for _, size := range []int{127, 254} {
			must(seal.AddPiece(t.Context(), p, bytes.NewReader(data[:size]), porep.UnpaddedSize(size), w, existing))
			existing = append(existing, porep.UnpaddedSize(size))
		}
	}
	want := append(append(bytes.Clone(packed.Bytes()[:128]), make([]byte, 128)...), packed.Bytes()[128:]...)
	if !bytes.Equal(aligned.Bytes(), want) {
		t.Error("the aligned pieces are not the packed ones with zeros between them")
	}
	if got := must(os.ReadFile(f.Name())); !bytes.Equal(got, want) {
		t.Error("the file is not what the writer got")
	}
}
