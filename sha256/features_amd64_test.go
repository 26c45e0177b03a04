//go:build !purego && linux

package sha256

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		"": `mov movabs movzx movsxd lea add sub and or xor cmp test inc dec neg not shl shr sar
			cmova cmovae cmovb cmovbe cmove cmovne cmovg cmovge cmovl cmovle cmovs cmovns
			jmp ja jae jb jbe je jne jg jge jl jle js jns call ret push pop int nop nopw nopl prefetcht0`,
		"SSE2":  `movaps movups movdqa movdqu movd movq paddd psubd pxor pand por pshufd punpcklqdq punpckhqdq punpckldq punpckhdq`,
		"SSSE3": `pshufb palignr`,
		"SSE4":  `pblendw pinsrd pinsrq pextrd pextrq`,
		"SHA":   `sha256rnds2 sha256msg1 sha256msg2`,
	})

	// With VEX: AVX where registers have 128 bits, and for some with 256.
	vex = mnemonics(map[string]string{
		"AVX": `vmovdqu vmovdqa vmovd vmovq vmovups vmovaps vzeroupper`,
		"AVX2": `vpaddd vpsubd vpxor vpand vpor vpandn vpsrld vpslld vpshufb vpshufd vpalignr vpcmpeqd
			vpunpckldq vpunpckhdq vpunpcklqdq vpunpckhqdq vpblendd`,
		"AVX2 of any length": `vpbroadcastd vpbroadcastq vbroadcasti128 vinserti128 vextracti128 vperm2i128 vpermq vpgatherdd`,
		"AVX512F":            `kxnorw kmovw kxorw korw kandw`,
		"AVX512BW":           `kmovd kmovq kxnord kxnorq`,
		"AVX512DQ":           `kmovb kxnorb`,
	})

	// With EVEX, where registers have 512 bits; fewer need AVX512VL, too.
	evex = mnemonics(map[string]string{
		"AVX512F": `vmovdqu32 vmovdqu64 vmovdqa32 vmovdqa64 vpaddd vpsubd vpxord vpandd vpord vpandnd vpternlogd
			vprord vprold vpsrld vpslld vpshufd vpbroadcastd vpbroadcastq vbroadcasti32x4 vbroadcasti64x4
			vpgatherdd vpscatterdd vpunpckldq vpunpckhdq vpunpcklqdq vpunpckhqdq vshufi32x4 vshufi64x2
			vinserti32x4 vinserti64x4 vextracti32x4 vextracti64x4 vpermd vpermq vpermt2d vpermi2d`,
		"AVX512BW": `vpshufb vpalignr vmovdqu8 vmovdqu16`,
		"AVX512DQ": `vinserti32x8 vextracti32x8 vbroadcasti32x8 vinserti64x2 vextracti64x2 vbroadcasti64x2`,
	})
)

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
	switch {
	case !ok:
		return nil, fmt.Errorf("%q (% x) is not in the table of instructions and their features", in.text, in.bytes)
	case feature == "":
		return nil, nil
	case feature == "AVX2 of any length":
		return []string{"AVX2"}, nil
	case feature == "AVX2" && length == 128:
		return []string{"AVX"}, nil
	case in.bytes[0] == 0x62 && length < 512:
		return []string{feature, "AVX512VL"}, nil
	}
	return []string{feature}, nil
}

// The same word needs other features with other registers.
func TestFeaturesOfEncodings(t *testing.T) {
	for _, c := range []struct {
		bytes    []byte
		mnemonic string
		want     []string
	}{
		{[]byte{0x66, 0x0f, 0xfe, 0xc1}, "paddd", []string{"SSE2"}},
		{[]byte{0xc5, 0xf1, 0xfe, 0xc2}, "vpaddd", []string{"AVX"}},                               // xmm0, xmm1, xmm2
		{[]byte{0xc4, 0xc1, 0x71, 0xfe, 0xc2}, "vpaddd", []string{"AVX"}},                         // xmm0, xmm1, xmm10
		{[]byte{0xc5, 0xf5, 0xfe, 0xc2}, "vpaddd", []string{"AVX2"}},                              // ymm0, ymm1, ymm2
		{[]byte{0xc4, 0xc1, 0x75, 0xfe, 0xc2}, "vpaddd", []string{"AVX2"}},                        // ymm0, ymm1, ymm10
		{[]byte{0xc5, 0xfe, 0x6f, 0x00}, "vmovdqu", []string{"AVX"}},                              // ymm0, [rax]
		{[]byte{0xc4, 0xe2, 0x79, 0x58, 0xc1}, "vpbroadcastd", []string{"AVX2"}},                  // xmm0, xmm1
		{[]byte{0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2}, "vpaddd", []string{"AVX512F"}},               // zmm0, zmm1, zmm2
		{[]byte{0x62, 0xa1, 0x75, 0x20, 0xfe, 0xc2}, "vpaddd", []string{"AVX512F", "AVX512VL"}},   // ymm16, ymm17, ymm18
		{[]byte{0x62, 0xa1, 0x75, 0x00, 0xfe, 0xc2}, "vpaddd", []string{"AVX512F", "AVX512VL"}},   // xmm16, xmm17, xmm18
		{[]byte{0x62, 0xf2, 0x75, 0x48, 0x00, 0xc2}, "vpshufb", []string{"AVX512BW"}},             // zmm0, zmm1, zmm2
		{[]byte{0x62, 0xa2, 0x75, 0x20, 0x00, 0xc2}, "vpshufb", []string{"AVX512BW", "AVX512VL"}}, // ymm16, ymm17, ymm18
		{[]byte{0x62, 0xf1, 0x7d, 0x48, 0x72, 0xc0, 0x07}, "vprord", []string{"AVX512F"}},         // zmm0, zmm0, 7
		{[]byte{0xc5, 0xf4, 0x46, 0xc9}, "kxnorw", []string{"AVX512F"}},                           // k1, k1, k1
		{[]byte{0x48, 0x89, 0xc8}, "mov", nil},
	} {
		got, err := instruction{bytes: c.bytes, mnemonic: c.mnemonic}.features()
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("% x, %s (%v): features (-want +got):\n%s", c.bytes, c.mnemonic, err, diff)
		}
	}
	for _, c := range []instruction{
		{bytes: []byte{0xc5, 0xf1, 0xfe, 0xc2}, mnemonic: "paddd"},
		{bytes: []byte{0x66, 0x0f, 0xfe, 0xc1}, mnemonic: "vpaddd"},
		{bytes: []byte{0xc5, 0xf1, 0xfe, 0xc2}, mnemonic: "vprord"},
	} {
		if got, err := c.features(); err == nil {
			t.Errorf("% x as %s: no such encoding, but features %v", c.bytes, c.mnemonic, got)
		}
	}
}
