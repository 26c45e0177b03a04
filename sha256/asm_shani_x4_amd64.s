//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "shani_amd64.h"
#include "pagewalk_amd64.h"

// What labelSHANIx4 keeps in memory, from R8 on. Labels are four lanes', 32 bytes
// each, in the byte order of files.
#define SAVED    0    // states before the block, lane after lane
#define NUMBERS  128  // second halves of blocks 1: layer, node
#define FINISH   256  // second halves of last blocks: the padding
#define RING     384  // four times four words of each lane in a node's first pair
#define NUMBER   640  // [layer, node high, low, 0]
#define THIS     656  // this node's half of the memory below
#define OTHER    664  // the next node's
#define PAIRS    672  // bytes of K + W of the pairs
#define PAIRSEND 680  // the end of this node's
#define PITCH    688  // bytes from a node's labels to the next's
#define WALK     696  // whether pages are walked ahead
#define LAST     704  // K + W of the last block, four words of each lane in turn
#define NODES    1728 // twice, for this node and the next:

#define KWBLOCK 1024        // K + W of a pair, like that of the last block
#define FIRST   (7*KWBLOCK) // K + W of block 1
#define NEXT    (8*KWBLOCK) // the states after block 1: ABEF four times, CDGH four times
#define JOBS    (NEXT+128)  // the schedules to be made,
#define JOB     24          // three addresses each: halves of the block, K + W
#define NODE    (JOBS+8*JOB)

// Rounds 4t and 4t+1, or the two after, of all lanes with K + W at R9. To load
// these twice is better than PSHUFD, which would take the SHA unit's ports.
#define ROUNDSLOW(t) \
	MOVQ        (64*t+0)(R9), X0  \
	SHA256RNDS2 X0, X1, X2        \
	MOVQ        (64*t+16)(R9), X0 \
	SHA256RNDS2 X0, X3, X4        \
	MOVQ        (64*t+32)(R9), X0 \
	SHA256RNDS2 X0, X5, X6        \
	MOVQ        (64*t+48)(R9), X0 \
	SHA256RNDS2 X0, X7, X8

#define ROUNDSHIGH(t) \
	MOVQ        (64*t+8)(R9), X0  \
	SHA256RNDS2 X0, X2, X1        \
	MOVQ        (64*t+24)(R9), X0 \
	SHA256RNDS2 X0, X4, X3        \
	MOVQ        (64*t+40)(R9), X0 \
	SHA256RNDS2 X0, X6, X5        \
	MOVQ        (64*t+56)(R9), X0 \
	SHA256RNDS2 X0, X8, X7

#define ROUNDSALL(t) \
	ROUNDSLOW(t)  \
	ROUNDSHIGH(t)

#define SAVEALL \
	MOVO X1, (SAVED+0)(R8)   \
	MOVO X2, (SAVED+16)(R8)  \
	MOVO X3, (SAVED+32)(R8)  \
	MOVO X4, (SAVED+48)(R8)  \
	MOVO X5, (SAVED+64)(R8)  \
	MOVO X6, (SAVED+80)(R8)  \
	MOVO X7, (SAVED+96)(R8)  \
	MOVO X8, (SAVED+112)(R8)

#define ADDALL \
	PADDL (SAVED+0)(R8), X1   \
	PADDL (SAVED+16)(R8), X2  \
	PADDL (SAVED+32)(R8), X3  \
	PADDL (SAVED+48)(R8), X4  \
	PADDL (SAVED+64)(R8), X5  \
	PADDL (SAVED+80)(R8), X6  \
	PADDL (SAVED+96)(R8), X7  \
	PADDL (SAVED+112)(R8), X8

// The states after block 1, at p.
#define LOADSTATES(p) \
	MOVO (NEXT+0)(p), X1   \
	MOVO (NEXT+64)(p), X2  \
	MOVO (NEXT+16)(p), X3  \
	MOVO (NEXT+80)(p), X4  \
	MOVO (NEXT+32)(p), X5  \
	MOVO (NEXT+96)(p), X6  \
	MOVO (NEXT+48)(p), X7  \
	MOVO (NEXT+112)(p), X8

