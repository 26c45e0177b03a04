//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "lookup_amd64.h"

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
	PSHUFD  $0x1b, ABEF, m1 \
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

// Pulls the label of the parent in a slot of the row at R12, AX bytes further on,
// into the cache.
#define PREFETCH(slot) \
	MOVQ        (8*slot)(R12)(AX*1), R13 \
	PREFETCHT0  (R13)

// Pulls a later row than those that are looked up into the cache. Rows come from the
// shared cache, or another core's, where a producer wrote them, and not every
// processor fetches ahead from one page to the next. A lookup that has no address yet
// when the mistake shows is none.
#define PREFETCHROW \
	PREFETCHT0 (3*112)(BX)(AX*1)    \
	PREFETCHT0 (3*112+64)(BX)(AX*1)

// The steps of labelSHANI's blocks: block 1 of a node, alone, and beside a
// repeated block, in the cycles in which that waits for SHA256RNDS2; a block of
// two parents; and a label's last block.
#define FIRSTSTEP(t, m) \
	ROUNDSONCE(t, m, X10, X11)

#define NEXTSTEP(t, m) \
	ROUNDS((16*t)(R8), X1, X2) \
	ROUNDSONCE(t, m, X10, X11)

#define PAIRSTEP(t, m) \
	ROUNDSKEEP(t, (16*t)(R9), m, X1, X2)

#define LASTSTEP(t, m) \
	ROUNDSONCE(t, m, X1, X2)

// What labelSHANI keeps behind the pairs' K + W: whether pages are looked up.
#define LOOKUP1 (7*256)

// func labelSHANI(r *labelRun)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W on the stack, the others load it. Block 1 of the next node depends on no
// label: it shares the units with the first repeated block. Where the first
// parent is the node just labelled, its words are still in registers (10 cycles a
// label), and the first two words of K + W are made beforehand (3 cycles).
//
// The labels of nodes further on are prefetched in the repeated blocks. They have
// half as many instructions as the others, so twice as much of the chain fits
// into the reorder buffer behind a prefetch, which does not retire before its
// address is translated: hundreds of cycles if the TLB misses. (Prefetching in
// the first blocks cost 200 to 600 cycles a label in a layer of 512 MiB.) Where the
// pages are looked up one node before that, in three groups that are as far apart as a
// group's page walks take, a label takes some 5 % less (BenchmarkLabelFromMemory).
//
//	BX  the node's row               DX  where its label goes
//	R8  K + W of the pairs           R15 its end
//	R9  K + W of the current pair    R10 repeated blocks to go
//	R11 the label in X3, X4, if any  R12 a pair of the row, CX the last pair
//	R13 addresses                    AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	X0  K + W of two rounds          X1, X2   state ABEF, CDGH
//	X3–X6 message words              X7       temporary
//	X8, X9 state before the block    X10, X11 next node's state after block 1
//	X12, X13 replica id              X14 byte order, X15 [layer, node high, low, 0]
TEXT ·labelSHANI(SB), 0, $1920-8
	MOVQ   r+0(FP), AX
	MOVQ   labelRun_dst(AX), DX
	MOVQ   labelRun_parents(AX), BX
	MOVQ   labelRun_count(AX), DI
	MOVOU  bswap<>(SB), X14
	MOVQ   labelRun_replicas(AX), CX
	LOADWORDS(CX, X12, X13, X14)
	MOVQ   labelRun_node(AX), X0
	MOVQ   labelRun_layer(AX), X15
	PUNPCKLQDQ X0, X15                   // a node's high word is always 0

	LEAQ 63(SP), R8                      // K + W in whole cache lines
	ANDQ $~63, R8
	LEAQ (7*256)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelRun_expander(AX), $0
	JNE  start
	LEAQ (3*256)(R8), R15                // layer 1
	XORL SI, SI

start:
	MOVQ labelRun_lookup(AX), R13
	MOVQ R13, LOOKUP1(R8)
	MOVQ labelRun_ahead(AX), AX
	XORL R11, R11

	// Block 1 of the first node has no chain to hide behind.
	MOVOU initial<>+0(SB), X10
	MOVOU initial<>+16(SB), X11
	MOVO  X12, X3
	MOVO  X13, X4
	MOVO  X15, X5
	PXOR  X6, X6
	BLOCK(FIRSTSTEP, X3, X4, X5, X6, X7)
	PADDL initial<>+0(SB), X10
	PADDL initial<>+16(SB), X11

node:
	MOVO X10, X1
	MOVO X11, X2
	MOVO X1, X8
	MOVO X2, X9
	MOVQ R8, R9
	MOVQ BX, R12
	CMPQ 0(R12), R11
	JNE  first

	// PAIRSTEP(0, X3), but that X0 already has what the first two rounds need.
	SHA256RNDS2 X0, X1, X2
	MOVO   X3, X0
	PADDL  k256<>+0(SB), X0
	MOVOU  X0, 0(R9)
	PSHUFD $0x0e, X0, X0
	SHA256RNDS2 X0, X2, X1
	JMP    second

first:
	MOVQ 0(R12), R13
	LOADWORDS(R13, X3, X4, X14)
	PAIRSTEP(0, X3)

second:
	MOVQ 8(R12), R13
	LOADWORDS(R13, X5, X6, X14)
	AFTERSTEP0(PAIRSTEP, X3, X4, X5, X6, X7)
	PADDL X8, X1
	PADDL X9, X2
	MOVO  X1, X8
	MOVO  X2, X9
	ADDQ  $16, R12
	ADDQ  $256, R9
	CMPQ  R9, R15
	JB    first

	// The first repeated block, and block 1 of the next node.
	LOOKUPROW(LOOKUP1(R8), lookupA<>)
	PADDL nextNode<>(SB), X15
	MOVOU initial<>+0(SB), X10
	MOVOU initial<>+16(SB), X11
	MOVO  X12, X3
	MOVO  X13, X4
	MOVO  X15, X5
	PXOR  X6, X6
	BLOCK(NEXTSTEP, X3, X4, X5, X6, X7)
	PADDL X8, X1
	PADDL X9, X2
	PADDL initial<>+0(SB), X10
	PADDL initial<>+16(SB), X11

	// The others: 18 less the pairs less one. Each prefetches a pair of a node
	// further on, the last pair again and again once there are no more.
	MOVQ R15, R10
	SUBQ R8, R10
	SHRQ $8, R10
	SUBQ $17, R10
	NEGQ R10
	LEAQ 256(R8), R9
	LEAQ -16(R12), CX
	MOVQ BX, R12

repeated:
	CMPQ R10, $5
	JNE  prefetch
	LOOKUPROW(LOOKUP1(R8), lookupB<>)

