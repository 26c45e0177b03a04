//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "shani_amd64.h"
#include "pagewalk_amd64.h"

// The steps of labelSHANI's blocks: block 1 of a node, alone, and beside a
// repeated block, in the cycles in which that waits for SHA256RNDS2; a block of
// two parents; and a label's last block.
#define FIRSTSTEP(t, m) \
	ROUNDSONCE(t, m, X10, X11)

#define NEXTSTEP(t, m) \
	ROUNDS((16*t)(R8), X1, X2) \
	ROUNDSONCE(t, m, X10, X11)

#define PAIRSTEP(t, m) \
	ROUNDSKEEP(t, (16*t)(R9), m, X1, X2)

#define LASTSTEP(t, m) \
	ROUNDSONCE(t, m, X1, X2)

// What labelSHANI keeps in memory, from R8 on: K + W of the pairs, so much for each,
// and whether pages are walked ahead.
#define KWBLOCK 256
#define WALK  (7*KWBLOCK)

// func labelSHANI(r *labelSpan)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W on the stack, the others load it. Block 1 of the next node depends on no
// label: it shares the units with the first repeated block. Where the first
// parent is the node just labelled, its words are still in registers (10 cycles a
// label), and the first two words of K + W are made beforehand (3 cycles).
//
// The labels of nodes further on are prefetched in the repeated blocks. They have
// half as many instructions as the others, so twice as much of the chain fits
// into the reorder buffer behind a prefetch, which does not retire before its
// address is translated: hundreds of cycles if the TLB misses. (Prefetching in
// the first blocks cost 200 to 600 cycles a label in a layer of 512 MiB.) Where the
// pages are walked one node before that, in three groups that are as far apart as a
// group's page walks take, a label takes some 5 % less (BenchmarkLabelFromMemory).
//
//	BX  the node's row               DX  where its label goes
//	R8  K + W of the pairs           R15 its end
//	R9  K + W of the current pair    R10 repeated blocks to go
//	R11 the label in X3, X4, if any  R12 a pair of the row, CX the last pair
//	R13 addresses                    AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	X0  K + W of two rounds          X1, X2   state ABEF, CDGH
//	X3–X6 message words              X7       temporary
//	X8, X9 state before the block    X10, X11 next node's state after block 1
//	X12, X13 replica id              X14 byte order, X15 [layer, node high, low, 0]
TEXT ·labelSHANI(SB), 0, $1920-8
	MOVQ   r+0(FP), AX
	MOVQ   labelSpan_dst(AX), DX
	MOVQ   labelSpan_parents(AX), BX
	MOVQ   labelSpan_count(AX), DI
	MOVOU  bswap<>(SB), X14
	MOVQ   labelSpan_replicas(AX), CX
	LOADWORDS(CX, X12, X13, X14)
	MOVQ   labelSpan_node(AX), X0
	MOVQ   labelSpan_layer(AX), X15
	PUNPCKLQDQ X0, X15                   // a node's high word is always 0

	LEAQ 63(SP), R8                      // K + W in whole cache lines
	ANDQ $~63, R8
	LEAQ (7*KWBLOCK)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelSpan_expander(AX), $0
	JNE  start
	LEAQ (3*KWBLOCK)(R8), R15            // layer 1
	XORL SI, SI

start:
	MOVQ labelSpan_walk(AX), R13
	MOVQ R13, WALK(R8)
	MOVQ labelSpan_ahead(AX), AX
	XORL R11, R11

	// Block 1 of the first node has no chain to hide behind.
	MOVOU initial<>+0(SB), X10
	MOVOU initial<>+16(SB), X11
	MOVO  X12, X3
	MOVO  X13, X4
	MOVO  X15, X5
	PXOR  X6, X6
	BLOCK(FIRSTSTEP, X3, X4, X5, X6, X7)
	PADDL initial<>+0(SB), X10
	PADDL initial<>+16(SB), X11

node:
	MOVO X10, X1
	MOVO X11, X2
	MOVO X1, X8
	MOVO X2, X9
	MOVQ R8, R9
	MOVQ BX, R12
	CMPQ 0(R12), R11
	JNE  first

	// PAIRSTEP(0, X3), but that X0 already has what the first two rounds need.
	SHA256RNDS2 X0, X1, X2
	MOVO   X3, X0
	PADDL  k256<>+0(SB), X0
	MOVOU  X0, 0(R9)
	PSHUFD $0x0e, X0, X0
	SHA256RNDS2 X0, X2, X1
	JMP    second

