package merkle

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

func newWriter(t testing.TB, o WriterOptions) *Writer {
	t.Helper()
	w, err := NewWriter(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// filledTree is the tree over a payload that zeros fill to a piece's size.
func filledTree(t testing.TB, payload []byte, size porep.UnpaddedSize) []byte {
	t.Helper()
	return naiveTree(pad(t, append(bytes.Clone(payload), make([]byte, int(size)-len(payload))...)))
}

func wantPiece(t testing.TB, w *Writer, size porep.UnpaddedSize, want porep.Commitment) {
	t.Helper()
	if piece, err := w.Piece(size); err != nil || piece != (porep.Piece{CommP: want, Size: size}) {
		t.Errorf("%d bytes in %d: %v, %v; want comm_p %v", w.Len(), size, piece, err, want)
	}
}

func TestWriterGolden(t *testing.T) {
	t.Parallel()
	w := newWriter(t, WriterOptions{Workers: 2})
	for _, c := range golden.CommPs() {
		if c.UnpaddedSize > 1<<24 && !testkit.Long() {
			continue // the test of what is hashed in one piece has it
		}
		w.Reset()
		if n, err := io.Copy(w, golden.Stream(c.Stream, c.UnpaddedSize)); n != int64(c.UnpaddedSize) || err != nil {
			t.Fatal(n, err)
		}
		wantPiece(t, w, porep.UnpaddedSize(c.UnpaddedSize), parseCommitment(t, c.CommP))
	}
	for file, payload := range map[string]byte{"zero.txt": 0, "0xCC.txt": 0xcc} {
		for line := range strings.Lines(golden.HashHash(file)) {
			f := strings.Split(strings.TrimSpace(line), ",")
			length, err1 := strconv.Atoi(f[0])
			padded, err2 := strconv.Atoi(f[1])
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			w.Reset()
			if _, err := w.Write(bytes.Repeat([]byte{payload}, length)); err != nil {
				t.Fatal(err)
			}
			want := decodePieceCID(t, f[2])
			wantPiece(t, w, porep.PaddedSize(padded).Unpadded(), want)
			if got := w.Sum([]byte{7}); !bytes.Equal(got, append([]byte{7}, want[:]...)) {
				t.Errorf("sum %x, want 07%v", got, want)
			}
		}
	}
}

// A payload may end, and be cut into writes, anywhere; what is kept, how many goroutines
// hash and that sums are asked for meanwhile change nothing.
func TestWriterChunks(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const most = 3*writerUnpadded + 1000
	data := make([]byte, most)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	clear(data[writerUnpadded : 2*writerUnpadded])
	lengths := []int{0, 1, 126, 127, 128, 254, 255, 1017, writerUnpadded - 1, writerUnpadded, writerUnpadded + 1, 2 * writerUnpadded, 3 * writerUnpadded, most}
	if testing.Short() {
		lengths = []int{0, 128, 1017, writerUnpadded + 1, most} // an emulator takes seconds for each large one
	}
	for _, length := range lengths {
		size := porep.UnpaddedSize(length).NextPieceSize()
		tree := filledTree(t, data[:length], size)
		for _, o := range []WriterOptions{{}, {Workers: 3}, {Keep: 1}, {Keep: 5, Workers: 2}, {Keep: writerLevel}, {Keep: writerLevel + 1, Workers: 1}} {
			w := newWriter(t, o)
			for range 2 {
				for rest := data[:length]; len(rest) > 0; {
					n := min(len(rest), 1+random.IntN(300<<(random.IntN(11))))
					if k, err := w.Write(rest[:n]); k != n || err != nil {
						t.Fatal(k, err)
					}
					rest = rest[n:]
					if random.IntN(20) == 0 {
						w.Sum(nil)
					}
				}
				wantPiece(t, w, size, last(tree))
				wantLevel(t, w, o.Keep, tree, int(size.Padded()))
				// In a larger piece zeros follow.
				larger := last(tree)
				for h := height(uint64(size.Padded())); h < 20; h++ {
					larger = parent(larger, zeros[h])
				}
				wantPiece(t, w, porep.PaddedSize(nodeSize<<20).Unpadded(), larger)
				w.Reset()
			}
		}
		w := newWriter(t, WriterOptions{Workers: 2})
		if n, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(data[:length]))); n != int64(length) || err != nil {
			t.Fatal(n, err)
		}
		wantPiece(t, w, size, last(tree))
	}
}

