package seal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

var errDisk = errors.New("the disk is on fire")

// failingWriter fails once it has so many bytes.
type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, errDisk
	}
	w.left -= len(b)
	return len(b), nil
}

// TestAddPieceErrors: an error names what is wrong, and staged is as before.
func TestAddPieceErrors(t *testing.T) {
	const before = "what was there before"
	data := func(n int) io.Reader { return bytes.NewReader(make([]byte, n)) }
	type sizes = []porep.UnpaddedSize
	tests := []struct {
		name     string
		proof    porep.SealProof
		source   io.Reader
		size     porep.UnpaddedSize
		existing sizes
		as       any
		says     []string
	}{
		{"unknown proof", 77, data(127), 127, nil, new(*porep.UnknownProofError), []string{"77", "StackedDrg2KiBV1"}},
		{"no size", porep.StackedDrg2KiBV1, data(0), 0, nil, new(*porep.PieceSizeError), []string{"0 unpadded", "127"}},
		{"odd size", porep.StackedDrg2KiBV1, data(381), 381, nil, new(*porep.PieceSizeError), []string{"381", "508"}},
		{"too large", porep.StackedDrg2KiBV1, data(4064), 4064, nil, new(*porep.PieceSizeError), []string{"4064", "2048"}},
		{"bad existing", porep.StackedDrg2KiBV1, data(127), 127, sizes{127, 100}, new(*porep.PieceSizeError), []string{"existing", "100"}},
		{"no room", porep.StackedDrg2KiBV1, data(1016), 1016, sizes{1016, 127}, new(*seal.SpaceError), []string{"1024", "2048"}},
		{"no room at all", porep.StackedDrg2KiBV1, data(127), 127, sizes{2032, 2032}, new(*seal.SpaceError), []string{"4096"}},
		{"short", porep.StackedDrg2KiBV1, data(100), 127, nil, new(*seal.SourceError), []string{"100", "127"}},
		{"empty", porep.StackedDrg2KiBV1, data(0), 127, nil, new(*seal.SourceError), []string{"0 bytes", "127"}},
		{"long", porep.StackedDrg2KiBV1, data(128), 127, sizes{127}, new(*seal.SourceError), []string{"more than", "127"}},
		{"short by a chunk", porep.StackedDrg8MiBV1, data(3 << 20), 4161536, nil, new(*seal.SourceError), []string{"3145728", "4161536"}},
		{"long by much", porep.StackedDrg8MiBV1, data(9 << 20), 4161536, nil, new(*seal.SourceError), []string{"more than", "4161536"}},
		{"source fails", porep.StackedDrg2KiBV1, io.MultiReader(data(50), iotest.ErrReader(errDisk)), 127, nil, nil, []string{"after 50 bytes", errDisk.Error()}},
		{"source fails at its end", porep.StackedDrg2KiBV1, io.MultiReader(data(127), iotest.ErrReader(errDisk)), 127, nil, nil, []string{"after 127 bytes", errDisk.Error()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged := must(os.Create(filepath.Join(t.TempDir(), "staged")))
			defer staged.Close()
			must(staged.WriteString(before))
			_, err := seal.AddPiece(t.Context(), tt.proof, tt.source, tt.size, staged, tt.existing)
			checkError(t, err, tt.as, tt.says)
			if got := must(os.ReadFile(staged.Name())); string(got) != before {
				t.Errorf("staged has %d bytes, want the %d of before", len(got), len(before))
			}
			if pos := must(staged.Seek(0, io.SeekCurrent)); pos != int64(len(before)) {
				t.Errorf("staged stands at %d, want %d", pos, len(before))
			}
		})
	}
}

// TestAppend: a staged file that is opened for appending stands at its end.
func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "staged")
	if err := os.WriteFile(path, make([]byte, 2048), 0o666); err != nil {
		t.Fatal(err)
	}
	staged := must(os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0))
	defer staged.Close()
	_, err := seal.WritePiece(t.Context(), porep.StackedDrg2KiBV1, bytes.NewReader(make([]byte, 127)), 127, staged)
	checkError(t, err, new(*seal.SpaceError), []string{"2048", "0 are left"})
}

