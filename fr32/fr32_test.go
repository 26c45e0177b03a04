package fr32

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

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

// checkRoundTrip pads and unpads src.
func checkRoundTrip(t tester, src []byte) {
	t.Helper()
	want := padReference(src)
	padded := make([]byte, len(want))
	if err := Pad(padded, src); err != nil {
		t.Fatalf("Pad: %v", err)
	}
	if !bytes.Equal(padded, want) {
		t.Fatalf("Pad of %d bytes: (-want +got)\n%s", len(src), cmp.Diff(want, padded))
	}
	back := make([]byte, len(src))
	if err := Unpad(back, padded); err != nil {
		t.Fatalf("Unpad: %v", err)
	}
	if !bytes.Equal(back, src) {
		t.Fatalf("Unpad of %d bytes: (-want +got)\n%s", len(padded), cmp.Diff(src, back))
	}
	checkKernels(t, src, padded, 0, 0)
}

// checkKernels has each kernel pad src and unpad padded, past the cache and not, to an
// address so many bytes behind a cache line, and from another, between canaries, which
// must survive.
func checkKernels(t tester, src, padded []byte, to, from int) {
	t.Helper()
	const canary = 0xa5
	check := func(what string, want, in []byte, f func(dst, src []byte)) {
		t.Helper()
		whole := bytes.Repeat([]byte{canary}, line+to+len(want)+line)
		whole = whole[toLine(whole)+to:]
		copied := make([]byte, line+from+len(in))
		copied = append(copied[:toLine(copied)+from], in...)
		f(whole[:len(want):len(want)], copied[len(copied)-len(in):])
		if got := whole[:len(want)]; !bytes.Equal(got, want) {
			t.Fatalf("%s of %d bytes, %d behind a line, to %d behind one: (-want +got)\n%s", what, len(in), from, to, cmp.Diff(want, got))
		}
		if after := whole[len(want):]; len(bytes.Trim(after, "\xa5")) > 0 {
			t.Fatalf("%s of %d bytes: wrote behind the destination: %x", what, len(in), after)
		}
	}
	for _, k := range usable() {
		for _, past := range []bool{false, true} {
			check(fmt.Sprintf("%s, past the cache %v: pad", k.name, past), padded, src, func(dst, src []byte) { k.padAll(dst, src, past) })
			check(fmt.Sprintf("%s, past the cache %v: unpad", k.name, past), src, padded, func(dst, src []byte) {
				if bad := k.unpadAll(dst, src, past); bad >= 0 {
					t.Fatalf("%s, past the cache %v: unpadding finds a wrong bit from %d on", k.name, past, bad)
				}
			})
		}
	}
}

func usable() (all []*kernel) {
	for _, k := range kernels {
		if k.usable() {
			all = append(all, k)
		}
	}
	return all
}

// Every length, up to more than two times what goes past the cache in one piece, and more
// than one call of a kernel.
func TestEveryLength(t *testing.T) {
	t.Parallel()
	src := randomBytes(1, (maxUnits+lineUnits+1)*unpaddedUnit)
	padded := padReference(src)
	check := func(units int) {
		checkKernels(t, src[:units*unpaddedUnit], padded[:units*paddedUnit], units%line, units%7)
	}
	for units := range 2*lineUnits + 3 {
		check(units)
	}
	for units := maxUnits - 1; units <= maxUnits+1; units++ {
		check(units)
	}
	check(maxUnits + lineUnits + 1)
}

// Every alignment of the destination and of the source: addresses need none.
func TestEveryAlignment(t *testing.T) {
	t.Parallel()
	src := randomBytes(2, (lineUnits+5)*unpaddedUnit)
	padded := padReference(src)
	for at := range line {
		checkKernels(t, src, padded, at, 0)
		checkKernels(t, src, padded, 0, at)
		checkKernels(t, src, padded, at, at*11%line)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.IntRange(0, 9).Draw(t, "units")
		src := randomBytes(rapid.Uint64().Draw(t, "seed"), unpaddedUnit*units)
		checkKernels(t, src, padReference(src), rapid.IntRange(0, line-1).Draw(t, "to"), rapid.IntRange(0, line-1).Draw(t, "from"))
	})
}

// What is large enough to go past the cache is what it is in small pieces.
func TestPastCache(t *testing.T) {
	t.Parallel()
	src := randomBytes(3, unpaddedUnit*(PastCache/unpaddedUnit+1))
	want := make([]byte, len(src)/unpaddedUnit*paddedUnit)
	generic.padAll(want, src, false)
	padded := make([]byte, len(want))
	back := make([]byte, len(src))
	if err := Pad(padded, src); err != nil || !bytes.Equal(padded, want) {
		t.Errorf("Pad of %d bytes is wrong: %v", len(src), err)
	}
	if err := Unpad(back, padded); err != nil || !bytes.Equal(back, src) {
		t.Errorf("Unpad of %d bytes is wrong: %v", len(padded), err)
	}
	padded[len(padded)/2|31] |= 0x80
	var bad *PaddingError
	if err := Unpad(back, padded); !errors.As(err, &bad) || bad.Offset != len(padded)/2|31 {
		t.Errorf("a padding bit is set in byte %d: error %v", len(padded)/2|31, err)
	}
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
			for _, k := range usable() {
				for _, past := range []bool{false, true} {
					if got := k.unpadAll(make([]byte, 3*127), src, past); got != 0 {
						t.Errorf("%s, past the cache %v: bit %d of byte %d is found from %d on, want 0", k.name, past, bit, off, got)
					}
				}
			}
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

// Unpad accepts exactly what Pad makes, and so does each kernel.
func FuzzUnpad(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, 256))
	f.Add(bytes.Repeat([]byte{0x40}, 128))
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := make([]byte, len(src)/paddedUnit*unpaddedUnit)
		err := Unpad(dst, src)
		if _, ok := errors.AsType[*LengthError](err); ok {
			return
		}
		for _, k := range usable() {
			for _, past := range []bool{false, true} {
				if bad := k.unpadAll(bytes.Clone(dst), src, past); (bad >= 0) != (err != nil) {
					t.Fatalf("%s, past the cache %v: finds a wrong bit from %d on, error %v", k.name, past, bad, err)
				}
			}
		}
		if err == nil && !bytes.Equal(padReference(dst), src) {
			t.Fatal("Unpad accepted what Pad does not make")
		}
	})
}

// Each kernel, in the cache and not, past it and not, beside a copy of as many bytes.
func Benchmark(b *testing.B) {
	for _, units := range []int{2 << 10, 512 << 10} {
		unpadded, padded := alignedTo(line, units*unpaddedUnit), alignedTo(line, units*paddedUnit)
		other := alignedTo(line, len(padded))
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/KiB=%d", name, units/8), func(b *testing.B) {
				b.SetBytes(int64(len(padded)))
				for b.Loop() {
					f()
				}
			})
		}
		run("op=copy", func() { copy(other, padded) })
		for _, k := range usable() {
			for _, past := range []bool{false, true} {
				run(fmt.Sprintf("op=pad/impl=%s/past=%v", k.name, past), func() { k.padAll(padded, unpadded, past) })
				run(fmt.Sprintf("op=unpad/impl=%s/past=%v", k.name, past), func() { k.unpadAll(unpadded, padded, past) })
			}
		}
	}
}

// alignedTo is size bytes at a multiple of align, a power of two.
func alignedTo(align, size int) []byte {
	b := make([]byte, size+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip:][:size:size]
}
