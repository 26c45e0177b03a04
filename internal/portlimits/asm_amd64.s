//go:build !purego

#include "textflag.h"

// Loops of one kind of instruction, or of a mix, whose time says what a kernel that
// is made of them cannot go below. In a chain, each instruction waits for the one
// before. In the others none waits long: where an instruction also reads what it
// writes, that was written long before. A turn is so long that its counter costs
// nothing beside it. What the registers hold does not matter.

// A chain of 16: x and y take turns.
#define CHAIN(OP, x, y) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x) \
	OP(x, y) \
	OP(y, x)

// To 14 registers, independent.
#define EACHX(OP, from) \
	OP(from, X1) \
	OP(from, X2) \
	OP(from, X3) \
	OP(from, X4) \
	OP(from, X5) \
	OP(from, X6) \
	OP(from, X7) \
	OP(from, X8) \
	OP(from, X9) \
	OP(from, X10) \
	OP(from, X11) \
	OP(from, X12) \
	OP(from, X13) \
	OP(from, X14)

#define EACHY(OP, from) \
	OP(from, Y1) \
	OP(from, Y2) \
	OP(from, Y3) \
	OP(from, Y4) \
	OP(from, Y5) \
	OP(from, Y6) \
	OP(from, Y7) \
	OP(from, Y8) \
	OP(from, Y9) \
	OP(from, Y10) \
	OP(from, Y11) \
	OP(from, Y12) \
	OP(from, Y13) \
	OP(from, Y14)

#define EACHZ(OP, from) \
	OP(from, Z1) \
	OP(from, Z2) \
	OP(from, Z3) \
	OP(from, Z4) \
	OP(from, Z5) \
	OP(from, Z6) \
	OP(from, Z7) \
	OP(from, Z8) \
	OP(from, Z9) \
	OP(from, Z10) \
	OP(from, Z11) \
	OP(from, Z12) \
	OP(from, Z13) \
	OP(from, Z14)

// Instructions as those want them.
#define RNDS2(from, to) SHA256RNDS2 X0, from, to
#define MSG1(from, to) SHA256MSG1 from, to
#define MSG2(from, to) SHA256MSG2 from, to
#define PADD(from, to) PADDL from, to
#define PSHUF(from, to) PSHUFD $0x0e, from, to
#define SHIFT(from, to) VPSRLD $7, from, to
#define ADDY(from, to) VPADDD from, Y0, to
#define ADDZ(from, to) VPADDD from, Z0, to
#define XORY(from, to) VPXOR from, Y0, to
#define ROTATE(from, to) VPRORD $7, from, to
#define TERNARYY(from, to) VPTERNLOGD $0x96, from, Y0, to
#define TERNARYZ(from, to) VPTERNLOGD $0x96, from, Z0, to

