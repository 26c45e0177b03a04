//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"

// What lies in the frame, from R8 on, its first cache line: the 64 words of block 1, each a
// vector of the first group and one of the second; the second group's state after block 1;
// and, where fewer than 32 messages are left, those and their digests.
#define WORDS    0
#define KEPT     8192
#define MESSAGES 8704
#define DIGESTS  10752

// What the first round of block 1 makes of the initial state, but for the message word that it
// adds: the new e and the new a.
DATA firstE<>+0(SB)/4, $0x98c7e2a2
GLOBL firstE<>(SB), RODATA|NOPTR, $4
DATA firstA<>+0(SB)/4, $0xfc08884d
GLOBL firstA<>(SB), RODATA|NOPTR, $4

// Quarter q of messages m, m+4, m+8 and m+12. (An insertion from memory is for either
// unit, as a shuffle is not.)
#define QUARTERS(m, q, x, z) \
	VMOVDQU      (64*m+16*q)(SI), x            \
	VINSERTI32X4 $1, (64*m+16*q+256)(SI), z, z \
	VINSERTI32X4 $2, (64*m+16*q+512)(SI), z, z \
	VINSERTI32X4 $3, (64*m+16*q+768)(SI), z, z

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

// Words 4q to 4q+3 of 16 messages, to the group at DI.
#define LOADWORDS(q) \
	QUARTERS(0, q, X0, Z0)          \
	QUARTERS(1, q, X1, Z1)          \
	QUARTERS(2, q, X2, Z2)          \
	QUARTERS(3, q, X3, Z3)          \
	TRANSPOSEWORDS(Z0, Z1, Z2, Z3)  \
	VPSHUFB   Z21, Z0, Z0           \
	VPSHUFB   Z21, Z1, Z1           \
	VPSHUFB   Z21, Z2, Z2           \
	VPSHUFB   Z21, Z3, Z3           \
	VMOVDQA64 Z0, (128*(4*q+0))(DI) \
	VMOVDQA64 Z1, (128*(4*q+1))(DI) \
	VMOVDQA64 Z2, (128*(4*q+2))(DI) \
	VMOVDQA64 Z3, (128*(4*q+3))(DI)

// Rounds of block 1, of the groups: i says which of eight, whose constants are at R12, whose
// words are at R13. Rounds of the padding block: kw is the same for all messages.
#define LEFTROUND(i, a, b, c, d, e, f, g, h) \
	VPADDD.BCST (4*i)(R12), h, h \
	LEANROUND((128*i)(R13), a, b, c, d, e, f, g, h)

#define RIGHTROUND(i, a, b, c, d, e, f, g, h) \
	VPADDD.BCST (4*i)(R12), h, h \
	LEANROUND((128*i+64)(R13), a, b, c, d, e, f, g, h)

#define SAMEROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD.BCST kw, h, h \
	LEANMIX(a, b, c, d, e, f, g, h)

// Word number i of those that 8 rounds make, of the groups.
#define NEXTWORDS(i, v, w) \
	PLAINWORD((128*i)(R10), (128*(i+1))(R10), (128*(i+9))(R10), (128*(i+16))(R10), v) \
	PLAINWORD((128*i+64)(R10), (128*(i+1)+64)(R10), (128*(i+9)+64)(R10), (128*(i+16)+64)(R10), w)

// The 16 digests whose words are in eight registers, two of them to a line.
#define STOREDIGESTS(at, z0, z1, z2, z3, z4, z5, z6, z7) \
	VPANDD.BCST field<>(SB), z7, z7   \
	VPSHUFB     Z21, z0, z0           \
	VPSHUFB     Z21, z1, z1           \
	VPSHUFB     Z21, z2, z2           \
	VPSHUFB     Z21, z3, z3           \
	VPSHUFB     Z21, z4, z4           \
	VPSHUFB     Z21, z5, z5           \
	VPSHUFB     Z21, z6, z6           \
	VPSHUFB     Z21, z7, z7           \
	TRANSPOSEWORDS(z0, z1, z2, z3)    \
	TRANSPOSEWORDS(z4, z5, z6, z7)    \
	TRANSPOSEQUARTERS(z0, z4, z1, z5) \
	TRANSPOSEQUARTERS(z2, z6, z3, z7) \
	VMOVDQU64   z0, (at+64*0)(DI)     \
	VMOVDQU64   z2, (at+64*1)(DI)     \
	VMOVDQU64   z4, (at+64*2)(DI)     \
	VMOVDQU64   z6, (at+64*3)(DI)     \
	VMOVDQU64   z1, (at+64*4)(DI)     \
	VMOVDQU64   z3, (at+64*5)(DI)     \
	VMOVDQU64   z5, (at+64*6)(DI)     \
	VMOVDQU64   z7, (at+64*7)(DI)

