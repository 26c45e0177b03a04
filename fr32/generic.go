package fr32

import (
	"encoding/binary"
	"unsafe"
)

// elementTop is what belongs to an element in the last of its four words; above it is the
// padding.
const elementTop = 1<<62 - 1

var generic = &kernel{name: "generic", pad: padGeneric, unpad: unpadGeneric}

// padGeneric is what each kernel's pad does.
func padGeneric(dstUnits, srcUnits *byte, n int) {
	dst, src := unsafe.Slice(dstUnits, n*paddedUnit), unsafe.Slice(srcUnits, n*unpaddedUnit)
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
}

// unpadGeneric is what each kernel's unpad does.
func unpadGeneric(dstUnits, srcUnits *byte, n int) (ok bool) {
	dst, src := unsafe.Slice(dstUnits, n*unpaddedUnit), unsafe.Slice(srcUnits, n*paddedUnit)
	le := binary.LittleEndian
	all := uint64(0)
	for len(src) >= paddedUnit && len(dst) >= unpaddedUnit {
		s, d := (*[paddedUnit]byte)(src), (*[unpaddedUnit]byte)(dst)

		p3, p7, p11, p15 := le.Uint64(s[24:]), le.Uint64(s[56:]), le.Uint64(s[88:]), le.Uint64(s[120:])
		all |= p3 | p7 | p11 | p15
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
	return all&^elementTop == 0
}
