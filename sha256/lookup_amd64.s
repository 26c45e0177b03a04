//go:build !purego

#include "textflag.h"

// What LOOKUPROW calls: lookup_amd64.h says why.

// Looks up a label. R12 is lost speculatively only.
#define LOOKUP(slot) \
	MOVQ       (8*slot)(R13), R12 \
	PREFETCHT0 (R12)

// lookupA, lookupB and lookupC look up labels of the row at R13, all but slot 0's: that
// of the node before, whose page is in use.
TEXT ·lookupA(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(9)
	LOOKUP(10)
	LOOKUP(11)
	LOOKUP(12)
	LOOKUP(13)
	INT  $3                              // never comes here

TEXT ·lookupB(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(4)
	LOOKUP(5)
	LOOKUP(6)
	LOOKUP(7)
	LOOKUP(8)
	INT  $3

TEXT ·lookupC(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(1)
	LOOKUP(2)
	LOOKUP(3)
	INT  $3

// mistaken returns to where its caller was called. By how much it moves the stack it
// reads from memory: with a constant, the mistake shows before a label is looked up.
TEXT mistaken<>(SB), NOSPLIT|NOFRAME, $0-0
	ADDQ dropped<>(SB), SP
	RET

DATA dropped<>(SB)/8, $8
GLOBL dropped<>(SB), RODATA|NOPTR, $8
