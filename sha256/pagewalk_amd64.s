//go:build !purego

#include "textflag.h"

// What WALKROW calls: pagewalk_amd64.h says why.

// Walks the page of a label. R12 is lost speculatively only.
#define WALK(slot) \
	MOVQ       (8*slot)(R13), R12 \
	PREFETCHT0 (R12)

// pageWalkA, pageWalkB and pageWalkC walk the pages of the labels of the row at R13, all but
// slot 0's: that of the node before, whose page is in use.
TEXT ·pageWalkA(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredicted<>(SB)
	WALK(9)
	WALK(10)
	WALK(11)
	WALK(12)
	WALK(13)
	INT  $3                              // never comes here

TEXT ·pageWalkB(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredicted<>(SB)
	WALK(4)
	WALK(5)
	WALK(6)
	WALK(7)
	WALK(8)
	INT  $3

TEXT ·pageWalkC(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredicted<>(SB)
	WALK(1)
	WALK(2)
	WALK(3)
	INT  $3

// pageWalkLateA, pageWalkLateB and pageWalkLateC are the same for processors that need longer to begin with it.
// R14 is lost.
TEXT ·pageWalkLateA(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredictedLate<>(SB)
	WALK(9)
	WALK(10)
	WALK(11)
	WALK(12)
	WALK(13)
	INT  $3

TEXT ·pageWalkLateB(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredictedLate<>(SB)
	WALK(4)
	WALK(5)
	WALK(6)
	WALK(7)
	WALK(8)
	INT  $3

TEXT ·pageWalkLateC(SB), NOSPLIT|NOFRAME, $0-0
	CALL mispredictedLate<>(SB)
	WALK(1)
	WALK(2)
	WALK(3)
	INT  $3

// mispredictedLate is mispredicted some 120 cycles later.
#define TENTIMESONE \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14 \
	IMUL3Q $1, R14, R14

TEXT mispredictedLate<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ dropped<>(SB), R14
	TENTIMESONE
	TENTIMESONE
	TENTIMESONE
	TENTIMESONE
	ADDQ R14, SP
	RET

// mispredicted returns to where its caller was called. By how much it moves the stack it
// reads from memory: with a constant, the misprediction shows before a page walk begins.
TEXT mispredicted<>(SB), NOSPLIT|NOFRAME, $0-0
	ADDQ dropped<>(SB), SP
	RET

DATA dropped<>(SB)/8, $8
GLOBL dropped<>(SB), RODATA|NOPTR, $8
