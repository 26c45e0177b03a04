package merkle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// memory is a file of fixed size.
type memory []byte

func (m memory) ReadAt(b []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(b, off) }

func (m memory) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	n := copy(m[off:], b)
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// script stands between a walk and a file: it counts calls and bytes, and
// answers call number fail with err.
type script struct {
	memory
	fail  int64
	err   error
	calls atomic.Int64
	bytes atomic.Int64
}

func (s *script) call(n int) error {
	s.bytes.Add(int64(n))
	if s.calls.Add(1) == s.fail {
		return s.err
	}
	return nil
}

func (s *script) ReadAt(b []byte, off int64) (int, error) {
	if err := s.call(len(b)); err != nil {
		return 0, err
	}
	return s.memory.ReadAt(b, off)
}

func (s *script) WriteAt(b []byte, off int64) (int, error) {
	if err := s.call(len(b)); err != nil {
		return 0, err
	}
	return s.memory.WriteAt(b, off)
}

func TestTreeSize(t *testing.T) {
	t.Parallel()
	for size, want := range map[porep.SectorSize]int64{
		64:       96,
		2 << 10:  127 * 32,
		64 << 30: 137438953440,
	} {
		if got := TreeSize(size); got != want {
			t.Errorf("TreeSize(%v) = %d, want %d", size, got, want)
		}
	}
}

// checkBuild builds the tree over data in a sector of size bytes, and checks it.
func checkBuild(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte, size, workers int) {
	t.Helper()
	leaves := make([]byte, size)
	copy(leaves, data)
	want := naiveTree(leaves)

	w := &script{memory: make(memory, len(want))}
	r := &script{memory: data}
	var done []uint64
	root, err := BuildTree(context.Background(), w, r, porep.SectorSize(size), workers, func(n uint64) { done = append(done, n) })
	if err != nil || root != last(want) {
		t.Fatalf("%d bytes of %d, %d workers: root %v, error %v; want %v", len(data), size, workers, root, err, last(want))
	}
	if !bytes.Equal(w.memory, want) {
		t.Fatalf("%d bytes of %d, %d workers: the tree differs from the naive one", len(data), size, workers)
	}
	if got := w.bytes.Load(); got != int64(len(want)) {
		t.Fatalf("%d bytes of %d, %d workers: wrote %d bytes, want %d: each once", len(data), size, workers, got, len(want))
	}
	if got := r.bytes.Load(); got != int64(size) {
		t.Fatalf("%d bytes of %d, %d workers: read %d bytes, want each once", len(data), size, workers, got)
	}
	for i, n := range done {
		if n != uint64(i+1)*uint64(size/len(done)) {
			t.Fatalf("%d bytes of %d, %d workers: progress %d", len(data), size, workers, done)
		}
	}
	if len(done) == 0 {
		t.Fatalf("%d bytes of %d, %d workers: no progress", len(data), size, workers)
	}

	checked, err := CheckTree(context.Background(), memory(want), memory(data), porep.SectorSize(size), workers, nil)
	if err != nil || checked != root {
		t.Fatalf("%d bytes of %d, %d workers: CheckTree: root %v, error %v; want %v", len(data), size, workers, checked, err, root)
	}
}

// The tree depends neither on the number of workers nor on where chunks end.
func TestBuildTree(t *testing.T) {
	t.Parallel()
	most := testkit.Rounds(4, 8) << 20
	if testing.Short() {
		most = 2 << 20
	}
	for size := 64; size <= most; size *= 2 {
		checkBuild(t, randomBytes(uint64(size), size), size, 1+bits.Len(uint(size))%4)
	}
	for _, workers := range []int{-1, 0, 1, 2, 3, 100} {
		if testing.Short() && workers != 0 && workers != 3 {
			continue
		}
		checkBuild(t, randomBytes(1, 2<<20), 2<<20, workers)
	}
}

// Zeros follow data that ends early, whether it ends in a chunk or between two;
// data that goes on is cut off.
func TestBuildTreeLength(t *testing.T) {
	t.Parallel()
	for i, n := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 100, 4<<20 - 1, 4<<20 + 1} {
		if testing.Short() && i%2 == 0 {
			continue
		}
		checkBuild(t, randomBytes(1, n), 4<<20, 2)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := 64 << rapid.IntRange(0, 8).Draw(t, "height")
		data := randomBytes(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, size).Draw(t, "bytes"))
		checkBuild(t, data, size, 1)
	})
}

// Files rather than memory, so that concurrent writes meet the real thing.
func TestFile(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 4<<20)
	f, err := os.Create(filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	built, err := BuildTree(t.Context(), f, bytes.NewReader(data), 4<<20, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != TreeSize(4<<20) {
		t.Fatalf("file of %d bytes, error %v; want %d", info.Size(), err, TreeSize(4<<20))
	}
	checked, err := CheckTree(t.Context(), f, bytes.NewReader(data), 4<<20, 4, nil)
	if err != nil || checked != built {
		t.Fatalf("CheckTree: root %v, error %v; want %v", checked, err, built)
	}
	f.Close()
	_, err = BuildTree(t.Context(), f, bytes.NewReader(data), 4<<20, 4, nil)
	if !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), "merkle: building tree: writing level ") {
		t.Fatalf("closed file: error %v", err)
	}
}