// TestStagedFull: nothing goes past the sector's end, whatever existing says.
func TestStagedFull(t *testing.T) {
	staged := must(os.Create(filepath.Join(t.TempDir(), "staged")))
	defer staged.Close()
	must(staged.Write(make([]byte, 1921)))
	piece := bytes.NewReader(make([]byte, 127))
	_, err := seal.WritePiece(t.Context(), porep.StackedDrg2KiBV1, piece, 127, staged)
	checkError(t, err, new(*seal.SpaceError), []string{"128", "1921", "2048", "127 are left"})
	if fi := must(staged.Stat()); fi.Size() != 1921 || piece.Len() != 127 {
		t.Errorf("staged has %d bytes, the piece %d to go", fi.Size(), piece.Len())
	}
}

func checkError(t *testing.T, err error, as any, says []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if as != nil && !errors.As(err, as) {
		t.Errorf("error of type %T: %v", err, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

// shortWriter says that it wrote less, but not why.
type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestAddPieceShortWrite(t *testing.T) {
	_, err := seal.WritePiece(t.Context(), porep.StackedDrg2KiBV1, bytes.NewReader(make([]byte, 127)), 127, shortWriter{})
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error %v", err)
	}
}

func TestAddPieceWriterFails(t *testing.T) {
	before := runtime.NumGoroutine()
	size := porep.SectorSize(8 << 20)
	source := io.LimitReader(zeroReader{}, int64(porep.PaddedSize(size).Unpadded()))
	_, err := seal.AddPiece(t.Context(), porep.StackedDrg8MiBV1, source, porep.PaddedSize(size).Unpadded(), &failingWriter{3 << 20}, nil)
	if at := (*seal.WriteError)(nil); !errors.Is(err, errDisk) || !errors.As(err, &at) || at.Size != porep.PaddedSize(size) || at.Length == 0 {
		t.Errorf("error %v", err)
	}
	noGoroutines(t, before)
}

// TestFailingSource: where a source fails says which it is and how far it was, and staged keeps
// what it had.
func TestFailingSource(t *testing.T) {
	dir := t.TempDir()
	a := seal.Append{Proof: porep.StackedDrg8MiBV1_1, Staged: filepath.Join(dir, "staged"), Record: true}
	must(seal.AppendPiece(t.Context(), a, zeroPart(127), 127))
	before := must(os.ReadFile(a.Staged))
	source := must(os.Create(filepath.Join(dir, "piece")))
	defer source.Close()
	must(source.Write(bytes.Repeat([]byte{1}, 300000)))
	must(source.Seek(0, io.SeekStart))
	_, err := seal.AppendPiece(t.Context(), a, source, 520192)
	if wrong := (*seal.SourceError)(nil); !errors.As(err, &wrong) || wrong.Path != source.Name() || wrong.Got != 300000 || wrong.Want != 520192 || !errors.Is(err, seal.ErrBadInput) {
		t.Errorf("a file that ends early: %v", err)
	}
	_, err = seal.AppendPiece(t.Context(), a, io.MultiReader(zeroPart(300000), iotest.ErrReader(errDisk)), 520192)
	if wrong := (*seal.SourceError)(nil); !errors.As(err, &wrong) || wrong.Got != 300000 || !errors.Is(err, errDisk) {
		t.Errorf("a stream that fails: %v", err)
	}
	a.Fill = true
	_, err = seal.AppendPiece(t.Context(), a, bytes.NewReader(nil), 520192)
	if wrong := (*seal.SourceError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "0 bytes") {
		t.Errorf("nothing at all: %v", err)
	}
	if now := must(os.ReadFile(a.Staged)); !bytes.Equal(now, before) {
		t.Errorf("staged has %d bytes, had %d", len(now), len(before))
	}
}

// TestPieceProgress: at the end all of the payload is done, whether its length was known or not.
func TestPieceProgress(t *testing.T) {
	for _, p := range []seal.Payload{{Size: 1040384}, {Size: 2080768, Fill: true}, {}} {
		p.Progress = new(seal.PieceProgress)
		if _, n, err := seal.CommPOf(t.Context(), zeroPart(1040384), p); err != nil || n != 1040384 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if done, total := p.Progress.Units(); done < 1040384 || total != 0 && done != total || p.Progress.Stage() != seal.StagePadding {
			t.Errorf("%d of %d, %v", done, total, p.Progress.Stage())
		}
	}
}

func zeroPart(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

func TestAddPieceCanceled(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	staged := must(os.Create(filepath.Join(t.TempDir(), "staged")))
	defer staged.Close()
	source := io.MultiReader(io.LimitReader(zeroReader{}, 2<<20), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), zeroReader{})
	_, err := seal.AddPiece(ctx, porep.StackedDrg8MiBV1, source, 8323072, staged, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if fi := must(staged.Stat()); fi.Size() != 0 {
		t.Errorf("staged has %d bytes", fi.Size())
	}
	noGoroutines(t, before)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) {
	if n, err := f(b); n > 0 || err != nil {
		return n, err
	}
	return 0, io.EOF
}

// noGoroutines waits until no more are left than there were.
func noGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
}

// TestPreCommit1Errors: an error names what is wrong; the cache dir has nothing
// half-done, and sealed is untouched.
func TestPreCommit1Errors(t *testing.T) {
	path := func(s *seal.Sector, name string) string { return filepath.Join(s.CacheDir, name) }
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			panic(err)
		}
	}
	const treeD = "sc-02-data-tree-d.dat"
	tests := []struct {
		name string
		edit func(*seal.Sector)
		as   any
		says []string
		left []string // in the cache dir
	}{
		{"unknown proof", func(s *seal.Sector) { s.Proof = -3 }, new(*porep.UnknownProofError), []string{"-3"}, nil},
		{"cache dir missing", func(s *seal.Sector) { os.Remove(s.CacheDir) }, nil, []string{"cache", "no such file"}, nil},
		{"cache dir not UTF-8", func(s *seal.Sector) { s.CacheDir += "/\xff" }, nil, []string{"UTF-8", `\xff`}, nil},
		{"no paths", func(s *seal.Sector) { s.CacheDir, s.Staged, s.Sealed = "", "", "" }, nil,
			[]string{"cache dir of sector 0: none given", "staged: none given", "sealed: none given"}, nil},
		{"cache dir is a file", func(s *seal.Sector) { s.CacheDir = s.Sealed }, nil, []string{"sealed", "not a directory"}, nil},
		{"staged missing", func(s *seal.Sector) { os.Remove(s.Staged) }, new(*seal.PathError), []string{"staged", "no such file"}, nil},
		{"staged is a directory", func(s *seal.Sector) { s.Staged = s.CacheDir }, new(*seal.PathError), []string{"staged", "not a file", "/dev/zero"}, nil},
		{"staged too long", func(s *seal.Sector) { write(s.Staged, make([]byte, 2049)) }, new(*seal.PathError), []string{"staged", "2049", "2048"}, nil},
		{"sealed missing", func(s *seal.Sector) { os.Remove(s.Sealed) }, new(*seal.PathError), []string{"sealed", "no such file"}, nil},
		{"sealed is a directory", func(s *seal.Sector) { s.Sealed = s.CacheDir }, new(*seal.PathError), []string{"sealed", "not a file"}, nil},
		{"sealed is staged", func(s *seal.Sector) { s.Sealed = s.Staged }, new(*seal.SamePathError), []string{"sealed", "staged", "one file"}, nil},
		{"layer is a directory", func(s *seal.Sector) { os.Mkdir(path(s, "sc-02-data-layer-2.dat"), 0o777) }, nil,
			[]string{"sc-02-data-layer-2.dat", "not a file"}, []string{"sc-02-data-layer-2.dat"}},
		{"tree-d is a directory", func(s *seal.Sector) { os.Mkdir(path(s, treeD), 0o777) }, new(*seal.PathError),
			[]string{treeD, "not a file"}, []string{treeD}},
		{"comm_p of other data", func(s *seal.Sector) { s.Pieces[1].CommP[0] ^= 1 }, new(*seal.DataError), []string{"piece 1"}, nil},
		{"first comm_p of other data", func(s *seal.Sector) { s.Pieces[0].CommP[0] ^= 1 }, new(*seal.DataError), []string{"piece 0"}, nil},
		{"data outside the pieces", func(s *seal.Sector) {
			b := must(os.ReadFile(s.Staged))
			b[130] = 1 // between the piece of 128 bytes and that of 512
			write(s.Staged, b)
		}, new(*seal.DataError), []string{"outside"}, nil},
		{"staged too short for its pieces", func(s *seal.Sector) { write(s.Staged, must(os.ReadFile(s.Staged))[:1000]) },
			new(*seal.DataError), []string{"piece 1"}, nil},
		{"pieces too few", func(s *seal.Sector) { s.Pieces = s.Pieces[:2] }, new(*seal.CommDError), []string{"1024", "2048", "1016"}, nil},
		{"pieces too many", func(s *seal.Sector) { s.Pieces = append(s.Pieces, s.Pieces...) }, new(*seal.CommDError), []string{"4096", "2048"}, nil},
		{"no pieces, but data", func(s *seal.Sector) { s.Pieces = nil }, new(*seal.DataError), []string{"outside"}, nil},
		{"pieces, but no data", func(s *seal.Sector) { s.Staged = seal.DevZero }, new(*seal.DataError), []string{"piece 0"}, nil},
		{"piece size", func(s *seal.Sector) { s.Pieces[2].Size = 1017 }, new(*porep.PieceSizeError), []string{"piece 2", "1017"}, nil},
		{"piece larger than the sector", func(s *seal.Sector) { s.Pieces[2].Size = 4064 }, new(*porep.PieceSizeError), []string{"piece 2", "4064"}, nil},
		{"tree-d truncated", func(s *seal.Sector) { write(path(s, treeD), make([]byte, 1000)) }, new(*merkle.TreeError), []string{treeD, "4064"}, []string{treeD}},
		{"tree-d too long", func(s *seal.Sector) { write(path(s, treeD), make([]byte, 4096)) }, new(*merkle.TreeError), []string{treeD, "4064"}, []string{treeD}},
		{"tree-d of other data", func(s *seal.Sector) { write(path(s, treeD), make([]byte, 4064)) }, new(*merkle.TreeError), []string{treeD, "level"}, []string{treeD}},
		{"several", func(s *seal.Sector) { os.Remove(s.Staged); os.Remove(s.Sealed) }, nil, []string{"staged", "sealed"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := newSector(t, small(t))
			write(s.Sealed, []byte("sealed"))
			good := s
			tt.edit(&s)
			_, err := seal.PreCommit1(t.Context(), s, seal.Options{})
			checkError(t, err, tt.as, tt.says)
			if _, err := os.Stat(good.CacheDir); err == nil {
				if diff := cmp.Diff(tt.left, cacheFiles(t, good)); diff != "" {
					t.Errorf("cache dir: %s", diff)
				}
			}
			if got, err := os.ReadFile(good.Sealed); err == nil && string(got) != "sealed" {
				t.Errorf("sealed is %.20q", got)
			}
			noGoroutines(t, before)
		})
	}
}

