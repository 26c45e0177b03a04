//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_group_amd64.h"

// What the repeated blocks prefetch: labels that will be staged for the next nodes, which lie
// anywhere, so that a line of each is wanted. Seven blocks, as a row in a layer from the second
// on has, prefetch 14 for each of 16 lanes; DI is not touched otherwise.
#define SOON \
	MOVQ labelSpan_soon(AX), DI
#define SOONPAIR
#define SOONLINES \
	MOVQ       0(DI), SI  \
	PREFETCHT0 (SI)       \
	MOVQ       8(DI), SI  \
	PREFETCHT0 (SI)       \
	MOVQ       16(DI), SI \
	PREFETCHT0 (SI)       \
	MOVQ       24(DI), SI \
	PREFETCHT0 (SI)       \
	ADDQ       $32, DI    \
	MOVQ       DI, labelSpan_soon(AX)

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
