//go:build !purego

#include "textflag.h"

// What belongs to an element in its words.
DATA element<>+0x00(SB)/8, $0xffffffffffffffff
DATA element<>+0x08(SB)/8, $0xffffffffffffffff
DATA element<>+0x10(SB)/8, $0xffffffffffffffff
DATA element<>+0x18(SB)/8, $0x3fffffffffffffff
GLOBL element<>(SB), RODATA|NOPTR, $32

// How far the word after is shifted, for four words of data of which the last ends in
// another element than it begins in: words 0 to 3, 4 to 7, 8 to 11.
DATA after0<>+0x00(SB)/8, $64
DATA after0<>+0x08(SB)/8, $64
DATA after0<>+0x10(SB)/8, $64
DATA after0<>+0x18(SB)/8, $62
GLOBL after0<>(SB), RODATA|NOPTR, $32

DATA after4<>+0x00(SB)/8, $62
DATA after4<>+0x08(SB)/8, $62
DATA after4<>+0x10(SB)/8, $62
DATA after4<>+0x18(SB)/8, $60
GLOBL after4<>(SB), RODATA|NOPTR, $32

DATA after8<>+0x00(SB)/8, $60
DATA after8<>+0x08(SB)/8, $60
DATA after8<>+0x10(SB)/8, $60
DATA after8<>+0x18(SB)/8, $58
GLOBL after8<>(SB), RODATA|NOPTR, $32

// The last words of data begin at byte 95: in word 11, whose last two bits they take, and
// then in words 12, 13 and 14.
DATA before95<>+0x00(SB)/8, $60
DATA before95<>+0x08(SB)/8, $62
DATA before95<>+0x10(SB)/8, $62
DATA before95<>+0x18(SB)/8, $62
GLOBL before95<>(SB), RODATA|NOPTR, $32

// A unit, whose elements are in Y0, Y1, Y3 and Y5 then. The last is read from byte 95 on,
// since the unit has no byte 127; there is no word after its last one, whose padding it
// would be.
#define PADUNIT \
	VMOVDQU (SI), Y0       \
	VMOVDQU 32(SI), Y1     \
	VMOVDQU 24(SI), Y2     \
	VMOVDQU 64(SI), Y3     \
	VMOVDQU 56(SI), Y4     \
	VMOVDQU 95(SI), Y5     \
	VPSLLQ  $2, Y1, Y1     \
	VPSRLQ  $62, Y2, Y2    \
	VPSLLQ  $4, Y3, Y3     \
	VPSRLQ  $60, Y4, Y4    \
	VPERMQ  $0xf9, Y5, Y6  \ // the word after each
	VPSRLQ  $2, Y5, Y5     \
	VPSLLQ  $62, Y6, Y6    \
	VPOR    Y2, Y1, Y1     \
	VPOR    Y4, Y3, Y3     \
	VPOR    Y6, Y5, Y5     \
	VPAND   Y15, Y0, Y0    \
	VPAND   Y15, Y1, Y1    \
	VPAND   Y15, Y3, Y3    \
	VPAND   Y15, Y5, Y5

// func padAVX2(dst, src *byte, n int)
// Requires: AVX2, AVX
//
//	DI  dst    SI  src    CX  units to go
//	Y0–Y6 words           Y15 mask
TEXT ·padAVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    n+16(FP), CX
	VMOVDQU element<>(SB), Y15

unit:
	PADUNIT
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y3, 64(DI)
	VMOVDQU Y5, 96(DI)
	ADDQ    $127, SI
	ADDQ    $128, DI
	DECQ    CX
	JNZ     unit
	VZEROUPPER
	RET

// func padPastAVX2(dst, src *byte, n int)
// Requires: AVX2, AVX
//
// The same past the cache, to whole lines.
TEXT ·padPastAVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    n+16(FP), CX
	VMOVDQU element<>(SB), Y15

unit:
	PREFETCHT0 2048(SI)
	PREFETCHT0 2112(SI)
	PADUNIT
	VMOVNTDQ   Y0, (DI)
	VMOVNTDQ   Y1, 32(DI)
	VMOVNTDQ   Y3, 64(DI)
	VMOVNTDQ   Y5, 96(DI)
	ADDQ       $127, SI
	ADDQ       $128, DI
	DECQ       CX
	JNZ        unit
	SFENCE
	VZEROUPPER
	RET

// func unpadAVX2(dst, src *byte, n int) (ok bool)
// Requires: AVX2, AVX
//
//	DI  dst    SI  src    CX  units to go
//	Y0–Y7 words    Y8, Y9 all words    Y10–Y13 counts    Y15 mask
TEXT ·unpadAVX2(SB), NOSPLIT, $0-25
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    n+16(FP), CX
	VMOVDQU after0<>(SB), Y10
	VMOVDQU after4<>(SB), Y11
	VMOVDQU after8<>(SB), Y12
	VMOVDQU before95<>(SB), Y13
	VMOVDQU element<>(SB), Y15
	VPXOR   Y8, Y8, Y8
	VPXOR   Y9, Y9, Y9

unit:
	PREFETCHT0 2048(SI)
	PREFETCHT0 2112(SI)
	VMOVDQU    (SI), Y0
	VMOVDQU    8(SI), Y1
	VMOVDQU    32(SI), Y2
	VMOVDQU    40(SI), Y3
	VMOVDQU    64(SI), Y4
	VMOVDQU    72(SI), Y5
	VMOVDQU    88(SI), Y6
	VMOVDQU    96(SI), Y7
	VPOR       Y0, Y8, Y8
	VPOR       Y2, Y9, Y9
	VPOR       Y4, Y8, Y8
	VPOR       Y7, Y9, Y9
	VPSLLVQ    Y10, Y1, Y1
	VPSRLQ     $2, Y2, Y2
	VPSLLVQ    Y11, Y3, Y3
	VPSRLQ     $4, Y4, Y4
	VPSLLVQ    Y12, Y5, Y5
	VPSRLVQ    Y13, Y6, Y6
	VPSLLQ     $2, Y7, Y7
	VPOR       Y1, Y0, Y0
	VPOR       Y3, Y2, Y2
	VPOR       Y5, Y4, Y4
	VPOR       Y7, Y6, Y6
	VMOVDQU    Y0, (DI)
	VMOVDQU    Y2, 32(DI)
	VMOVDQU    Y4, 64(DI)
	VMOVDQU    Y6, 95(DI)
	ADDQ       $128, SI
	ADDQ       $127, DI
	DECQ       CX
	JNZ        unit
	VPOR       Y9, Y8, Y8
	VPANDN     Y8, Y15, Y8         // the padding
	VPTEST     Y8, Y8
	SETEQ      ok+24(FP)
	VZEROUPPER
	RET

// func copyPastAVX2(dst, src *byte, lines int)
// Requires: AVX
//
// Copies cache lines, past the cache to whole ones. A fence is yet to come.
//
//	DI  dst    SI  src    CX  lines to go    Y0, Y1 a line
TEXT ·copyPastAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ lines+16(FP), CX

line:
	VMOVDQU  (SI), Y0
	VMOVDQU  32(SI), Y1
	VMOVNTDQ Y0, (DI)
	VMOVNTDQ Y1, 32(DI)
	ADDQ     $64, SI
	ADDQ     $64, DI
	DECQ     CX
	JNZ      line
	VZEROUPPER
	RET