// TestPreCommit1Canceled stops while labels are made: what is there is whole.
func TestPreCommit1Canceled(t *testing.T) {
	before := runtime.NumGoroutine()
	g := small(t)
	s := newSector(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := seal.PreCommit1(ctx, s, seal.Options{Engine: engine.Config{Parents: parentsFunc(func([]uint32, uint64) error {
		cancel()
		return nil
	})}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	want := wantFiles(g)
	empty := hex.EncodeToString(sha256.New().Sum(nil))
	for name, digest := range files(t, s) {
		if want[name] != digest && (name != "sealed" || digest != empty) {
			t.Errorf("%s has digest %s, want %s", name, digest, want[name])
		}
	}
	noGoroutines(t, before)
}

type parentsFunc func(dst []uint32, first uint64) error

func (f parentsFunc) Parents(dst []uint32, first uint64) error { return f(dst, first) }

// TestBusy: a second job of the same sector is refused, by whatever it shares with the
// first, and the first not disturbed.
func TestBusy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	g := small(t)
	s := newSector(t, g)
	sameCache, sameSealed := newSector(t, g), newSector(t, g)
	sameCache.CacheDir, sameSealed.Sealed = s.CacheDir, s.Sealed
	graph := must(graph.New(s.Proof))
	var second, cache, sealed, labels, together error
	check(t, g, s, seal.Options{Engine: engine.Config{Parents: parentsFunc(func(dst []uint32, first uint64) error {
		if second == nil {
			_, second = seal.PreCommit1(t.Context(), s, seal.Options{})
			_, cache = seal.PreCommit1(t.Context(), sameCache, seal.Options{})
			_, sealed = seal.PreCommit1(t.Context(), sameSealed, seal.Options{})
			_, labels = seal.GenerateSDR(t.Context(), s.Proof, s.CacheDir, porep.ReplicaID{}, seal.Options{})
			_, together = seal.PreCommit1Together(t.Context(), []seal.Sector{newSector(t, g), sameCache}, seal.Options{})
		}
		return graph.Parents(dst, first)
	})}})
	for name, err := range map[string]error{
		"the same sector": second, "the same cache dir": cache, "the same sealed": sealed, "the same cache dir, labels alone": labels,
		"the same cache dir, beside another sector": together,
	} {
		if !errors.Is(err, seal.ErrBusy) || errors.Is(err, seal.ErrLost) || errors.Is(err, seal.ErrChanged) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	checkError(t, second, new(*seal.PathError), []string{"sealed", s.Sealed, seal.ErrBusy.Error()})
}

// TestKilledWhileKept: a job that was killed the moment when a layer had its temporary name and its
// last one leaves both. The next job goes on, and clears up.
func TestKilledWhileKept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere files are renamed, and never have both")
	}
	g := small(t)
	s := newSector(t, g)
	check(t, g, s, seal.Options{})
	layer := "sc-02-data-layer-1.dat"
	if err := os.Link(filepath.Join(s.CacheDir, layer), filepath.Join(s.CacheDir, "."+layer+".tmp")); err != nil {
		t.Fatal(err)
	}
	check(t, g, s, seal.Options{})
}

// TestLost: what the job is making is removed.
func TestLost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere an open file cannot be removed, or is not missed")
	}
	s := newSector(t, small(t))
	graph := must(graph.New(s.Proof))
	_, err := seal.PreCommit1(t.Context(), s, seal.Options{Engine: engine.Config{Parents: parentsFunc(func(dst []uint32, first uint64) error {
		_ = os.Remove(filepath.Join(s.CacheDir, ".sc-02-data-layer-2.dat.tmp"))
		return graph.Parents(dst, first)
	})}})
	if !errors.Is(err, seal.ErrLost) || errors.Is(err, seal.ErrBusy) {
		t.Errorf("error %v", err)
	}
}

