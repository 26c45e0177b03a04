//go:build !purego && (amd64 || arm64)

package sha256

import (
	"testing"

	"github.com/sdr-engine/sdr/internal/disassembly"
)

// TestInstructionsNeedTheFeatures: assembly needs what stands above it. (TestRequires
// holds that against the kernels' lists.)
func TestInstructionsNeedTheFeatures(t *testing.T) {
	functions := disassembly.Check(t, "github.com/sdr-engine/sdr/sha256")
	if len(functions) <= len(archKernels()) { // each kernel has one that labels, each set one for pairs
		t.Errorf("found only %d functions of %d kernels", len(functions), len(archKernels()))
	}
}
