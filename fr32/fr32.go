// Package fr32 pads data so that every 32 bytes of it are an element of the
// proofs' field: after each 254 bits come two zero bits, which turns 127 bytes
// into 128. Bits count from the lowest of a byte, bytes from the first.
package fr32

import (
	"encoding/binary"
	"fmt"
)

const (
	unpaddedUnit = 127 // 4 × 254 bits
	paddedUnit   = 128
	elementSize  = 32

	// elementTop is what belongs to an element in the last of its four words;
	// above it is the padding.
	elementTop = 1<<62 - 1
)

// A LengthError says that source and destination do not fit together.
type LengthError struct {
	Doing    string // "padding" or "unpadding"
	Dst, Src int    // lengths in bytes
	Reason   string
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("fr32: %s: %d bytes to %d: %s", e.Doing, e.Src, e.Dst, e.Reason)
}

// A PaddingError says that data is not padded: an element has a bit in the
// place of the two that are zero.
type PaddingError struct {
	Offset int  // of the byte with the padding bits, in the source
	Byte   byte // its value; padded data has less than 0x40
}

func (e *PaddingError) Error() string {
	return fmt.Sprintf("fr32: unpadding: byte %d is %#02x, more than 0x3f: its two highest bits are not zero", e.Offset, e.Byte)
}

func checkLengths(doing string, dst, src, dstUnit, srcUnit int) error {
	if src%srcUnit != 0 {
		return &LengthError{doing, dst, src, fmt.Sprintf("the source is no multiple of %d", srcUnit)}
	}
	if want := src / srcUnit * dstUnit; dst != want {
		return &LengthError{doing, dst, src, fmt.Sprintf("the destination should have %d", want)}
	}
	return nil
}

// Pad writes src, a whole number of 127-byte units, to dst as 128-byte units,
// each four 32-byte field elements. dst must have exactly len(src)/127·128 bytes
// and may not overlap src. The error is a *LengthError, and nothing was written.
func Pad(dst, src []byte) error {
	if err := checkLengths("padding", len(dst), len(src), paddedUnit, unpaddedUnit); err != nil {
		return err
	}
	le := binary.LittleEndian
	for len(src) >= unpaddedUnit && len(dst) >= paddedUnit {
		s, d := (*[unpaddedUnit]byte)(src), (*[paddedUnit]byte)(dst)
		src, dst = src[unpaddedUnit:], dst[paddedUnit:]

		// Element e starts at bit 254·e: 2·e bits before the end of a word. A
		// plain mask makes the compiler split the store; it keeps a
		// difference, and a mask inside of an or, in one piece.
		w3 := le.Uint64(s[24:])
		rest := w3 >> 62
		le.PutUint64(d[0:], le.Uint64(s[0:]))
		le.PutUint64(d[8:], le.Uint64(s[8:]))
		le.PutUint64(d[16:], le.Uint64(s[16:]))
		le.PutUint64(d[24:], w3-rest<<62)

		w4, w5, w6, w7 := le.Uint64(s[32:]), le.Uint64(s[40:]), le.Uint64(s[48:]), le.Uint64(s[56:])
		le.PutUint64(d[32:], rest|w4<<2)
		le.PutUint64(d[40:], w4>>62|w5<<2)
		le.PutUint64(d[48:], w5>>62|w6<<2)
		le.PutUint64(d[56:], w6>>62|w7<<2&elementTop)

		w8, w9, w10, w11 := le.Uint64(s[64:]), le.Uint64(s[72:]), le.Uint64(s[80:]), le.Uint64(s[88:])
		le.PutUint64(d[64:], w7>>60|w8<<4)
		le.PutUint64(d[72:], w8>>60|w9<<4)
		le.PutUint64(d[80:], w9>>60|w10<<4)
		le.PutUint64(d[88:], w10>>60|w11<<4&elementTop)

		// The unit has no byte 127: load its last word a byte early.
		w12, w13, w14, w15 := le.Uint64(s[96:]), le.Uint64(s[104:]), le.Uint64(s[112:]), le.Uint64(s[119:])>>8
		le.PutUint64(d[96:], w11>>58|w12<<6)
		le.PutUint64(d[104:], w12>>58|w13<<6)
		le.PutUint64(d[112:], w13>>58|w14<<6)
		le.PutUint64(d[120:], w14>>58|w15<<6)
	}
	return nil
}

// Unpad is the inverse of Pad: it writes src, a whole number of 128-byte units,
// to dst as 127-byte units. dst must have exactly len(src)/128·127 bytes and may
// not overlap src. The error is a *LengthError, and nothing was written, or a
// *PaddingError, and what dst holds is undefined.
func Unpad(dst, src []byte) error {
	if err := checkLengths("unpadding", len(dst), len(src), unpaddedUnit, paddedUnit); err != nil {
		return err
	}
	le := binary.LittleEndian
	whole := src
	for len(src) >= paddedUnit && len(dst) >= unpaddedUnit {
		s, d := (*[paddedUnit]byte)(src), (*[unpaddedUnit]byte)(dst)

		p3, p7, p11, p15 := le.Uint64(s[24:]), le.Uint64(s[56:]), le.Uint64(s[88:]), le.Uint64(s[120:])
		if (p3|p7|p11|p15)&^elementTop != 0 {
			return paddingError(whole, len(whole)-len(src))
		}
		src, dst = src[paddedUnit:], dst[unpaddedUnit:]

		p4, p5, p6 := le.Uint64(s[32:]), le.Uint64(s[40:]), le.Uint64(s[48:])
		le.PutUint64(d[0:], le.Uint64(s[0:]))
		le.PutUint64(d[8:], le.Uint64(s[8:]))
		le.PutUint64(d[16:], le.Uint64(s[16:]))
		le.PutUint64(d[24:], p3|p4<<62)
		le.PutUint64(d[32:], p4>>2|p5<<62)
		le.PutUint64(d[40:], p5>>2|p6<<62)
		le.PutUint64(d[48:], p6>>2|p7<<62)

		p8, p9, p10 := le.Uint64(s[64:]), le.Uint64(s[72:]), le.Uint64(s[80:])
		le.PutUint64(d[56:], p7>>2|p8<<60)
		le.PutUint64(d[64:], p8>>4|p9<<60)
		le.PutUint64(d[72:], p9>>4|p10<<60)
		le.PutUint64(d[80:], p10>>4|p11<<60)

		p12, p13, p14 := le.Uint64(s[96:]), le.Uint64(s[104:]), le.Uint64(s[112:])
		le.PutUint64(d[88:], p11>>4|p12<<58)
		le.PutUint64(d[96:], p12>>6|p13<<58)
		le.PutUint64(d[104:], p13>>6|p14<<58)
		// The unit has no byte 127: the last 8 bytes overlap those before.
		w14 := p14>>6 | p15<<58
		le.PutUint64(d[112:], w14)
		le.PutUint64(d[119:], w14>>56|p15>>6<<8)
	}
	return nil
}

// paddingError names the first bad element of the unit at off.
func paddingError(src []byte, off int) error {
	for off += elementSize - 1; src[off] < 0x40; off += elementSize {
	}
	return &PaddingError{off, src[off]}
}
