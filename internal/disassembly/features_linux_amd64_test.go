package disassembly

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		{[]byte{0x62, 0x61, 0xfd, 0x08, 0x6e, 0xc1}, "vmovq", []string{"AVX512F"}},                // xmm24, rcx
		{[]byte{0xc4, 0xe3, 0x71, 0x02, 0xc2, 0x01}, "vpblendd", []string{"AVX2"}},                // xmm0, xmm1, xmm2, 1
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
