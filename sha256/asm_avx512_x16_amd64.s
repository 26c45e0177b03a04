//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "avx512_whole_amd64.h"
#include "avx512_amd64.h"
#include "avx512_group_amd64.h"

#define ROUND      CHAINROUND
#define SOON       ROWSOON
#define SOONPAIR   PREFETCHPAIR
#define SOONLINES  PREFETCHLINES
#define BLOCKLINES

// Requires: AVX512F, AVX512BW, AVX
TEXT block<>(SB), NOSPLIT|NOFRAME, $0-0
#include "avx512_block_amd64.h"

// func labelAVX512x16(r *labelSpan)
// Requires: AVX512F, AVX512BW, AVX
//
// How it goes, and in which registers, stands in the file included.
TEXT ·labelAVX512x16(SB), 0, $38976-8
#include "avx512_label_amd64.h"
