//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_groups_amd64.h"

// The message at AX, and on to the next one as long as there is one.
#define LOADMESSAGE(z) \
	VMOVDQU64 (AX), z  \
	DECQ      BX       \
	CMOVQEQ   R11, R10 \
	ADDQ      R10, AX

// Each quarter of four registers as a matrix of 4 × 4 words, transposed.
#define TRANSPOSEWORDS(r0, r1, r2, r3) \
	VPUNPCKLDQ  r1, r0, T0 \
	VPUNPCKHDQ  r1, r0, T1 \
	VPUNPCKLDQ  r3, r2, T2 \
	VPUNPCKHDQ  r3, r2, T3 \
	VPUNPCKLQDQ T2, T0, r0 \
	VPUNPCKHQDQ T2, T0, r1 \
	VPUNPCKLQDQ T3, T1, r2 \
	VPUNPCKHQDQ T3, T1, r3

// Four registers as a matrix of 4 × 4 quarters, transposed.
#define TRANSPOSEQUARTERS(r0, r1, r2, r3) \
	VSHUFI32X4 $0x88, r1, r0, T0 \
	VSHUFI32X4 $0xdd, r1, r0, T1 \
	VSHUFI32X4 $0x88, r3, r2, T2 \
	VSHUFI32X4 $0xdd, r3, r2, T3 \
	VSHUFI32X4 $0x88, T2, T0, r0 \
	VSHUFI32X4 $0x88, T3, T1, r1 \
	VSHUFI32X4 $0xdd, T2, T0, r2 \
	VSHUFI32X4 $0xdd, T3, T1, r3

// Word i of the left halves, and of the right ones.
#define STOREWORDS(i, z, y) \
	VPSHUFB   Z21, z, z                \
	VPSHUFB   Z21, y, y                \
	VMOVDQA64 z, (64*i)(DI)            \
	VMOVDQA64 y, (RIGHT-LEFT+64*i)(DI)

// The digest whose words 0 to 3 and 4 to 7 are quarters number q, and on to the next
// as long as there is one.
#define STOREDIGEST(q, z, y) \
	VEXTRACTI32X4 q, z, 0(DX)  \
	VEXTRACTI32X4 q, y, 16(DX) \
	DECQ          CX           \
	CMOVQEQ       R11, R10     \
	ADDQ          R10, DX

// The 16 digests whose words are in eight registers.
#define STOREDIGESTS(z0, z1, z2, z3, z4, z5, z6, z7) \
	VPANDD.BCST field<>(SB), z7, z7 \
	VPSHUFB     Z21, z0, z0         \
	VPSHUFB     Z21, z1, z1         \
	VPSHUFB     Z21, z2, z2         \
	VPSHUFB     Z21, z3, z3         \
	VPSHUFB     Z21, z4, z4         \
	VPSHUFB     Z21, z5, z5         \
	VPSHUFB     Z21, z6, z6         \
	VPSHUFB     Z21, z7, z7         \
	TRANSPOSEWORDS(z0, z1, z2, z3)  \
	TRANSPOSEWORDS(z4, z5, z6, z7)  \
	STOREDIGEST($0, z0, z4)         \
	STOREDIGEST($0, z1, z5)         \
	STOREDIGEST($0, z2, z6)         \
	STOREDIGEST($0, z3, z7)         \
	STOREDIGEST($1, z0, z4)         \
	STOREDIGEST($1, z1, z5)         \
	STOREDIGEST($1, z2, z6)         \
	STOREDIGEST($1, z3, z7)         \
	STOREDIGEST($2, z0, z4)         \
	STOREDIGEST($2, z1, z5)         \
	STOREDIGEST($2, z2, z6)         \
	STOREDIGEST($2, z3, z7)         \
	STOREDIGEST($3, z0, z4)         \
	STOREDIGEST($3, z1, z5)         \
	STOREDIGEST($3, z2, z6)         \
	STOREDIGEST($3, z3, z7)

