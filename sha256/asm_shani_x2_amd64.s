//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "shani_amd64.h"
#include "pagewalk_amd64.h"

// What labelSHANIx2 keeps in memory, from R8 on: first what the lanes' blocks
// need, then K + W of the pairs of parents and of the next node's block 1, in which
// four words of lane 0 and four of lane 1 alternate.
#define SAVED   0   // states before the block
#define NEXT    64  // states of the next node after block 1
#define REPLICA 128 // replica ids as words
#define NUMBERS 192 // [layer, node high, low, 0], lane after lane
#define WALK    224 // whether pages are walked ahead
#define KW      256 // K + W,
#define KWBLOCK 512 // so much for each block

// For both lanes: four rounds, or the next words of the schedule.
#define ROUNDSBOTH(wk0, wk1) \
	ROUNDS(wk0, X1, X2) \
	ROUNDS(wk1, X3, X4)

#define STARTBOTH(a0, a1, b0, b1) \
	START(a0, a1) \
	START(b0, b1)

#define ENDBOTH(a0, a1, a2, b0, b1, b2) \
	END(a0, a1, a2, X13) \
	END(b0, b1, b2, X15)

#define EXTENDBOTH(a0, a1, a2, b0, b1, b2) \
	EXTEND(a0, a1, a2, X13) \
	EXTEND(b0, b1, b2, X15)

// BLOCK for both lanes: words are in X5 to X8 and X9 to X12.
#define BLOCKBOTH(STEP) \
	STEP(0, X5, X9)                       \
	STEP(1, X6, X10)                      \
	STARTBOTH(X5, X6, X9, X10)            \
	STEP(2, X7, X11)                      \
	STARTBOTH(X6, X7, X10, X11)           \
	STEP(3, X8, X12)                      \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(4, X5, X9)                       \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(5, X6, X10)                      \
	EXTENDBOTH(X5, X6, X7, X9, X10, X11)  \
	STEP(6, X7, X11)                      \
	EXTENDBOTH(X6, X7, X8, X10, X11, X12) \
	STEP(7, X8, X12)                      \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(8, X5, X9)                       \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(9, X6, X10)                      \
	EXTENDBOTH(X5, X6, X7, X9, X10, X11)  \
	STEP(10, X7, X11)                     \
	EXTENDBOTH(X6, X7, X8, X10, X11, X12) \
	STEP(11, X8, X12)                     \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(12, X5, X9)                      \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(13, X6, X10)                     \
	ENDBOTH(X5, X6, X7, X9, X10, X11)     \
	STEP(14, X7, X11)                     \
	ENDBOTH(X6, X7, X8, X10, X11, X12)    \
	STEP(15, X8, X12)

// Steps of the blocks: one of two parents, whose K + W is kept; the last block of
// a label, and block 1 of the first node, whose K + W is not; and the schedule of
// the next node's block 1 beside a repeated block.
#define PAIRBOTH(t, a, b) \
	ROUNDSKEEP(t, (32*t)(R9), a, X1, X2)    \
	ROUNDSKEEP(t, (32*t+16)(R9), b, X3, X4)

#define ONCEBOTH(t, a, b) \
	ROUNDSONCE(t, a, X1, X2) \
	ROUNDSONCE(t, b, X3, X4)

#define NEXTBOTH(t, a, b) \
	ROUNDSBOTH((KW+32*t)(R8), (KW+32*t+16)(R8)) \
	MOVO  a, X13                                \
	MOVO  b, X15                                \
	PADDL k256<>+(16*t)(SB), X13                \
	PADDL k256<>+(16*t)(SB), X15                \
	MOVOU X13, (32*t)(R15)                      \
	MOVOU X15, (32*t+16)(R15)

// A repeated block with K + W at R9.
#define REPEATBOTH \
	ROUNDSBOTH(0(R9), 16(R9))    \
	ROUNDSBOTH(32(R9), 48(R9))   \
	ROUNDSBOTH(64(R9), 80(R9))   \
	ROUNDSBOTH(96(R9), 112(R9))  \
	ROUNDSBOTH(128(R9), 144(R9)) \
	ROUNDSBOTH(160(R9), 176(R9)) \
	ROUNDSBOTH(192(R9), 208(R9)) \
	ROUNDSBOTH(224(R9), 240(R9)) \
	ROUNDSBOTH(256(R9), 272(R9)) \
	ROUNDSBOTH(288(R9), 304(R9)) \
	ROUNDSBOTH(320(R9), 336(R9)) \
	ROUNDSBOTH(352(R9), 368(R9)) \
	ROUNDSBOTH(384(R9), 400(R9)) \
	ROUNDSBOTH(416(R9), 432(R9)) \
	ROUNDSBOTH(448(R9), 464(R9)) \
	ROUNDSBOTH(480(R9), 496(R9))

