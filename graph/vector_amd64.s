//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Parents with AVX-512: base parents of 16 nodes from their draws, and expander
// parents of two nodes, or of 16 that walk on, at a time.

DATA half<>+0(SB)/8, $0.5
GLOBL half<>(SB), RODATA|NOPTR, $8
DATA fifth<>+0(SB)/8, $0.2
GLOBL fifth<>(SB), RODATA|NOPTR, $8

// The remainder of hi·2^32 + lo divided by d, in lo; recip is ⌊(2^64−1)/d⌋, recipHi
// its high word. hi and Z5 to Z7 are lost. The quotient may lack 3: 1 because the
// reciprocal is rounded down, 2 because products lose their low words before they are
// added up. So 2d, then d, is taken off unless that leaves a negative number, which is
// the greater one without a sign.
#define REMAINDER(lo, hi, d, recip, recipHi) \
	VPMULUDQ recipHi, hi, Z5 \
	VPMULUDQ recip, hi, Z6   \
	VPMULUDQ recipHi, lo, Z7 \
	VPSRLQ   $32, Z6, Z6     \
	VPSRLQ   $32, Z7, Z7     \
	VPADDQ   Z6, Z5, Z5      \
	VPADDQ   Z7, Z5, Z5      \
	VPMULLQ  d, Z5, Z5       \
	VPSLLQ   $32, hi, hi     \
	VPORQ    hi, lo, lo      \
	VPSUBQ   Z5, lo, lo      \
	VPSUBQ   d, lo, Z5       \
	VPSUBQ   d, Z5, Z5       \
	VPMINUQ  Z5, lo, lo      \
	VPSUBQ   d, lo, Z5       \
	VPMINUQ  Z5, lo, lo

// func sampleAVX512(rows *uint32, d *draws, first uint64, last *divisor, reciprocals *[64]uint64, inLast *[2 * sampled]uint8)
// Requires: AVX512F, AVX512DQ, AVX
//
// Eight nodes at a time, one sample of each.
//
//	DI  the sample's element in the first row  SI  its draws
//	R8  eights of nodes left                  R9  samples left
//	R10 inLast, where the sample's bits go    R11 reciprocals of buckets' counts
//	AX  temporary                             K2  the low half
//	Z0, Z1  a draw, low and high word
//	Z2, Z3  a bucket's first distance, count  Z4, Z8 its reciprocal
//	Z16 meta-nodes, 5 for each node           Z17 buckets, Z18, Z19 the reciprocal
//	Z20 1   Z21 2   Z22 1/2   Z23 1/5   Z26 8
//	Z9  where rows are from the first on      Z25 nodes
//	(Z9, as Bochs scatters to no index from Z16 on)
TEXT ·sampleAVX512(SB), NOSPLIT, $0-48
	MOVQ         rows+0(FP), DI
	MOVQ         d+8(FP), SI
	MOVQ         last+24(FP), AX
	MOVQ         reciprocals+32(FP), R11
	MOVQ         inLast+40(FP), R10
	VPBROADCASTQ divisor_d(AX), Z17
	VPBROADCASTQ divisor_reciprocal(AX), Z18
	VPSRLQ       $32, Z18, Z19
	VPBROADCASTQ half<>(SB), Z22
	VPBROADCASTQ fifth<>(SB), Z23
	MOVL         $1, AX
	VPBROADCASTQ AX, Z20
	VPADDQ       Z20, Z20, Z21
	VPSLLQ       $3, Z20, Z26
	VPBROADCASTQ first+16(FP), Z25
	VPMOVZXDQ    ·lane(SB), Z0
	VPADDQ       Z0, Z25, Z25
	MOVL         $const_rowLen, AX
	VPBROADCASTD AX, Z9
	VPMULLD      ·lane(SB), Z9, Z9
	MOVL         $0xff, AX
	KMOVW        AX, K2
	MOVL         $2, R8

