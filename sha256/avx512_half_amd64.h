// Registers of half the width, of which a group of 8 lanes is made, by names that
// avx512_whole_amd64.h has for whole ones.
#define S0 Y0
#define S1 Y1
#define S2 Y2
#define S3 Y3
#define S4 Y4
#define S5 Y5
#define S6 Y6
#define S7 Y7
#define N0 Y8
#define N1 Y9
#define N2 Y10
#define N3 Y11
#define N4 Y12
#define N5 Y13
#define N6 Y14
#define N7 Y15
#define T0 Y16
#define T1 Y17
#define T2 Y18
#define T3 Y19
#define T4 Y20
#define W0 Y21
#define W1 Y22
#define O0 Y24
#define O1 Y25
#define O2 Y26
#define O3 Y27
#define O4 Y28
#define O5 Y29
#define O6 Y30
#define O7 Y31

#define WIDTH     32 // bytes of a register
#define BLOCKBITS 11 // 2 to it are a block's K + W
