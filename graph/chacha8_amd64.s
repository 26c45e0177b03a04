//go:build !purego

#include "textflag.h"

// ChaCha8 of 16 nodes from node first on. See the type chacha8 for what its
// fields hold: input at 0, round[0] at 64, round[1] at 128. A vector register
// holds one word of the state of each node.

// 0 to 15, for others of the package, too.
DATA ·lane+0(SB)/4, $0
DATA ·lane+4(SB)/4, $1
DATA ·lane+8(SB)/4, $2
DATA ·lane+12(SB)/4, $3
DATA ·lane+16(SB)/4, $4
DATA ·lane+20(SB)/4, $5
DATA ·lane+24(SB)/4, $6
DATA ·lane+28(SB)/4, $7
DATA ·lane+32(SB)/4, $8
DATA ·lane+36(SB)/4, $9
DATA ·lane+40(SB)/4, $10
DATA ·lane+44(SB)/4, $11
DATA ·lane+48(SB)/4, $12
DATA ·lane+52(SB)/4, $13
DATA ·lane+56(SB)/4, $14
DATA ·lane+60(SB)/4, $15
GLOBL ·lane(SB), RODATA|NOPTR, $64

// Rotations to the left by 16 and 8 bits as byte shuffles.
DATA rotate16<>+0(SB)/8, $0x0504070601000302
DATA rotate16<>+8(SB)/8, $0x0d0c0f0e09080b0a
DATA rotate16<>+16(SB)/8, $0x0504070601000302
DATA rotate16<>+24(SB)/8, $0x0d0c0f0e09080b0a
GLOBL rotate16<>(SB), RODATA|NOPTR, $32
DATA rotate8<>+0(SB)/8, $0x0605040702010003
DATA rotate8<>+8(SB)/8, $0x0e0d0c0f0a09080b
DATA rotate8<>+16(SB)/8, $0x0605040702010003
DATA rotate8<>+24(SB)/8, $0x0e0d0c0f0a09080b
GLOBL rotate8<>(SB), RODATA|NOPTR, $32

// Two additions, exclusive ors and rotations: a += b, d = (d ^ a) <<< n, as a
// shuffle where n is 16 or 8, else with shifts and Y15.
#define ARXSHUFFLE(a0, a1, b0, b1, d0, d1, table) \
	VPADDD  b0, a0, a0          \
	VPADDD  b1, a1, a1          \
	VPXOR   a0, d0, d0          \
	VPXOR   a1, d1, d1          \
	VPSHUFB table<>(SB), d0, d0 \
	VPSHUFB table<>(SB), d1, d1

#define ARXSHIFT(a0, a1, b0, b1, d0, d1, n) \
	VPADDD b0, a0, a0      \
	VPADDD b1, a1, a1      \
	VPXOR  a0, d0, d0      \
	VPXOR  a1, d1, d1      \
	VPSLLD $n, d0, Y15     \
	VPSRLD $(32-n), d0, d0 \
	VPOR   Y15, d0, d0     \
	VPSLLD $n, d1, Y15     \
	VPSRLD $(32-n), d1, d1 \
	VPOR   Y15, d1, d1

// Two quarter rounds.
#define HALFROUND(a0, a1, b0, b1, c0, c1, d0, d1) \
	ARXSHUFFLE(a0, a1, b0, b1, d0, d1, rotate16) \
	ARXSHIFT(c0, c1, d0, d1, b0, b1, 12)         \
	ARXSHUFFLE(a0, a1, b0, b1, d0, d1, rotate8)  \
	ARXSHIFT(c0, c1, d0, d1, b0, b1, 7)

// What drawAVX2 keeps on the stack: words 12 and 14, one of which is in Y12; the nodes;
// and column 3, words 3, 7, 11 and 15, after its first quarter round.
#define WORD12 0
#define WORD14 32
#define NODES  64
#define COLUMN 96

// Words 12 and 14 of the state take turns in Y12: the first half of every round
// needs word 12, the second half word 14.
#define SWAP(out, in) \
	VMOVDQU Y12, out(SP) \
	VMOVDQU in(SP), Y12

#define COLUMNS \
	HALFROUND(Y0, Y1, Y4, Y5, Y8, Y9, Y12, Y13)   \
	SWAP(WORD12, WORD14)                          \
	HALFROUND(Y2, Y3, Y6, Y7, Y10, Y11, Y12, Y14) \
	SWAP(WORD14, WORD12)

#define DIAGONALS \
	HALFROUND(Y0, Y1, Y5, Y6, Y10, Y11, Y14, Y12) \
	SWAP(WORD12, WORD14)                          \
	HALFROUND(Y2, Y3, Y7, Y4, Y8, Y9, Y13, Y12)   \
	SWAP(WORD14, WORD12)