// Saves both lanes' states, and adds what was saved.
#define SAVEBOTH \
	MOVOU X1, (SAVED+0)(R8)  \
	MOVOU X2, (SAVED+16)(R8) \
	MOVOU X3, (SAVED+32)(R8) \
	MOVOU X4, (SAVED+48)(R8)

#define ADDBOTH \
	PADDL (SAVED+0)(R8), X1  \
	PADDL (SAVED+16)(R8), X2 \
	PADDL (SAVED+32)(R8), X3 \
	PADDL (SAVED+48)(R8), X4

// Sets the words of both lanes' block 1.
#define NEXTWORDS \
	MOVOU (REPLICA+0)(R8), X5   \
	MOVOU (REPLICA+16)(R8), X6  \
	MOVOU (REPLICA+32)(R8), X9  \
	MOVOU (REPLICA+48)(R8), X10 \
	MOVOU (NUMBERS+0)(R8), X7   \
	MOVOU (NUMBERS+16)(R8), X11 \
	PXOR  X8, X8                \
	PXOR  X12, X12

// func labelSHANIx2(r *labelSpan)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Two chains of labels side by side, block by block as in labelSHANI. Each waits
// four cycles for each SHA256RNDS2. On Zen 5 the two then keep the SHA unit busy,
// and nothing but its idle cycles is left to be won; on Zen 3 half of it is free.
//
// So the next node's blocks 1 are spread: their schedules are made in the first
// repeated block, their rounds done at the ends of the four after that, eight and
// eight for each lane. There the unit waits for the sums of a block's end, and they
// take its idle cycles. Before the chains they would cost 64 cycles a label.
//
// The repeated blocks that are left prefetch, six labels at a time. Two chains
// fill the reorder buffer twice as fast as one, and it then waits for the slowest
// of the six addresses, not three times for one of two: 50 cycles a label in
// layers of 1 GiB on Zen 3, and 300 when its memory is busy. Where their pages have been
// walked there is nothing to wait for, and three at a time are better by 15 to 20.
//
// Registers hold both lanes' message words and states, so that what is needed once
// a block is in memory.
//
//	BX  the node's row               DX  where its labels go
//	R8  memory as above              R15 the end of the pairs' K + W: that of block 1
//	R9  K + W of the current pair    R10 K + W of block 1 to come
//	R11 the label in X5, X6 and X9, X10, if any
//	R12 a slot's address in the row  R13 addresses
//	CX  replica ids                  AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	R14 repeated blocks to go (Go's g, which its ABI restores)
//	X0  K + W of two rounds          X14 byte order
//	X1, X2   lane 0's state ABEF, CDGH   X5–X8  its message words   X13 temporary
//	X3, X4   lane 1's state              X9–X12 its message words   X15 temporary
//	X5–X8    states in the next node's block 1, in the repeated blocks
TEXT ·labelSHANIx2(SB), 0, $4416-8
	MOVQ  r+0(FP), AX
	MOVQ  labelSpan_dst(AX), DX
	MOVQ  labelSpan_parents(AX), BX
	MOVQ  labelSpan_count(AX), DI
	MOVOU bswap<>(SB), X14
	LEAQ  63(SP), R8                     // whole cache lines
	ANDQ  $~63, R8

	MOVQ  labelSpan_replicas(AX), CX
	LOADWORDS(CX, X5, X6, X14)
	MOVOU X5, (REPLICA+0)(R8)
	MOVOU X6, (REPLICA+16)(R8)
	ADDQ  $32, CX
	LOADWORDS(CX, X5, X6, X14)
	MOVOU X5, (REPLICA+32)(R8)
	MOVOU X6, (REPLICA+48)(R8)
	MOVQ  labelSpan_node(AX), X0
	MOVQ  labelSpan_layer(AX), X7
	PUNPCKLQDQ X0, X7                    // a node's high word is always 0
	MOVQ  labelSpan_offsets(AX), R13
	MOVL  0(R13), X5
	MOVL  4(R13), X6
	PXOR  X8, X8
	PXOR  X9, X9
	PUNPCKLQDQ X5, X8
	PUNPCKLQDQ X6, X9
	PADDL X7, X8
	PADDL X7, X9
	MOVOU X8, (NUMBERS+0)(R8)
	MOVOU X9, (NUMBERS+16)(R8)
	MOVQ  labelSpan_walk(AX), R13
	MOVQ  R13, WALK(R8)

	LEAQ (KW+7*KWBLOCK)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelSpan_expander(AX), $0
	JNE  start
	LEAQ (KW+3*KWBLOCK)(R8), R15         // layer 1
	XORL SI, SI

start:
	MOVQ labelSpan_ahead(AX), AX
	XORL R11, R11

	// Blocks 1 of the first node.
	NEXTWORDS
	MOVOU initial<>+0(SB), X1
	MOVOU initial<>+16(SB), X2
	MOVO  X1, X3
	MOVO  X2, X4
	SAVEBOTH
	BLOCKBOTH(ONCEBOTH)
	ADDBOTH
	JMP   node

