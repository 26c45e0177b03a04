//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// SHA-256 of eight messages in lock-step with AVX2: a register has one word of
// all eight, lane 0 lowest.
//
// A round is 34 vector operations, of which each rotation takes three: two shifts
// and an exclusive or. Three or four of them start in a cycle, so that their
// number bounds a round, 9 to 11 cycles, and not the chain from a round to the
// next, 6 operations long. (Rotations within each other, ((x>>>14 ^ x)>>>5 ^
// x)>>>6, are as many operations on a longer chain: a tenth slower.)

// PSHUFB mask that turns the bytes of four words around, for both halves.
DATA bswap8<>+0x00(SB)/8, $0x0405060700010203
DATA bswap8<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
DATA bswap8<>+0x10(SB)/8, $0x0405060700010203
DATA bswap8<>+0x18(SB)/8, $0x0c0d0e0f08090a0b
GLOBL bswap8<>(SB), RODATA|NOPTR, $32

// Clears the two high bits of a digest's last byte, in its last word.
DATA field8<>+0x00(SB)/4, $0xffffff3f
GLOBL field8<>(SB), RODATA|NOPTR, $4

// Words 8 to 15 of a label's last block, of all lanes: a set bit, zeros, and the
// message's 1248 bytes counted in bits.
DATA finish8<>+0x00(SB)/8, $0x8000000080000000
DATA finish8<>+0x08(SB)/8, $0x8000000080000000
DATA finish8<>+0x10(SB)/8, $0x8000000080000000
DATA finish8<>+0x18(SB)/8, $0x8000000080000000
DATA finish8<>+0xe0(SB)/8, $0x0000270000002700
DATA finish8<>+0xe8(SB)/8, $0x0000270000002700
DATA finish8<>+0xf0(SB)/8, $0x0000270000002700
DATA finish8<>+0xf8(SB)/8, $0x0000270000002700
GLOBL finish8<>(SB), RODATA|NOPTR, $256

// One round: h becomes the next a, d the next e, and ab, a ^ b, is the next
// round's bc, so that its majority is ab & bc ^ b. Y10 to Y13 are lost.
#define ROUND(kw, a, b, c, d, e, f, g, h, ab, bc) \
	VPADDD kw, h, h      \
	VPXOR  f, g, Y10     \
	VPSRLD $6, e, Y11    \
	VPSLLD $26, e, Y12   \
	VPAND  e, Y10, Y10   \
	VPSRLD $11, e, Y13   \
	VPXOR  Y12, Y11, Y11 \
	VPSLLD $21, e, Y12   \
	VPXOR  g, Y10, Y10   \
	VPXOR  Y12, Y13, Y13 \
	VPADDD Y10, h, h     \
	VPSRLD $25, e, Y12   \
	VPSLLD $7, e, Y10    \
	VPXOR  Y13, Y11, Y11 \
	VPXOR  Y10, Y12, Y12 \
	VPXOR  Y12, Y11, Y11 \
	VPADDD Y11, h, h     \
	VPSRLD $2, a, Y11    \
	VPSLLD $30, a, Y12   \
	VPADDD h, d, d       \
	VPXOR  a, b, ab      \
	VPSRLD $13, a, Y13   \
	VPXOR  Y12, Y11, Y11 \
	VPSLLD $19, a, Y12   \
	VPAND  ab, bc, bc    \
	VPXOR  Y12, Y13, Y13 \
	VPXOR  b, bc, bc     \
	VPSRLD $22, a, Y12   \
	VPSLLD $10, a, Y10   \
	VPXOR  Y13, Y11, Y11 \
	VPXOR  Y10, Y12, Y12 \
	VPADDD bc, h, h      \
	VPXOR  Y12, Y11, Y11 \
	VPADDD Y11, h, h

// Sixteen rounds, numbered 0 to 15: eight of one kind, eight of another. The state
// is in Y0 to Y7, before and after.
#define SIXTEEN(LOW, HIGH) \
	LOW(0, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y9, Y8)   \
	LOW(1, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y8, Y9)   \
	LOW(2, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y9, Y8)   \
	LOW(3, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y8, Y9)   \
	LOW(4, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y9, Y8)   \
	LOW(5, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y8, Y9)   \
	LOW(6, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y9, Y8)   \
	LOW(7, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y8, Y9)   \
	HIGH(8, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y9, Y8)  \
	HIGH(9, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y8, Y9)  \
	HIGH(10, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y9, Y8) \
	HIGH(11, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y8, Y9) \
	HIGH(12, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y9, Y8) \
	HIGH(13, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y8, Y9) \
	HIGH(14, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y9, Y8) \
	HIGH(15, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y8, Y9)