eight:
	VPSLLQ $2, Z25, Z16
	VPADDQ Z25, Z16, Z16
	MOVL   $const_sampled, R9

sample:
	// The bucket's number, from 0, and whether it is the last, which is another one.
	VPMOVZXDQ  0(SI), Z0
	VPMOVZXDQ  64(SI), Z1
	REMAINDER(Z0, Z1, Z17, Z18, Z19)
	VPADDQ     Z20, Z0, Z1
	VPCMPEQQ   Z17, Z1, K3
	KMOVW      K3, AX
	MOVB       AX, (R10)

	// The bucket: from half of its end, but 2 or more, to its end.
	KXNORW     K1, K1, K1
	VPGATHERQQ (R11)(Z0*8), K1, Z4
	VPSRLQ     $32, Z4, Z8
	VPSLLVQ    Z0, Z20, Z2
	VPMAXUQ    Z21, Z2, Z2
	VPSLLVQ    Z0, Z21, Z3
	VPSUBQ     Z2, Z3, Z3
	VPADDQ     Z20, Z3, Z3

	// The distance.
	VPMOVZXDQ 128(SI), Z0
	VPMOVZXDQ 192(SI), Z1
	REMAINDER(Z0, Z1, Z3, Z4, Z8)
	VPADDQ    Z2, Z0, Z0

	// The parent: what is left of the meta-nodes, divided by five. With a half more
	// than that it is far enough from whole numbers to be rounded down.
	VPSUBQ      Z0, Z16, Z0
	VCVTUQQ2PD  Z0, Z0
	VADDPD      Z22, Z0, Z0
	VMULPD      Z23, Z0, Z0
	VCVTTPD2UDQ Z0, Y0
	KMOVW       K2, K1
	VPSCATTERDD Z0, K1, (DI)(Z9*4)

	ADDQ $256, SI
	ADDQ $4, DI
	INCQ R10
	DECL R9
	JNZ  sample

	ADDQ   $(const_rowLen*8*4 - const_sampled*4), DI
	SUBQ   $(const_sampled*256 - 32), SI
	VPADDQ Z26, Z25, Z25
	DECL   R8
	JNZ    eight
	VZEROUPPER
	RET

// What walks on, at these offsets from the stack pointer: 512 left halves, right
// halves and elements of rows, and behind each list room for a whole register.
#define LEFTS  0
#define RIGHTS 2112
#define ELEMENTS 4224

// Three rounds of the indices in a mask: in turns a half is exclusive ored with the
// element of a table that the other half chooses.
#define ROUNDS(which) \
	KMOVW      which, K1           \
	KMOVW      which, K2           \
	KMOVW      which, K3           \
	VPGATHERDD (R8)(Z1*4), K1, Z3  \
	VPXORD     Z3, Z0, Z0          \
	VPGATHERDD (R9)(Z0*4), K2, Z3  \
	VPXORD     Z3, Z1, Z1          \
	VPGATHERDD (R10)(Z1*4), K3, Z3 \
	VPXORD     Z3, Z0, Z0

// The parents, in Z3: the index has the right half on top now, and is divided by 8.
#define PARENTS \
	VPSLLD X23, Z1, Z3 \
	VPSRLD $3, Z0, Z4  \
	VPORD  Z4, Z3, Z3  \
	VPANDD Z20, Z3, Z3

// Adds the indices in K1 to what walks on: the next walk splits them into what are
// now the right half and the left one.
#define WALKERS \
	VPCOMPRESSD Z1, K1, Z3           \
	VMOVDQU32   Z3, LEFTS(SP)(DX*4)  \
	VPCOMPRESSD Z0, K1, Z3           \
	VMOVDQU32   Z3, RIGHTS(SP)(DX*4) \
	VPCOMPRESSD Z2, K1, Z3           \
	VMOVDQU32   Z3, ELEMENTS(SP)(DX*4) \
	KMOVW       K1, R11              \
	POPCNTL     R11, R11             \
	ADDQ        R11, DX

