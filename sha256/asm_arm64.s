//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// SHA-256 with the ARMv8 cryptographic extension.
//
// SHA256H and SHA256H2 do four rounds: the first makes the new ABCD, the second
// the new EFGH, and both need the old values of both, hence a copy. The two run
// side by side, so that a block costs little over 16 latencies of one: the code
// keeps everything else off the way from one pair to the next. All 64 round
// constants stay in V16 to V31.

// Four rounds whose K + W is in wk.
#define ROUNDS(wk, ABCD, EFGH, copy) \
	VMOV     ABCD.B16, copy.B16 \
	SHA256H  wk.S4, EFGH, ABCD  \
	SHA256H2 wk.S4, copy, EFGH

// Four rounds with the constants in k and the message words in m.
#define ROUNDSONCE(k, m, wk, ABCD, EFGH, copy) \
	VADD k.S4, m.S4, wk.S4 \
	ROUNDS(wk, ABCD, EFGH, copy)

// The same, and K + W is kept at R9, for the next time that the block comes around.
#define ROUNDSKEEP(k, m, ABCD, EFGH) \
	VADD   k.S4, m.S4, V7.S4 \
	VST1.P [V7.S4], 16(R9)   \
	ROUNDS(V7, ABCD, EFGH, V2)

// The message schedule: m0 to m3 are 16 words, oldest first, and m0 becomes the
// four words after them.
#define EXTEND(m0, m1, m2, m3) \
	SHA256SU0 m1.S4, m0.S4 \
	SHA256SU1 m3.S4, m2.S4, m0.S4

// A block whose message words are in V3 to V6; they are lost. The schedule is
// made along the way and K + W kept at R9, which moves on by 256.
#define BLOCKKEEP(ABCD, EFGH) \
	ROUNDSKEEP(V16, V3, ABCD, EFGH) \
	EXTEND(V3, V4, V5, V6)          \
	ROUNDSKEEP(V17, V4, ABCD, EFGH) \
	EXTEND(V4, V5, V6, V3)          \
	ROUNDSKEEP(V18, V5, ABCD, EFGH) \
	EXTEND(V5, V6, V3, V4)          \
	ROUNDSKEEP(V19, V6, ABCD, EFGH) \
	EXTEND(V6, V3, V4, V5)          \
	ROUNDSKEEP(V20, V3, ABCD, EFGH) \
	EXTEND(V3, V4, V5, V6)          \
	ROUNDSKEEP(V21, V4, ABCD, EFGH) \
	EXTEND(V4, V5, V6, V3)          \
	ROUNDSKEEP(V22, V5, ABCD, EFGH) \
	EXTEND(V5, V6, V3, V4)          \
	ROUNDSKEEP(V23, V6, ABCD, EFGH) \
	EXTEND(V6, V3, V4, V5)          \
	ROUNDSKEEP(V24, V3, ABCD, EFGH) \
	EXTEND(V3, V4, V5, V6)          \
	ROUNDSKEEP(V25, V4, ABCD, EFGH) \
	EXTEND(V4, V5, V6, V3)          \
	ROUNDSKEEP(V26, V5, ABCD, EFGH) \
	EXTEND(V5, V6, V3, V4)          \
	ROUNDSKEEP(V27, V6, ABCD, EFGH) \
	EXTEND(V6, V3, V4, V5)          \
	ROUNDSKEEP(V28, V3, ABCD, EFGH) \
	ROUNDSKEEP(V29, V4, ABCD, EFGH) \
	ROUNDSKEEP(V30, V5, ABCD, EFGH) \
	ROUNDSKEEP(V31, V6, ABCD, EFGH)

// Four rounds each of two blocks: of V0, V1 with K + W from R9, which moves on,
// and of V10, V11 with k and m. The second fills the cycles in which the first
// waits for SHA256H and SHA256H2.
#define BESIDE(k, m) \
	VLD1.P 16(R9), [V12.S4] \
	ROUNDS(V12, V0, V1, V2) \
	ROUNDSONCE(k, m, V7, V10, V11, V14)

