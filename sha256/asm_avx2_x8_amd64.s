//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx2_amd64.h"

// Words 8 to 15 of a label's last block, of all lanes: a set bit, zeros, and the
// message's 1248 bytes counted in bits.
DATA finish<>+0x00(SB)/8, $0x8000000080000000
DATA finish<>+0x08(SB)/8, $0x8000000080000000
DATA finish<>+0x10(SB)/8, $0x8000000080000000
DATA finish<>+0x18(SB)/8, $0x8000000080000000
DATA finish<>+0xe0(SB)/8, $0x0000270000002700
DATA finish<>+0xe8(SB)/8, $0x0000270000002700
DATA finish<>+0xf0(SB)/8, $0x0000270000002700
DATA finish<>+0xf8(SB)/8, $0x0000270000002700
GLOBL finish<>(SB), RODATA|NOPTR, $256

// What else labels have on the stack: the replica ids and what follows them in block 1,
// which make its message, and K + W of block 1, of the pairs of parents, and of the last
// block, so much for each.
#define REPLICAS  SCRATCH
#define NODE      (SCRATCH+256)
#define SCHEDULES (SCRATCH+512)
#define KWBLOCK   2048

// Keeps K + W of a round at R9.
#define KEEP(t) \
	VMOVDQU Y15, (32*t)(R9)(CX*8)

// The kinds of rounds: with words of the label at R13 or, eight further on, R14; with
// the schedule's next words; and with K + W that was kept.
#define ROUNDLEFT(t, a, b, c, d, e, f, g, h, ab, bc) \
	VMOVDQU (32*t)(R13), Y14                   \
	ADDK(t)                                    \
	KEEP(t)                                    \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

#define ROUNDRIGHT(t, a, b, c, d, e, f, g, h, ab, bc) \
	VMOVDQU (32*t-256)(R14), Y14               \
	ADDK(t)                                    \
	KEEP(t)                                    \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

#define ROUNDKEEP(t, a, b, c, d, e, f, g, h, ab, bc) \
	EXTEND(t)                                  \
	KEEP(t)                                    \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

#define ROUNDKEPT(t, a, b, c, d, e, f, g, h, ab, bc) \
	ROUND((32*t)(R9)(CX*8), a, b, c, d, e, f, g, h, ab, bc)

// func labelAVX2x8(r *labelSpan)
// Requires: AVX2, AVX
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W on the stack, the others load it. Each of these also prefetches a pair of
// a node further on, a line of both parents every sixteen rounds.
//
//	BX  the node's row               DX  where its labels go
//	R8  what lies on the stack       R15 K + W of the last block, behind the pairs'
//	R9  K + W of the block           R10 repeated blocks to go
//	R11 round constants              R12 a pair of the row
//	R13, R14 addresses               AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	CX  sixteen rounds: 0, 64, 128, 192, as far as their constants are from R11,
//	    their K + W (times 8) from R9, and the line to prefetch from its label
//	Y0–Y7 state                      Y8, Y9 b ^ c, a ^ b
//	Y10–Y15 temporaries: Y14 message word, Y15 K + W
TEXT ·labelAVX2x8(SB), 0, $19776-8
	MOVQ r+0(FP), AX
	MOVQ labelSpan_dst(AX), DX
	MOVQ labelSpan_parents(AX), BX
	MOVQ labelSpan_count(AX), DI
	LEAQ 63(SP), R8
	ANDQ $~63, R8
	LEAQ ·k(SB), R11

	MOVQ    labelSpan_replicas(AX), R13
	VMOVDQU bswap<>(SB), Y15
	LOADWORDS(0(R13), 32(R13), 64(R13), 96(R13), 128(R13), 160(R13), 192(R13), 224(R13), REPLICAS)
	LOADWORDS(16(R13), 48(R13), 80(R13), 112(R13), 144(R13), 176(R13), 208(R13), 240(R13), REPLICAS+128)

	// [layer, node's high word, node's low word, 0, 0, 0, 0, 0]: the high word is
	// always 0, the low one kept one less than the next node.
	VPBROADCASTD labelSpan_layer(AX), Y0
	VPBROADCASTD labelSpan_node(AX), Y1
	MOVQ         labelSpan_offsets(AX), R13
	VPADDD       (R13), Y1, Y1
	VPXOR        Y2, Y2, Y2
	VPCMPEQD     Y3, Y3, Y3
	VPADDD       Y3, Y1, Y1
	VMOVDQU      Y0, (NODE+0)(R8)
	VMOVDQU      Y2, (NODE+32)(R8)
	VMOVDQU      Y1, (NODE+64)(R8)
	VMOVDQU      Y2, (NODE+96)(R8)
	VMOVDQU      Y2, (NODE+128)(R8)
	VMOVDQU      Y2, (NODE+160)(R8)
	VMOVDQU      Y2, (NODE+192)(R8)
	VMOVDQU      Y2, (NODE+224)(R8)

	LEAQ (SCHEDULES+8*KWBLOCK)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelSpan_expander(AX), $0
	JNE  start
	LEAQ (SCHEDULES+4*KWBLOCK)(R8), R15 // layer 1
	XORL SI, SI