prefetch:
	PREFETCH(0)
	PREFETCH(1)
	ADDQ    $16, R12
	CMPQ    R12, CX
	CMOVQHI CX, R12

	MOVO X1, X8
	MOVO X2, X9
	ROUNDS(0(R9), X1, X2)
	ROUNDS(16(R9), X1, X2)
	ROUNDS(32(R9), X1, X2)
	ROUNDS(48(R9), X1, X2)
	ROUNDS(64(R9), X1, X2)
	ROUNDS(80(R9), X1, X2)
	ROUNDS(96(R9), X1, X2)
	ROUNDS(112(R9), X1, X2)
	ROUNDS(128(R9), X1, X2)
	ROUNDS(144(R9), X1, X2)
	ROUNDS(160(R9), X1, X2)
	ROUNDS(176(R9), X1, X2)
	ROUNDS(192(R9), X1, X2)
	ROUNDS(208(R9), X1, X2)
	ROUNDS(224(R9), X1, X2)
	ROUNDS(240(R9), X1, X2)
	PADDL X8, X1
	PADDL X9, X2

	ADDQ    $256, R9
	CMPQ    R9, R15
	CMOVQEQ R8, R9
	DECQ    R10
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ  (BX)(SI*1), R13
	LOADWORDS(R13, X3, X4, X14)
	LOOKUPROW(LOOKUP1(R8), lookupC<>)
	MOVOU finish<>+0(SB), X5
	MOVOU finish<>+16(SB), X6
	MOVO  X1, X8
	MOVO  X2, X9
	BLOCK(LASTSTEP, X3, X4, X5, X6, X7)

	// K + W of the next node's first two rounds, if this label is its first parent.
	// All but the last two instructions are done before the last SHA256RNDS2 is.
	PSHUFD $0x1b, X8, X7
	PADDL  k256<>+0(SB), X7
	PSHUFD $0x1b, X1, X0
	PADDL  X7, X0

	PADDL X8, X1
	PADDL X9, X2
	DIGESTWORDS(X1, X2, X3, X4)
	STOREWORDS(DX, X3, X4, X5, X6, X14)

	MOVQ DX, R11
	ADDQ $32, DX
	ADDQ $112, BX
	DECQ DI
	JNZ  node
	RET

// What labelSHANIx2 keeps in memory, from R8 on: first what the lanes' blocks
// need, then K + W of the pairs of parents and of the next node's block 1, in which
// four words of lane 0 and four of lane 1 alternate.
#define SAVED   0   // states before the block
#define NEXT    64  // states of the next node after block 1
#define REPLICA 128 // replica ids as words
#define NUMBERS 192 // [layer, node high, low, 0]
#define LOOKUP2 208 // whether pages are looked up
#define KW      256 // K + W,
#define KWBLOCK 512 // so much for each block

// For both lanes: four rounds, or the next words of the schedule.
#define ROUNDSBOTH(wk0, wk1) \
	ROUNDS(wk0, X1, X2) \
	ROUNDS(wk1, X3, X4)

#define STARTBOTH(a0, a1, b0, b1) \
	START(a0, a1) \
	START(b0, b1)

#define ENDBOTH(a0, a1, a2, b0, b1, b2) \
	END(a0, a1, a2, X13) \
	END(b0, b1, b2, X15)

#define EXTENDBOTH(a0, a1, a2, b0, b1, b2) \
	EXTEND(a0, a1, a2, X13) \
	EXTEND(b0, b1, b2, X15)

// BLOCK for both lanes: words are in X5 to X8 and X9 to X12.
#define BLOCKBOTH(STEP) \
	STEP(0, X5, X9)                       \
	STEP(1, X6, X10)                      \
	STARTBOTH(X5, X6, X9, X10)            \
	STEP(2, X7, X11)                      \
	STARTBOTH(X6, X7, X10, X11)           \
	STEP(3, X8, X12)                      \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(4, X5, X9)                       \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(5, X6, X10)                      \
	EXTENDBOTH(X5, X6, X7, X9, X10, X11)  \
	STEP(6, X7, X11)                      \
	EXTENDBOTH(X6, X7, X8, X10, X11, X12) \
	STEP(7, X8, X12)                      \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(8, X5, X9)                       \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(9, X6, X10)                      \
	EXTENDBOTH(X5, X6, X7, X9, X10, X11)  \
	STEP(10, X7, X11)                     \
	EXTENDBOTH(X6, X7, X8, X10, X11, X12) \
	STEP(11, X8, X12)                     \
	EXTENDBOTH(X7, X8, X5, X11, X12, X9)  \
	STEP(12, X5, X9)                      \
	EXTENDBOTH(X8, X5, X6, X12, X9, X10)  \
	STEP(13, X6, X10)                     \
	ENDBOTH(X5, X6, X7, X9, X10, X11)     \
	STEP(14, X7, X11)                     \
	ENDBOTH(X6, X7, X8, X10, X11, X12)    \
	STEP(15, X8, X12)

// Steps of the blocks: one of two parents, whose K + W is kept; the last block of
// a label, and block 1 of the first node, whose K + W is not; and the schedule of
// the next node's block 1 beside a repeated block.
#define PAIRBOTH(t, a, b) \
	ROUNDSKEEP(t, (32*t)(R9), a, X1, X2)    \
	ROUNDSKEEP(t, (32*t+16)(R9), b, X3, X4)

#define ONCEBOTH(t, a, b) \
	ROUNDSONCE(t, a, X1, X2) \
	ROUNDSONCE(t, b, X3, X4)

#define NEXTBOTH(t, a, b) \
	ROUNDSBOTH((KW+32*t)(R8), (KW+32*t+16)(R8)) \
	MOVO  a, X13                                \
	MOVO  b, X15                                \
	PADDL k256<>+(16*t)(SB), X13                \
	PADDL k256<>+(16*t)(SB), X15                \
	MOVOU X13, (32*t)(R15)                      \
	MOVOU X15, (32*t+16)(R15)

// A repeated block with K + W at R9.
#define REPEATBOTH \
	ROUNDSBOTH(0(R9), 16(R9))    \
	ROUNDSBOTH(32(R9), 48(R9))   \
	ROUNDSBOTH(64(R9), 80(R9))   \
	ROUNDSBOTH(96(R9), 112(R9))  \
	ROUNDSBOTH(128(R9), 144(R9)) \
	ROUNDSBOTH(160(R9), 176(R9)) \
	ROUNDSBOTH(192(R9), 208(R9)) \
	ROUNDSBOTH(224(R9), 240(R9)) \
	ROUNDSBOTH(256(R9), 272(R9)) \
	ROUNDSBOTH(288(R9), 304(R9)) \
	ROUNDSBOTH(320(R9), 336(R9)) \
	ROUNDSBOTH(352(R9), 368(R9)) \
	ROUNDSBOTH(384(R9), 400(R9)) \
	ROUNDSBOTH(416(R9), 432(R9)) \
	ROUNDSBOTH(448(R9), 464(R9)) \
	ROUNDSBOTH(480(R9), 496(R9))

// Saves both lanes' states, and adds what was saved.
#define SAVEBOTH \
	MOVOU X1, (SAVED+0)(R8)  \
	MOVOU X2, (SAVED+16)(R8) \
	MOVOU X3, (SAVED+32)(R8) \
	MOVOU X4, (SAVED+48)(R8)

#define ADDBOTH \
	PADDL (SAVED+0)(R8), X1  \
	PADDL (SAVED+16)(R8), X2 \
	PADDL (SAVED+32)(R8), X3 \
	PADDL (SAVED+48)(R8), X4

// Sets the words of both lanes' block 1.
#define NEXTWORDS \
	MOVOU (REPLICA+0)(R8), X5   \
	MOVOU (REPLICA+16)(R8), X6  \
	MOVOU (REPLICA+32)(R8), X9  \
	MOVOU (REPLICA+48)(R8), X10 \
	MOVOU NUMBERS(R8), X7       \
	MOVO  X7, X11               \
	PXOR  X8, X8                \
	PXOR  X12, X12

