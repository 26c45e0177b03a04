//go:build !purego

#include "textflag.h"
#include "shani_amd64.h"

// What pairsSHANI keeps in memory, from R10 on.
#define OLDER   0   // for each message in block 1, four times four words with σ0 added
#define CHAINS  128 // the states after block 1 of the messages in the padding block
#define NOWHERE 192 // where digests of nothing go

// Words 4t to 4t+3 of two messages, a2 and b2; those before are a1 and b1, and a0
// and b0 before them. LOADTWO reads them, EXTENDTWO makes them. STARTTWO then adds
// σ0 to a0 and b0 and puts them away, for two steps later: so a message has three
// registers instead of four, and those of two more fit.
#define LOADTWO(t, a2, b2) \
	MOVOU  (16*t)(SI), a2 \
	MOVOU  (16*t)(R8), b2 \
	PSHUFB X15, a2        \
	PSHUFB X15, b2

#define EXTENDTWO(t, a0, a1, a2, b0, b1, b2) \
	MOVO       a1, a2                       \
	MOVO       b1, b2                       \
	PALIGNR    $4, a0, a2                   \
	PALIGNR    $4, b0, b2                   \
	PADDL      (OLDER+16*(t%4))(R10), a2    \
	PADDL      (OLDER+64+16*(t%4))(R10), b2 \
	SHA256MSG2 a1, a2                       \
	SHA256MSG2 b1, b2

#define STARTTWO(t, a0, a1, b0, b1) \
	SHA256MSG1 a1, a0                           \
	SHA256MSG1 b1, b0                           \
	MOVO       a0, (OLDER+16*((t+2)%4))(R10)    \
	MOVO       b0, (OLDER+64+16*((t+2)%4))(R10)

// Rounds 4t to 4t+3 of block 1 for two messages, whose words are in a and b, and
// of the padding block for the two before (whose K + W is loaded twice, since a
// PSHUFD would cost 2 cycles a hash).
#define ROUNDSFOUR(t, a, b) \
	MOVQ        (16*t)(DX), X0   \
	SHA256RNDS2 X0, X5, X6       \
	SHA256RNDS2 X0, X7, X8       \
	MOVQ        (16*t+8)(DX), X0 \
	SHA256RNDS2 X0, X6, X5       \
	SHA256RNDS2 X0, X8, X7       \
	ROUNDSONCE(t, a, X1, X2)     \
	ROUNDSONCE(t, b, X3, X4)

#define STEPFOUR(t, a0, a1, a2, b0, b1, b2) \
	EXTENDTWO(t, a0, a1, a2, b0, b1, b2) \
	STARTTWO(t, a0, a1, b0, b1)          \
	ROUNDSFOUR(t, a2, b2)

// func pairsSHANI(dst, src *byte, n int, padding *schedule)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Four messages of 64 bytes side by side, two in block 1, two in the padding
// block: as many as it takes to saturate a SHA unit that takes an instruction
// every cycle (Zen 3: 119 cycles a hash with two side by side, 76 with four, of
// which 64 are the unit's). The first padding blocks are of nothing and their
// digests go nowhere, the last blocks 1 go no further; where n is odd, the last
// message is hashed twice.
//
//	DI, R9 where the digests in the padding block go
//	BX  dst            SI, R8  messages in block 1     CX  messages to go
//	DX  K + W of the padding block   R10 memory as above
//	X0  K + W                        X15 byte order
//	X1–X4    states in block 1       X5–X8    states in the padding block
//	X9–X11, X12–X14  message words
TEXT ·pairsSHANI(SB), 0, $288-32
	MOVQ  dst+0(FP), BX
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  padding+24(FP), DX
	MOVOU bswap<>(SB), X15
	LEAQ  63(SP), R10                    // whole cache lines
	ANDQ  $~63, R10
	LEAQ  NOWHERE(R10), DI
	MOVQ  DI, R9

two:
	LEAQ    64(SI), R8
	CMPQ    CX, $1
	CMOVQLE SI, R8
	MOVOU   initial<>+0(SB), X1
	MOVOU   initial<>+16(SB), X2
	MOVO    X1, X3
	MOVO    X2, X4

	LOADTWO(0, X9, X12)
	ROUNDSFOUR(0, X9, X12)
	LOADTWO(1, X10, X13)
	ROUNDSFOUR(1, X10, X13)
	LOADTWO(2, X11, X14)
	STARTTWO(2, X9, X10, X12, X13)
	ROUNDSFOUR(2, X11, X14)
	LOADTWO(3, X9, X12)
	STARTTWO(3, X10, X11, X13, X14)
	ROUNDSFOUR(3, X9, X12)
	STEPFOUR(4, X11, X9, X10, X14, X12, X13)
	STEPFOUR(5, X9, X10, X11, X12, X13, X14)
	STEPFOUR(6, X10, X11, X9, X13, X14, X12)
	STEPFOUR(7, X11, X9, X10, X14, X12, X13)
	STEPFOUR(8, X9, X10, X11, X12, X13, X14)
	STEPFOUR(9, X10, X11, X9, X13, X14, X12)
	STEPFOUR(10, X11, X9, X10, X14, X12, X13)
	STEPFOUR(11, X9, X10, X11, X12, X13, X14)
	STEPFOUR(12, X10, X11, X9, X13, X14, X12)
	STEPFOUR(13, X11, X9, X10, X14, X12, X13)
	EXTENDTWO(14, X9, X10, X11, X12, X13, X14)
	ROUNDSFOUR(14, X11, X14)
	EXTENDTWO(15, X10, X11, X9, X13, X14, X12)
	ROUNDSFOUR(15, X9, X12)

	PADDL (CHAINS+0)(R10), X5
	PADDL (CHAINS+16)(R10), X6
	PADDL (CHAINS+32)(R10), X7
	PADDL (CHAINS+48)(R10), X8
	DIGESTWORDS(X5, X6, X9, X10)
	STOREWORDS(DI, X9, X10, X11, X12, X15)
	DIGESTWORDS(X7, X8, X9, X10)
	STOREWORDS(R9, X9, X10, X11, X12, X15)
	TESTQ CX, CX
	JLE   done

	// The next two go on to the padding block.
	MOVO  X1, X5
	MOVO  X2, X6
	MOVO  X3, X7
	MOVO  X4, X8
	PADDL initial<>+0(SB), X5
	PADDL initial<>+16(SB), X6
	PADDL initial<>+0(SB), X7
	PADDL initial<>+16(SB), X8
	MOVO  X5, (CHAINS+0)(R10)
	MOVO  X6, (CHAINS+16)(R10)
	MOVO  X7, (CHAINS+32)(R10)
	MOVO  X8, (CHAINS+48)(R10)
	MOVQ    BX, DI
	LEAQ    32(BX), R9
	CMPQ    CX, $1
	CMOVQEQ BX, R9
	ADDQ    $64, BX
	LEAQ    128(SI), R11
	SUBQ    $2, CX
	CMOVQGT R11, SI                      // past the end there is nothing to read
	JMP     two

done:
	RET
