//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// SHA-256 of 16 messages at once with AVX-512: lane l of each register belongs to
// message l. Nodes are as Kernel.Group 16 says: word w of 16 labels is a vector,
// and the words are numbers already.
//
// A round is 17 operations, of which a core does 4 a cycle, and its latency is
// that of a rotate, a ternary, an addition: see ROUND. One message's rounds
// depend on each other, so this latency bounds a single group of 16, and the
// operations bound two groups side by side. All loops do 8 rounds, after which
// each word of the state is in its register again. They are unrolled no further,
// so that a label's code stays in the cache of decoded operations.
//
// Of a pair of parents K + W of all 64 rounds is kept in memory for the next time
// that the pair comes around. The 48 words that are no message are made while the
// rounds go on: each 8 rounds make 6. The words without K go to memory as well,
// and stay there for as long as later words are made of them.

// Where a gather finds the first words of 16 labels of 32 bytes each.
DATA lanes<>+0x00(SB)/8, $0x0000002000000000
DATA lanes<>+0x08(SB)/8, $0x0000006000000040
DATA lanes<>+0x10(SB)/8, $0x000000a000000080
DATA lanes<>+0x18(SB)/8, $0x000000e0000000c0
DATA lanes<>+0x20(SB)/8, $0x0000012000000100
DATA lanes<>+0x28(SB)/8, $0x0000016000000140
DATA lanes<>+0x30(SB)/8, $0x000001a000000180
DATA lanes<>+0x38(SB)/8, $0x000001e0000001c0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

// VPSHUFB mask that turns each word's bytes around, for four words.
DATA bswap<>+0x00(SB)/8, $0x0405060700010203
DATA bswap<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL bswap<>(SB), RODATA|NOPTR, $16

// One; a message's end; bits in a label's message; a digest's last word without
// its two high bits, those of its last byte.
DATA one<>+0(SB)/4, $1
GLOBL one<>(SB), RODATA|NOPTR, $4
DATA end<>+0(SB)/4, $0x80000000
GLOBL end<>(SB), RODATA|NOPTR, $4
DATA size<>+0(SB)/4, $0x00002700
GLOBL size<>(SB), RODATA|NOPTR, $4
DATA field<>+0(SB)/4, $0xffffff3f
GLOBL field<>(SB), RODATA|NOPTR, $4

// Truth tables of VPTERNLOGD.
#define XOR3   $0x96 // x ^ y ^ z
#define CHOOSE $0xca // x ? y : z
#define MAJOR  $0xe8 // the bit that two or three have

// Temporaries of all rounds and schedules. A group's rounds need nothing that the
// other's leave here.
#define T0 Z16
#define T1 Z17
#define T2 Z18
#define T3 Z19
#define T4 Z20

// s = x rotated by i, by j and by k, all xored.
#define SIGMA(i, j, k, x, s) \
	VPRORD     i, x, s      \
	VPRORD     j, x, T1     \
	VPRORD     k, x, T2     \
	VPTERNLOGD XOR3, T1, T2, s

// A round, h having K + W already: e is then in h, and a in d. From the old e to
// the new one it is rotate, ternary, one addition, because d + h is there first;
// the new a comes from the new e less d, and again one addition behind Σ0(a).
#define MIX(a, b, c, d, e, f, g, h) \
	VMOVDQA64  e, T3                \
	VPADDD     d, h, h              \
	SIGMA($6, $11, $25, e, T0)      \
	VPTERNLOGD CHOOSE, g, f, T3     \
	VMOVDQA64  a, T4                \
	VPTERNLOGD MAJOR, c, b, T4      \
	VPADDD     T3, h, h             \
	VPADDD     T0, h, h             \
	VPSUBD     d, h, d              \
	SIGMA($2, $13, $22, a, T0)      \
	VPADDD     T4, d, d             \
	VPADDD     T0, d, d