// What lies on the stack, in whole cache lines from R8 on: the state before the
// block, the block's last 16 message words; and only for labels the replica ids
// and what follows them in block 1, which make its message, and K + W of block 1,
// of the pairs of parents, and of the last block.
#define STATE 0
#define RING 256
#define REPLICAS 768
#define NODE 1024
#define SCHEDULES 1280

// K + W of word t of the sixteen at CX into Y15, for word W in Y14, which is kept
// in the ring.
#define ADDK(t) \
	VMOVDQU      Y14, (RING+32*t)(R8)  \
	VPBROADCASTD (4*t)(R11)(CX*1), Y15 \
	VPADDD       Y14, Y15, Y15

// The message schedule: word t of the next sixteen replaces that of the last. The
// first ten instructions are σ0 of the word 15 before, then comes σ1 of that 2 before.
#define EXTEND(t) \
	VMOVDQU (RING+32*((t+1)%16))(R8), Y10      \
	VPSRLD  $7, Y10, Y11                       \
	VPSLLD  $25, Y10, Y12                      \
	VPSRLD  $18, Y10, Y13                      \
	VPXOR   Y12, Y11, Y11                      \
	VPSLLD  $14, Y10, Y14                      \
	VPSRLD  $3, Y10, Y10                       \
	VPXOR   Y14, Y13, Y13                      \
	VPXOR   Y10, Y11, Y11                      \
	VPXOR   Y13, Y11, Y11                      \
	VMOVDQU (RING+32*((t+14)%16))(R8), Y10     \
	VPADDD  (RING+32*t)(R8), Y11, Y14          \
	VPADDD  (RING+32*((t+9)%16))(R8), Y14, Y14 \
	VPSRLD  $17, Y10, Y11                      \
	VPSLLD  $15, Y10, Y12                      \
	VPSRLD  $19, Y10, Y13                      \
	VPXOR   Y12, Y11, Y11                      \
	VPSLLD  $13, Y10, Y12                      \
	VPSRLD  $10, Y10, Y10                      \
	VPXOR   Y12, Y13, Y13                      \
	VPXOR   Y10, Y11, Y11                      \
	VPXOR   Y13, Y11, Y11                      \
	VPADDD  Y11, Y14, Y14                      \
	ADDK(t)

// Keeps K + W of a round at R9.
#define KEEP(t) \
	VMOVDQU Y15, (32*t)(R9)(CX*8)

// The kinds of rounds: with words of the label at R13 or, eight further on, R14;
// with the schedule's next words; with K + W that was kept; and where nothing is
// kept, with words in the ring, with the next words, and with K + W at R9 that is
// the same for all lanes.
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

#define ROUNDRING(t, a, b, c, d, e, f, g, h, ab, bc) \
	VMOVDQU (RING+32*t)(R8), Y14               \
	ADDK(t)                                    \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

#define ROUNDNEW(t, a, b, c, d, e, f, g, h, ab, bc) \
	EXTEND(t)                                  \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

#define ROUNDCONST(t, a, b, c, d, e, f, g, h, ab, bc) \
	VPBROADCASTD (4*t)(R9)(CX*1), Y15          \
	ROUND(Y15, a, b, c, d, e, f, g, h, ab, bc)

// Sets the state to that before the first block; p is lost.
#define INITIAL(p) \
	LEAQ         ·initial(SB), p \
	VPBROADCASTD 0(p), Y0        \
	VPBROADCASTD 4(p), Y1        \
	VPBROADCASTD 8(p), Y2        \
	VPBROADCASTD 12(p), Y3       \
	VPBROADCASTD 16(p), Y4       \
	VPBROADCASTD 20(p), Y5       \
	VPBROADCASTD 24(p), Y6       \
	VPBROADCASTD 28(p), Y7

// Keeps the state before a block, and sets b ^ c for its first round.
#define SAVE \
	VMOVDQU Y0, (STATE+0)(R8)   \
	VMOVDQU Y1, (STATE+32)(R8)  \
	VMOVDQU Y2, (STATE+64)(R8)  \
	VMOVDQU Y3, (STATE+96)(R8)  \
	VMOVDQU Y4, (STATE+128)(R8) \
	VMOVDQU Y5, (STATE+160)(R8) \
	VMOVDQU Y6, (STATE+192)(R8) \
	VMOVDQU Y7, (STATE+224)(R8) \
	VPXOR   Y1, Y2, Y8

