// Speculative page walks.
//
// A prefetch does not retire before its address is translated, nor does anything behind
// it. Where the TLB misses, as it does for nearly each parent in layers of gigabytes, the
// reorder buffer is soon full and the hashing waits: on Zen 4, in a virtual machine, for
// some of the 550 cycles that a page walk takes. But what a processor executes
// speculatively, behind a branch that it predicted wrongly, never retires. It is thrown away
// as soon as that shows, whereas the page walks that it began go on, and fill the TLB. So
// here is a return to be predicted wrongly:
//
// Each function that WALKROW calls (pagewalk_amd64.s) calls one that drops its return
// address, and so goes back to the kernel at once. Until that is known, the processor goes
// on behind the call, as it predicted, and begins the page walks there. Then it fetches the
// kernel's next instructions. Where rounds wait for each other, it has a long queue of them
// to do meanwhile, and a group costs 3 cycles; in four lanes, some 50.
//
// Zen 4 walks six pages at a time and forgets walks that it had not begun: a group is of
// six at most, and the next one 550 cycles later. The labels are still to be prefetched:
// their own misses, unlike walks, are forgotten.
//
// A shadow stack would not let that return pass; Go's programs do not ask for one.

// Has function walk the pages of labels, unless flag is 0: of the row behind that at BX,
// AX bytes further on, which is the one to prefetch. R13 is lost.
#define WALKROW(flag, function) \
	CMPQ flag, $0                      \
	JEQ  3(PC)                         \
	LEAQ const_rowBytes(BX)(AX*1), R13 \
	CALL function(SB)

// WALKROW where flag is a pageWalk: soon is called for one that begins at once, late for the other. R13 and
// R14 are lost.
//
// On Intel's Emerald Rapids a branch like that shows before a page walk begins: two calls and a load take it
// little longer than a look at the second TLB. So late ones have a chain of multiplications before the return, and
// the walks begin meanwhile. Where four chains of rounds wait, they have enough to do for as long.
#define WALKROWBY(flag, soon, late) \
	CMPQ flag, $1                      \
	JCS  6(PC)                         \
	LEAQ const_rowBytes(BX)(AX*1), R13 \
	JNE  3(PC)                         \
	CALL soon(SB)                      \
	JMP  2(PC)                         \
	CALL late(SB)