// Block 1 of a label's message, as words V3 to V6.
#define PREFIX \
	VLD1 (R15), [V3.B16, V4.B16] \
	BSWAP(V3, V4)              \
	VMOV R20, V5.D[0]          \
	VMOV R7, V5.D[1]           \
	VEOR V6.B16, V6.B16, V6.B16

// Adds the state before block 1 to V10 and V11; V3 and V4 are lost.
#define ADDINITIAL \
	VLD1 (R19), [V3.S4, V4.S4] \
	VADD V3.S4, V10.S4, V10.S4 \
	VADD V4.S4, V11.S4, V11.S4

// Keeps the state before a block in V8 and V9, and adds it after the block.
#define SAVE \
	VMOV V0.B16, V8.B16 \
	VMOV V1.B16, V9.B16

#define ADDSAVED \
	VADD V8.S4, V0.S4, V0.S4 \
	VADD V9.S4, V1.S4, V1.S4

// Turns the bytes of the words in two registers around.
#define BSWAP(m0, m1) \
	VREV32 m0.B16, m0.B16 \
	VREV32 m1.B16, m1.B16

// Loads the round constants; p is lost.
#define LOADCONSTANTS(p) \
	MOVD   $·k(SB), p                              \
	VLD1.P 64(p), [V16.S4, V17.S4, V18.S4, V19.S4] \
	VLD1.P 64(p), [V20.S4, V21.S4, V22.S4, V23.S4] \
	VLD1.P 64(p), [V24.S4, V25.S4, V26.S4, V27.S4] \
	VLD1.P 64(p), [V28.S4, V29.S4, V30.S4, V31.S4]

// The mask that clears the two high bits of a digest's last byte, in its words
// e f g h.
#define LOADFIELD(m) \
	VMOVQ $0xffffffffffffffff, $0xffffff3fffffffff, m

// func labelARMV8(r *labelRun)
// Requires: ASIMD, SHA2
//
// A node's message is block 1 (replica id, layer, node), 18 blocks of two
// parents' labels, and a last one of a label and the padding. The pairs of
// parents are 7 (in layer 1: 3), over and over: the first time around leaves
// K + W on the stack, the others load it. Block 1 of the next node depends on no
// label: it shares the units with the first repeated block.
//
//	R3  the node's row               R4  nodes to go
//	R5  where its label goes         R6  bytes to the row to prefetch
//	R7  node                         R20 layer
//	R8  K + W of the pairs           R10 its end
//	R9  K + W of the current pair    R12 the current pair of the row
//	R13, R14 addresses               R22 repeated blocks to go
//	R15 replica id                   R19 state before block 1
//	V0, V1   state ABCD, EFGH        V2       copy of V0
//	V3–V6    message words           V7       K + W of four rounds
//	V8, V9   state before the block  V10, V11 next node's state after block 1
//	V12      K + W of a block beside V13      mask of a digest's e f g h
//	V14      copy of V10             V16–V31  round constants
TEXT ·labelARMV8(SB), 0, $1856-8
	MOVD r+0(FP), R0
	MOVD labelRun_dst(R0), R5
	MOVD labelRun_parents(R0), R3
	MOVD labelRun_count(R0), R4
	MOVD labelRun_ahead(R0), R6
	MOVD labelRun_node(R0), R7
	MOVD labelRun_layer(R0), R20
	MOVD labelRun_expander(R0), R13
	MOVD labelRun_replicas(R0), R15
	MOVD $·initial(SB), R19
	LOADCONSTANTS(R14)
	LOADFIELD(V13)

	ADD  $(8+63), RSP, R8                // above the saved LR, K + W in whole
	AND  $~63, R8, R8                    // cache lines
	ADD  $(7*256), R8, R10
	CBNZ R13, start
	ADD  $(3*256), R8, R10               // layer 1

start:
	// Block 1 of the first node has no chain to hide behind.
	VLD1 (R19), [V10.S4, V11.S4]
	MOVD R8, R9
	PREFIX
	BLOCKKEEP(V10, V11)
	ADDINITIAL

node:
	VMOV V10.B16, V0.B16
	VMOV V11.B16, V1.B16
	MOVD R8, R9
	MOVD R3, R12