// Whichever call fails, the error comes out, and nobody calls any more.
func TestFailures(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	data := make(memory, size) // zeros, which are hashed fast, but for one chunk
	copy(data[1<<20:2<<20], randomBytes(1, 1<<20))
	tree := memory(naiveTree(data))
	errTest := errors.New("test error")

	type fileSet struct{ data, tree, w *script }
	build := func(f fileSet, workers int) error {
		_, err := BuildTree(t.Context(), f.w, f.data, size, workers, nil)
		return err
	}
	check := func(f fileSet, workers int) error {
		_, err := CheckTree(t.Context(), f.tree, f.data, size, workers, nil)
		return err
	}
	for _, c := range []struct {
		name   string
		do     func(fileSet, int) error
		victim func(fileSet) *script
		calls  int // that all must answer
		prefix string
	}{
		{"build/read", build, func(f fileSet) *script { return f.data }, 4, "merkle: building tree: reading data, 1048576 bytes from byte "},
		{"build/write", build, func(f fileSet) *script { return f.w }, 4*5 + 10 + 3, "merkle: building tree: writing level "},
		{"check/data", check, func(f fileSet) *script { return f.data }, 4, "merkle: checking tree: reading data, 1048576 bytes from byte "},
		{"check/tree", check, func(f fileSet) *script { return f.tree }, 1 + 4*5 + 10 + 3, "merkle: checking tree: reading "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			written := make(memory, len(tree))
			for k := range c.calls + 1 {
				f := fileSet{&script{memory: data}, &script{memory: tree}, &script{memory: written}}
				victim := c.victim(f)
				victim.fail, victim.err = int64(k+1), errTest
				var err error
				// A goroutine left behind for ever fails the bubble; one left
				// behind for a while adds calls.
				synctest.Test(t, func(*testing.T) {
					err = c.do(f, 1+k%3)
					calls := f.data.calls.Load() + f.tree.calls.Load() + f.w.calls.Load()
					synctest.Wait()
					if f.data.calls.Load()+f.tree.calls.Load()+f.w.calls.Load() != calls {
						t.Errorf("call %d: a goroutine went on after the return", k+1)
					}
				})
				if k == c.calls {
					if err != nil || victim.calls.Load() != int64(c.calls) {
						t.Errorf("no failure: %d calls, error %v; want %d calls", victim.calls.Load(), err, c.calls)
					}
					continue
				}
				if !errors.Is(err, errTest) || !strings.HasPrefix(err.Error(), c.prefix) {
					t.Errorf("call %d: error %v, want %s…", k+1, err, c.prefix)
				}
			}
		})
	}
}

// Files that break the rules of io: short without an error.
func TestShort(t *testing.T) {
	t.Parallel()
	short := func(b []byte, _ int64) (int, error) { return len(b) / 2, nil }
	data := memory(randomBytes(1, 2048))
	if _, err := BuildTree(t.Context(), make(memory, 4096), readerFunc(short), 2048, 1, nil); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("short read: error %v, want io.ErrNoProgress", err)
	}
	if _, err := BuildTree(t.Context(), writerFunc(short), data, 2048, 1, nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("short write: error %v, want io.ErrShortWrite", err)
	}
}

type (
	readerFunc func([]byte, int64) (int, error)
	writerFunc func([]byte, int64) (int, error)
)

func (f readerFunc) ReadAt(b []byte, off int64) (int, error)  { return f(b, off) }
func (f writerFunc) WriteAt(b []byte, off int64) (int, error) { return f(b, off) }

// A canceled context stops the walk at the next chunk.
func TestCancel(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	data := memory(randomBytes(1, size))
	tree := memory(naiveTree(data)) // what building writes again
	for _, workers := range []int{1, 3} {
		for _, c := range []struct {
			doing string
			do    func(context.Context, io.ReaderAt, func(uint64)) error
		}{
			{"building", func(ctx context.Context, r io.ReaderAt, progress func(uint64)) error {
				return second(BuildTree(ctx, tree, r, size, workers, progress))
			}},
			{"checking", func(ctx context.Context, r io.ReaderAt, progress func(uint64)) error {
				return second(CheckTree(ctx, tree, r, size, workers, progress))
			}},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			r := &script{memory: data}
			err := c.do(ctx, r, func(done uint64) {
				if done == 2<<20 {
					cancel()
				}
			})
			if want := "merkle: " + c.doing + " tree: context canceled"; !errors.Is(err, context.Canceled) || err.Error() != want {
				t.Errorf("%d workers: error %v, want %s", workers, err, want)
			}
			if got, most := r.calls.Load(), int64(2+workers); got > most {
				t.Errorf("%s with %d workers: %d chunks read, want at most %d", c.doing, workers, got, most)
			}
			r = &script{memory: data}
			if err := c.do(ctx, r, nil); !errors.Is(err, context.Canceled) || r.calls.Load() != 0 {
				t.Errorf("canceled before: error %v, %d reads", err, r.calls.Load())
			}
		}
	}
}