// The tables, and the bits of halves, of the permutation at AX.
#define TABLES \
	MOVQ         feistel_tables+0(AX), R8   \
	MOVQ         feistel_tables+8(AX), R9   \
	MOVQ         feistel_tables+16(AX), R10 \
	VPBROADCASTD feistel_low(AX), Z18       \
	VPBROADCASTD feistel_walks(AX), Z19

// The halves of the index in R11 and of those after it, with CX bits each: the lower ones
// in Z16, with what carries over, the higher ones in Z17, without.
#define FIRST \
	MOVL         feistel_low(AX), DX \
	ANDQ         R11, DX             \
	SHRQ         CX, R11             \
	VPBROADCASTD R11, Z17            \
	VPBROADCASTD DX, Z16             \
	VPADDD       ·lane(SB), Z16, Z16

// The list of what walks on, from AX on: labels list, walk and, of nothing left, done.
#define LIST \
list: \
	MOVQ      DX, BX                       \
	XORL      AX, AX                       \
	XORL      DX, DX                       \
	TESTQ     BX, BX                       \
	JZ        done                         \
walk: \
	MOVQ      BX, CX                       \
	SUBQ      AX, CX                       \
	MOVL      $0xffff, R11                 \
	CMPQ      CX, $16                      \
	JGE       masked                       \
	MOVL      $1, R11                      \
	SHLL      CX, R11                      \
	DECL      R11                          \
masked: \
	KMOVW     R11, K4                      \
	VMOVDQU32 LEFTS(SP)(AX*4), Z0          \
	VMOVDQU32 RIGHTS(SP)(AX*4), Z1         \
	VMOVDQU32 ELEMENTS(SP)(AX*4), Z2       \
	ROUNDS(K4)

// func permuteAVX512(f *feistel, rows *uint32, index uint64, pairs int)
// Requires: AVX512F, AVX, POPCNT
//
//	R8–R10 tables                     DI  the first node's expander parents
//	SI  those of the pair at hand     CX  pairs left; of a list what is left
//	AX, BX a list: where it is, ends  DX  what walks on so far
//	R11 temporary                     K4, K5 what is left of a list, everything
//	Z0  left halves                   Z1  right halves
//	Z2  elements, from DI on          Z3, Z4 temporary
//	Z16 right halves of a pair's indices, with what carries over
//	Z17 left halves, without          Z18 the bits of a half
//	Z19 the bit of a right half with which an index walks on
//	Z20 the bits of a parent          Z21, Z22 from a pair to the next: indices, elements
//	X24 bits in a half                X23 less the 3 of slots
TEXT ·permuteAVX512(SB), 0, $6336-32
	MOVQ         f+0(FP), AX
	TABLES
	VPBROADCASTD feistel_mask(AX), Z20
	MOVQ         feistel_half(AX), CX
	VMOVQ        CX, X24
	LEAQ         -3(CX), R11
	VMOVQ        R11, X23

	MOVQ         index+16(FP), R11
	FIRST

	MOVL         $(2*const_slots), AX
	VPBROADCASTD AX, Z21
	MOVL         $(2*const_rowLen), AX
	VPBROADCASTD AX, Z22
	MOVL         $0xff00, AX                 // the second node's
	KMOVW        AX, K1
	MOVL         $(const_rowLen - const_slots), AX
	VPBROADCASTD AX, Z3
	VMOVDQU32    ·lane(SB), Z2
	VPADDD       Z3, Z2, K1, Z2

	MOVQ   rows+8(FP), DI
	MOVQ   DI, SI
	MOVQ   pairs+24(FP), CX
	XORL   DX, DX
	KXNORW K5, K5, K5

