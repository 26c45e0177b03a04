//go:build !purego && (amd64 || arm64)

package portlimits

import (
	"testing"

	"github.com/sdr-engine/sdr/internal/disassembly"
)

// TestInstructionsNeedTheFeatures: assembly needs what stands above it.
func TestInstructionsNeedTheFeatures(t *testing.T) {
	disassembly.Check(t, "github.com/sdr-engine/sdr/internal/portlimits")
}