// func labelSHANIx2(r *labelRun)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Two chains of labels side by side, block by block as in labelSHANI. Each waits
// four cycles for each SHA256RNDS2. On Zen 5 the two then keep the SHA unit busy,
// and nothing but its idle cycles is left to be won; on Zen 3 half of it is free.
//
// So the next node's blocks 1 are spread: their schedules are made in the first
// repeated block, their rounds done at the ends of the four after that, eight and
// eight for each lane. There the unit waits for the sums of a block's end, and they
// take its idle cycles. Before the chains they would cost 64 cycles a label.
//
// The repeated blocks that are left prefetch, six labels at a time. Two chains
// fill the reorder buffer twice as fast as one, and it then waits for the slowest
// of the six addresses, not three times for one of two: 50 cycles a label in
// layers of 1 GiB on Zen 3, and 300 when its memory is busy. Where their pages have been
// looked up there is nothing to wait for, and three at a time are better by 15 to 20.
//
// Registers hold both lanes' message words and states, so that what is needed once
// a block is in memory.
//
//	BX  the node's row               DX  where its labels go
//	R8  memory as above              R15 the end of the pairs' K + W: that of block 1
//	R9  K + W of the current pair    R10 K + W of block 1 to come
//	R11 the label in X5, X6 and X9, X10, if any
//	R12 a place in the row           R13 addresses
//	CX  replica ids                  AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	R14 repeated blocks to go (Go's g, which its ABI restores)
//	X0  K + W of two rounds          X14 byte order
//	X1, X2   lane 0's state ABEF, CDGH   X5–X8  its message words   X13 temporary
//	X3, X4   lane 1's state              X9–X12 its message words   X15 temporary
//	X5–X8    states in the next node's block 1, in the repeated blocks
TEXT ·labelSHANIx2(SB), 0, $4416-8
	MOVQ  r+0(FP), AX
	MOVQ  labelRun_dst(AX), DX
	MOVQ  labelRun_parents(AX), BX
	MOVQ  labelRun_count(AX), DI
	MOVOU bswap<>(SB), X14
	LEAQ  63(SP), R8                     // whole cache lines
	ANDQ  $~63, R8

	MOVQ  labelRun_replicas(AX), CX
	LOADWORDS(CX, X5, X6, X14)
	MOVOU X5, (REPLICA+0)(R8)
	MOVOU X6, (REPLICA+16)(R8)
	ADDQ  $32, CX
	LOADWORDS(CX, X5, X6, X14)
	MOVOU X5, (REPLICA+32)(R8)
	MOVOU X6, (REPLICA+48)(R8)
	MOVQ  labelRun_node(AX), X0
	MOVQ  labelRun_layer(AX), X7
	PUNPCKLQDQ X0, X7                    // a node's high word is always 0
	MOVOU X7, NUMBERS(R8)
	MOVQ  labelRun_lookup(AX), R13
	MOVQ  R13, LOOKUP2(R8)

	LEAQ (KW+7*KWBLOCK)(R8), R15
	MOVQ $(8*8), SI
	CMPQ labelRun_expander(AX), $0
	JNE  start
	LEAQ (KW+3*KWBLOCK)(R8), R15         // layer 1
	XORL SI, SI

start:
	MOVQ labelRun_ahead(AX), AX
	XORL R11, R11

	// Blocks 1 of the first node.
	NEXTWORDS
	MOVOU initial<>+0(SB), X1
	MOVOU initial<>+16(SB), X2
	MOVO  X1, X3
	MOVO  X2, X4
	SAVEBOTH
	BLOCKBOTH(ONCEBOTH)
	ADDBOTH
	JMP   node

next:
	MOVOU (NEXT+0)(R8), X1
	MOVOU (NEXT+16)(R8), X2
	MOVOU (NEXT+32)(R8), X3
	MOVOU (NEXT+48)(R8), X4

node:
	LEAQ KW(R8), R9
	MOVQ BX, R12
	CMPQ 0(R12), R11
	JEQ  second

first:
	MOVQ 0(R12), R13
	LOADWORDS(R13, X5, X6, X14)
	ADDQ $32, R13
	LOADWORDS(R13, X9, X10, X14)

second:
	MOVQ 8(R12), R13
	LOADWORDS(R13, X7, X8, X14)
	ADDQ $32, R13
	LOADWORDS(R13, X11, X12, X14)
	SAVEBOTH
	BLOCKBOTH(PAIRBOTH)
	ADDBOTH
	ADDQ $16, R12
	ADDQ $KWBLOCK, R9
	CMPQ R9, R15
	JB   first

	// The first repeated block, and the schedules of the next node's blocks 1.
	PREFETCHROW
	LOOKUPROW(LOOKUP2(R8), lookupA<>)
	MOVOU NUMBERS(R8), X7
	PADDL nextNode<>(SB), X7
	MOVOU X7, NUMBERS(R8)
	NEXTWORDS
	SAVEBOTH
	BLOCKBOTH(NEXTBOTH)
	ADDBOTH

	// Four more, with their rounds.
	LEAQ  (KW+KWBLOCK)(R8), R9
	MOVQ  R15, R10
	MOVQ  R15, R14
	SUBQ  R8, R14
	SHRQ  $9, R14                        // the pairs; KW is less than one
	SUBQ  $13, R14
	NEGQ  R14                            // repeated blocks less five
	MOVOU initial<>+0(SB), X5
	MOVOU initial<>+16(SB), X6
	MOVO  X5, X7
	MOVO  X6, X8

filled:
	SAVEBOTH
	REPEATBOTH
	ROUNDS(0(R10), X5, X6)
	ROUNDS(16(R10), X7, X8)
	ROUNDS(32(R10), X5, X6)
	ROUNDS(48(R10), X7, X8)
	ROUNDS(64(R10), X5, X6)
	ROUNDS(80(R10), X7, X8)
	ROUNDS(96(R10), X5, X6)
	ROUNDS(112(R10), X7, X8)
	ADDBOTH

	ADDQ    $128, R10
	ADDQ    $KWBLOCK, R9
	LEAQ    KW(R8), R13
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	LEAQ    KWBLOCK(R15), R13
	CMPQ    R10, R13
	JNE     filled

	PADDL initial<>+0(SB), X5
	PADDL initial<>+16(SB), X6
	PADDL initial<>+0(SB), X7
	PADDL initial<>+16(SB), X8
	MOVOU X5, (NEXT+0)(R8)
	MOVOU X6, (NEXT+16)(R8)
	MOVOU X7, (NEXT+32)(R8)
	MOVOU X8, (NEXT+48)(R8)

	LOOKUPROW(LOOKUP2(R8), lookupB<>)

	// The others. Each prefetches three or six of a node further on, the row's last,
	// those before, and then the first again and again.
	SUBQ $24, R12
	CMPQ LOOKUP2(R8), $0
	JNE  repeated
	SUBQ $24, R12

repeated:
	PREFETCH(0)
	PREFETCH(1)
	PREFETCH(2)
	CMPQ LOOKUP2(R8), $0
	JNE  three
	PREFETCH(3)
	PREFETCH(4)
	PREFETCH(5)
	SUBQ $24, R12

