// Two groups of 16 lanes side by side. A vector of the second follows that of the first,
// except in labels, where one group's 512 bytes follow the other's.

// The state before a block is kept, here in memory, and added after it.
#define KEEP \
	VMOVDQA64 Z0, (KEPT+64*0)(R8)   \
	VMOVDQA64 Z1, (KEPT+64*1)(R8)   \
	VMOVDQA64 Z2, (KEPT+64*2)(R8)   \
	VMOVDQA64 Z3, (KEPT+64*3)(R8)   \
	VMOVDQA64 Z4, (KEPT+64*4)(R8)   \
	VMOVDQA64 Z5, (KEPT+64*5)(R8)   \
	VMOVDQA64 Z6, (KEPT+64*6)(R8)   \
	VMOVDQA64 Z7, (KEPT+64*7)(R8)   \
	VMOVDQA64 Z8, (KEPT+64*8)(R8)   \
	VMOVDQA64 Z9, (KEPT+64*9)(R8)   \
	VMOVDQA64 Z10, (KEPT+64*10)(R8) \
	VMOVDQA64 Z11, (KEPT+64*11)(R8) \
	VMOVDQA64 Z12, (KEPT+64*12)(R8) \
	VMOVDQA64 Z13, (KEPT+64*13)(R8) \
	VMOVDQA64 Z14, (KEPT+64*14)(R8) \
	VMOVDQA64 Z15, (KEPT+64*15)(R8)

#define ADDKEPT \
	VPADDD (KEPT+64*0)(R8), Z0, Z0    \
	VPADDD (KEPT+64*1)(R8), Z1, Z1    \
	VPADDD (KEPT+64*2)(R8), Z2, Z2    \
	VPADDD (KEPT+64*3)(R8), Z3, Z3    \
	VPADDD (KEPT+64*4)(R8), Z4, Z4    \
	VPADDD (KEPT+64*5)(R8), Z5, Z5    \
	VPADDD (KEPT+64*6)(R8), Z6, Z6    \
	VPADDD (KEPT+64*7)(R8), Z7, Z7    \
	VPADDD (KEPT+64*8)(R8), Z8, Z8    \
	VPADDD (KEPT+64*9)(R8), Z9, Z9    \
	VPADDD (KEPT+64*10)(R8), Z10, Z10 \
	VPADDD (KEPT+64*11)(R8), Z11, Z11 \
	VPADDD (KEPT+64*12)(R8), Z12, Z12 \
	VPADDD (KEPT+64*13)(R8), Z13, Z13 \
	VPADDD (KEPT+64*14)(R8), Z14, Z14 \
	VPADDD (KEPT+64*15)(R8), Z15, Z15

// The frame of two groups, as that of one.
#define KEPT    0     // the state before a block
#define LEFT    1024
#define RIGHT   2048
#define LAST    3072
#define WORDS   4096
#define PAIRS   12288 // K + W of up to seven pairs,
#define KWBLOCK 8192  // so much for each