pair:
	LDP  (R12), (R13, R14)
	VLD1 (R13), [V3.B16, V4.B16]
	VLD1 (R14), [V5.B16, V6.B16]
	BSWAP(V3, V4)
	BSWAP(V5, V6)

	ADD  R6, R12, R14
	LDP  (R14), (R13, R14)
	PRFM (R13), PLDL1KEEP
	PRFM (R14), PLDL1KEEP

	SAVE
	BLOCKKEEP(V0, V1)
	ADDSAVED

	ADD  $16, R12
	CMP  R10, R9
	BLO  pair

	// The first repeated block, and block 1 of the next node.
	ADD  $1, R7
	VLD1 (R19), [V10.S4, V11.S4]
	MOVD R8, R9
	PREFIX
	SAVE
	BESIDE(V16, V3)
	EXTEND(V3, V4, V5, V6)
	BESIDE(V17, V4)
	EXTEND(V4, V5, V6, V3)
	BESIDE(V18, V5)
	EXTEND(V5, V6, V3, V4)
	BESIDE(V19, V6)
	EXTEND(V6, V3, V4, V5)
	BESIDE(V20, V3)
	EXTEND(V3, V4, V5, V6)
	BESIDE(V21, V4)
	EXTEND(V4, V5, V6, V3)
	BESIDE(V22, V5)
	EXTEND(V5, V6, V3, V4)
	BESIDE(V23, V6)
	EXTEND(V6, V3, V4, V5)
	BESIDE(V24, V3)
	EXTEND(V3, V4, V5, V6)
	BESIDE(V25, V4)
	EXTEND(V4, V5, V6, V3)
	BESIDE(V26, V5)
	EXTEND(V5, V6, V3, V4)
	BESIDE(V27, V6)
	EXTEND(V6, V3, V4, V5)
	BESIDE(V28, V3)
	BESIDE(V29, V4)
	BESIDE(V30, V5)
	BESIDE(V31, V6)
	ADDSAVED
	ADDINITIAL

	// The others: 18 less the pairs less one. R9 is at the second.
	SUB  R8, R10, R22
	LSR  $8, R22, R22
	MOVD $17, R13
	SUB  R22, R13, R22

repeated:
	SAVE
	VLD1.P 64(R9), [V3.S4, V4.S4, V5.S4, V6.S4]
	ROUNDS(V3, V0, V1, V2)
	ROUNDS(V4, V0, V1, V2)
	ROUNDS(V5, V0, V1, V2)
	ROUNDS(V6, V0, V1, V2)
	VLD1.P 64(R9), [V3.S4, V4.S4, V5.S4, V6.S4]
	ROUNDS(V3, V0, V1, V2)
	ROUNDS(V4, V0, V1, V2)
	ROUNDS(V5, V0, V1, V2)
	ROUNDS(V6, V0, V1, V2)
	VLD1.P 64(R9), [V3.S4, V4.S4, V5.S4, V6.S4]
	ROUNDS(V3, V0, V1, V2)
	ROUNDS(V4, V0, V1, V2)
	ROUNDS(V5, V0, V1, V2)
	ROUNDS(V6, V0, V1, V2)
	VLD1.P 64(R9), [V3.S4, V4.S4, V5.S4, V6.S4]
	ROUNDS(V3, V0, V1, V2)
	ROUNDS(V4, V0, V1, V2)
	ROUNDS(V5, V0, V1, V2)
	ROUNDS(V6, V0, V1, V2)
	ADDSAVED

	CMP  R10, R9
	CSEL EQ, R8, R9, R9
	SUBS $1, R22
	BNE  repeated

	// The last block: slot 8 or, in layer 1, slot 0, and the padding: a set
	// bit, zeros, and the message's 1248 bytes counted in bits. R12 is behind
	// the last pair, 14 or 6 slots on.
	MOVD  -48(R12), R13
	VLD1  (R13), [V3.B16, V4.B16]
	BSWAP(V3, V4)
	VMOVQ $0x0000000080000000, $0, V5
	VMOVQ $0, $0x0000270000000000, V6
	MOVD  R8, R9
	SAVE
	BLOCKKEEP(V0, V1)
	ADDSAVED

	VAND   V13.B16, V1.B16, V1.B16
	BSWAP(V0, V1)
	VST1.P [V0.B16, V1.B16], 32(R5)
	ADD    $112, R3
	SUBS   $1, R4
	BNE    node
	RET