three:
	SUBQ    $24, R12
	CMPQ    R12, BX
	CMOVQCS BX, R12

	SAVEBOTH
	REPEATBOTH
	ADDBOTH
	ADDQ    $KWBLOCK, R9
	LEAQ    KW(R8), R13
	CMPQ    R9, R15
	CMOVQEQ R13, R9
	DECQ    R14
	JNZ     repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding.
	MOVQ  (BX)(SI*1), R13
	LOADWORDS(R13, X5, X6, X14)
	ADDQ  $32, R13
	LOADWORDS(R13, X9, X10, X14)
	LOOKUPROW(LOOKUP2(R8), lookupC<>)
	MOVOU finish<>+0(SB), X7
	MOVOU finish<>+16(SB), X8
	MOVO  X7, X11
	MOVO  X8, X12
	SAVEBOTH
	BLOCKBOTH(ONCEBOTH)
	ADDBOTH
	DIGESTWORDS(X1, X2, X5, X6)
	DIGESTWORDS(X3, X4, X9, X10)
	STOREWORDS(DX, X5, X6, X7, X8, X14)
	MOVQ  DX, R11
	ADDQ  $32, DX
	STOREWORDS(DX, X9, X10, X11, X12, X14)
	ADDQ  $32, DX

	ADDQ $112, BX
	DECQ DI
	JNZ  next
	RET

// What labelSHANIx4 keeps in memory, from R8 on. Labels are four lanes', 32 bytes
// each, in the byte order of files.
#define SAVED4   0    // states before the block, lane after lane
#define NUMBERS4 128  // second halves of blocks 1: layer, node
#define FINISH4  256  // second halves of last blocks: the padding
#define RING4    384  // four times four words of each lane in a node's first pair
#define NUMBER4  640  // [layer, node high, low, 0]
#define THIS4    656  // this node's half of the memory below
#define OTHER4   664  // the next node's
#define PAIRS4   672  // bytes of K + W of the pairs
#define END4     680  // the end of this node's
#define STRIDE4  688  // bytes from a node's labels to the next's
#define LOOKUP4  696  // whether pages are looked up
#define LAST4    704  // K + W of the last block, four words of each lane in turn
#define NODES4   1728 // twice, for this node and the next:

#define KWBLOCK4 1024             // K + W of a pair, like that of the last block
#define FIRST4   (7*KWBLOCK4)     // K + W of block 1
#define NEXT4    (8*KWBLOCK4)     // the states after block 1: ABEF four times, CDGH four times
#define JOBS4    (NEXT4+128)      // the schedules to be made: halves of the block, K + W
#define NODE4    (JOBS4+8*24)

// Rounds 4t and 4t+1, or the two after, of all lanes with K + W at R9. To load
// these twice is better than PSHUFD, which would take the SHA unit's ports.
#define ROUNDSLOW(t) \
	MOVQ        (64*t+0)(R9), X0  \
	SHA256RNDS2 X0, X1, X2        \
	MOVQ        (64*t+16)(R9), X0 \
	SHA256RNDS2 X0, X3, X4        \
	MOVQ        (64*t+32)(R9), X0 \
	SHA256RNDS2 X0, X5, X6        \
	MOVQ        (64*t+48)(R9), X0 \
	SHA256RNDS2 X0, X7, X8

#define ROUNDSHIGH(t) \
	MOVQ        (64*t+8)(R9), X0  \
	SHA256RNDS2 X0, X2, X1        \
	MOVQ        (64*t+24)(R9), X0 \
	SHA256RNDS2 X0, X4, X3        \
	MOVQ        (64*t+40)(R9), X0 \
	SHA256RNDS2 X0, X6, X5        \
	MOVQ        (64*t+56)(R9), X0 \
	SHA256RNDS2 X0, X8, X7

#define ROUNDSALL(t) \
	ROUNDSLOW(t) \
	ROUNDSHIGH(t)

#define SAVEALL \
	MOVO X1, (SAVED4+0)(R8)   \
	MOVO X2, (SAVED4+16)(R8)  \
	MOVO X3, (SAVED4+32)(R8)  \
	MOVO X4, (SAVED4+48)(R8)  \
	MOVO X5, (SAVED4+64)(R8)  \
	MOVO X6, (SAVED4+80)(R8)  \
	MOVO X7, (SAVED4+96)(R8)  \
	MOVO X8, (SAVED4+112)(R8)

#define ADDALL \
	PADDL (SAVED4+0)(R8), X1   \
	PADDL (SAVED4+16)(R8), X2  \
	PADDL (SAVED4+32)(R8), X3  \
	PADDL (SAVED4+48)(R8), X4  \
	PADDL (SAVED4+64)(R8), X5  \
	PADDL (SAVED4+80)(R8), X6  \
	PADDL (SAVED4+96)(R8), X7  \
	PADDL (SAVED4+112)(R8), X8

// The states after block 1, at p.
#define LOADSTATES(p) \
	MOVO (NEXT4+0)(p), X1   \
	MOVO (NEXT4+64)(p), X2  \
	MOVO (NEXT4+16)(p), X3  \
	MOVO (NEXT4+80)(p), X4  \
	MOVO (NEXT4+32)(p), X5  \
	MOVO (NEXT4+96)(p), X6  \
	MOVO (NEXT4+48)(p), X7  \
	MOVO (NEXT4+112)(p), X8

// The next node's layer and number, in all lanes.
#define COUNT4 \
	MOVO   NUMBER4(R8), X9       \
	PADDL  nextNode<>(SB), X9    \
	MOVO   X9, NUMBER4(R8)       \
	PSHUFB bswap<>(SB), X9       \
	MOVO   X9, (NUMBERS4+0)(R8)  \
	MOVO   X9, (NUMBERS4+32)(R8) \
	MOVO   X9, (NUMBERS4+64)(R8) \
	MOVO   X9, (NUMBERS4+96)(R8)

// The schedule of one lane's block whose halves are at R13 and R14; EVEN and ODD
// do what there is to do with words 4t to 4t+3.
#define SCHEDULE(EVEN, ODD) \
	LOADWORDS(R13, X9, X10, bswap<>(SB))  \
	LOADWORDS(R14, X11, X12, bswap<>(SB)) \
	EVEN(0, X9)                    \
	ODD(1, X10)                    \
	START(X9, X10)                 \
	EVEN(2, X11)                   \
	START(X10, X11)                \
	ODD(3, X12)                    \
	EXTEND(X11, X12, X9, X13)      \
	EVEN(4, X9)                    \
	EXTEND(X12, X9, X10, X13)      \
	ODD(5, X10)                    \
	EXTEND(X9, X10, X11, X13)      \
	EVEN(6, X11)                   \
	EXTEND(X10, X11, X12, X13)     \
	ODD(7, X12)                    \
	EXTEND(X11, X12, X9, X13)      \
	EVEN(8, X9)                    \
	EXTEND(X12, X9, X10, X13)      \
	ODD(9, X10)                    \
	EXTEND(X9, X10, X11, X13)      \
	EVEN(10, X11)                  \
	EXTEND(X10, X11, X12, X13)     \
	ODD(11, X12)                   \
	EXTEND(X11, X12, X9, X13)      \
	EVEN(12, X9)                   \
	EXTEND(X12, X9, X10, X13)      \
	ODD(13, X10)                   \
	END(X9, X10, X11, X13)         \
	EVEN(14, X11)                  \
	END(X10, X11, X12, X13)        \
	ODD(15, X12)                   \
	ADDQ $32, R13                  \
	ADDQ $32, R14                  \
	ADDQ $16, R12

