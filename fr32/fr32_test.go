package fr32

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// padReference pads bit by bit, as the rule says it.
func padReference(src []byte) []byte {
	dst := make([]byte, len(src)/127*128)
	for bit := range 8 * len(src) {
		to := bit/254*256 + bit%254
		dst[to/8] |= src[bit/8] >> (bit % 8) & 1 << (to % 8)
	}
	return dst
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Every single bit of a unit, and all of them, go where the reference puts them.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	for bit := range 8*127 + 1 {
		src := bytes.Repeat([]byte{0xff}, 127)
		if bit < 8*127 {
			clear(src)
			src[bit/8] = 1 << (bit % 8)
		}
		checkRoundTrip(t, src)
	}
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkRoundTrip pads and unpads src between canaries, which must survive.
func checkRoundTrip(t tester, src []byte) {
	t.Helper()
	const canary = 0xa5
	framed := func(n int) (whole, inner []byte) {
		whole = bytes.Repeat([]byte{canary}, n+16)
		return whole, whole[8 : 8+n]
	}
	checkFrame := func(what string, whole []byte) {
		t.Helper()
		want := bytes.Repeat([]byte{canary}, 8)
		if !bytes.Equal(whole[:8], want) || !bytes.Equal(whole[len(whole)-8:], want) {
			t.Fatalf("%s %d bytes: wrote outside of the destination", what, len(src))
		}
	}

	frame, padded := framed(len(src) / 127 * 128)
	if err := Pad(padded, src); err != nil {
		t.Fatalf("Pad: %v", err)
	}
	checkFrame("Pad", frame)
	if want := padReference(src); !bytes.Equal(padded, want) {
		t.Fatalf("Pad of %d bytes: (-want +got)\n%s", len(src), cmp.Diff(want, padded))
	}

	frame, back := framed(len(src))
	if err := Unpad(back, padded); err != nil {
		t.Fatalf("Unpad: %v", err)
	}
	checkFrame("Unpad", frame)
	if !bytes.Equal(back, src) {
		t.Fatalf("Unpad of %d bytes: (-want +got)\n%s", len(padded), cmp.Diff(src, back))
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.IntRange(0, 9).Draw(t, "units")
		// The buffers' addresses need no alignment.
		shift := rapid.IntRange(0, 9).Draw(t, "shift")
		src := randomBytes(rapid.Uint64().Draw(t, "seed"), shift+127*units)[shift:]
		checkRoundTrip(t, src)
	})
}

func TestLengthErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f        func(dst, src []byte) error
		dst, src int
		want     string
	}{
		{Pad, 128, 126, "fr32: padding: 126 bytes to 128: the source is no multiple of 127"},
		{Pad, 127, 127, "fr32: padding: 127 bytes to 127: the destination should have 128"},
		{Pad, 256, 127, "fr32: padding: 127 bytes to 256: the destination should have 128"},
		{Pad, 0, 127, "fr32: padding: 127 bytes to 0: the destination should have 128"},
		{Pad, 128, 0, "fr32: padding: 0 bytes to 128: the destination should have 0"},
		{Unpad, 127, 127, "fr32: unpadding: 127 bytes to 127: the source is no multiple of 128"},
		{Unpad, 128, 128, "fr32: unpadding: 128 bytes to 128: the destination should have 127"},
	} {
		dst := make([]byte, c.dst)
		src := bytes.Repeat([]byte{1}, c.src)
		err := c.f(dst, src)
		if _, ok := errors.AsType[*LengthError](err); !ok || err.Error() != c.want {
			t.Errorf("%d bytes to %d: error %v, want *LengthError: %s", c.src, c.dst, err, c.want)
		}
		if !bytes.Equal(dst, make([]byte, c.dst)) {
			t.Errorf("%d bytes to %d: wrote in spite of the error", c.src, c.dst)
		}
	}
}

// Each padding bit is looked at, and the first wrong one is named.
func TestPaddingErrors(t *testing.T) {
	t.Parallel()
	for off := 31; off < 3*128; off += 32 {
		for bit := 6; bit < 8; bit++ {
			src := make([]byte, 3*128)
			src[off] |= 1 << bit
			src[3*128-1] |= 1 << bit
			err := Unpad(make([]byte, 3*127), src)
			want := &PaddingError{Offset: off, Byte: 1 << bit}
			got, ok := errors.AsType[*PaddingError](err)
			if !ok || *got != *want {
				t.Errorf("bit %d of byte %d: error %v, want %v", bit, off, err, want)
			}
		}
	}
	const want = "fr32: unpadding: byte 63 is 0x80, more than 0x3f: its two highest bits are not zero"
	if got := (&PaddingError{63, 0x80}).Error(); got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func FuzzPad(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xcc}, 254))
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := Pad(make([]byte, len(src)/127*128), src); (err == nil) != (len(src)%127 == 0) {
			t.Fatalf("Pad of %d bytes: error %v", len(src), err)
		}
		checkRoundTrip(t, src[:len(src)/127*127])
	})
}

// Unpad accepts exactly what Pad makes.
func FuzzUnpad(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, 256))
	f.Add(bytes.Repeat([]byte{0x40}, 128))
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := make([]byte, len(src)/128*127)
		if Unpad(dst, src) != nil {
			return
		}
		if !bytes.Equal(padReference(dst), src) {
			t.Fatal("Unpad accepted what Pad does not make")
		}
	})
}

func Benchmark(b *testing.B) {
	for _, units := range []int{2 << 10, 512 << 10} { // in the cache, and not
		unpadded := randomBytes(1, units*127)
		padded := make([]byte, units*128)
		for _, c := range []struct {
			name string
			f    func() error
		}{
			{"pad", func() error { return Pad(padded, unpadded) }},
			{"unpad", func() error { return Unpad(unpadded, padded) }},
		} {
			b.Run(fmt.Sprintf("op=%s/KiB=%d", c.name, units/8), func(b *testing.B) {
				b.SetBytes(int64(len(padded)))
				for b.Loop() {
					if err := c.f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
