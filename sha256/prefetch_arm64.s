//go:build !purego

#include "textflag.h"

// func prefetchRows(addrs *uintptr, which *int32, n, lines int)
//
//	R0 addresses   R1 which of them, R2 how many are left
//	R3 lines each  R4 lines of the current one left
//	R5 an address
TEXT ·prefetchRows(SB), NOSPLIT, $0-32
	MOVD addrs+0(FP), R0
	MOVD which+8(FP), R1
	MOVD n+16(FP), R2
	MOVD lines+24(FP), R3

next:
	MOVW.P 4(R1), R5
	MOVD   (R0)(R5<<3), R5
	MOVD   R3, R4

line:
	PRFM (R5), PLDL1KEEP
	ADD  $64, R5
	SUBS $1, R4
	BNE  line

	SUBS $1, R2
	BNE  next
	RET