// Keeps K + W for a lane at R12.
#define KEEP(t, m) \
	MOVO  m, X13                  \
	PADDL k256<>+(16*t)(SB), X13  \
	MOVO  X13, (64*t)(R12)

// The same beside two rounds of all lanes, whose K + W are from p on: EVEN and ODD of
// words 4t to 4t+3, A in the first half of a block, B in the second. Two rounds turn CDGH
// into the next ABEF, so that ODD has a lane's registers the other way round. Four chains
// leave SHA256RNDS2 no turn to miss: the mixture matters. With KEEP after one lane or three
// instead of two, a label took half as long again on Zen 3.
#define BESIDE(t, m, p, abef0, cdgh0, abef1, cdgh1, abef2, cdgh2, abef3, cdgh3) \
	MOVQ        ((p)+0)(R9), X0  \
	SHA256RNDS2 X0, abef0, cdgh0 \
	MOVQ        ((p)+16)(R9), X0 \
	SHA256RNDS2 X0, abef1, cdgh1 \
	KEEP(t, m)                   \
	MOVQ        ((p)+32)(R9), X0 \
	SHA256RNDS2 X0, abef2, cdgh2 \
	MOVQ        ((p)+48)(R9), X0 \
	SHA256RNDS2 X0, abef3, cdgh3

#define BESIDEEVEN(t, m, at) BESIDE(t, m, (64*(at)), X1, X2, X3, X4, X5, X6, X7, X8)
#define BESIDEODD(t, m, at)  BESIDE(t, m, (64*(at)+8), X2, X1, X4, X3, X6, X5, X8, X7)

#define EVENA(t, m) BESIDEEVEN(t, m, (t/2))
#define ODDA(t, m)  BESIDEODD(t, m, (t/2))
#define EVENB(t, m) BESIDEEVEN(t, m, (t/2+8))
#define ODDB(t, m)  BESIDEODD(t, m, (t/2+8))

// Words 4t to 4t+3 of a lane in a node's first pair: m1 are the words before,
// those before them are in the ring. LOADRING reads the words from p, EXTENDRING
// makes them; the result is in m2. BEFORERING adds σ0 to the words before m1.
#define RING(t, lane) (RING4+64*(t%4)+16*lane)(R8)

#define LOADRING(t, lane, p, m2) \
	MOVOU  (32*lane+16*(t%2))(p), m2 \
	PSHUFB bswap<>(SB), m2           \
	MOVO   m2, RING(t, lane)

#define BEFORERING(t, lane, m1) \
	MOVO       RING((t+2), lane), X14 \
	SHA256MSG1 m1, X14                \
	MOVO       X14, RING((t+2), lane)

#define EXTENDRING(t, lane, m1, m2) \
	MOVO       RING((t+2), lane), X14 \
	MOVO       m1, m2                 \
	PALIGNR    $4, X14, m2            \
	PADDL      RING(t, lane), m2      \
	SHA256MSG2 m1, m2

#define KEEPRING(t, lane, m1, m2) \
	SHA256MSG1 m1, X14                \
	MOVO       X14, RING((t+2), lane) \
	MOVO       m2, RING(t, lane)

// Steps of all lanes: their words before are in a, b, c, d; those of the step come
// into e, a, b, c.
#define KEEPAT(t, m, p) \
	MOVO  m, X0                 \
	PADDL k256<>+(16*t)(SB), X0 \
	MOVO  X0, p

#define STEPLOAD(t, p, a, b, c, d, e) \
	LOADRING(t, 0, p, e)                     \
	KEEPAT(t, e, (64*t+0)(R9))   \
	LOADRING(t, 1, p, a)                     \
	KEEPAT(t, a, (64*t+16)(R9))  \
	LOADRING(t, 2, p, b)                     \
	KEEPAT(t, b, (64*t+32)(R9))  \
	LOADRING(t, 3, p, c)                     \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

#define STEPSTART(t, p, a, b, c, d, e) \
	BEFORERING(t, 0, a) \
	BEFORERING(t, 1, b) \
	BEFORERING(t, 2, c) \
	BEFORERING(t, 3, d) \
	STEPLOAD(t, p, a, b, c, d, e)

#define STEPEXTEND(t, a, b, c, d, e) \
	EXTENDRING(t, 0, a, e)                  \
	KEEPRING(t, 0, a, e)                    \
	KEEPAT(t, e, (64*t+0)(R9))  \
	EXTENDRING(t, 1, b, a)                  \
	KEEPRING(t, 1, b, a)                    \
	KEEPAT(t, a, (64*t+16)(R9)) \
	EXTENDRING(t, 2, c, b)                  \
	KEEPRING(t, 2, c, b)                    \
	KEEPAT(t, b, (64*t+32)(R9)) \
	EXTENDRING(t, 3, d, c)                  \
	KEEPRING(t, 3, d, c)                    \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

#define STEPEND(t, a, b, c, d, e) \
	EXTENDRING(t, 0, a, e)                  \
	KEEPAT(t, e, (64*t+0)(R9))  \
	EXTENDRING(t, 1, b, a)                  \
	KEEPAT(t, a, (64*t+16)(R9)) \
	EXTENDRING(t, 2, c, b)                  \
	KEEPAT(t, b, (64*t+32)(R9)) \
	EXTENDRING(t, 3, d, c)                  \
	KEEPAT(t, c, (64*t+48)(R9)) \
	ROUNDSALL(t)

// Stores the words m0, m1 of the label at off from DX on.
#define PUTWORDS(off, m0, m1) \
	PSHUFB bswap<>(SB), m0 \
	PSHUFB bswap<>(SB), m1 \
	MOVOU  m0, (off)(DX)   \
	MOVOU  m1, (off+16)(DX)

// Pulls the labels of the parent in a slot of the row at BX, AX bytes further on,
// into the cache.
#define PREFETCH4(slot) \
	MOVQ       (8*slot)(BX)(AX*1), R13 \
	PREFETCHT0 (R13)                   \
	PREFETCHT0 64(R13)

// roundsSHANIx4 does a block of all lanes with K + W at R9.
// Requires: SHA, SSE4, SSSE3, SSE2
TEXT roundsSHANIx4<>(SB), NOSPLIT, $0-0
	SAVEALL
	ROUNDSALL(0)
	ROUNDSALL(1)
	ROUNDSALL(2)
	ROUNDSALL(3)
	ROUNDSALL(4)
	ROUNDSALL(5)
	ROUNDSALL(6)
	ROUNDSALL(7)
	ROUNDSALL(8)
	ROUNDSALL(9)
	ROUNDSALL(10)
	ROUNDSALL(11)
	ROUNDSALL(12)
	ROUNDSALL(13)
	ROUNDSALL(14)
	ROUNDSALL(15)
	ADDALL
	RET