pair:
	VPSRLD X24, Z16, Z0
	VPADDD Z17, Z0, Z0
	VPANDD Z18, Z16, Z1
	ROUNDS(K5)
	PARENTS
	VMOVDQU       Y3, 0(SI)
	VEXTRACTI64X4 $1, Z3, Y3
	VMOVDQU       Y3, (4*const_rowLen)(SI)
	VPTESTMD      Z19, Z1, K1
	WALKERS
	VPADDD        Z21, Z16, Z16
	VPADDD        Z22, Z2, Z2
	ADDQ          $(2*4*const_rowLen), SI
	DECQ          CX
	JNZ           pair

	LIST
	PARENTS
	KMOVW       K4, K1
	VPSCATTERDD Z3, K1, (DI)(Z2*4)
	VPTESTMD    Z19, Z1, K4, K1
	WALKERS
	ADDQ        $16, AX
	CMPQ        AX, BX
	JB          walk
	JMP         list

done:
	VZEROUPPER
	RET

// The indices, 8 in Z3 and 8 in Z4: the left half is on top now.
#define INDICES \
	VPMOVZXDQ     Y0, Z3     \
	VEXTRACTI64X4 $1, Z0, Y4 \
	VPMOVZXDQ     Y4, Z4     \
	VPSLLQ        X24, Z3, Z3 \
	VPSLLQ        X24, Z4, Z4 \
	VPMOVZXDQ     Y1, Z5     \
	VPORQ         Z5, Z3, Z3 \
	VEXTRACTI64X4 $1, Z1, Y5 \
	VPMOVZXDQ     Y5, Z5     \
	VPORQ         Z5, Z4, Z4

// func unpermuteAVX512(f *feistel, dst *uint64, index uint64, sixteens int)
// Requires: AVX512F, AVX, POPCNT
//
// The rounds are the same, with the tables and the halves the other way round: what is
// shifted to the left in permuteAVX512 is here the right half, Z1.
//
//	R8–R10 tables                     DI  the first index's element
//	SI  those of the 16 at hand       CX  sixteens left; of a list what is left
//	AX, BX a list: where it is, ends  DX  what walks on so far
//	R11 temporary                     K4, K5 what is left of a list, everything
//	Z0  low halves, then high ones    Z1  high halves, then low ones
//	Z2  elements, from DI on          Z3–Z5 temporary
//	Z16 low halves of 16 indices, with what carries over
//	Z17 high halves, without          Z18 the bits of a half
//	Z19 the bit of a high half with which an index walks on
//	Z21 16                            X24 bits in a half
TEXT ·unpermuteAVX512(SB), 0, $6336-32
	MOVQ         f+0(FP), AX
	TABLES
	MOVQ         feistel_half(AX), CX
	VMOVQ        CX, X24

	MOVQ         index+16(FP), R11
	FIRST
	MOVL         $16, AX
	VPBROADCASTD AX, Z21
	VMOVDQU32    ·lane(SB), Z2

	MOVQ   dst+8(FP), DI
	MOVQ   DI, SI
	MOVQ   sixteens+24(FP), CX
	XORL   DX, DX
	KXNORW K5, K5, K5

sixteen:
	VPSRLD   X24, Z16, Z1
	VPADDD   Z17, Z1, Z1
	VPANDD   Z18, Z16, Z0
	ROUNDS(K5)
	INDICES
	VMOVDQU64 Z3, 0(SI)
	VMOVDQU64 Z4, 64(SI)
	VPTESTMD Z19, Z0, K1
	WALKERS
	VPADDD   Z21, Z16, Z16
	VPADDD   Z21, Z2, Z2
	ADDQ     $128, SI
	DECQ     CX
	JNZ      sixteen

	LIST
	INDICES
	KMOVW         K4, K1
	VPSCATTERDQ   Z3, K1, (DI)(Y2*8)
	KSHIFTRW      $8, K4, K1
	VEXTRACTI64X4 $1, Z2, Y5
	VPSCATTERDQ   Z4, K1, (DI)(Y5*8)
	VPTESTMD      Z19, Z0, K4, K1
	WALKERS
	ADDQ          $16, AX
	CMPQ          AX, BX
	JB            walk
	JMP           list

done:
	VZEROUPPER
	RET