// The same with an addition less, and one more from the old e to the new one: for
// rounds that the number of operations bounds anyway.
#define LEANMIX(a, b, c, d, e, f, g, h) \
	VMOVDQA64  e, T3                \
	SIGMA($6, $11, $25, e, T0)      \
	VPTERNLOGD CHOOSE, g, f, T3     \
	VMOVDQA64  a, T4                \
	VPTERNLOGD MAJOR, c, b, T4      \
	VPADDD     T3, h, h             \
	VPADDD     T0, h, h             \
	VPADDD     h, d, d              \
	SIGMA($2, $13, $22, a, T0)      \
	VPADDD     h, T4, T4            \
	VPADDD     T0, T4, h

#define ROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD kw, h, h \
	MIX(a, b, c, d, e, f, g, h)

#define LEANROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD kw, h, h \
	LEANMIX(a, b, c, d, e, f, g, h)

// The word that comes 16 after w0. v holds the word two before it, and then the
// new one.
#define WORD(w0, w1, w9, w16, k16, kw16, v) \
	VMOVDQA64   w1, T0         \
	VPRORD      $7, T0, T1     \
	VPRORD      $18, T0, T2    \
	VPSRLD      $3, T0, T0     \
	VPTERNLOGD  XOR3, T1, T2, T0 \
	VPADDD      w0, T0, T0     \
	VPADDD      w9, T0, T0     \
	VPRORD      $17, v, T1     \
	VPRORD      $19, v, T2     \
	VPSRLD      $10, v, v      \
	VPTERNLOGD  XOR3, T1, T2, v \
	VPADDD      T0, v, v       \
	VMOVDQA64   v, w16         \
	VPADDD.BCST k16, v, T0     \
	VMOVDQA64   T0, kw16

// Sets registers to the initial state.
#define INITIAL(a, b, c, d, e, f, g, h) \
	VPBROADCASTD ·initial+0(SB), a  \
	VPBROADCASTD ·initial+4(SB), b  \
	VPBROADCASTD ·initial+8(SB), c  \
	VPBROADCASTD ·initial+12(SB), d \
	VPBROADCASTD ·initial+16(SB), e \
	VPBROADCASTD ·initial+20(SB), f \
	VPBROADCASTD ·initial+24(SB), g \
	VPBROADCASTD ·initial+28(SB), h

// One group: the state is Z0 to Z7. A vector is 64 bytes.

// The words and K + W of one half of a message block, from its vectors at src.
// They are words t to t+7 of the block; the last two remain in Z22 and Z23.
#define HALF16(t, src) \
	MESSAGE16(t+0, 0, src, Z22) \
	MESSAGE16(t+1, 1, src, Z23) \
	MESSAGE16(t+2, 2, src, Z22) \
	MESSAGE16(t+3, 3, src, Z23) \
	MESSAGE16(t+4, 4, src, Z22) \
	MESSAGE16(t+5, 5, src, Z23) \
	MESSAGE16(t+6, 6, src, Z22) \
	MESSAGE16(t+7, 7, src, Z23)

#define MESSAGE16(t, i, src, v) \
	VMOVDQU64   (64*(i))(src), v     \
	VMOVDQA64   v, (64*(t))(R10)     \
	VPADDD.BCST (4*(t))(R12), v, T0  \
	VMOVDQA64   T0, (64*(t))(R11)

#define WORD16(i, v) \
	WORD((64*i)(R10), (64*(i+1))(R10), (64*(i+9))(R10), (64*(i+16))(R10), (4*(i+16))(R12), (64*(i+16))(R11), v)

#define FOUR16(i, kw) \
	ROUND((64*(i+0))(kw), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7) \
	ROUND((64*(i+1))(kw), Z3, Z0, Z1, Z2, Z7, Z4, Z5, Z6) \
	ROUND((64*(i+2))(kw), Z2, Z3, Z0, Z1, Z6, Z7, Z4, Z5) \
	ROUND((64*(i+3))(kw), Z1, Z2, Z3, Z0, Z5, Z6, Z7, Z4)

// Keeps the state for the end of the block, and adds it there.
#define KEEP16 \
	VMOVDQA64 Z0, Z24 \
	VMOVDQA64 Z1, Z25 \
	VMOVDQA64 Z2, Z26 \
	VMOVDQA64 Z3, Z27 \
	VMOVDQA64 Z4, Z28 \
	VMOVDQA64 Z5, Z29 \
	VMOVDQA64 Z6, Z30 \
	VMOVDQA64 Z7, Z31