// The next node's layer and number, in all lanes.
#define COUNT \
	MOVO   NUMBER(R8), X9       \
	PADDL  nextNode<>(SB), X9   \
	MOVO   X9, NUMBER(R8)       \
	PSHUFB bswap<>(SB), X9      \
	MOVO   X9, (NUMBERS+0)(R8)  \
	MOVO   X9, (NUMBERS+32)(R8) \
	MOVO   X9, (NUMBERS+64)(R8) \
	MOVO   X9, (NUMBERS+96)(R8)

// The schedule of one lane's block whose halves are at R13 and R14; EVEN and ODD
// do what there is to do with words 4t to 4t+3.
#define SCHEDULE(EVEN, ODD) \
	LOADWORDS(R13, X9, X10, bswap<>(SB))  \
	LOADWORDS(R14, X11, X12, bswap<>(SB)) \
	EVEN(0, X9)                           \
	ODD(1, X10)                           \
	START(X9, X10)                        \
	EVEN(2, X11)                          \
	START(X10, X11)                       \
	ODD(3, X12)                           \
	EXTEND(X11, X12, X9, X13)             \
	EVEN(4, X9)                           \
	EXTEND(X12, X9, X10, X13)             \
	ODD(5, X10)                           \
	EXTEND(X9, X10, X11, X13)             \
	EVEN(6, X11)                          \
	EXTEND(X10, X11, X12, X13)            \
	ODD(7, X12)                           \
	EXTEND(X11, X12, X9, X13)             \
	EVEN(8, X9)                           \
	EXTEND(X12, X9, X10, X13)             \
	ODD(9, X10)                           \
	EXTEND(X9, X10, X11, X13)             \
	EVEN(10, X11)                         \
	EXTEND(X10, X11, X12, X13)            \
	ODD(11, X12)                          \
	EXTEND(X11, X12, X9, X13)             \
	EVEN(12, X9)                          \
	EXTEND(X12, X9, X10, X13)             \
	ODD(13, X10)                          \
	END(X9, X10, X11, X13)                \
	EVEN(14, X11)                         \
	END(X10, X11, X12, X13)               \
	ODD(15, X12)                          \
	ADDQ $32, R13                         \
	ADDQ $32, R14                         \
	ADDQ $16, R12

// Keeps K + W for a lane at R12.
#define KEEP(t, m) \
	MOVO  m, X13                 \
	PADDL k256<>+(16*t)(SB), X13 \
	MOVO  X13, (64*t)(R12)

// The same beside two rounds of all lanes, whose K + W are from p on: EVEN and ODD of
// words 4t to 4t+3, A in the first half of a block, B in the second. Two rounds turn CDGH
// into the next ABEF, so that ODD has a lane's registers the other way round. Four chains
// leave SHA256RNDS2 no turn to miss: the mixture matters. With KEEP after one lane or three
// instead of two, a label took half as long again on Zen 3.
#define BESIDE(t, m, p, abef0, cdgh0, abef1, cdgh1, abef2, cdgh2, abef3, cdgh3) \
	MOVQ        ((p)+0)(R9), X0  \
	SHA256RNDS2 X0, abef0, cdgh0 \
	MOVQ        ((p)+16)(R9), X0 \
	SHA256RNDS2 X0, abef1, cdgh1 \
	KEEP(t, m)                   \
	MOVQ        ((p)+32)(R9), X0 \
	SHA256RNDS2 X0, abef2, cdgh2 \
	MOVQ        ((p)+48)(R9), X0 \
	SHA256RNDS2 X0, abef3, cdgh3

#define BESIDEEVEN(t, m, at) BESIDE(t, m, (64*(at)), X1, X2, X3, X4, X5, X6, X7, X8)
#define BESIDEODD(t, m, at)  BESIDE(t, m, (64*(at)+8), X2, X1, X4, X3, X6, X5, X8, X7)

