//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// SHA-256 with the ARMv8 cryptographic extension.
//
// SHA256H and SHA256H2 do four rounds: the first makes the new ABCD, the second
// the new EFGH, and both need the old values of both, hence a copy. One unit does
// them, and on most cores starts one a cycle and takes four: four rounds take five
// cycles, a block 80. The code keeps everything else off the way from one pair to
// the next.

// Four rounds whose K + W is in wk.
#define ROUNDS(wk, ABCD, EFGH, copy) \
	VMOV     ABCD.B16, copy.B16 \
	SHA256H  wk.S4, EFGH, ABCD  \
	SHA256H2 wk.S4, copy, EFGH

// Four rounds with the constants in k and the message words in m.
#define ROUNDSONCE(k, m, wk, ABCD, EFGH, copy) \
	VADD k.S4, m.S4, wk.S4       \
	ROUNDS(wk, ABCD, EFGH, copy)

// The same, and K + W is kept at R9, for the next time that the block comes around.
#define ROUNDSKEEP(k, m, ABCD, EFGH) \
	VADD   k.S4, m.S4, V7.S4   \
	VST1.P [V7.S4], 16(R9)     \
	ROUNDS(V7, ABCD, EFGH, V2)

// The message schedule: m0 to m3 are 16 words, oldest first, and m0 becomes the
// four words after them.
#define EXTEND(m0, m1, m2, m3) \
	SHA256SU0 m1.S4, m0.S4        \
	SHA256SU1 m3.S4, m2.S4, m0.S4

// The same for words in V3 to V6, of which V3, V4, V5 or V6 has the oldest.
#define EXTEND0 EXTEND(V3, V4, V5, V6)
#define EXTEND1 EXTEND(V4, V5, V6, V3)
#define EXTEND2 EXTEND(V5, V6, V3, V4)
#define EXTEND3 EXTEND(V6, V3, V4, V5)

// A block whose message words are in V3 to V6; they are lost. The schedule is
// made along the way and K + W kept at R9, which moves on by 256.
#define BLOCKKEEP(ABCD, EFGH) \
	ROUNDSKEEP(V16, V3, ABCD, EFGH) \
	EXTEND0                         \
	ROUNDSKEEP(V17, V4, ABCD, EFGH) \
	EXTEND1                         \
	ROUNDSKEEP(V18, V5, ABCD, EFGH) \
	EXTEND2                         \
	ROUNDSKEEP(V19, V6, ABCD, EFGH) \
	EXTEND3                         \
	ROUNDSKEEP(V20, V3, ABCD, EFGH) \
	EXTEND0                         \
	ROUNDSKEEP(V21, V4, ABCD, EFGH) \
	EXTEND1                         \
	ROUNDSKEEP(V22, V5, ABCD, EFGH) \
	EXTEND2                         \
	ROUNDSKEEP(V23, V6, ABCD, EFGH) \
	EXTEND3                         \
	ROUNDSKEEP(V24, V3, ABCD, EFGH) \
	EXTEND0                         \
	ROUNDSKEEP(V25, V4, ABCD, EFGH) \
	EXTEND1                         \
	ROUNDSKEEP(V26, V5, ABCD, EFGH) \
	EXTEND2                         \
	ROUNDSKEEP(V27, V6, ABCD, EFGH) \
	EXTEND3                         \
	ROUNDSKEEP(V28, V3, ABCD, EFGH) \
	ROUNDSKEEP(V29, V4, ABCD, EFGH) \
	ROUNDSKEEP(V30, V5, ABCD, EFGH) \
	ROUNDSKEEP(V31, V6, ABCD, EFGH)

// Eight rounds with K + W from R9, which moves on, and something beside them.
#define KEPT(beside) \
	VLD1.P 32(R9), [V14.S4, V15.S4] \
	ROUNDS(V14, V0, V1, V2)         \
	ROUNDS(V15, V0, V1, V2)         \
	beside

// A block with K + W from R9, which after the last pair goes back to the first.
#define BLOCK(b0, b1, b2, b3, b4, b5, b6, b7) \
	PREFETCH   \
	SAVE       \
	KEPT(b0)   \
	KEPT(b1)   \
	KEPT(b2)   \
	KEPT(b3)   \
	KEPT(b4)   \
	KEPT(b5)   \
	KEPT(b6)   \
	KEPT(b7)   \
	ADDSAVED   \
	TURNAROUND

