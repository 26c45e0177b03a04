// Registers of whole width, of which a group of 16 lanes is made, by names that
// avx512_half_amd64.h has for those of half of it. T0 to T4 have nothing in them from one
// macro to the next.
#define S0 Z0
#define S1 Z1
#define S2 Z2
#define S3 Z3
#define S4 Z4
#define S5 Z5
#define S6 Z6
#define S7 Z7
#define N0 Z8
#define N1 Z9
#define N2 Z10
#define N3 Z11
#define N4 Z12
#define N5 Z13
#define N6 Z14
#define N7 Z15
#define T0 Z16
#define T1 Z17
#define T2 Z18
#define T3 Z19
#define T4 Z20
#define W0 Z21
#define W1 Z22
#define O0 Z24
#define O1 Z25
#define O2 Z26
#define O3 Z27
#define O4 Z28
#define O5 Z29
#define O6 Z30
#define O7 Z31

#define WIDTH     64 // bytes of a register
#define BLOCKBITS 12 // 2 to it are a block's K + W
