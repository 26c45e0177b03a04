//go:build purego

package sha256

import "testing"

func TestBest(t *testing.T) {
	if got := Best(1).Name; got != "generic/1" || len(Kernels()) != 1 {
		t.Errorf("the best of %d kernels is %s, want generic/1 alone", len(Kernels()), got)
	}
}
