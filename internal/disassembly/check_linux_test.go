//go:build amd64 || arm64

package disassembly

import "testing"

// What is in no table is an error, so that somebody who uses a new instruction looks up
// what it needs.
func TestUnknownInstructions(t *testing.T) {
	in := instruction{bytes: []byte{0x0f, 0x01, 0xf9, 0x00}, mnemonic: "abacus", operands: "x0", text: "abacus x0"}
	if features, err := in.features(); err == nil {
		t.Errorf("an unknown instruction needs %v", features)
	}
}