#define EVENA(t, m) BESIDEEVEN(t, m, (t/2))
#define ODDA(t, m)  BESIDEODD(t, m, (t/2))
#define EVENB(t, m) BESIDEEVEN(t, m, (t/2+8))
#define ODDB(t, m)  BESIDEODD(t, m, (t/2+8))

// Words 4t to 4t+3 of a lane in a node's first pair: m1 are the words before,
// those before them are in the ring. LOADRING reads the words from p, EXTENDRING
// makes them; the result is in m2. BEFORERING adds σ0 to the words before m1.
#define INRING(t, lane) (RING+64*(t%4)+16*lane)(R8)

#define LOADRING(t, lane, p, m2) \
	MOVOU  (32*lane+16*(t%2))(p), m2 \
	PSHUFB bswap<>(SB), m2           \
	MOVO   m2, INRING(t, lane)

#define BEFORERING(t, lane, m1) \
	MOVO       INRING((t+2), lane), X14 \
	SHA256MSG1 m1, X14                  \
	MOVO       X14, INRING((t+2), lane)

#define EXTENDRING(t, lane, m1, m2) \
	MOVO       INRING((t+2), lane), X14 \
	MOVO       m1, m2                   \
	PALIGNR    $4, X14, m2              \
	PADDL      INRING(t, lane), m2      \
	SHA256MSG2 m1, m2

#define KEEPRING(t, lane, m1, m2) \
	SHA256MSG1 m1, X14                  \
	MOVO       X14, INRING((t+2), lane) \
	MOVO       m2, INRING(t, lane)

// Steps of all lanes: their words before are in a, b, c, d; those of the step come
// into e, a, b, c.
#define KEEPAT(t, m, p) \
	MOVO  m, X0                 \
	PADDL k256<>+(16*t)(SB), X0 \
	MOVO  X0, p

#define STEPLOAD(t, p, a, b, c, d, e) \
	LOADRING(t, 0, p, e)        \
	KEEPAT(t, e, (64*t+0)(R9))  \
	LOADRING(t, 1, p, a)        \
	KEEPAT(t, a, (64*t+16)(R9)) \
	LOADRING(t, 2, p, b)        \
	KEEPAT(t, b, (64*t+32)(R9)) \
	LOADRING(t, 3, p, c)        \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

#define STEPSTART(t, p, a, b, c, d, e) \
	BEFORERING(t, 0, a)           \
	BEFORERING(t, 1, b)           \
	BEFORERING(t, 2, c)           \
	BEFORERING(t, 3, d)           \
	STEPLOAD(t, p, a, b, c, d, e)

#define STEPEXTEND(t, a, b, c, d, e) \
	EXTENDRING(t, 0, a, e)      \
	KEEPRING(t, 0, a, e)        \
	KEEPAT(t, e, (64*t+0)(R9))  \
	EXTENDRING(t, 1, b, a)      \
	KEEPRING(t, 1, b, a)        \
	KEEPAT(t, a, (64*t+16)(R9)) \
	EXTENDRING(t, 2, c, b)      \
	KEEPRING(t, 2, c, b)        \
	KEEPAT(t, b, (64*t+32)(R9)) \
	EXTENDRING(t, 3, d, c)      \
	KEEPRING(t, 3, d, c)        \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

#define STEPEND(t, a, b, c, d, e) \
	EXTENDRING(t, 0, a, e)      \
	KEEPAT(t, e, (64*t+0)(R9))  \
	EXTENDRING(t, 1, b, a)      \
	KEEPAT(t, a, (64*t+16)(R9)) \
	EXTENDRING(t, 2, c, b)      \
	KEEPAT(t, b, (64*t+32)(R9)) \
	EXTENDRING(t, 3, d, c)      \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

// Stores the words m0, m1 of the label at off from DX on.
#define PUTWORDS(off, m0, m1) \
	PSHUFB bswap<>(SB), m0  \
	PSHUFB bswap<>(SB), m1  \
	MOVOU  m0, (off)(DX)    \
	MOVOU  m1, (off+16)(DX)

