//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// SHA-256 of 16 messages at once with AVX-512: lane l of every register belongs
// to message l. Labels lie as Kernel.Group 16 says, so that word w of 16 labels is
// one vector of 64 bytes, and the words are numbers already.
//
// A round is 17 operations, of which Zen 5 starts 4 in a cycle, two of them
// rotates. Each takes 2 cycles, and a round at least 7 after the one before: the
// last of three rotates, a ternary, an addition (MIX). This bounds one group of 16
// messages, and the number of operations two groups side by side. Loads, stores
// and copies of registers are other parts' work and cost nothing.
//
// Loops do 8 rounds and are unrolled no further, so that a label's code stays in
// the cache of decoded instructions. The 48 words of a block that are not its
// message are made while its rounds go on, 6 in 8 rounds, for which one group has
// the time. In the last loop, too, each is there before its round. All words go to
// memory, and K + W of all 64 to where the block's next time finds them.

// Offsets of the 16 labels' first words in an array of them.
DATA lanes<>+0x00(SB)/8, $0x0000002000000000
DATA lanes<>+0x08(SB)/8, $0x0000006000000040
DATA lanes<>+0x10(SB)/8, $0x000000a000000080
DATA lanes<>+0x18(SB)/8, $0x000000e0000000c0
DATA lanes<>+0x20(SB)/8, $0x0000012000000100
DATA lanes<>+0x28(SB)/8, $0x0000016000000140
DATA lanes<>+0x30(SB)/8, $0x000001a000000180
DATA lanes<>+0x38(SB)/8, $0x000001e0000001c0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

// VPSHUFB mask that turns four words' bytes around.
DATA bswap<>+0x00(SB)/8, $0x0405060700010203
DATA bswap<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL bswap<>(SB), RODATA|NOPTR, $16

// Words for all lanes: the bit that ends a label's message, the message's 1248
// bytes counted in bits, one, and what a digest keeps of its last word.
DATA bit<>+0(SB)/4, $0x80000000
GLOBL bit<>(SB), RODATA|NOPTR, $4
DATA size<>+0(SB)/4, $0x00002700
GLOBL size<>(SB), RODATA|NOPTR, $4
DATA one<>+0(SB)/4, $0x00000001
GLOBL one<>(SB), RODATA|NOPTR, $4
DATA field<>+0(SB)/4, $0xffffff3f
GLOBL field<>(SB), RODATA|NOPTR, $4

// Truth tables of VPTERNLOGD.
#define XOR      $0x96 // x ^ y ^ z
#define CHOOSE   $0xca // x ? y : z
#define MAJORITY $0xe8

// Registers of whole width; kernels of half of it have the same names for those. T0 to
// T4 have nothing in them from one macro to the next.
#define S0 Z0
#define S1 Z1
#define S2 Z2
#define S3 Z3
#define S4 Z4
#define S5 Z5
#define S6 Z6
#define S7 Z7
#define N0 Z8
#define N1 Z9
#define N2 Z10
#define N3 Z11
#define N4 Z12
#define N5 Z13
#define N6 Z14
#define N7 Z15
#define T0 Z16
#define T1 Z17
#define T2 Z18
#define T3 Z19
#define T4 Z20
#define W0 Z21
#define W1 Z22
#define O0 Z24
#define O1 Z25
#define O2 Z26
#define O3 Z27
#define O4 Z28
#define O5 Z29
#define O6 Z30
#define O7 Z31

// s = x rotated by i ^ x rotated by j ^ x rotated by k.
#define SIGMA(i, j, k, x, s) \
	VPRORD     i, x, s     \
	VPRORD     j, x, T1    \
	VPRORD     k, x, T2    \
	VPTERNLOGD XOR, T1, T2, s

