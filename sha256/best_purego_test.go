//go:build purego

package sha256

import "testing"

func TestBest(t *testing.T) {
	if Best(1) != generic || BestTree() != generic || len(Kernels()) != 1 {
		t.Errorf("the best of %d kernels are %s and, for trees, %s, want generic/1 alone", len(Kernels()), Best(1).Name, BestTree().Name)
	}
}