// The same for the labels of four lanes, of the row at BX.
#define PREFETCHALL(slot) \
	PREFETCH(slot, BX) \
	PREFETCHT0 64(R13)

// roundsSHANIx4 does a block of all lanes with K + W at R9.
// Requires: SHA, SSE4, SSSE3, SSE2
TEXT roundsSHANIx4<>(SB), NOSPLIT, $0-0
	SAVEALL
	ROUNDSALL(0)
	ROUNDSALL(1)
	ROUNDSALL(2)
	ROUNDSALL(3)
	ROUNDSALL(4)
	ROUNDSALL(5)
	ROUNDSALL(6)
	ROUNDSALL(7)
	ROUNDSALL(8)
	ROUNDSALL(9)
	ROUNDSALL(10)
	ROUNDSALL(11)
	ROUNDSALL(12)
	ROUNDSALL(13)
	ROUNDSALL(14)
	ROUNDSALL(15)
	ADDALL
	RET

// scheduleSHANIx4 makes K + W at R12 of all lanes' blocks with halves at R13 and
// R14; R12 to R15 and X9 to X13 are lost.
// Requires: SHA, SSE4, SSSE3, SSE2
TEXT scheduleSHANIx4<>(SB), NOSPLIT, $0-0
	MOVQ $4, R15

lane:
	SCHEDULE(KEEP, KEEP)
	DECQ R15
	JNZ  lane
	RET

// func labelSHANIx4(r *labelSpan)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Four chains of labels side by side: on Zen 3 they keep the SHA unit busy. Their
// states take half of the registers, and schedules for all of them find no room in
// the rest; so K + W of every block goes through memory, and schedules are made
// where they suit the front end: each block from the third to the 18th has one
// for two lanes beside it. Of the 16 halves, twelve are of the next node's pairs but
// its first (in layer 1: two pairs, over and over), two of this node's last block, two of
// block 1 of the node after the next. The rounds of the next node's block 1 are spread
// over the same blocks.
//
// The first pair has the label just made: its schedule is made beside its own
// rounds, from words in memory. Should another parent of a node be the one before
// it, that pair is made again once the label is there. A label is known by its
// address: memory that is mapped twice would deceive this.
//
//	BX  the node's row               DX  where its labels go
//	R8  memory as above              R9  K + W of the current block
//	R10 the schedule to be made      R11 K + W of the next node's block 1
//	R12 where its K + W goes         R13, R14 halves of its block
//	R15 blocks to go                 CX  64 for the last two lanes; addresses
//	AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	X0  K + W of two rounds          X1–X8   states ABEF, CDGH of lanes 0 to 3
//	X9–X13 message words             X14, X15 state of a lane in the next block 1
TEXT ·labelSHANIx4(SB), 0, $18848-8
	MOVQ r+0(FP), AX
	MOVQ labelSpan_dst(AX), DX
	MOVQ labelSpan_parents(AX), BX
	MOVQ labelSpan_count(AX), DI
	LEAQ 63(SP), R8                      // whole cache lines
	ANDQ $~63, R8
	LEAQ NODES(R8), R9
	LEAQ (NODES+NODE)(R8), R11
	MOVQ R9, THIS(R8)
	MOVQ R11, OTHER(R8)
	MOVQ labelSpan_pitch(AX), R13
	MOVQ R13, PITCH(R8)
	MOVQ labelSpan_walk(AX), R13
	MOVQ R13, WALK(R8)

	// Second halves of blocks that no label is in.
	MOVQ  labelSpan_node(AX), X0
	MOVQ  labelSpan_layer(AX), X9
	PUNPCKLQDQ X0, X9                    // a node's high word is always 0
	PSUBL nextNode<>(SB), X9
	MOVO  X9, NUMBER(R8)
	PXOR  X9, X9
	MOVO  X9, (NUMBERS+16)(R8)
	MOVO  X9, (NUMBERS+48)(R8)
	MOVO  X9, (NUMBERS+80)(R8)
	MOVO  X9, (NUMBERS+112)(R8)
	LEAQ  finish<>(SB), R13
	LOADWORDS(R13, X9, X10, bswap<>(SB))
	MOVO  X9, (FINISH+0)(R8)
	MOVO  X10, (FINISH+16)(R8)
	MOVO  X9, (FINISH+32)(R8)
	MOVO  X10, (FINISH+48)(R8)
	MOVO  X9, (FINISH+64)(R8)
	MOVO  X10, (FINISH+80)(R8)
	MOVO  X9, (FINISH+96)(R8)
	MOVO  X10, (FINISH+112)(R8)

	// The schedules to be made in every node. The addresses in its row come later.
	MOVQ labelSpan_replicas(AX), R13
	LEAQ NUMBERS(R8), R14
	MOVQ R13, (JOBS+7*JOB)(R9)
	MOVQ R13, (JOBS+7*JOB)(R11)
	MOVQ R14, (JOBS+7*JOB+8)(R9)
	MOVQ R14, (JOBS+7*JOB+8)(R11)
	LEAQ FIRST(R9), R12
	LEAQ FIRST(R11), R15
	MOVQ R12, (JOBS+7*JOB+16)(R9)
	MOVQ R15, (JOBS+7*JOB+16)(R11)
	LEAQ FINISH(R8), R14
	LEAQ LAST(R8), R12
	MOVQ R14, (JOBS+6*JOB+8)(R9)
	MOVQ R14, (JOBS+6*JOB+8)(R11)
	MOVQ R12, (JOBS+6*JOB+16)(R9)
	MOVQ R12, (JOBS+6*JOB+16)(R11)

	MOVQ $(7*KWBLOCK), R10
	MOVQ $(8*8), SI
	CMPQ labelSpan_expander(AX), $0
	JNE  start
	MOVQ $(3*KWBLOCK), R10               // layer 1
	XORL SI, SI

