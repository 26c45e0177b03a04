//go:build !purego

#include "textflag.h"
#include "avx2_amd64.h"

// func unpackAVX2(dst, src *byte, nodes, size, row, pitch int)
// Requires: AVX2, AVX
//
// The labels of eight lanes, whose words lie side by side, one after the other: lane
// by lane, and as files have them. A node is eight rows of eight words, a matrix
// that is transposed.
//
//	DX  lane 0's label               DI  lane 4's
//	SI  rows 0 to 3                  BX  rows 4 to 7
//	CX  nodes to go
//	R8  bytes from lane to lane      R12 three times as much
//	R9  bytes from row to row        R11 three times as much
//	R10 bytes from node to node
//	Y0–Y14 words                     Y15 byte order
TEXT ·unpackAVX2(SB), NOSPLIT, $0-48
	MOVQ    dst+0(FP), DX
	MOVQ    src+8(FP), SI
	MOVQ    nodes+16(FP), CX
	MOVQ    size+24(FP), R8
	MOVQ    row+32(FP), R9
	MOVQ    pitch+40(FP), R10
	LEAQ    (R9)(R9*2), R11
	LEAQ    (R8)(R8*2), R12
	LEAQ    (DX)(R8*4), DI
	VMOVDQU bswap<>(SB), Y15

node:
	LEAQ    (SI)(R9*4), BX
	VMOVDQU (SI), Y0
	VMOVDQU (SI)(R9*1), Y1
	VMOVDQU (SI)(R9*2), Y2
	VMOVDQU (SI)(R11*1), Y3
	VMOVDQU (BX), Y4
	VMOVDQU (BX)(R9*1), Y5
	VMOVDQU (BX)(R9*2), Y6
	VMOVDQU (BX)(R11*1), Y7

	// Pairs of words, of lanes 0, 1, 4, 5 and of lanes 2, 3, 6, 7.
	VPUNPCKLDQ Y1, Y0, Y8
	VPUNPCKHDQ Y1, Y0, Y9
	VPUNPCKLDQ Y3, Y2, Y10
	VPUNPCKHDQ Y3, Y2, Y11
	VPUNPCKLDQ Y5, Y4, Y12
	VPUNPCKHDQ Y5, Y4, Y13
	VPUNPCKLDQ Y7, Y6, Y14
	VPUNPCKHDQ Y7, Y6, Y7

	// Four words: words 0 to 3 of lanes l and l + 4 in Yl, 4 to 7 in Y(l+4).
	VPUNPCKLQDQ Y10, Y8, Y0
	VPUNPCKHQDQ Y10, Y8, Y1
	VPUNPCKLQDQ Y11, Y9, Y2
	VPUNPCKHQDQ Y11, Y9, Y3
	VPUNPCKLQDQ Y14, Y12, Y4
	VPUNPCKHQDQ Y14, Y12, Y5
	VPUNPCKLQDQ Y7, Y13, Y6
	VPUNPCKHQDQ Y7, Y13, Y7
	VPSHUFB     Y15, Y0, Y0
	VPSHUFB     Y15, Y1, Y1
	VPSHUFB     Y15, Y2, Y2
	VPSHUFB     Y15, Y3, Y3
	VPSHUFB     Y15, Y4, Y4
	VPSHUFB     Y15, Y5, Y5
	VPSHUFB     Y15, Y6, Y6
	VPSHUFB     Y15, Y7, Y7

	// Labels.
	VPERM2I128 $0x20, Y4, Y0, Y8
	VPERM2I128 $0x20, Y5, Y1, Y9
	VPERM2I128 $0x20, Y6, Y2, Y10
	VPERM2I128 $0x20, Y7, Y3, Y11
	VPERM2I128 $0x31, Y4, Y0, Y0
	VPERM2I128 $0x31, Y5, Y1, Y1
	VPERM2I128 $0x31, Y6, Y2, Y2
	VPERM2I128 $0x31, Y7, Y3, Y3
	VMOVDQU    Y8, (DX)
	VMOVDQU    Y9, (DX)(R8*1)
	VMOVDQU    Y10, (DX)(R8*2)
	VMOVDQU    Y11, (DX)(R12*1)
	VMOVDQU    Y0, (DI)
	VMOVDQU    Y1, (DI)(R8*1)
	VMOVDQU    Y2, (DI)(R8*2)
	VMOVDQU    Y3, (DI)(R12*1)

	ADDQ R10, SI
	ADDQ $32, DX
	ADDQ $32, DI
	DECQ CX
	JNZ  node
	VZEROUPPER
	RET