// The state after block 1, which is kept, of the second group in memory, and added after the
// padding block.
#define ADDINITIAL \
	VPADDD.BCST ·initial+(4*0)(SB), Z0, Z0   \
	VPADDD.BCST ·initial+(4*1)(SB), Z1, Z1   \
	VPADDD.BCST ·initial+(4*2)(SB), Z2, Z2   \
	VPADDD.BCST ·initial+(4*3)(SB), Z3, Z3   \
	VPADDD.BCST ·initial+(4*4)(SB), Z4, Z4   \
	VPADDD.BCST ·initial+(4*5)(SB), Z5, Z5   \
	VPADDD.BCST ·initial+(4*6)(SB), Z6, Z6   \
	VPADDD.BCST ·initial+(4*7)(SB), Z7, Z7   \
	VPADDD.BCST ·initial+(4*0)(SB), Z8, Z8   \
	VPADDD.BCST ·initial+(4*1)(SB), Z9, Z9   \
	VPADDD.BCST ·initial+(4*2)(SB), Z10, Z10 \
	VPADDD.BCST ·initial+(4*3)(SB), Z11, Z11 \
	VPADDD.BCST ·initial+(4*4)(SB), Z12, Z12 \
	VPADDD.BCST ·initial+(4*5)(SB), Z13, Z13 \
	VPADDD.BCST ·initial+(4*6)(SB), Z14, Z14 \
	VPADDD.BCST ·initial+(4*7)(SB), Z15, Z15 \
	VMOVDQA64   Z0, Z24                      \
	VMOVDQA64   Z1, Z25                      \
	VMOVDQA64   Z2, Z26                      \
	VMOVDQA64   Z3, Z27                      \
	VMOVDQA64   Z4, Z28                      \
	VMOVDQA64   Z5, Z29                      \
	VMOVDQA64   Z6, Z30                      \
	VMOVDQA64   Z7, Z31                      \
	VMOVDQA64   Z8, (KEPT+64*0)(R8)          \
	VMOVDQA64   Z9, (KEPT+64*1)(R8)          \
	VMOVDQA64   Z10, (KEPT+64*2)(R8)         \
	VMOVDQA64   Z11, (KEPT+64*3)(R8)         \
	VMOVDQA64   Z12, (KEPT+64*4)(R8)         \
	VMOVDQA64   Z13, (KEPT+64*5)(R8)         \
	VMOVDQA64   Z14, (KEPT+64*6)(R8)         \
	VMOVDQA64   Z15, (KEPT+64*7)(R8)

#define ADDKEPT \
	VPADDD Z24, Z0, Z0               \
	VPADDD Z25, Z1, Z1               \
	VPADDD Z26, Z2, Z2               \
	VPADDD Z27, Z3, Z3               \
	VPADDD Z28, Z4, Z4               \
	VPADDD Z29, Z5, Z5               \
	VPADDD Z30, Z6, Z6               \
	VPADDD Z31, Z7, Z7               \
	VPADDD (KEPT+64*0)(R8), Z8, Z8   \
	VPADDD (KEPT+64*1)(R8), Z9, Z9   \
	VPADDD (KEPT+64*2)(R8), Z10, Z10 \
	VPADDD (KEPT+64*3)(R8), Z11, Z11 \
	VPADDD (KEPT+64*4)(R8), Z12, Z12 \
	VPADDD (KEPT+64*5)(R8), Z13, Z13 \
	VPADDD (KEPT+64*6)(R8), Z14, Z14 \
	VPADDD (KEPT+64*7)(R8), Z15, Z15

