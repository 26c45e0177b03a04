//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_groups_amd64.h"

// Word t of a block, number i of the half at src, of both groups.
#define MESSAGE(t, i, src, v, w) \
	VMOVDQU64   (64*i)(src), v        \
	VMOVDQU64   (64*i+512)(src), w    \
	VMOVDQA64   v, (128*(t))(R10)     \
	VMOVDQA64   w, (128*(t)+64)(R10)  \
	VPADDD.BCST (4*(t))(R12), v, T0   \
	VPADDD.BCST (4*(t))(R12), w, T1   \
	VMOVDQA64   T0, (128*(t))(R11)    \
	VMOVDQA64   T1, (128*(t)+64)(R11)

// Words t to t+7. The last two stay in Z21 and Z22, and in Z23 and Z24.
#define HALF(t, src) \
	MESSAGE(t+0, 0, src, Z21, Z23) \
	MESSAGE(t+1, 1, src, Z22, Z24) \
	MESSAGE(t+2, 2, src, Z21, Z23) \
	MESSAGE(t+3, 3, src, Z22, Z24) \
	MESSAGE(t+4, 4, src, Z21, Z23) \
	MESSAGE(t+5, 5, src, Z22, Z24) \
	MESSAGE(t+6, 6, src, Z21, Z23) \
	MESSAGE(t+7, 7, src, Z22, Z24)

// Word number i of those that 8 rounds make. Group is 0 or, for the second one, 64.
#define NEXTWORD(i, group, v) \
	WORD((128*i+group)(R10), (128*(i+1)+group)(R10), (128*(i+9)+group)(R10), (128*(i+16)+group)(R10), (4*(i+16))(R12), (128*(i+16)+group)(R11), v)

// blockAVX512x32 does a block made of the halves at SI and DI, K + W of which it leaves at R9.
//
//	R10 to R13, CX as in a block of one group
//	Z0–Z7, Z8–Z15 states  Z16–Z20 temporaries  Z21, Z22 and Z23, Z24 two words
//
// Requires: AVX512F, AVX512BW, AVX
TEXT ·blockAVX512x32(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ WORDS(R8), R10
	MOVQ R9, R11
	LEAQ ·k(SB), R12
	HALF(0, SI)
	HALF(8, DI)
	MOVQ R9, R13
	KEEP
	MOVL $8, CX

eight:
	A0(LEANROUND, (128*0)(R13))
	B0(LEANROUND, (128*0+64)(R13))
	NEXTWORD(0, 0, Z21)
	NEXTWORD(0, 64, Z23)
	A1(LEANROUND, (128*1)(R13))
	B1(LEANROUND, (128*1+64)(R13))
	NEXTWORD(1, 0, Z22)
	NEXTWORD(1, 64, Z24)
	A2(LEANROUND, (128*2)(R13))
	B2(LEANROUND, (128*2+64)(R13))
	NEXTWORD(2, 0, Z21)
	NEXTWORD(2, 64, Z23)
	A3(LEANROUND, (128*3)(R13))
	B3(LEANROUND, (128*3+64)(R13))
	NEXTWORD(3, 0, Z22)
	NEXTWORD(3, 64, Z24)
	A0(LEANROUND, (128*4)(R13))
	B0(LEANROUND, (128*4+64)(R13))
	NEXTWORD(4, 0, Z21)
	NEXTWORD(4, 64, Z23)
	A1(LEANROUND, (128*5)(R13))
	B1(LEANROUND, (128*5+64)(R13))
	NEXTWORD(5, 0, Z22)
	NEXTWORD(5, 64, Z24)
	A2(LEANROUND, (128*6)(R13))
	B2(LEANROUND, (128*6+64)(R13))
	A3(LEANROUND, (128*7)(R13))
	B3(LEANROUND, (128*7+64)(R13))
	ADDQ $(128*6), R10
	ADDQ $(128*6), R11
	ADDQ $(4*6), R12
	ADDQ $(128*8), R13
	DECL CX
	JNZ  eight
	ADDKEPT
	RET
