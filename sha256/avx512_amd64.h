// SHA-256 of 16 messages at once with AVX-512: lane l of every register belongs
// to message l. Labels lie as Kernel.Group 16 says, so that word w of 16 labels is
// one vector of 64 bytes, and the words are numbers already. Registers have the
// names that avx512_whole_amd64.h or avx512_half_amd64.h, included before, gives them.
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

// s = x rotated by i ^ x rotated by j ^ x rotated by k.
#define SIGMA(i, j, k, x, s) \
	VPRORD     i, x, s        \
	VPRORD     j, x, T1       \
	VPRORD     k, x, T2       \
	VPTERNLOGD XOR, T1, T2, s

// A round whose K + W has been added to h. The new e is in h then, the new a in d.
// From one e to the next it is only rotate, ternary, addition, because d + h comes
// first, and as much from one a to the next: what it takes from e is got back from
// the new e, for one subtraction.
#define MIX(a, b, c, d, e, f, g, h) \
	VPADDD     d, h, h            \ // d + h + K + W
	SIGMA($6, $11, $25, e, T0)    \
	VMOVDQA64  e, T3              \
	VPTERNLOGD CHOOSE, g, f, T3   \
	VPADDD     T3, h, h           \
	VPADDD     T0, h, h           \ // the new e
	VPSUBD     d, h, d            \
	VMOVDQA64  a, T4              \
	VPTERNLOGD MAJORITY, c, b, T4 \
	SIGMA($2, $13, $22, a, T0)    \
	VPADDD     T4, d, d           \
	VPADDD     T0, d, d             // the new a

// A round that the chain from e to e bounds.
#define CHAINROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD kw, h, h             \
	MIX(a, b, c, d, e, f, g, h)

// The same with one operation less, and one more from e to e: for rounds that the
// number of operations bounds.
#define LEANMIX(a, b, c, d, e, f, g, h) \
	SIGMA($6, $11, $25, e, T0)    \
	VMOVDQA64  e, T3              \
	VPTERNLOGD CHOOSE, g, f, T3   \
	VPADDD     T3, h, h           \
	VPADDD     T0, h, h           \
	VMOVDQA64  a, T4              \
	VPTERNLOGD MAJORITY, c, b, T4 \
	SIGMA($2, $13, $22, a, T0)    \
	VPADDD     h, T4, T4          \
	VPADDD     d, h, h            \ // the new e
	VPADDD     T0, T4, d            // the new a

#define LEANROUND(kw, a, b, c, d, e, f, g, h) \
	VPADDD kw, h, h                 \
	LEANMIX(a, b, c, d, e, f, g, h)

// The word 16 after w0. v has the word 14 after w0, then the new.
#define PLAINWORD(w0, w1, w9, w16, v) \
	VMOVDQA64  w1, T0          \
	VPRORD     $7, T0, T1      \
	VPRORD     $18, T0, T2     \
	VPSRLD     $3, T0, T0      \
	VPTERNLOGD XOR, T1, T2, T0 \ // σ0
	VPADDD     w0, T0, T0      \
	VPADDD     w9, T0, T0      \
	VPRORD     $17, v, T1      \
	VPRORD     $19, v, T2      \
	VPSRLD     $10, v, v       \
	VPTERNLOGD XOR, T1, T2, v  \ // σ1
	VPADDD     T0, v, v        \
	VMOVDQA64  v, w16

// The same, and its K + W.
#define WORD(w0, w1, w9, w16, k16, kw16, v) \
	PLAINWORD(w0, w1, w9, w16, v) \
	VPADDD.BCST k16, v, T0        \
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
// is 10 % of a label in 8 lanes, 7 % in 16, 5 % in 32. Speculative page walks instead,
// as kernels with SHA-NI do, took 2 to 3 % more on Zen 4.)
#define TOUCH(slot) \
	MOVQ       (8*slot)(R12), SI \
	PREFETCHT0 (SI)

#define TOUCHROW \
	MOVQ labelSpan_ahead(AX), R12   \
	ADDQ BX, R12                   \
	TOUCH(0)                       \
	TOUCH(1)                       \
	TOUCH(2)                       \
	TOUCH(3)                       \
	TOUCH(4)                       \
	TOUCH(5)                       \
	CMPQ labelSpan_expander(AX), $0 \
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
	MOVQ labelSpan_ahead(AX), R12 \
	SHRQ $2, R12                 \
	ADDQ BX, R12
