//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// func locateAVX2(rows *uintptr, parents *uint32, n int, labels, before uintptr, shift int)
// Requires: AVX2, AVX
//
//	DI rows   SI parents   CX how many are left
//	Y0 where this layer lies   Y1 the same, and where the one before does
//	Y2 where the one before lies   X3 a shift by it multiplies with the pitch
//	Y4–Y7 a row
TEXT ·locateAVX2(SB), NOSPLIT, $0-48
	MOVQ         rows+0(FP), DI
	MOVQ         parents+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTQ labels+24(FP), Y0
	VPBROADCASTQ before+32(FP), Y2
	VPBLENDD     $0xf0, Y2, Y0, Y1
	VMOVQ        shift+40(FP), X3

row:
	VPMOVZXDQ 0(SI), Y4          // base parents 0 to 3
	VPMOVZXDQ 16(SI), Y5         // 4 and 5, expander parents 0 and 1
	VPMOVZXDQ 32(SI), Y6
	VPMOVZXDQ 48(SI), X7         // only two are left
	VPSLLQ    X3, Y4, Y4
	VPSLLQ    X3, Y5, Y5
	VPSLLQ    X3, Y6, Y6
	VPSLLQ    X3, X7, X7
	VPADDQ    Y0, Y4, Y4
	VPADDQ    Y1, Y5, Y5
	VPADDQ    Y2, Y6, Y6
	VPADDQ    X2, X7, X7
	VMOVDQU   Y4, 0(DI)
	VMOVDQU   Y5, 32(DI)
	VMOVDQU   Y6, 64(DI)
	VMOVDQU   X7, 96(DI)
	ADDQ      $(4*const_degree), SI
	ADDQ      $const_rowBytes, DI
	DECQ      CX
	JNZ       row
	VZEROUPPER
	RET

// func greatestAVX2(numbers *uint32, eights int) uint32
// Requires: AVX2, AVX
//
//	SI numbers   CX eights of them left   AX the greatest   Y0 maxima
TEXT ·greatestAVX2(SB), NOSPLIT, $0-20
	MOVQ  numbers+0(FP), SI
	MOVQ  eights+8(FP), CX
	VPXOR Y0, Y0, Y0

eight:
	VPMAXUD      (SI), Y0, Y0
	ADDQ         $32, SI
	DECQ         CX
	JNZ          eight
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPMAXUD      X1, X0, X0
	VMOVD        X0, AX
	MOVL         AX, ret+16(FP)
	VZEROUPPER
	RET

// func stageRows(addrs *uintptr, which *int32, n int, memory *byte, pitch, ahead int)
// Requires: SSE2
//
//	DI addresses      SI which of them, CX how many are left
//	R8 memory         DX a label's bytes
//	R9 the next to fetch, at R10, the last, again and again; R12 how many are due
//	AX a label        BX where it goes
//	R11 its bytes that are left
TEXT ·stageRows(SB), NOSPLIT, $0-48
	MOVQ addrs+0(FP), DI
	MOVQ which+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ memory+24(FP), R8
	MOVQ pitch+32(FP), DX
	MOVQ SI, R9
	LEAQ -4(SI)(CX*4), R10
	MOVQ ahead+40(FP), R12

ahead:
	MOVLQSX (R9), AX
	MOVQ    (DI)(AX*8), AX
	MOVQ    DX, R11

line:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	SUBQ       $64, R11
	JG         line
	ADDQ       $4, R9
	CMPQ       R9, R10
	CMOVQHI    R10, R9
	DECQ       R12
	JNZ        ahead

	// One more, and the first of those fetched.
	MOVL    $1, R12
	MOVLQSX (SI), R11
	MOVQ    (DI)(R11*8), AX
	MOVQ    R11, BX
	IMULQ   DX, BX
	ADDQ    R8, BX
	MOVQ    BX, (DI)(R11*8)
	MOVQ    DX, R11

copy:
	MOVOU 0(AX), X0
	MOVOU 16(AX), X1
	MOVOU X0, 0(BX)
	MOVOU X1, 16(BX)
	ADDQ  $32, AX
	ADDQ  $32, BX
	SUBQ  $32, R11
	JNZ   copy

	ADDQ $4, SI
	DECQ CX
	JNZ  ahead
	RET
