// Package fr32 pads data so that every 32 bytes of it are an element of the
// proofs' field: after each 254 bits come two zero bits, which turns 127 bytes
// into 128. Bits count from the lowest of a byte, bytes from the first.
package fr32

import "fmt"

const (
	unpaddedUnit = 127 // 4 × 254 bits
	paddedUnit   = 128
	elementSize  = 32
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
//
// A dst of PastCache bytes or more at a multiple of 64 is written past the cache.
func Pad(dst, src []byte) error {
	if err := checkLengths("padding", len(dst), len(src), paddedUnit, unpaddedUnit); err != nil {
		return err
	}
	best.padAll(dst, src, len(dst) >= PastCache)
	return nil
}

// Unpad is the inverse of Pad: it writes src, a whole number of 128-byte units,
// to dst as 127-byte units. dst must have exactly len(src)/128·127 bytes and may
// not overlap src. The error is a *LengthError, and nothing was written, or a
// *PaddingError, and what dst holds is undefined.
//
// A dst of PastCache bytes or more is written past the cache.
func Unpad(dst, src []byte) error {
	if err := checkLengths("unpadding", len(dst), len(src), unpaddedUnit, paddedUnit); err != nil {
		return err
	}
	if bad := best.unpadAll(dst, src, len(dst) >= PastCache); bad >= 0 {
		return paddingError(src, bad)
	}
	return nil
}

// paddingError names the first bad element from the one at off on, of which there is one.
func paddingError(src []byte, off int) error {
	for off += elementSize - 1; src[off] < 0x40; off += elementSize {
	}
	return &PaddingError{off, src[off]}
}