// Four rounds of two messages.
#define BOTH(k, a, b) \
	ROUNDSONCE(k, a, V7, V0, V1, V2) \
	ROUNDSONCE(k, b, V15, V8, V9, V10)

// The same, and the schedules' next words.
#define BOTHEXTEND(k, a0, a1, a2, a3, b0, b1, b2, b3) \
	BOTH(k, a0, b0)        \
	EXTEND(a0, a1, a2, a3) \
	EXTEND(b0, b1, b2, b3)

// Four rounds of the padding block for two messages; R7 moves on.
#define BOTHPADDING \
	VLD1.P 16(R7), [V7.S4] \
	ROUNDS(V7, V0, V1, V2) \
	ROUNDS(V7, V8, V9, V10)

// func pairsARMV8(dst, src *byte, n int)
// Requires: ASIMD, SHA2
//
// Two messages of 64 bytes side by side keep the SHA unit busy. Where n is odd,
// the last one is hashed twice.
//
//	R0  dst                   R1  src            R2  messages to go
//	R3  second destination    R4  second source
//	R5  K + W of the padding block, R7 of its current rounds
//	R6  initial state
//	V0, V1 state ABCD, EFGH   V2  copy of V0     V3–V6   message words  V7  K + W
//	V8, V9 second state       V10 copy of V8     V11–V14 message words  V15 K + W
//	V16–V31 round constants
TEXT ·pairsARMV8(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	MOVD $·padding(SB), R5
	MOVD $·initial(SB), R6
	LOADCONSTANTS(R7)

two:
	ADD  $64, R1, R4
	ADD  $32, R0, R3
	CMP  $1, R2
	CSEL EQ, R1, R4, R4
	CSEL EQ, R0, R3, R3

	VLD1 (R1), [V3.B16, V4.B16, V5.B16, V6.B16]
	VLD1 (R4), [V11.B16, V12.B16, V13.B16, V14.B16]
	BSWAP(V3, V4)
	BSWAP(V5, V6)
	BSWAP(V11, V12)
	BSWAP(V13, V14)
	VLD1 (R6), [V0.S4, V1.S4]
	VLD1 (R6), [V8.S4, V9.S4]

	BOTHEXTEND(V16, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V17, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V18, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V19, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTHEXTEND(V20, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V21, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V22, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V23, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTHEXTEND(V24, V3, V4, V5, V6, V11, V12, V13, V14)
	BOTHEXTEND(V25, V4, V5, V6, V3, V12, V13, V14, V11)
	BOTHEXTEND(V26, V5, V6, V3, V4, V13, V14, V11, V12)
	BOTHEXTEND(V27, V6, V3, V4, V5, V14, V11, V12, V13)
	BOTH(V28, V3, V11)
	BOTH(V29, V4, V12)
	BOTH(V30, V5, V13)
	BOTH(V31, V6, V14)

	// The state before the padding block is kept in V3, V4 and V11, V12.
	VLD1 (R6), [V5.S4, V6.S4]
	VADD V5.S4, V0.S4, V0.S4
	VADD V6.S4, V1.S4, V1.S4
	VADD V5.S4, V8.S4, V8.S4
	VADD V6.S4, V9.S4, V9.S4
	VMOV V0.B16, V3.B16
	VMOV V1.B16, V4.B16
	VMOV V8.B16, V11.B16
	VMOV V9.B16, V12.B16
	MOVD R5, R7
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	BOTHPADDING
	VADD V3.S4, V0.S4, V0.S4
	VADD V4.S4, V1.S4, V1.S4
	VADD V11.S4, V8.S4, V8.S4
	VADD V12.S4, V9.S4, V9.S4

	LOADFIELD(V7)
	VAND V7.B16, V1.B16, V1.B16
	VAND V7.B16, V9.B16, V9.B16
	BSWAP(V0, V1)
	BSWAP(V8, V9)
	VST1 [V0.B16, V1.B16], (R0)
	VST1 [V8.B16, V9.B16], (R3)

	ADD  $128, R1
	ADD  $64, R0
	SUBS $2, R2
	BGT  two
	RET
