// The code of a label kernel of one group, for registers of the width that the names
// have where it is included, behind block<>.
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W in the frame, the others load it. Block 1 of the next node depends on no
// label: the first four repeated blocks, which have no words to make, take it
// along, one of its rounds to four of theirs. The others prefetch the labels of a
// node soon to come, those of the pair that they hash, whose pages were touched
// some nodes before (TOUCHROW).
//
// The predecessor's label is loaded like any other, in whichever slot it is: whole
// vectors go from store to load before they are in the cache, and that takes some
// 20 of a node's 8,500 cycles.
//
//	AX  r: count is what is left     BX  the node's row
//	DX  where its label goes         R8  the frame's first cache line
//	R15 end of the pairs' K + W      R9  K + W of the block, or of the pairs
//	SI, DI halves of a block, or labels to prefetch
//	R13 K + W of the next rounds     R14 the pair's offset in a row
//	R10, R11, R12 as in a block, then blocks to go and a row to touch or prefetch
//	CX  loops to go
//	N0–N7 state after block 1 of the next node; others as in a block

	MOVQ r+0(FP), AX
	MOVQ labelSpan_dst(AX), DX
	MOVQ labelSpan_parents(AX), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8
	LEAQ (PAIRS+7*KWBLOCK)(R8), R15
	CMPQ labelSpan_expander(AX), $0
	JNE  halves
	LEAQ (PAIRS+3*KWBLOCK)(R8), R15    // layer 1

halves:
	MOVQ            labelSpan_replicas(AX), SI
	LEAQ            LEFT(R8), DI
	VMOVDQU64       lanes<>(SB), S0
	VBROADCASTI32X4 bswap<>(SB), S1
	GATHERLABELS(SI, DI)
	VPBROADCASTD    labelSpan_layer(AX), T0
	VPBROADCASTD    labelSpan_node(AX), T1
	MOVQ            labelSpan_offsets(AX), CX
	VPADDD          (CX), T1, T1
	VPXORD          T2, T2, T2
	VPBROADCASTD    bit<>(SB), T3
	VPBROADCASTD    size<>(SB), T4
	VMOVDQA64       T0, (RIGHT+WIDTH*0)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*1)(R8) // a node's high word is always 0
	VMOVDQA64       T1, (RIGHT+WIDTH*2)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*3)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*4)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*5)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*6)(R8)
	VMOVDQA64       T2, (RIGHT+WIDTH*7)(R8)
	VMOVDQA64       T3, (LAST+WIDTH*0)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*1)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*2)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*3)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*4)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*5)(R8)
	VMOVDQA64       T2, (LAST+WIDTH*6)(R8)
	VMOVDQA64       T4, (LAST+WIDTH*7)(R8)

	// Block 1 of the first node has no chain to hide behind.
	AINITIAL
	LEAQ LEFT(R8), SI
	LEAQ RIGHT(R8), DI
	LEAQ ONCE(R8), R9
	CALL block<>(SB)

node:
	TOUCHROW
	LEAQ PAIRS(R8), R9
	XORL R14, R14

pair:
	MOVQ 0(BX)(R14*1), SI
	MOVQ 8(BX)(R14*1), DI
	CALL block<>(SB)
	ADDQ $16, R14
	ADDQ $KWBLOCK, R9
	CMPQ R9, R15
	JB   pair

	// Four pairs again, and block 1 of the next node.
	VMOVDQA64   (RIGHT+WIDTH*2)(R8), T0
	VPADDD.BCST one<>(SB), T0, T0
	VMOVDQA64   T0, (RIGHT+WIDTH*2)(R8)
	LEAQ        WORDS(R8), R10
	LEAQ        ONCE(R8), R11
	LEAQ        ·k(SB), R12
	LEAQ        LEFT(R8), SI
	LEAQ        RIGHT(R8), DI
	HALF(0, SI)
	HALF(8, DI)
	BINITIAL
	LEAQ        PAIRS(R8), R9
	MOVQ        R9, R13
	MOVQ        R11, SI                  // K + W of block 1's next rounds
	MOVL        $4, DI                   // blocks to go

