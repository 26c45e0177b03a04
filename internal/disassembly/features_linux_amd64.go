package disassembly

import (
	"fmt"
	"strings"
)

// How binutils call this architecture, and what fills the space behind a function.
const (
	gnuName   = "x86_64"
	elfFormat = "elf64-x86-64"
	filler    = "\xcc"
)

var objdumpArgs = []string{"-m", "i386:x86-64", "-M", "intel", "--insn-width=16"}

// What instructions need, by how they are encoded. "" is what every x86-64 CPU has.
var (
	legacy = mnemonics(map[string]string{
		"": `mov movabs movzx movsxd lea add sub and or xor cmp test inc dec neg not shl shr sar imul
			cmova cmovae cmovb cmovbe cmove cmovne cmovg cmovge cmovl cmovle cmovs cmovns
			jmp ja jae jb jbe je jne jg jge jl jle js jns call ret push pop int nop nopw nopl prefetcht0 prefetchnta sfence sete setne`,
		"SSE2":   `movaps movups movdqa movdqu movd movq paddd psubd pxor pand por pshufd punpcklqdq punpckhqdq punpckldq punpckhdq`,
		"SSSE3":  `pshufb palignr`,
		"SSE4":   `pblendw pinsrd pinsrq pextrd pextrq`,
		"SHA":    `sha256rnds2 sha256msg1 sha256msg2`,
		"POPCNT": `popcnt`,
	})

	// With VEX: AVX where registers have 128 bits, and for some with 256.
	vex = mnemonics(map[string]string{
		"AVX": `vmovdqu vmovdqa vmovntdq vmovd vmovq vmovups vmovaps vptest vzeroupper`,
		"AVX2": `vpaddd vpaddq vpsubd vpxor vpand vpor vpandn vpsrld vpslld vpsrlq vpsllq vpshufb vpshufd vpalignr
			vpcmpeqd vpmaxud vpmovzxdq vpunpckldq vpunpckhdq vpunpcklqdq vpunpckhqdq`,
		anyLength("AVX2"): `vpsllvd vpsrlvd vpsllvq vpsrlvq vpblendd vpbroadcastd vpbroadcastq vbroadcasti128 vinserti128 vextracti128 vperm2i128 vpermq vpgatherdd`,
		"AVX512F":         `kxnorw kmovw kxorw korw kandw kortestw kshiftrw`,
		"AVX512BW":        `kmovd kmovq kxnord kxnorq`,
		"AVX512DQ":        `kmovb kxnorb`,
	})

	// With EVEX, where registers have 512 bits; fewer need AVX512VL, too.
	evex = mnemonics(map[string]string{
		"AVX512F": `vmovdqu32 vmovdqu64 vmovdqa32 vmovdqa64 vmovntdq vpaddd vpaddq vpsubd vpsubq vpmulld vpmuludq
			vpxord vpxorq vpandd vpord vporq vpandnd vpandnq vpternlogd vpternlogq vprord vprold vpsrld vpslld vpsrlq vpsllq
			vpsrlvq vpsllvq vpshufd valignd valignq
			vpminuq vpmaxuq vpcmpeqq vptestmd vptestmq vpmovzxdq vaddpd vmulpd vcvttpd2udq
			vpbroadcastd vpbroadcastq vbroadcasti32x4 vbroadcasti64x4 vpgatherdd vpgatherqq vpscatterdd vpscatterdq vpcompressd
			vpunpckldq vpunpckhdq vpunpcklqdq vpunpckhqdq vshufi32x4 vshufi64x2
			vinserti32x4 vinserti64x4 vextracti32x4 vextracti64x4 vpermd vpermq vpermt2d vpermi2d`,
		anyLength("AVX512F"): `vmovd vmovq`,
		"AVX512BW":           `vpshufb vpalignr vmovdqu8 vmovdqu16`,
		"AVX512DQ":           `vpmullq vcvtuqq2pd vinserti32x8 vextracti32x8 vbroadcasti32x8 vinserti64x2 vextracti64x2 vbroadcasti64x2`,
	})
)

// anyLength is the feature in a table of instructions that need it and nothing else,
// however many bits their registers have.
func anyLength(feature string) string { return feature + ofAnyLength }

const ofAnyLength = " of any length"

func (in instruction) features() ([]string, error) {
	table, length := legacy, 128
	switch code := in.bytes; {
	case code[0] == 0x62 && len(code) > 3:
		table, length = evex, 128<<(code[3]>>5&3)
	case code[0] == 0xc4 && len(code) > 2:
		table, length = vex, 128<<(code[2]>>2&1)
	case code[0] == 0xc5 && len(code) > 1:
		table, length = vex, 128<<(code[1]>>2&1)
	}
	feature, ok := table[in.mnemonic]
	alone, isAlone := strings.CutSuffix(feature, ofAnyLength)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q (% x) is not in the table of instructions and their features", in.text, in.bytes)
	case feature == "":
		return nil, nil
	case isAlone:
		return []string{alone}, nil
	case feature == "AVX2" && length == 128:
		return []string{"AVX"}, nil
	case in.bytes[0] == 0x62 && length < 512:
		return []string{feature, "AVX512VL"}, nil
	}
	return []string{feature}, nil
}
