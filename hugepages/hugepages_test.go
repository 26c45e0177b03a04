package hugepages_test

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/hugepages"
)

func TestAlloc(t *testing.T) {
	for _, size := range []uint64{1, 4096, 2<<20 - 1, 2 << 20, 5 << 20} {
		r, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		b := r.Bytes()
		b[0] = 7
		r.Populate(t.Context())
		if b[0] != 7 {
			t.Error("Populate changed what was there")
		}
		b[0] = 0
		if uint64(len(b)) != size || uint64(cap(b)) != size {
			t.Errorf("%d bytes, room for %d, want %d", len(b), cap(b), size)
		}
		if addr := uintptr(unsafe.Pointer(&b[0])); addr%(2<<20) != 0 {
			t.Errorf("region of %d begins at %#x", size, addr)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d of %d is not zero", i, size)
			}
			b[i] = 1
		}
		for range 2 {
			if err := r.Free(); err != nil {
				t.Error(err)
			}
		}
		if r.Bytes() != nil {
			t.Error("the region still has bytes")
		}
	}
}

func TestAllocErrors(t *testing.T) {
	for _, size := range []uint64{0, 1 << 60, 1<<63 - 1, 1<<64 - 1} {
		_, err := hugepages.Alloc(t.Context(), hugepages.Options{Size: size})
		var e *hugepages.AllocError
		var o *hugepages.OptionError
		if !errors.As(err, &e) && !errors.As(err, &o) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