// Output word i is state word x plus input word i.
#define OUT(i, x) \
	VPBROADCASTD (4*i)(SI), Y15 \
	VPADDD       Y15, x, x      \
	VMOVDQU      x, (64*i)(DI)

// func drawAVX2(d *draws, c *chacha8, first uint32)
// Requires: AVX, AVX2
//
// Eight nodes at a time.
//
//	SI  c                            BX  its round of the block
//	DI  the block's output           AX  the first node
//	R8  blocks left                  R9  eights of nodes left
//	CX  double rounds left
//	Y0–Y13 the state's words of these numbers: Y12 word 12 or 14
//	Y14 word 15                      Y15 temporary
TEXT ·drawAVX2(SB), NOSPLIT, $224-20
	MOVQ         d+0(FP), DI
	MOVQ         c+8(FP), SI
	MOVL         first+16(FP), AX
	VMOVD        AX, X0
	VPBROADCASTD X0, Y0
	VPADDD       ·lane(SB), Y0, Y0
	MOVQ         $2, R9

nodes:
	VMOVDQU Y0, NODES(SP)
	VMOVDQA Y0, Y2

	// The first quarter round of column 3.
	VPBROADCASTD 12(SI), Y0
	VPBROADCASTD 28(SI), Y1
	VPBROADCASTD 60(SI), Y3
	VPADDD       Y1, Y0, Y0
	VPXOR        Y0, Y3, Y3
	VPSHUFB      rotate16<>(SB), Y3, Y3
	VPADDD       Y3, Y2, Y2
	VPXOR        Y2, Y1, Y1
	VPSLLD       $12, Y1, Y15
	VPSRLD       $20, Y1, Y1
	VPOR         Y15, Y1, Y1
	VPADDD       Y1, Y0, Y0
	VPXOR        Y0, Y3, Y3
	VPSHUFB      rotate8<>(SB), Y3, Y3
	VPADDD       Y3, Y2, Y2
	VPXOR        Y2, Y1, Y1
	VPSLLD       $7, Y1, Y15
	VPSRLD       $25, Y1, Y1
	VPOR         Y15, Y1, Y1
	VMOVDQU      Y0, COLUMN(SP)
	VMOVDQU      Y1, (COLUMN+32)(SP)
	VMOVDQU      Y2, (COLUMN+64)(SP)
	VMOVDQU      Y3, (COLUMN+96)(SP)

	LEAQ 64(SI), BX
	MOVQ $2, R8

block:
	VPBROADCASTD 56(BX), Y0
	VMOVDQU      Y0, WORD14(SP)
	VPBROADCASTD 0(BX), Y0
	VPBROADCASTD 4(BX), Y1
	VPBROADCASTD 8(BX), Y2
	VMOVDQU      COLUMN(SP), Y3
	VPBROADCASTD 16(BX), Y4
	VPBROADCASTD 20(BX), Y5
	VPBROADCASTD 24(BX), Y6
	VMOVDQU      (COLUMN+32)(SP), Y7
	VPBROADCASTD 32(BX), Y8
	VPBROADCASTD 36(BX), Y9
	VPBROADCASTD 40(BX), Y10
	VMOVDQU      (COLUMN+64)(SP), Y11
	VPBROADCASTD 48(BX), Y12
	VPBROADCASTD 52(BX), Y13
	VMOVDQU      (COLUMN+96)(SP), Y14
	MOVQ         $3, CX

rounds:
	DIAGONALS
	COLUMNS
	DECQ CX
	JNZ  rounds
	DIAGONALS

	OUT(0, Y0)
	OUT(1, Y1)
	OUT(2, Y2)
	OUT(3, Y3)
	DECQ R8
	JZ   next                            // of block 1 only four words are needed
	OUT(4, Y4)
	OUT(5, Y5)
	OUT(6, Y6)
	OUT(7, Y7)
	OUT(8, Y8)
	OUT(9, Y9)
	OUT(10, Y10)
	VPADDD  NODES(SP), Y11, Y11
	VMOVDQU Y11, (64*11)(DI)
	OUT(12, Y12)
	OUT(13, Y13)
	OUT(15, Y14)
	VMOVDQU WORD14(SP), Y12
	OUT(14, Y12)
	ADDQ $64, BX
	ADDQ $(16*64), DI
	JMP  block

next:
	SUBQ         $(16*64 - 32), DI
	MOVL         first+16(FP), AX
	VMOVD        AX, X0
	VPBROADCASTD X0, Y0
	VPADDD       ·lane+32(SB), Y0, Y0
	DECQ         R9
	JNZ          nodes
	VZEROUPPER
	RET