// What may stand beside: nothing, or four rounds of block 1 of the next node's
// message, with the constants at R11, which moves on.
#define NOTHING

#define NEXT(m) \
	VLD1.P 16(R11), [V12.S4]             \
	ROUNDSONCE(V12, m, V7, V10, V11, V2)

// Prefetches the labels of the pair of parents at R12, which moves on as far as
// the last pair, at R17.
#define PREFETCH \
	LDP  (R12), (R13, R14) \
	PRFM (R13), PLDL1KEEP  \
	PRFM (R14), PLDL1KEEP  \
	ADD  $16, R12          \
	CMP  R17, R12          \
	CSEL HI, R17, R12, R12

#define TURNAROUND \
	CMP  R10, R9        \
	CSEL EQ, R8, R9, R9

// Block 1 of a label's message, as words V3 to V6.
#define PREFIX \
	VLD1 (R15), [V3.B16, V4.B16] \
	BSWAP(V3, V4)                \
	VMOV R20, V5.D[0]            \
	VMOV R7, V5.D[1]             \
	VEOR V6.B16, V6.B16, V6.B16

// Adds the state before block 1 to V10 and V11; V3 and V4 are lost.
#define ADDINITIAL \
	VLD1 (R19), [V3.S4, V4.S4] \
	VADD V3.S4, V10.S4, V10.S4 \
	VADD V4.S4, V11.S4, V11.S4

// Keeps the state before a block in V8 and V9, and adds it after the block.
#define SAVE \
	VMOV V0.B16, V8.B16 \
	VMOV V1.B16, V9.B16

#define ADDSAVED \
	VADD V8.S4, V0.S4, V0.S4 \
	VADD V9.S4, V1.S4, V1.S4

// Turns the bytes of the words in two registers around.
#define BSWAP(m0, m1) \
	VREV32 m0.B16, m0.B16 \
	VREV32 m1.B16, m1.B16

// Loads the round constants; p is lost.
#define LOADCONSTANTS(p) \
	MOVD   $·k(SB), p                              \
	VLD1.P 64(p), [V16.S4, V17.S4, V18.S4, V19.S4] \
	VLD1.P 64(p), [V20.S4, V21.S4, V22.S4, V23.S4] \
	VLD1.P 64(p), [V24.S4, V25.S4, V26.S4, V27.S4] \
	VLD1.P 64(p), [V28.S4, V29.S4, V30.S4, V31.S4]

// The mask that clears the two high bits of a digest's last byte, in its words
// e f g h.
#define LOADFIELD(m) \
	VMOVQ $0xffffffffffffffff, $0xffffff3fffffffff, m

// func labelARMV8(r *labelRun)
// Requires: ASIMD, SHA2
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W on the stack, the others load it. Block 1 of the next node depends on no
// label: a fourth of it goes beside each of the first four repeated blocks, and
// finds the SHA unit idle. Where the first parent is the node just labelled, its
// words are still in registers.
//
// The labels of nodes further on are prefetched in the repeated blocks. They have
// the fewest instructions, so that most of the chain fits into the reorder buffer
// behind a prefetch that waits for its address to be translated.
//
//	R3  the node's row               R4  nodes to go
//	R5  where its label goes         R6  bytes to the row to prefetch
//	R7  node                         R20 layer
//	R8  K + W of the pairs           R10 its end
//	R9  K + W of the current pair    R12 a pair of a row, R17 the last one
//	R11 round constants              R13, R14 addresses
//	R15 replica id                   R19 state before block 1
//	R21 offset of the slot in the last block
//	R22 turns of a loop to go        R23 the label in V3, V4, if any
//	V0, V1   state ABCD, EFGH        V2       copy of V0 or V10
//	V3–V6    message words           V7       K + W of four rounds
//	V8, V9   state before the block  V10, V11 next node's state
//	V12      round constants         V13      mask of a digest's e f g h
//	V14, V15 K + W of eight rounds   V16–V31  round constants
TEXT ·labelARMV8(SB), 0, $1856-8
	MOVD r+0(FP), R0
	MOVD labelRun_dst(R0), R5
	MOVD labelRun_parents(R0), R3
	MOVD labelRun_count(R0), R4
	MOVD labelRun_ahead(R0), R6
	MOVD labelRun_node(R0), R7
	MOVD labelRun_layer(R0), R20
	MOVD labelRun_expander(R0), R13
	MOVD labelRun_replicas(R0), R15
	MOVD $·initial(SB), R19
	MOVD $0, R23
	LOADCONSTANTS(R14)
	LOADFIELD(V13)

	ADD  $(8+63), RSP, R8                // above the saved LR, K + W in whole
	AND  $~63, R8, R8                    // cache lines
	ADD  $(7*256), R8, R10
	MOVD $(8*8), R21
	CBNZ R13, start
	ADD  $(3*256), R8, R10               // layer 1
	MOVD $0, R21

