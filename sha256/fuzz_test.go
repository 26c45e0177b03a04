package sha256

import (
	"errors"
	"testing"
)

func FuzzLabel(f *testing.F) {
	f.Add(uint64(1), uint32(0), uint16(0), uint8(1), uint8(0), uint8(0))
	f.Add(uint64(2), uint32(1), uint16(1), uint8(30), uint8(Ahead), uint8(7))
	f.Add(uint64(3), uint32(10), uint16(999), uint8(255), uint8(3), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, number uint32, first uint16, n, slack, cut uint8) {
		if number++; number == 0 { // layers start at 1
			number = 1
		}
		for _, k := range usable() {
			j := newJob(seed, k.Lanes, number, int(first)+int(n)+1, int(first), int(n), int(slack))
			if err := j.check(k, heap, min(int(cut), int(n))); err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
		}
	})
}

func FuzzHashPairs(f *testing.F) {
	for _, n := range []int{0, 1, 64, 128, 192} {
		f.Add(make([]byte, n))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, k := range usable() {
			switch err := checkPairs(k, heap, src); {
			case len(src)%64 != 0 && !errors.Is(err, ErrTreeBuffers):
				t.Errorf("%s, %d bytes: got error %v, want %v", k.Name, len(src), err, ErrTreeBuffers)
			case len(src)%64 == 0 && err != nil:
				t.Errorf("%s, %d bytes: %v", k.Name, len(src), err)
			}
		}
	})
}
