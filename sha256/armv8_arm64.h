// SHA-256 with the ARMv8 cryptographic extension.
//
// SHA256H and SHA256H2 do four rounds: the first makes the new ABCD, the second
// the new EFGH, and both need the old values of both, hence a copy. One unit does
// them, and on most cores starts one a cycle and takes four: four rounds take five
// cycles, a block 80. The code keeps everything else off the way from one pair to
// the next.

// Four rounds whose K + W is in wk.
#define ROUNDS(wk, ABCD, EFGH, copy) \
	VMOV     ABCD.B16, copy.B16 \
	SHA256H  wk.S4, EFGH, ABCD  \
	SHA256H2 wk.S4, copy, EFGH

// Four rounds with the constants in k and the message words in m.
#define ROUNDSONCE(k, m, wk, ABCD, EFGH, copy) \
	VADD k.S4, m.S4, wk.S4       \
	ROUNDS(wk, ABCD, EFGH, copy)

// The message schedule: m0 to m3 are 16 words, oldest first, and m0 becomes the
// four words after them.
#define EXTEND(m0, m1, m2, m3) \
	SHA256SU0 m1.S4, m0.S4        \
	SHA256SU1 m3.S4, m2.S4, m0.S4

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

// Prefetches the labels of the pair of parents at R12, which moves on as far as
// the last pair, at R17.
#define PREFETCH \
	LDP  (R12), (R13, R14) \
	PRFM (R13), PLDL1KEEP  \
	PRFM (R14), PLDL1KEEP  \
	ADD  $16, R12          \
	CMP  R17, R12          \
	CSEL HI, R17, R12, R12

// R9, at a pair's K + W, goes back from the end, R10, to the first, at R8.
#define TURNAROUND \
	CMP  R10, R9        \
	CSEL EQ, R8, R9, R9

// What stands beside rounds where there is nothing to do.
#define NOTHING