start:
	// Block 1 of the first node has no chain to hide behind.
	VLD1 (R19), [V10.S4, V11.S4]
	MOVD R8, R9
	PREFIX
	BLOCKKEEP(V10, V11)
	ADDINITIAL

node:
	VMOV V10.B16, V0.B16
	VMOV V11.B16, V1.B16
	MOVD R8, R9
	MOVD R3, R12
	LDP  (R12), (R13, R14)
	CMP  R23, R13
	BEQ  second

first:
	LDP  (R12), (R13, R14)
	VLD1 (R13), [V3.B16, V4.B16]
	BSWAP(V3, V4)

second:
	VLD1 (R14), [V5.B16, V6.B16]
	BSWAP(V5, V6)
	SAVE
	BLOCKKEEP(V0, V1)
	ADDSAVED
	ADD  $16, R12
	CMP  R10, R9
	BLO  first

	// Four repeated blocks, and block 1 of the next node.
	SUB  $16, R12, R17
	ADD  R6, R17, R17
	ADD  R6, R3, R12
	MOVD R8, R9
	ADD  $1, R7
	PREFIX
	VLD1 (R19), [V10.S4, V11.S4]
	MOVD $·k(SB), R11
	MOVD $4, R22

next:
	BLOCK(NEXT(V3), EXTEND0, NEXT(V4), EXTEND1, NEXT(V5), EXTEND2, NEXT(V6), EXTEND3)
	SUBS $1, R22
	BNE  next
	ADDINITIAL

	// The others: 18 less the pairs less four.
	SUB  R8, R10, R22
	LSR  $8, R22, R22
	MOVD $14, R13
	SUB  R22, R13, R22

others:
	BLOCK(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
	SUBS $1, R22
	BNE  others

	// The last block: slot 8 or, in layer 1, slot 0, and the padding: a set
	// bit, zeros, and the message's 1248 bytes counted in bits.
	MOVD  (R3)(R21), R13
	VLD1  (R13), [V3.B16, V4.B16]
	BSWAP(V3, V4)
	VMOVQ $0x0000000080000000, $0, V5
	VMOVQ $0, $0x0000270000000000, V6
	MOVD  R8, R9
	SAVE
	BLOCKKEEP(V0, V1)
	ADDSAVED

	// The label's words stay in V3 and V4.
	VAND   V13.B16, V1.B16, V1.B16
	VMOV   V0.B16, V3.B16
	VMOV   V1.B16, V4.B16
	BSWAP(V0, V1)
	MOVD   R5, R23
	VST1.P [V0.B16, V1.B16], 32(R5)
	ADD    $112, R3
	SUBS   $1, R4
	BNE    node
	RET

// From here to labelARMV8x2, BOTH is two lanes, A and B. Their states are in V0, V1
// and in V2, V3, their message words in V16, V17, V20, V21 and in V18, V19, V22,
// V23, so that a parent's 64 bytes fill four registers in a row.

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
// KEPT, and so is BOTHBLOCK like BLOCK.
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

// func labelARMV8x2(r *labelRun)
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
	MOVD labelRun_dst(R0), R5
	MOVD labelRun_parents(R0), R3
	MOVD labelRun_count(R0), R4
	MOVD labelRun_ahead(R0), R6
	MOVD labelRun_node(R0), R7
	MOVD labelRun_layer(R0), R20
	MOVD labelRun_expander(R0), R13
	MOVD labelRun_replicas(R0), R15
	MOVD $·initial(SB), R19
	MOVD $0, R23
	LOADFIELD(V15)

	ADD  $(8+63), RSP, R8                // above the saved LR, K + W in whole
	AND  $~63, R8, R8                    // cache lines
	ADD  $(7*512), R8, R10
	MOVD $(8*8), R21
	CBNZ R13, start
	ADD  $(3*512), R8, R10               // layer 1
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
	ADD    $112, R3
	SUBS   $1, R4
	BNE    node
	RET

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
