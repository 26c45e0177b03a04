package sha256

import (
	"errors"
	"testing"
)

// TestSelfTest: every kernel passes, and one that hashes wrong does not.
func TestSelfTest(t *testing.T) {
	for _, k := range usable() {
		if err := k.SelfTest(); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		broken := *k
		broken.label = func(r labelSpan) {
			k.label(r)
			*r.dst ^= 1
		}
		var wrong *SelfTestError
		if err := broken.SelfTest(); !errors.As(err, &wrong) || wrong.Kernel != k.Name || wrong.Layer != 1 {
			t.Errorf("%s, labels wrong: %v", k.Name, err)
		}
		broken = *k
		broken.pairs = func(dst, src *byte, n int) {
			k.pairs(dst, src, n)
			*dst ^= 1
		}
		if err := broken.SelfTest(); !errors.As(err, &wrong) || wrong.Layer != 0 || wrong.Node != 0 {
			t.Errorf("%s, tree nodes wrong: %v", k.Name, err)
		}
	}
}
