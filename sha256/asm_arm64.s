//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "armv8_arm64.h"

// Bytes of a pair's K + W, on the stack.
#define KWBLOCK 256

// ROUNDSONCE, and K + W is kept at R9, for the next time that the block comes around.
#define ROUNDSKEEP(k, m, ABCD, EFGH) \
	VADD   k.S4, m.S4, V7.S4   \
	VST1.P [V7.S4], 16(R9)     \
	ROUNDS(V7, ABCD, EFGH, V2)

// EXTEND for words in V3 to V6, of which V3, V4, V5 or V6 has the oldest.
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
#define NEXT(m) \
	VLD1.P 16(R11), [V12.S4]             \
	ROUNDSONCE(V12, m, V7, V10, V11, V2)

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

// func labelARMV8(r *labelSpan)
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
	LOADCONSTANTS(R14)
	LOADFIELD(V13)

	ADD  $(8+63), RSP, R8                // above the saved LR, K + W in whole
	AND  $~63, R8, R8                    // cache lines
	ADD  $(7*KWBLOCK), R8, R10
	MOVD $(8*8), R21
	CBNZ R13, start
	ADD  $(3*KWBLOCK), R8, R10           // layer 1
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
	ADD    $const_rowBytes, R3
	SUBS   $1, R4
	BNE    node
	RET
