//go:build !purego

#include "textflag.h"

// As in asm_amd64.s: loops of one kind of instruction, or of a mix. In a chain, each
// instruction waits for the one before, in the others none waits long.

// Four rounds, as every kernel has to do them: SHA256H and SHA256H2 both need the old
// values of both registers, hence a copy.
#define FOUR(ABCD, EFGH, copy) \
	VMOV     ABCD.B16, copy.B16 \
	SHA256H  V31.S4, EFGH, ABCD \
	SHA256H2 V31.S4, copy, EFGH

// To one register, over and over, and to 16 that are independent.
#define CHAIN(OP) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0) \
	OP(V0)

#define EACH(OP) \
	OP(V0) \
	OP(V1) \
	OP(V2) \
	OP(V3) \
	OP(V4) \
	OP(V5) \
	OP(V6) \
	OP(V7) \
	OP(V8) \
	OP(V9) \
	OP(V10) \
	OP(V11) \
	OP(V12) \
	OP(V13) \
	OP(V14) \
	OP(V15)

// Instructions as those want them.
#define H(to) SHA256H V31.S4, V30, to
#define H2(to) SHA256H2 V31.S4, V30, to
#define SU0(to) SHA256SU0 V31.S4, to.S4
#define SU1(to) SHA256SU1 V30.S4, V31.S4, to.S4
#define ADDV(to) VADD V31.S4, to.S4, to.S4

// func adds(n uint64)
//
// Additions of integers, in eight chains.
TEXT ·adds(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	ADD  $1, R1, R1
	ADD  $1, R2, R2
	ADD  $1, R3, R3
	ADD  $1, R4, R4
	ADD  $1, R5, R5
	ADD  $1, R6, R6
	ADD  $1, R7, R7
	ADD  $1, R8, R8
	ADD  $1, R1, R1
	ADD  $1, R2, R2
	ADD  $1, R3, R3
	ADD  $1, R4, R4
	ADD  $1, R5, R5
	ADD  $1, R6, R6
	ADD  $1, R7, R7
	ADD  $1, R8, R8
	SUBS $1, R0
	BNE  turn
	RET

// Four rounds of each of several chains.
#define FOURX1 \
	FOUR(V0, V1, V8)

#define FOURX2 \
	FOUR(V0, V1, V8) \
	FOUR(V2, V3, V9)

#define FOURX3 \
	FOUR(V0, V1, V8) \
	FOUR(V2, V3, V9) \
	FOUR(V4, V5, V10)

#define FOURX4 \
	FOUR(V0, V1, V8) \
	FOUR(V2, V3, V9) \
	FOUR(V4, V5, V10) \
	FOUR(V6, V7, V11)

// func foursx1(n uint64)
// Requires: ASIMD, SHA2
TEXT ·foursx1(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	FOURX1
	FOURX1
	FOURX1
	FOURX1
	SUBS $1, R0
	BNE  turn
	RET

// func foursx2(n uint64)
// Requires: ASIMD, SHA2
TEXT ·foursx2(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	FOURX2
	FOURX2
	FOURX2
	FOURX2
	SUBS $1, R0
	BNE  turn
	RET

// func foursx3(n uint64)
// Requires: ASIMD, SHA2
TEXT ·foursx3(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	FOURX3
	FOURX3
	SUBS $1, R0
	BNE  turn
	RET

// func foursx4(n uint64)
// Requires: ASIMD, SHA2
TEXT ·foursx4(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	FOURX4
	FOURX4
	SUBS $1, R0
	BNE  turn
	RET

// func foursAndSchedules(n uint64)
// Requires: ASIMD, SHA2
//
// Four chains, and as many SHA256SU0 and SHA256SU1 as all schedules take: 12 of each
// for 64 rounds.
TEXT ·foursAndSchedules(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	FOUR(V0, V1, V8)
	SU0(V16)
	SU1(V20)
	FOUR(V2, V3, V9)
	SU0(V17)
	SU1(V21)
	FOUR(V4, V5, V10)
	SU0(V18)
	SU1(V22)
	FOUR(V6, V7, V11)
	FOUR(V0, V1, V8)
	SU0(V16)
	SU1(V20)
	FOUR(V2, V3, V9)
	SU0(V17)
	SU1(V21)
	FOUR(V4, V5, V10)
	SU0(V18)
	SU1(V22)
	FOUR(V6, V7, V11)
	SUBS $1, R0
	BNE  turn
	RET

// func hChain(n uint64)
// Requires: SHA2
TEXT ·hChain(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	CHAIN(H)
	SUBS $1, R0
	BNE  turn
	RET

// func hs(n uint64)
// Requires: SHA2
TEXT ·hs(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	EACH(H)
	SUBS $1, R0
	BNE  turn
	RET

// func h2Chain(n uint64)
// Requires: SHA2
TEXT ·h2Chain(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	CHAIN(H2)
	SUBS $1, R0
	BNE  turn
	RET

// func h2s(n uint64)
// Requires: SHA2
TEXT ·h2s(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	EACH(H2)
	SUBS $1, R0
	BNE  turn
	RET

// func su0Chain(n uint64)
// Requires: SHA2
TEXT ·su0Chain(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	CHAIN(SU0)
	SUBS $1, R0
	BNE  turn
	RET

// func su0s(n uint64)
// Requires: SHA2
TEXT ·su0s(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	EACH(SU0)
	SUBS $1, R0
	BNE  turn
	RET

// func su1Chain(n uint64)
// Requires: SHA2
TEXT ·su1Chain(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	CHAIN(SU1)
	SUBS $1, R0
	BNE  turn
	RET

// func su1s(n uint64)
// Requires: SHA2
TEXT ·su1s(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	EACH(SU1)
	SUBS $1, R0
	BNE  turn
	RET

// func addChain(n uint64)
// Requires: ASIMD
TEXT ·addChain(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0

turn:
	CHAIN(ADDV)
	SUBS $1, R0
	BNE  turn
	RET