// A round whose K + W has been added to h. The new e is in h then, the new a in d.
// From one e to the next it is only rotate, ternary, addition, because d + h comes
// first, and as much from one a to the next: what it takes from e is got back from
// the new e, for one subtraction.
#define MIX(a, b, c, d, e, f, g, h) \
	VPADDD     d, h, h               \ // d + h + K + W
	SIGMA($6, $11, $25, e, T0)       \
	VMOVDQA64  e, T3                 \
	VPTERNLOGD CHOOSE, g, f, T3      \
	VPADDD     T3, h, h              \
	VPADDD     T0, h, h              \ // the new e
	VPSUBD     d, h, d               \
	VMOVDQA64  a, T4                 \
	VPTERNLOGD MAJORITY, c, b, T4    \
	SIGMA($2, $13, $22, a, T0)       \
	VPADDD     T4, d, d              \
	VPADDD     T0, d, d                // the new a

#define ROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD kw, h, h \
	MIX(a, b, c, d, e, f, g, h)

// The same with one operation less, and one more from e to e: for rounds that the
// number of operations bounds.
#define LEANROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD     kw, h, h              \
	SIGMA($6, $11, $25, e, T0)       \
	VMOVDQA64  e, T3                 \
	VPTERNLOGD CHOOSE, g, f, T3      \
	VPADDD     T3, h, h              \
	VPADDD     T0, h, h              \
	VMOVDQA64  a, T4                 \
	VPTERNLOGD MAJORITY, c, b, T4    \
	SIGMA($2, $13, $22, a, T0)       \
	VPADDD     h, T4, T4             \
	VPADDD     d, h, h               \ // the new e
	VPADDD     T0, T4, d               // the new a

// A round whose K + W is the same in all lanes.
#define SAMEROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD.BCST kw, h, h \
	MIX(a, b, c, d, e, f, g, h)

// The word 16 after w0, and its K + W. v has the word 14 after w0, then the new.
#define WORD(w0, w1, w9, w16, k16, kw16, v) \
	VMOVDQA64   w1, T0           \
	VPRORD      $7, T0, T1       \
	VPRORD      $18, T0, T2      \
	VPSRLD      $3, T0, T0       \
	VPTERNLOGD  XOR, T1, T2, T0  \ // σ0
	VPADDD      w0, T0, T0       \
	VPADDD      w9, T0, T0       \
	VPRORD      $17, v, T1       \
	VPRORD      $19, v, T2       \
	VPSRLD      $10, v, v        \
	VPTERNLOGD  XOR, T1, T2, v   \ // σ1
	VPADDD      T0, v, v         \
	VMOVDQA64   v, w16           \
	VPADDD.BCST k16, v, T0       \
	VMOVDQA64   T0, kw16

// Rounds 0 to 3 of the state in S0 to S7, and of the other in N0 to N7. After four
// each word is where it was.
#define A0(KIND, kw) KIND(kw, S0, S1, S2, S3, S4, S5, S6, S7)
#define A1(KIND, kw) KIND(kw, S3, S0, S1, S2, S7, S4, S5, S6)
#define A2(KIND, kw) KIND(kw, S2, S3, S0, S1, S6, S7, S4, S5)
#define A3(KIND, kw) KIND(kw, S1, S2, S3, S0, S5, S6, S7, S4)
#define B0(KIND, kw) KIND(kw, N0, N1, N2, N3, N4, N5, N6, N7)
#define B1(KIND, kw) KIND(kw, N3, N0, N1, N2, N7, N4, N5, N6)
#define B2(KIND, kw) KIND(kw, N2, N3, N0, N1, N6, N7, N4, N5)
#define B3(KIND, kw) KIND(kw, N1, N2, N3, N0, N5, N6, N7, N4)

// The initial state.
#define AINITIAL \
	VPBROADCASTD ·initial+(4*0)(SB), S0 \
	VPBROADCASTD ·initial+(4*1)(SB), S1 \
	VPBROADCASTD ·initial+(4*2)(SB), S2 \
	VPBROADCASTD ·initial+(4*3)(SB), S3 \
	VPBROADCASTD ·initial+(4*4)(SB), S4 \
	VPBROADCASTD ·initial+(4*5)(SB), S5 \
	VPBROADCASTD ·initial+(4*6)(SB), S6 \
	VPBROADCASTD ·initial+(4*7)(SB), S7

