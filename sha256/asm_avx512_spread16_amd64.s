//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_group_amd64.h"

// What is prefetched: labels that will be staged for the next nodes, which lie anywhere, so that a
// line of each is wanted. A layer has more pages than any TLB, and a prefetch does not retire
// before its page was walked to, of which a core does a few at a time. So they come evenly, two in
// 8 rounds, in all blocks that hash a node alone: 15, in layer 1, too, 240 for a node of each of
// 16 lanes, which have 224 parents.
#define SOON
#define SOONPAIR
#define SOONLINES \
	MOVQ       labelSpan_soon(AX), DI \
	MOVQ       0(DI), SI              \
	PREFETCHT0 (SI)                   \
	MOVQ       8(DI), SI              \
	PREFETCHT0 (SI)                   \
	ADDQ       $16, DI                \
	MOVQ       DI, labelSpan_soon(AX)
#define BLOCKLINES SOONLINES

// The number of operations bounds this kernel, not a chain, on processors that start two in a cycle.
#define ROUND LEANROUND

// Requires: AVX512F, AVX512BW, AVX
TEXT block<>(SB), NOSPLIT|NOFRAME, $0-0
#include "avx512_block_amd64.h"

// func spreadAVX512x16(r *labelSpan)
// Requires: AVX512F, AVX512BW, AVX
//
// As labelAVX512x16, for lanes that are at different nodes of one sector: see SOON.
TEXT ·spreadAVX512x16(SB), 0, $38976-8
#include "avx512_label_amd64.h"