// func adds(n uint64)
//
// Additions of integers, in eight chains.
TEXT ·adds(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	ADDQ $1, AX
	ADDQ $1, BX
	ADDQ $1, DX
	ADDQ $1, SI
	ADDQ $1, DI
	ADDQ $1, R8
	ADDQ $1, R9
	ADDQ $1, R10
	ADDQ $1, AX
	ADDQ $1, BX
	ADDQ $1, DX
	ADDQ $1, SI
	ADDQ $1, DI
	ADDQ $1, R8
	ADDQ $1, R9
	ADDQ $1, R10
	DECQ CX
	JNZ  turn
	RET

// func rnds2x1(n uint64)
// Requires: SHA
TEXT ·rnds2x1(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(RNDS2, X1, X2)
	DECQ CX
	JNZ  turn
	RET

// Two SHA256RNDS2 in each of several chains.
#define RNDS2X2 \
	RNDS2(X1, X2) \
	RNDS2(X3, X4) \
	RNDS2(X2, X1) \
	RNDS2(X4, X3)

#define RNDS2X3 \
	RNDS2(X1, X2) \
	RNDS2(X3, X4) \
	RNDS2(X5, X6) \
	RNDS2(X2, X1) \
	RNDS2(X4, X3) \
	RNDS2(X6, X5)

#define RNDS2X4 \
	RNDS2(X1, X2) \
	RNDS2(X3, X4) \
	RNDS2(X5, X6) \
	RNDS2(X7, X8) \
	RNDS2(X2, X1) \
	RNDS2(X4, X3) \
	RNDS2(X6, X5) \
	RNDS2(X8, X7)

#define RNDS2X6 \
	RNDS2(X1, X2)   \
	RNDS2(X3, X4)   \
	RNDS2(X5, X6)   \
	RNDS2(X7, X8)   \
	RNDS2(X9, X10)  \
	RNDS2(X11, X12) \
	RNDS2(X2, X1)   \
	RNDS2(X4, X3)   \
	RNDS2(X6, X5)   \
	RNDS2(X8, X7)   \
	RNDS2(X10, X9)  \
	RNDS2(X12, X11)

// func rnds2x2(n uint64)
// Requires: SHA
TEXT ·rnds2x2(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	RNDS2X2
	RNDS2X2
	RNDS2X2
	RNDS2X2
	DECQ CX
	JNZ  turn
	RET

// func rnds2x3(n uint64)
// Requires: SHA
TEXT ·rnds2x3(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	RNDS2X3
	RNDS2X3
	RNDS2X3
	RNDS2X3
	DECQ CX
	JNZ  turn
	RET

// func rnds2x4(n uint64)
// Requires: SHA
TEXT ·rnds2x4(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	RNDS2X4
	RNDS2X4
	DECQ CX
	JNZ  turn
	RET

// func rnds2x6(n uint64)
// Requires: SHA
TEXT ·rnds2x6(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	RNDS2X6
	RNDS2X6
	DECQ CX
	JNZ  turn
	RET

// An SHA256MSG1 and an SHA256MSG2 that wait for nothing.
#define MESSAGE1 \
	MOVO X15, X13 \
	MSG1(X15, X13)

#define MESSAGE2 \
	MOVO X15, X14 \
	MSG2(X15, X14)

// func rnds2AndSchedules(n uint64)
// Requires: SHA
//
// 24 SHA256RNDS2 in six chains, so that none of them waits, and as many SHA256MSG1
// and SHA256MSG2 as all schedules take: 9 of each, 12 for 32.
TEXT ·rnds2AndSchedules(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	RNDS2(X1, X2)
	MESSAGE1
	RNDS2(X3, X4)
	MESSAGE2
	RNDS2(X5, X6)
	MESSAGE1
	RNDS2(X7, X8)
	MESSAGE2
	RNDS2(X9, X10)
	MESSAGE1
	RNDS2(X11, X12)
	MESSAGE2
	RNDS2(X2, X1)
	MESSAGE1
	RNDS2(X4, X3)
	MESSAGE2
	RNDS2(X6, X5)
	MESSAGE1
	RNDS2(X8, X7)
	MESSAGE2
	RNDS2(X10, X9)
	RNDS2(X12, X11)

	RNDS2(X1, X2)
	MESSAGE1
	RNDS2(X3, X4)
	MESSAGE2
	RNDS2(X5, X6)
	MESSAGE1
	RNDS2(X7, X8)
	MESSAGE2
	RNDS2(X9, X10)
	RNDS2(X11, X12)
	RNDS2(X2, X1)
	MESSAGE1
	RNDS2(X4, X3)
	MESSAGE2
	RNDS2(X6, X5)
	MESSAGE1
	RNDS2(X8, X7)
	MESSAGE2
	RNDS2(X10, X9)
	RNDS2(X12, X11)
	DECQ CX
	JNZ  turn
	RET

// func msg1Chain(n uint64)
// Requires: SHA
TEXT ·msg1Chain(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(MSG1, X1, X2)
	DECQ CX
	JNZ  turn
	RET

// func msg1s(n uint64)
// Requires: SHA
TEXT ·msg1s(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHX(MSG1, X0)
	DECQ CX
	JNZ  turn
	RET

// func msg2Chain(n uint64)
// Requires: SHA
TEXT ·msg2Chain(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(MSG2, X1, X2)
	DECQ CX
	JNZ  turn
	RET

// func msg2s(n uint64)
// Requires: SHA
TEXT ·msg2s(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHX(MSG2, X0)
	DECQ CX
	JNZ  turn
	RET

// func paddChain(n uint64)
// Requires: SSE2
TEXT ·paddChain(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(PADD, X1, X2)
	DECQ CX
	JNZ  turn
	RET

// func pshufChain(n uint64)
// Requires: SSE2
TEXT ·pshufChain(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(PSHUF, X1, X2)
	DECQ CX
	JNZ  turn
	RET

// AVX2, eight lanes. A round takes 12 shifts, 16 logical operations and 6
// additions; a schedule word, and K added to it, 10, 8 and 4.

// func shiftChain256(n uint64)
// Requires: AVX2, AVX
TEXT ·shiftChain256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(SHIFT, Y1, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func shifts256(n uint64)
// Requires: AVX2, AVX
TEXT ·shifts256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHY(SHIFT, Y15)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func xorChain256(n uint64)
// Requires: AVX2, AVX
TEXT ·xorChain256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(XORY, Y1, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func xors256(n uint64)
// Requires: AVX2, AVX
TEXT ·xors256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHY(XORY, Y15)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func addChain256(n uint64)
// Requires: AVX2, AVX
TEXT ·addChain256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(ADDY, Y1, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func adds256(n uint64)
// Requires: AVX2, AVX
TEXT ·adds256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHY(ADDY, Y15)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

#define SIX256 \
	SHIFT(Y15, Y1) \
	XORY(Y15, Y2) \
	SHIFT(Y15, Y3) \
	XORY(Y15, Y4) \
	XORY(Y15, Y5) \
	ADDY(Y15, Y6)

#define FIVE256 \
	SHIFT(Y15, Y1) \
	XORY(Y15, Y2) \
	ADDY(Y15, Y3) \
	SHIFT(Y15, Y4) \
	XORY(Y15, Y5)

// func round256(n uint64)
// Requires: AVX2, AVX
TEXT ·round256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	SIX256
	SIX256
	SIX256
	SIX256
	SIX256
	SHIFT(Y15, Y1)
	XORY(Y15, Y2)
	SHIFT(Y15, Y3)
	ADDY(Y15, Y4)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func word256(n uint64)
// Requires: AVX2, AVX
TEXT ·word256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	FIVE256
	FIVE256
	FIVE256
	FIVE256
	SHIFT(Y15, Y1)
	SHIFT(Y15, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// AVX-512, sixteen lanes. A round takes 6 rotates, 4 ternaries and 6 additions; a
// schedule word, and K added to it, 6 rotates and shifts, 2 ternaries and 4
// additions.

// func rotateChain512(n uint64)
// Requires: AVX512F, AVX
TEXT ·rotateChain512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(ROTATE, Z1, Z2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func rotates512(n uint64)
// Requires: AVX512F, AVX
TEXT ·rotates512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHZ(ROTATE, Z31)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func ternaryChain512(n uint64)
// Requires: AVX512F, AVX
TEXT ·ternaryChain512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(TERNARYZ, Z1, Z2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func ternaries512(n uint64)
// Requires: AVX512F, AVX
TEXT ·ternaries512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHZ(TERNARYZ, Z31)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func addChain512(n uint64)
// Requires: AVX512F, AVX
TEXT ·addChain512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(ADDZ, Z1, Z2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func adds512(n uint64)
// Requires: AVX512F, AVX
TEXT ·adds512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHZ(ADDZ, Z31)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

#define SIGMA(x) \
	ROTATE(x, Z2) \
	ROTATE(x, Z3) \
	ROTATE(x, Z4) \
	VPTERNLOGD $0x96, Z2, Z3, Z4 \
	VPADDD Z4, Z0, x

// func sigmaChain512(n uint64)
// Requires: AVX512F, AVX
//
// From one state word to the next: three rotates, a ternary, an addition.
TEXT ·sigmaChain512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	SIGMA(Z1)
	SIGMA(Z1)
	SIGMA(Z1)
	SIGMA(Z1)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func logic512(n uint64)
// Requires: AVX512F, AVX
//
// A round without its additions.
TEXT ·logic512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	ROTATE(Z31, Z1)
	TERNARYZ(Z31, Z2)
	ROTATE(Z31, Z3)
	TERNARYZ(Z31, Z4)
	ROTATE(Z31, Z5)
	ROTATE(Z31, Z6)
	TERNARYZ(Z31, Z7)
	ROTATE(Z31, Z8)
	TERNARYZ(Z31, Z9)
	ROTATE(Z31, Z10)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// A round, and a word of a schedule, of independent instructions.
#define ROUND512(ADD, TERNARY, from, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
	ROTATE(from, a)  \
	ADD(from, b)     \
	TERNARY(from, c) \
	ROTATE(from, d)  \
	ADD(from, e)     \
	ROTATE(from, f)  \
	ADD(from, g)     \
	TERNARY(from, h) \
	ROTATE(from, i)  \
	ADD(from, j)     \
	TERNARY(from, k) \
	ROTATE(from, l)  \
	ADD(from, m)     \
	ROTATE(from, n)  \
	TERNARY(from, o) \
	ADD(from, p)

#define WORD512(ADD, TERNARY, from, a, b, c, d, e, f, g, h, i, j, k, l) \
	ROTATE(from, a)  \
	ADD(from, b)     \
	TERNARY(from, c) \
	ROTATE(from, d)  \
	ADD(from, e)     \
	SHIFT(from, f)   \
	ROTATE(from, g)  \
	ADD(from, h)     \
	TERNARY(from, i) \
	ROTATE(from, j)  \
	ADD(from, k)     \
	SHIFT(from, l)

// func round512(n uint64)
// Requires: AVX512F, AVX
TEXT ·round512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	ROUND512(ADDZ, TERNARYZ, Z31, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func word512(n uint64)
// Requires: AVX512F, AVX
TEXT ·word512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	WORD512(ADDZ, TERNARYZ, Z31, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// The same instructions on half a register.

// func rotateChain256(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·rotateChain256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(ROTATE, Y1, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func rotates256(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·rotates256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHY(ROTATE, Y15)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func ternaryChain256(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·ternaryChain256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	CHAIN(TERNARYY, Y1, Y2)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func ternaries256(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·ternaries256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	EACHY(TERNARYY, Y15)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func roundHalves(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·roundHalves(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	ROUND512(ADDY, TERNARYY, Y31, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15, Y16)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET

// func wordHalves(n uint64)
// Requires: AVX512F, AVX512VL, AVX
TEXT ·wordHalves(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

turn:
	WORD512(ADDY, TERNARYY, Y31, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12)
	DECQ CX
	JNZ  turn
	VZEROUPPER
	RET