// TestTreeDLink: a tree-d that is a link is used where it leads to one, as hosts
// make it for sectors without deals.
func TestTreeDLink(t *testing.T) {
	g := small(t)
	s := newSector(t, g)
	check(t, g, s, seal.Options{})
	treeD := filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")
	elsewhere := filepath.Join(t.TempDir(), "tree-d")
	if err := errors.Join(os.Rename(treeD, elsewhere), os.Symlink(elsewhere, treeD)); err != nil {
		t.Fatal(err)
	}
	check(t, g, s, seal.Options{})
	if fi := must(os.Lstat(treeD)); fi.Mode().Type() != os.ModeSymlink {
		t.Error("the link is gone")
	}
}

// TestOutput: the cache dir stands in the JSON as it was given.
func TestOutput(t *testing.T) {
	out := &seal.Output{Proof: porep.StackedDrg2KiBV1, CacheDir: `a "b" <c> & \d é`}
	got := string(must(out.JSON()))
	if want := `"path":"a \"b\" <c> & \\d é"`; strings.Count(got, want) != 3 {
		t.Errorf("%s has not three times %s", got, want)
	}
	out.CacheDir = "\u2028 \\u2028"
	if got, want := string(must(out.JSON())), "\"path\":\"\u2028 \\\\u2028\""; strings.Count(got, want) != 3 {
		t.Errorf("%q has not three times %q", got, want)
	}
	out.CacheDir = "not \xff UTF-8"
	if _, err := out.JSON(); err == nil || !strings.Contains(err.Error(), `\xff`) {
		t.Errorf("error %v", err)
	}
}

