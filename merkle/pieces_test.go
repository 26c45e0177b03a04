package merkle

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/porep"
)

func piecesOf(sizes ...porep.UnpaddedSize) (pieces []porep.Piece) {
	for i, size := range sizes {
		pieces = append(pieces, porep.Piece{CommP: porep.Commitment{0: byte(i + 1)}, Size: size})
	}
	return pieces
}

func TestCommDCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sizes  []porep.UnpaddedSize
		covers porep.PaddedSize
	}{
		{[]porep.UnpaddedSize{127}, 128},
		{[]porep.UnpaddedSize{127, 508}, 1 << 10}, // the reference stops here in a sector of 2 KiB too
		{[]porep.UnpaddedSize{508, 127}, 1 << 10},
		{[]porep.UnpaddedSize{127, 127, 254}, 512},
		{[]porep.UnpaddedSize{127, 254, 127}, 1 << 10},
		{[]porep.UnpaddedSize{127 << 43}, 1 << 50},
		{[]porep.UnpaddedSize{127 << 42, 127}, 1 << 50},
	} {
		if _, covers, err := CommD(piecesOf(c.sizes...)); err != nil || covers != c.covers {
			t.Errorf("%v: covers %d, error %v; want %d", c.sizes, covers, err, c.covers)
		}
	}

	p := piecesOf(127, 508)
	got, _, err := CommD(p)
	want := parent(parent(parent(p[0].CommP, zeros[2]), zeros[3]), p[1].CommP)
	if err != nil || got != want {
		t.Errorf("root over [127, 508]: %v, error %v; want %v", got, err, want)
	}
}

func TestCommDErrors(t *testing.T) {
	t.Parallel()
	if _, _, err := CommD(nil); err != ErrEmpty {
		t.Errorf("no pieces: error %v, want ErrEmpty", err)
	}
	for _, c := range []struct {
		sizes  []porep.UnpaddedSize
		piece  int
		target any
		want   string
	}{
		{[]porep.UnpaddedSize{127, 128}, 1, new(*porep.PieceSizeError),
			"merkle: folding pieces: piece 1 of 128 bytes: porep: checking piece size: 128 unpadded bytes: 128 is padded; unpadded it is 127; the next piece size is 254"},
		{[]porep.UnpaddedSize{0}, 0, new(*porep.PieceSizeError),
			"merkle: folding pieces: piece 0 of 0 bytes: porep: checking piece size: 0 unpadded bytes: too small, the smallest piece has 127"},
		{[]porep.UnpaddedSize{1<<64 - 1}, 0, new(*porep.PieceSizeError),
			"merkle: folding pieces: piece 0 of 18446744073709551615 bytes: porep: checking piece size: 18446744073709551615 unpadded bytes: larger than any sector"},
		{[]porep.UnpaddedSize{127, 127, 127 << 43}, 2, new(*SizeError),
			"merkle: folding pieces: piece 2 of 1117103813820416 bytes: merkle: folding subtrees: 2251799813685248 bytes: more than 1125899906842624: too many subtrees"},
	} {
		_, _, err := CommD(piecesOf(c.sizes...))
		e, ok := errors.AsType[*PieceError](err)
		if !ok || e.Index != c.piece || !errors.As(err, c.target) || err.Error() != c.want {
			t.Errorf("%v: error %v, want a %T in *PieceError: %s", c.sizes, err, c.target, c.want)
		}
	}
}

// comm_d of pieces is the root over the pieces, each aligned to its size.
func TestCommDIsRoot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		var pieces []porep.Piece
		for _, h := range rapid.SliceOfN(rapid.IntRange(0, 6), 1, 20).Draw(t, "heights") {
			size := porep.UnpaddedSize(127 << h)
			bytes := make([]byte, size.Padded())
			if rapid.IntRange(0, 3).Draw(t, "zero") > 0 {
				bytes = randomBytes(uint64(len(data)), len(bytes))
			}
			data = append(data, make([]byte, -len(data)&(len(bytes)-1))...)
			data = append(data, bytes...)
			pieces = append(pieces, porep.Piece{CommP: last(naiveTree(bytes)), Size: size})
		}
		covers := 1 << bits.Len(uint(len(data)-1))
		want := last(naiveTree(append(data, make([]byte, covers-len(data))...)))
		got, covered, err := CommD(pieces)
		if err != nil || got != want || covered != porep.PaddedSize(covers) {
			t.Fatalf("CommD: %v covers %d, error %v; want %v covers %d", got, covered, err, want, covers)
		}
	})
}

// Root may be asked at any time, and an error adds nothing.
func TestAccumulator(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 16*64)
	var a Accumulator
	if _, _, err := a.Root(); err != ErrEmpty {
		t.Errorf("root of nothing: error %v, want ErrEmpty", err)
	}
	for i := range 16 {
		if err := a.Add(last(naiveTree(data[64*i:][:64])), 64); err != nil {
			t.Fatal(err)
		}
		if err := a.Add(porep.Commitment{}, 1<<50); err == nil {
			t.Fatal("added 2^50 bytes to some")
		}
		size := 64 << bits.Len(uint(i))
		want := make([]byte, size)
		copy(want, data[:64*(i+1)])
		got, covers, err := a.Root()
		if err != nil || got != last(naiveTree(want)) || covers != porep.PaddedSize(size) {
			t.Errorf("root of %d: %v covers %d, error %v; want %v covers %d", i+1, got, covers, err, last(naiveTree(want)), size)
		}
	}
}

// FuzzCommD: no sizes make CommD panic, and what it accepts has a sensible size.
func FuzzCommD(f *testing.F) {
	sizes := func(sizes ...uint64) (b []byte) {
		for _, s := range sizes {
			b = binary.LittleEndian.AppendUint64(b, s)
		}
		return b
	}
	f.Add(sizes())
	f.Add(sizes(127, 508))
	f.Add(sizes(127<<43, 127))
	f.Add(sizes(127, 127<<42, 127))
	f.Add(sizes(1<<64-1, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		var pieces []porep.Piece
		sum := porep.PaddedSize(0)
		for ; len(data) >= 8; data = data[8:] {
			p := porep.Piece{Size: porep.UnpaddedSize(binary.LittleEndian.Uint64(data))}
			pieces = append(pieces, p)
			sum += p.Size.Padded()
		}
		_, covers, err := CommD(pieces)
		if err != nil {
			if _, ok := errors.AsType[*PieceError](err); !ok && err != ErrEmpty {
				t.Fatalf("error %v, want *PieceError or ErrEmpty", err)
			}
			return
		}
		if covers < sum || covers > maxSize || bits.OnesCount64(uint64(covers)) != 1 {
			t.Fatalf("%v: covers %d, of pieces %d", pieces, covers, sum)
		}
		for _, p := range pieces {
			if err := p.Size.CheckPieceSize(); err != nil {
				t.Fatalf("accepted a piece: %v", err)
			}
		}
	})
}