#define BINITIAL \
	VPBROADCASTD ·initial+(4*0)(SB), N0 \
	VPBROADCASTD ·initial+(4*1)(SB), N1 \
	VPBROADCASTD ·initial+(4*2)(SB), N2 \
	VPBROADCASTD ·initial+(4*3)(SB), N3 \
	VPBROADCASTD ·initial+(4*4)(SB), N4 \
	VPBROADCASTD ·initial+(4*5)(SB), N5 \
	VPBROADCASTD ·initial+(4*6)(SB), N6 \
	VPBROADCASTD ·initial+(4*7)(SB), N7

// Words of labels that lie one after the other at src, as many as lanes: word w as a
// vector in dst. The lanes' offsets are in S0, the byte order in S1.
#define GATHER(w, src, dst) \
	KXNORW     K1, K1, K1               \
	VPGATHERDD (4*w)(src)(S0*1), K1, S2 \
	VPSHUFB    S1, S2, S2               \
	VMOVDQA64  S2, (WIDTH*w)(dst)

#define GATHERLABELS(src, dst) \
	GATHER(0, src, dst) \
	GATHER(1, src, dst) \
	GATHER(2, src, dst) \
	GATHER(3, src, dst) \
	GATHER(4, src, dst) \
	GATHER(5, src, dst) \
	GATHER(6, src, dst) \
	GATHER(7, src, dst)

// The first lines of all labels of the row that is as far ahead as rows are there, so
// that their pages are in the TLB when the others are prefetched. A prefetch does not
// retire before its page is known, and these kernels fill the reorder buffer in less
// time than that takes. So the fewer waits the better: for all pages at once, not for
// those of two labels again and again. (In layers of 4 GiB each on Emerald Rapids that
// is 10 % of a label in 8 lanes, 7 % in 16, 5 % in 32. To look pages up by mistake instead,
// as kernels with SHA-NI do, took 2 to 3 % more on Zen 4.)
#define TOUCH(slot) \
	MOVQ       (8*slot)(R12), SI \
	PREFETCHT0 (SI)

#define TOUCHROW \
	MOVQ labelRun_ahead(AX), R12   \
	ADDQ BX, R12                   \
	TOUCH(0)                       \
	TOUCH(1)                       \
	TOUCH(2)                       \
	TOUCH(3)                       \
	TOUCH(4)                       \
	TOUCH(5)                       \
	CMPQ labelRun_expander(AX), $0 \
	JEQ  touched                   \ // layer 1
	TOUCH(6)                       \
	TOUCH(7)                       \
	TOUCH(8)                       \
	TOUCH(9)                       \
	TOUCH(10)                      \
	TOUCH(11)                      \
	TOUCH(12)                      \
	TOUCH(13)                      \
touched:

// The row whose labels are prefetched, a quarter as far ahead: so near that the first
// cache still has them when they are hashed.
#define ROWSOON \
	MOVQ labelRun_ahead(AX), R12 \
	SHRQ $2, R12                 \
	ADDQ BX, R12

// One group, of 16 or, in registers of half the width, 8.
#define WIDTH     64 // bytes of a register
#define BLOCKBITS 12 // 2 to it are a block's K + W

// Word t of a block, number i of the half at src.
#define MESSAGE(t, i, src, v) \
	VMOVDQU64   (WIDTH*i)(src), v      \
	VMOVDQA64   v, (WIDTH*(t))(R10)    \
	VPADDD.BCST (4*(t))(R12), v, T0    \
	VMOVDQA64   T0, (WIDTH*(t))(R11)

// Words t to t+7. The last two stay in W0 and W1 for the words to come.
#define HALF(t, src) \
	MESSAGE(t+0, 0, src, W0) \
	MESSAGE(t+1, 1, src, W1) \
	MESSAGE(t+2, 2, src, W0) \
	MESSAGE(t+3, 3, src, W1) \
	MESSAGE(t+4, 4, src, W0) \
	MESSAGE(t+5, 5, src, W1) \
	MESSAGE(t+6, 6, src, W0) \
	MESSAGE(t+7, 7, src, W1)

