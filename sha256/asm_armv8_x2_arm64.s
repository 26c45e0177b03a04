//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "armv8_arm64.h"

// Bytes of K + W of a pair of both lanes, on the stack.
#define KWBLOCK 512

// BOTH is two lanes, A and B. Their states are in V0, V1 and in V2, V3, their message
// words in V16, V17, V20, V21 and in V18, V19, V22, V23, so that a parent's 64 bytes
// fill four registers in a row.

#define EXTENDA0 EXTEND(V16, V17, V20, V21)
#define EXTENDA1 EXTEND(V17, V20, V21, V16)
#define EXTENDA2 EXTEND(V20, V21, V16, V17)
#define EXTENDA3 EXTEND(V21, V16, V17, V20)
#define EXTENDB0 EXTEND(V18, V19, V22, V23)
#define EXTENDB1 EXTEND(V19, V22, V23, V18)
#define EXTENDB2 EXTEND(V22, V23, V18, V19)
#define EXTENDB3 EXTEND(V23, V18, V19, V22)

// Loads the labels of both lanes at p as message words.
#define BOTHWORDS(p, m0, m1, m2, m3) \
	VLD1 (p), [m0.B16, m1.B16, m2.B16, m3.B16] \
	BSWAP(m0, m1)                              \
	BSWAP(m2, m3)

// K + W of the words a, b to V10, V11 and p; R11, at the constants, and p move on.
#define BOTHADDK(a, b, p) \
	VLD1.P 16(R11), [V14.S4]       \
	VADD   V14.S4, a.S4, V10.S4    \
	VADD   V14.S4, b.S4, V11.S4    \
	VST1.P [V10.S4, V11.S4], 32(p)

// Four rounds, whose K + W is kept at R9, and the schedules' next words.
#define BOTHKEEP(a, b) \
	BOTHADDK(a, b, R9)      \
	ROUNDS(V10, V0, V1, V8) \
	ROUNDS(V11, V2, V3, V9)

#define SIXTEENKEEP \
	BOTHKEEP(V16, V18) \
	EXTENDA0           \
	EXTENDB0           \
	BOTHKEEP(V17, V19) \
	EXTENDA1           \
	EXTENDB1           \
	BOTHKEEP(V20, V22) \
	EXTENDA2           \
	EXTENDB2           \
	BOTHKEEP(V21, V23) \
	EXTENDA3           \
	EXTENDB3

// Keeps the states before a block in V4 to V7, and adds them after the block.
#define BOTHSAVE \
	VMOV V0.B16, V4.B16 \
	VMOV V1.B16, V5.B16 \
	VMOV V2.B16, V6.B16 \
	VMOV V3.B16, V7.B16

#define BOTHADDSAVED \
	VADD V4.S4, V0.S4, V0.S4 \
	VADD V5.S4, V1.S4, V1.S4 \
	VADD V6.S4, V2.S4, V2.S4 \
	VADD V7.S4, V3.S4, V3.S4

// Eight rounds with K + W from R9, which moves on, and something beside them: like
// labelARMV8's KEPT, and so is BOTHBLOCK like its BLOCK.
#define BOTHKEPT(beside) \
	VLD1.P 64(R9), [V10.S4, V11.S4, V12.S4, V13.S4] \
	ROUNDS(V10, V0, V1, V8)                         \
	ROUNDS(V11, V2, V3, V9)                         \
	ROUNDS(V12, V0, V1, V8)                         \
	ROUNDS(V13, V2, V3, V9)                         \
	beside

#define BOTHBLOCK(b0, b1, b2, b3, b4, b5, b6, b7) \
	PREFETCH     \
	BOTHSAVE     \
	BOTHKEPT(b0) \
	BOTHKEPT(b1) \
	BOTHKEPT(b2) \
	BOTHKEPT(b3) \
	BOTHKEPT(b4) \
	BOTHKEPT(b5) \
	BOTHKEPT(b6) \
	BOTHKEPT(b7) \
	BOTHADDSAVED \
	TURNAROUND

