//go:build !purego

#include "textflag.h"

// func padNEON(dst, src *byte, n int)
// Requires: ASIMD
//
// Two words at a time. The last element is read from byte 95 on, since a unit has no byte
// 127.
//
//	R0  dst    R1  src    R2  units to go
//	V0, V1; V2–V5; V6–V9; V10–V13 the elements' words and those beside them
//	V31 what belongs to an element in its last two words
TEXT ·padNEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVD  $-1, R3
	MOVD  $0x3fffffffffffffff, R4
	VMOV  R3, V31.D[0]
	VMOV  R4, V31.D[1]

unit:
	FMOVQ (R1), F0
	FMOVQ 16(R1), F1
	FMOVQ 32(R1), F2
	FMOVQ 48(R1), F3
	FMOVQ 24(R1), F4                  // words before
	FMOVQ 40(R1), F5
	FMOVQ 64(R1), F6
	FMOVQ 80(R1), F7
	FMOVQ 56(R1), F8
	FMOVQ 72(R1), F9
	FMOVQ 95(R1), F10
	FMOVQ 111(R1), F11
	FMOVQ 103(R1), F12                // words after
	VDUP  V11.D[1], V13.D2            // the last has none, but for its padding

	VSHL  $2, V2.D2, V2.D2
	VSHL  $2, V3.D2, V3.D2
	VSRI  $62, V4.D2, V2.D2
	VSRI  $62, V5.D2, V3.D2
	VSHL  $4, V6.D2, V6.D2
	VSHL  $4, V7.D2, V7.D2
	VSRI  $60, V8.D2, V6.D2
	VSRI  $60, V9.D2, V7.D2
	VUSHR $2, V10.D2, V10.D2
	VUSHR $2, V11.D2, V11.D2
	VSLI  $62, V12.D2, V10.D2
	VSLI  $62, V13.D2, V11.D2
	VAND  V31.B16, V1.B16, V1.B16
	VAND  V31.B16, V3.B16, V3.B16
	VAND  V31.B16, V7.B16, V7.B16
	VAND  V31.B16, V11.B16, V11.B16

	FMOVQ F0, (R0)
	FMOVQ F1, 16(R0)
	FMOVQ F2, 32(R0)
	FMOVQ F3, 48(R0)
	FMOVQ F6, 64(R0)
	FMOVQ F7, 80(R0)
	FMOVQ F10, 96(R0)
	FMOVQ F11, 112(R0)
	ADD   $127, R1
	ADD   $128, R0
	SUBS  $1, R2, R2
	BNE   unit
	RET

// Words of data of which the second ends in another element than it begins in: w has the
// padded words, n those after each. The second word of n goes right bits further down,
// which the first of w has as well, than the first one.
#define TWOELEMENTS(right, first, second, w, n, t) \
	VUSHR $right, w.D2, w.D2       \
	VSHL  $first, n.D2, t.D2       \
	VSHL  $second, n.D2, n.D2      \
	VBIT  V30.B16, n.B16, t.B16    \
	VORR  t.B16, w.B16, w.B16

// func unpadNEON(dst, src *byte, n int) (ok bool)
// Requires: ASIMD
//
// Words of data, two at a time, from padded words and from those after each. The last two
// are those from byte 111 on, since a unit has no byte 127.
//
//	R0  dst    R1  src    R2  units to go
//	V0–V7      words of data, of padded ones first    V16–V23 words beside them, a temporary
//	V29 all elements' last words                      V30 the second word
TEXT ·unpadNEON(SB), NOSPLIT, $0-25
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVD  $-1, R3
	VEOR  V29.B16, V29.B16, V29.B16
	VEOR  V30.B16, V30.B16, V30.B16
	VMOV  R3, V30.D[1]

unit:
	FMOVQ (R1), F0
	FMOVQ 16(R1), F1
	FMOVQ 32(R1), F2
	FMOVQ 48(R1), F3
	FMOVQ 64(R1), F4
	FMOVQ 80(R1), F5
	FMOVQ 96(R1), F6
	FMOVQ 112(R1), F7
	FMOVQ 24(R1), F17                 // words after those of V1
	FMOVQ 40(R1), F18                 // V2,
	FMOVQ 56(R1), F19                 // V3,
	FMOVQ 72(R1), F20                 // V4,
	FMOVQ 88(R1), F21                 // V5,
	FMOVQ 104(R1), F22                // V6, and before those of V7
	VORR  V1.B16, V29.B16, V29.B16
	VORR  V3.B16, V29.B16, V29.B16
	VORR  V5.B16, V29.B16, V29.B16
	VORR  V7.B16, V29.B16, V29.B16

	VSHL  $62, V17.D2, V17.D2
	VAND  V30.B16, V17.B16, V17.B16
	VORR  V17.B16, V1.B16, V1.B16
	VUSHR $2, V2.D2, V2.D2
	VSLI  $62, V18.D2, V2.D2
	TWOELEMENTS(2, 62, 60, V3, V19, V23)
	VUSHR $4, V4.D2, V4.D2
	VSLI  $60, V20.D2, V4.D2
	TWOELEMENTS(4, 60, 58, V5, V21, V23)
	VUSHR $6, V6.D2, V6.D2
	VSLI  $58, V22.D2, V6.D2
	VSHL  $2, V7.D2, V7.D2
	VSRI  $62, V22.D2, V7.D2

	FMOVQ F0, (R0)
	FMOVQ F1, 16(R0)
	FMOVQ F2, 32(R0)
	FMOVQ F3, 48(R0)
	FMOVQ F4, 64(R0)
	FMOVQ F5, 80(R0)
	FMOVQ F6, 96(R0)
	FMOVQ F7, 111(R0)
	ADD   $128, R1
	ADD   $127, R0
	SUBS  $1, R2, R2
	BNE   unit
	VMOV  V29.D[1], R3
	LSR   $62, R3, R3                 // the padding
	CMP   $0, R3
	CSET  EQ, R3
	MOVB  R3, ok+24(FP)
	RET
