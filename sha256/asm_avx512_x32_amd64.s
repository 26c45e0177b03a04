//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_groups_amd64.h"

// func labelAVX512x32(r *labelSpan)
// Requires: AVX512F, AVX512BW, AVX
//
// As labelAVX512x16, but there is no slack that block 1 could fill.
//
//	AX, BX, DX, R8, R15, R9, SI, DI, R13, R14, CX as there
//	R10 repeated blocks to go        R12 the row to touch or prefetch
TEXT ·labelAVX512x32(SB), 0, $69696-8
	MOVQ r+0(FP), AX
	MOVQ labelSpan_dst(AX), DX
	MOVQ labelSpan_parents(AX), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8
	LEAQ (PAIRS+7*KWBLOCK)(R8), R15
	CMPQ labelSpan_expander(AX), $0
	JNE  halves
	LEAQ (PAIRS+3*KWBLOCK)(R8), R15      // layer 1

halves:
	MOVQ            labelSpan_replicas(AX), SI
	LEAQ            LEFT(R8), DI
	VMOVDQU64       lanes<>(SB), Z0
	VBROADCASTI32X4 bswap<>(SB), Z1
	GATHERLABELS(SI, DI)
	ADDQ            $512, SI
	ADDQ            $512, DI
	GATHERLABELS(SI, DI)
	VPXORD          Z16, Z16, Z16
	LEAQ            RIGHT(R8), DI
	MOVL            $32, CX

zero:
	VMOVDQA64    Z16, (DI)               // RIGHT and LAST
	ADDQ         $64, DI
	DECL         CX
	JNZ          zero
	VPBROADCASTD labelSpan_layer(AX), Z16
	VPBROADCASTD labelSpan_node(AX), Z17
	VPBROADCASTD bit<>(SB), Z18
	VPBROADCASTD size<>(SB), Z19
	VMOVDQA64    Z16, (RIGHT+64*0)(R8)
	VMOVDQA64    Z16, (RIGHT+64*0+512)(R8)
	VMOVDQA64    Z17, (RIGHT+64*2)(R8)
	VMOVDQA64    Z17, (RIGHT+64*2+512)(R8)
	VMOVDQA64    Z18, (LAST+64*0)(R8)
	VMOVDQA64    Z18, (LAST+64*0+512)(R8)
	VMOVDQA64    Z19, (LAST+64*7)(R8)
	VMOVDQA64    Z19, (LAST+64*7+512)(R8)

node:
	TOUCHROW
	AINITIAL
	BINITIAL
	LEAQ LEFT(R8), SI
	LEAQ RIGHT(R8), DI
	LEAQ PAIRS(R8), R9
	CALL ·blockAVX512x32(SB)
	XORL R14, R14

pair:
	MOVQ 0(BX)(R14*1), SI
	MOVQ 8(BX)(R14*1), DI
	CALL ·blockAVX512x32(SB)
	ADDQ $16, R14
	ADDQ $KWBLOCK, R9
	CMPQ R9, R15
	JB   pair

	// The pairs again, until they were 18 blocks. R14 is 16 for each.
	SHRQ $4, R14
	MOVL $18, R10
	SUBQ R14, R10
	XORL R14, R14
	LEAQ PAIRS(R8), R9
	MOVQ R9, R13
	ROWSOON

repeated:
	MOVQ 0(R12)(R14*1), SI
	MOVQ 8(R12)(R14*1), DI
	KEEP
	MOVL $8, CX

eight:
	PREFETCHT0 (SI)
	PREFETCHT0 512(SI)
	PREFETCHT0 (DI)
	PREFETCHT0 512(DI)
	ADDQ $64, SI
	ADDQ $64, DI
	A0(CHAINROUND, (128*0)(R13))
	B0(CHAINROUND, (128*0+64)(R13))
	A1(CHAINROUND, (128*1)(R13))
	B1(CHAINROUND, (128*1+64)(R13))
	A2(CHAINROUND, (128*2)(R13))
	B2(CHAINROUND, (128*2+64)(R13))
	A3(CHAINROUND, (128*3)(R13))
	B3(CHAINROUND, (128*3+64)(R13))
	A0(CHAINROUND, (128*4)(R13))
	B0(CHAINROUND, (128*4+64)(R13))
	A1(CHAINROUND, (128*5)(R13))
	B1(CHAINROUND, (128*5+64)(R13))
	A2(CHAINROUND, (128*6)(R13))
	B2(CHAINROUND, (128*6+64)(R13))
	A3(CHAINROUND, (128*7)(R13))
	B3(CHAINROUND, (128*7+64)(R13))
	ADDQ $(128*8), R13
	DECL CX
	JNZ  eight
	ADDKEPT
	ADDQ    $16, R14
	CMPQ    R13, R15
	CMOVQEQ R9, R13
	CMOVQEQ CX, R14                      // 0
	DECL    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ labelSpan_expander(AX), CX
	SHLQ $6, CX
	MOVQ (BX)(CX*1), SI
	LEAQ LAST(R8), DI
	CALL ·blockAVX512x32(SB)
	VPANDD.BCST field<>(SB), Z7, Z7
	VPANDD.BCST field<>(SB), Z15, Z15
	VMOVDQU64   Z0, (64*0)(DX)
	VMOVDQU64   Z1, (64*1)(DX)
	VMOVDQU64   Z2, (64*2)(DX)
	VMOVDQU64   Z3, (64*3)(DX)
	VMOVDQU64   Z4, (64*4)(DX)
	VMOVDQU64   Z5, (64*5)(DX)
	VMOVDQU64   Z6, (64*6)(DX)
	VMOVDQU64   Z7, (64*7)(DX)
	VMOVDQU64   Z8, (64*8)(DX)
	VMOVDQU64   Z9, (64*9)(DX)
	VMOVDQU64   Z10, (64*10)(DX)
	VMOVDQU64   Z11, (64*11)(DX)
	VMOVDQU64   Z12, (64*12)(DX)
	VMOVDQU64   Z13, (64*13)(DX)
	VMOVDQU64   Z14, (64*14)(DX)
	VMOVDQU64   Z15, (64*15)(DX)

	VMOVDQA64   (RIGHT+64*2)(R8), Z16
	VPADDD.BCST one<>(SB), Z16, Z16
	VMOVDQA64   Z16, (RIGHT+64*2)(R8)
	VMOVDQA64   Z16, (RIGHT+64*2+512)(R8)
	ADDQ        $1024, DX
	ADDQ        $const_rowBytes, BX
	DECQ        labelSpan_count(AX)
	JNZ         node
	VZEROUPPER
	RET