// CheckTree finds one flipped bit wherever it is, and says where.
func TestCheckTreeFinds(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	data := memory(randomBytes(1, size))
	good := naiveTree(data)
	tree := memory(bytes.Clone(good))
	off := int64(0)
	for level := range height(size) + 1 {
		nodes := uint64(size / 32 >> level)
		places := []uint64{0, nodes / 3, nodes - 1}
		if testing.Short() {
			places = places[level%3:][:1]
		}
		for _, node := range places {
			at := off + int64(node)*32
			tree[at+int64(level)] ^= 0x10
			_, err := CheckTree(t.Context(), tree, data, size, 1+level%3, nil)
			want := TreeError{level, node, at, fmt.Sprintf("is %x, want %x", tree[at:at+32], good[at:at+32])}
			if got, ok := errors.AsType[*TreeError](err); !ok || *got != want {
				t.Errorf("error %v, want %v", err, &want)
			}
			tree[at+int64(level)] ^= 0x10
		}
		off += int64(nodes) * 32
	}

	// The tree is right and the data is not.
	data[1<<20] ^= 1
	_, err := CheckTree(t.Context(), tree, data, size, 2, nil)
	if got, ok := errors.AsType[*TreeError](err); !ok || got.Level != 0 || got.Offset != 1<<20 {
		t.Errorf("other data: error %v, want *TreeError at level 0, byte 1048576", err)
	}
	const text = "merkle: checking tree: level 0, node 32768, byte 1048576: is "
	if !strings.HasPrefix(err.Error(), text) {
		t.Errorf("text %q, want %s…", err, text)
	}
}

func TestCheckTreeLength(t *testing.T) {
	t.Parallel()
	data := memory(randomBytes(1, 2048))
	good := naiveTree(data)
	for _, c := range []struct {
		tree []byte
		want string
	}{
		{nil, "the tree ends before the root does, want 4064 bytes"},
		{good[:2048], "the tree ends before the root does, want 4064 bytes"},
		{good[:4063], "the tree ends before the root does, want 4064 bytes"},
		{append(bytes.Clone(good), 0), "bytes follow the root, want 4064 bytes"},
		{make([]byte, 9999), "bytes follow the root, want 4064 bytes"},
	} {
		_, err := CheckTree(t.Context(), memory(c.tree), data, 2048, 1, nil)
		want := TreeError{6, 0, 4032, c.want}
		if got, ok := errors.AsType[*TreeError](err); !ok || *got != want {
			t.Errorf("%d bytes: error %v, want %v", len(c.tree), err, &want)
		}
	}
}

// 512 MiB of data that is in memory, or in a file in the page cache; the tree
// is dropped, or written to a file.
func BenchmarkBuildTree(b *testing.B) {
	const size = 512 << 20
	random := randomBytes(1, 64<<20)
	data := readerFunc(func(b []byte, off int64) (int, error) {
		return copy(b, random[off%int64(len(random)):]), nil
	})
	zero := readerFunc(func(b []byte, off int64) (int, error) { return 0, io.EOF })
	drop := writerFunc(func(b []byte, _ int64) (int, error) { return len(b), nil })
	create := func(b *testing.B) *os.File {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	for _, c := range []struct {
		name string
		data io.ReaderAt
		file bool
	}{
		{"data=random/to=nowhere", data, false},
		{"data=random/to=file", data, true},
		{"data=zero/to=nowhere", zero, false},
		{"data=zero/to=file", zero, true},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", c.name, workers), func(b *testing.B) {
				w := io.WriterAt(drop)
				if c.file {
					w = create(b)
				}
				b.SetBytes(size)
				for b.Loop() {
					if _, err := BuildTree(b.Context(), w, c.data, size, workers, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// panicking is data that panics from some byte on.
type panicking struct{ from int64 }

func (p panicking) ReadAt(b []byte, off int64) (int, error) {
	if off >= p.from {
		panic("a fault")
	}
	clear(b)
	return len(b), nil
}

// Data that panics does so for the caller, and not on a goroutine, where it would end the process.
func TestDataPanics(t *testing.T) {
	for _, from := range []int64{0, 4 << 20} {
		var came any
		func() {
			defer func() { came = recover() }()
			_, err := BuildTree(t.Context(), discard{}, panicking{from}, 8<<20, 2, func(uint64) {})
			t.Errorf("no panic from %d on: %v", from, err)
		}()
		if fault, ok := came.(*failure.Fault); !ok || fault.Value != "a fault" {
			t.Errorf("from %d on: %v", from, came)
		}
	}
}

type discard struct{}

func (discard) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