start:
	MOVQ R10, PAIRS(R8)
	MOVQ labelSpan_ahead(AX), AX
	MOVQ $KWBLOCK, R12
	MOVQ R12, CX
	XORL R14, R14

jobs:
	LEAQ    (R11)(CX*1), R13
	MOVQ    R13, (JOBS+16)(R9)(R14*1)
	LEAQ    (R9)(CX*1), R13
	MOVQ    R13, (JOBS+16)(R11)(R14*1)
	ADDQ    R12, CX
	CMPQ    CX, R10
	CMOVQEQ R12, CX
	ADDQ    $JOB, R14
	CMPQ    R14, $(6*JOB)
	JNE     jobs

	// What the first node needs: the schedules of its pairs but the first, its
	// block 1, and the schedule of the next.
	LEAQ 16(BX), R10
	LEAQ KWBLOCK(R9), CX

pairs:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	MOVQ CX, R12
	CALL scheduleSHANIx4<>(SB)
	ADDQ $16, R10
	ADDQ $KWBLOCK, CX
	MOVQ CX, R12
	SUBQ R9, R12
	CMPQ R12, PAIRS(R8)
	JB   pairs

	COUNT
	MOVQ (JOBS+7*JOB)(R9), R13
	LEAQ NUMBERS(R8), R14
	LEAQ FIRST(R9), R12
	CALL scheduleSHANIx4<>(SB)
	COUNT
	MOVQ (JOBS+7*JOB)(R9), R13
	LEAQ NUMBERS(R8), R14
	LEAQ FIRST(R11), R12
	CALL scheduleSHANIx4<>(SB)

	MOVO initial<>+0(SB), X1
	MOVO initial<>+16(SB), X2
	MOVO X1, X3
	MOVO X2, X4
	MOVO X1, X5
	MOVO X2, X6
	MOVO X1, X7
	MOVO X2, X8
	ADDQ $FIRST, R9
	CALL roundsSHANIx4<>(SB)
	SUBQ $FIRST, R9
	MOVO X1, (NEXT+0)(R9)
	MOVO X2, (NEXT+64)(R9)
	MOVO X3, (NEXT+16)(R9)
	MOVO X4, (NEXT+80)(R9)
	MOVO X5, (NEXT+32)(R9)
	MOVO X6, (NEXT+96)(R9)
	MOVO X7, (NEXT+48)(R9)
	MOVO X8, (NEXT+112)(R9)