func FuzzCommD(f *testing.F) {
	f.Add(uint8(0), []byte{0, 2, 3})
	f.Add(uint8(19), []byte{28})
	f.Fuzz(func(t *testing.T, proof uint8, heights []byte) {
		p := porep.SealProof(proof)
		var pieces []porep.Piece
		for _, h := range heights {
			pieces = append(pieces, porep.Piece{Size: porep.UnpaddedSize(127) << (h % 64)})
		}
		commD, err := seal.CommD(p, pieces)
		if err != nil {
			return
		}
		// A sector whose pieces do not overrun it: each stands at a multiple
		// of its size.
		var end porep.PaddedSize
		for _, piece := range pieces {
			size := piece.Size.Padded()
			end = (end+size-1)/size*size + size
		}
		if end > porep.PaddedSize(p.SectorSize()) || len(pieces) > 0 && end <= porep.PaddedSize(p.SectorSize())/2 {
			t.Errorf("%d pieces that end at %d have comm_d %v in a sector of %v", len(pieces), end, commD, p.SectorSize())
		}
	})
}

// TestTogetherEnds: when the job as a whole ends early, no sector has an output.
func TestTogetherEnds(t *testing.T) {
	g := small(t)
	sectors := []seal.Sector{newSector(t, g), newSector(t, g)}
	why := errors.New("no parents today")
	outs, err := seal.PreCommit1Together(t.Context(), sectors, seal.Options{Engine: engine.Config{
		Parents: parentsFunc(func([]uint32, uint64) error { return why }),
	}})
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	for i, out := range outs {
		if out.Output != nil || out.Err == nil {
			t.Errorf("sector %d, which has no layers, has an output", i)
		}
	}
}