// func pairsAVX512(dst, src *byte, n int, padding *schedule)
// Requires: AVX512F, AVX512BW, AVX
//
// Two groups of 16 messages of 64 bytes. Where fewer than 32 are left, they and their digests
// lie in the frame, and what else lies there is hashed beside them.
//
// On processors that start two operations on whole registers in a cycle, all rounds are
// bound by how many operations there are, those of the padding block, too, and so is the
// rest: loading messages is spread over both units, and K + W, which nobody wants again,
// is not stored.
//
//	AX  src          DX  dst         BX  messages to go
//	R8  the frame's first cache line SI  messages, DI their digests or where words go
//	R10 words that make the next     R12 K of the next rounds
//	R13 words or, of the padding block, K + W of the next rounds
//	Z0–Z15 messages, then states     Z16–Z20 temporaries
//	Z21 byte order; Z21, Z22 and Z23, Z24 two words of a group
//	Z24–Z31 the first group's state after block 1
TEXT ·pairsAVX512(SB), 0, $11840-32
	MOVQ dst+0(FP), DX
	MOVQ src+8(FP), AX
	MOVQ n+16(FP), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

next:
	MOVQ AX, SI
	CMPQ BX, $32
	JGE  words

	// The last ones, fewer than 32.
	LEAQ MESSAGES(R8), SI
	MOVQ BX, CX

message:
	VMOVDQU64 (AX), Z0
	VMOVDQA64 Z0, (SI)
	ADDQ      $64, AX
	ADDQ      $64, SI
	DECQ      CX
	JNZ       message
	LEAQ      MESSAGES(R8), SI

words:
	VBROADCASTI32X4 bswap<>(SB), Z21
	LEAQ            WORDS(R8), DI
	MOVL            $2, CX

group:
	LOADWORDS(0)
	LOADWORDS(1)
	LOADWORDS(2)
	LOADWORDS(3)
	ADDQ $1024, SI
	ADDQ $64, DI
	DECL CX
	JNZ  group

	AINITIAL
	BINITIAL
	LEAQ      ·k(SB), R12
	LEAQ      WORDS(R8), R10
	MOVQ      R10, R13
	VMOVDQA64 (128*14)(R10), Z21
	VMOVDQA64 (128*15)(R10), Z22
	VMOVDQA64 (128*14+64)(R10), Z23
	VMOVDQA64 (128*15+64)(R10), Z24
	MOVL      $8, CX

	// The first round.
	VMOVDQA64   (R10), T0
	VMOVDQA64   64(R10), T1
	VPADDD.BCST firstE<>(SB), T0, S7
	VPADDD.BCST firstE<>(SB), T1, N7
	VPADDD.BCST firstA<>(SB), T0, S3
	VPADDD.BCST firstA<>(SB), T1, N3
	JMP         first

eight:
	A0(LEFTROUND, 0)
	B0(RIGHTROUND, 0)

first:
	NEXTWORDS(0, Z21, Z23)
	A1(LEFTROUND, 1)
	B1(RIGHTROUND, 1)
	NEXTWORDS(1, Z22, Z24)
	A2(LEFTROUND, 2)
	B2(RIGHTROUND, 2)
	NEXTWORDS(2, Z21, Z23)
	A3(LEFTROUND, 3)
	B3(RIGHTROUND, 3)
	NEXTWORDS(3, Z22, Z24)
	A0(LEFTROUND, 4)
	B0(RIGHTROUND, 4)
	NEXTWORDS(4, Z21, Z23)
	A1(LEFTROUND, 5)
	B1(RIGHTROUND, 5)
	NEXTWORDS(5, Z22, Z24)
	A2(LEFTROUND, 6)
	B2(RIGHTROUND, 6)
	A3(LEFTROUND, 7)
	B3(RIGHTROUND, 7)
	ADDQ $(128*6), R10
	ADDQ $(128*8), R13
	ADDQ $(4*8), R12
	DECL CX
	JNZ  eight

	ADDINITIAL
	MOVQ padding+24(FP), R13
	MOVL $8, CX

sameeight:
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
	JNZ  sameeight
	ADDKEPT

	VBROADCASTI32X4 bswap<>(SB), Z21
	MOVQ            DX, DI
	CMPQ            BX, $32
	JGE             store
	LEAQ            DIGESTS(R8), DI

store:
	STOREDIGESTS(0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	STOREDIGESTS(512, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	CMPQ BX, $32
	JLT  last
	ADDQ $2048, AX
	ADDQ $1024, DX
	SUBQ $32, BX
	JNZ  next
	VZEROUPPER
	RET

last:
	VMOVDQA (DI), Y0
	VMOVDQU Y0, (DX)
	ADDQ    $32, DI
	ADDQ    $32, DX
	DECQ    BX
	JNZ     last
	VZEROUPPER
	RET