// Word number i of those that 8 rounds make.
#define NEXTWORD(i, v) \
	WORD((WIDTH*i)(R10), (WIDTH*(i+1))(R10), (WIDTH*(i+9))(R10), (WIDTH*(i+16))(R10), (4*(i+16))(R12), (WIDTH*(i+16))(R11), v)

// The next words, for the next 8 rounds.
#define ADVANCE \
	ADDQ $(WIDTH*6), R10 \
	ADDQ $(WIDTH*6), R11 \
	ADDQ $(4*6), R12

#define FOURROUNDS(t, kw) \
	A0(ROUND, (WIDTH*(t+0))(kw)) \
	A1(ROUND, (WIDTH*(t+1))(kw)) \
	A2(ROUND, (WIDTH*(t+2))(kw)) \
	A3(ROUND, (WIDTH*(t+3))(kw))

// The state before a block is kept, and added after it.
#define KEEP \
	VMOVDQA64 S0, O0 \
	VMOVDQA64 S1, O1 \
	VMOVDQA64 S2, O2 \
	VMOVDQA64 S3, O3 \
	VMOVDQA64 S4, O4 \
	VMOVDQA64 S5, O5 \
	VMOVDQA64 S6, O6 \
	VMOVDQA64 S7, O7

#define ADDKEPT \
	VPADDD O0, S0, S0 \
	VPADDD O1, S1, S1 \
	VPADDD O2, S2, S2 \
	VPADDD O3, S3, S3 \
	VPADDD O4, S4, S4 \
	VPADDD O5, S5, S5 \
	VPADDD O6, S6, S6 \
	VPADDD O7, S7, S7

// What lies where in the frame of one group, from R8 on, its first cache line. K + W
// of a round and the words that are made at the time differ in their addresses' low
// 12 bits, by which a core first tells whether a load wants what is yet to be stored.
#define words 0           // of a block whose schedule is being made
#define left  (64*WIDTH)  // block 1's halves: replica ids;
#define right (72*WIDTH)  // layer, node
#define last  (80*WIDTH)  // the last block's right half
#define once  (96*WIDTH)  // K + W of these two blocks
#define pairs (160*WIDTH) // K + W of up to seven pairs

// Requires: AVX512F, AVX512BW, AVX
TEXT block16<>(SB), NOSPLIT|NOFRAME, $0-0
#include "avx512_block_amd64.h"

#define BLOCK block16<>(SB)

// func labelAVX512x16(r *labelRun)
// Requires: AVX512F, AVX512BW, AVX
//
// How it goes, and in which registers, stands in the file included.
TEXT ·labelAVX512x16(SB), 0, $38976-8
#include "avx512_label_amd64.h"

// Two groups of 16 side by side. A vector of the second follows that of the first,
// except in labels, where one group's 512 bytes follow the other's.

#define MESSAGE32(t, i, src, v, w) \
	VMOVDQU64   (64*i)(src), v         \
	VMOVDQU64   (64*i+512)(src), w     \
	VMOVDQA64   v, (128*(t))(R10)      \
	VMOVDQA64   w, (128*(t)+64)(R10)   \
	VPADDD.BCST (4*(t))(R12), v, T0    \
	VPADDD.BCST (4*(t))(R12), w, T1    \
	VMOVDQA64   T0, (128*(t))(R11)     \
	VMOVDQA64   T1, (128*(t)+64)(R11)

// The last two words stay in Z21 and Z22, and in Z23 and Z24.
#define HALF32(t, src) \
	MESSAGE32(t+0, 0, src, Z21, Z23) \
	MESSAGE32(t+1, 1, src, Z22, Z24) \
	MESSAGE32(t+2, 2, src, Z21, Z23) \
	MESSAGE32(t+3, 3, src, Z22, Z24) \
	MESSAGE32(t+4, 4, src, Z21, Z23) \
	MESSAGE32(t+5, 5, src, Z22, Z24) \
	MESSAGE32(t+6, 6, src, Z21, Z23) \
	MESSAGE32(t+7, 7, src, Z22, Z24)