node:
	// Pairs that have the label just made; the first is yet to come.
	MOVQ  DX, CX
	SUBQ  PITCH(R8), CX
	CMPQ  16(BX), CX
	JEQ   again
	CMPQ  24(BX), CX
	JEQ   again
	CMPQ  32(BX), CX
	JEQ   again
	CMPQ  40(BX), CX
	JEQ   again
	TESTQ SI, SI
	JEQ   made
	CMPQ  48(BX), CX
	JEQ   again
	CMPQ  56(BX), CX
	JEQ   again
	CMPQ  64(BX), CX
	JEQ   again
	CMPQ  72(BX), CX
	JEQ   again
	CMPQ  80(BX), CX
	JEQ   again
	CMPQ  88(BX), CX
	JEQ   again
	CMPQ  96(BX), CX
	JEQ   again
	CMPQ  104(BX), CX
	JEQ   again

made:
	COUNT

	// The addresses of the next row, or, where there is none, this row's again.
	LEAQ    const_rowBytes(BX), CX
	CMPQ    DI, $1
	CMOVQEQ BX, CX
	MOVOU   16(CX), X9
	MOVOU   32(CX), X10
	MOVOU   X9, X11
	MOVOU   X10, X12
	MOVOU   X9, X13
	MOVOU   X10, X14
	TESTQ   SI, SI
	JEQ     located
	MOVOU   48(CX), X11
	MOVOU   64(CX), X12
	MOVOU   80(CX), X13
	MOVOU   96(CX), X14

located:
	MOVOU X9, (JOBS+0*JOB)(R9)
	MOVOU X10, (JOBS+1*JOB)(R9)
	MOVOU X11, (JOBS+2*JOB)(R9)
	MOVOU X12, (JOBS+3*JOB)(R9)
	MOVOU X13, (JOBS+4*JOB)(R9)
	MOVOU X14, (JOBS+5*JOB)(R9)
	MOVQ  (BX)(SI*1), R13
	MOVQ  R13, (JOBS+6*JOB)(R9)

	// The first pair.
	MOVQ 0(BX), R13
	MOVQ 8(BX), R14
	LOADSTATES(R9)
	SAVEALL
	STEPLOAD(0, R13, X9, X10, X11, X12, X13)
	STEPLOAD(1, R13, X13, X9, X10, X11, X12)
	STEPSTART(2, R14, X12, X13, X9, X10, X11)
	STEPSTART(3, R14, X11, X12, X13, X9, X10)
	STEPEXTEND(4, X10, X11, X12, X13, X9)
	STEPEXTEND(5, X9, X10, X11, X12, X13)
	STEPEXTEND(6, X13, X9, X10, X11, X12)
	STEPEXTEND(7, X12, X13, X9, X10, X11)
	STEPEXTEND(8, X11, X12, X13, X9, X10)
	STEPEXTEND(9, X10, X11, X12, X13, X9)
	STEPEXTEND(10, X9, X10, X11, X12, X13)
	STEPEXTEND(11, X13, X9, X10, X11, X12)
	STEPEXTEND(12, X12, X13, X9, X10, X11)
	STEPEXTEND(13, X11, X12, X13, X9, X10)
	STEPEND(14, X10, X11, X12, X13, X9)
	STEPEND(15, X9, X10, X11, X12, X13)
	ADDALL

	// Sixteen blocks with schedules and the next node's block 1 beside them.
	LEAQ JOBS(R9), R10
	MOVQ OTHER(R8), R11
	ADDQ $FIRST, R11
	MOVQ PAIRS(R8), R12
	ADDQ R9, R12
	MOVQ R12, PAIRSEND(R8)
	ADDQ $KWBLOCK, R9
	MOVQ $16, R15
	XORL CX, CX

	PREFETCHROW
	WALKROWBY(WALK(R8), ·pageWalkA, ·pageWalkLateA)

