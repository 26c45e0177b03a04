//go:build !purego

#include "textflag.h"

// What is not in the cache is asked for 2 KiB ahead, since processors do not by themselves go on
// from one page to the next. (64 MiB on Emerald Rapids: a tenth to a sixth faster.)

// Counts and masks for eight words at a time. The words of the first half of a padded unit
// are those of the data and of the words before them, shifted; those of the second half, of
// the data from byte 63 on and of the words after them.
DATA left0<>+0x00(SB)/8, $0
DATA left0<>+0x08(SB)/8, $0
DATA left0<>+0x10(SB)/8, $0
DATA left0<>+0x18(SB)/8, $0
DATA left0<>+0x20(SB)/8, $2
DATA left0<>+0x28(SB)/8, $2
DATA left0<>+0x30(SB)/8, $2
DATA left0<>+0x38(SB)/8, $2
GLOBL left0<>(SB), RODATA|NOPTR, $64

DATA before0<>+0x00(SB)/8, $64
DATA before0<>+0x08(SB)/8, $64
DATA before0<>+0x10(SB)/8, $64
DATA before0<>+0x18(SB)/8, $64
DATA before0<>+0x20(SB)/8, $62
DATA before0<>+0x28(SB)/8, $62
DATA before0<>+0x30(SB)/8, $62
DATA before0<>+0x38(SB)/8, $62
GLOBL before0<>(SB), RODATA|NOPTR, $64

DATA right1<>+0x00(SB)/8, $4
DATA right1<>+0x08(SB)/8, $4
DATA right1<>+0x10(SB)/8, $4
DATA right1<>+0x18(SB)/8, $4
DATA right1<>+0x20(SB)/8, $2
DATA right1<>+0x28(SB)/8, $2
DATA right1<>+0x30(SB)/8, $2
DATA right1<>+0x38(SB)/8, $2
GLOBL right1<>(SB), RODATA|NOPTR, $64

DATA after1<>+0x00(SB)/8, $60
DATA after1<>+0x08(SB)/8, $60
DATA after1<>+0x10(SB)/8, $60
DATA after1<>+0x18(SB)/8, $60
DATA after1<>+0x20(SB)/8, $62
DATA after1<>+0x28(SB)/8, $62
DATA after1<>+0x30(SB)/8, $62
DATA after1<>+0x38(SB)/8, $62
GLOBL after1<>(SB), RODATA|NOPTR, $64

// What belongs to elements in their words.
DATA elements<>+0x00(SB)/8, $0xffffffffffffffff
DATA elements<>+0x08(SB)/8, $0xffffffffffffffff
DATA elements<>+0x10(SB)/8, $0xffffffffffffffff
DATA elements<>+0x18(SB)/8, $0x3fffffffffffffff
DATA elements<>+0x20(SB)/8, $0xffffffffffffffff
DATA elements<>+0x28(SB)/8, $0xffffffffffffffff
DATA elements<>+0x30(SB)/8, $0xffffffffffffffff
DATA elements<>+0x38(SB)/8, $0x3fffffffffffffff
GLOBL elements<>(SB), RODATA|NOPTR, $64

// The way back: bytes 0 to 63 of the data are words 0 to 7 to the right, words 1 to 8 to
// the left; bytes 63 to 126 are words 7 to 14 to the right, words 8 to 15 to the left.
DATA right0<>+0x00(SB)/8, $0
DATA right0<>+0x08(SB)/8, $0
DATA right0<>+0x10(SB)/8, $0
DATA right0<>+0x18(SB)/8, $0
DATA right0<>+0x20(SB)/8, $2
DATA right0<>+0x28(SB)/8, $2
DATA right0<>+0x30(SB)/8, $2
DATA right0<>+0x38(SB)/8, $2
GLOBL right0<>(SB), RODATA|NOPTR, $64

DATA after0<>+0x00(SB)/8, $64
DATA after0<>+0x08(SB)/8, $64
DATA after0<>+0x10(SB)/8, $64
DATA after0<>+0x18(SB)/8, $62
DATA after0<>+0x20(SB)/8, $62
DATA after0<>+0x28(SB)/8, $62
DATA after0<>+0x30(SB)/8, $62
DATA after0<>+0x38(SB)/8, $60
GLOBL after0<>(SB), RODATA|NOPTR, $64

DATA before63<>+0x00(SB)/8, $58
DATA before63<>+0x08(SB)/8, $60
DATA before63<>+0x10(SB)/8, $60
DATA before63<>+0x18(SB)/8, $60
DATA before63<>+0x20(SB)/8, $60
DATA before63<>+0x28(SB)/8, $62
DATA before63<>+0x30(SB)/8, $62
DATA before63<>+0x38(SB)/8, $62
GLOBL before63<>(SB), RODATA|NOPTR, $64