// Adds the state kept to that after the block.
#define ADDSAVED \
	VPADDD (STATE+0)(R8), Y0, Y0   \
	VPADDD (STATE+32)(R8), Y1, Y1  \
	VPADDD (STATE+64)(R8), Y2, Y2  \
	VPADDD (STATE+96)(R8), Y3, Y3  \
	VPADDD (STATE+128)(R8), Y4, Y4 \
	VPADDD (STATE+160)(R8), Y5, Y5 \
	VPADDD (STATE+192)(R8), Y6, Y6 \
	VPADDD (STATE+224)(R8), Y7, Y7

// Truncates the digest; t is lost.
#define TRUNCATE(t) \
	VPBROADCASTD field8<>(SB), t \
	VPAND        t, Y7, Y7

// Transposes the 4 by 4 words of rows r0 to r3, in both halves of the registers.
#define TRANSPOSE(r0, r1, r2, r3, t0, t1, t2, t3) \
	VPUNPCKLDQ  r1, r0, t0 \
	VPUNPCKHDQ  r1, r0, t1 \
	VPUNPCKLDQ  r3, r2, t2 \
	VPUNPCKHDQ  r3, r2, t3 \
	VPUNPCKLQDQ t2, t0, r0 \
	VPUNPCKHQDQ t2, t0, r1 \
	VPUNPCKLQDQ t3, t1, r2 \
	VPUNPCKHQDQ t3, t1, r3

// Four message words of each lane, from m0 to m7 to dst, word by word. Y15 has the byte order; Y0 to Y7 are lost.
#define LOADWORDS(m0, m1, m2, m3, m4, m5, m6, m7, dst) \
	VBROADCASTI128 m0, Y0                     \
	VBROADCASTI128 m1, Y1                     \
	VBROADCASTI128 m2, Y2                     \
	VBROADCASTI128 m3, Y3                     \
	VINSERTI128    $1, m4, Y0, Y0             \
	VINSERTI128    $1, m5, Y1, Y1             \
	VINSERTI128    $1, m6, Y2, Y2             \
	VINSERTI128    $1, m7, Y3, Y3             \
	VPSHUFB        Y15, Y0, Y0                \
	VPSHUFB        Y15, Y1, Y1                \
	VPSHUFB        Y15, Y2, Y2                \
	VPSHUFB        Y15, Y3, Y3                \
	TRANSPOSE(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7) \
	VMOVDQU        Y0, (dst+0)(R8)            \
	VMOVDQU        Y1, (dst+32)(R8)           \
	VMOVDQU        Y2, (dst+64)(R8)           \
	VMOVDQU        Y3, (dst+96)(R8)

// func labelAVX2x8(r *labelRun)
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
	MOVQ labelRun_dst(AX), DX
	MOVQ labelRun_parents(AX), BX
	MOVQ labelRun_count(AX), DI
	LEAQ 63(SP), R8
	ANDQ $~63, R8
	LEAQ ·k(SB), R11

	MOVQ    labelRun_replicas(AX), R13
	VMOVDQU bswap8<>(SB), Y15
	LOADWORDS(0(R13), 32(R13), 64(R13), 96(R13), 128(R13), 160(R13), 192(R13), 224(R13), REPLICAS)
	LOADWORDS(16(R13), 48(R13), 80(R13), 112(R13), 144(R13), 176(R13), 208(R13), 240(R13), REPLICAS+128)

	// [layer, node's high word, node's low word, 0, 0, 0, 0, 0]: the high word is
	// always 0, the low one kept one less than the next node.
	VPBROADCASTD labelRun_layer(AX), Y0
	VPBROADCASTD labelRun_node(AX), Y1
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

	LEAQ (SCHEDULES+8*2048)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelRun_expander(AX), $0
	JNE  start
	LEAQ (SCHEDULES+4*2048)(R8), R15 // layer 1
	XORL SI, SI

start:
	MOVQ labelRun_ahead(AX), AX

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

	ADDQ $2048, R9
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
	LEAQ (SCHEDULES+2048)(R8), R9
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
	LEAQ    (SCHEDULES+2048)(R8), R13
	ADDQ    $2048, R9
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	DECQ    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ R15, R9
	MOVQ (BX)(SI*1), R13
	LEAQ finish8<>(SB), R14
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
	ADDQ    $112, BX
	DECQ    DI
	JNZ     node
	VZEROUPPER
	RET

