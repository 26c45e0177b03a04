//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_half_amd64.h"
#include "avx512_amd64.h"
#include "avx512_group_amd64.h"

#define ROUND      CHAINROUND
#define SOON       ROWSOON
#define SOONPAIR   PREFETCHPAIR
#define SOONLINES  PREFETCHLINES
#define BLOCKLINES

// Where a core starts three operations on halves of registers in a cycle and two on whole
// ones, as Intel's do, a label takes a third more than in a group of 16, and half as many
// sectors fill it.

// Requires: AVX512F, AVX512VL, AVX2, AVX
TEXT block<>(SB), NOSPLIT|NOFRAME, $0-0
#include "avx512_block_amd64.h"

// func labelAVX512x8(r *labelSpan)
// Requires: AVX512F, AVX512VL, AVX2, AVX
//
// How it goes, and in which registers, stands in the file included.
TEXT ·labelAVX512x8(SB), 0, $19520-8
#include "avx512_label_amd64.h"