start:
	MOVQ labelSpan_ahead(AX), AX

node:
	VPCMPEQD Y0, Y0, Y0
	VMOVDQU  (NODE+64)(R8), Y1
	VPSUBD   Y0, Y1, Y1
	VMOVDQU  Y1, (NODE+64)(R8)
	INITIAL(R13)
	LEAQ     REPLICAS(R8), R13
	LEAQ     NODE(R8), R14
	LEAQ     SCHEDULES(R8), R9
	MOVQ     BX, R12

	// A block whose schedule is new: block 1, those of the pairs, the last one.
block:
	SAVE
	XORL CX, CX
	SIXTEEN(ROUNDLEFT, ROUNDRIGHT)
	ADDQ $64, CX

extend:
	SIXTEEN(ROUNDKEEP, ROUNDKEEP)
	ADDQ $64, CX
	CMPQ CX, $256
	JNE  extend
	ADDSAVED

	ADDQ $KWBLOCK, R9
	CMPQ R9, R15
	JHI  label
	JEQ  again
	MOVQ 0(R12), R13
	MOVQ 8(R12), R14
	ADDQ $16, R12
	JMP  block

	// The pairs' blocks again, 18 less those that there are.
again:
	MOVQ R15, R10
	SUBQ R8, R10
	SUBQ $SCHEDULES, R10
	SHRQ $11, R10       // the pairs and one
	SUBQ $19, R10
	NEGQ R10
	LEAQ (SCHEDULES+KWBLOCK)(R8), R9
	MOVQ BX, R12

repeated:
	SAVE
	XORL CX, CX
	MOVQ 0(R12)(AX*1), R13
	MOVQ 8(R12)(AX*1), R14

sixteen:
	PREFETCHT0 (R13)(CX*1)
	PREFETCHT0 (R14)(CX*1)
	SIXTEEN(ROUNDKEPT, ROUNDKEPT)
	ADDQ       $64, CX
	CMPQ       CX, $256
	JNE        sixteen
	ADDSAVED

	LEAQ    32(BX)(SI*1), R13 // the last pair, again and again once all are done
	ADDQ    $16, R12
	CMPQ    R12, R13
	CMOVQHI R13, R12
	LEAQ    (SCHEDULES+KWBLOCK)(R8), R13
	ADDQ    $KWBLOCK, R9
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	DECQ    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ R15, R9
	MOVQ (BX)(SI*1), R13
	LEAQ finish<>(SB), R14
	JMP  block

label:
	TRUNCATE(Y8)
	VMOVDQU Y0, 0(DX)
	VMOVDQU Y1, 32(DX)
	VMOVDQU Y2, 64(DX)
	VMOVDQU Y3, 96(DX)
	VMOVDQU Y4, 128(DX)
	VMOVDQU Y5, 160(DX)
	VMOVDQU Y6, 192(DX)
	VMOVDQU Y7, 224(DX)
	ADDQ    $256, DX
	ADDQ    $const_rowBytes, BX
	DECQ    DI
	JNZ     node
	VZEROUPPER
	RET
