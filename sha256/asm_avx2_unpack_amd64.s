//go:build !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "avx2_transpose_amd64.h"

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
	TRANSPOSEWORDS
	VMOVDQU Y8, (DX)
	VMOVDQU Y9, (DX)(R8*1)
	VMOVDQU Y10, (DX)(R8*2)
	VMOVDQU Y11, (DX)(R12*1)
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, (DI)(R8*1)
	VMOVDQU Y2, (DI)(R8*2)
	VMOVDQU Y3, (DI)(R12*1)

	ADDQ R10, SI
	ADDQ $32, DX
	ADDQ $32, DI
	DECQ CX
	JNZ  node
	VZEROUPPER
	RET
