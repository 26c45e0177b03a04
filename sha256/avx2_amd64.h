// SHA-256 of eight messages in lock-step with AVX2: a register has one word of
// all eight, lane 0 lowest.
//
// A round is 34 vector operations, of which each rotation takes three: two shifts
// and an exclusive or. Three or four of them start in a cycle, so that their
// number bounds a round, 9 to 11 cycles, and not the chain from a round to the
// next, 6 operations long. (Rotations within each other, ((x>>>14 ^ x)>>>5 ^
// x)>>>6, are as many operations on a longer chain: a tenth slower.)

// PSHUFB mask that turns the bytes of four words around, for both halves.
DATA bswap<>+0x00(SB)/8, $0x0405060700010203
DATA bswap<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
DATA bswap<>+0x10(SB)/8, $0x0405060700010203
DATA bswap<>+0x18(SB)/8, $0x0c0d0e0f08090a0b
GLOBL bswap<>(SB), RODATA|NOPTR, $32

// Clears the two high bits of a digest's last byte, in its last word.
DATA field<>+0x00(SB)/4, $0xffffff3f
GLOBL field<>(SB), RODATA|NOPTR, $4

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
// block, and the block's last 16 message words. A kernel may have more behind them.
#define STATE   0
#define RING    256
#define SCRATCH 768

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
	VPBROADCASTD field<>(SB), t \
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