DATA left63<>+0x00(SB)/8, $4
DATA left63<>+0x08(SB)/8, $4
DATA left63<>+0x10(SB)/8, $4
DATA left63<>+0x18(SB)/8, $4
DATA left63<>+0x20(SB)/8, $2
DATA left63<>+0x28(SB)/8, $2
DATA left63<>+0x30(SB)/8, $2
DATA left63<>+0x38(SB)/8, $2
GLOBL left63<>(SB), RODATA|NOPTR, $64

// Truth tables of VPTERNLOGQ: x | y | z, and (x | y) & z.
#define OR    $0xfe
#define ORAND $0xa8

#define PADCONSTANTS \
	VMOVDQU64 left0<>(SB), Z16   \
	VMOVDQU64 before0<>(SB), Z17 \
	VMOVDQU64 right1<>(SB), Z18  \
	VMOVDQU64 after1<>(SB), Z19  \
	VMOVDQU64 elements<>(SB), Z20

// A unit, whose halves are in Z0 and Z1 then. The word before the first and the one after the
// last, which do not exist, are others that leave no bit.
#define PADUNIT \
	VMOVDQU64  (SI), Z0           \
	VMOVDQU64  63(SI), Z1         \
	VALIGNQ    $7, Z0, Z0, Z2     \ // the word before each
	VALIGNQ    $1, Z1, Z1, Z3     \ // the word after each
	VPSLLVQ    Z16, Z0, Z0        \
	VPSRLVQ    Z17, Z2, Z2        \
	VPSRLVQ    Z18, Z1, Z1        \
	VPSLLVQ    Z19, Z3, Z3        \
	VPTERNLOGQ ORAND, Z20, Z2, Z0 \
	VPTERNLOGQ ORAND, Z20, Z3, Z1

// func padAVX512(dst, src *byte, n int)
// Requires: AVX512F, AVX
//
//	DI  dst    SI  src    CX  units to go
//	Z0–Z3 words           Z16–Z20 counts, mask
TEXT ·padAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	PADCONSTANTS

unit:
	PADUNIT
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	ADDQ      $127, SI
	ADDQ      $128, DI
	DECQ      CX
	JNZ       unit
	VZEROUPPER
	RET

// func padPastAVX512(dst, src *byte, n int)
// Requires: AVX512F, AVX
//
// The same past the cache, to whole lines.
TEXT ·padPastAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	PADCONSTANTS

unit:
	PREFETCHT0 2048(SI)
	PREFETCHT0 2112(SI)
	PADUNIT
	VMOVNTDQ   Z0, (DI)
	VMOVNTDQ   Z1, 64(DI)
	ADDQ       $127, SI
	ADDQ       $128, DI
	DECQ       CX
	JNZ        unit
	SFENCE
	VZEROUPPER
	RET

// func unpadAVX512(dst, src *byte, n int) (ok bool)
// Requires: AVX512F, AVX
//
//	DI  dst    SI  src    CX  units to go
//	Z0–Z3 words    Z4 all words    Z16–Z19 counts    Z20 mask
TEXT ·unpadAVX512(SB), NOSPLIT, $0-25
	MOVQ      dst+0(FP), DI
	MOVQ      src+8(FP), SI
	MOVQ      n+16(FP), CX
	VMOVDQU64 right0<>(SB), Z16
	VMOVDQU64 after0<>(SB), Z17
	VMOVDQU64 before63<>(SB), Z18
	VMOVDQU64 left63<>(SB), Z19
	VMOVDQU64 elements<>(SB), Z20
	VPXORQ    Z4, Z4, Z4

unit:
	PREFETCHT0 2048(SI)
	PREFETCHT0 2112(SI)
	VMOVDQU64  (SI), Z0
	VMOVDQU64  8(SI), Z1
	VMOVDQU64  56(SI), Z2
	VMOVDQU64  64(SI), Z3
	VPTERNLOGQ OR, Z3, Z0, Z4
	VPSRLVQ    Z16, Z0, Z0
	VPSLLVQ    Z17, Z1, Z1
	VPSRLVQ    Z18, Z2, Z2
	VPSLLVQ    Z19, Z3, Z3
	VPORQ      Z1, Z0, Z0
	VPORQ      Z3, Z2, Z2
	VMOVDQU64  Z0, (DI)
	VMOVDQU64  Z2, 63(DI)
	ADDQ       $128, SI
	ADDQ       $127, DI
	DECQ       CX
	JNZ        unit
	VPANDNQ    Z4, Z20, Z4            // the padding
	VPTESTMQ   Z4, Z4, K1
	KORTESTW   K1, K1
	SETEQ      ok+24(FP)
	VZEROUPPER
	RET

// func copyPastAVX512(dst, src *byte, lines int)
// Requires: AVX512F, AVX
//
// Copies cache lines, past the cache to whole ones. A fence is yet to come.
//
//	DI  dst    SI  src    CX  lines to go    Z0 a line
TEXT ·copyPastAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ lines+16(FP), CX

line:
	VMOVDQU64 (SI), Z0
	VMOVNTDQ  Z0, (DI)
	ADDQ      $64, SI
	ADDQ      $64, DI
	DECQ      CX
	JNZ       line
	VZEROUPPER
	RET
