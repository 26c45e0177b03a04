// Pages looked up by mistake, for the kernels of the file that includes this.
//
// A prefetch does not retire before its address is translated, nor does anything behind
// it. Where the TLB misses, as it does for nearly each parent in layers of gigabytes, the
// reorder buffer is soon full and the hashing waits: on Zen 4, in a virtual machine, for
// some of the 550 cycles that a page walk takes. But what a processor executes by mistake
// never retires. It is thrown away as soon as the mistake shows, whereas the walks that
// it began go on, and fill the TLB. So here is a mistake to make:
//
// Each function below calls one that drops its return address, and so goes back to the
// kernel at once. Until that is known, the processor goes on behind the call, as it
// predicted, and looks up the labels there. Then it fetches the kernel's next instructions.
// Where rounds wait for each other, it has a long queue of them to do meanwhile, and a
// group costs 3 cycles; in four lanes, some 50.
//
// Zen 4 walks six pages at a time and forgets walks that it had not begun: a group is of
// six at most, and the next one 550 cycles later. The labels are still to be prefetched:
// their own misses, unlike walks, are forgotten.
//
// A shadow stack would not let that return pass; Go's programs do not ask for one.

// Has function look up labels, unless flag is 0: of the row behind that at BX, AX bytes
// further on, which is the one to prefetch. R13 is lost.
#define LOOKUPROW(flag, function) \
	CMPQ flag, $0             \
	JEQ  3(PC)                \
	LEAQ 112(BX)(AX*1), R13   \
	CALL function(SB)

// Looks up a label. R12 is lost by mistake only.
#define LOOKUP(slot) \
	MOVQ       (8*slot)(R13), R12 \
	PREFETCHT0 (R12)

// lookupA, lookupB and lookupC look up labels of the row at R13, all but slot 0's: that
// of the node before, whose page is in use.
TEXT lookupA<>(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(9)
	LOOKUP(10)
	LOOKUP(11)
	LOOKUP(12)
	LOOKUP(13)
	INT  $3                              // never comes here

TEXT lookupB<>(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(4)
	LOOKUP(5)
	LOOKUP(6)
	LOOKUP(7)
	LOOKUP(8)
	INT  $3

TEXT lookupC<>(SB), NOSPLIT|NOFRAME, $0-0
	CALL mistaken<>(SB)
	LOOKUP(1)
	LOOKUP(2)
	LOOKUP(3)
	INT  $3

// mistaken returns to where its caller was called. By how much it moves the stack it
// reads from memory: with a constant, the mistake shows before a label is looked up.
TEXT mistaken<>(SB), NOSPLIT|NOFRAME, $0-0
	ADDQ dropped<>(SB), SP
	RET

DATA dropped<>(SB)/8, $8
GLOBL dropped<>(SB), RODATA|NOPTR, $8