// scheduleSHANIx4 makes K + W at R12 of all lanes' blocks with halves at R13 and
// R14; R12 to R15 and X9 to X13 are lost.
// Requires: SHA, SSE4, SSSE3, SSE2
TEXT scheduleSHANIx4<>(SB), NOSPLIT, $0-0
	MOVQ $4, R15

lane:
	SCHEDULE(KEEP, KEEP)
	DECQ R15
	JNZ  lane
	RET

// func labelSHANIx4(r *labelRun)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Four chains of labels side by side: on Zen 3 they keep the SHA unit busy. Their
// states take half of the registers, and schedules for all of them find no room in
// the rest; so K + W of every block goes through memory, and schedules are made
// where they suit the front end: each block from the third to the 18th has one
// for two lanes beside it. Of the 16 halves, twelve are of the next node's pairs but
// its first (in layer 1: two pairs, over and over), two of this node's last block, two of
// block 1 of the node after the next. The rounds of the next node's block 1 are spread
// over the same blocks.
//
// The first pair has the label just made: its schedule is made beside its own
// rounds, from words in memory. Should another parent of a node be the one before
// it, that pair is made again once the label is there. A label is known by its
// address: memory that is mapped twice would deceive this.
//
//	BX  the node's row               DX  where its labels go
//	R8  memory as above              R9  K + W of the current block
//	R10 the schedule to be made      R11 K + W of the next node's block 1
//	R12 where its K + W goes         R13, R14 halves of its block
//	R15 blocks to go                 CX  64 for the last two lanes; addresses
//	AX  bytes to the row to prefetch
//	DI  nodes to go                  SI  offset of the slot in the last block
//	X0  K + W of two rounds          X1–X8   states ABEF, CDGH of lanes 0 to 3
//	X9–X13 message words             X14, X15 state of a lane in the next block 1
TEXT ·labelSHANIx4(SB), 0, $18848-8
	MOVQ r+0(FP), AX
	MOVQ labelRun_dst(AX), DX
	MOVQ labelRun_parents(AX), BX
	MOVQ labelRun_count(AX), DI
	LEAQ 63(SP), R8                      // whole cache lines
	ANDQ $~63, R8
	LEAQ NODES4(R8), R9
	LEAQ (NODES4+NODE4)(R8), R11
	MOVQ R9, THIS4(R8)
	MOVQ R11, OTHER4(R8)
	MOVQ labelRun_stride(AX), R13
	MOVQ R13, STRIDE4(R8)
	MOVQ labelRun_lookup(AX), R13
	MOVQ R13, LOOKUP4(R8)

	// Second halves of blocks that no label is in.
	MOVQ  labelRun_node(AX), X0
	MOVQ  labelRun_layer(AX), X9
	PUNPCKLQDQ X0, X9                    // a node's high word is always 0
	PSUBL nextNode<>(SB), X9
	MOVO  X9, NUMBER4(R8)
	PXOR  X9, X9
	MOVO  X9, (NUMBERS4+16)(R8)
	MOVO  X9, (NUMBERS4+48)(R8)
	MOVO  X9, (NUMBERS4+80)(R8)
	MOVO  X9, (NUMBERS4+112)(R8)
	LEAQ  finish<>(SB), R13
	LOADWORDS(R13, X9, X10, bswap<>(SB))
	MOVO  X9, (FINISH4+0)(R8)
	MOVO  X10, (FINISH4+16)(R8)
	MOVO  X9, (FINISH4+32)(R8)
	MOVO  X10, (FINISH4+48)(R8)
	MOVO  X9, (FINISH4+64)(R8)
	MOVO  X10, (FINISH4+80)(R8)
	MOVO  X9, (FINISH4+96)(R8)
	MOVO  X10, (FINISH4+112)(R8)

	// The schedules to be made in every node. The addresses in its row come later.
	MOVQ labelRun_replicas(AX), R13
	LEAQ NUMBERS4(R8), R14
	MOVQ R13, (JOBS4+7*24)(R9)
	MOVQ R13, (JOBS4+7*24)(R11)
	MOVQ R14, (JOBS4+7*24+8)(R9)
	MOVQ R14, (JOBS4+7*24+8)(R11)
	LEAQ FIRST4(R9), R12
	LEAQ FIRST4(R11), R15
	MOVQ R12, (JOBS4+7*24+16)(R9)
	MOVQ R15, (JOBS4+7*24+16)(R11)
	LEAQ FINISH4(R8), R14
	LEAQ LAST4(R8), R12
	MOVQ R14, (JOBS4+6*24+8)(R9)
	MOVQ R14, (JOBS4+6*24+8)(R11)
	MOVQ R12, (JOBS4+6*24+16)(R9)
	MOVQ R12, (JOBS4+6*24+16)(R11)

	MOVQ $(7*KWBLOCK4), R10
	MOVQ $(8*8), SI
	CMPQ labelRun_expander(AX), $0
	JNE  start
	MOVQ $(3*KWBLOCK4), R10              // layer 1
	XORL SI, SI

start:
	MOVQ R10, PAIRS4(R8)
	MOVQ labelRun_ahead(AX), AX
	MOVQ $KWBLOCK4, R12
	MOVQ R12, CX
	XORL R14, R14

jobs:
	LEAQ    (R11)(CX*1), R13
	MOVQ    R13, (JOBS4+16)(R9)(R14*1)
	LEAQ    (R9)(CX*1), R13
	MOVQ    R13, (JOBS4+16)(R11)(R14*1)
	ADDQ    R12, CX
	CMPQ    CX, R10
	CMOVQEQ R12, CX
	ADDQ    $24, R14
	CMPQ    R14, $(6*24)
	JNE     jobs

	// What the first node needs: the schedules of its pairs but the first, its
	// block 1, and the schedule of the next.
	LEAQ 16(BX), R10
	LEAQ KWBLOCK4(R9), CX

pairs:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	MOVQ CX, R12
	CALL scheduleSHANIx4<>(SB)
	ADDQ $16, R10
	ADDQ $KWBLOCK4, CX
	MOVQ CX, R12
	SUBQ R9, R12
	CMPQ R12, PAIRS4(R8)
	JB   pairs

	COUNT4
	MOVQ (JOBS4+7*24)(R9), R13
	LEAQ NUMBERS4(R8), R14
	LEAQ FIRST4(R9), R12
	CALL scheduleSHANIx4<>(SB)
	COUNT4
	MOVQ (JOBS4+7*24)(R9), R13
	LEAQ NUMBERS4(R8), R14
	LEAQ FIRST4(R11), R12
	CALL scheduleSHANIx4<>(SB)

	MOVO initial<>+0(SB), X1
	MOVO initial<>+16(SB), X2
	MOVO X1, X3
	MOVO X2, X4
	MOVO X1, X5
	MOVO X2, X6
	MOVO X1, X7
	MOVO X2, X8
	ADDQ $FIRST4, R9
	CALL roundsSHANIx4<>(SB)
	SUBQ $FIRST4, R9
	MOVO X1, (NEXT4+0)(R9)
	MOVO X2, (NEXT4+64)(R9)
	MOVO X3, (NEXT4+16)(R9)
	MOVO X4, (NEXT4+80)(R9)
	MOVO X5, (NEXT4+32)(R9)
	MOVO X6, (NEXT4+96)(R9)
	MOVO X7, (NEXT4+48)(R9)
	MOVO X8, (NEXT4+112)(R9)

