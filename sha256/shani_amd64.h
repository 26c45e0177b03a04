// SHA-256 with the SHA extensions.
//
// SHA256RNDS2 does two rounds and has the state in two registers, here called
// ABEF and CDGH after the words that they hold, high to low. It finds the next
// two K + W in the low half of X0. Its latency, 4 cycles on every AMD core and
// most Intel ones, times 32 for each block is what a chain of labels costs: the
// code keeps everything else off the way from one SHA256RNDS2 to the next. Another
// chain can start one 3 cycles after it on Emerald Rapids, 2 on Zen 5, 1 on Zen 3:
// that much of the unit is left for other work.

// Round constants, and the vectors that the kernels need.
DATA k256<>+0x00(SB)/8, $0x71374491428a2f98
DATA k256<>+0x08(SB)/8, $0xe9b5dba5b5c0fbcf
DATA k256<>+0x10(SB)/8, $0x59f111f13956c25b
DATA k256<>+0x18(SB)/8, $0xab1c5ed5923f82a4
DATA k256<>+0x20(SB)/8, $0x12835b01d807aa98
DATA k256<>+0x28(SB)/8, $0x550c7dc3243185be
DATA k256<>+0x30(SB)/8, $0x80deb1fe72be5d74
DATA k256<>+0x38(SB)/8, $0xc19bf1749bdc06a7
DATA k256<>+0x40(SB)/8, $0xefbe4786e49b69c1
DATA k256<>+0x48(SB)/8, $0x240ca1cc0fc19dc6
DATA k256<>+0x50(SB)/8, $0x4a7484aa2de92c6f
DATA k256<>+0x58(SB)/8, $0x76f988da5cb0a9dc
DATA k256<>+0x60(SB)/8, $0xa831c66d983e5152
DATA k256<>+0x68(SB)/8, $0xbf597fc7b00327c8
DATA k256<>+0x70(SB)/8, $0xd5a79147c6e00bf3
DATA k256<>+0x78(SB)/8, $0x1429296706ca6351
DATA k256<>+0x80(SB)/8, $0x2e1b213827b70a85
DATA k256<>+0x88(SB)/8, $0x53380d134d2c6dfc
DATA k256<>+0x90(SB)/8, $0x766a0abb650a7354
DATA k256<>+0x98(SB)/8, $0x92722c8581c2c92e
DATA k256<>+0xa0(SB)/8, $0xa81a664ba2bfe8a1
DATA k256<>+0xa8(SB)/8, $0xc76c51a3c24b8b70
DATA k256<>+0xb0(SB)/8, $0xd6990624d192e819
DATA k256<>+0xb8(SB)/8, $0x106aa070f40e3585
DATA k256<>+0xc0(SB)/8, $0x1e376c0819a4c116
DATA k256<>+0xc8(SB)/8, $0x34b0bcb52748774c
DATA k256<>+0xd0(SB)/8, $0x4ed8aa4a391c0cb3
DATA k256<>+0xd8(SB)/8, $0x682e6ff35b9cca4f
DATA k256<>+0xe0(SB)/8, $0x78a5636f748f82ee
DATA k256<>+0xe8(SB)/8, $0x8cc7020884c87814
DATA k256<>+0xf0(SB)/8, $0xa4506ceb90befffa
DATA k256<>+0xf8(SB)/8, $0xc67178f2bef9a3f7
GLOBL k256<>(SB), RODATA|NOPTR, $256

// The initial state as ABEF and CDGH.
DATA initial<>+0x00(SB)/8, $0x510e527f9b05688c
DATA initial<>+0x08(SB)/8, $0x6a09e667bb67ae85
DATA initial<>+0x10(SB)/8, $0x1f83d9ab5be0cd19
DATA initial<>+0x18(SB)/8, $0x3c6ef372a54ff53a
GLOBL initial<>(SB), RODATA|NOPTR, $32

// PSHUFB mask that turns four words' bytes around.
DATA bswap<>+0x00(SB)/8, $0x0405060700010203
DATA bswap<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL bswap<>(SB), RODATA|NOPTR, $16

// Clears the two high bits of a digest's last byte, in its words e f g h.
DATA field<>+0x00(SB)/8, $0xffffffffffffffff
DATA field<>+0x08(SB)/8, $0xffffff3fffffffff
GLOBL field<>(SB), RODATA|NOPTR, $16

// Words 8 to 11 and 12 to 15 of a label's last block: a set bit, zeros, and the
// message's 1248 bytes counted in bits.
DATA finish<>+0x00(SB)/8, $0x0000000080000000
DATA finish<>+0x08(SB)/8, $0x0000000000000000
DATA finish<>+0x10(SB)/8, $0x0000000000000000
DATA finish<>+0x18(SB)/8, $0x0000270000000000
GLOBL finish<>(SB), RODATA|NOPTR, $32

// Adds one to the node in [layer, node's high word, node's low word, 0].
DATA nextNode<>+0x00(SB)/8, $0x0000000000000000
DATA nextNode<>+0x08(SB)/8, $0x0000000000000001
GLOBL nextNode<>(SB), RODATA|NOPTR, $16

