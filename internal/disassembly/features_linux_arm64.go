package disassembly

import (
	"fmt"
	"regexp"
)

// How binutils call this architecture, and what fills the space behind a function.
const (
	gnuName   = "aarch64"
	elfFormat = "elf64-littleaarch64"
	filler    = "\x00\x00\x00\x00"
)

var objdumpArgs = []string{"-m", "aarch64"}

// What instructions need. "" is what every ARMv8 CPU has. The same word may be one for
// general registers and one for vectors.
var (
	general = mnemonics(map[string]string{
		"": `mov movz movk movn ldr ldrsw ldp str stp ldrb strb ldur stur add adds sub subs cmp cmn and ands tst orr eor bic neg
			lsl lsr asr csel cset b b.eq b.ne b.cs b.cc b.hs b.lo b.hi b.ls b.ge b.gt b.le b.lt b.mi b.pl
			b.any b.none b.first b.last b.nlast b.plast b.nfrst b.pmore b.tcont b.tstop
			bl ret cbz cbnz adr adrp prfm nop`,
	})
	vectors = mnemonics(map[string]string{
		"ASIMD": `mov movi mvni add sub eor and orr bic rev32 rev64 ld1 st1 ld1r ext ldr str ldp stp ldur stur fmov dup ins umov
			zip1 zip2 trn1 trn2 uzp1 uzp2 tbl ushr shl sri sli bit bif bsl`,
		"SHA2": `sha256h sha256h2 sha256su0 sha256su1`,
	})
	vector = regexp.MustCompile(`\b(?:v\d+\.|[qds]\d+\b)`)
)

func (in instruction) features() ([]string, error) {
	table := general
	if vector.MatchString(in.operands) {
		table = vectors
	}
	feature, ok := table[in.mnemonic]
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is not in the table of instructions and their features", in.text)
	case feature == "":
		return nil, nil
	}
	return []string{feature}, nil
}