node:
	// Pairs that have the label just made; the first is yet to come.
	MOVQ  DX, CX
	SUBQ  STRIDE4(R8), CX
	CMPQ  16(BX), CX
	JEQ   again
	CMPQ  24(BX), CX
	JEQ   again
	CMPQ  32(BX), CX
	JEQ   again
	CMPQ  40(BX), CX
	JEQ   again
	TESTQ SI, SI
	JEQ   made
	CMPQ  48(BX), CX
	JEQ   again
	CMPQ  56(BX), CX
	JEQ   again
	CMPQ  64(BX), CX
	JEQ   again
	CMPQ  72(BX), CX
	JEQ   again
	CMPQ  80(BX), CX
	JEQ   again
	CMPQ  88(BX), CX
	JEQ   again
	CMPQ  96(BX), CX
	JEQ   again
	CMPQ  104(BX), CX
	JEQ   again

made:
	COUNT4

	// The addresses of the next row, or, where there is none, this row's again.
	LEAQ    112(BX), CX
	CMPQ    DI, $1
	CMOVQEQ BX, CX
	MOVOU   16(CX), X9
	MOVOU   32(CX), X10
	MOVOU   X9, X11
	MOVOU   X10, X12
	MOVOU   X9, X13
	MOVOU   X10, X14
	TESTQ   SI, SI
	JEQ     located
	MOVOU   48(CX), X11
	MOVOU   64(CX), X12
	MOVOU   80(CX), X13
	MOVOU   96(CX), X14

located:
	MOVOU X9, (JOBS4+0*24)(R9)
	MOVOU X10, (JOBS4+1*24)(R9)
	MOVOU X11, (JOBS4+2*24)(R9)
	MOVOU X12, (JOBS4+3*24)(R9)
	MOVOU X13, (JOBS4+4*24)(R9)
	MOVOU X14, (JOBS4+5*24)(R9)
	MOVQ  (BX)(SI*1), R13
	MOVQ  R13, (JOBS4+6*24)(R9)

	// The first pair.
	MOVQ 0(BX), R13
	MOVQ 8(BX), R14
	LOADSTATES(R9)
	SAVEALL
	STEPLOAD(0, R13, X9, X10, X11, X12, X13)
	STEPLOAD(1, R13, X13, X9, X10, X11, X12)
	STEPSTART(2, R14, X12, X13, X9, X10, X11)
	STEPSTART(3, R14, X11, X12, X13, X9, X10)
	STEPEXTEND(4, X10, X11, X12, X13, X9)
	STEPEXTEND(5, X9, X10, X11, X12, X13)
	STEPEXTEND(6, X13, X9, X10, X11, X12)
	STEPEXTEND(7, X12, X13, X9, X10, X11)
	STEPEXTEND(8, X11, X12, X13, X9, X10)
	STEPEXTEND(9, X10, X11, X12, X13, X9)
	STEPEXTEND(10, X9, X10, X11, X12, X13)
	STEPEXTEND(11, X13, X9, X10, X11, X12)
	STEPEXTEND(12, X12, X13, X9, X10, X11)
	STEPEXTEND(13, X11, X12, X13, X9, X10)
	STEPEND(14, X10, X11, X12, X13, X9)
	STEPEND(15, X9, X10, X11, X12, X13)
	ADDALL

	// Sixteen blocks with schedules and the next node's block 1 beside them.
	LEAQ JOBS4(R9), R10
	MOVQ OTHER4(R8), R11
	ADDQ $FIRST4, R11
	MOVQ PAIRS4(R8), R12
	ADDQ R9, R12
	MOVQ R12, END4(R8)
	ADDQ $KWBLOCK4, R9
	MOVQ $16, R15
	XORL CX, CX

	PREFETCHROW
	LOOKUPROW(LOOKUP4(R8), lookupA<>)

lane:
	MOVO initial<>+0(SB), X14
	MOVO initial<>+16(SB), X15

beside:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	MOVQ 16(R10), R12
	ADDQ CX, R13
	ADDQ CX, R14
	SHRQ $1, CX
	ADDQ CX, R12
	SAVEALL
	SCHEDULE(EVENA, ODDA)
	SCHEDULE(EVENB, ODDB)
	ROUNDS(0(R11), X14, X15)
	ROUNDS(64(R11), X14, X15)
	ROUNDS(128(R11), X14, X15)
	ROUNDS(192(R11), X14, X15)
	ADDALL

	LEAQ    24(R10), R13
	ADDQ    CX, CX
	XORQ    $64, CX
	CMOVQEQ R13, R10
	ADDQ    $256, R11
	ADDQ    $KWBLOCK4, R9
	CMPQ    R9, END4(R8)
	CMOVQEQ THIS4(R8), R9
	DECQ    R15
	TESTQ   $3, R15
	JNE     beside

	PADDL initial<>+0(SB), X14
	PADDL initial<>+16(SB), X15
	MOVO  X14, 0(R11)                    // NEXT4, lane by lane
	MOVO  X15, 64(R11)
	SUBQ  $(KWBLOCK4-16), R11
	TESTQ R15, R15
	JEQ   prefetch
	CMPQ  R15, $8
	JEQ   lane
	JCS   four
	LOOKUPROW(LOOKUP4(R8), lookupB<>) // 12 are left
	JMP   lane

four:
	LOOKUPROW(LOOKUP4(R8), lookupC<>)
	JMP   lane

prefetch:
	// The last two blocks. They prefetch.
	PREFETCH4(0)
	PREFETCH4(1)
	PREFETCH4(2)
	PREFETCH4(3)
	PREFETCH4(4)
	PREFETCH4(5)
	CALL  roundsSHANIx4<>(SB)
	LEAQ  LAST4(R8), R9
	TESTQ SI, SI
	JEQ   last
	PREFETCH4(6)
	PREFETCH4(7)
	PREFETCH4(8)
	PREFETCH4(9)
	PREFETCH4(10)
	PREFETCH4(11)
	PREFETCH4(12)
	PREFETCH4(13)

last:
	CALL roundsSHANIx4<>(SB)
	DIGESTWORDS(X1, X2, X9, X10)
	PUTWORDS(0, X9, X10)
	DIGESTWORDS(X3, X4, X11, X12)
	PUTWORDS(32, X11, X12)
	DIGESTWORDS(X5, X6, X9, X10)
	PUTWORDS(64, X9, X10)
	DIGESTWORDS(X7, X8, X11, X12)
	PUTWORDS(96, X11, X12)

	MOVQ THIS4(R8), R11
	MOVQ OTHER4(R8), R9
	MOVQ R9, THIS4(R8)
	MOVQ R11, OTHER4(R8)
	ADDQ STRIDE4(R8), DX
	ADDQ $112, BX
	DECQ DI
	JNE  node
	RET

	// Makes every pair that has the label at CX, but the first.
again:
	LEAQ 16(BX), R10
	MOVQ $KWBLOCK4, R11

pair:
	MOVQ 0(R10), R13
	MOVQ 8(R10), R14
	LEAQ (R9)(R11*1), R12
	CMPQ R13, CX
	JEQ  make
	CMPQ R14, CX
	JNE  skip

