//go:build !purego

package graph

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/cpuid/v2"

	"github.com/sdr-engine/sdr/internal/disassembly"
)

// TestInstructionsNeedTheFeatures: assembly needs what stands above it, and that is what
// its caller has looked up.
func TestInstructionsNeedTheFeatures(t *testing.T) {
	functions := disassembly.Check(t, "github.com/sdr-engine/sdr/graph")
	for _, c := range []struct {
		needs     []cpuid.FeatureID
		functions []string
	}{
		{needAVX2, []string{"drawAVX2"}},
		{needAVX512, []string{"sampleAVX512", "permuteAVX512", "unpermuteAVX512"}},
	} {
		var want, got []string
		for _, f := range c.needs {
			want = append(want, f.String())
		}
		for _, name := range c.functions {
			got = append(got, functions[name]...)
			delete(functions, name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("what the callers of %v look up, and what stands above them (-looked up +above):\n%s", c.functions, diff)
		}
	}
	for name := range functions {
		t.Errorf("nobody has looked up what %s needs", name)
	}
}