// What may stand beside: four rounds of block 1 of the next node's message, whose
// states are in V24 to V27, of one lane and, with the same constants, of the other;
// K + W of a block to come, of both lanes, kept at R16, and a schedule's next words.
#define NEXTA(a) \
	VLD1.P 16(R11), [V14.S4]              \
	ROUNDSONCE(V14, a, V10, V24, V25, V8)

#define NEXTB(b) \
	ROUNDSONCE(V14, b, V11, V26, V27, V9)

#define COMING0 \
	BOTHADDK(V16, V18, R16) \
	EXTENDA0

#define COMING1 \
	BOTHADDK(V17, V19, R16) \
	EXTENDA1

#define COMING2 \
	BOTHADDK(V20, V22, R16) \
	EXTENDA2

#define COMING3 \
	BOTHADDK(V21, V23, R16) \
	EXTENDA3

// Block 1 of both lanes' message as words, and the state before it.
#define BOTHPREFIX \
	BOTHWORDS(R15, V16, V17, V18, V19) \
	VMOV R20, V20.D[0]                 \
	VMOV R7, V20.D[1]                  \
	VEOR V21.B16, V21.B16, V21.B16     \
	VMOV V20.B16, V22.B16              \
	VMOV V21.B16, V23.B16              \
	VLD1 (R19), [V24.S4, V25.S4]       \
	VLD1 (R19), [V26.S4, V27.S4]       \
	MOVD $·k(SB), R11

#define BOTHADDINITIAL \
	VLD1 (R19), [V10.S4, V11.S4] \
	VADD V10.S4, V24.S4, V24.S4  \
	VADD V11.S4, V25.S4, V25.S4  \
	VADD V10.S4, V26.S4, V26.S4  \
	VADD V11.S4, V27.S4, V27.S4

// func labelARMV8x2(r *labelSpan)
// Requires: ASIMD, SHA2
//
// The message is that of labelARMV8. A repeated block is bound by latency: four
// rounds take five cycles, in which the SHA unit starts four instructions. Where a
// schedule is made, the unit itself is the bound: there are eight, as most cores
// make schedules in the same unit. So what can wait for an idle unit goes beside
// the repeated blocks, where it fills each fifth cycle: block 1 of the next node,
// an eighth of it beside each of the first eight, and the schedule of the last
// block beside the next three, after which that is a repeated block, too.
//
//	R3  the node's row               R4  nodes to go
//	R5  where its labels go          R6  bytes to the row to prefetch
//	R7  node                         R20 layer
//	R8  K + W of the pairs           R10 its end, and K + W of the last block
//	R9  K + W of the current pair    R16 K + W of a block to come
//	R11 round constants              R12 a pair of a row, R17 the last one
//	R13, R14 addresses               R15 replica ids
//	R19 state before block 1         R21 offset of the slot in the last block
//	R22 turns of a loop to go        R23 the labels in V16 to V19, if any
//	V0–V3    states ABCD, EFGH       V4–V7   states before the block
//	V8, V9   copies of V0, V2        V10–V13 K + W
//	V14      round constants         V15     mask of a digest's e f g h
//	V16–V23  message words           V24–V27 next node's states
TEXT ·labelARMV8x2(SB), 0, $4160-8
	MOVD r+0(FP), R0
	MOVD labelSpan_dst(R0), R5
	MOVD labelSpan_parents(R0), R3
	MOVD labelSpan_count(R0), R4
	MOVD labelSpan_ahead(R0), R6
	MOVD labelSpan_node(R0), R7
	MOVD labelSpan_layer(R0), R20
	MOVD labelSpan_expander(R0), R13
	MOVD labelSpan_replicas(R0), R15
	MOVD $·initial(SB), R19
	MOVD $0, R23
	LOADFIELD(V15)

	ADD  $(8+63), RSP, R8                // above the saved LR, K + W in whole
	AND  $~63, R8, R8                    // cache lines
	ADD  $(7*KWBLOCK), R8, R10
	MOVD $(8*8), R21
	CBNZ R13, start
	ADD  $(3*KWBLOCK), R8, R10           // layer 1
	MOVD $0, R21

start:
	// Block 1 of the first node has no chain to hide behind.
	BOTHPREFIX
	MOVD $4, R22