// wantLevel compares the level that is kept with that of the whole tree, over size bytes.
func wantLevel(t *testing.T, w *Writer, keep int, tree []byte, size int) {
	t.Helper()
	got, err := w.Level()
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	if keep > 0 {
		for level := range keep { // above the root, zeros follow it
			if len(tree) == nodeSize {
				root := parent(last(tree), zeros[level])
				tree = root[:]
				continue
			}
			tree = tree[size>>level:]
		}
		want = tree[:max(size>>keep, nodeSize)]
		span := uint64(nodeSize) << keep
		padded := (w.Len() + 126) / 127 * 128
		want = want[:(padded+span-1)/span*nodeSize]
	}
	if !bytes.Equal(got, want) {
		t.Errorf("level %d of %d bytes: %d bytes, want %d, or other nodes", keep, w.Len(), len(got), len(want))
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for _, keep := range []int{-1, maxHeight + 1} {
		var bad *LevelError
		if _, err := NewWriter(WriterOptions{Keep: keep}); !errors.As(err, &bad) || bad.Level != keep {
			t.Errorf("level %d: %v", keep, err)
		}
	}
	w := newWriter(t, WriterOptions{})
	if _, err := w.Write(make([]byte, 128)); err != nil {
		t.Fatal(err)
	}
	var size *SizeError
	if _, err := w.Piece(127); !errors.As(err, &size) || !strings.Contains(err.Error(), "128 bytes: more than the 127 of the piece") {
		t.Errorf("a piece too small: %v", err)
	}
	var none *porep.PieceSizeError
	if _, err := w.Piece(128); !errors.As(err, &none) {
		t.Errorf("a size that no piece has: %v", err)
	}
	w.length = maxPayload
	if n, err := w.Write([]byte{1}); n != 0 || !errors.As(err, &size) {
		t.Errorf("past the largest: %d, %v", n, err)
	}
	if n, err := w.ReadFrom(strings.NewReader("x")); n != 0 || !errors.As(err, &size) {
		t.Errorf("past the largest: %d, %v", n, err)
	}
	w.Reset()
	if n, err := w.ReadFrom(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("xy")))); n != 1 || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader that fails: %d, %v", n, err)
	}
	if _, err := w.ReadFrom(idle{}); err != io.ErrNoProgress {
		t.Errorf("a reader that yields nothing: %v", err)
	}
	if w.Len() != 1 || w.Size() != 32 || w.BlockSize() != 127 {
		t.Errorf("length %d, size %d, block size %d", w.Len(), w.Size(), w.BlockSize())
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// The empty piece of the largest size has the commitment of the table, at once.
func TestWriterZeros(t *testing.T) {
	t.Parallel()
	w := newWriter(t, WriterOptions{Keep: 30})
	for size := porep.PaddedSize(128); size <= 1<<50; size *= 2 {
		zero, err := ZeroCommitment(size)
		if err != nil {
			t.Fatal(err)
		}
		wantPiece(t, w, size.Unpadded(), zero)
		if w.Len() == 0 && size == 1<<30 {
			if _, err := w.Write(make([]byte, writerUnpadded+5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Nothing grows with the size: what was written in between is still all there is.
	if level, err := w.Level(); err != nil || len(level) != nodeSize || [32]byte(level) != zeros[30] {
		t.Errorf("level 30: %x, %v", level, err)
	}
}

// A Writer that hashes in its caller's goroutine allocates nothing once it is warm.
func TestWriterAllocations(t *testing.T) {
	w := newWriter(t, WriterOptions{})
	data := make([]byte, writerUnpadded+100)
	sum := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(5, func() {
		w.Reset()
		_, _ = w.Write(data)
		sum = w.Sum(sum[:0])
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzWriter cuts a payload into writes, and compares with the tree of the whole.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("a payload"), uint16(3), uint32(1), uint8(2), uint8(0))
	f.Add([]byte{}, uint16(0), uint32(0), uint8(0), uint8(1))
	f.Add([]byte{1}, uint16(127), uint32(writerUnpadded+1), uint8(3), uint8(13))
	f.Add([]byte{0, 0, 0}, uint16(1000), uint32(2*writerUnpadded), uint8(1), uint8(14))
	f.Fuzz(func(t *testing.T, pattern []byte, write uint16, length uint32, workers, keep uint8) {
		length %= 2*writerUnpadded + 200
		payload := make([]byte, length)
		if len(pattern) > 0 {
			for n := copy(payload, pattern); n < len(payload); n *= 2 {
				copy(payload[n:], payload[:n])
			}
		}
		o := WriterOptions{Workers: int(workers % 4), Keep: int(keep % 16)}
		w := newWriter(t, o)
		for rest := payload; len(rest) > 0; {
			n := min(len(rest), max(int(write), 50))
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		size := porep.UnpaddedSize(length).NextPieceSize()
		tree := filledTree(t, payload, size)
		wantPiece(t, w, size, last(tree))
		wantLevel(t, w, o.Keep, tree, int(size.Padded()))
	})
}

func BenchmarkWriter(b *testing.B) {
	data := make([]byte, 64<<20/128*127)
	for i := range data {
		data[i] = byte(i*7 + i>>9)
	}
	for name, o := range map[string]WriterOptions{
		"alone":   {},
		"keep=10": {Keep: 10},
		"workers": {Workers: runtime.GOMAXPROCS(0)},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWriter(b, o)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				w.Reset()
				if _, err := w.ReadFrom(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
				w.Sum(nil)
			}
		})
	}
	b.Run("write", func(b *testing.B) {
		w := newWriter(b, WriterOptions{})
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			w.Reset()
			if _, err := w.Write(data); err != nil {
				b.Fatal(err)
			}
			w.Sum(nil)
		}
	})
	b.Run("bulk", func(b *testing.B) { // the same work without a Writer
		padded := pad(b, data)
		var h Hasher
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := h.Root(padded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
