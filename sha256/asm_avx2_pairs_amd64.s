//go:build !purego

#include "textflag.h"
#include "avx2_amd64.h"

// The kinds of rounds: with words in the ring, with the next words, and with K + W at
// R9 that is the same for all lanes.
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
	VMOVDQU bswap<>(SB), Y15
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
	VMOVDQU bswap<>(SB), Y15
	STOREWORDS(0, Y0, Y1, Y2, Y3)
	STOREWORDS(16, Y4, Y5, Y6, Y7)

	ADDQ $512, SI
	ADDQ $256, DI
	SUBQ $8, BX
	JGT  eight
	VZEROUPPER
	RET