// Group is 0 or, for the second one, 64.
#define WORD32(i, group, v) \
	WORD((128*i+group)(R10), (128*(i+1)+group)(R10), (128*(i+9)+group)(R10), (128*(i+16)+group)(R10), (4*(i+16))(R12), (128*(i+16)+group)(R11), v)

// The state before a block is kept, here in memory, and added after it.
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

// The frame of two groups, as that of one.
#define kept32   0     // the state before a block
#define left32   1024
#define right32  2048
#define last32   3072
#define words32  4096
#define pairs32  12288 // K + W of up to seven pairs

// A block made of the halves at SI and DI, K + W of which it leaves at R9.
//
//	R10 to R13, CX as in a block of one group
//	Z0–Z7, Z8–Z15 states  Z16–Z20 temporaries  Z21, Z22 and Z23, Z24 two words
//
// Requires: AVX512F, AVX512BW, AVX
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
	A0(LEANROUND, (128*0)(R13))
	B0(LEANROUND, (128*0+64)(R13))
	WORD32(0, 0, Z21)
	WORD32(0, 64, Z23)
	A1(LEANROUND, (128*1)(R13))
	B1(LEANROUND, (128*1+64)(R13))
	WORD32(1, 0, Z22)
	WORD32(1, 64, Z24)
	A2(LEANROUND, (128*2)(R13))
	B2(LEANROUND, (128*2+64)(R13))
	WORD32(2, 0, Z21)
	WORD32(2, 64, Z23)
	A3(LEANROUND, (128*3)(R13))
	B3(LEANROUND, (128*3+64)(R13))
	WORD32(3, 0, Z22)
	WORD32(3, 64, Z24)
	A0(LEANROUND, (128*4)(R13))
	B0(LEANROUND, (128*4+64)(R13))
	WORD32(4, 0, Z21)
	WORD32(4, 64, Z23)
	A1(LEANROUND, (128*5)(R13))
	B1(LEANROUND, (128*5+64)(R13))
	WORD32(5, 0, Z22)
	WORD32(5, 64, Z24)
	A2(LEANROUND, (128*6)(R13))
	B2(LEANROUND, (128*6+64)(R13))
	A3(LEANROUND, (128*7)(R13))
	B3(LEANROUND, (128*7+64)(R13))
	ADDQ $(128*6), R10
	ADDQ $(128*6), R11
	ADDQ $(4*6), R12
	ADDQ $(128*8), R13
	DECL CX
	JNZ  eight
	ADD32
	RET

// func labelAVX512x32(r *labelRun)
// Requires: AVX512F, AVX512BW, AVX
//
// As labelAVX512x16, but there is no slack that block 1 could fill.
//
//	AX, BX, DX, R8, R15, R9, SI, DI, R13, R14, CX as there
//	R10 repeated blocks to go        R12 the row to touch or prefetch
TEXT ·labelAVX512x32(SB), 0, $69696-8
	MOVQ r+0(FP), AX
	MOVQ labelRun_dst(AX), DX
	MOVQ labelRun_parents(AX), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8
	LEAQ (pairs32+7*8192)(R8), R15
	CMPQ labelRun_expander(AX), $0
	JNE  halves
	LEAQ (pairs32+3*8192)(R8), R15       // layer 1

halves:
	MOVQ            labelRun_replicas(AX), SI
	LEAQ            left32(R8), DI
	VMOVDQU64       lanes<>(SB), Z0
	VBROADCASTI32X4 bswap<>(SB), Z1
	GATHERLABELS(SI, DI)
	ADDQ            $512, SI
	ADDQ            $512, DI
	GATHERLABELS(SI, DI)
	VPXORD          Z16, Z16, Z16
	LEAQ            right32(R8), DI
	MOVL            $32, CX