prefix:
	NEXTA(V16)
	NEXTB(V18)
	EXTENDA0
	EXTENDB0
	NEXTA(V17)
	NEXTB(V19)
	EXTENDA1
	EXTENDB1
	NEXTA(V20)
	NEXTB(V22)
	EXTENDA2
	EXTENDB2
	NEXTA(V21)
	NEXTB(V23)
	EXTENDA3
	EXTENDB3
	SUBS $1, R22
	BNE  prefix
	BOTHADDINITIAL

node:
	VMOV V24.B16, V0.B16
	VMOV V25.B16, V1.B16
	VMOV V26.B16, V2.B16
	VMOV V27.B16, V3.B16
	MOVD R8, R9
	MOVD R3, R12
	LDP  (R12), (R13, R14)
	CMP  R23, R13
	BEQ  second

first:
	LDP  (R12), (R13, R14)
	BOTHWORDS(R13, V16, V17, V18, V19)

second:
	BOTHWORDS(R14, V20, V21, V22, V23)
	MOVD $·k(SB), R11
	BOTHSAVE
	SIXTEENKEEP
	SIXTEENKEEP
	SIXTEENKEEP
	BOTHKEEP(V16, V18)
	BOTHKEEP(V17, V19)
	BOTHKEEP(V20, V22)
	BOTHKEEP(V21, V23)
	BOTHADDSAVED
	ADD  $16, R12
	CMP  R10, R9
	BLO  first

	// Eight repeated blocks, and block 1 of the next node.
	SUB  $16, R12, R17
	ADD  R6, R17, R17
	ADD  R6, R3, R12
	MOVD R8, R9
	ADD  $1, R7
	BOTHPREFIX
	MOVD $4, R22

next:
	BOTHBLOCK(NEXTA(V16), NEXTB(V18), EXTENDA0, EXTENDB0, NEXTA(V17), NEXTB(V19), EXTENDA1, EXTENDB1)
	BOTHBLOCK(NEXTA(V20), NEXTB(V22), EXTENDA2, EXTENDB2, NEXTA(V21), NEXTB(V23), EXTENDA3, EXTENDB3)
	SUBS $1, R22
	BNE  next
	BOTHADDINITIAL

	// Three, and the schedule of the last block: slot 8 or, in layer 1, slot 0, and
	// the padding: a set bit, zeros, and the message's 1248 bytes counted in bits.
	MOVD  (R3)(R21), R13
	BOTHWORDS(R13, V16, V17, V18, V19)
	VMOVQ $0x0000000080000000, $0, V20
	VMOVQ $0, $0x0000270000000000, V21
	VMOV  V20.B16, V22.B16
	VMOV  V21.B16, V23.B16
	MOVD  $·k(SB), R11
	MOVD  R10, R16
	MOVD  $3, R22

coming:
	BOTHBLOCK(COMING0, EXTENDB0, COMING1, EXTENDB1, COMING2, EXTENDB2, COMING3, EXTENDB3)
	SUBS $1, R22
	BNE  coming
	BOTHADDK(V16, V18, R16)
	BOTHADDK(V17, V19, R16)
	BOTHADDK(V20, V22, R16)
	BOTHADDK(V21, V23, R16)

	// The others, 18 less the pairs less eleven, and the last block.
	SUB  R8, R10, R22
	LSR  $9, R22, R22
	MOVD $8, R13
	SUB  R22, R13, R22

others:
	CMP  $1, R22
	CSEL EQ, R10, R9, R9
	BOTHBLOCK(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
	SUBS $1, R22
	BNE  others

	// The labels' words stay in V16 to V19.
	VAND   V15.B16, V1.B16, V1.B16
	VAND   V15.B16, V3.B16, V3.B16
	VMOV   V0.B16, V16.B16
	VMOV   V1.B16, V17.B16
	VMOV   V2.B16, V18.B16
	VMOV   V3.B16, V19.B16
	BSWAP(V0, V1)
	BSWAP(V2, V3)
	MOVD   R5, R23
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R5)
	ADD    $const_rowBytes, R3
	SUBS   $1, R4
	BNE    node
	RET
