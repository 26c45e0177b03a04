//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx2_amd64.h"
#include "avx2_transpose_amd64.h"

// func gatherAVX2(dst *byte, addrs *uintptr, slots, step, row, pitch int)
// Requires: AVX2, AVX
//
// The inverse of unpackAVX2: eight labels that lie anywhere, as files have them, become
// eight rows of a word of each. So for slot after slot of a node in each lane.
//
//	DX  rows 0 to 3                  DI  rows 4 to 7
//	SI  the address of lane 0's      BX  of lane 4's
//	CX  slots to go                  AX  an address
//	R8  bytes from lane to lane      R12 three times as much
//	R9  bytes from row to row        R11 three times as much
//	R10 bytes from slot to slot
//	Y0–Y14 words                     Y15 byte order
TEXT ·gatherAVX2(SB), NOSPLIT, $0-48
	MOVQ    dst+0(FP), DX
	MOVQ    addrs+8(FP), SI
	MOVQ    slots+16(FP), CX
	MOVQ    step+24(FP), R8
	MOVQ    row+32(FP), R9
	MOVQ    pitch+40(FP), R10
	LEAQ    (R9)(R9*2), R11
	LEAQ    (R8)(R8*2), R12
	LEAQ    (SI)(R8*4), BX
	VMOVDQU bswap<>(SB), Y15

slot:
	LEAQ    (DX)(R9*4), DI
	MOVQ    (SI), AX
	VMOVDQU (AX), Y0
	MOVQ    (SI)(R8*1), AX
	VMOVDQU (AX), Y1
	MOVQ    (SI)(R8*2), AX
	VMOVDQU (AX), Y2
	MOVQ    (SI)(R12*1), AX
	VMOVDQU (AX), Y3
	MOVQ    (BX), AX
	VMOVDQU (AX), Y4
	MOVQ    (BX)(R8*1), AX
	VMOVDQU (AX), Y5
	MOVQ    (BX)(R8*2), AX
	VMOVDQU (AX), Y6
	MOVQ    (BX)(R12*1), AX
	VMOVDQU (AX), Y7
	TRANSPOSEWORDS
	VMOVDQU Y8, (DX)
	VMOVDQU Y9, (DX)(R9*1)
	VMOVDQU Y10, (DX)(R9*2)
	VMOVDQU Y11, (DX)(R11*1)
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, (DI)(R9*1)
	VMOVDQU Y2, (DI)(R9*2)
	VMOVDQU Y3, (DI)(R11*1)
	ADDQ    R10, DX
	ADDQ    $8, SI
	ADDQ    $8, BX
	DECQ    CX
	JNZ     slot
	VZEROUPPER
	RET
