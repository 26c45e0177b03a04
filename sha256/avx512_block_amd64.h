// The code of a block made of the halves at SI and DI, K + W of which it leaves at R9,
// for registers of the width that the names have where it is included.
//
//	R10 the words of NEXTWORD      R11 their K + W    R12 their K
//	R13 K + W of the next rounds   CX  loops to go
//	S0–S7 state  T0–T4 temporaries  W0, W1 two words  O0–O7 state before

	LEAQ WORDS(R8), R10
	MOVQ R9, R11
	LEAQ ·k(SB), R12
	HALF(0, SI)
	HALF(8, DI)
	MOVQ R9, R13
	KEEP
	MOVL $8, CX

eight:
	BLOCKLINES
	A0(ROUND, (WIDTH*0)(R13))
	NEXTWORD(0, W0)
	A1(ROUND, (WIDTH*1)(R13))
	NEXTWORD(1, W1)
	A2(ROUND, (WIDTH*2)(R13))
	NEXTWORD(2, W0)
	A3(ROUND, (WIDTH*3)(R13))
	NEXTWORD(3, W1)
	A0(ROUND, (WIDTH*4)(R13))
	NEXTWORD(4, W0)
	A1(ROUND, (WIDTH*5)(R13))
	NEXTWORD(5, W1)
	A2(ROUND, (WIDTH*6)(R13))
	A3(ROUND, (WIDTH*7)(R13))
	ADVANCE
	ADDQ $(WIDTH*8), R13
	DECL CX
	JNZ  eight
	ADDKEPT
	RET