// The next of messages or digests of so many bytes, or the same again where there
// is none; AX counts those to go.
#define NEXT(size, p, next) \
	LEAQ    size(p), next \
	DECQ    AX            \
	CMOVQLE p, next

// All of eight, the first at p.
#define EIGHT(size, p) \
	MOVQ BX, AX          \
	NEXT(size, p, R9)    \
	NEXT(size, R9, R10)  \
	NEXT(size, R10, R11) \
	NEXT(size, R11, R12) \
	NEXT(size, R12, R13) \
	NEXT(size, R13, R14) \
	NEXT(size, R14, R15)

// Message words 4i to 4i+3 of all lanes into the ring.
#define LOADRING(i) \
	LOADWORDS((16*i)(SI), (16*i)(R9), (16*i)(R10), (16*i)(R11), (16*i)(R12), (16*i)(R13), (16*i)(R14), (16*i)(R15), RING+128*i)

// Stores the words w0 to w3 of all lanes, at in their digests; Y8 to Y11 are lost.
#define STOREWORDS(at, w0, w1, w2, w3) \
	VPSHUFB      Y15, w0, w0                    \
	VPSHUFB      Y15, w1, w1                    \
	VPSHUFB      Y15, w2, w2                    \
	VPSHUFB      Y15, w3, w3                    \
	TRANSPOSE(w0, w1, w2, w3, Y8, Y9, Y10, Y11) \
	VEXTRACTI128 $0, w0, at(DI)                 \
	VEXTRACTI128 $0, w1, at(R9)                 \
	VEXTRACTI128 $0, w2, at(R10)                \
	VEXTRACTI128 $0, w3, at(R11)                \
	VEXTRACTI128 $1, w0, at(R12)                \
	VEXTRACTI128 $1, w1, at(R13)                \
	VEXTRACTI128 $1, w2, at(R14)                \
	VEXTRACTI128 $1, w3, at(R15)

// func pairsAVX2(dst, src *byte, n int, padding *schedule)
// Requires: AVX2, AVX
//
// Eight messages of 64 bytes side by side. Where fewer are left, the last one is
// hashed in the other lanes too.
//
//	DI  dst            SI  src           BX  messages to go
//	DX  K + W of the padding block       AX  messages to go behind a lane's
//	R8  what lies on the stack           CX  sixteen rounds, as in labelAVX2x8
//	R9–R15 sources, and later destinations, of lanes 1 to 7
//	R9  K + W of the block               R11 round constants
//	Y0–Y7 state                          Y8, Y9 b ^ c, a ^ b
//	Y10–Y15 temporaries: Y14 message word, Y15 K + W or byte order
TEXT ·pairsAVX2(SB), 0, $832-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), BX
	MOVQ padding+24(FP), DX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

eight:
	EIGHT(64, SI)
	VMOVDQU bswap8<>(SB), Y15
	LOADRING(0)
	LOADRING(1)
	LOADRING(2)
	LOADRING(3)

	INITIAL(R9)
	SAVE
	LEAQ ·k(SB), R11
	XORL CX, CX
	SIXTEEN(ROUNDRING, ROUNDRING)
	ADDQ $64, CX

extend:
	SIXTEEN(ROUNDNEW, ROUNDNEW)
	ADDQ $64, CX
	CMPQ CX, $256
	JNE  extend
	ADDSAVED

	SAVE
	MOVQ DX, R9
	XORL CX, CX

padding:
	SIXTEEN(ROUNDCONST, ROUNDCONST)
	ADDQ $64, CX
	CMPQ CX, $256
	JNE  padding
	ADDSAVED

	EIGHT(32, DI)
	TRUNCATE(Y15)
	VMOVDQU bswap8<>(SB), Y15
	STOREWORDS(0, Y0, Y1, Y2, Y3)
	STOREWORDS(16, Y4, Y5, Y6, Y7)

	ADDQ $512, SI
	ADDQ $256, DI
	SUBQ $8, BX
	JGT  eight
	VZEROUPPER
	RET

// func unpackAVX2(dst, src *byte, nodes, size, row, stride int)
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
	MOVQ    stride+40(FP), R10
	LEAQ    (R9)(R9*2), R11
	LEAQ    (R8)(R8*2), R12
	LEAQ    (DX)(R8*4), DI
	VMOVDQU bswap8<>(SB), Y15

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