// func pairsAVX512(dst, src *byte, n int, padding *schedule)
// Requires: AVX512F, AVX512BW, AVX
//
// Two groups of 16 messages of 64 bytes, in which the last message comes again and
// again if fewer than 32 are left.
//
//	AX  src          DX  dst         BX  messages to load, CX digests to store
//	R8  the frame's first cache line R9  K + W of the first block
//	R10 bytes to the next message or digest, 0 at the end      R11 0
//	DI  halves       R13 K + W of the padding block's next rounds
//	Z0–Z15 messages, then states     Z16–Z20 temporaries       Z21 byte order
TEXT ·pairsAVX512(SB), 0, $20544-32
	MOVQ dst+0(FP), DX
	MOVQ src+8(FP), AX
	MOVQ n+16(FP), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

next:
	VBROADCASTI32X4 bswap<>(SB), Z21
	LEAQ            LEFT(R8), DI
	MOVL            $64, R10
	XORL            R11, R11
	MOVL            $2, CX

group:
	LOADMESSAGE(Z0)
	LOADMESSAGE(Z1)
	LOADMESSAGE(Z2)
	LOADMESSAGE(Z3)
	LOADMESSAGE(Z4)
	LOADMESSAGE(Z5)
	LOADMESSAGE(Z6)
	LOADMESSAGE(Z7)
	LOADMESSAGE(Z8)
	LOADMESSAGE(Z9)
	LOADMESSAGE(Z10)
	LOADMESSAGE(Z11)
	LOADMESSAGE(Z12)
	LOADMESSAGE(Z13)
	LOADMESSAGE(Z14)
	LOADMESSAGE(Z15)
	TRANSPOSEWORDS(Z0, Z1, Z2, Z3)
	TRANSPOSEWORDS(Z4, Z5, Z6, Z7)
	TRANSPOSEWORDS(Z8, Z9, Z10, Z11)
	TRANSPOSEWORDS(Z12, Z13, Z14, Z15)
	TRANSPOSEQUARTERS(Z0, Z4, Z8, Z12)
	TRANSPOSEQUARTERS(Z1, Z5, Z9, Z13)
	TRANSPOSEQUARTERS(Z2, Z6, Z10, Z14)
	TRANSPOSEQUARTERS(Z3, Z7, Z11, Z15)
	STOREWORDS(0, Z0, Z8)
	STOREWORDS(1, Z1, Z9)
	STOREWORDS(2, Z2, Z10)
	STOREWORDS(3, Z3, Z11)
	STOREWORDS(4, Z4, Z12)
	STOREWORDS(5, Z5, Z13)
	STOREWORDS(6, Z6, Z14)
	STOREWORDS(7, Z7, Z15)
	ADDQ $512, DI
	DECL CX
	JNZ  group

	AINITIAL
	BINITIAL
	LEAQ LEFT(R8), SI
	LEAQ RIGHT(R8), DI
	LEAQ PAIRS(R8), R9
	CALL ·blockAVX512x32(SB)

	KEEP
	MOVQ padding+24(FP), R13
	MOVL $8, CX

eight:
	A0(SAMEROUND, (4*0)(R13))
	B0(SAMEROUND, (4*0)(R13))
	A1(SAMEROUND, (4*1)(R13))
	B1(SAMEROUND, (4*1)(R13))
	A2(SAMEROUND, (4*2)(R13))
	B2(SAMEROUND, (4*2)(R13))
	A3(SAMEROUND, (4*3)(R13))
	B3(SAMEROUND, (4*3)(R13))
	A0(SAMEROUND, (4*4)(R13))
	B0(SAMEROUND, (4*4)(R13))
	A1(SAMEROUND, (4*5)(R13))
	B1(SAMEROUND, (4*5)(R13))
	A2(SAMEROUND, (4*6)(R13))
	B2(SAMEROUND, (4*6)(R13))
	A3(SAMEROUND, (4*7)(R13))
	B3(SAMEROUND, (4*7)(R13))
	ADDQ $(4*8), R13
	DECL CX
	JNZ  eight
	ADDKEPT

	VBROADCASTI32X4 bswap<>(SB), Z21
	LEAQ            32(BX), CX
	MOVL            $32, R10
	XORL            R11, R11
	STOREDIGESTS(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	STOREDIGESTS(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	CMPQ BX, $0
	JGT  next
	VZEROUPPER
	RET