zero:
	VMOVDQA64    Z16, (DI)               // right32 and last32
	ADDQ         $64, DI
	DECL         CX
	JNZ          zero
	VPBROADCASTD labelRun_layer(AX), Z16
	VPBROADCASTD labelRun_node(AX), Z17
	VPBROADCASTD bit<>(SB), Z18
	VPBROADCASTD size<>(SB), Z19
	VMOVDQA64    Z16, (right32+64*0)(R8)
	VMOVDQA64    Z16, (right32+64*0+512)(R8)
	VMOVDQA64    Z17, (right32+64*2)(R8)
	VMOVDQA64    Z17, (right32+64*2+512)(R8)
	VMOVDQA64    Z18, (last32+64*0)(R8)
	VMOVDQA64    Z18, (last32+64*0+512)(R8)
	VMOVDQA64    Z19, (last32+64*7)(R8)
	VMOVDQA64    Z19, (last32+64*7+512)(R8)

node:
	TOUCHROW
	AINITIAL
	BINITIAL
	LEAQ left32(R8), SI
	LEAQ right32(R8), DI
	LEAQ pairs32(R8), R9
	CALL block32<>(SB)
	XORL R14, R14

pair:
	MOVQ 0(BX)(R14*1), SI
	MOVQ 8(BX)(R14*1), DI
	CALL block32<>(SB)
	ADDQ $16, R14
	ADDQ $8192, R9
	CMPQ R9, R15
	JB   pair

	// The pairs again, until they were 18 blocks. R14 is 16 for each.
	SHRQ $4, R14
	MOVL $18, R10
	SUBQ R14, R10
	XORL R14, R14
	LEAQ pairs32(R8), R9
	MOVQ R9, R13
	ROWSOON

repeated:
	MOVQ 0(R12)(R14*1), SI
	MOVQ 8(R12)(R14*1), DI
	KEEP32
	MOVL $8, CX

eight:
	PREFETCHT0 (SI)
	PREFETCHT0 512(SI)
	PREFETCHT0 (DI)
	PREFETCHT0 512(DI)
	ADDQ $64, SI
	ADDQ $64, DI
	A0(ROUND, (128*0)(R13))
	B0(ROUND, (128*0+64)(R13))
	A1(ROUND, (128*1)(R13))
	B1(ROUND, (128*1+64)(R13))
	A2(ROUND, (128*2)(R13))
	B2(ROUND, (128*2+64)(R13))
	A3(ROUND, (128*3)(R13))
	B3(ROUND, (128*3+64)(R13))
	A0(ROUND, (128*4)(R13))
	B0(ROUND, (128*4+64)(R13))
	A1(ROUND, (128*5)(R13))
	B1(ROUND, (128*5+64)(R13))
	A2(ROUND, (128*6)(R13))
	B2(ROUND, (128*6+64)(R13))
	A3(ROUND, (128*7)(R13))
	B3(ROUND, (128*7+64)(R13))
	ADDQ $(128*8), R13
	DECL CX
	JNZ  eight
	ADD32
	ADDQ    $16, R14
	CMPQ    R13, R15
	CMOVQEQ R9, R13
	CMOVQEQ CX, R14                      // 0
	DECL    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ labelRun_expander(AX), CX
	SHLQ $6, CX
	MOVQ (BX)(CX*1), SI
	LEAQ last32(R8), DI
	CALL block32<>(SB)
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

	VMOVDQA64   (right32+64*2)(R8), Z16
	VPADDD.BCST one<>(SB), Z16, Z16
	VMOVDQA64   Z16, (right32+64*2)(R8)
	VMOVDQA64   Z16, (right32+64*2+512)(R8)
	ADDQ        $1024, DX
	ADDQ        $112, BX
	DECQ        labelRun_count(AX)
	JNZ         node
	VZEROUPPER
	RET