lane:
	MOVO initial<>+0(SB), X14
	MOVO initial<>+16(SB), X15

beside:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	MOVQ 16(R10), R12
	ADDQ CX, R13
	ADDQ CX, R14
	SHRQ $1, CX
	ADDQ CX, R12
	SAVEALL
	SCHEDULE(EVENA, ODDA)
	SCHEDULE(EVENB, ODDB)
	ROUNDS(0(R11), X14, X15)
	ROUNDS(64(R11), X14, X15)
	ROUNDS(128(R11), X14, X15)
	ROUNDS(192(R11), X14, X15)
	ADDALL

	LEAQ    JOB(R10), R13
	ADDQ    CX, CX
	XORQ    $64, CX
	CMOVQEQ R13, R10
	ADDQ    $256, R11
	ADDQ    $KWBLOCK, R9
	CMPQ    R9, PAIRSEND(R8)
	CMOVQEQ THIS(R8), R9
	DECQ    R15
	TESTQ   $3, R15
	JNE     beside

	PADDL initial<>+0(SB), X14
	PADDL initial<>+16(SB), X15
	MOVO  X14, 0(R11)                    // NEXT, lane by lane
	MOVO  X15, 64(R11)
	SUBQ  $(KWBLOCK-16), R11
	TESTQ R15, R15
	JEQ   prefetch
	CMPQ  R15, $8
	JEQ   lane
	JCS   four
	WALKROWBY(WALK(R8), ·pageWalkB, ·pageWalkLateB)      // 12 are left
	JMP   lane

four:
	WALKROWBY(WALK(R8), ·pageWalkC, ·pageWalkLateC)
	JMP   lane

prefetch:
	// The last two blocks. They prefetch.
	PREFETCHALL(0)
	PREFETCHALL(1)
	PREFETCHALL(2)
	PREFETCHALL(3)
	PREFETCHALL(4)
	PREFETCHALL(5)
	CALL  roundsSHANIx4<>(SB)
	LEAQ  LAST(R8), R9
	TESTQ SI, SI
	JEQ   last
	PREFETCHALL(6)
	PREFETCHALL(7)
	PREFETCHALL(8)
	PREFETCHALL(9)
	PREFETCHALL(10)
	PREFETCHALL(11)
	PREFETCHALL(12)
	PREFETCHALL(13)

last:
	CALL roundsSHANIx4<>(SB)
	DIGESTWORDS(X1, X2, X9, X10)
	PUTWORDS(0, X9, X10)
	DIGESTWORDS(X3, X4, X11, X12)
	PUTWORDS(32, X11, X12)
	DIGESTWORDS(X5, X6, X9, X10)
	PUTWORDS(64, X9, X10)
	DIGESTWORDS(X7, X8, X11, X12)
	PUTWORDS(96, X11, X12)

	MOVQ THIS(R8), R11
	MOVQ OTHER(R8), R9
	MOVQ R9, THIS(R8)
	MOVQ R11, OTHER(R8)
	ADDQ PITCH(R8), DX
	ADDQ $const_rowBytes, BX
	DECQ DI
	JNE  node
	RET

	// Makes every pair that has the label at CX, but the first.
again:
	LEAQ 16(BX), R10
	MOVQ $KWBLOCK, R11

pair:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	LEAQ (R9)(R11*1), R12
	CMPQ R13, CX
	JEQ  make
	CMPQ R14, CX
	JNE  skip

make:
	CALL scheduleSHANIx4<>(SB)

skip:
	ADDQ $16, R10
	ADDQ $KWBLOCK, R11
	CMPQ R11, PAIRS(R8)
	JB   pair
	JMP  made