make:
	CALL scheduleSHANIx4<>(SB)

skip:
	ADDQ $16, R10
	ADDQ $KWBLOCK4, R11
	CMPQ R11, PAIRS4(R8)
	JB   pair
	JMP  made

// What pairsSHANI keeps in memory, from R10 on.
#define OLDER   0   // for each message in block 1, four times four words with σ0 added
#define CHAINS  128 // the states after block 1 of the messages in the padding block
#define NOWHERE 192 // where digests of nothing go

// Words 4t to 4t+3 of two messages, a2 and b2; those before are a1 and b1, and a0
// and b0 before them. LOADTWO reads them, EXTENDTWO makes them. STARTTWO then adds
// σ0 to a0 and b0 and puts them away, for two steps later: so a message has three
// registers instead of four, and those of two more fit.
#define LOADTWO(t, a2, b2) \
	MOVOU  (16*t)(SI), a2 \
	MOVOU  (16*t)(R8), b2 \
	PSHUFB X15, a2        \
	PSHUFB X15, b2

#define EXTENDTWO(t, a0, a1, a2, b0, b1, b2) \
	MOVO       a1, a2                       \
	MOVO       b1, b2                       \
	PALIGNR    $4, a0, a2                   \
	PALIGNR    $4, b0, b2                   \
	PADDL      (OLDER+16*(t%4))(R10), a2    \
	PADDL      (OLDER+64+16*(t%4))(R10), b2 \
	SHA256MSG2 a1, a2                       \
	SHA256MSG2 b1, b2

#define STARTTWO(t, a0, a1, b0, b1) \
	SHA256MSG1 a1, a0                        \
	SHA256MSG1 b1, b0                        \
	MOVO       a0, (OLDER+16*((t+2)%4))(R10) \
	MOVO       b0, (OLDER+64+16*((t+2)%4))(R10)

// Rounds 4t to 4t+3 of block 1 for two messages, whose words are in a and b, and
// of the padding block for the two before (whose K + W is loaded twice, since a
// PSHUFD would cost 2 cycles a hash).
#define ROUNDSFOUR(t, a, b) \
	MOVQ        (16*t)(DX), X0   \
	SHA256RNDS2 X0, X5, X6       \
	SHA256RNDS2 X0, X7, X8       \
	MOVQ        (16*t+8)(DX), X0 \
	SHA256RNDS2 X0, X6, X5       \
	SHA256RNDS2 X0, X8, X7       \
	ROUNDSONCE(t, a, X1, X2)     \
	ROUNDSONCE(t, b, X3, X4)

#define STEPFOUR(t, a0, a1, a2, b0, b1, b2) \
	EXTENDTWO(t, a0, a1, a2, b0, b1, b2) \
	STARTTWO(t, a0, a1, b0, b1)          \
	ROUNDSFOUR(t, a2, b2)

// func pairsSHANI(dst, src *byte, n int, padding *schedule)
// Requires: SHA, SSE4, SSSE3, SSE2
//
// Four messages of 64 bytes side by side, two in block 1, two in the padding
// block: as many as it takes to saturate a SHA unit that takes an instruction
// every cycle (Zen 3: 119 cycles a hash with two side by side, 76 with four, of
// which 64 are the unit's). The first padding blocks are of nothing and their
// digests go nowhere, the last blocks 1 go no further; where n is odd, the last
// message is hashed twice.
//
//	DI, R9 where the digests in the padding block go
//	BX  dst            SI, R8  messages in block 1     CX  messages to go
//	DX  K + W of the padding block   R10 memory as above
//	X0  K + W                        X15 byte order
//	X1–X4    states in block 1       X5–X8    states in the padding block
//	X9–X11, X12–X14  message words
TEXT ·pairsSHANI(SB), 0, $288-32
	MOVQ  dst+0(FP), BX
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  padding+24(FP), DX
	MOVOU bswap<>(SB), X15
	LEAQ  63(SP), R10                    // whole cache lines
	ANDQ  $~63, R10
	LEAQ  NOWHERE(R10), DI
	MOVQ  DI, R9

two:
	LEAQ    64(SI), R8
	CMPQ    CX, $1
	CMOVQLE SI, R8
	MOVOU   initial<>+0(SB), X1
	MOVOU   initial<>+16(SB), X2
	MOVO    X1, X3
	MOVO    X2, X4

	LOADTWO(0, X9, X12)
	ROUNDSFOUR(0, X9, X12)
	LOADTWO(1, X10, X13)
	ROUNDSFOUR(1, X10, X13)
	LOADTWO(2, X11, X14)
	STARTTWO(2, X9, X10, X12, X13)
	ROUNDSFOUR(2, X11, X14)
	LOADTWO(3, X9, X12)
	STARTTWO(3, X10, X11, X13, X14)
	ROUNDSFOUR(3, X9, X12)
	STEPFOUR(4, X11, X9, X10, X14, X12, X13)
	STEPFOUR(5, X9, X10, X11, X12, X13, X14)
	STEPFOUR(6, X10, X11, X9, X13, X14, X12)
	STEPFOUR(7, X11, X9, X10, X14, X12, X13)
	STEPFOUR(8, X9, X10, X11, X12, X13, X14)
	STEPFOUR(9, X10, X11, X9, X13, X14, X12)
	STEPFOUR(10, X11, X9, X10, X14, X12, X13)
	STEPFOUR(11, X9, X10, X11, X12, X13, X14)
	STEPFOUR(12, X10, X11, X9, X13, X14, X12)
	STEPFOUR(13, X11, X9, X10, X14, X12, X13)
	EXTENDTWO(14, X9, X10, X11, X12, X13, X14)
	ROUNDSFOUR(14, X11, X14)
	EXTENDTWO(15, X10, X11, X9, X13, X14, X12)
	ROUNDSFOUR(15, X9, X12)

	PADDL (CHAINS+0)(R10), X5
	PADDL (CHAINS+16)(R10), X6
	PADDL (CHAINS+32)(R10), X7
	PADDL (CHAINS+48)(R10), X8
	DIGESTWORDS(X5, X6, X9, X10)
	STOREWORDS(DI, X9, X10, X11, X12, X15)
	DIGESTWORDS(X7, X8, X9, X10)
	STOREWORDS(R9, X9, X10, X11, X12, X15)
	TESTQ CX, CX
	JLE   done

	// The next two go on to the padding block.
	MOVO  X1, X5
	MOVO  X2, X6
	MOVO  X3, X7
	MOVO  X4, X8
	PADDL initial<>+0(SB), X5
	PADDL initial<>+16(SB), X6
	PADDL initial<>+0(SB), X7
	PADDL initial<>+16(SB), X8
	MOVO  X5, (CHAINS+0)(R10)
	MOVO  X6, (CHAINS+16)(R10)
	MOVO  X7, (CHAINS+32)(R10)
	MOVO  X8, (CHAINS+48)(R10)
	MOVQ    BX, DI
	LEAQ    32(BX), R9
	CMPQ    CX, $1
	CMOVQEQ BX, R9
	ADDQ    $64, BX
	LEAQ    128(SI), R11
	SUBQ    $2, CX
	CMOVQGT R11, SI                      // past the end there is nothing to read
	JMP     two

done:
	RET
