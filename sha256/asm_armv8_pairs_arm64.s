//go:build !purego

#include "textflag.h"
#include "armv8_arm64.h"

// Four rounds of two messages.
#define BOTH(k, a, b) \
	ROUNDSONCE(k, a, V7, V0, V1, V2)   \
	ROUNDSONCE(k, b, V15, V8, V9, V10)

// The same, and the schedules' next words.
#define BOTHEXTEND(k, a0, a1, a2, a3, b0, b1, b2, b3) \
	BOTH(k, a0, b0)        \
	EXTEND(a0, a1, a2, a3) \
	EXTEND(b0, b1, b2, b3)

// Four rounds of the padding block for two messages; R7 moves on.
#define BOTHPADDING \
	VLD1.P 16(R7), [V7.S4]  \
	ROUNDS(V7, V0, V1, V2)  \
	ROUNDS(V7, V8, V9, V10)

// func pairsARMV8(dst, src *byte, n int)
// Requires: ASIMD, SHA2
//
// Two messages of 64 bytes side by side keep the SHA unit busy. Where n is odd,
// the last one is hashed twice.
//
//	R0  dst                   R1  src            R2  messages to go
//	R3  second destination    R4  second source
//	R5  K + W of the padding block, R7 of its current rounds
//	R6  initial state
//	V0, V1 state ABCD, EFGH   V2  copy of V0     V3–V6   message words  V7  K + W
//	V8, V9 second state       V10 copy of V8     V11–V14 message words  V15 K + W
//	V16–V31 round constants
TEXT ·pairsARMV8(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	MOVD $·padding(SB), R5
	MOVD $·initial(SB), R6
	LOADCONSTANTS(R7)

two:
	ADD  $64, R1, R4
	ADD  $32, R0, R3
	CMP  $1, R2
	CSEL EQ, R1, R4, R4
	CSEL EQ, R0, R3, R3

	VLD1 (R1), [V3.B16, V4.B16, V5.B16, V6.B16]
	VLD1 (R4), [V11.B16, V12.B16, V13.B16, V14.B16]
	BSWAP(V3, V4)
	BSWAP(V5, V6)
	BSWAP(V11, V12)
	BSWAP(V13, V14)
	VLD1 (R6), [V0.S4, V1.S4]
	VLD1 (R6), [V8.S4, V9.S4]

	BOTHEXTEND(V16, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V17, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V18, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V19, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTHEXTEND(V20, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V21, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V22, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V23, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTHEXTEND(V24, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V25, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V26, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V27, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTH(V28, V3, V11)
	BOTH(V29, V4, V12)
	BOTH(V30, V5, V13)
	BOTH(V31, V6, V14)

	// The state before the padding block is kept in V3, V4 and V11, V12.
	VLD1 (R6), [V5.S4, V6.S4]
	VADD V5.S4, V0.S4, V0.S4
	VADD V6.S4, V1.S4, V1.S4
	VADD V5.S4, V8.S4, V8.S4
	VADD V6.S4, V9.S4, V9.S4
	VMOV V0.B16, V3.B16
	VMOV V1.B16, V4.B16
	VMOV V8.B16, V11.B16
	VMOV V9.B16, V12.B16
	MOVD R5, R7
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	VADD V3.S4, V0.S4, V0.S4
	VADD V4.S4, V1.S4, V1.S4
	VADD V11.S4, V8.S4, V8.S4
	VADD V12.S4, V9.S4, V9.S4

	LOADFIELD(V7)
	VAND V7.B16, V1.B16, V1.B16
	VAND V7.B16, V9.B16, V9.B16
	BSWAP(V0, V1)
	BSWAP(V8, V9)
	VST1 [V0.B16, V1.B16], (R0)
	VST1 [V8.B16, V9.B16], (R3)

	ADD  $128, R1
	ADD  $64, R0
	SUBS $2, R2
	BGT  two
	RET
