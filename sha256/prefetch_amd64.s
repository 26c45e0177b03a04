//go:build !purego

#include "textflag.h"

// func prefetchRows(addrs *uintptr, which *int32, n, lines int)
//
//	DI addresses   SI which of them, CX how many are left
//	DX lines each  R8 lines of the current one left
//	AX an address
TEXT ·prefetchRows(SB), NOSPLIT, $0-32
	MOVQ addrs+0(FP), DI
	MOVQ which+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ lines+24(FP), DX

next:
	MOVLQSX (SI), AX
	MOVQ    (DI)(AX*8), AX
	MOVQ    DX, R8

line:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	DECQ       R8
	JNZ        line

	ADDQ $4, SI
	DECQ CX
	JNZ  next
	RET