next:
	MOVOU (NEXT+0)(R8), X1
	MOVOU (NEXT+16)(R8), X2
	MOVOU (NEXT+32)(R8), X3
	MOVOU (NEXT+48)(R8), X4

node:
	LEAQ KW(R8), R9
	MOVQ BX, R12
	CMPQ 0(R12), R11
	JEQ  second

first:
	MOVQ 0(R12), R13
	LOADWORDS(R13, X5, X6, X14)
	ADDQ $32, R13
	LOADWORDS(R13, X9, X10, X14)

second:
	MOVQ 8(R12), R13
	LOADWORDS(R13, X7, X8, X14)
	ADDQ $32, R13
	LOADWORDS(R13, X11, X12, X14)
	SAVEBOTH
	BLOCKBOTH(PAIRBOTH)
	ADDBOTH
	ADDQ $16, R12
	ADDQ $KWBLOCK, R9
	CMPQ R9, R15
	JB   first

	// The first repeated block, and the schedules of the next node's blocks 1.
	PREFETCHROW
	WALKROW(WALK(R8), ·pageWalkA)
	MOVOU (NUMBERS+0)(R8), X7
	MOVOU (NUMBERS+16)(R8), X11
	PADDL nextNode<>(SB), X7
	PADDL nextNode<>(SB), X11
	MOVOU X7, (NUMBERS+0)(R8)
	MOVOU X11, (NUMBERS+16)(R8)
	NEXTWORDS
	SAVEBOTH
	BLOCKBOTH(NEXTBOTH)
	ADDBOTH

	// Four more, with their rounds.
	LEAQ  (KW+KWBLOCK)(R8), R9
	MOVQ  R15, R10
	MOVQ  R15, R14
	SUBQ  R8, R14
	SHRQ  $9, R14                        // the pairs; KW is less than one
	SUBQ  $13, R14
	NEGQ  R14                            // repeated blocks less five
	MOVOU initial<>+0(SB), X5
	MOVOU initial<>+16(SB), X6
	MOVO  X5, X7
	MOVO  X6, X8

filled:
	SAVEBOTH
	REPEATBOTH
	ROUNDS(0(R10), X5, X6)
	ROUNDS(16(R10), X7, X8)
	ROUNDS(32(R10), X5, X6)
	ROUNDS(48(R10), X7, X8)
	ROUNDS(64(R10), X5, X6)
	ROUNDS(80(R10), X7, X8)
	ROUNDS(96(R10), X5, X6)
	ROUNDS(112(R10), X7, X8)
	ADDBOTH

	ADDQ    $128, R10
	ADDQ    $KWBLOCK, R9
	LEAQ    KW(R8), R13
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	LEAQ    KWBLOCK(R15), R13
	CMPQ    R10, R13
	JNE     filled

	PADDL initial<>+0(SB), X5
	PADDL initial<>+16(SB), X6
	PADDL initial<>+0(SB), X7
	PADDL initial<>+16(SB), X8
	MOVOU X5, (NEXT+0)(R8)
	MOVOU X6, (NEXT+16)(R8)
	MOVOU X7, (NEXT+32)(R8)
	MOVOU X8, (NEXT+48)(R8)

	WALKROW(WALK(R8), ·pageWalkB)

	// The others. Each prefetches three or six of a node further on, the row's last,
	// those before, and then the first again and again.
	SUBQ $24, R12
	CMPQ WALK(R8), $0
	JNE  repeated
	SUBQ $24, R12

repeated:
	PREFETCH(0, R12)
	PREFETCH(1, R12)
	PREFETCH(2, R12)
	CMPQ WALK(R8), $0
	JNE  three
	PREFETCH(3, R12)
	PREFETCH(4, R12)
	PREFETCH(5, R12)
	SUBQ $24, R12

three:
	SUBQ    $24, R12
	CMPQ    R12, BX
	CMOVQCS BX, R12

	SAVEBOTH
	REPEATBOTH
	ADDBOTH
	ADDQ    $KWBLOCK, R9
	LEAQ    KW(R8), R13
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	DECQ    R14
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ  (BX)(SI*1), R13
	LOADWORDS(R13, X5, X6, X14)
	ADDQ  $32, R13
	LOADWORDS(R13, X9, X10, X14)
	WALKROW(WALK(R8), ·pageWalkC)
	MOVOU finish<>+0(SB), X7
	MOVOU finish<>+16(SB), X8
	MOVO  X7, X11
	MOVO  X8, X12
	SAVEBOTH
	BLOCKBOTH(ONCEBOTH)
	ADDBOTH
	DIGESTWORDS(X1, X2, X5, X6)
	DIGESTWORDS(X3, X4, X9, X10)
	STOREWORDS(DX, X5, X6, X7, X8, X14)
	MOVQ  DX, R11
	ADDQ  $32, DX
	STOREWORDS(DX, X9, X10, X11, X12, X14)
	ADDQ  $32, DX

	ADDQ $const_rowBytes, BX
	DECQ DI
	JNZ  next
	RET