mixed:
	KEEP
	MOVL $2, CX

both:
	FOURROUNDS(4*0, R13)
	B0(ROUND, (WIDTH*0)(SI))
	NEXTWORD(0, W0)
	FOURROUNDS(4*1, R13)
	B1(ROUND, (WIDTH*1)(SI))
	NEXTWORD(1, W1)
	FOURROUNDS(4*2, R13)
	B2(ROUND, (WIDTH*2)(SI))
	NEXTWORD(2, W0)
	FOURROUNDS(4*3, R13)
	B3(ROUND, (WIDTH*3)(SI))
	NEXTWORD(3, W1)
	FOURROUNDS(4*4, R13)
	B0(ROUND, (WIDTH*4)(SI))
	NEXTWORD(4, W0)
	FOURROUNDS(4*5, R13)
	B1(ROUND, (WIDTH*5)(SI))
	NEXTWORD(5, W1)
	FOURROUNDS(4*6, R13)
	B2(ROUND, (WIDTH*6)(SI))
	FOURROUNDS(4*7, R13)
	B3(ROUND, (WIDTH*7)(SI))
	ADVANCE
	ADDQ    $(WIDTH*32), R13
	ADDQ    $(WIDTH*8), SI
	DECL    CX
	JNZ     both
	ADDKEPT
	CMPQ    R13, R15
	CMOVQEQ R9, R13
	DECL    DI
	JNZ     mixed
	VPADDD.BCST ·initial+(4*0)(SB), N0, N0
	VPADDD.BCST ·initial+(4*1)(SB), N1, N1
	VPADDD.BCST ·initial+(4*2)(SB), N2, N2
	VPADDD.BCST ·initial+(4*3)(SB), N3, N3
	VPADDD.BCST ·initial+(4*4)(SB), N4, N4
	VPADDD.BCST ·initial+(4*5)(SB), N5, N5
	VPADDD.BCST ·initial+(4*6)(SB), N6, N6
	VPADDD.BCST ·initial+(4*7)(SB), N7, N7

	// The pairs again, until they were 18 blocks. R14 is 16 for each.
	SHRQ $4, R14
	MOVL $(18-4), R10
	SUBQ R14, R10                        // blocks to go
	MOVQ R13, R14
	SUBQ R9, R14
	SHRQ $(BLOCKBITS-4), R14
	SOON

repeated:
	SOONPAIR
	KEEP
	MOVL $8, CX

eight:
	SOONLINES
	FOURROUNDS(0, R13)
	FOURROUNDS(4, R13)
	ADDQ $(WIDTH*8), R13
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
	LEAQ ONCE(R8), R9
	CALL block<>(SB)
	VPANDD.BCST field<>(SB), S7, S7
	VMOVDQU64   S0, (WIDTH*0)(DX)
	VMOVDQU64   S1, (WIDTH*1)(DX)
	VMOVDQU64   S2, (WIDTH*2)(DX)
	VMOVDQU64   S3, (WIDTH*3)(DX)
	VMOVDQU64   S4, (WIDTH*4)(DX)
	VMOVDQU64   S5, (WIDTH*5)(DX)
	VMOVDQU64   S6, (WIDTH*6)(DX)
	VMOVDQU64   S7, (WIDTH*7)(DX)
	VMOVDQA64   N0, S0
	VMOVDQA64   N1, S1
	VMOVDQA64   N2, S2
	VMOVDQA64   N3, S3
	VMOVDQA64   N4, S4
	VMOVDQA64   N5, S5
	VMOVDQA64   N6, S6
	VMOVDQA64   N7, S7

	ADDQ $(8*WIDTH), DX
	ADDQ $const_rowBytes, BX
	DECQ labelSpan_count(AX)
	JNZ  node
	VZEROUPPER
	RET
