// What the repeated blocks prefetch: the labels of a pair of a row that comes soon, line after line.
#define PREFETCHPAIR \
	MOVQ 0(R12)(R14*1), SI \
	MOVQ 8(R12)(R14*1), DI

#define PREFETCHLINES \
	PREFETCHT0 (SI)   \
	PREFETCHT0 (DI)   \
	ADDQ $WIDTH, SI   \
	ADDQ $WIDTH, DI

// One group of 16 lanes or, in registers of half the width, of 8.

// Word t of a block, number i of the half at src.
#define MESSAGE(t, i, src, v) \
	VMOVDQU64   (WIDTH*i)(src), v    \
	VMOVDQA64   v, (WIDTH*(t))(R10)  \
	VPADDD.BCST (4*(t))(R12), v, T0  \
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
#define WORDS 0           // of a block whose schedule is being made
#define LEFT  (64*WIDTH)  // block 1's halves: replica ids;
#define RIGHT (72*WIDTH)  // layer, node
#define LAST  (80*WIDTH)  // the last block's right half
#define ONCE  (96*WIDTH)  // K + W of these two blocks
#define PAIRS (160*WIDTH) // K + W of up to seven pairs,

#define KWBLOCK (64*WIDTH) // so much for each