#define ADD16 \
	VPADDD Z24, Z0, Z0 \
	VPADDD Z25, Z1, Z1 \
	VPADDD Z26, Z2, Z2 \
	VPADDD Z27, Z3, Z3 \
	VPADDD Z28, Z4, Z4 \
	VPADDD Z29, Z5, Z5 \
	VPADDD Z30, Z6, Z6 \
	VPADDD Z31, Z7, Z7

// Offsets from R8 in the frame of one group. K + W of a round and the word that is
// made at the time differ in their low 12 bits, by which the core tells which load
// may want what a store has not written yet.
#define words16    0
#define replicas16 4096
#define prefix16   4608
#define finish16   5120
#define once16     6144  // K + W of a block that comes once
#define pairs16    10240 // K + W of the pairs

// A block of two halves at SI and DI, whose K + W is left at R9.
//
//	R10 words              R11 K + W        R12 K, all of the word to make − 16
//	R13 K + W of the round CX  loops to go
TEXT block16<>(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ words16(R8), R10
	MOVQ R9, R11
	LEAQ ·k(SB), R12
	HALF16(0, SI)
	HALF16(8, DI)
	MOVQ R9, R13
	KEEP16
	MOVL $8, CX

eight:
	ROUND((64*0)(R13), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	WORD16(0, Z22)
	ROUND((64*1)(R13), Z3, Z0, Z1, Z2, Z7, Z4, Z5, Z6)
	WORD16(1, Z23)
	ROUND((64*2)(R13), Z2, Z3, Z0, Z1, Z6, Z7, Z4, Z5)
	WORD16(2, Z22)
	ROUND((64*3)(R13), Z1, Z2, Z3, Z0, Z5, Z6, Z7, Z4)
	WORD16(3, Z23)
	ROUND((64*4)(R13), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	WORD16(4, Z22)
	ROUND((64*5)(R13), Z3, Z0, Z1, Z2, Z7, Z4, Z5, Z6)
	WORD16(5, Z23)
	ROUND((64*6)(R13), Z2, Z3, Z0, Z1, Z6, Z7, Z4, Z5)
	ROUND((64*7)(R13), Z1, Z2, Z3, Z0, Z5, Z6, Z7, Z4)
	ADDQ $(64*8), R13
	ADDQ $(64*6), R10
	ADDQ $(64*6), R11
	ADDQ $(4*6), R12
	DECL CX
	JNZ  eight
	ADD16
	RET

// func labelAVX512x16(r *labelRun)
// Requires: AVX512BW, AVX512F, AVX
TEXT ·labelAVX512x16(SB), 0, $38976-8
	MOVQ r+0(FP), AX
	MOVQ labelRun_dst(AX), DX
	MOVQ labelRun_parents(AX), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

	// The halves of messages that are no labels.
	MOVQ            labelRun_replicas(AX), SI
	VMOVDQU64       lanes<>(SB), Z16
	VBROADCASTI32X4 bswap<>(SB), Z17
	LEAQ            replicas16(R8), DI
	MOVL            $8, CX

replicas:
	KXNORW     K1, K1, K1
	VPGATHERDD (SI)(Z16*1), K1, Z18
	VPSHUFB    Z17, Z18, Z18
	VMOVDQA64  Z18, (DI)
	ADDQ       $4, SI
	ADDQ       $64, DI
	DECL       CX
	JNZ        replicas

	VPXORD       Z16, Z16, Z16
	MOVL         $16, CX

zero:
	VMOVDQA64 Z16, (DI)
	ADDQ      $64, DI
	DECL      CX
	JNZ       zero
	VPBROADCASTD labelRun_layer(AX), Z16
	VPBROADCASTD labelRun_node(AX), Z17
	VPBROADCASTD end<>(SB), Z18
	VPBROADCASTD size<>(SB), Z19
	VMOVDQA64    Z16, (prefix16+64*0)(R8)
	VMOVDQA64    Z17, (prefix16+64*2)(R8)
	VMOVDQA64    Z18, (finish16+64*0)(R8)
	VMOVDQA64    Z19, (finish16+64*7)(R8)

	LEAQ (pairs16+7*4096)(R8), R15
	CMPQ labelRun_expander(AX), $0
	JNE  first
	LEAQ (pairs16+3*4096)(R8), R15

first:
	// Block 1 of the first node.
	INITIAL(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	LEAQ replicas16(R8), SI
	LEAQ prefix16(R8), DI
	LEAQ once16(R8), R9
	CALL block16<>(SB)

node:
	LEAQ pairs16(R8), R9
	XORL R14, R14

pair:
	MOVQ 0(BX)(R14*1), SI
	MOVQ 8(BX)(R14*1), DI
	CALL block16<>(SB)
	ADDQ $16, R14
	ADDQ $4096, R9
	CMPQ R9, R15
	JB   pair

	// The pairs again.
	MOVQ R15, R14
	SUBQ R8, R14
	SHRQ $12, R14
	SUBQ $(18+2), R14
	NEGQ R14
	LEAQ pairs16(R8), R13
	MOVQ BX, R12

repeated:
	MOVQ labelRun_ahead(AX), CX
	MOVQ 0(R12)(CX*1), SI
	MOVQ 8(R12)(CX*1), DI
	KEEP16
	MOVL $8, CX

eight:
	PREFETCHT0 (SI)
	PREFETCHT0 (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	FOUR16(0, R13)
	FOUR16(4, R13)
	ADDQ $(64*8), R13
	DECL CX
	JNZ  eight
	ADD16

	ADDQ    $16, R12
	CMPQ    R13, R15
	JB      more
	LEAQ    pairs16(R8), R13
	MOVQ    BX, R12

more:
	DECL    R14
	JNZ     repeated

	// The last block.
	MOVQ labelRun_expander(AX), CX
	SHLQ $6, CX
	MOVQ (BX)(CX*1), SI
	LEAQ finish16(R8), DI
	LEAQ once16(R8), R9
	CALL block16<>(SB)
	VPANDD.BCST field<>(SB), Z7, Z7
	VMOVDQU64   Z0, (64*0)(DX)
	VMOVDQU64   Z1, (64*1)(DX)
	VMOVDQU64   Z2, (64*2)(DX)
	VMOVDQU64   Z3, (64*3)(DX)
	VMOVDQU64   Z4, (64*4)(DX)
	VMOVDQU64   Z5, (64*5)(DX)
	VMOVDQU64   Z6, (64*6)(DX)
	VMOVDQU64   Z7, (64*7)(DX)

	VMOVDQA64   (prefix16+64*2)(R8), Z16
	VPADDD.BCST one<>(SB), Z16, Z16
	VMOVDQA64   Z16, (prefix16+64*2)(R8)
	ADDQ        $512, DX
	ADDQ        $112, BX
	DECQ        labelRun_count(AX)
	JNZ         first
	VZEROUPPER
	RET
// Two groups: the state is Z0 to Z7 and Z8 to Z15. A vector is 64 bytes, and the
// second group's follows the first's.

#define HALF32(t, src) \
	MESSAGE32(t+0, 0, src, Z21, Z23) \
	MESSAGE32(t+1, 1, src, Z22, Z24) \
	MESSAGE32(t+2, 2, src, Z21, Z23) \
	MESSAGE32(t+3, 3, src, Z22, Z24) \
	MESSAGE32(t+4, 4, src, Z21, Z23) \
	MESSAGE32(t+5, 5, src, Z22, Z24) \
	MESSAGE32(t+6, 6, src, Z21, Z23) \
	MESSAGE32(t+7, 7, src, Z22, Z24)

#define MESSAGE32(t, i, src, v, w) \
	VMOVDQU64   (64*(i))(src), v     \
	VMOVDQU64   (64*(i)+512)(src), w \
	VMOVDQA64   v, (128*(t))(R10)    \
	VMOVDQA64   w, (128*(t)+64)(R10) \
	VPADDD.BCST (4*(t))(R12), v, T0  \
	VPADDD.BCST (4*(t))(R12), w, T1  \
	VMOVDQA64   T0, (128*(t))(R11)   \
	VMOVDQA64   T1, (128*(t)+64)(R11)

#define WORD32(i, g, v) \
	WORD((128*i+g)(R10), (128*(i+1)+g)(R10), (128*(i+9)+g)(R10), (128*(i+16)+g)(R10), (4*(i+16))(R12), (128*(i+16)+g)(R11), v)

#define KEEP32 \
	VMOVDQA64 Z0, (kept32+64*0)(R8) \
	VMOVDQA64 Z1, (kept32+64*1)(R8) \
	VMOVDQA64 Z2, (kept32+64*2)(R8) \
	VMOVDQA64 Z3, (kept32+64*3)(R8) \
	VMOVDQA64 Z4, (kept32+64*4)(R8) \
	VMOVDQA64 Z5, (kept32+64*5)(R8) \
	VMOVDQA64 Z6, (kept32+64*6)(R8) \
	VMOVDQA64 Z7, (kept32+64*7)(R8) \
	VMOVDQA64 Z8, (kept32+64*8)(R8) \
	VMOVDQA64 Z9, (kept32+64*9)(R8) \
	VMOVDQA64 Z10, (kept32+64*10)(R8) \
	VMOVDQA64 Z11, (kept32+64*11)(R8) \
	VMOVDQA64 Z12, (kept32+64*12)(R8) \
	VMOVDQA64 Z13, (kept32+64*13)(R8) \
	VMOVDQA64 Z14, (kept32+64*14)(R8) \
	VMOVDQA64 Z15, (kept32+64*15)(R8)

#define ADD32 \
	VPADDD (kept32+64*0)(R8), Z0, Z0 \
	VPADDD (kept32+64*1)(R8), Z1, Z1 \
	VPADDD (kept32+64*2)(R8), Z2, Z2 \
	VPADDD (kept32+64*3)(R8), Z3, Z3 \
	VPADDD (kept32+64*4)(R8), Z4, Z4 \
	VPADDD (kept32+64*5)(R8), Z5, Z5 \
	VPADDD (kept32+64*6)(R8), Z6, Z6 \
	VPADDD (kept32+64*7)(R8), Z7, Z7 \
	VPADDD (kept32+64*8)(R8), Z8, Z8 \
	VPADDD (kept32+64*9)(R8), Z9, Z9 \
	VPADDD (kept32+64*10)(R8), Z10, Z10 \
	VPADDD (kept32+64*11)(R8), Z11, Z11 \
	VPADDD (kept32+64*12)(R8), Z12, Z12 \
	VPADDD (kept32+64*13)(R8), Z13, Z13 \
	VPADDD (kept32+64*14)(R8), Z14, Z14 \
	VPADDD (kept32+64*15)(R8), Z15, Z15


#define kept32     0
#define replicas32 1024
#define prefix32   2048
#define finish32   3072
#define words32    4096
#define pairs32    (words32+8192+DELTA)
#define DELTA 2048

TEXT block32<>(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ words32(R8), R10
	MOVQ R9, R11
	LEAQ ·k(SB), R12
	HALF32(0, SI)
	HALF32(8, DI)
	MOVQ R9, R13
	KEEP32
	MOVL $8, CX

eight:
	LEANROUND((128*0+0)(R13), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	LEANROUND((128*0+64)(R13), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	WORD32(0, 0, Z21)
	WORD32(0, 64, Z23)
	LEANROUND((128*1+0)(R13), Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6)
	LEANROUND((128*1+64)(R13), Z15, Z8, Z9, Z10, Z11, Z12, Z13, Z14)
	WORD32(1, 0, Z22)
	WORD32(1, 64, Z24)
	LEANROUND((128*2+0)(R13), Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5)
	LEANROUND((128*2+64)(R13), Z14, Z15, Z8, Z9, Z10, Z11, Z12, Z13)
	WORD32(2, 0, Z21)
	WORD32(2, 64, Z23)
	LEANROUND((128*3+0)(R13), Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4)
	LEANROUND((128*3+64)(R13), Z13, Z14, Z15, Z8, Z9, Z10, Z11, Z12)
	WORD32(3, 0, Z22)
	WORD32(3, 64, Z24)
	LEANROUND((128*4+0)(R13), Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3)
	LEANROUND((128*4+64)(R13), Z12, Z13, Z14, Z15, Z8, Z9, Z10, Z11)
	WORD32(4, 0, Z21)
	WORD32(4, 64, Z23)
	LEANROUND((128*5+0)(R13), Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2)
	LEANROUND((128*5+64)(R13), Z11, Z12, Z13, Z14, Z15, Z8, Z9, Z10)
	WORD32(5, 0, Z22)
	WORD32(5, 64, Z24)
	LEANROUND((128*6+0)(R13), Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1)
	LEANROUND((128*6+64)(R13), Z10, Z11, Z12, Z13, Z14, Z15, Z8, Z9)
	LEANROUND((128*7+0)(R13), Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0)
	LEANROUND((128*7+64)(R13), Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z8)
	ADDQ $(128*8), R13
	ADDQ $(128*6), R10
	ADDQ $(128*6), R11
	ADDQ $(4*6), R12
	DECL CX
	JNZ  eight
	ADD32
	RET

// func labelAVX512x32(r *labelRun)
// Requires: AVX512BW, AVX512F, AVX
TEXT ·labelAVX512x32(SB), 0, $75840-8
	MOVQ r+0(FP), AX
	MOVQ labelRun_dst(AX), DX
	MOVQ labelRun_parents(AX), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

	// The halves of messages that are no labels.
	MOVQ            labelRun_replicas(AX), SI
	VMOVDQU64       lanes<>(SB), Z16
	VBROADCASTI32X4 bswap<>(SB), Z17
	LEAQ            replicas32(R8), DI
	MOVL            $8, CX

replicas:
	KXNORW     K1, K1, K1
	VPGATHERDD (SI)(Z16*1), K1, Z18
	VPSHUFB    Z17, Z18, Z18
	VMOVDQA64  Z18, (DI)
	KXNORW     K1, K1, K1
	VPGATHERDD 512(SI)(Z16*1), K1, Z18
	VPSHUFB    Z17, Z18, Z18
	VMOVDQA64  Z18, 512(DI)
	ADDQ       $4, SI
	ADDQ       $64, DI
	DECL       CX
	JNZ        replicas

	VPXORD       Z16, Z16, Z16
	MOVL         $32, CX
	LEAQ         prefix32(R8), DI

zero:
	VMOVDQA64 Z16, (DI)
	ADDQ      $64, DI
	DECL      CX
	JNZ       zero
	VPBROADCASTD labelRun_layer(AX), Z16
	VPBROADCASTD labelRun_node(AX), Z17
	VPBROADCASTD end<>(SB), Z18
	VPBROADCASTD size<>(SB), Z19
	VMOVDQA64    Z16, (prefix32+64*0)(R8)
	VMOVDQA64    Z17, (prefix32+64*2)(R8)
	VMOVDQA64    Z18, (finish32+64*0)(R8)
	VMOVDQA64    Z19, (finish32+64*7)(R8)
	VMOVDQA64    Z16, (prefix32+64*0+512)(R8)
	VMOVDQA64    Z17, (prefix32+64*2+512)(R8)
	VMOVDQA64    Z18, (finish32+64*0+512)(R8)
	VMOVDQA64    Z19, (finish32+64*7+512)(R8)

	LEAQ (pairs32+7*8192)(R8), R15
	CMPQ labelRun_expander(AX), $0
	JNE  node
	LEAQ (pairs32+3*8192)(R8), R15

node:
	INITIAL(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	INITIAL(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	LEAQ replicas32(R8), SI
	LEAQ prefix32(R8), DI
	LEAQ pairs32(R8), R9
	CALL block32<>(SB)
	XORL R14, R14
	LEAQ pairs32(R8), R9

pair:
	MOVQ 0(BX)(R14*1), SI
	MOVQ 8(BX)(R14*1), DI
	CALL block32<>(SB)
	ADDQ $16, R14
	ADDQ $8192, R9
	CMPQ R9, R15
	JB   pair

	// The pairs again.
	SHRQ $4, R14
	NEGQ R14
	ADDQ $18, R14
	LEAQ pairs32(R8), R13
	MOVQ BX, R12

repeated:
	MOVQ labelRun_ahead(AX), CX
	MOVQ 0(R12)(CX*1), SI
	MOVQ 8(R12)(CX*1), DI
	KEEP32
	MOVL $8, CX

eight:
	PREFETCHT0 (SI)
	PREFETCHT0 512(SI)
	PREFETCHT0 (DI)
	PREFETCHT0 512(DI)
	ADDQ $64, SI
	ADDQ $64, DI
	ROUND((128*0+0)(R13), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	ROUND((128*0+64)(R13), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	ROUND((128*1+0)(R13), Z3, Z0, Z1, Z2, Z7, Z4, Z5, Z6)
	ROUND((128*1+64)(R13), Z11, Z8, Z9, Z10, Z15, Z12, Z13, Z14)
	ROUND((128*2+0)(R13), Z2, Z3, Z0, Z1, Z6, Z7, Z4, Z5)
	ROUND((128*2+64)(R13), Z10, Z11, Z8, Z9, Z14, Z15, Z12, Z13)
	ROUND((128*3+0)(R13), Z1, Z2, Z3, Z0, Z5, Z6, Z7, Z4)
	ROUND((128*3+64)(R13), Z9, Z10, Z11, Z8, Z13, Z14, Z15, Z12)
	ROUND((128*4+0)(R13), Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	ROUND((128*4+64)(R13), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	ROUND((128*5+0)(R13), Z3, Z0, Z1, Z2, Z7, Z4, Z5, Z6)
	ROUND((128*5+64)(R13), Z11, Z8, Z9, Z10, Z15, Z12, Z13, Z14)
	ROUND((128*6+0)(R13), Z2, Z3, Z0, Z1, Z6, Z7, Z4, Z5)
	ROUND((128*6+64)(R13), Z10, Z11, Z8, Z9, Z14, Z15, Z12, Z13)
	ROUND((128*7+0)(R13), Z1, Z2, Z3, Z0, Z5, Z6, Z7, Z4)
	ROUND((128*7+64)(R13), Z9, Z10, Z11, Z8, Z13, Z14, Z15, Z12)
	ADDQ $(128*8), R13
	DECL CX
	JNZ  eight
	ADD32

	ADDQ    $16, R12
	CMPQ    R13, R15
	JB      more
	LEAQ    pairs32(R8), R13
	MOVQ    BX, R12

more:
	DECL    R14
	JNZ     repeated

	// The last block.
	MOVQ labelRun_expander(AX), CX
	SHLQ $6, CX
	MOVQ (BX)(CX*1), SI
	LEAQ finish32(R8), DI
	LEAQ pairs32(R8), R9
	CALL block32<>(SB)
	VPANDD.BCST field<>(SB), Z7, Z7
	VPANDD.BCST field<>(SB), Z15, Z15
	VMOVDQU64 Z0, (64*0)(DX)
	VMOVDQU64 Z1, (64*1)(DX)
	VMOVDQU64 Z2, (64*2)(DX)
	VMOVDQU64 Z3, (64*3)(DX)
	VMOVDQU64 Z4, (64*4)(DX)
	VMOVDQU64 Z5, (64*5)(DX)
	VMOVDQU64 Z6, (64*6)(DX)
	VMOVDQU64 Z7, (64*7)(DX)
	VMOVDQU64 Z8, (64*8)(DX)
	VMOVDQU64 Z9, (64*9)(DX)
	VMOVDQU64 Z10, (64*10)(DX)
	VMOVDQU64 Z11, (64*11)(DX)
	VMOVDQU64 Z12, (64*12)(DX)
	VMOVDQU64 Z13, (64*13)(DX)
	VMOVDQU64 Z14, (64*14)(DX)
	VMOVDQU64 Z15, (64*15)(DX)

	VMOVDQA64   (prefix32+64*2)(R8), Z16
	VPADDD.BCST one<>(SB), Z16, Z16
	VMOVDQA64   Z16, (prefix32+64*2)(R8)
	VMOVDQA64   Z16, (prefix32+64*2+512)(R8)
	ADDQ        $1024, DX
	ADDQ        $112, BX
	DECQ        labelRun_count(AX)
	JNZ         node
	VZEROUPPER
	RET