first:
	MOVQ 0(R12), R13
	LOADWORDS(R13, X3, X4, X14)
	PAIRSTEP(0, X3)

second:
	MOVQ 8(R12), R13
	LOADWORDS(R13, X5, X6, X14)
	AFTERSTEP0(PAIRSTEP, X3, X4, X5, X6, X7)
	PADDL X8, X1
	PADDL X9, X2
	MOVO  X1, X8
	MOVO  X2, X9
	ADDQ  $16, R12
	ADDQ  $KWBLOCK, R9
	CMPQ  R9, R15
	JB    first

	// The first repeated block, and block 1 of the next node.
	WALKROW(WALK(R8), ·pageWalkA)
	PADDL nextNode<>(SB), X15
	MOVOU initial<>+0(SB), X10
	MOVOU initial<>+16(SB), X11
	MOVO  X12, X3
	MOVO  X13, X4
	MOVO  X15, X5
	PXOR  X6, X6
	BLOCK(NEXTSTEP, X3, X4, X5, X6, X7)
	PADDL X8, X1
	PADDL X9, X2
	PADDL initial<>+0(SB), X10
	PADDL initial<>+16(SB), X11

	// The others: 18 less the pairs less one. Each prefetches a pair of a node
	// further on, the last pair again and again once there are no more.
	MOVQ R15, R10
	SUBQ R8, R10
	SHRQ $8, R10
	SUBQ $17, R10
	NEGQ R10
	LEAQ KWBLOCK(R8), R9
	LEAQ -16(R12), CX
	MOVQ BX, R12

repeated:
	CMPQ R10, $5
	JNE  prefetch
	WALKROW(WALK(R8), ·pageWalkB)

prefetch:
	PREFETCH(0, R12)
	PREFETCH(1, R12)
	ADDQ    $16, R12
	CMPQ    R12, CX
	CMOVQHI CX, R12

	MOVO X1, X8
	MOVO X2, X9
	ROUNDS(0(R9), X1, X2)
	ROUNDS(16(R9), X1, X2)
	ROUNDS(32(R9), X1, X2)
	ROUNDS(48(R9), X1, X2)
	ROUNDS(64(R9), X1, X2)
	ROUNDS(80(R9), X1, X2)
	ROUNDS(96(R9), X1, X2)
	ROUNDS(112(R9), X1, X2)
	ROUNDS(128(R9), X1, X2)
	ROUNDS(144(R9), X1, X2)
	ROUNDS(160(R9), X1, X2)
	ROUNDS(176(R9), X1, X2)
	ROUNDS(192(R9), X1, X2)
	ROUNDS(208(R9), X1, X2)
	ROUNDS(224(R9), X1, X2)
	ROUNDS(240(R9), X1, X2)
	PADDL X8, X1
	PADDL X9, X2

	ADDQ    $KWBLOCK, R9
	CMPQ    R9, R15
	CMOVQEQ R8, R9
	DECQ    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ  (BX)(SI*1), R13
	LOADWORDS(R13, X3, X4, X14)
	WALKROW(WALK(R8), ·pageWalkC)
	MOVOU finish<>+0(SB), X5
	MOVOU finish<>+16(SB), X6
	MOVO  X1, X8
	MOVO  X2, X9
	BLOCK(LASTSTEP, X3, X4, X5, X6, X7)

	// K + W of the next node's first two rounds, if this label is its first parent.
	// All but the last two instructions are done before the last SHA256RNDS2 is.
	PSHUFD $0x1b, X8, X7
	PADDL  k256<>+0(SB), X7
	PSHUFD $0x1b, X1, X0
	PADDL  X7, X0

	PADDL X8, X1
	PADDL X9, X2
	DIGESTWORDS(X1, X2, X3, X4)
	STOREWORDS(DX, X3, X4, X5, X6, X14)

	MOVQ DX, R11
	ADDQ $32, DX
	ADDQ $const_rowBytes, BX
	DECQ DI
	JNZ  node
	RET