// The message at AX, and on to the next one as long as there is one.
#define LOADMESSAGE(z) \
	VMOVDQU64 (AX), z  \
	DECQ      BX       \
	CMOVQEQ   R11, R10 \
	ADDQ      R10, AX

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

// Word i of the left halves, and of the right ones.
#define STOREWORDS(i, z, y) \
	VPSHUFB   Z21, z, z               \
	VPSHUFB   Z21, y, y               \
	VMOVDQA64 z, (64*i)(DI)           \
	VMOVDQA64 y, (right32-left32+64*i)(DI)

// The digest whose words 0 to 3 and 4 to 7 are quarters number q, and on to the next
// as long as there is one.
#define STOREDIGEST(q, z, y) \
	VEXTRACTI32X4 q, z, 0(DX)  \
	VEXTRACTI32X4 q, y, 16(DX) \
	DECQ          CX           \
	CMOVQEQ       R11, R10     \
	ADDQ          R10, DX

// The 16 digests whose words are in eight registers.
#define STOREDIGESTS(z0, z1, z2, z3, z4, z5, z6, z7) \
	VPANDD.BCST field<>(SB), z7, z7 \
	VPSHUFB     Z21, z0, z0         \
	VPSHUFB     Z21, z1, z1         \
	VPSHUFB     Z21, z2, z2         \
	VPSHUFB     Z21, z3, z3         \
	VPSHUFB     Z21, z4, z4         \
	VPSHUFB     Z21, z5, z5         \
	VPSHUFB     Z21, z6, z6         \
	VPSHUFB     Z21, z7, z7         \
	TRANSPOSEWORDS(z0, z1, z2, z3)  \
	TRANSPOSEWORDS(z4, z5, z6, z7)  \
	STOREDIGEST($0, z0, z4)         \
	STOREDIGEST($0, z1, z5)         \
	STOREDIGEST($0, z2, z6)         \
	STOREDIGEST($0, z3, z7)         \
	STOREDIGEST($1, z0, z4)         \
	STOREDIGEST($1, z1, z5)         \
	STOREDIGEST($1, z2, z6)         \
	STOREDIGEST($1, z3, z7)         \
	STOREDIGEST($2, z0, z4)         \
	STOREDIGEST($2, z1, z5)         \
	STOREDIGEST($2, z2, z6)         \
	STOREDIGEST($2, z3, z7)         \
	STOREDIGEST($3, z0, z4)         \
	STOREDIGEST($3, z1, z5)         \
	STOREDIGEST($3, z2, z6)         \
	STOREDIGEST($3, z3, z7)

// func pairsAVX512(dst, src *byte, n int, padding *schedule)
// Requires: AVX512F, AVX512BW, AVX
//
// Two groups of 16 messages of 64 bytes, in which the last message comes again and
// again if fewer than 32 are left.
//
//	AX  src          DX  dst         BX  messages to load, CX digests to store
//	R8  the frame's first cache line R9  K + W of the first block
//	R10 bytes to the next message or digest, 0 at the end      R11 0
//	DI  halves       R13 K + W of the padding block's next rounds
//	Z0–Z15 messages, then states     Z16–Z20 temporaries       Z21 byte order
TEXT ·pairsAVX512(SB), 0, $20544-32
	MOVQ dst+0(FP), DX
	MOVQ src+8(FP), AX
	MOVQ n+16(FP), BX
	LEAQ 63(SP), R8
	ANDQ $~63, R8

next:
	VBROADCASTI32X4 bswap<>(SB), Z21
	LEAQ            left32(R8), DI
	MOVL            $64, R10
	XORL            R11, R11
	MOVL            $2, CX