// Four rounds whose K + W lies at wk.
#define ROUNDS(wk, ABEF, CDGH) \
	MOVOU       wk, X0         \
	SHA256RNDS2 X0, ABEF, CDGH \
	PSHUFD      $0x0e, X0, X0  \
	SHA256RNDS2 X0, CDGH, ABEF

// Rounds 4t to 4t+3 with the message words in m.
#define ROUNDSONCE(t, m, ABEF, CDGH) \
	MOVO        m, X0                 \
	PADDL       k256<>+(16*t)(SB), X0 \
	SHA256RNDS2 X0, ABEF, CDGH        \
	PSHUFD      $0x0e, X0, X0         \
	SHA256RNDS2 X0, CDGH, ABEF

// The same, and K + W is kept at wk for the next time that the block comes around.
#define ROUNDSKEEP(t, wk, m, ABEF, CDGH) \
	MOVO        m, X0                 \
	PADDL       k256<>+(16*t)(SB), X0 \
	MOVOU       X0, wk                \
	SHA256RNDS2 X0, ABEF, CDGH        \
	PSHUFD      $0x0e, X0, X0         \
	SHA256RNDS2 X0, CDGH, ABEF

// The message schedule, four words at a time: m1 are the newest words, m0 the
// four before them, m2 the four that are 12 to 15 words old and have σ0 added.
// START adds σ0 to m0, END makes the next words of m2, EXTEND does both.
#define START(m0, m1) \
	SHA256MSG1 m1, m0

#define END(m0, m1, m2, tmp) \
	MOVO       m1, tmp     \
	PALIGNR    $4, m0, tmp \
	PADDL      tmp, m2     \
	SHA256MSG2 m1, m2

#define EXTEND(m0, m1, m2, tmp) \
	END(m0, m1, m2, tmp) \
	START(m0, m1)

// A block whose message words are in m0 to m3; they are lost. STEP(t, m) does
// what there is to do with words 4t to 4t+3, which are in m. AFTERSTEP0 is what
// follows STEP(0, m0).
#define BLOCK(STEP, m0, m1, m2, m3, tmp) \
	STEP(0, m0)                           \
	AFTERSTEP0(STEP, m0, m1, m2, m3, tmp)

#define AFTERSTEP0(STEP, m0, m1, m2, m3, tmp) \
	STEP(1, m1)             \
	START(m0, m1)           \
	STEP(2, m2)             \
	START(m1, m2)           \
	STEP(3, m3)             \
	EXTEND(m2, m3, m0, tmp) \
	STEP(4, m0)             \
	EXTEND(m3, m0, m1, tmp) \
	STEP(5, m1)             \
	EXTEND(m0, m1, m2, tmp) \
	STEP(6, m2)             \
	EXTEND(m1, m2, m3, tmp) \
	STEP(7, m3)             \
	EXTEND(m2, m3, m0, tmp) \
	STEP(8, m0)             \
	EXTEND(m3, m0, m1, tmp) \
	STEP(9, m1)             \
	EXTEND(m0, m1, m2, tmp) \
	STEP(10, m2)            \
	EXTEND(m1, m2, m3, tmp) \
	STEP(11, m3)            \
	EXTEND(m2, m3, m0, tmp) \
	STEP(12, m0)            \
	EXTEND(m3, m0, m1, tmp) \
	STEP(13, m1)            \
	END(m0, m1, m2, tmp)    \
	STEP(14, m2)            \
	END(m1, m2, m3, tmp)    \
	STEP(15, m3)

// Loads the 32 bytes at p as message words m0, m1.
#define LOADWORDS(p, m0, m1, mask) \
	MOVOU  0(p), m0  \
	MOVOU  16(p), m1 \
	PSHUFB mask, m0  \
	PSHUFB mask, m1

// Turns the state into a truncated digest's words, m0 and m1; the state is lost.
#define DIGESTWORDS(ABEF, CDGH, m0, m1) \
	PSHUFD  $0x1b, ABEF, m1   \
	PSHUFD  $0xb1, CDGH, CDGH \
	MOVO    m1, m0            \
	PBLENDW $0xf0, CDGH, m0   \
	PALIGNR $8, m1, CDGH      \
	MOVO    CDGH, m1          \
	PAND    field<>(SB), m1

// Stores the words m0, m1 of a label at p; t0 and t1 are lost.
#define STOREWORDS(p, m0, m1, t0, t1, mask) \
	MOVO   m0, t0    \
	MOVO   m1, t1    \
	PSHUFB mask, t0  \
	PSHUFB mask, t1  \
	MOVOU  t0, 0(p)  \
	MOVOU  t1, 16(p)

// Pulls the label of the parent in a slot of the row, AX bytes further on, into the
// cache. R13 is lost.
#define PREFETCH(slot, row) \
	MOVQ       (8*slot)(row)(AX*1), R13 \
	PREFETCHT0 (R13)

// Pulls a later row than those whose pages are walked into the cache. Rows come from the
// shared cache, or another core's, where a producer wrote them, and not every
// processor fetches ahead from one page to the next. A page walk that has no address
// yet when the misprediction shows does not begin.
#define PREFETCHROW \
	PREFETCHT0 (3*const_rowBytes)(BX)(AX*1)    \
	PREFETCHT0 (3*const_rowBytes+64)(BX)(AX*1)