group:
	LOADMESSAGE(Z0)
	LOADMESSAGE(Z1)
	LOADMESSAGE(Z2)
	LOADMESSAGE(Z3)
	LOADMESSAGE(Z4)
	LOADMESSAGE(Z5)
	LOADMESSAGE(Z6)
	LOADMESSAGE(Z7)
	LOADMESSAGE(Z8)
	LOADMESSAGE(Z9)
	LOADMESSAGE(Z10)
	LOADMESSAGE(Z11)
	LOADMESSAGE(Z12)
	LOADMESSAGE(Z13)
	LOADMESSAGE(Z14)
	LOADMESSAGE(Z15)
	TRANSPOSEWORDS(Z0, Z1, Z2, Z3)
	TRANSPOSEWORDS(Z4, Z5, Z6, Z7)
	TRANSPOSEWORDS(Z8, Z9, Z10, Z11)
	TRANSPOSEWORDS(Z12, Z13, Z14, Z15)
	TRANSPOSEQUARTERS(Z0, Z4, Z8, Z12)
	TRANSPOSEQUARTERS(Z1, Z5, Z9, Z13)
	TRANSPOSEQUARTERS(Z2, Z6, Z10, Z14)
	TRANSPOSEQUARTERS(Z3, Z7, Z11, Z15)
	STOREWORDS(0, Z0, Z8)
	STOREWORDS(1, Z1, Z9)
	STOREWORDS(2, Z2, Z10)
	STOREWORDS(3, Z3, Z11)
	STOREWORDS(4, Z4, Z12)
	STOREWORDS(5, Z5, Z13)
	STOREWORDS(6, Z6, Z14)
	STOREWORDS(7, Z7, Z15)
	ADDQ $512, DI
	DECL CX
	JNZ  group

	AINITIAL
	BINITIAL
	LEAQ left32(R8), SI
	LEAQ right32(R8), DI
	LEAQ pairs32(R8), R9
	CALL block32<>(SB)

	KEEP32
	MOVQ padding+24(FP), R13
	MOVL $8, CX

eight:
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
	JNZ  eight
	ADD32

	VBROADCASTI32X4 bswap<>(SB), Z21
	LEAQ            32(BX), CX
	MOVL            $32, R10
	XORL            R11, R11
	STOREDIGESTS(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	STOREDIGESTS(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	CMPQ BX, $0
	JGT  next
	VZEROUPPER
	RET

// One group of 8, in half of each register. Where a core starts three operations on
// halves in a cycle and two on whole registers, as Intel's do, a label takes a third
// more than in a group of 16, and half as many sectors fill it.

#undef S0
#undef S1
#undef S2
#undef S3
#undef S4
#undef S5
#undef S6
#undef S7
#undef N0
#undef N1
#undef N2
#undef N3
#undef N4
#undef N5
#undef N6
#undef N7
#undef T0
#undef T1
#undef T2
#undef T3
#undef T4
#undef W0
#undef W1
#undef O0
#undef O1
#undef O2
#undef O3
#undef O4
#undef O5
#undef O6
#undef O7
#undef WIDTH
#undef BLOCKBITS
#undef BLOCK

#define S0 Y0
#define S1 Y1
#define S2 Y2
#define S3 Y3
#define S4 Y4
#define S5 Y5
#define S6 Y6
#define S7 Y7
#define N0 Y8
#define N1 Y9
#define N2 Y10
#define N3 Y11
#define N4 Y12
#define N5 Y13
#define N6 Y14
#define N7 Y15
#define T0 Y16
#define T1 Y17
#define T2 Y18
#define T3 Y19
#define T4 Y20
#define W0 Y21
#define W1 Y22
#define O0 Y24
#define O1 Y25
#define O2 Y26
#define O3 Y27
#define O4 Y28
#define O5 Y29
#define O6 Y30
#define O7 Y31
#define WIDTH     32
#define BLOCKBITS 11

// Requires: AVX512F, AVX512VL, AVX2, AVX
TEXT block8<>(SB), NOSPLIT|NOFRAME, $0-0
#include "avx512_block_amd64.h"

#define BLOCK block8<>(SB)

// func labelAVX512x8(r *labelRun)
// Requires: AVX512F, AVX512VL, AVX2, AVX
//
// As labelAVX512x16.
TEXT ·labelAVX512x8(SB), 0, $19520-8
#include "avx512_label_amd64.h"
